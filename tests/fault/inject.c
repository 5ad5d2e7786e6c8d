/*
 * Runs one command under ptrace(2), follows it and the processes that it makes until they execute
 *another program, and gives every system call a key that is the same in every run: the process'
 *role, the call's number, and how often that process made it.  It records all keys, or fails,
 *shortens, delays or kills at one of them.  x86-64 only.
 *
 *	inject --out FILE [--user UID] [--attach PID] [--at ROLE:NR:K ACTION] -- COMMAND...
 *
 * ACTION: errno NUMBER | short | delay MILLISECONDS | kill-before | kill-after
 * Roles: P is the command, I what it made with namespaces or as a sibling, Cn its n-th other child;
 *threads share a role.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACEES_MAX 512
#define CALLS_MAX   200000
#define ROLE_SIZE   8
#define QUIET_MS    12

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |  \
	 PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

enum action { RECORD, FAIL, SHORT, DELAY, KILL_BEFORE, KILL_AFTER };

struct tracee {
	pid_t pid; /* 0: a free slot */
	char role[ROLE_SIZE];
	bool known;	 /* its maker's event has come */
	bool stopped;	 /* waits for that event */
	bool chosen;	 /* the call it is in is the one to be changed */
	long nr;	 /* of the call it is in, or was in last */
	size_t call;	 /* its index in the record, from 1; 0: not in a recorded call */
	uint64_t clones; /* flags of the clone it is in */
};

struct call {
	char role[ROLE_SIZE];
	long nr;
	unsigned int k;
	long long result;
	char path[96]; /* of the descriptor that is its first argument */
};

struct tracer {
	struct tracee tracees[TRACEES_MAX];
	struct call *calls;
	size_t calls_n;
	unsigned int children;
	uid_t user; /* that the command is executed as; 0: ours */
	pid_t root;
	int root_status;     /* -1: it runs */
	const char *program; /* a child that executes it again is still followed */
	enum action action;
	struct call at;
	int number; /* errno or milliseconds */
	bool hit;
	struct call found; /* what was hit */
	FILE *out;
};

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(125);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct tracee *find(struct tracer *tracer, pid_t pid)
{
	struct tracee *free_slot = NULL;

	for (size_t i = 0; i < TRACEES_MAX; i++) {
		if (tracer->tracees[i].pid == pid)
			return &tracer->tracees[i];
		if (!tracer->tracees[i].pid && !free_slot)
			free_slot = &tracer->tracees[i];
	}
	if (!free_slot)
		die("too many processes");
	*free_slot = (struct tracee){ .pid = pid };
	return free_slot;
}

static void go_on(const struct tracee *tracee, int signal)
{
	/* ESRCH: it was killed meanwhile, and its end will be reported. */
	if (ptrace(PTRACE_SYSCALL, tracee->pid, NULL, (void *)(intptr_t)signal) < 0 &&
	    errno != ESRCH)
		die("PTRACE_SYSCALL");
}

/* ---- the calls ---- */

static bool takes_descriptor(long nr)
{
	static const long calls[] = { SYS_read,	   SYS_write,	 SYS_pread64, SYS_pwrite64,
				      SYS_openat,  SYS_openat2,	 SYS_close,   SYS_fchdir,
				      SYS_sendmsg, SYS_recvmsg,	 SYS_mkdirat, SYS_unlinkat,
				      SYS_fstatfs, SYS_fsconfig, SYS_fsmount, SYS_move_mount,
				      SYS_accept4, SYS_flock };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i] == nr)
			return true;
	return false;
}

static void describe(const struct tracee *tracee, uint64_t fd, struct call *call)
{
	char name[64];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", tracee->pid, (int)fd);
	n = readlink(name, call->path, sizeof(call->path) - 1);
	call->path[n > 0 ? n : 0] = '\0';
	for (char *c = call->path; *c; c++)
		if (*c == ' ' || *c == '\n')
			*c = '_';
}

