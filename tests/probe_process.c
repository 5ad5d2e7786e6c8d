/*
 * The sections of the probe that are about the process itself: who it is, what it may do, how it is
 * scheduled.  System calls are asked before /proc, so that most of it works without a /proc.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

static const char *const capability_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

static const char *const rlimit_names[RLIM_NLIMITS] = {
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

ssize_t read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (used < size - 1 && (n = read(fd, buffer + used, size - 1 - used)) > 0)
		used += n;

	int error = errno;

	close(fd);
	errno = error;
	buffer[used] = '\0';
	return n < 0 ? -1 : (ssize_t)used;
}

/* Finds the value of NAME in /proc/self/status.  Returns NULL when there is none. */
static char *status_value(const char *name, char *buffer, size_t size)
{
	size_t length = strlen(name);

	if (read_file("/proc/self/status", buffer, size) < 0)
		return NULL;
	for (char *line = strtok(buffer, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " \t");
	return NULL;
}

/* Writes what a prctl() or another call returned, or null for an error. */
static void write_result(const char *key, long result)
{
	if (result < 0)
		json_null(key);
	else
		json_number(key, result);
}

void write_argv(const char *key)
{
	json_open(key, '[');
	for (int i = 0; i < probe_argc; i++)
		json_string(NULL, probe_argv[i]);
	json_close(']');
}

void write_env(const char *key)
{
	json_open(key, '[');
	for (char **item = environ; *item; item++)
		json_string(NULL, *item);
	json_close(']');
}

/* The system call and not getcwd(3): libc hides "(unreachable)/...", a leaked directory. */
void write_cwd(const char *key)
{
	char path[4096];

	if (syscall(SYS_getcwd, path, sizeof(path)) < 0)
		json_null(key);
	else
		json_string(key, path);
}

void write_uid(const char *key)
{
	uid_t real, effective, saved;

	getresuid(&real, &effective, &saved);
	json_open(key, '{');
	json_number("real", real);
	json_number("effective", effective);
	json_number("saved", saved);
	json_number("fs", (uid_t)setfsuid(-1));
	json_close('}');
}

void write_gid(const char *key)
{
	gid_t real, effective, saved;

	getresgid(&real, &effective, &saved);
	json_open(key, '{');
	json_number("real", real);
	json_number("effective", effective);
	json_number("saved", saved);
	json_number("fs", (gid_t)setfsgid(-1));
	json_close('}');
}

void write_groups(const char *key)
{
	static gid_t groups[65536];
	int n = getgroups(ARRAY_SIZE(groups), groups);

	json_open(key, '[');
	for (int i = 0; i < n; i++)
		json_number(NULL, groups[i]);
	json_close(']');
}

void write_umask(const char *key)
{
	mode_t mask = umask(0);

	umask(mask);
	json_format(key, "%04o", mask);
}

const char *capability_name(int capability)
{
	return capability < (int)ARRAY_SIZE(capability_names) ? capability_names[capability] : NULL;
}

/* Reads one of the three sets of capget(2), or the ambient or bounding set, as a mask. */
static uint64_t capability_set(const char *set)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t mask = 0;

	if (strcmp(set, "bounding") == 0) {
		for (int i = 0; i < 64; i++)
			if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
				mask |= 1ULL << i;
		return mask;
	}
	if (strcmp(set, "ambient") == 0) {
		for (int i = 0; i < 64; i++)
			if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
				mask |= 1ULL << i;
		return mask;
	}

	syscall(SYS_capget, &header, data);
	for (int i = 1; i >= 0; i--)
		mask = mask << 32 | (strcmp(set, "effective") == 0   ? data[i].effective
				     : strcmp(set, "permitted") == 0 ? data[i].permitted
								     : data[i].inheritable);
	return mask;
}

bool has_capability(const char *set, int capability)
{
	return capability_set(set) >> capability & 1;
}

void write_capabilities(const char *key)
{
	static const char *const sets[] = {
		"effective", "permitted", "inheritable", "bounding", "ambient",
	};

	json_open(key, '{');
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		json_format(sets[i], "%016llx", (unsigned long long)capability_set(sets[i]));
	json_close('}');
}

