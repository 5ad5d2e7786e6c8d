/* The facts of this host, against other ways of asking; and what asking costs. */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/facts.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>

static int open_proc(void)
{
	struct error err = { 0 };
	int procfs = procfs_open(&err);

	check(procfs >= 0);
	return procfs;
}

/* The value of KEY in /proc/self/status, as a hexadecimal number. */
static uint64_t status_of(const char *key)
{
	static char text[8192];
	const char *at;

	check(file_read_small(AT_FDCWD, "/proc/self/status", text, sizeof(text)) > 0);
	at = strstr(text, key);
	check(at);
	return strtoull(at + strlen(key), NULL, 16);
}

static void test_facts_are_those_of_the_kernel(void **state)
{
	auto_arena arena = { 0 };
	struct facts facts;
	struct error err = { 0 };
	auto_fd procfs = open_proc();
	char text[64], path[300];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "", 1);
	check_int(facts_ask(&arena, procfs, &facts, &err), 0);
	check(!facts.xdg_runtime_dir);
	check(facts.euid == geteuid() && facts.egid == getegid());
	check(facts.caps_bounding == status_of("CapBnd:"));
	check_int(facts.is_admin, status_of("CapEff:") >> 21 & 1);
	check(file_read_small(AT_FDCWD, "/proc/sys/kernel/cap_last_cap", text, sizeof(text)) > 0);
	check_int(facts.cap_last, atoi(text));
	check_int(facts.systemd, access("/run/systemd/system", F_OK) == 0);
	check(facts.signals_ignored == status_of("SigIgn:"));
	if (facts.cgroup_mount) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", facts.cgroup_mount);
		check(access(path, F_OK) == 0);
		check(facts.cgroup_own && facts.cgroup_own[0] == '/');
	}
	for (size_t i = 0; i < facts.cgroup_controllers.n; i++)
		check(facts.cgroup_controllers.items[i][0] &&
		      !strchr(facts.cgroup_controllers.items[i], ' '));

	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	check_int(facts_ask(&arena, procfs, &facts, &err), 0);
	check_text(facts.xdg_runtime_dir, "/run/user/7");
}

/* Runs TEST in a process of its own; its exit code. */
static int run_apart(int (*test)(void))
{
	int status = 0;
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0)
		_exit(test());
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool write_file(const char *path, const char *text)
{
	struct error err = { 0 };

	return file_write_kernel(AT_FDCWD, path, text, &err) == 0;
}

/* 99: this host makes no user namespaces. */
static int ask_in_user_namespace(void)
{
	auto_arena arena = { 0 };
	struct facts facts;
	struct error err = { 0 };
	int procfs = procfs_open(&err);
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) < 0)
		return 99;
	if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map))
		return 2;
	if (facts_ask(&arena, procfs, &facts, &err) < 0)
		return 3;
	return facts.in_userns && facts.is_admin && !facts.can_set_groups ? 0 : 4;
}

/* A nested user namespace whose map looks like that of the initial one. */
static int ask_in_full_user_namespace(void)
{
	auto_arena arena = { 0 };
	struct facts facts;
	struct error err = { 0 };
	int procfs = procfs_open(&err), ends[2], status = 0;
	char path[64], byte;
	pid_t pid;

	if (pipe(ends) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", getppid());
		if (read(ends[0], &byte, 1) != 1)
			_exit(1);
		_exit(write_file(path, "0 0 4294967295") ? 0 : 99);
	}
	if (unshare(CLONE_NEWUSER) < 0)
		return 99;
	if (write(ends[1], "x", 1) != 1 || waitpid(pid, &status, 0) != pid)
		return 2;
	if (WEXITSTATUS(status))
		return 99;
	if (facts_ask(&arena, procfs, &facts, &err) < 0)
		return 3;
	return facts.in_userns && facts.can_set_groups ? 0 : 4;
}

static void test_user_namespaces_are_known(void **state)
{
	int (*const tests[])(void) = { ask_in_user_namespace, ask_in_full_user_namespace };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		int result = run_apart(tests[i]);

		if (result != 99)
			check_int(result, 0);
	}
}

