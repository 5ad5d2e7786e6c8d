/* resctrl groups (Intel RDT, AMD QoS).  Source: Documentation/arch/x86/resctrl.rst, runtime-spec
 * config-linux.md "Intel RDT". */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/text.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;

struct rdt_plan {
	const char *group; /* closID, or the container's id */
	bool own;	   /* no closID: the group is ours, made and removed by us */
	bool monitoring;   /* mon_groups/ID below it */
	const char *id;
	struct strings schemata; /* lines to write, in order; none: the group must exist */
};

/* Where resctrl is mounted, or NULL. */
char *rdt_mount(struct arena *arena, int procfs);
/* Makes or checks the group and puts PID into it.  *MADE says whether a directory was made. */
int rdt_join(const char *mount, const struct rdt_plan *plan, pid_t pid, bool *made,
	     struct error *err) must_check;
/* Writes other schemata to a group that exists. */
int rdt_change(const char *mount, const struct rdt_plan *plan, struct error *err) must_check;
/* Removes what rdt_join() made. */
int rdt_remove(const char *mount, const struct rdt_plan *plan, struct error *err) must_check;
