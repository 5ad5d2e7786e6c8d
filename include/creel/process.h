/* Processes by pidfd: spawn (clone3), signal, wait, start time.  Source: clone(2), pidfd_open(2),
 * pidfd_send_signal(2). */
#pragma once

#include <creel/compiler.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct spawn {
	uint64_t flags; /* CLONE_NEW*, CLONE_PARENT ...; exit signal SIGCHLD unless CLONE_PARENT is
			   in it */
	int cgroup;	/* the child is born in this cgroup (CLONE_INTO_CGROUP), or -1 */
	int *pidfd;	/* receives a pidfd of the child, or NULL */
	pid_t *born;   /* receives its pid before it runs, also when we are killed at once; NULL, or
			  memory that another process shares */
	bool old_call; /* clone(2) instead of clone3(2): the seccomp filter wants it so */
};

/* Like fork(2): returns the pid in the parent (as seen in its pid namespace), 0 in the child, -1 on
 * error. */
pid_t process_spawn(const struct spawn *spawn, struct error *err) must_check;

int process_open(pid_t pid,
		 struct error *err) must_check; /* a pidfd; -1 with ERRNUM ESRCH when it is gone */
int process_signal(int pidfd, int signal, struct error *err) must_check;
/* Waits until it ends.  1: it ended and *STATUS is its wait status (0 if it is not our child); 0:
 * the deadline passed. */
int process_wait(int pidfd, int timeout_ms, int *status, struct error *err) must_check;
/* 128+n for signals, else the exit code: what the command line returns. */
int process_exit_code(int status);

/* What no other process of this boot has, if the kernel knows such a number: the inode of a pidfd,
 * since Linux 6.9. */
bool process_identity(int pidfd, uint64_t *identity);
/* Field 22 of /proc/PID/stat, in clock ticks since boot; and whether it is a zombie or dead. */
int process_start_time(int procfs, pid_t pid, uint64_t *start, bool *dead,
		       struct error *err) must_check;
/* The same, and the file stays open in *KEPT, to be asked once more. */
int process_start_time_kept(int procfs, pid_t pid, int *kept, uint64_t *start, bool *dead,
			    struct error *err) must_check;
/* Whether the process PID, of which PIDFD is a descriptor and which has closed its files, has not
 * executed a program: so it is dying.  KEPT may be its open stat file.  False also when that cannot
 * be known any more, because somebody has reaped it. */
bool process_died_unexecuted(int procfs, pid_t pid, int pidfd, int kept);
/* "name (wchan)" of PID for messages about who did not answer. */
void process_describe(int procfs, pid_t pid, char *text, size_t size);
/* To an ERR that says that a deadline has passed: PID, when it is one, is who did not answer. */
int process_blame(int procfs, pid_t pid, struct error *err);

/* Dies with its parent by SIGNAL from now on (PR_SET_PDEATHSIG); 0 turns it off.  An error if
 * PARENT is gone already; PARENT 0 is not checked: from a new pid namespace it cannot be seen, and
 * the end of the channel tells. */
int process_die_with_parent(int signal, pid_t parent, struct error *err) must_check;
int process_set_dumpable(bool dumpable, struct error *err) must_check;

/* "KILL", "SIGKILL", "kill", "9", "RTMIN+3"; an unknown one is ERROR_USAGE: unknown signal "X"
 * (with "did you mean"). */
int process_signal_number(const char *text, int *number, struct error *err) must_check;
/* "SIGKILL", or "signal N". */
const char *process_signal_name(int number, char *buffer, size_t size);

/*
 * For a child that has left the job which our caller made of us.  What came to the whole job until
 * then came to us as well, who pass it on; in the child it waits, blocked, and ^Z would stop it in
 * process_reset_signals(), where no shell sees it.
 */
void process_forget_signals(void);
/* A session of our own, and signals that wait are forgotten. */
int process_new_session(struct error *err) must_check;

/* Resets dispositions to default and unblocks all signals: what the container's program starts
 * with. A handler ends with the exec, so only the signals in IGNORED (bit N - 1 for signal N) are
 * reset. */
void process_reset_signals(uint64_t ignored);
