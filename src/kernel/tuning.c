/* Small settings of a process, each one system call, with what the kernel means by its refusal. */
#include <creel/tuning.h>

#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/procfs.h>

/* ioprio_set(2) has no header in glibc, and <linux/ioprio.h> only since 5.15. */
#define IOPRIO_OF_PROCESS	      1
#define IOPRIO_CLASS_REALTIME	      1
#define IOPRIO_VALUE(class, priority) ((class) << 13 | (priority))

static const char *const rlimit_names[] = {
	[RLIMIT_AS] = "RLIMIT_AS",
	[RLIMIT_CORE] = "RLIMIT_CORE",
	[RLIMIT_CPU] = "RLIMIT_CPU",
	[RLIMIT_DATA] = "RLIMIT_DATA",
	[RLIMIT_FSIZE] = "RLIMIT_FSIZE",
	[RLIMIT_LOCKS] = "RLIMIT_LOCKS",
	[RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",
	[RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE",
	[RLIMIT_NICE] = "RLIMIT_NICE",
	[RLIMIT_NOFILE] = "RLIMIT_NOFILE",
	[RLIMIT_NPROC] = "RLIMIT_NPROC",
	[RLIMIT_RSS] = "RLIMIT_RSS",
	[RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",
	[RLIMIT_RTTIME] = "RLIMIT_RTTIME",
	[RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
	[RLIMIT_STACK] = "RLIMIT_STACK",
};

static const char *limit_text(uint64_t value, char *buffer, size_t size)
{
	if (value == RLIM_INFINITY)
		return "unlimited";
	snprintf(buffer, size, "%llu", (unsigned long long)value);
	return buffer;
}

/* What the kernel means: DETAIL becomes a part of the sentence. */
static enum crl explain_rlimit(pid_t pid, const struct tuning_rlimit *limit, int errnum,
			       char *detail, size_t size)
{
	struct rlimit old;
	char text[24];

	if (errnum == EINVAL && limit->soft > limit->hard) {
		snprintf(detail, size, ": the soft limit must not be above the hard limit");
		return CRL_RLIMIT;
	}
	if (errnum != EPERM || prlimit(pid, limit->type, NULL, &old) < 0)
		return CRL_SETTING;
	if (limit->hard > old.rlim_max)
		snprintf(detail, size, ": the hard limit of the caller is %s",
			 limit_text(old.rlim_max, text, sizeof(text)));
	else if (limit->type == RLIMIT_NOFILE)
		snprintf(detail, size, ": the sysctl fs.nr_open is lower");
	return CRL_RLIMIT_HARD;
}

uint64_t tuning_hard_limit(int type)
{
	struct rlimit limit = { .rlim_max = 0 };

	(void)prlimit(0, type, NULL, &limit);
	return limit.rlim_max;
}

int tuning_set_rlimit(pid_t pid, const struct tuning_rlimit *limit, struct error *err)
{
	const struct rlimit new = { .rlim_cur = limit->soft, .rlim_max = limit->hard };
	char soft[24];
	char hard[24];

	if (prlimit(pid, limit->type, &new, NULL) < 0) {
		int errnum = errno;
		bool known = (size_t)limit->type < ARRAY_SIZE(rlimit_names);
		char detail[96] = "";
		enum crl code = explain_rlimit(pid, limit, errnum, detail, sizeof(detail));

		error_system(err, errnum, "cannot set %s to %s (soft) and %s (hard)%s",
			     known ? rlimit_names[limit->type] : "an unknown limit",
			     limit_text(limit->soft, soft, sizeof(soft)),
			     limit_text(limit->hard, hard, sizeof(hard)), detail);
		error_code(err, code);
		error_call(err, "prlimit64");
		if (code == CRL_RLIMIT_HARD)
			error_hint(err, "raising a hard limit needs CAP_SYS_RESOURCE: raise it "
					"where creel is started (LimitNOFILE= and the like of the "
					"service), or lower it in process.rlimits");
		return error_at(err, limit->where);
	}
	return 0;
}

int tuning_set_oom_score(int procfs, int score, struct error *err)
{
	char text[16];
	char now[16];

	snprintf(text, sizeof(text), "%d", score);
	if (procfs_write(procfs, "self/oom_score_adj", text, err) == 0)
		return 0;
	if ((err->errnum == EACCES || err->errnum == EPERM) &&
	    procfs_read(procfs, "self/oom_score_adj", now, sizeof(now)) > 0)
		error_hint(err,
			   "it is %s now, and lowering it below what it was given needs "
			   "CAP_SYS_RESOURCE in the initial user namespace",
			   now);
	error_at(err, "/process/oomScoreAdj");
	error_code(err, CRL_SETTING);
	return error_while(err, "setting the OOM score adjustment to %d", score);
}

static bool is_realtime(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static void explain_scheduler(const struct tuning_scheduler *scheduler, int errnum,
			      struct error *err)
{
	bool deadline = scheduler->policy == SCHED_DEADLINE;

	if (errnum == EPERM && deadline)
		error_hint(err,
			   "SCHED_DEADLINE needs CAP_SYS_NICE and every CPU of its root domain: "
			   "it does not go together with a cpuset (resources.cpu.cpus)");
	else if (errnum == EPERM && is_realtime(scheduler->policy))
		error_hint(
		    err,
		    "real-time policies need CAP_SYS_NICE or RLIMIT_RTPRIO, and in a kernel with "
		    "CONFIG_RT_GROUP_SCHED a cgroup with real-time run time");
	else if (errnum == EPERM)
		error_hint(err, "a lower nice value needs CAP_SYS_NICE or RLIMIT_NICE");
	else if (errnum == EBUSY)
		error_hint(err, "the CPUs have not enough time left for this runtime and period");
	else if (errnum == EINVAL && deadline)
		error_hint(err, "SCHED_DEADLINE needs 1024 ns <= runtime <= deadline <= period");
	else if (errnum == EINVAL)
		error_hint(
		    err, "the kernel does not know this policy or flag, or the priority is out of "
			 "range (1 to 99 for SCHED_FIFO and SCHED_RR, else 0)");
	else if (errnum == E2BIG)
		error_hint(err, "this kernel is too old for one of the flags");
}

bool tuning_is_inherited(const struct tuning_scheduler *scheduler)
{
	return scheduler->policy != SCHED_DEADLINE &&
	       !(scheduler->flags & SCHED_FLAG_RESET_ON_FORK);
}

int tuning_set_scheduler(pid_t pid, const struct tuning_scheduler *scheduler, struct error *err)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = scheduler->policy,
		.sched_flags = scheduler->flags,
		.sched_nice = scheduler->nice,
		.sched_priority = scheduler->priority,
		.sched_runtime = scheduler->runtime,
		.sched_deadline = scheduler->deadline,
		.sched_period = scheduler->period,
	};

	if (syscall(SYS_sched_setattr, pid, &attr, 0) < 0) {
		int errnum = errno;

		error_coded(err, CRL_SCHEDULING,
			    error_system(err, errnum, "cannot set the scheduling policy %u",
					 scheduler->policy));
		explain_scheduler(scheduler, errnum, err);
		error_call(err, "sched_setattr");
		return error_at(err, "/process/scheduler");
	}
	return 0;
}

int tuning_set_io_priority(int class, int priority, struct error *err)
{
	/* The spec says "process group", which will be this process and its children: they inherit
	 * it.  Of a stage the group is still the caller's. */
	if (syscall(SYS_ioprio_set, IOPRIO_OF_PROCESS, 0, IOPRIO_VALUE(class, priority)) < 0) {
		int errnum = errno;

		error_coded(err, CRL_SCHEDULING,
			    error_system(err, errnum, "cannot set the I/O priority %d of class %d",
					 priority, class));
		if (errnum == EPERM && class == IOPRIO_CLASS_REALTIME)
			error_hint(err, "IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN");
		error_call(err, "ioprio_set");
		return error_at(err, "/process/ioPriority");
	}
	return 0;
}

int tuning_set_affinity(const struct tuning_cpus *cpus, struct error *err)
{
	/* By number: glibc's cpu_set_t ends at 1024 CPUs. */
	if (syscall(SYS_sched_setaffinity, 0, sizeof(cpus->bits), cpus->bits) < 0) {
		int errnum = errno;

		error_coded(err, CRL_SCHEDULING,
			    error_system(err, errnum, "cannot set the CPU affinity"));
		if (errnum == EINVAL)
			error_hint(err,
				   "none of these CPUs is online and in the cpuset of the process");
		return error_call(err, "sched_setaffinity");
	}
	return 0;
}

int tuning_reset_affinity(struct error *err)
{
	struct tuning_cpus all;

	/* The kernel keeps what the cpuset allows. */
	memset(&all, 0xff, sizeof(all));
	return tuning_set_affinity(&all, err);
}

static bool is_empty(const unsigned long *mask, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mask[i])
			return false;
	return true;
}

int tuning_set_memory_policy(const struct tuning_memory_policy *policy, struct error *err)
{
	bool empty = is_empty(policy->nodes, ARRAY_SIZE(policy->nodes));
	const unsigned long *nodes = empty ? NULL : policy->nodes;
	/* The kernel counts one bit less than it is told: set_mempolicy(2), "BUGS". */
	unsigned long bits = empty ? 0 : sizeof(policy->nodes) * 8 + 1;

	if (syscall(SYS_set_mempolicy, policy->mode, nodes, bits) < 0) {
		int errnum = errno;

		if (errnum == ENOSYS)
			return error_coded(
			    err, CRL_SETTING,
			    error_unsupported(err,
					      "this kernel has no memory policies (CONFIG_NUMA)"));
		error_coded(
		    err, CRL_SETTING,
		    error_system(err, errnum, "cannot set the memory policy 0x%x", policy->mode));
		if (errnum == EINVAL)
			error_hint(
			    err,
			    "the mode or a flag is newer than this kernel, or a node is not online "
			    "or not in the cpuset");
		error_call(err, "set_mempolicy");
		return error_at(err, "/linux/memoryPolicy");
	}
	return 0;
}

int tuning_set_personality(unsigned long persona, struct error *err)
{
	if (personality(persona) < 0) {
		error_coded(err, CRL_SETTING,
			    error_system(err, errno, "cannot set the personality 0x%lx", persona));
		error_call(err, "personality");
		return error_at(err, "/linux/personality");
	}
	return 0;
}