/* 99: we may not mount, or there is no cgroup2. */
static int ask_with_cgroup_elsewhere(void)
{
	auto_arena arena = { 0 };
	struct facts facts;
	struct error err = { 0 };
	int procfs = procfs_open(&err);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
		return 99;
	if (facts_ask(&arena, procfs, &facts, &err) < 0)
		return 2;
	/* Those below the tmpfs are still in the mount table, but what they name is not cgroup2 any
	 * more. */
	if (facts.cgroup_mount)
		return 3;
	if (mkdir("/sys/fs/cgroup/a b", 0755) < 0 ||
	    mount("none", "/sys/fs/cgroup/a b", "cgroup2", 0, NULL) < 0)
		return 99;
	if (facts_ask(&arena, procfs, &facts, &err) < 0)
		return 4;
	return facts.cgroup_mount && !strcmp(facts.cgroup_mount, "/sys/fs/cgroup/a b") &&
		       facts.cgroup_own
		   ? 0
		   : 5;
}

static void test_cgroup2_is_found_anywhere(void **state)
{
	int result = run_apart(ask_with_cgroup_elsewhere);

	(void)state;
	if (result != 99)
		check_int(result, 0);
}

/* 99: we may not mount.  No securityfs is in this /sys, as where Podman starts a runtime in a user
 * namespace: a profile can be set all the same, as that is done in /proc. */
static int ask_with_apparmor_alone(void)
{
	const char *enabled = "/sys/module/apparmor/parameters/enabled";
	struct error err = { 0 };
	int procfs = procfs_open(&err);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/sys", "tmpfs", 0, NULL) < 0)
		return 99;
	for (size_t i = 0; i < 3; i++) {
		const char *const text[] = { NULL, "N\n", "Y\n" };
		auto_arena arena = { 0 };
		struct facts facts;

		if (i == 1 &&
		    (mkdir("/sys/module", 0755) < 0 || mkdir("/sys/module/apparmor", 0755) < 0 ||
		     mkdir("/sys/module/apparmor/parameters", 0755) < 0 ||
		     mknod(enabled, S_IFREG | 0644, 0) < 0))
			return 99;
		if (text[i] && !write_file(enabled, text[i]))
			return 2;
		if (facts_ask(&arena, procfs, &facts, &err) < 0)
			return 3;
		if (facts.apparmor != (i == 2))
			return (int)(10 + i);
	}
	return 0;
}

static void test_apparmor_is_known_without_securityfs(void **state)
{
	int result = run_apart(ask_with_apparmor_alone);

	(void)state;
	if (result != 99)
		check_int(result, 0);
}

static int ask_without_proc(void)
{
	auto_arena arena = { 0 };
	struct facts facts;
	struct error err = { 0 };
	int root = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return facts_ask(&arena, root, &facts, &err) == -1 && err.kind == ERROR_SYSTEM &&
		       strstr(err.what, "/proc/")
		   ? 0
		   : 1;
}

static void test_no_proc_is_an_error(void **state)
{
	(void)state;
	check_int(run_apart(ask_without_proc), 0);
}

static void test_asking_is_cheap(void **state)
{
	auto_fd procfs = open_proc();
	struct facts facts;
	struct error err = { 0 };
	struct timespec start, end;
	long best = 1000000;

	(void)state;
	for (int i = 0; i < 200; i++) {
		auto_arena arena = { 0 };
		long took;

		clock_gettime(CLOCK_MONOTONIC, &start);
		check_int(facts_ask(&arena, procfs, &facts, &err), 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		took = (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000;
		best = took < best ? took : best;
	}
	print_message("facts_ask: %ld us\n", best);
	/* Ten times what it takes, so that a slow machine passes and a parse of a big mount table
	 * does not. */
	check(best < 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts_are_those_of_the_kernel),
		cmocka_unit_test(test_user_namespaces_are_known),
		cmocka_unit_test(test_cgroup2_is_found_anywhere),
		cmocka_unit_test(test_apparmor_is_known_without_securityfs),
		cmocka_unit_test(test_no_proc_is_an_error),
		cmocka_unit_test(test_asking_is_cheap),
	};

	return check_all(tests);
}
