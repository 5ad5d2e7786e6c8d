/* Cgroups in the real hierarchy, below a directory of our own, which is gone at the end. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/process.h>

static const struct cgroup_writes no_writes;

/* What the tests share: the hierarchy and our part of it. */
struct fixture {
	int root;
	char base[64];
	bool had_hugetlb;
};

static int root_of(void **state)
{
	return ((struct fixture *)*state)->root;
}

/* "/creel-test-PID/NAME" in one of eight buffers. */
static const char *path_of(void **state, const char *name)
{
	static char texts[8][PATH_MAX + 64];
	static int next;

	next = (next + 1) % 8;
	snprintf(texts[next], sizeof(texts[next]), "%s%s", ((struct fixture *)*state)->base, name);
	return texts[next];
}

static bool exists(void **state, const char *path)
{
	return faccessat(root_of(state), path + 1, F_OK, 0) == 0;
}

static int make(void **state, const char *path, const struct cgroup_writes *writes,
		struct cgroup *cgroup)
{
	struct error err = { 0 };
	int result = cgroup_make(root_of(state), path, writes, cgroup, &err);

	if (result < 0)
		print_error("%s (%s) %s\n", err.what, strerror(err.errnum), err.hint);
	return result;
}

/* A process in the cgroup that only waits. */
static pid_t start_waiting(int cgroup)
{
	struct error err = { 0 };
	const struct spawn spawn = { .cgroup = cgroup };
	pid_t pid = process_spawn(&spawn, &err);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (pid < 0)
		print_error("%s %s\n", err.what, strerror(err.errnum));
	check(pid > 0);
	return pid;
}

static void stop(pid_t pid)
{
	check(kill(pid, SIGKILL) == 0);
	check(waitpid(pid, NULL, 0) == pid);
}

static void remove_all(void **state, const char *path, size_t made)
{
	struct error err = { 0 };

	if (cgroup_remove(root_of(state), path, made, 30000, &err) < 0)
		print_error("%s (%s) %s\n", err.what, strerror(err.errnum), err.hint);
	check_int(err.kind, ERROR_NONE);
	check(!exists(state, path));
}

static void test_only_cgroup2_is_a_root(void **state)
{
	struct error err = { 0 };

	(void)state;
	check_int(cgroup_root("/proc", &err), -1);
	check_int(err.kind, ERROR_UNSUPPORTED);
	check_has(err.what, "/proc is not a cgroup version 2 hierarchy");
	check_int(cgroup_root("/does/not/exist", &err), -1);
	check_int(err.errnum, ENOENT);
}

static void test_paths_are_taken_as_they_are_or_refused(void **state)
{
	static const char *const bad[] = { "a",	  "",	 "/a/../b", "/./a", "/a//b",
					   "/a/", "//a", "/..",	    "/a/." };
	char long_path[PATH_MAX + 16];
	struct cgroup cgroup;
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		check_int(cgroup_make(root_of(state), bad[i], &no_writes, &cgroup, &err), -1);
		check_int(err.kind, ERROR_CONFIG);
		check_int(cgroup.fd, -1);
		check_int(cgroup_open(root_of(state), bad[i], &err), -1);
		check_int(err.kind, ERROR_CONFIG);
	}
	memset(long_path, 'a', sizeof(long_path));
	for (size_t i = 0; i < sizeof(long_path); i += 100)
		long_path[i] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	check_int(cgroup_make(root_of(state), long_path, &no_writes, &cgroup, &err), -1);
	check_has(err.what, "longer than 4096 bytes");
	check_int(cgroup_make(root_of(state), "/", &no_writes, &cgroup, &err), -1);
	check_int(err.kind, ERROR_CONFIG);
	check_int(cgroup_remove(root_of(state), "/a/..", 0, 0, &err), -1);
	check_int(cgroup_remove(root_of(state), "/", 0, 0, &err), -1);
	check_int(cgroup_remove(root_of(state), long_path, 0, 0, &err), -1);
}

