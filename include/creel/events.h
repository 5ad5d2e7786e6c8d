/* `events` and `stats`: what a container uses, once or again and again, and the notice that it ran
 * out of memory. */
#pragma once

#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/oci_stats.h>

struct error;

struct events_options {
	int interval_ms; /* between two records of statistics; above 0 */
	bool once;	 /* one record of statistics, then the end */
	int output; /* one line of JSON a record; when its reader goes away, that is the end too */
};

/* Until the container has ended.  "container with id X is not running" when it has stopped before.
 */
int verb_events(struct runtime *runtime, const char *id, const struct events_options *options,
		struct error *err) must_check;

/* The statistics of one container, once, in ARENA.  The error is that of verb_events(). */
int verb_stats(struct runtime *runtime, struct arena *arena, const char *id,
	       struct oci_stats *stats, struct error *err) must_check;
