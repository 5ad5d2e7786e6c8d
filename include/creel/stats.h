/* What a container uses, read from the files of its cgroup. */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/oci_stats.h>
#include <stdbool.h>
#include <stdint.h>

struct container;
struct error;
struct runtime;

/*
 * Reads all that the container's CGROUP says, for `events` and `stats`; a file that is missing (its
 * controller is not enabled, pressure is not counted) leaves its members absent.  ERROR_STATE when
 * the cgroup is gone.
 */
int stats_read(struct arena *arena, int cgroup, struct oci_stats *stats,
	       struct error *err) must_check;

/* The number behind KEY at the start of a line of TEXT ("oom_kill 3"); false when there is none. */
bool stats_number(const char *text, const char *key, uint64_t *value);
