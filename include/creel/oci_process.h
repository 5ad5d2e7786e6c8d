/*
 * `process` of config.json, and the process files of `exec --process`: who runs what, with which
 * rights. Source: runtime-spec config.md "Process", config-linux.md.
 */
#pragma once

#include <creel/schema.h>

struct oci_console_size {
	struct optional_uint height; /* rows */
	struct optional_uint width;  /* columns */
};

struct oci_user {
	struct optional_uint uid; /* inside the container; required */
	struct optional_uint gid;
	struct optional_uint umask;
	struct uints additional_gids;
	char *username; /* for other platforms; ignored on Linux */
};

/* Names such as "CAP_CHOWN"; plan_process.c turns them into masks, and warns of unknown ones. */
struct oci_capabilities {
	struct strings bounding;
	struct strings effective;
	struct strings inheritable;
	struct strings permitted;
	struct strings ambient;
};

struct oci_rlimit {
	struct optional type;	   /* RLIMIT_* of <sys/resource.h> */
	struct optional_uint soft; /* 2^64-1 is no limit */
	struct optional_uint hard;
};

struct oci_scheduler {
	struct optional policy; /* SCHED_* of <linux/sched.h> */
	struct optional nice;	/* -20 to 19 */
	struct optional priority;
	struct ints flags;	       /* SCHED_FLAG_* */
	struct optional_uint runtime;  /* ns */
	struct optional_uint deadline; /* ns */
	struct optional_uint period;   /* ns */
};

struct oci_io_priority {
	struct optional class;	  /* 1 real time, 2 best effort, 3 idle: as in ioprio_set(2) */
	struct optional priority; /* 0 (highest) to 7 */
};

struct oci_exec_cpu_affinity {
	char *initial; /* CPU list; applied before the cgroup is joined */
	char *final;   /* CPU list; applied after it */
};

struct oci_process {
	bool terminal;
	struct oci_console_size *console_size;
	char *cwd; /* absolute */
	struct strings env;
	struct strings args;
	char *command_line; /* Windows; ignored */
	struct oci_user *user;
	struct oci_capabilities *capabilities;
	LIST_OF(struct oci_rlimit) rlimits;
	bool no_new_privileges;
	struct optional oom_score_adj; /* -1000 to 1000; 0 is a value */
	char *apparmor_profile;
	char *selinux_label;
	struct oci_scheduler *scheduler;
	struct oci_io_priority *io_priority;
	struct oci_exec_cpu_affinity *exec_cpu_affinity;
};

extern const struct schema oci_process_schema;

extern const struct name_value oci_rlimit_names[];
extern const struct name_value oci_scheduler_policy_names[];
extern const struct name_value oci_scheduler_flag_names[];
extern const struct name_value oci_io_priority_class_names[];
