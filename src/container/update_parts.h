/* What the files of `update` share; nobody else includes it. */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/oci_resources.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

/*
 * RESOURCES with what must be known of the present limits to change one alone: the other half of
 * cpu.max, and the memory limit that swap is counted on top of.  With checkBeforeUpdate a limit
 * that is in use already is an error.
 */
int update_complete(struct arena *arena, int cgroup, const struct oci_resources *resources,
		    struct oci_resources *complete, struct error *err) must_check;

/* A lower limit of memory on its way; starts as { 0 }. */
struct update_memory {
	char high[32]; /* memory.high as it was; "" when it was not changed */
	bool frozen;   /* by us */
};

/*
 * Brings the use of memory down to LIMIT and freezes the cgroup, so that the new limit finds
 * nothing to kill for.  On failure all is as it was.
 */
int update_memory_prepare(int cgroup, uint64_t limit, int timeout_ms, struct update_memory *memory,
			  struct error *err) must_check;
/* Whether or not the limit was set: memory.high is what it was, unless KEEP_HIGH, and the container
 * runs again. */
void update_memory_finish(int cgroup, bool keep_high, const struct update_memory *memory);