static void test_parents_are_made_and_removed(void **state)
{
	const char *path = path_of(state, "/x/y/z");
	struct cgroup cgroup;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup.made, 3);
	check(cgroup_is_populated(cgroup.fd) == 0 && cgroup_is_frozen(cgroup.fd) == 0);
	close(cgroup.fd);
	remove_all(state, path, cgroup.made);
	check(!exists(state, path_of(state, "/x")));
	check(exists(state, path_of(state, "")));
}

static void test_parents_in_use_stay(void **state)
{
	const char *path = path_of(state, "/x/y");
	struct cgroup cgroup, other;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup.made, 2);
	check_int(make(state, path_of(state, "/x/other"), &no_writes, &other), 0);
	check_int(other.made, 1);
	close(cgroup.fd);
	close(other.fd);
	remove_all(state, path, 2);
	check(exists(state, path_of(state, "/x/other")));
	remove_all(state, path_of(state, "/x/other"), 2);
	check(!exists(state, path_of(state, "/x")));
	check(exists(state, path_of(state, "")));
}

static void test_an_empty_one_is_used(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup;

	check_int(mkdirat(root_of(state), path + 1, 0755), 0);
	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup.made, 0);
	close(cgroup.fd);
	remove_all(state, path, 0);
}

static void test_a_populated_one_is_refused(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup, second;
	struct error err = { 0 };
	char pid_text[16];
	pid_t pid;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	pid = start_waiting(cgroup.fd);
	snprintf(pid_text, sizeof(pid_text), "%d ", pid);
	check_int(cgroup_make(root_of(state), path, &no_writes, &second, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "container's cgroup is not empty: 1 process(es) found");
	check_has(err.hint, pid_text);
	check(exists(state, path));
	stop(pid);
	close(cgroup.fd);
	remove_all(state, path, 1);
}

static void test_a_frozen_one_is_refused(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup, second;
	struct error err = { 0 };

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup_freeze(cgroup.fd, true, 30000, &err), 0);
	check_int(cgroup_make(root_of(state), path, &no_writes, &second, &err), -1);
	check_int(err.kind, ERROR_STATE);
	check_has(err.what, "container's cgroup unexpectedly frozen");
	/* By a parent just as well; and what was made for it goes again. */
	check_int(cgroup_make(root_of(state), path_of(state, "/x/y"), &no_writes, &second, &err),
		  -1);
	check_has(err.what, "container's cgroup unexpectedly frozen");
	check(!exists(state, path_of(state, "/x/y")));
	close(cgroup.fd);
	remove_all(state, path, 1);
}

static void test_a_threaded_one_is_refused(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup, second;
	struct error err = { 0 };

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(make(state, path_of(state, "/x/t"), &no_writes, &second), 0);
	check_int(file_write_kernel(second.fd, "cgroup.type", "threaded", &err), 0);
	close(second.fd);
	check_int(cgroup_make(root_of(state), path_of(state, "/x/y"), &no_writes, &second, &err),
		  -1);
	check_int(err.kind, ERROR_UNSUPPORTED);
	check_has(err.what, "domain invalid");
	check(!exists(state, path_of(state, "/x/y")));
	check_int(cgroup_make(root_of(state), path_of(state, "/x/t"), &no_writes, &second, &err),
		  -1);
	check_has(err.what, "\"threaded\"");
	close(cgroup.fd);
	remove_all(state, path, 1);
}

static void test_a_vanishing_parent_is_made_again(void **state)
{
	const char *parent = path_of(state, "/x");
	const char *path = path_of(state, "/x/y");
	int root = root_of(state);
	struct cgroup cgroup;
	pid_t pid = fork();

	check(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			unlinkat(root, parent + 1, AT_REMOVEDIR);
			usleep(20);
		}
	}
	for (int i = 0; i < 200; i++) {
		check_int(make(state, path, &no_writes, &cgroup), 0);
		check_int(cgroup.made, 2);
		close(cgroup.fd);
		remove_all(state, path, 2);
	}
	stop(pid);
}

