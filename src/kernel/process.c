/* Processes by pidfd, so that a pid that was used again is never signalled or waited for by
 * mistake. */
#include <creel/process.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/label.h>
#include <creel/namespace.h>
#include <creel/procfs.h>
#include <creel/text.h>

#include "syscalls.h"

/* The kernel's _NSIG / 8 on all architectures that glibc and musl share with creel. */
#define KERNEL_SIGSET_SIZE 8
#define SIGNAL_MAX	   64
/* What docker, runc and systemd mean by RTMIN; SIGRTMIN of a C library may differ. */
#define RTMIN 34

static enum crl spawn_code(const struct spawn *spawn, int errnum)
{
	switch (errnum) {
	case EAGAIN:
		return CRL_PIDS_LIMIT;
	case ENOSPC:
	case EUSERS:
		return CRL_NAMESPACE_LIMIT;
	case EBUSY:
	case EOPNOTSUPP:
	case EACCES:
	case ENODEV:
	case ENOENT:
		return spawn->cgroup >= 0 ? CRL_CGROUP_ENTER : CRL_SYSTEM;
	case EPERM:
		return spawn->flags & CLONE_NEWUSER ? CRL_USER_NAMESPACE_FORBIDDEN : CRL_NAMESPACE;
	case EINVAL:
		return CRL_NAMESPACE;
	default:
		return CRL_SYSTEM;
	}
}

/* The nearest cgroup from AT upwards whose pids.max is reached: how far up it is, or -1. */
static int find_full(int at, uint64_t *max)
{
	auto_fd dir = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int up = 0; dir >= 0; up++) {
		char limit[32], now[32];
		uint64_t used;
		int parent;

		if (file_read_small(dir, "pids.max", limit, sizeof(limit)) < 0 ||
		    file_read_small(dir, "pids.current", now, sizeof(now)) < 0)
			return -1;
		if (text_parse_uint(limit, UINT64_MAX, max) &&
		    text_parse_uint(now, UINT64_MAX, &used) && used >= *max)
			return up;
		parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fd_close(&dir);
		dir = parent;
	}
	return -1;
}

static int explain_limit(const struct spawn *spawn, struct error *err)
{
	struct rlimit nproc;
	uint64_t max;
	int up = spawn->cgroup >= 0 ? find_full(spawn->cgroup, &max) : -1;

	if (up >= 0) {
		error_while(err, "pids.max of %s is %llu, and so many are there",
			    up == 0   ? "the cgroup"
			    : up == 1 ? "the cgroup's parent"
				      : "a parent of the cgroup",
			    (unsigned long long)max);
		return up == 0 ? error_at(err, "/linux/resources/pids/limit") : -1;
	}
	if (getrlimit(RLIMIT_NPROC, &nproc) == 0 && nproc.rlim_cur != RLIM_INFINITY)
		return error_hint(err,
				  "RLIMIT_NPROC is %llu, for all processes of uid %u; or "
				  "kernel.threads-max or kernel.pid_max is reached",
				  (unsigned long long)nproc.rlim_cur, (unsigned int)getuid());
	return error_hint(err, "pids.max of a cgroup that we are in, kernel.threads-max or "
			       "kernel.pid_max is reached");
}

