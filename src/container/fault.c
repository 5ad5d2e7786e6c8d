/*
 * Faults of a test build (meson setup -Dfaults=true): CREEL_FAIL="before:STEP" or "after:STEP"
 * makes this row of a table fail, and every row that is reached is written to the file
 * CREEL_FAIL_LIST, so that a test walks the tables themselves.
 */
#include <creel/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <creel/error.h>

/* Taken before main() drops all variables that it does not know, and before the pivot hides the
 * file. */
static struct {
	char wanted[128];
	int list;
} fault = { .list = -1 };

static void __attribute__((constructor)) take_environment(void)
{
	const char *wanted = getenv("CREEL_FAIL"), *list = getenv("CREEL_FAIL_LIST");

	if (wanted)
		snprintf(fault.wanted, sizeof(fault.wanted), "%s", wanted);
	if (list)
		fault.list = open(list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

int fault_point(enum fault_time time, const char *step, struct error *err)
{
	char point[128];

	snprintf(point, sizeof(point), "%s:%s", time == FAULT_BEFORE ? "before" : "after", step);
	if (fault.list >= 0)
		dprintf(fault.list, "%s\n", point);
	if (strcmp(point, fault.wanted) != 0)
		return 0;
	return error_system(err, EIO, "a fault was asked for");
}