static void test_a_missing_controller_is_named(void **state)
{
	struct cgroup_write items[] = {
		{ .file = "cgroup.max.depth", .value = "9" },
		{ .file = "nonsense.max",
		  .value = "1",
		  .controller = "nonsense",
		  .where = "/linux/resources/x" },
	};
	const struct cgroup_writes writes = { items, ARRAY_SIZE(items) };
	const char *path = path_of(state, "/x/y");
	struct cgroup cgroup;
	struct error err = { 0 };

	check_int(cgroup_make(root_of(state), path, &writes, &cgroup, &err), -1);
	check_int(err.kind, ERROR_UNSUPPORTED);
	check_has(err.what, "controller nonsense is not available in the cgroup /");
	check_text(err.where, "/linux/resources/x");
	check(err.hint[0]);
	check(!exists(state, path_of(state, "/x")));
	/* Unless it is merely welcome. */
	items[1].flags = CGROUP_MISSING_IS_FINE;
	check_int(make(state, path, &writes, &cgroup), 0);
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), 0);
	close(cgroup.fd);
	remove_all(state, path, cgroup.made);
}

static bool has_hugetlb(int root, const char *path)
{
	char text[256] = "";
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY);

	(void)file_read_small(fd, "cgroup.subtree_control", text, sizeof(text));
	close(fd);
	return strstr(text, "hugetlb");
}

static void test_controllers_are_enabled_from_the_root_down(void **state)
{
	struct cgroup_write items[] = {
		{ .controller = "hugetlb" },
		{ .controller = "nonsense", .flags = CGROUP_MISSING_IS_FINE },
		{ .file = "hugetlb.2MB.max", .value = "4194304", .controller = "hugetlb" },
	};
	const struct cgroup_writes writes = { items, ARRAY_SIZE(items) };
	const char *path = path_of(state, "/x/y");
	auto_arena arena = { 0 };
	struct cgroup cgroup;
	struct error err = { 0 };
	pid_t pid;

	check_int(make(state, path, &writes, &cgroup), 0);
	check(has_hugetlb(root_of(state), path_of(state, "") + 1));
	check(has_hugetlb(root_of(state), path_of(state, "/x") + 1));
	check(!has_hugetlb(root_of(state), path + 1));
	check_int(cgroup_write_all(cgroup.fd, &writes, false, &err), 0);
	check_text(cgroup_read(&arena, cgroup.fd, "hugetlb.2MB.max"), "4194304");
	check(!cgroup_read(&arena, cgroup.fd, "memory.max"));

	/* A parent that holds a process cannot have it. */
	pid = start_waiting(cgroup.fd);
	struct cgroup below;

	check_int(cgroup_make(root_of(state), path_of(state, "/x/y/z"), &writes, &below, &err), -1);
	check_int(err.errnum, EBUSY);
	check_has(err.what,
		  "cannot enable the cgroup controller hugetlb in the cgroup /creel-test-");
	check_has(err.hint, "processes");
	check(!exists(state, path_of(state, "/x/y/z")));
	stop(pid);
	close(cgroup.fd);
	remove_all(state, path, cgroup.made);
}

static void test_a_failed_write_restores_the_others(void **state)
{
	struct cgroup_write items[] = {
		{ .file = "cgroup.max.depth", .value = "7" },
		{ .file = "cgroup.max.descendants", .value = "8" },
		{ .file = "cgroup.max.descendants",
		  .value = "many",
		  .where = "/linux/resources/unified" },
	};
	const struct cgroup_writes writes = { items, ARRAY_SIZE(items) };
	const char *path = path_of(state, "/x");
	auto_arena arena = { 0 };
	struct cgroup cgroup;
	struct error err = { 0 };

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), -1);
	check_int(err.kind, ERROR_SYSTEM);
	check_int(err.errnum, EINVAL);
	check_has(err.what, "cannot write \"many\" to the cgroup's cgroup.max.descendants");
	check_text(err.where, "/linux/resources/unified");
	check_text(err.call, "write");
	check_text(cgroup_read(&arena, cgroup.fd, "cgroup.max.depth"), "max");
	check_text(cgroup_read(&arena, cgroup.fd, "cgroup.max.descendants"), "max");

	check_int(cgroup_write_all(cgroup.fd, &writes, false, &err), -1);
	check_text(cgroup_read(&arena, cgroup.fd, "cgroup.max.depth"), "7");
	check_text(cgroup_read(&arena, cgroup.fd, "cgroup.max.descendants"), "8");

	items[2].file = "memory.max";
	items[2].controller = "memory";
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), -1);
	check_int(err.kind, ERROR_UNSUPPORTED);
	check_has(err.what, "memory.max can't be set: controller \"memory\" not available");
	items[2].controller = NULL;
	items[2].file = "cgroup.nonsense";
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), -1);
	check_has(err.what, "no such file");
	items[2].flags = CGROUP_MISSING_IS_FINE;
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), 0);
	/* Line by line, the last one stays. */
	items[2] = (struct cgroup_write){ .file = "cgroup.max.depth",
					  .value = "3\n4\n5",
					  .flags = CGROUP_LINES };
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), 0);
	check_text(cgroup_read(&arena, cgroup.fd, "cgroup.max.depth"), "5");

	remove_all(state, path, 1);
	check_int(cgroup_write_all(cgroup.fd, &writes, true, &err), -1);
	check_int(err.errnum, ENOENT);
	close(cgroup.fd);
}