static int explain_spawn(const struct spawn *spawn, int errnum, struct error *err)
{
	error_system(err, errnum, "cannot start a process%s",
		     spawn->cgroup >= 0 ? " in the cgroup" : "");
	error_call(err, spawn->old_call ? "clone" : "clone3");
	error_code(err, spawn_code(spawn, errnum));
	if (errnum == EAGAIN)
		return explain_limit(spawn, err);
	switch (errnum) {
	case ENOSPC:
		namespace_explain(spawn->flags, errnum, err);
		error_code(err, spawn_code(spawn, errnum));
		return error_call(err, spawn->old_call ? "clone" : "clone3");
	case EUSERS:
		return error_hint(err, "user namespaces are nested too deep (the limit is 32)");
	case EBUSY:
		return error_hint(err,
				  "the cgroup has controllers enabled for children in its "
				  "cgroup.subtree_control: then it may not hold processes itself");
	case EOPNOTSUPP:
		return error_hint(
		    err, "the cgroup is of the type \"domain invalid\": a parent or sibling "
			 "of it is threaded");
	case EACCES:
		if (spawn->cgroup < 0)
			return -1;
		return error_hint(
		    err, "to enter the cgroup, its cgroup.procs and that of the common parent "
			 "with our own cgroup must be writable");
	case ENODEV:
	case ENOENT:
		if (spawn->cgroup < 0)
			return -1;
		return error_hint(err, "the cgroup was removed meanwhile");
	case EPERM:
		return error_hint(
		    err, "new namespaces need CAP_SYS_ADMIN, or a user namespace that this "
			 "host allows (kernel.unprivileged_userns_clone, "
			 "kernel.apparmor_restrict_unprivileged_userns)");
	case ENOMEM:
		return error_hint(err, "there is no memory, or the pid namespace's init has ended");
	case EINVAL:
		return error_hint(err, "this kernel lacks one of the namespaces (CONFIG_*_NS)");
	default:
		return -1;
	}
}

pid_t process_spawn(const struct spawn *spawn, struct error *err)
{
	int pidfd = -1;
	struct clone3_args args = {
		.flags = spawn->flags,
		/* The kernel takes the parent's own exit signal with CLONE_PARENT and wants none
		   here. */
		.exit_signal = spawn->flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	pid_t pid;

	if (spawn->pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uintptr_t)&pidfd;
	}
	if (spawn->born) {
		args.flags |= CLONE_PARENT_SETTID;
		args.parent_tid = (uintptr_t)spawn->born;
	}
	if (spawn->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)spawn->cgroup;
	}
	pid = spawn->old_call
		  ? sys_clone((unsigned long)(args.flags | args.exit_signal), spawn->born)
		  : sys_clone3(&args);
	if (pid < 0)
		return explain_spawn(spawn, errno, err);
	if (pid > 0 && spawn->pidfd)
		*spawn->pidfd = pidfd;
	return pid;
}

bool process_identity(int pidfd, uint64_t *identity)
{
	struct statfs fs;
	struct stat status;

	/* Before, all pidfds had the inode of anon_inode:. */
	if (fstatfs(pidfd, &fs) < 0 || fs.f_type != PID_FS_MAGIC || fstat(pidfd, &status) < 0)
		return false;
	*identity = status.st_ino;
	return true;
}

int process_open(pid_t pid, struct error *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0) {
		int errnum = errno;

		/* A thread that is not the leader of its process is none that we started. */
		error_system(err, errnum == EINVAL || errnum == ENOENT ? ESRCH : errnum,
			     "cannot open the process %d", pid);
		return error_call(err, "pidfd_open");
	}
	return fd;
}

/*
 * The profiles that engines give to containers take signals from unconfined programs, runc and crun
 * by name.  So with EACCES creel leaves the profile that it has only for its user namespaces.
 */
static int send_signal(int pidfd, int signal)
{
	int result = (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);

	if (result < 0 && errno == EACCES) {
		bool left = label_apparmor_leave();

		errno = EACCES;
		if (left)
			result = (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
	}
	return result;
}

int process_signal(int pidfd, int signal, struct error *err)
{
	if (send_signal(pidfd, signal) < 0) {
		char name[32];

		error_system(err, errno, "cannot send %s to the process",
			     process_signal_name(signal, name, sizeof(name)));
		return error_call(err, "pidfd_send_signal");
	}
	return 0;
}

/* Reaps an ended child: 1, 0 while it runs (with WNOHANG), -1 with errno. */
static int reap(int pidfd, int flags, int *status)
{
	siginfo_t info = { 0 };
	int result;

	/* __WALL: a child of CLONE_PARENT does not end with SIGCHLD. */
	do
		result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL | flags);
	while (result < 0 && errno == EINTR);
	if (result < 0)
		return -1;
	if (info.si_pid == 0)
		return 0;
	if (info.si_code == CLD_EXITED)
		*status = W_EXITCODE(info.si_status, 0);
	else
		*status =
		    W_EXITCODE(0, info.si_status) | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
	return 1;
}

