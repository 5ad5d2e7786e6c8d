/* Processes: births, ends, names and signals, with real children. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/process.h>
#include <creel/procfs.h>

static int open_proc(void)
{
	struct error err = { 0 };
	int procfs = procfs_open(&err);

	check(procfs >= 0);
	return procfs;
}

static pid_t spawn(uint64_t flags, int cgroup, int *pidfd)
{
	struct error err = { 0 };
	const struct spawn what = { .flags = flags, .cgroup = cgroup, .pidfd = pidfd };
	pid_t pid = process_spawn(&what, &err);

	if (pid < 0)
		print_error("%s (%s) %s\n", err.what, strerror(err.errnum), err.hint);
	check(pid >= 0);
	/* A failed check must not leave processes behind. */
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void test_the_end_is_waited_for(void **state)
{
	struct error err = { 0 };
	int pidfd = -1, status = 1;
	pid_t pid = spawn(0, -1, &pidfd);

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	check(pidfd >= 0 && fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	check_int(process_wait(pidfd, 20, &status, &err), 0);
	check_int(process_signal(pidfd, 0, &err), 0);
	check_int(process_signal(pidfd, SIGTERM, &err), 0);
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	check_int(process_exit_code(status), 128 + SIGTERM);
	check_int(process_signal(pidfd, SIGTERM, &err), -1);
	check_int(err.errnum, ESRCH);
	check_has(err.what, "SIGTERM");
	check_int(process_open(pid, &err), -1);
	check_int(err.errnum, ESRCH);
	close(pidfd);

	pid = spawn(0, -1, &pidfd);
	if (pid == 0)
		_exit(42);
	check_int(process_wait(pidfd, -1, &status, &err), 1);
	check(WIFEXITED(status));
	check_int(process_exit_code(status), 42);
	/* Reaped already: it is nobody's child any more. */
	check_int(process_wait(pidfd, 100, &status, &err), 1);
	check_int(status, 0);
	close(pidfd);
}

static void test_siblings_are_ours_to_reap(void **state)
{
	struct error err = { 0 };
	int ends[2], pidfd, status = 0;
	pid_t stage, pid = 0;

	(void)state;
	check_int(pipe(ends), 0);
	stage = spawn(0, -1, NULL);
	if (stage == 0) {
		pid = spawn(CLONE_PARENT, -1, NULL);
		if (pid == 0)
			_exit(7);
		_exit(write(ends[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
	}
	check(waitpid(stage, &status, 0) == stage && status == 0);
	check_int(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	pidfd = process_open(pid, &err);
	check(pidfd >= 0);
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check_int(process_exit_code(status), 7);
	close(pidfd);
	close(ends[0]);
	close(ends[1]);
}

static void test_others_children_are_waited_for(void **state)
{
	struct error err = { 0 };
	int ends[2], go[2], pidfd, status = 9;
	pid_t parent, pid = 0;
	char byte;

	(void)state;
	check_int(pipe(ends), 0);
	check_int(pipe(go), 0);
	parent = spawn(0, -1, NULL);
	if (parent == 0) {
		pid = spawn(0, -1, NULL);
		if (pid == 0)
			_exit(read(go[0], &byte, 1) == 1 ? 7 : 8);
		check(write(ends[1], &pid, sizeof(pid)) == sizeof(pid));
		pause();
	}
	check_int(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	pidfd = process_open(pid, &err);
	check(pidfd >= 0);
	check_int(process_wait(pidfd, 5, &status, &err), 0);
	check(write(go[1], "x", 1) == 1);
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check_int(status, 0);
	check(kill(parent, SIGKILL) == 0 && waitpid(parent, NULL, 0) == parent);
	close(pidfd);
	close(go[0]);
	close(go[1]);
	close(ends[0]);
	close(ends[1]);
}

static void test_limits_are_explained(void **state)
{
	const struct spawn what = { .cgroup = -1 };
	const struct spawn into = { .cgroup = 0 };
	struct error err = { 0 };
	const struct rlimit none = { 0, 0 };
	int status = 0;
	pid_t pid;

	(void)state;
	check_int(process_spawn(&into, &err), -1);
	check_has(err.what, "cannot start a process in the cgroup");
	check_text(err.call, "clone3");
	pid = spawn(0, -1, NULL);
	if (pid == 0) {
		/* Root is above RLIMIT_NPROC. */
		if (setrlimit(RLIMIT_NPROC, &none) < 0 ||
		    (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0))
			_exit(2);
		_exit(process_spawn(&what, &err) == -1 && err.errnum == EAGAIN &&
			      err.code == CRL_PIDS_LIMIT && strstr(err.hint, "RLIMIT_NPROC is 0")
			  ? 0
			  : 1);
	}
	check(waitpid(pid, &status, 0) == pid);
	check_int(process_exit_code(status), 0);
}

static void test_start_times_tell_processes_apart(void **state)
{
	auto_fd procfs = open_proc();
	struct error err = { 0 };
	uint64_t own = 0, childs = 0;
	bool dead = true;
	auto_fd kept = -1;
	int status, ready[2];
	char byte;
	pid_t pid;

	(void)state;
	check_int(process_start_time(procfs, getpid(), &own, &dead, &err), 0);
	check(own > 0 && !dead);
	check_int(process_start_time_kept(procfs, getpid(), &kept, &childs, &dead, &err), 0);
	check(kept >= 0 && childs == own && !dead);
	usleep(20000);
	check_int(pipe(ready), 0);
	pid = spawn(0, -1, NULL);
	if (pid == 0) {
		prctl(PR_SET_NAME, ") Z 1 (\n)");
		check(write(ready[1], "x", 1) == 1);
		pause();
	}
	check_int(read(ready[0], &byte, 1), 1);
	check_int(process_start_time(procfs, pid, &childs, &dead, &err), 0);
	check(childs > own && childs < own + 100000 && !dead);
	/* The kept file is asked again, and says what the other way says. */
	check_int(process_start_time_kept(procfs, pid, &kept, &childs, &dead, &err), 0);
	auto_fd pidfd = process_open(pid, &err);
	check(pidfd >= 0 && process_died_unexecuted(procfs, pid, pidfd, -1) &&
	      process_died_unexecuted(-1, pid, pidfd, kept));
	check(!process_died_unexecuted(procfs, getppid(), pidfd, -1));
	check(kill(pid, SIGKILL) == 0);
	while (!dead)
		check_int(process_start_time(procfs, pid, &own, &dead, &err), 0);
	check(own == childs);
	check(waitpid(pid, &status, 0) == pid);
	check_int(process_start_time(procfs, pid, &own, &dead, &err), -1);
	check_int(err.errnum, ESRCH);
	close(ready[0]);
	close(ready[1]);
}

static void *go_on(void *argument)
{
	(void)argument;
	pause();
	return NULL;
}

static void test_a_leader_that_left_its_threads_is_alive(void **state)
{
	auto_fd procfs = open_proc();
	struct error err = { 0 };
	char text[4096] = "", name[32];
	uint64_t start;
	bool dead = true;
	pid_t pid = spawn(0, -1, NULL);

	(void)state;
	if (pid == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, go_on, NULL);
		/* Not pthread_exit(), which calls for libgcc_s. */
		syscall(SYS_exit, 0);
	}
	snprintf(name, sizeof(name), "%d/stat", pid);
	for (int i = 0; i < 15000 && !strstr(text, ") Z "); i++) {
		usleep(2000);
		check(procfs_read(procfs, name, text, sizeof(text)) > 0);
	}
	check_has(text, ") Z ");
	check_int(process_start_time(procfs, pid, &start, &dead, &err), 0);
	check(!dead);
	check(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void test_descriptions_steer_no_terminal(void **state)
{
	auto_fd procfs = open_proc();
	char text[64];
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	check_int(pipe(ready), 0);
	pid = spawn(0, -1, NULL);
	if (pid == 0) {
		prctl(PR_SET_NAME, "\033[2Jx\n");
		check(write(ready[1], "x", 1) == 1);
		pause();
	}
	check_int(read(ready[0], &byte, 1), 1);
	process_describe(procfs, pid, text, sizeof(text));
	check_has(text, "?[2Jx");
	check_has(text, " (");
	check_has_not(text, "\033");
	check_has_not(text, "\n");
	check(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	process_describe(procfs, pid, text, sizeof(text));
	check_text(text, "? (?)");
	close(ready[0]);
	close(ready[1]);
}

static void test_signals_have_names(void **state)
{
	static const struct {
		const char *text;
		int number;
	} good[] = {
		{ "KILL", 9 },	      { "SIGKILL", 9 },	     { "sigkill", 9 },	 { "kill", 9 },
		{ "9", 9 },	      { "Term", 15 },	     { "0", 0 },	 { "64", 64 },
		{ "SIGRTMIN+3", 37 }, { "rtmin", 34 },	     { "RTMAX-1", 63 },	 { "IOT", 6 },
		{ "SIGABRT", 6 },     { "winch", SIGWINCH }, { "RTMIN+30", 64 },
	};
	static const char *const bad[] = { "",
					   "SIG",
					   "65",
					   "-1",
					   "9 ",
					   "KILLX",
					   "RTMIN+31",
					   "RTMIN+",
					   "RTMAX-31x",
					   "SIGSIGKILL",
					   "KILLKILLKILLKILLKILLKILLKILLKILLKILL" };
	struct error err = { 0 };
	char name[32];
	int number;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		check_int(process_signal_number(good[i].text, &number, &err), 0);
		check_int(number, good[i].number);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		check_int(process_signal_number(bad[i], &number, &err), -1);
		check_int(err.kind, ERROR_USAGE);
		check_has(err.what, "unknown signal \"");
	}
	check_int(process_signal_number("TREM", &number, &err), -1);
	check_text(err.what, "unknown signal \"TREM\"");
	check_int(process_signal_number("SIGWINCHH", &number, &err), -1);
	check_has(err.hint, "WINCH");
	for (int i = 1; i < 32; i++) {
		check_int(process_signal_number(process_signal_name(i, name, sizeof(name)), &number,
						&err),
			  0);
		check_int(number, i);
	}
	check_text(process_signal_name(40, name, sizeof(name)), "signal 40");
	check_text(process_signal_name(6, name, sizeof(name)), "SIGABRT");
}

static void test_signals_are_reset(void **state)
{
	int status = 0;
	pid_t pid = spawn(0, -1, NULL);

	(void)state;
	if (pid == 0) {
		sigset_t set;
		struct sigaction action;

		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		for (int i = 1; i < 65; i++)
			signal(i, SIG_IGN);
		process_reset_signals(UINT64_MAX);
		for (int i = 1; i < 65; i++) {
			if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
				_exit(2);
		}
		sigprocmask(SIG_SETMASK, NULL, &set);
		_exit(sigisemptyset(&set) ? 0 : 3);
	}
	check(waitpid(pid, &status, 0) == pid);
	check_int(process_exit_code(status), 0);
}

/* As after ^Z and ^C, which our caller's whole job gets while we have all blocked. */
static void test_a_new_session_has_nothing_waiting(void **state)
{
	int pidfd = -1, status = 1;
	struct error err = { 0 };
	pid_t pid = spawn(0, -1, &pidfd);

	(void)state;
	if (pid == 0) {
		sigset_t all, pending;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		kill(getpid(), SIGTSTP);
		kill(getpid(), SIGINT);
		/* Who leads a session already is content. */
		for (int i = 0; i < 2; i++)
			if (process_new_session(&err) < 0 || getsid(0) != getpid())
				_exit(1);
		if (sigpending(&pending) < 0 || !sigisemptyset(&pending))
			_exit(2);
		process_reset_signals(UINT64_MAX);
		_exit(0);
	}
	check_int(process_wait(pidfd, 30000, &status, &err), 1);
	check_int(status, 0);
	close(pidfd);
}

static void test_children_die_with_their_parent(void **state)
{
	int ends[2], ready[2], status = 0;
	struct error err = { 0 };
	char byte;
	pid_t pid, self = getpid();

	(void)state;
	check_int(pipe(ends), 0);
	check_int(pipe(ready), 0);
	pid = spawn(0, -1, NULL);
	if (pid == 0) {
		pid_t parent = getpid();

		if (spawn(0, -1, NULL) == 0) {
			close(ends[0]);
			prctl(PR_SET_PDEATHSIG, 0);
			if (process_die_with_parent(SIGKILL, parent, &err) < 0)
				_exit(1);
			check(write(ready[1], "x", 1) == 1);
			for (;;)
				pause();
		}
		close(ends[1]);
		check(read(ready[0], &byte, 1) == 1);
		_exit(0);
	}
	close(ends[1]);
	check(waitpid(pid, &status, 0) == pid && status == 0);
	/* End of file: nobody is left who holds the other end. */
	check_int(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(ready[0]);
	close(ready[1]);

	pid = spawn(0, -1, NULL);
	if (pid == 0) {
		/* Who is gone cannot be died with; and it can be turned off. */
		if (process_die_with_parent(SIGKILL, self + 1, &err) != -1 || err.errnum != ESRCH)
			_exit(1);
		_exit(process_die_with_parent(0, 0, &err) == 0 &&
			      process_set_dumpable(false, &err) == 0 &&
			      prctl(PR_GET_DUMPABLE) == 0 &&
			      process_set_dumpable(true, &err) == 0 && prctl(PR_GET_DUMPABLE) == 1
			  ? 0
			  : 1);
	}
	check(waitpid(pid, &status, 0) == pid);
	check_int(process_exit_code(status), 0);
}

/* Below: root only. */

struct fixture {
	int root;
	char path[64];
	struct cgroup cgroup;
};

static void test_a_child_is_born_in_the_cgroup(void **state)
{
	const struct fixture *fixture = *state;
	struct error err = { 0 };
	int pidfd = -1, status = 0;
	char text[4096];
	auto_fd procfs = open_proc();
	pid_t pid = spawn(0, fixture->cgroup.fd, &pidfd);

	if (pid == 0) {
		if (procfs_read(procfs, "self/cgroup", text, sizeof(text)) < 0)
			_exit(2);
		_exit(strstr(text, fixture->path) ? 0 : 1);
	}
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check_int(process_exit_code(status), 0);
	close(pidfd);

	/* The first one of a pid namespace, and one that follows it there. */
	pid = spawn(CLONE_NEWPID, fixture->cgroup.fd, &pidfd);
	if (pid == 0) {
		if (getpid() != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	check(pid > 1);
	pid_t joiner = spawn(0, -1, NULL);

	if (joiner == 0) {
		int inner;
		pid_t child;

		if (setns(pidfd, CLONE_NEWPID) < 0)
			_exit(1);
		child = spawn(0, fixture->cgroup.fd, &inner);
		if (child == 0)
			_exit(getpid() == 2 ? 0 : 1);
		_exit(process_wait(inner, -1, &status, &err) == 1 && status == 0 ? 0 : 3);
	}
	check(waitpid(joiner, &status, 0) == joiner);
	check_int(process_exit_code(status), 0);
	check_int(process_signal(pidfd, SIGKILL, &err), 0);
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check_int(process_exit_code(status), 137);
	close(pidfd);
}

static void test_a_cgroup_that_takes_none_is_explained(void **state)
{
	const struct fixture *fixture = *state;
	static const struct cgroup_writes no_writes;
	struct error err = { 0 };
	struct cgroup gone;
	char path[128];

	snprintf(path, sizeof(path), "%s/gone", fixture->path);
	check_int(cgroup_make(fixture->root, path, &no_writes, &gone, &err), 0);
	check_int(cgroup_remove(fixture->root, path, 1, 1000, &err), 0);

	const struct spawn what = { .cgroup = gone.fd };

	check_int(process_spawn(&what, &err), -1);
	check(err.errnum == ENODEV || err.errnum == ENOENT);
	check_has(err.hint, "removed");
	close(gone.fd);

	/* A sibling that is threaded makes the parent threaded too, and the new one invalid. */
	struct cgroup threaded, invalid;
	char sibling[128];

	snprintf(sibling, sizeof(sibling), "%s/threaded", fixture->path);
	snprintf(path, sizeof(path), "%s/invalid", fixture->path);
	check_int(cgroup_make(fixture->root, path, &no_writes, &invalid, &err), 0);
	check_int(cgroup_make(fixture->root, sibling, &no_writes, &threaded, &err), 0);
	check_int(file_write_kernel(threaded.fd, "cgroup.type", "threaded", &err), 0);

	const struct spawn into = { .cgroup = invalid.fd };

	check_int(process_spawn(&into, &err), -1);
	check_int(err.errnum, EOPNOTSUPP);
	check_has(err.hint, "domain invalid");
	close(threaded.fd);
	close(invalid.fd);
	check_int(cgroup_remove(fixture->root, path, 1, 1000, &err), 0);
	check_int(cgroup_remove(fixture->root, sibling, 1, 1000, &err), 0);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	static const struct cgroup_writes no_writes;
	struct error err = { 0 };

	fixture.root = cgroup_root("/sys/fs/cgroup", &err);
	if (fixture.root < 0)
		fixture.root = cgroup_root("/sys/fs/cgroup/unified", &err);
	if (fixture.root < 0)
		return -1;
	snprintf(fixture.path, sizeof(fixture.path), "/creel-test-process-%d", getpid());
	*state = &fixture;
	return cgroup_make(fixture.root, fixture.path, &no_writes, &fixture.cgroup, &err);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	struct error err = { 0 };

	close(fixture->cgroup.fd);
	return cgroup_remove(fixture->root, fixture->path, 1, 30000, &err);
}

/* Holds PID by ptrace(2) over its end for a while, so that its parent hears of it late. */
static void trace_for_a_while(pid_t pid, int ready)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || write(ready, "x", 1) != 1)
		_exit(1);
	usleep(300000);
	_exit(0);
}

static void test_a_traced_child_is_reaped_and_not_lost(void **state)
{
	struct error err = { 0 };
	int go[2], ready[2], pidfd = -1, status = -1;
	char byte;
	pid_t pid, tracer;

	(void)state;
	check(pipe(go) == 0 && pipe(ready) == 0);
	pid = process_spawn(&(struct spawn){ .cgroup = -1, .pidfd = &pidfd }, &err);
	if (pid == 0)
		_exit(read(go[0], &byte, 1) == 1 ? 7 : 1);
	check(pid > 0);
	tracer = fork();
	if (tracer == 0)
		trace_for_a_while(pid, ready[1]);
	check(read(ready[0], &byte, 1) == 1);
	check(write(go[1], "x", 1) == 1);
	check_int(process_wait(pidfd, 60000, &status, &err), 1);
	check_int(process_exit_code(status), 7);
	check(waitpid(pid, NULL, __WALL) < 0);
	check(waitpid(tracer, NULL, 0) == tracer);
	close(pidfd);
}

int main(void)
{
	const struct CMUnitTest plain[] = {
		cmocka_unit_test(test_a_traced_child_is_reaped_and_not_lost),
		cmocka_unit_test(test_the_end_is_waited_for),
		cmocka_unit_test(test_siblings_are_ours_to_reap),
		cmocka_unit_test(test_others_children_are_waited_for),
		cmocka_unit_test(test_limits_are_explained),
		cmocka_unit_test(test_start_times_tell_processes_apart),
		cmocka_unit_test(test_a_leader_that_left_its_threads_is_alive),
		cmocka_unit_test(test_descriptions_steer_no_terminal),
		cmocka_unit_test(test_signals_have_names),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_a_new_session_has_nothing_waiting),
		cmocka_unit_test(test_children_die_with_their_parent),
	};
	const struct CMUnitTest privileged[] = {
		cmocka_unit_test(test_a_child_is_born_in_the_cgroup),
		cmocka_unit_test(test_a_cgroup_that_takes_none_is_explained),
	};
	int failed = cmocka_run_group_tests_name("plain", plain, NULL, NULL);

	if (geteuid() != 0) {
		puts("skipped: needs root");
		return failed ? failed : 77;
	}
	return failed + cmocka_run_group_tests_name("privileged", privileged, set_up, tear_down);
}