static uint64_t clone_flags(const struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
	uint64_t flags = 0;
	struct iovec ours = { &flags, sizeof(flags) };
	struct iovec theirs = { (void *)(uintptr_t)info->entry.args[0], sizeof(flags) };

	if (info->entry.nr == SYS_clone)
		return info->entry.args[0];
	if (info->entry.nr == SYS_clone3 &&
	    process_vm_readv(tracee->pid, &ours, 1, &theirs, 1, 0) == (ssize_t)sizeof(flags))
		return flags;
	return 0;
}

static struct call *count(struct tracer *tracer, struct tracee *tracee, long nr)
{
	struct call *call = &tracer->calls[tracer->calls_n];
	unsigned int k = 1;

	if (tracer->calls_n + 1 >= CALLS_MAX)
		die("too many system calls");
	for (size_t i = 0; i < tracer->calls_n; i++)
		if (tracer->calls[i].nr == nr && !strcmp(tracer->calls[i].role, tracee->role))
			k++;
	*call = (struct call){ .nr = nr, .k = k, .result = -9999 };
	memcpy(call->role, tracee->role, ROLE_SIZE);
	tracee->call = ++tracer->calls_n;
	return call;
}

static bool is_chosen(const struct tracer *tracer, const struct call *call)
{
	return tracer->action != RECORD && !tracer->hit && call->nr == tracer->at.nr &&
	       call->k == tracer->at.k && !strcmp(call->role, tracer->at.role);
}

/* close(2) frees the descriptor even when it fails: so it must happen. */
static bool happens_anyway(long nr)
{
	return nr == SYS_close;
}

static void change_entry(struct tracer *tracer, struct tracee *tracee)
{
	struct user_regs_struct regs;

	switch (tracer->action) {
	case KILL_BEFORE:
		kill(tracee->pid, SIGKILL);
		return;
	case DELAY:
		usleep((useconds_t)tracer->number * 1000);
		return;
	case RECORD:
	case KILL_AFTER:
		return;
	case FAIL:
	case SHORT:
		break;
	}
	if (ptrace(PTRACE_GETREGS, tracee->pid, NULL, &regs) < 0)
		return;
	if (tracer->action == SHORT) {
		if (regs.rdx > 1)
			regs.rdx = 1;
	} else if (!happens_anyway(tracee->nr)) {
		regs.orig_rax = (unsigned long long)-1;
	}
	ptrace(PTRACE_SETREGS, tracee->pid, NULL, &regs);
}

static void change_exit(struct tracer *tracer, struct tracee *tracee)
{
	struct user_regs_struct regs;

	if (tracer->action == KILL_AFTER)
		kill(tracee->pid, SIGKILL);
	if (tracer->action != FAIL || ptrace(PTRACE_GETREGS, tracee->pid, NULL, &regs) < 0)
		return;
	regs.rax = (unsigned long long)-(long long)tracer->number;
	ptrace(PTRACE_SETREGS, tracee->pid, NULL, &regs);
}

static void at_call(struct tracer *tracer, struct tracee *tracee)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		struct call *call = count(tracer, tracee, (long)info.entry.nr);

		tracee->nr = (long)info.entry.nr;
		tracee->clones = clone_flags(tracee, &info);
		if (takes_descriptor(tracee->nr))
			describe(tracee, info.entry.args[0], call);
		tracee->chosen = is_chosen(tracer, call);
		if (tracee->chosen) {
			tracer->hit = true;
			tracer->found = *call;
			change_entry(tracer, tracee);
		}
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (tracee->call)
			tracer->calls[tracee->call - 1].result = info.exit.rval;
		if (tracee->chosen)
			change_exit(tracer, tracee);
		tracee->chosen = false;
		tracee->call = 0;
	}
}

/* ---- the processes ---- */

static void at_birth(struct tracer *tracer, struct tracee *maker)
{
	const uint64_t init_flags = CLONE_PARENT | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUSER;
	unsigned long pid;
	struct tracee *child;

	if (ptrace(PTRACE_GETEVENTMSG, maker->pid, NULL, &pid) < 0)
		return;
	child = find(tracer, (pid_t)pid);
	if (maker->clones & CLONE_THREAD)
		memcpy(child->role, maker->role, ROLE_SIZE);
	else if (maker->clones & init_flags)
		strcpy(child->role, "I");
	else
		snprintf(child->role, ROLE_SIZE, "C%u", ++tracer->children % 1000);
	child->known = true;
	if (child->stopped)
		go_on(child, 0);
	child->stopped = false;
}