/*
 * Our child has ended.  While somebody traces it, it is the tracer who hears of that first: until
 * then waitid(2) shows us nothing, and who went on now would leave a zombie, and take its status
 * for 0.
 */
static int reap_traced(int pidfd, int timeout_ms, int *status, struct error *err)
{
	for (int waited = 0; waited <= timeout_ms; waited++) {
		int found = reap(pidfd, WNOHANG, status);

		if (found > 0 || (found < 0 && errno == ECHILD))
			return 1;
		if (found < 0)
			return error_system(err, errno, "cannot wait for the process");
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}

int process_wait(int pidfd, int timeout_ms, int *status, struct error *err)
{
	int found = reap(pidfd, timeout_ms < 0 ? 0 : WNOHANG, status);

	if (found > 0)
		return 1;
	if (found < 0 && errno != ECHILD)
		return error_system(err, errno, "cannot wait for the process");
	/* Somebody else's child: a pidfd is readable when the whole process has ended. */
	int ready = fd_wait(pidfd, POLLIN, timeout_ms, err);

	if (ready <= 0)
		return ready;
	*status = 0;
	return found < 0 ? 1 : reap_traced(pidfd, timeout_ms, status, err);
}

int process_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reads /proc/PID/NAME; the length or -1 with errno, which is ESRCH when the process is gone. */
static ssize_t read_proc(int procfs, pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	length = procfs_read(procfs, path, text, size);
	if (length < 0 && errno == ENOENT)
		errno = ESRCH;
	return length;
}

/* Field N (from 3, the state) of the part of /proc/PID/stat behind the name. */
static const char *stat_field(const char *after_name, int n)
{
	for (int i = 3; i < n && after_name; i++) {
		after_name = strchr(after_name, ' ');
		after_name += after_name ? 1 : 0;
	}
	return after_name;
}

static ssize_t read_kept(int kept, char *text, size_t size)
{
	ssize_t n;

	do
		n = pread(kept, text, size - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

bool process_died_unexecuted(int procfs, pid_t pid, int pidfd, int kept)
{
	/* PF_FORKNOEXEC of <linux/sched.h>, in the flags that proc(5) lists as field 9. */
	const unsigned long forked_not_executed = 0x40;
	char text[4096];
	const char *state, *flags;

	/* Not asked whether it is dead: a dying process closes its files some time before it is. */
	if ((kept >= 0 ? read_kept(kept, text, sizeof(text))
		       : read_proc(procfs, pid, "stat", text, sizeof(text))) < 0)
		return false;
	state = strrchr(text, ')');
	flags = state && state[1] == ' ' ? stat_field(state + 2, 9) : NULL;
	if (!flags || !(strtoul(flags, NULL, 10) & forked_not_executed))
		return false;
	/* Unless it was reaped, and the number is another's by now. */
	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno != ESRCH;
}

static int find_start_time(const char *text, pid_t pid, uint64_t *start, bool *dead,
			   struct error *err)
{
	const char *state, *threads, *field;
	char *end;

	/* The name may hold ")" and blanks, the fields behind it never do. */
	state = strrchr(text, ')');
	if (!state || state[1] != ' ')
		return error_system(err, EPROTO, "cannot understand /proc/%d/stat", pid);
	state += 2;
	threads = stat_field(state, 20);
	field = stat_field(state, 22);
	if (!threads || !field)
		return error_system(err, EPROTO, "cannot understand /proc/%d/stat", pid);
	errno = 0;
	*start = strtoull(field, &end, 10);
	if (end == field || errno)
		return error_system(err, EPROTO, "cannot understand /proc/%d/stat", pid);
	/* A leader that ended by pthread_exit() is a zombie, but its other threads are the program.
	 */
	*dead = *state == 'X' || *state == 'x' || (*state == 'Z' && strtol(threads, NULL, 10) <= 1);
	return 0;
}

int process_start_time(int procfs, pid_t pid, uint64_t *start, bool *dead, struct error *err)
{
	char text[4096];

	if (read_proc(procfs, pid, "stat", text, sizeof(text)) < 0)
		return error_system(err, errno, "cannot read the start time of the process %d",
				    pid);
	return find_start_time(text, pid, start, dead, err);
}

int process_start_time_kept(int procfs, pid_t pid, int *kept, uint64_t *start, bool *dead,
			    struct error *err)
{
	char name[32], text[4096];

	fd_close(kept);
	snprintf(name, sizeof(name), "%d/stat", pid);
	*kept = procfs_open_file(procfs, name, O_RDONLY, err);
	if (*kept < 0)
		return -1;
	if (read_kept(*kept, text, sizeof(text)) < 0)
		return error_system(err, errno, "cannot read the start time of the process %d",
				    pid);
	return find_start_time(text, pid, start, dead, err);
}

void process_describe(int procfs, pid_t pid, char *text, size_t size)
{
	char name[64], wait[128], both[256];

	if (read_proc(procfs, pid, "comm", name, sizeof(name)) < 0)
		snprintf(name, sizeof(name), "?");
	if (read_proc(procfs, pid, "wchan", wait, sizeof(wait)) <= 0)
		snprintf(wait, sizeof(wait), "?");
	snprintf(both, sizeof(both), "%s (%s)", name, wait[0] == '0' ? "running" : wait);
	/* The process chose its name: it must not steer the terminal. */
	error_clean_text(text, size, both);
}

int process_blame(int procfs, pid_t pid, struct error *err)
{
	char name[64];

	if (err->errnum != ETIMEDOUT || pid <= 0)
		return -1;
	process_describe(procfs, pid, name, sizeof(name));
	return error_while(err, "process %d, %s, did not answer", pid, name);
}

int process_die_with_parent(int signal, pid_t parent, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) < 0) {
		error_system(err, errno, "cannot arrange to end with the parent");
		return error_call(err, "prctl");
	}
	/* The signal of a parent that died before is not made up for. */
	if (signal && parent && getppid() != parent)
		return error_system(err, ESRCH, "the parent process %d ended meanwhile", parent);
	return 0;
}

int process_set_dumpable(bool dumpable, struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 0, 0, 0) < 0) {
		error_system(err, errno, "cannot change whether the process is dumpable");
		return error_call(err, "prctl");
	}
	return 0;
}

