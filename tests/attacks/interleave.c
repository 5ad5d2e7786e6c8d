/*
 * SECURITY T3, the supervisor: runs a command under ptrace and stops each of its processes before
 *every system call that takes a path, until it becomes the payload.  Before one of them, chosen by
 *process and number, it changes the file system; the same choice means the same interleaving.
 *
 *	interleave REPORT PAYLOAD ROLE CALL BACK HOW ONE OTHER COMMAND [ARGUMENT...]
 *
 * ROLE counts processes in the order of their birth, -1 means all together.  Before call number
 *CALL (from 0; -1: never) it does HOW with ONE and OTHER (exchange, rename or bind), and undoes
 *that BACK path calls of the same role later (0: in the end).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define TASKS	      512

static const long path_calls[] = {
	SYS_openat,	SYS_openat2,	SYS_open_tree,	SYS_move_mount,	   SYS_mkdirat,
	SYS_mknodat,	SYS_symlinkat,	SYS_linkat,	SYS_unlinkat,	   SYS_renameat2,
	SYS_mount,	SYS_umount2,	SYS_pivot_root, SYS_chroot,	   SYS_chdir,
	SYS_fchdir,	SYS_newfstatat, SYS_statx,	SYS_readlinkat,	   SYS_faccessat,
	SYS_faccessat2, SYS_fchownat,	SYS_fchmodat,	SYS_execve,	   SYS_execveat,
	SYS_fsmount,	SYS_statfs,	SYS_fspick,	SYS_mount_setattr, SYS_utimensat,
	SYS_connect,	SYS_bind,	SYS_truncate,	SYS_fstatfs,	   SYS_fchown,
	SYS_setns,
#ifdef __x86_64__
	SYS_open,	SYS_mkdir,	SYS_mknod,	SYS_symlink,	   SYS_stat,
	SYS_lstat,	SYS_readlink,	SYS_access,	SYS_chmod,	   SYS_chown,
	SYS_lchown,	SYS_unlink,	SYS_rename,	SYS_rmdir,	   SYS_link,
	SYS_creat,
#endif
};

struct task {
	pid_t pid;
	int role;
};

static struct task tasks[TASKS];
static size_t tasks_n;
static int roles;
static long calls[TASKS]; /* by role */
static long together;
static volatile sig_atomic_t late;

static const char *payload, *how, *one, *other;
static bool fired, undone;

static void on_alarm(int signal)
{
	(void)signal;
	late = 1;
}

static struct task *task_find(pid_t pid)
{
	for (size_t i = 0; i < tasks_n; i++)
		if (tasks[i].pid == pid)
			return &tasks[i];
	if (tasks_n == TASKS) {
		fputs("interleave: too many processes\n", stderr);
		exit(125);
	}
	tasks[tasks_n] = (struct task){ .pid = pid, .role = roles < TASKS - 1 ? roles++ : roles };
	return &tasks[tasks_n++];
}

static void task_forget(pid_t pid)
{
	for (size_t i = 0; i < tasks_n; i++)
		if (tasks[i].pid == pid)
			tasks[i] = tasks[--tasks_n];
}

static void change(bool undo)
{
	int result;

	if (strcmp(how, "exchange") == 0)
		result = (int)syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2);
	else if (strcmp(how, "rename") == 0)
		result = undo ? rename(other, one) : rename(one, other);
	else
		result = undo ? umount2(other, MNT_DETACH) : mount(one, other, NULL, MS_BIND, NULL);
	if (undo)
		undone = true;
	else
		fired = result == 0;
}

static bool is_path_call(unsigned long long nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(path_calls); i++)
		if ((unsigned long long)path_calls[i] == nr)
			return true;
	return false;
}

static void on_call(struct task *task, int role, long call, long back)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY || !is_path_call(info.entry.nr))
		return;
	long number = role < 0 ? together : task->role == role ? calls[task->role] : -1;

	calls[task->role]++;
	together++;
	if (call < 0 || number < 0)
		return;
	if (number == call)
		change(false);
	else if (back > 0 && number == call + back && fired && !undone)
		change(true);
}

static bool is_payload(pid_t pid)
{
	char path[64], text[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	size_t length = strlen(payload);

	return (size_t)n >= length && strcmp(text + n - length, payload) == 0;
}

static void on_stop(pid_t pid, int status, int role, long call, long back)
{
	struct task *task = task_find(pid);
	int signal = WSTOPSIG(status), event = status >> 16;
	unsigned long born;

	if (signal == (SIGTRAP | 0x80)) {
		on_call(task, role, call, back);
		ptrace(PTRACE_SYSCALL, pid, NULL, 0);
	} else if (event == PTRACE_EVENT_EXEC && is_payload(pid)) {
		task_forget(pid);
		ptrace(PTRACE_DETACH, pid, NULL, 0);
	} else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
		ptrace(PTRACE_LISTEN, pid, NULL, 0);
	} else if (event != 0) {
		if (event != PTRACE_EVENT_STOP && event != PTRACE_EVENT_EXEC &&
		    ptrace(PTRACE_GETEVENTMSG, pid, NULL, &born) == 0)
			task_find((pid_t)born);
		ptrace(PTRACE_SYSCALL, pid, NULL, 0);
	} else {
		ptrace(PTRACE_SYSCALL, pid, NULL, signal);
	}
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGSTOP);
		execv(argv[0], argv);
		_exit(125);
	}
	waitpid(pid, NULL, WUNTRACED);
	if (ptrace(PTRACE_SEIZE, pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		       PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0) {
		perror("interleave: ptrace");
		exit(125);
	}
	kill(pid, SIGCONT);
	return pid;
}

int main(int argc, char **argv)
{
	if (argc < 10) {
		fputs("interleave: see the comment in the source\n", stderr);
		return 125;
	}
	const char *report = argv[1];
	int role = atoi(argv[3]), status, result = 125;
	long call = atol(argv[4]), back = atol(argv[5]);
	struct sigaction action = { .sa_handler = on_alarm };

	payload = argv[2], how = argv[6], one = argv[7], other = argv[8];
	sigaction(SIGALRM, &action, NULL);
	alarm(40);
	pid_t first = start(argv + 9);

	task_find(first);
	while (tasks_n > 0 && !late) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (WIFSTOPPED(status)) {
			on_stop(pid, status, role, call, back);
			continue;
		}
		task_forget(pid);
		if (pid == first)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	for (size_t i = 0; i < tasks_n; i++)
		kill(tasks[i].pid, SIGKILL);
	if (fired && !undone)
		change(true);

	FILE *file = fopen(report, "w");

	fprintf(file, "%d %d %ld", late ? 124 : result, fired, together);
	for (int i = 0; i < roles; i++)
		fprintf(file, " %ld", calls[i]);
	fclose(file);
	return late ? 124 : result;
}
