/* Questions to the host: answers that are the same on every Linux, and that nothing is left. */
#include "check.h"

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/probe.h>
#include <creel/procfs.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static int open_procfs(void)
{
	struct error err = { 0 };
	int procfs = procfs_open(&err);

	check(procfs >= 0);
	return procfs;
}

static void test_filesystems(void **state)
{
	auto_arena arena = { 0 };
	auto_fd procfs = open_procfs();

	(void)state;
	check(probe_filesystem(&arena, procfs, "proc") == PROBE_FS_VIRTUAL);
	check(probe_filesystem(&arena, procfs, "tmpfs") == PROBE_FS_VIRTUAL);
	check(probe_filesystem(&arena, procfs, "nodev") == PROBE_FS_ABSENT);
	check(probe_filesystem(&arena, procfs, "") == PROBE_FS_ABSENT);
	check(probe_filesystem(&arena, procfs, "no such type") == PROBE_FS_ABSENT);
	check_text(probe_filesystem_at(&arena, procfs, "/proc/self"), "proc");
}

static void test_numbers(void **state)
{
	auto_fd procfs = open_procfs();
	int64_t value = -7;

	(void)state;
	check(probe_number(procfs, "sys/fs/nr_open", &value) && value > 0);
	check(!probe_number(procfs, "sys/kernel/ostype", &value));
	check(!probe_number(procfs, "sys/nosuch", &value));
}

static void test_sysctls_of_new_namespaces(void **state)
{
	static char ostype[] = "kernel.ostype", absent[] = "net.nosuch",
		    slashes[] = "kernel/nosuch", dots[] = "..";
	char *const keys[] = { ostype, absent, slashes, dots };
	int refusals[4] = { 0 };
	auto_fd procfs = open_procfs();
	struct error err = { 0 };

	(void)state;
	/* Without new namespaces: it is about existing at all. */
	check(probe_sysctls(procfs, 0, keys, 4, refusals, &err) == 0);
	check(refusals[0] != 0 && refusals[0] != ENOENT);
	check_int(refusals[1], ENOENT);
	check_int(refusals[2], ENOENT);
	check_int(refusals[3], ENOENT);
}

static void test_namespaces_do_not_stay(void **state)
{
	const struct probe_user user = { 0 };
	struct error err = { 0 };
	char before[64] = "", after[64] = "";

	(void)state;
	check(readlink("/proc/self/ns/uts", before, sizeof(before) - 1) > 0);
	if (probe_namespaces(CLONE_NEWUSER | CLONE_NEWUTS, &user, &err) < 0)
		check_has(err.what, "namespace");
	check(readlink("/proc/self/ns/uts", after, sizeof(after) - 1) > 0);
	check_text(after, before);
}

static void test_subids(void **state)
{
	auto_arena arena = { 0 };
	char path[] = "/tmp/creel-subids-XXXXXX";
	static const char text[] = "4242424:100000:65536\n"
				   "root:5:7\n"
				   "424242:1:1\n"
				   "4242424:x:1\n"
				   "4242424:200000\n"
				   "4242424:300000:10";
	int fd = mkstemp(path);
	struct probe_ranges ranges;

	(void)state;
	check(fd >= 0);
	check(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
	close(fd);
	ranges = probe_subids(&arena, path, 4242424);
	check_int(ranges.n, 2);
	check_int(ranges.items[0].first, 100000);
	check_int(ranges.items[0].count, 65536);
	check_int(ranges.items[1].first, 300000);
	check_int(ranges.items[1].count, 10);
	check_int(probe_subids(&arena, path, 0).n, 1);
	check_int(probe_subids(&arena, path, 77).n, 0);
	unlink(path);
	check_int(probe_subids(&arena, path, 4242424).n, 0);
}

static void test_programs(void **state)
{
	auto_arena arena = { 0 };
	char *path = probe_program(&arena, "sh");

	(void)state;
	check(path && access(path, X_OK) == 0);
	check(!probe_program(&arena, "no-such-program"));
}

static void test_options_of_mounts(void **state)
{
	static char size[] = "size=1m", mode[] = "mode=755", nosuch[] = "nosuch";
	char *words[] = { size, mode, nosuch, NULL };
	const struct strings options = { .items = words, .n = 3 };
	struct error err = { 0 };
	size_t bad = 0;

	(void)state;
	check(probe_mount_options("tmpfs", &options, &bad, &err) == -1);
	/* An ordinary user may not even begin. */
	if (err.errnum == EPERM)
		check_int(bad, 3);
	else
		check_int(bad, 2);
	check(probe_mount_options("no such type", &options, &bad, &err) == -1);
	check_int(bad, 3);
}

static void test_oom_score_stays(void **state)
{
	auto_fd procfs = open_procfs();
	int64_t before = -1, after = -2;

	(void)state;
	check(probe_number(procfs, "self/oom_score_adj", &before));
	check(probe_oom_score(procfs, 999));
	check(probe_number(procfs, "self/oom_score_adj", &after));
	check_int(after, before);
	check(!probe_oom_score(procfs, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filesystems),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_sysctls_of_new_namespaces),
		cmocka_unit_test(test_namespaces_do_not_stay),
		cmocka_unit_test(test_subids),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_options_of_mounts),
		cmocka_unit_test(test_oom_score_stays),
	};

	return check_all(tests);
}
