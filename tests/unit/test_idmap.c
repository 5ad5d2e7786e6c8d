/* Id maps: written by us, by the helpers, and for namespaces that nobody stays in. */
#include "mount_world.h"

#include <grp.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <creel/idmap.h>
#include <creel/procfs.h>

static struct error err;

/* A child that made a user namespace and waits. */
static pid_t start_namespace(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		return -1;

	pid_t pid = fork();

	if (pid != 0) {
		ssize_t n = -1;

		close(ends[1]);
		n = read(ends[0], &byte, 1);
		close(ends[0]);
		return n == 1 ? pid : -1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWUSER) < 0 || write(ends[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool has_map(int procfs, pid_t pid, const char *file, unsigned int inside,
		    unsigned int outside, unsigned int size)
{
	char name[64], text[512];
	unsigned int a, b, c;

	snprintf(name, sizeof(name), "%d/%s", pid, file);
	return procfs_read(procfs, name, text, sizeof(text)) > 0 &&
	       sscanf(text, "%u %u %u", &a, &b, &c) == 3 && a == inside && b == outside &&
	       c == size;
}

static void test_writes_maps(void **state)
{
	const struct idmap_range uids[] = { { 0, 100000, 1000 }, { 1000, 5, 1 } };
	const struct idmap_range gids[] = { { 0, 200000, 65536 } };
	const struct idmap map = { .uids = uids, .uids_n = 2, .gids = gids, .gids_n = 1 };
	auto_fd procfs = -1;
	pid_t pid = start_namespace();

	(void)state;
	assert_true(pid > 0);
	must_work(procfs = procfs_open(&err));
	must_work(idmap_write(procfs, pid, &map, &err));
	assert_true(has_map(procfs, pid, "uid_map", 0, 100000, 1000));
	assert_true(has_map(procfs, pid, "gid_map", 0, 200000, 65536));
	/* Only once. */
	must_fail(idmap_write(procfs, pid, &map, &err), EPERM);
	stop(pid);
}

static void test_explains_bad_maps(void **state)
{
	static struct idmap_range many[341];
	const struct idmap_range twice[] = { { 0, 100000, 1000 }, { 500, 5, 1 } };
	struct idmap map = { .uids = twice, .uids_n = 2 };
	auto_fd procfs = -1;
	pid_t pid = start_namespace();

	(void)state;
	assert_true(pid > 0);
	must_work(procfs = procfs_open(&err));
	must_fail(idmap_write(procfs, pid, &map, &err), EINVAL);
	assert_string_equal(err.what, "cannot write the user id map");
	assert_contains(err.hint, "overlap");
	for (uint32_t i = 0; i < 341; i++)
		many[i] = (struct idmap_range){ i * 2, i * 2, 1 };
	map.uids = many;
	map.uids_n = 341;
	must_fail(idmap_write(procfs, pid, &map, &err), EINVAL);
	map.uids_n = 340;
	must_work(idmap_write(procfs, pid, &map, &err));
	stop(pid);
}

static void test_makes_namespaces_that_nobody_is_in(void **state)
{
	const struct idmap_range range[] = { { 0, 1000, 10 } };
	const struct idmap map = { .uids = range, .uids_n = 1, .gids = range, .gids_n = 1 };
	const struct idmap_range zero[] = { { 0, 0, 0 } };
	const struct idmap bad = { .uids = zero, .uids_n = 1 };
	auto_fd procfs = -1, ns = -1;

	(void)state;
	must_work(procfs = procfs_open(&err));
	must_work(ns = idmap_namespace(procfs, &map, &err));
	assert_int_equal(ioctl(ns, NS_GET_NSTYPE), CLONE_NEWUSER);
	must_fail(idmap_namespace(procfs, &bad, &err), EINVAL);
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static bool become_user(void)
{
	return setgroups(0, NULL) == 0 && setresgid(1000, 1000, 1000) == 0 &&
	       setresuid(1000, 1000, 1000) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0;
}

static bool maps_own_id_only(void)
{
	const struct idmap_range own[] = { { 0, 1000, 1 } }, others[] = { { 0, 1000, 2 } };
	struct idmap map = {
		.uids = own, .uids_n = 1, .gids = own, .gids_n = 1, .deny_setgroups = true
	};
	auto_fd procfs = procfs_open(&err);

	expect(procfs >= 0 && become_user());

	pid_t pid = start_namespace();
	char name[64], text[16];

	expect(pid > 0);
	expect(idmap_write(procfs, pid, &map, &err) == 0);
	expect(has_map(procfs, pid, "uid_map", 0, 1000, 1));
	expect(has_map(procfs, pid, "gid_map", 0, 1000, 1));
	snprintf(name, sizeof(name), "%d/setgroups", pid);
	expect(procfs_read(procfs, name, text, sizeof(text)) == 4 && strcmp(text, "deny") == 0);
	stop(pid);

	pid = start_namespace();
	map.uids = others;
	expect(pid > 0);
	expect(idmap_write(procfs, pid, &map, &err) == -1 && err.errnum == EPERM);
	expect(strstr(err.hint, "newuidmap") != NULL);
	stop(pid);
	return true;
}

/* /etc/subuid and /etc/subgid are ours in this mount namespace; newuidmap(1) is the host's. */
static bool helpers_map_more(void)
{
	const struct idmap_range ranges[] = { { 0, 1000, 1 }, { 1, 100000, 65536 } };
	const struct idmap map = {
		.uids = ranges, .uids_n = 2, .gids = ranges, .gids_n = 2, .helpers = true
	};
	auto_fd procfs = procfs_open(&err);

	expect(procfs >= 0);
	write_text("/mnt/passwd", "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n");
	write_text("/mnt/subuid", "bob:300000:1000\nalice:100000:65536\n");
	expect(mount("/mnt/passwd", "/etc/passwd", NULL, MS_BIND, NULL) == 0);
	expect(mount("/mnt/subuid", "/etc/subuid", NULL, MS_BIND, NULL) == 0);
	expect(mount("/mnt/subuid", "/etc/subgid", NULL, MS_BIND, NULL) == 0);
	expect(chmod("/mnt/subuid", 0644) == 0 && chmod("/mnt/passwd", 0644) == 0);
	expect(become_user());

	pid_t pid = start_namespace();

	expect(pid > 0);
	expect(idmap_write(procfs, pid, &map, &err) == 0);
	expect(has_map(procfs, pid, "uid_map", 0, 1000, 1));
	expect(has_map(procfs, pid, "gid_map", 0, 1000, 1));
	stop(pid);

	const struct idmap_range foreign[] = { { 0, 1000, 1 }, { 1, 300000, 1000 } };
	const struct idmap more = { .uids = foreign, .uids_n = 2, .helpers = true };

	pid = start_namespace();
	expect(pid > 0);
	expect(idmap_write(procfs, pid, &more, &err) == -1);
	expect(strstr(err.what, "300000") != NULL);
	expect(strstr(err.hint, "/etc/subuid gives alice the range 100000:65536") != NULL);
	stop(pid);
	return true;
}

static void test_without_privilege(void **state)
{
	(void)state;
	in_child(maps_own_id_only);
	if (access("/usr/bin/newuidmap", X_OK) == 0)
		in_child(helpers_map_more);
	else
		puts("skipped: needs newuidmap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_writes_maps, world_fresh),
		cmocka_unit_test_setup(test_explains_bad_maps, world_fresh),
		cmocka_unit_test_setup(test_makes_namespaces_that_nobody_is_in, world_fresh),
		cmocka_unit_test_setup(test_without_privilege, world_fresh),
	};

	world_enter();
	return cmocka_run_group_tests(tests, NULL, world_leave);
}