/* By number; NULL-terminated and without holes for text_nearest(). */
static const struct signal_name {
	const char *name; /* without "SIG" */
	int number;
} signal_names[] = {
	{ "HUP", SIGHUP },	 { "INT", SIGINT },	  { "QUIT", SIGQUIT },
	{ "ILL", SIGILL },	 { "TRAP", SIGTRAP },	  { "ABRT", SIGABRT },
	{ "IOT", SIGABRT },	 { "BUS", SIGBUS },	  { "FPE", SIGFPE },
	{ "KILL", SIGKILL },	 { "USR1", SIGUSR1 },	  { "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },	 { "PIPE", SIGPIPE },	  { "ALRM", SIGALRM },
	{ "TERM", SIGTERM },	 { "STKFLT", SIGSTKFLT }, { "CHLD", SIGCHLD },
	{ "CLD", SIGCHLD },	 { "CONT", SIGCONT },	  { "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },	 { "TTIN", SIGTTIN },	  { "TTOU", SIGTTOU },
	{ "URG", SIGURG },	 { "XCPU", SIGXCPU },	  { "XFSZ", SIGXFSZ },
	{ "VTALRM", SIGVTALRM }, { "PROF", SIGPROF },	  { "WINCH", SIGWINCH },
	{ "IO", SIGIO },	 { "POLL", SIGPOLL },	  { "PWR", SIGPWR },
	{ "SYS", SIGSYS },	 { "RTMIN", RTMIN },	  { "RTMAX", SIGNAL_MAX },
};

static void to_upper(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; i + 1 < size && from[i]; i++)
		to[i] = from[i] >= 'a' && from[i] <= 'z' ? (char)(from[i] - 'a' + 'A') : from[i];
	to[i] = '\0';
}

/* "RTMIN+3" and "RTMAX-1". */
static bool parse_realtime(const char *name, int *number)
{
	bool up = text_starts_with(name, "RTMIN+");
	uint64_t distance;

	if (!up && !text_starts_with(name, "RTMAX-"))
		return false;
	if (!text_parse_uint(name + strlen("RTMIN+"), SIGNAL_MAX - RTMIN, &distance))
		return false;
	*number = up ? RTMIN + (int)distance : SIGNAL_MAX - (int)distance;
	return true;
}

int process_signal_number(const char *text, int *number, struct error *err)
{
	const char *names[ARRAY_SIZE(signal_names) + 1] = { 0 };
	const char *name, *nearest;
	char upper[32];
	uint64_t value;

	/* 0 asks whether the process is there. */
	if (text_parse_uint(text, SIGNAL_MAX, &value)) {
		*number = (int)value;
		return 0;
	}
	to_upper(upper, sizeof(upper), text);
	name = text_starts_with(upper, "SIG") ? upper + 3 : upper;
	if (parse_realtime(name, number))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++) {
		names[i] = signal_names[i].name;
		if (strlen(text) >= sizeof(upper) || !text_equal(name, signal_names[i].name))
			continue;
		*number = signal_names[i].number;
		return 0;
	}
	error_coded(err, CRL_UNKNOWN_SIGNAL, error_usage(err, "unknown signal \"%.64s\"", text));
	nearest = text_nearest(name, names);
	if (nearest)
		return error_hint(err, "did you mean \"%s\"?", nearest);
	return -1;
}