/* A plain directory does for what only depends on which files there are. */
static void test_one_file_instead_of_another(void **state)
{
	char path[] = "/tmp/creel-cgroup-XXXXXX";
	auto_fd dir = mkdtemp(path) ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct cgroup_write items[] = {
		{ .file = "io.bfq.weight",
		  .value = "50",
		  .controller = "io",
		  .flags = CGROUP_MISSING_IS_FINE },
		{ .file = "io.weight",
		  .value = "400",
		  .controller = "io",
		  .unless = "io.bfq.weight",
		  .where = "/blockIO/weight" },
	};
	const struct cgroup_writes writes = { items, ARRAY_SIZE(items) };
	auto_arena arena = { 0 };
	struct error err = { 0 };

	(void)state;
	check(dir >= 0);
	check_int(file_replace(dir, "cgroup.controllers", "io\n", 3, 0600, false, &err), 0);
	check_int(cgroup_write_all(dir, &writes, true, &err), -1);
	check_int(err.kind, ERROR_UNSUPPORTED);
	check_text(err.what,
		   "neither io.bfq.weight nor io.weight can be set: no cgroup has these files");
	check_text(err.where, "/blockIO/weight");
	check_has(err.hint, "bfq");

	err = (struct error){ 0 };
	check_int(file_replace(dir, "io.weight", "", 0, 0600, false, &err), 0);
	check_int(cgroup_write_all(dir, &writes, true, &err), 0);
	check_text(cgroup_read(&arena, dir, "io.weight"), "400");

	check_int(file_replace(dir, "io.bfq.weight", "", 0, 0600, false, &err), 0);
	items[1].value = "500";
	check_int(cgroup_write_all(dir, &writes, true, &err), 0);
	check_text(cgroup_read(&arena, dir, "io.bfq.weight"), "50");
	check_text(cgroup_read(&arena, dir, "io.weight"), "400");
	check(unlinkat(dir, "io.weight", 0) == 0 && unlinkat(dir, "io.bfq.weight", 0) == 0 &&
	      unlinkat(dir, "cgroup.controllers", 0) == 0 && rmdir(path) == 0);
}