void write_no_new_privs(const char *key)
{
	json_bool(key, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

/* PR_GET_SECCOMP is a call that a filter may kill for, so /proc is asked first here. */
void write_seccomp(const char *key)
{
	char buffer[8192];
	char *value = status_value("Seccomp", buffer, sizeof(buffer));

	json_open(key, '{');
	if (value)
		json_number("mode", atoi(value));
	else
		write_result("mode", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	value = status_value("Seccomp_filters", buffer, sizeof(buffer));
	if (value)
		json_number("filters", atoi(value));
	else
		json_null("filters");
	json_close('}');
}

void write_dumpable(const char *key)
{
	write_result(key, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

void write_securebits(const char *key)
{
	write_result(key, prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
}

static void write_limit(const char *key, rlim_t limit)
{
	if (limit == RLIM_INFINITY)
		json_string(key, "unlimited");
	else
		json_format(key, "%llu", (unsigned long long)limit);
}

void write_rlimits(const char *key)
{
	struct rlimit limit;

	json_open(key, '{');
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		if (!rlimit_names[i] || getrlimit(i, &limit) < 0)
			continue;
		json_open(rlimit_names[i], '{');
		write_limit("soft", limit.rlim_cur);
		write_limit("hard", limit.rlim_max);
		json_close('}');
	}
	json_close('}');
}

void write_oom_score_adj(const char *key)
{
	char buffer[32];

	if (read_file("/proc/self/oom_score_adj", buffer, sizeof(buffer)) < 0)
		json_null(key);
	else
		json_number(key, atoi(buffer));
}

void write_personality(const char *key)
{
	int persona = personality(0xffffffff);

	if (persona < 0)
		json_null(key);
	else
		json_format(key, "0x%x", (unsigned)persona);
}

void write_process(const char *key)
{
	int value = 0;

	json_open(key, '{');
	json_number("pid", getpid());
	json_number("ppid", getppid());
	json_number("sid", getsid(0));
	json_number("pgid", getpgid(0));
	write_result("pdeathsig", prctl(PR_GET_PDEATHSIG, &value, 0, 0, 0) < 0 ? -1 : value);
	value = 0;
	json_bool("subreaper", prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0) == 0 && value);
	json_close('}');
}

/* Nothing is caught after an exec, so "caught" is what libc installs by itself: nothing. */
void write_signals(const char *key)
{
	sigset_t blocked;

	sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int which = 0; which < 3; which++) {
		if (which == 0)
			json_open(key, '{');
		json_open(which == 0 ? "blocked" : which == 1 ? "ignored" : "caught", '[');
		for (int signal = 1; signal < NSIG; signal++) {
			struct sigaction action = { .sa_handler = SIG_DFL };

			sigaction(signal, NULL, &action);
			if (which == 0 ? sigismember(&blocked, signal) == 1
			    : which == 1
				? action.sa_handler == SIG_IGN
				: action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL)
				json_number(NULL, signal);
		}
		json_close(']');
	}
	json_close('}');
}

/* The kernel's struct sched_attr; only new C libraries declare it. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
	uint32_t util_min;
	uint32_t util_max;
};

void write_scheduler(const char *key)
{
	static const char *const policies[] = {
		"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR",       "SCHED_BATCH",
		"SCHED_ISO",   "SCHED_IDLE", "SCHED_DEADLINE", "SCHED_EXT",
	};
	struct scheduling attr = { 0 };

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	if (attr.policy < ARRAY_SIZE(policies))
		json_string("policy", policies[attr.policy]);
	else
		json_format("policy", "%u", attr.policy);
	json_unsigned("flags", attr.flags);
	json_number("nice", attr.nice);
	json_number("priority", attr.priority);
	json_unsigned("runtime", attr.runtime);
	json_unsigned("deadline", attr.deadline);
	json_unsigned("period", attr.period);
	json_number("utilMin", attr.util_min);
	json_number("utilMax", attr.util_max);
	json_close('}');
}

void write_nice(const char *key)
{
	json_number(key, getpriority(PRIO_PROCESS, 0));
}

void write_ioprio(const char *key)
{
	static const char *const classes[] = {
		"IOPRIO_CLASS_NONE",
		"IOPRIO_CLASS_RT",
		"IOPRIO_CLASS_BE",
		"IOPRIO_CLASS_IDLE",
	};
	long value = syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0);

	if (value < 0 || value >> 13 >= (long)ARRAY_SIZE(classes)) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	json_string("class", classes[value >> 13]);
	json_number("priority", value & 0x1fff);
	json_close('}');
}

void write_affinity(const char *key)
{
	unsigned long mask[16384 / (8 * sizeof(unsigned long))] = { 0 };
	long n = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);

	if (n < 0) {
		json_null(key);
		return;
	}
	json_open(key, '[');
	for (long cpu = 0; cpu < n * 8; cpu++)
		if (mask[cpu / (8 * sizeof(*mask))] >> cpu % (8 * sizeof(*mask)) & 1)
			json_number(NULL, cpu);
	json_close(']');
}

void write_mempolicy(const char *key)
{
	static const char *const modes[] = {
		"MPOL_DEFAULT",
		"MPOL_PREFERRED",
		"MPOL_BIND",
		"MPOL_INTERLEAVE",
		"MPOL_LOCAL",
		"MPOL_PREFERRED_MANY",
		"MPOL_WEIGHTED_INTERLEAVE",
	};
	static const char *const flags[] = {
		"MPOL_F_NUMA_BALANCING",
		"MPOL_F_RELATIVE_NODES",
		"MPOL_F_STATIC_NODES",
	};
	unsigned long nodes[16] = { 0 };
	unsigned mode = 0;

	if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, NULL, 0) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	if ((mode & 0x1fff) < ARRAY_SIZE(modes))
		json_string("mode", modes[mode & 0x1fff]);
	else
		json_format("mode", "%u", mode & 0x1fff);
	json_open("flags", '[');
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (mode >> (13 + i) & 1)
			json_string(NULL, flags[i]);
	json_close(']');
	json_open("nodes", '[');
	for (size_t node = 0; node < sizeof(nodes) * 8; node++)
		if (nodes[node / (8 * sizeof(*nodes))] >> node % (8 * sizeof(*nodes)) & 1)
			json_number(NULL, node);
	json_close(']');
	json_close('}');
}

/* The description is "keyring;UID;GID;PERM;NAME"; NAME is what runtimes choose. */
void write_keyring(const char *key)
{
	char text[1024];
	long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

	if (id < 0) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	json_number("id", id);
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, text, sizeof(text)) < 0)
		json_null("description");
	else
		json_string("description", text);
	json_close('}');
}

void write_label(const char *key)
{
	static const char *const names[] = { "current", "exec" };
	char path[64], text[4096];

	json_open(key, '{');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/proc/self/attr/%s", names[i]);
		if (read_file(path, text, sizeof(text)) < 0)
			json_null(names[i]);
		else
			json_text(names[i], text, strcspn(text, "\n"));
	}
	json_close('}');
}
