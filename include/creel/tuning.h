/* Small settings of a process: limits, oom score, scheduler, I/O priority, affinity, memory policy,
 * personality, keyring. */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct tuning_rlimit {
	int type; /* RLIMIT_* */
	uint64_t soft, hard;
	const char *where;
};

/* As struct sched_attr of sched_setattr(2). */
struct tuning_scheduler {
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns */
};

struct tuning_memory_policy {
	int mode;		 /* MPOL_* with the flags or'ed in */
	unsigned long nodes[16]; /* bit mask, 1024 nodes */
};

#define TUNING_CPUS_MAX 8192
struct tuning_cpus {
	unsigned long bits[TUNING_CPUS_MAX / (8 * sizeof(unsigned long))];
};

/* prlimit(2) of PID (0: self); the error says the wanted value and the caller's hard limit. */
/* Our own hard limit of TYPE (RLIMIT_*). */
uint64_t tuning_hard_limit(int type);
int tuning_set_rlimit(pid_t pid, const struct tuning_rlimit *limit, struct error *err) must_check;
int tuning_set_oom_score(int procfs, int score, struct error *err) must_check;
/* sched_setattr(2) of PID (0: self). */
int tuning_set_scheduler(pid_t pid, const struct tuning_scheduler *scheduler,
			 struct error *err) must_check;
/* Whether a process that forks has children with the same policy: SCHED_DEADLINE may not fork. */
bool tuning_is_inherited(const struct tuning_scheduler *scheduler);
/* ioprio_set(2) of the process: class 1 to 3, priority 0 to 7. */
int tuning_set_io_priority(int class, int priority, struct error *err) must_check;
int tuning_set_affinity(const struct tuning_cpus *cpus, struct error *err) must_check;
/* Lets the process run on every CPU that its cpuset has, whatever mask an engine was pinned to. */
int tuning_reset_affinity(struct error *err) must_check;
int tuning_set_memory_policy(const struct tuning_memory_policy *policy,
			     struct error *err) must_check;
int tuning_set_personality(unsigned long persona, struct error *err) must_check;

/*
 * Joins a new session keyring NAME ("_ses.ID"), so that the container does not see the caller's
 * keys, and lets its owner search it. ENOSYS is fine; a used-up quota (EDQUOT) is logged as a
 * warning with the sysctl to raise and the process gets an anonymous one or none.
 */
int tuning_new_session_keyring(const char *name, struct error *err) must_check;