static void test_freezing_waits_until_it_is_so(void **state)
{
	const char *path = path_of(state, "/x");
	char text[128] = "";
	struct cgroup cgroup;
	struct error err = { 0 };
	pid_t pid;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	pid = start_waiting(cgroup.fd);
	check_int(cgroup_is_frozen(cgroup.fd), 0);
	check_int(cgroup_is_paused(root_of(state), path, &err), 0);
	check_int(cgroup_freeze(cgroup.fd, true, 30000, &err), 0);
	check_int(cgroup_is_frozen(cgroup.fd), 1);
	check_int(cgroup_is_paused(root_of(state), path, &err), 1);
	check(file_read_small(cgroup.fd, "cgroup.events", text, sizeof(text)) > 0);
	check_has(text, "frozen 1");
	check_int(cgroup_freeze(cgroup.fd, false, 30000, &err), 0);
	check_int(cgroup_is_frozen(cgroup.fd), 0);

	/* Frozen from above: thawing cannot be had. */
	auto_fd base = cgroup_open(root_of(state), path_of(state, ""), &err);

	check_int(cgroup_freeze(base, true, 30000, &err), 0);
	check_int(cgroup_freeze(cgroup.fd, false, 20, &err), -1);
	check_int(err.errnum, ETIMEDOUT);
	check_has(err.hint, "parent");
	check_int(cgroup_freeze(base, false, 30000, &err), 0);

	/* Frozen processes can be killed. */
	check_int(cgroup_freeze(cgroup.fd, true, 30000, &err), 0);
	check_int(cgroup_kill(cgroup.fd, 30000, &err), 0);
	check(waitpid(pid, NULL, 0) == pid);
	check_int(cgroup_is_frozen(cgroup.fd), 0);
	remove_all(state, path, 1);
	check_int(cgroup_is_paused(root_of(state), path, &err), -1);
	check_int(err.errnum, ENOENT);
	check_int(cgroup_is_frozen(cgroup.fd), -1);
	check_int(cgroup_is_populated(cgroup.fd), -1);
	close(cgroup.fd);
}

/* Waits in the kernel for a page that nobody brings, and there is no freezer: only a signal that
 * kills ends it.  -1 where pages cannot be waited for. */
static int wait_for_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {
		.range = { (uintptr_t)page, 4096 },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	auto_fd fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	int ends[2];

	if (page == MAP_FAILED || fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &range) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	return (int)write(ends[1], page, 1);
}

/* Waits until a child is inside of write(2), or has ended. */
static void await_write(pid_t pid)
{
	siginfo_t ended = { 0 };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (int i = 0; i < 30000; i++) {
		FILE *file = fopen(path, "re");
		long number = -1;

		if (file && fscanf(file, "%ld", &number) != 1)
			number = -1;
		if (file)
			fclose(file);
		if (number == SYS_write ||
		    (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		     ended.si_pid == pid))
			return;
		usleep(1000);
	}
}

static pid_t start_stuck(int cgroup)
{
	struct error err = { 0 };
	const struct spawn spawn = { .cgroup = cgroup };
	pid_t pid = process_spawn(&spawn, &err);

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(wait_for_page() < 0 ? 77 : 1);
	}
	check(pid > 0);
	/* On its way it could still be frozen. */
	await_write(pid);
	return pid;
}

static void test_who_does_not_freeze_is_named(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup;
	struct error err = { 0 };
	int status = 0;
	char pid_text[24];

	check_int(make(state, path, &no_writes, &cgroup), 0);

	pid_t pid = start_stuck(cgroup.fd);
	bool stuck = waitpid(pid, &status, WNOHANG) == 0;

	if (stuck) {
		check_int(cgroup_freeze(cgroup.fd, true, 50, &err), -1);
		check_int(err.errnum, ETIMEDOUT);
		check_has(err.what, "did not freeze within 50 ms");
		snprintf(pid_text, sizeof(pid_text), "%d", pid);
		check_has(err.hint, pid_text);
		check_has(err.hint, "thawed again");
		check_int(cgroup_is_frozen(cgroup.fd), 0);
		check_int(cgroup_kill(cgroup.fd, 30000, &err), 0);
		check(waitpid(pid, &status, 0) == pid);
	}
	close(cgroup.fd);
	remove_all(state, path, 1);
	if (!stuck) {
		check_int(WEXITSTATUS(status), 77);
		print_message("skipped: no userfaultfd(2) here\n");
		skip();
	}
}