/* Whether the new program of a child is the runtime itself, as in "runc init". */
static bool is_runtime(const struct tracer *tracer, const struct tracee *tracee)
{
	char name[64], path[256] = "";

	snprintf(name, sizeof(name), "/proc/%d/exe", tracee->pid);
	if (readlink(name, path, sizeof(path) - 1) <= 0)
		return false;
	return strstr(strrchr(path, '/') ? strrchr(path, '/') : path, tracer->program);
}

static void forget(struct tracee *tracee)
{
	*tracee = (struct tracee){ 0 };
}

static void at_exec(struct tracer *tracer, struct tracee *tracee)
{
	if (!strcmp(tracee->role, "P") || is_runtime(tracer, tracee)) {
		go_on(tracee, 0);
		return;
	}
	if (tracee->call)
		tracer->calls[tracee->call - 1].result = 0;
	ptrace(PTRACE_DETACH, tracee->pid, NULL, NULL);
	forget(tracee);
}

static bool is_crash(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
	       signal == SIGABRT || signal == SIGSYS || signal == SIGTRAP;
}

static void at_stop(struct tracer *tracer, struct tracee *tracee, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (!tracee->known) {
		tracee->stopped = true;
		return;
	}
	if (signal == (SIGTRAP | 0x80)) {
		at_call(tracer, tracee);
		go_on(tracee, 0);
		return;
	}
	switch (event) {
	case 0:
		if (is_crash(signal))
			fprintf(tracer->out, "crash %s %d %ld\n", tracee->role, signal, tracee->nr);
		go_on(tracee, signal);
		return;
	case PTRACE_EVENT_EXEC:
		at_exec(tracer, tracee);
		return;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		at_birth(tracer, tracee);
		break;
	case PTRACE_EVENT_STOP:
		if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
		    signal == SIGTTOU) {
			ptrace(PTRACE_LISTEN, tracee->pid, NULL, NULL);
			return;
		}
		break;
	default:
		break;
	}
	go_on(tracee, 0);
}

static bool take_events(struct tracer *tracer)
{
	bool some = false;

	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);

		if (pid <= 0)
			return some;
		some = true;
		if (WIFSTOPPED(status)) {
			at_stop(tracer, find(tracer, pid), status);
			continue;
		}
		if (pid == tracer->root)
			tracer->root_status = status;
		forget(find(tracer, pid));
	}
}

static bool has_tracees(const struct tracer *tracer)
{
	for (size_t i = 0; i < TRACEES_MAX; i++)
		if (tracer->tracees[i].pid)
			return true;
	return false;
}

/* True when all ended or nothing more happens; false when the deadline passed with the command
 * still there. */
static bool follow(struct tracer *tracer, int64_t deadline)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (has_tracees(tracer)) {
		bool over = tracer->root_status >= 0;
		long ms = over ? QUIET_MS : 100;
		const struct timespec wait = { .tv_nsec = ms * 1000000 };

		if (take_events(tracer))
			continue;
		if (sigtimedwait(&set, NULL, &wait) < 0 && errno == EAGAIN &&
		    !take_events(tracer) && over)
			return true;
		if (now_ms() > deadline)
			return over;
	}
	return true;
}

static void report_hang(struct tracer *tracer)
{
	for (size_t i = 0; i < TRACEES_MAX; i++) {
		struct tracee *tracee = &tracer->tracees[i];

		if (!tracee->pid)
			continue;
		fprintf(tracer->out, "hang %s %ld\n", tracee->role, tracee->nr);
		kill(tracee->pid, SIGKILL);
	}
	follow(tracer, now_ms() + 1000);
}

static void let_go(struct tracer *tracer)
{
	for (size_t i = 0; i < TRACEES_MAX; i++) {
		pid_t pid = tracer->tracees[i].pid;
		int status;

		if (!pid || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
			continue;
		if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
}

/* ---- the command ---- */

static void attach(struct tracer *tracer, pid_t pid, const char *role)
{
	struct tracee *tracee = find(tracer, pid);

	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(uintptr_t)OPTIONS) < 0)
		die("PTRACE_SEIZE");
	strcpy(tracee->role, role);
	tracee->known = true;
}