const char *process_signal_name(int number, char *buffer, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++) {
		if (signal_names[i].number == number) {
			snprintf(buffer, size, "SIG%s", signal_names[i].name);
			return buffer;
		}
	}
	snprintf(buffer, size, "signal %d", number);
	return buffer;
}

/* One call where nothing waits, as always but for the one time. */
void process_forget_signals(void)
{
	const unsigned char all[KERNEL_SIGSET_SIZE] = { 255, 255, 255, 255, 255, 255, 255, 255 };
	const struct timespec at_once = { 0 };

	while (syscall(SYS_rt_sigtimedwait, all, NULL, &at_once, KERNEL_SIGSET_SIZE) > 0)
		continue;
}

int process_new_session(struct error *err)
{
	if (setsid() < 0) {
		int errnum = errno;

		/* EPERM is for who leads a group; a session's leader has what it wants. */
		if (errnum != EPERM || getsid(0) != getpid())
			return error_system(err, errnum, "cannot start a session");
	}
	process_forget_signals();
	return 0;
}

void process_reset_signals(uint64_t ignored)
{
	/*
	 * struct kernel_sigaction differs between architectures, but all zeros are SIG_DFL without
	 * flags in all of them. The C library's sigaction() would leave out the two signals that it
	 * keeps to itself, and an ignored one of those reaches the container.
	 */
	const unsigned char zeros[64] = { 0 };

	for (int number = 1; number <= SIGNAL_MAX; number++) {
		if (ignored >> (number - 1) & 1 && number != SIGKILL && number != SIGSTOP)
			syscall(SYS_rt_sigaction, number, zeros, NULL, KERNEL_SIGSET_SIZE);
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, zeros, NULL, KERNEL_SIGSET_SIZE);
}