static void test_killing_reaches_all_below(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup, below;
	struct error err = { 0 };
	auto_arena arena = { 0 };
	char text[200];
	pid_t started[8], *pids;
	size_t n;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(make(state, path_of(state, "/x/y/z"), &no_writes, &below), 0);
	for (int i = 0; i < 8; i++)
		started[i] = start_waiting(i % 2 ? cgroup.fd : below.fd);
	check_int(cgroup_pids(&arena, cgroup.fd, &pids, &n, &err), 0);
	check_int(n, 8);
	for (size_t i = 0; i < n; i++)
		check_int(pids[i], started[i]);
	check_int(cgroup_pids(&arena, below.fd, &pids, &n, &err), 0);
	check_int(n, 4);
	cgroup_describe(cgroup.fd, text, sizeof(text));
	check_has(text, "test_cgroup (");
	check_has(text, " and 3 more");
	check_int(cgroup_is_populated(cgroup.fd), 1);

	/* One that is stopped and one that is traced die as well. */
	check_int(kill(started[0], SIGSTOP), 0);
	check_int(cgroup_kill(cgroup.fd, 30000, &err), 0);
	check_int(cgroup_is_populated(cgroup.fd), 0);
	for (int i = 0; i < 8; i++) {
		int status = 0;

		check(waitpid(started[i], &status, 0) == started[i]);
		check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	check_int(cgroup_kill(cgroup.fd, 0, &err), 0);
	close(below.fd);
	remove_all(state, path, 1);
	check_int(cgroup_kill(cgroup.fd, 0, &err), 0);
	check_int(cgroup_pids(&arena, cgroup.fd, &pids, &n, &err), 0);
	check_int(n, 0);
	close(cgroup.fd);
}

static void test_an_overdue_kill_names_who_is_left(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup;
	struct error err = { 0 };
	pid_t pids[4];
	int late = 0;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	/* With no time at all, some are still on their way out. */
	for (int round = 0; round < 500 && !late; round++) {
		for (int i = 0; i < 4; i++)
			pids[i] = start_waiting(cgroup.fd);
		if (cgroup_kill(cgroup.fd, 0, &err) < 0) {
			late = 1;
			check_int(err.errnum, ETIMEDOUT);
			check_has(err.what, "are not gone 0 ms after they were killed");
			check_has(err.hint, "left are: ");
		}
		for (int i = 0; i < 4; i++)
			check(waitpid(pids[i], NULL, 0) == pids[i]);
	}
	check(late);
	close(cgroup.fd);
	remove_all(state, path, 1);
}

/* Makes DEPTH cgroups in each other below PATH, each with a sibling; the path is far longer than a
 * path may be. */
static void make_deep(int root, const char *path, int depth)
{
	char name[201];
	int at = openat(root, path + 1, O_RDONLY | O_DIRECTORY);

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < depth; i++) {
		int next;

		check_int(mkdirat(at, "sibling", 0755), 0);
		check_int(mkdirat(at, name, 0755), 0);
		next = openat(at, name, O_RDONLY | O_DIRECTORY);
		check(next >= 0);
		close(at);
		at = next;
	}
	close(at);
}

static void test_a_deep_tree_is_removed(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup;
	struct error err = { 0 };
	auto_arena arena = { 0 };
	pid_t *pids;
	size_t n;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	make_deep(root_of(state), path, 100);
	check_int(cgroup_pids(&arena, cgroup.fd, &pids, &n, &err), 0);
	check_int(n, 0);
	close(cgroup.fd);
	remove_all(state, path, 1);
}

static void test_a_busy_one_is_named_and_kept(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup, below;
	struct error err = { 0 };
	char name[16];
	pid_t pid;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(make(state, path_of(state, "/x/y/busy"), &no_writes, &below), 0);
	check_int(mkdirat(root_of(state), path_of(state, "/x/y/idle") + 1, 0755), 0);
	pid = start_waiting(below.fd);
	snprintf(name, sizeof(name), "%d ", pid);
	check_int(cgroup_remove(root_of(state), path, 1, 30, &err), -1);
	check_int(err.errnum, EBUSY);
	check_has(err.what, "cannot remove the cgroup /creel-test-");
	check_has(err.hint, name);
	check(exists(state, path_of(state, "/x/y/busy")));
	/* One that ends while we try is waited for. */
	pid_t killer = fork();

	if (killer == 0) {
		usleep(50000);
		kill(pid, SIGKILL);
		_exit(0);
	}
	check_int(cgroup_remove(root_of(state), path, 1, 30000, &err), 0);
	check(!exists(state, path));
	check(waitpid(pid, NULL, 0) == pid);
	check(waitpid(killer, NULL, 0) == killer);
	close(cgroup.fd);
	close(below.fd);
	/* What is gone is gone. */
	check_int(cgroup_remove(root_of(state), path, 1, 0, &err), 0);
	check_int(cgroup_remove(root_of(state), path_of(state, "/no/parent"), 2, 0, &err), 0);
}

