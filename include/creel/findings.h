/*
 * All that is wrong with something, instead of the first error only: what `creel check` collects.
 *
 * A function that can go on after a failure does so when it has a list to keep the error in:
 *
 *	if (plan_one(...) < 0 && findings_keep(findings, err) < 0)
 *		return -1;
 *
 * Without a list that is what every other caller wants: the first error ends it.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/error.h>
#include <stddef.h>

enum finding_severity {
	FINDING_ERROR,	 /* create would refuse it */
	FINDING_WARNING, /* it would work, but hardly as it was meant */
	FINDING_NOTE,	 /* worth knowing */
};

struct finding {
	enum finding_severity severity;
	struct error error; /* pointer, position, sentence, hint and code */
};

struct findings {
	struct arena *arena;
	struct finding *items;
	size_t n, room;
	size_t left_out; /* beyond FINDINGS_MAX */
};

/* A document can be wrong in a million places; nobody reads so many. */
#define FINDINGS_MAX 1000

/*
 * Adds a copy of ERR.  What only follows from an earlier error is left out: all that is about the
 * same place or one below it, and errors about a place above it.
 */
void findings_add(struct findings *findings, enum finding_severity severity,
		  const struct error *err);
/* Keeps ERR as an error of FINDINGS and clears it: 0.  -1 when FINDINGS is NULL. */
int findings_keep(struct findings *findings, struct error *err) must_check;
/* Something about POINTER that is no error: a finding of SEVERITY, or a log record without
 * FINDINGS (notes are for debugging then). */
struct error *findings_say(struct findings *findings, enum finding_severity severity,
			   const char *pointer, const char *format, ...) printf_like(4, 5);
/* How many there are of SEVERITY. */
size_t findings_count(const struct findings *findings, enum finding_severity severity);
/* Whether there is an error at POINTER or below it. */
bool findings_has_error(const struct findings *findings, const char *pointer);
/* In the order of the document; what has no place comes last. */
void findings_sort(struct findings *findings);
