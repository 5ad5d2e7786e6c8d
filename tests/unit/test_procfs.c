/* The procfs handle: it takes nothing but the real thing, and is not led astray by what is mounted
 * in it. */
#include "mount_world.h"

#include <creel/procfs.h>

static struct error err;

static void test_opens_the_real_one(void **state)
{
	auto_fd procfs = -1, private = -1;
	char text[64];

	(void)state;
	must_work(procfs = procfs_open(&err));
	must_work(private = procfs_open_private(&err));
	assert_true(procfs_read(procfs, "self/comm", text, sizeof(text)) > 0);
	assert_string_equal(text, "test_procfs");
	assert_true(procfs_read(private, "self/comm", text, sizeof(text)) > 0);
	assert_string_equal(text, "test_procfs");
}

static bool refuses_false_ones(void)
{
	expect(mount("fake", "/proc", "tmpfs", 0, NULL) == 0);
	expect(procfs_open(&err) == -1);
	expect(err.kind == ERROR_UNSUPPORTED);
	expect(umount("/proc") == 0);
	/* A part of procfs is procfs too, but not its root. */
	expect(mount("/proc/sys", "/proc", NULL, MS_BIND, NULL) == 0);
	expect(procfs_open(&err) == -1);
	expect(err.kind == ERROR_UNSUPPORTED);
	return umount("/proc") == 0;
}

static void test_refuses_false_ones(void **state)
{
	(void)state;
	in_child(refuses_false_ones);
}

static bool notices_covers(void)
{
	auto_fd procfs = procfs_open(&err);
	char path[64], text[64];

	expect(procfs >= 0);
	write_text("/mnt/false", "false");
	snprintf(path, sizeof(path), "/proc/%d/comm", getpid());
	expect(mount("/mnt/false", path, NULL, MS_BIND, NULL) == 0);
	expect(procfs_read(procfs, "self/comm", text, sizeof(text)) < 0 && errno == EXDEV);
	expect(procfs_write(procfs, "self/comm", "x", &err) == -1 && err.errnum == EXDEV);
	expect(strstr(err.hint, "mounted over") != NULL);
	expect(strcmp(read_text("/mnt/false"), "false") == 0);
	/* A private one has no covers. */
	auto_fd private = procfs_open_private(&err);

	expect(private >= 0);
	expect(procfs_read(private, "self/comm", text, sizeof(text)) > 0);
	return umount(path) == 0;
}

static void test_notices_covers(void **state)
{
	(void)state;
	in_child(notices_covers);
}

static void test_never_leaves(void **state)
{
	auto_fd procfs = -1;
	char text[64];

	(void)state;
	must_work(procfs = procfs_open(&err));
	must_fail(procfs_open_file(procfs, "self/exe", O_RDONLY, &err), ELOOP);
	must_fail(procfs_open_file(procfs, "self/root/etc/passwd", O_RDONLY, &err), ELOOP);
	must_fail(procfs_open_file(procfs, "../etc/passwd", O_RDONLY, &err), EXDEV);
	must_fail(procfs_open_file(procfs, "/etc/passwd", O_RDONLY, &err), EXDEV);
	/* What does not fit is an error, not a part. */
	assert_int_equal(procfs_read(procfs, "self/status", text, sizeof(text)), -1);
	assert_int_equal(errno, EOVERFLOW);
}

static bool sets_sysctls(void)
{
	auto_fd procfs = procfs_open(&err);
	char text[64];

	expect(procfs >= 0);
	expect(unshare(CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC) == 0);
	expect(procfs_sysctl(procfs, "kernel.domainname", "creel.test", "/linux/sysctl/x", &err) ==
	       0);
	expect(procfs_read(procfs, "sys/kernel/domainname", text, sizeof(text)) > 0);
	expect(strcmp(text, "creel.test") == 0);
	expect(procfs_sysctl(procfs, "net/ipv4/ip_forward", "1", NULL, &err) == 0);
	expect(procfs_read(procfs, "sys/net/ipv4/ip_forward", text, sizeof(text)) > 0);
	expect(strcmp(text, "1") == 0);
	expect(procfs_sysctl(procfs, "net.ipv4.conf.lo.forwarding", "0", NULL, &err) == 0);

	expect(procfs_sysctl(procfs, "kernel.nothing", "1", "/linux/sysctl/kernel.nothing", &err) ==
	       -1);
	expect(err.errnum == ENOENT);
	expect(strcmp(err.where, "/linux/sysctl/kernel.nothing") == 0);
	expect(procfs_sysctl(procfs, "kernel.shmmni", "many", NULL, &err) == -1);
	expect(err.errnum == EINVAL);
	expect(strstr(err.what, "kernel.shmmni") != NULL);
	return true;
}

static void test_sets_sysctls(void **state)
{
	(void)state;
	in_child(sets_sysctls);
}

static void test_refuses_strange_sysctls(void **state)
{
	static const char *const keys[] = { "",	      "net..ipv4", "net/../kernel/hostname",
					    "/net/x", ".x",	   "net/./x",
					    "x/",     "a.//.b" };
	auto_fd procfs = -1;

	(void)state;
	must_work(procfs = procfs_open(&err));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		err = (struct error){ 0 };
		assert_int_equal(procfs_sysctl(procfs, keys[i], "1", "/x", &err), -1);
		assert_int_equal(err.kind, ERROR_CONFIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_opens_the_real_one, world_fresh),
		cmocka_unit_test_setup(test_refuses_false_ones, world_fresh),
		cmocka_unit_test_setup(test_notices_covers, world_fresh),
		cmocka_unit_test_setup(test_never_leaves, world_fresh),
		cmocka_unit_test_setup(test_sets_sysctls, world_fresh),
		cmocka_unit_test_setup(test_refuses_strange_sysctls, world_fresh),
	};

	world_enter();
	return cmocka_run_group_tests(tests, NULL, world_leave);
}
