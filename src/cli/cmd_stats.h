/* What the files of `creel stats` share: samples of what containers use, and the ways to show them.
 */
#pragma once

#include <creel/cli.h>
#include <creel/oci_stats.h>
#include <time.h>

struct sample {
	char *id;
	struct oci_stats stats;
};

/* One look at some containers, or at all that live. */
struct samples {
	struct sample *items;
	size_t n;
	struct timespec at; /* of the monotonic clock */
};

/*
 * Looks at the containers of CLI's arguments, all in ARENA; without one, at all that live.  With
 * GONE_IS_FINE those that are gone are left out, else they are an error.
 */
int stats_collect(struct cli *cli, struct arena *arena, bool gone_is_fine, struct samples *samples,
		  struct error *err) must_check;

/* The table, with the share of a CPU since BEFORE, or without it where that is NULL. */
const char *stats_table(struct arena *arena, const struct samples *samples,
			const struct samples *before);
/* Prints the OpenMetrics text format. */
void stats_print_openmetrics(const struct samples *samples);
/* Shows the table again and again until somebody ends it, then leaves the last one on the terminal.
 */
int stats_watch(struct cli *cli, int interval_ms, struct error *err) must_check;
