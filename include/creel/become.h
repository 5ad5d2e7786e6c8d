/*
 * The last part of every process that enters a container, shared by the init and by exec: from
 * "inside, with all rights" to the execve of the user's program.  The order of the steps and its
 * reasons: SECURITY 2.6.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/plan.h>

struct error;
struct facts;

struct become {
	struct arena *arena;
	const struct plan_process *process;
	const struct plan_seccomp *seccomp;
	int procfs;
	int channel;
	int root;		     /* "/" of the container */
	int terminal;		     /* the pty's slave, or -1 */
	int trace;		     /* or -1 */
	const struct statx *streams; /* of 0, 1 and 2; NULL when nobody has looked yet */
	unsigned int preserve_fds;
	const char *keyring; /* or NULL */
	const char *keyring_label;
	uint64_t ignored;   /* signals: of process_reset_signals() */
	int cap_last;	    /* the last capability that this kernel knows */
	bool in_userns;	    /* setresuid(0) first: our ids are the parent's */
	bool stay_dumpable; /* an unprivileged engine must reach /proc/PID/ns of the waiting init */
	pid_t parent;	    /* dies with it until the commit, or 0 */
	/*
	 * The pid that the process will have, in memory that P shares: for one that enters a pid
	 * namespace where others may trace it (CVE-2016-9962).  It is born there as the last act,
	 * with the container's root and the user's rights; until then we are its stage.  NULL: we
	 * are that process already.
	 */
	pid_t *born;
	bool unattended;	       /* it need not introduce itself */
	bool limits_left;	       /* P has not set them all: become_program() does */
	bool entered;		       /* process->cwd is the working directory already */
	int start_socket;	       /* what it needs beside the channel, or -1 */
	struct strings env;	       /* process->env, and HOME: become_find_home() */
	const char *program;	       /* found by become_find_program() */
	const struct mount_op *mounts; /* of the container, for messages; or NULL */
	size_t mounts_n;
};

/*
 * The resource limits, set from outside on PID when its set-up is over: a small RLIMIT_NOFILE or
 * RLIMIT_AS must not stop that. *LEFT when the kernel denies us one by then, since PID's ids have
 * changed and we lack CAP_SYS_RESOURCE: become_program() does it.
 */
int become_set_limits(pid_t pid, const struct plan_process *process, bool *left,
		      struct error *err) must_check;
/* Whether it is left nothing to do: the process may lower its limits by itself, in
 * become_program(). */
bool become_limits_itself(const struct plan_process *process, const struct plan_seccomp *seccomp);

/* What a stage could not do for the process PID, that it is born by: P does it from outside. */
bool become_needs_tuning(const struct plan_process *process);
int become_tune_newborn(pid_t pid, const struct plan_process *process,
			struct error *err) must_check;
/* When become->born is set: the process is born, introduces itself to P (INIT) and waits for GO;
 * this returns in it only.  Of all descriptors it has those that are passed on, and what it needs.
 */
int become_be_born(struct become *become, struct error *err) must_check;
/* Whether it has to be born before its filter is in force, which would not let it be. */
bool become_is_born_first(const struct become *become);

/* First of all inside: container root's ids, session, keyring. */
int become_start(struct become *become, struct error *err) must_check;
/* Standard streams: /dev/null is reopened inside, pipes and sockets are given to the user. */
int become_prepare_streams(struct become *become, struct error *err) must_check;
/* HOME from the container's /etc/passwd, when the document has none: hostile data, so bounded and
 * never followed out. */
int become_find_home(struct become *become, struct error *err) must_check;
/* Scheduler, I/O priority, memory policy, personality. */
int become_tune(struct become *become, struct error *err) must_check;
/* What is open but for the channel is closed, root and procfs, too.  Before and after that: LSM
 * labels; seccomp when it must come before the rights are dropped; ids, capabilities; working
 * directory; no_new_privs; and the birth. */
int become_user(struct become *become, struct error *err) must_check;
/* args[0] as execvp(3) would find it, with the user's rights; the errors are the engines' phrases.
 */
int become_find_program(struct become *become, struct error *err) must_check;
/* Why execve(2) of become->program failed with ERRNUM. */
int become_explain_exec(const struct become *become, int errnum, struct error *err);
/* The limits that are left, the late seccomp filter and the exec; returns only on failure.  CONTROL
 * gets EXEC before it. */
int become_program(struct become *become, int control, struct error *err) must_check;
