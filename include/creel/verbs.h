/* One function a verb: what the command line calls. */
#pragma once

#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/create.h>

struct error;

/* create, and run without --detach: *EXIT_CODE is the container's. */
int verb_create(struct runtime *runtime, const struct create_options *options,
		struct error *err) must_check;
struct run_options {
	struct create_options create;
	bool keep;
};
int verb_run(struct runtime *runtime, const struct run_options *options, int *exit_code,
	     struct error *err) must_check;

int verb_start(struct runtime *runtime, const char *id, struct error *err) must_check;

/* SIGNAL to the init; ALL: to every process of the cgroup.  SIGKILL to a container without its own
 * pid namespace takes all. */
int verb_kill(struct runtime *runtime, const char *id, int signal, bool all,
	      struct error *err) must_check;
/* The same for one that is open. */
int kill_container(struct runtime *runtime, struct container *container, int signal, bool all,
		   struct error *err) must_check;
/* verb_kill(), and returns when the init has ended; or with an error that names it, when the
 * deadline of --timeout, a minute otherwise, is over. */
int verb_kill_and_wait(struct runtime *runtime, const char *id, int signal, bool all,
		       struct error *err) must_check;

int verb_delete(struct runtime *runtime, const char *id, bool force, struct error *err) must_check;

int verb_pause(struct runtime *runtime, const char *id, struct error *err) must_check;
int verb_resume(struct runtime *runtime, const char *id, struct error *err) must_check;

/* All pids of the container, as the caller sees them; sorted, in the arena. */
int verb_ps(struct runtime *runtime, const char *id, pid_t **pids, size_t *n,
	    struct error *err) must_check;

struct exec_options {
	const char *id;
	const char *process_file; /* or NULL */
	struct strings args;
	const char *cwd;
	struct strings env;
	const char *user; /* "uid[:gid]", decimal */
	struct strings additional_gids;
	struct strings caps;
	bool terminal, terminal_set;
	bool no_new_privileges;
	const char *apparmor_profile;
	const char *process_label;
	struct strings cgroups; /* "[CONTROLLER[,...]:]PATH" relative to the container's cgroup */
	const char *console_socket;
	const char *pidfd_socket;
	const char *pid_file;
	unsigned int preserve_fds;
	unsigned int listen_fds; /* LISTEN_FDS of the caller, counted before PRESERVE_FDS */
	const char *listen_names;
	bool detach;
	bool ignore_paused;
};
int verb_exec(struct runtime *runtime, const struct exec_options *options, int *exit_code,
	      struct error *err) must_check;

struct update_options {
	const struct oci_resources *resources; /* what is absent stays as it is */
	bool memory_safe;   /* a lower limit of memory must not kill: reclaim first, or refuse */
	struct strings rdt; /* schemata of the container's resctrl group */
};
/* All of it, or nothing is changed. */
int verb_update(struct runtime *runtime, const char *id, const struct update_options *options,
		struct error *err) must_check;