static void test_delegation_gives_just_the_listed_files(void **state)
{
	const char *path = path_of(state, "/x");
	struct cgroup cgroup;
	struct error err = { 0 };
	struct stat status;

	check_int(make(state, path, &no_writes, &cgroup), 0);
	check_int(cgroup_delegate(cgroup.fd, 1234, 5678, &err), 0);
	check(fstat(cgroup.fd, &status) == 0 && status.st_uid == 1234 && status.st_gid == 5678);
	check(fstatat(cgroup.fd, "cgroup.procs", &status, 0) == 0 && status.st_uid == 1234);
	check(fstatat(cgroup.fd, "cgroup.subtree_control", &status, 0) == 0 &&
	      status.st_uid == 1234);
	check(fstatat(cgroup.fd, "cgroup.freeze", &status, 0) == 0 && status.st_uid == 0);
	check(fstatat(cgroup.fd, "cgroup.max.depth", &status, 0) == 0 && status.st_uid == 0);
	close(cgroup.fd);
	remove_all(state, path, 1);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct error err = { 0 };

	fixture.root = cgroup_root("/sys/fs/cgroup", &err);
	if (fixture.root < 0)
		fixture.root = cgroup_root("/sys/fs/cgroup/unified", &err);
	if (fixture.root < 0)
		return -1;
	fixture.had_hugetlb = has_hugetlb(fixture.root, ".");
	snprintf(fixture.base, sizeof(fixture.base), "/creel-test-%d", getpid());
	*state = &fixture;
	return mkdirat(fixture.root, fixture.base + 1, 0755);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	struct error err = { 0 };
	int fd = cgroup_open(fixture->root, fixture->base, &err);
	int killed = fd < 0 ? 0 : cgroup_kill(fd, 30000, &err);
	int removed = cgroup_remove(fixture->root, fixture->base, 1, 30000, &err);

	/* Fails when somebody else has taken to it meanwhile. */
	if (!fixture->had_hugetlb &&
	    file_write_kernel(fixture->root, "cgroup.subtree_control", "-hugetlb", &err) < 0)
		error_ignore(&err, "others use the controller");
	close(fd);
	close(fixture->root);
	return killed < 0 || removed < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_cgroup2_is_a_root),
		cmocka_unit_test(test_paths_are_taken_as_they_are_or_refused),
		cmocka_unit_test(test_parents_are_made_and_removed),
		cmocka_unit_test(test_parents_in_use_stay),
		cmocka_unit_test(test_an_empty_one_is_used),
		cmocka_unit_test(test_a_populated_one_is_refused),
		cmocka_unit_test(test_a_frozen_one_is_refused),
		cmocka_unit_test(test_a_threaded_one_is_refused),
		cmocka_unit_test(test_a_vanishing_parent_is_made_again),
		cmocka_unit_test(test_a_missing_controller_is_named),
		cmocka_unit_test(test_controllers_are_enabled_from_the_root_down),
		cmocka_unit_test(test_a_failed_write_restores_the_others),
		cmocka_unit_test(test_one_file_instead_of_another),
		cmocka_unit_test(test_freezing_waits_until_it_is_so),
		cmocka_unit_test(test_who_does_not_freeze_is_named),
		cmocka_unit_test(test_killing_reaches_all_below),
		cmocka_unit_test(test_an_overdue_kill_names_who_is_left),
		cmocka_unit_test(test_a_deep_tree_is_removed),
		cmocka_unit_test(test_a_busy_one_is_named_and_kept),
		cmocka_unit_test(test_delegation_gives_just_the_listed_files),
	};

	if (geteuid() != 0) {
		puts("skipped: needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