static void start(struct tracer *tracer, char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		raise(SIGSTOP);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (tracer->user && (setgroups(0, NULL) < 0 ||
				     setresgid(tracer->user, tracer->user, tracer->user) < 0 ||
				     setresuid(tracer->user, tracer->user, tracer->user) < 0))
			_exit(127);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		die("the child did not stop");
	tracer->root = pid;
	attach(tracer, pid, "P");
	/* Until the program is executed its calls are ours. */
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (status >> 16 == PTRACE_EVENT_EXEC)
			break;
		ptrace(PTRACE_CONT, pid, NULL, NULL);
	}
	if (!WIFSTOPPED(status))
		die("the command cannot be executed");
	go_on(find(tracer, pid), 0);
}

static void parse_action(struct tracer *tracer, const char *key, const char *action)
{
	char role[ROLE_SIZE] = "";

	if (sscanf(key, "%7[^:]:%ld:%u", role, &tracer->at.nr, &tracer->at.k) != 3)
		die("--at wants ROLE:NR:K");
	memcpy(tracer->at.role, role, ROLE_SIZE);
	if (sscanf(action, "errno %d", &tracer->number) == 1)
		tracer->action = FAIL;
	else if (sscanf(action, "delay %d", &tracer->number) == 1)
		tracer->action = DELAY;
	else if (!strcmp(action, "short"))
		tracer->action = SHORT;
	else if (!strcmp(action, "kill-before"))
		tracer->action = KILL_BEFORE;
	else if (!strcmp(action, "kill-after"))
		tracer->action = KILL_AFTER;
	else
		die("unknown action");
}

static void write_report(struct tracer *tracer)
{
	if (tracer->action == RECORD)
		for (size_t i = 0; i < tracer->calls_n; i++) {
			const struct call *call = &tracer->calls[i];

			fprintf(tracer->out, "call %s %ld %u %lld %s\n", call->role, call->nr,
				call->k, call->result, call->path[0] ? call->path : "-");
		}
	if (tracer->hit)
		fprintf(tracer->out, "hit %s\n", tracer->found.path[0] ? tracer->found.path : "-");
	if (WIFSIGNALED(tracer->root_status))
		fprintf(tracer->out, "signal %d\n", WTERMSIG(tracer->root_status));
	else
		fprintf(tracer->out, "exit %d\n", WEXITSTATUS(tracer->root_status));
}

int main(int argc, char **argv)
{
	static struct tracer tracer = { .root_status = -1 };
	int64_t deadline_ms = 5000;
	pid_t waiting = 0;
	sigset_t set;
	int i = 1;

	for (; i + 1 < argc && strcmp(argv[i], "--"); i += 2) {
		if (!strcmp(argv[i], "--out"))
			tracer.out = fopen(argv[i + 1], "we");
		else if (!strcmp(argv[i], "--attach"))
			waiting = (pid_t)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--user"))
			tracer.user = (uid_t)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--deadline"))
			deadline_ms = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--at") && i + 2 < argc)
			parse_action(&tracer, argv[i + 1], argv[i + 2]), i++;
	}
	if (i + 1 >= argc || !tracer.out)
		die("usage: inject --out FILE [--user UID] [--attach PID] [--at ROLE:NR:K ACTION] "
		    "-- COMMAND...");
	tracer.program = strrchr(argv[i + 1], '/') ? strrchr(argv[i + 1], '/') + 1 : argv[i + 1];
	tracer.calls = calloc(CALLS_MAX, sizeof(*tracer.calls));
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (waiting) {
		attach(&tracer, waiting, "I");
		ptrace(PTRACE_INTERRUPT, waiting, NULL, NULL);
	}
	start(&tracer, argv + i + 1);
	if (follow(&tracer, now_ms() + deadline_ms))
		let_go(&tracer);
	else
		report_hang(&tracer);
	write_report(&tracer);
	return fclose(tracer.out) == 0 ? 0 : 125;
}
