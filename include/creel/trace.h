/*
 * --trace FILE: a timeline of every step of P, S and I, as Chrome trace events (Perfetto and
 * chrome://tracing open it).  A descriptor of -1 is "off", and costs one comparison a step.
 */
#pragma once

#include <creel/compiler.h>
#include <stdint.h>

struct error;

/* Makes or empties PATH and writes the beginning of the document; its end may be missing, by the
 * format. */
int trace_open(const char *path, struct error *err) must_check;
/* The start of a span, or 0 when tracing is off. */
uint64_t trace_now(int trace);
/* Ends the span NAME of process ROLE ("P", "S" or "I") that began at START; one write(2), so that
 * processes can share a file. */
void trace_span(int trace, const char *role, const char *name, uint64_t start);
