/* Paths in hostile root filesystems: nothing outside is ever touched, and what should work works.
 */
#include "mount_world.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/syscall.h>

#include <creel/inroot.h>

static struct error err;

/* Empty but for "." and "..". */
static void outside_is_untouched(void)
{
	DIR *dir = opendir("/mnt/outside");
	const struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n++;
	closedir(dir);
	assert_int_equal(n, 2);
}

static void test_directories_are_made(void **state)
{
	auto_fd root = open_root();
	auto_fd fd = -1;

	(void)state;
	must_work(fd = inroot_make_directory(root, "/a/./b//c/", 0755, &err));
	assert_int_equal(mode_of("/mnt/root/a/b/c"), S_IFDIR | 0755);
	assert_int_equal(mode_of("/mnt/root/a"), S_IFDIR | 0755);
	fd_close(&fd);
	must_work(fd = inroot_make_directory(root, "a/b/c", 0755, &err));
	fd_close(&fd);
	must_work(fd = inroot_make_directory(root, "/", 0755, &err));
	fd_close(&fd);
	must_work(fd = inroot_make_directory(root, "", 0755, &err));
}

static void test_links_are_followed_inside_only(void **state)
{
	auto_fd root = open_root();
	static const char *const texts[] = { "/mnt/outside", "../../outside",
					     "../../../../../mnt/outside" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		auto_fd fd = -1;

		assert_int_equal(symlink(texts[i], "/mnt/root/link"), 0);
		must_work(fd = inroot_make_directory(root, "/link/deep/er", 0755, &err));
		assert_int_equal(unlink("/mnt/root/link"), 0);
		outside_is_untouched();
	}
	assert_true(exists("/mnt/root/mnt/outside/deep/er"));
	assert_true(exists("/mnt/root/outside/deep/er"));
}

static void test_dangling_links_make_their_target(void **state)
{
	auto_fd root = open_root();
	auto_fd directory = -1, file = -1;

	(void)state;
	assert_int_equal(symlink("/run/lock", "/mnt/root/lock"), 0);
	assert_int_equal(symlink("../etc/real", "/mnt/root/conf"), 0);
	must_work(directory = inroot_make_directory(root, "/lock", 0755, &err));
	assert_true(S_ISDIR(mode_of("/mnt/root/run/lock")));
	must_work(file = inroot_make_file(root, "/conf", &err));
	assert_int_equal(mode_of("/mnt/root/etc/real"), S_IFREG | 0644);
	assert_true(S_ISLNK(mode_of("/mnt/root/conf")));
}

static void test_dots_stop_at_the_root(void **state)
{
	auto_fd root = open_root();
	auto_fd fd = -1, real = -1;

	(void)state;
	must_work(fd = inroot_make_directory(root, "/../../x/../../../y/z", 0755, &err));
	assert_true(exists("/mnt/root/y/z"));
	assert_false(exists("/mnt/y"));
	must_fail(inroot_open_real(root, "../outside", O_PATH, &err), EXDEV);
	must_work(real = inroot_open_real(root, "/y/z", O_PATH, &err));
}

static void test_loops_and_magic_end(void **state)
{
	auto_fd root = open_root();
	auto_fd host = open("/mnt/outside", O_PATH | O_CLOEXEC);
	char text[64];

	(void)state;
	assert_int_equal(symlink("b", "/mnt/root/a"), 0);
	assert_int_equal(symlink("a", "/mnt/root/b"), 0);
	must_fail(inroot_make_directory(root, "/a/x", 0755, &err), ELOOP);
	assert_int_equal(mkdir("/mnt/root/proc", 0755), 0);
	assert_int_equal(mount("proc", "/mnt/root/proc", "proc", 0, NULL), 0);
	snprintf(text, sizeof(text), "/proc/self/fd/%d", host);
	assert_int_equal(symlink(text, "/mnt/root/magic"), 0);
	must_fail(inroot_make_directory(root, "/magic/x", 0755, &err), ELOOP);
	must_fail(inroot_open(root, "/magic", O_PATH, &err), ELOOP);
	must_fail(inroot_make_file(root, "/magic/f", &err), ELOOP);
	outside_is_untouched();
	assert_int_equal(umount("/mnt/root/proc"), 0);
}

static void test_other_things_in_the_way(void **state)
{
	auto_fd root = open_root();
	auto_fd file = -1;
	char name[400];

	(void)state;
	assert_int_equal(mkfifo("/mnt/root/fifo", 0666), 0);
	write_text("/mnt/root/file", "x");
	must_fail(inroot_make_directory(root, "/fifo", 0755, &err), ENOTDIR);
	must_fail(inroot_make_directory(root, "/fifo/x", 0755, &err), ENOTDIR);
	must_fail(inroot_make_directory(root, "/file/x", 0755, &err), ENOTDIR);
	must_fail(inroot_make_file(root, "/", &err), EISDIR);
	assert_int_equal(mkdir("/mnt/root/dir", 0755), 0);
	must_fail(inroot_make_file(root, "/dir", &err), EISDIR);
	must_work(file = inroot_make_file(root, "/fifo", &err));
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	must_fail(inroot_make_directory(root, name, 0755, &err), ENAMETOOLONG);
}

static void test_real_paths_have_no_links(void **state)
{
	auto_fd root = open_root();
	auto_fd fd = -1;

	(void)state;
	assert_int_equal(mkdir("/mnt/root/real", 0755), 0);
	assert_int_equal(symlink("real", "/mnt/root/link"), 0);
	must_fail(inroot_open_real(root, "/link", O_PATH | O_DIRECTORY, &err), ELOOP);
	assert_contains(err.hint, "symbolic link");
	must_work(fd = inroot_open_real(root, "/real", O_PATH | O_DIRECTORY, &err));
}

/* What is not asked of a second node in the same directory must hold for it as well. */
static void neighbours_are_exact(int root)
{
	struct inroot_parent kept = INROOT_NO_PARENT;
	struct stat status;

	must_work(inroot_make_node(root, &kept, "/n/a", S_IFIFO | 0666, 0, 0, 0, &err));
	must_work(inroot_make_node(root, &kept, "/n/b", S_IFIFO | 0666, 0, 0, 0, &err));
	must_work(inroot_make_node(root, &kept, "/n/c", S_IFIFO | 0666, 0, 7, 8, &err));
	must_work(inroot_make_node(root, &kept, "/n/d", S_IFIFO | 0622, 0, 0, 0, &err));
	must_work(inroot_make_node(root, &kept, "/o/e", S_IFIFO | 0666, 0, 0, 0, &err));
	inroot_forget(&kept);
	assert_int_equal(mode_of("/mnt/root/n/a"), S_IFIFO | 0666);
	assert_int_equal(mode_of("/mnt/root/n/b"), S_IFIFO | 0666);
	assert_int_equal(lstat("/mnt/root/n/c", &status), 0);
	assert_int_equal(status.st_mode, S_IFIFO | 0666);
	assert_true(status.st_uid == 7 && status.st_gid == 8);
	assert_int_equal(mode_of("/mnt/root/n/d"), S_IFIFO | 0622);
	assert_int_equal(mode_of("/mnt/root/o/e"), S_IFIFO | 0666);
}

static void test_neighbours_are_exact(void **state)
{
	auto_fd root = open_root();

	(void)state;
	neighbours_are_exact(root);
}

static void test_neighbours_are_exact_whatever_the_umask(void **state)
{
	auto_fd root = open_root();

	(void)state;
	umask(077);
	neighbours_are_exact(root);
	umask(0);
}

/* What is made in the kept parent is what a lookup from the root finds; what is there, or is a
 * link, or lies on another mount, is left to that. */
static void test_children_are_made_where_their_parent_is(void **state)
{
	auto_fd root = open_root();
	struct inroot_parent kept = INROOT_NO_PARENT;
	auto_fd made = -1, next = -1, found = -1;
	struct statx a, b;

	(void)state;
	assert_int_equal(mkdir("/mnt/root/dev", 0755), 0);
	assert_false(inroot_is_in(&kept, "/dev/a"));
	made = inroot_make_child(root, &kept, "/dev/a", 0755);
	assert_true(made >= 0 && inroot_is_in(&kept, "/dev/b") && inroot_is_in(&kept, "/dev/b/"));
	assert_false(inroot_is_in(&kept, "/dev/a/b") || inroot_is_in(&kept, "/a"));
	must_work(found = inroot_open(root, "/dev/a", O_PATH, &err));
	assert_int_equal(statx(made, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &a), 0);
	assert_int_equal(statx(found, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &b), 0);
	assert_true(a.stx_ino == b.stx_ino && a.stx_mnt_id == b.stx_mnt_id);
	assert_int_equal(mode_of("/mnt/root/dev/a"), S_IFDIR | 0755);

	assert_true(inroot_make_child(root, &kept, "/dev/a", 0755) < 0 && errno == EEXIST);
	assert_int_equal(symlink("/mnt/outside/new", "/mnt/root/dev/link"), 0);
	assert_true(inroot_make_child(root, &kept, "/dev/link", 0755) < 0 && errno == EEXIST);
	assert_true(inroot_make_child(root, &kept, "/dev/..", 0755) < 0);
	assert_true(inroot_make_child(root, &kept, "/no/parent", 0755) < 0 && errno == ENOENT);
	outside_is_untouched();

	/* The kept one counts, whatever the path says by now. */
	inroot_keep(&kept, open("/mnt/root/dev/a", O_PATH | O_CLOEXEC), "/some/where/");
	assert_true(inroot_is_in(&kept, "/some/where/x") && !inroot_is_in(&kept, "/some/where"));
	next = inroot_make_child(root, &kept, "/some/where/x", 0700);
	assert_true(next >= 0);
	assert_int_equal(mode_of("/mnt/root/dev/a/x"), S_IFDIR | 0700);
	inroot_forget(&kept);
	assert_false(inroot_is_in(&kept, "/some/where/x"));
}

static void test_nodes_are_exact(void **state)
{
	auto_fd root = open_root();
	struct stat status;

	(void)state;
	must_work(
	    inroot_make_node(root, NULL, "/dev/null", S_IFCHR | 0666, makedev(1, 3), 7, 8, &err));
	assert_int_equal(lstat("/mnt/root/dev/null", &status), 0);
	assert_int_equal(status.st_mode, S_IFCHR | 0666);
	assert_int_equal(status.st_rdev, makedev(1, 3));
	assert_int_equal(status.st_uid, 7);
	assert_int_equal(status.st_gid, 8);
	must_work(inroot_make_node(root, NULL, "/dev/fifo", S_IFIFO | 0622, 0, 0, 0, &err));
	assert_int_equal(mode_of("/mnt/root/dev/fifo"), S_IFIFO | 0622);

	/* The same again is fine and changes nothing; another device is not. */
	must_work(
	    inroot_make_node(root, NULL, "/dev/null", S_IFCHR | 0600, makedev(1, 3), 0, 0, &err));
	assert_int_equal(mode_of("/mnt/root/dev/null"), S_IFCHR | 0666);
	must_fail(
	    inroot_make_node(root, NULL, "/dev/null", S_IFCHR | 0666, makedev(1, 5), 0, 0, &err),
	    EEXIST);
	assert_contains(err.what, "another character device");
	assert_int_equal(symlink("/mnt/outside/zero", "/mnt/root/dev/zero"), 0);
	must_fail(
	    inroot_make_node(root, NULL, "/dev/zero", S_IFCHR | 0666, makedev(1, 5), 0, 0, &err),
	    EEXIST);
	assert_contains(err.what, "a symbolic link");
	must_fail(inroot_make_node(root, NULL, "/..", S_IFIFO | 0666, 0, 0, 0, &err), EINVAL);
	outside_is_untouched();
}

/* CVE-2026: /dev itself is a link out of the rootfs (SECURITY W-01). */
static void test_nodes_behind_a_link_stay_inside(void **state)
{
	auto_fd root = open_root();

	(void)state;
	assert_int_equal(symlink("/mnt/outside", "/mnt/root/dev"), 0);
	must_work(
	    inroot_make_node(root, NULL, "/dev/null", S_IFCHR | 0666, makedev(1, 3), 0, 0, &err));
	must_work(inroot_make_link(root, NULL, "/dev/ptmx", "pts/ptmx", true, &err));
	outside_is_untouched();
	assert_true(exists("/mnt/root/mnt/outside/null"));
	assert_true(S_ISLNK(mode_of("/mnt/root/mnt/outside/ptmx")));
}

static void test_links(void **state)
{
	auto_fd root = open_root();
	char text[32] = "";

	(void)state;
	must_work(inroot_make_link(root, NULL, "/dev/fd", "/proc/self/fd", false, &err));
	must_work(inroot_make_link(root, NULL, "/dev/fd", "/proc/self/fd", false, &err));
	must_fail(inroot_make_link(root, NULL, "/dev/fd", "/other", false, &err), EEXIST);
	must_work(inroot_make_link(root, NULL, "/dev/fd", "/other", true, &err));
	assert_int_equal(readlink("/mnt/root/dev/fd", text, sizeof(text) - 1), 6);
	assert_string_equal(text, "/other");
	must_fail(inroot_make_link(root, NULL, "/dev", "/other", true, &err), EISDIR);
}

/* Swaps a directory and a link out of the rootfs as fast as it can, until it is killed. */
static pid_t start_swapping(const char *a, const char *b)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	for (;;)
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

/* Makes directories below /a while A and B are swapped; returns how many could not be made. */
static int make_many(const char *a, const char *b, int n)
{
	auto_fd root = open_root();
	pid_t pid = start_swapping(a, b);
	int failed = 0;

	for (int i = 0; i < n; i++) {
		char path[64];
		auto_fd fd = -1;

		snprintf(path, sizeof(path), "/a/b%d/../c%d", i % 7, i);
		err = (struct error){ 0 };
		fd = inroot_make_directory(root, path, 0755, &err);
		failed += fd < 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return failed;
}

static void test_a_race_never_leaves_the_root(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/mnt/root/a", 0755), 0);
	assert_int_equal(symlink("../../../mnt/outside", "/mnt/root/l"), 0);
	/* Most succeed, in either place inside the root; none succeeds outside. */
	assert_true(make_many("/mnt/root/a", "/mnt/root/l", 20000) < 10000);
	outside_is_untouched();
	assert_true(exists("/mnt/root/mnt/outside"));
}

/* openat2() answers EAGAIN to ".." when anything is renamed meanwhile (SECURITY H-06). */
static void test_a_race_elsewhere_does_no_harm(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/mnt/root/a", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/x", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/y", 0755), 0);
	assert_int_equal(make_many("/mnt/root/x", "/mnt/root/y", 20000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_directories_are_made, world_fresh),
		cmocka_unit_test_setup(test_links_are_followed_inside_only, world_fresh),
		cmocka_unit_test_setup(test_dangling_links_make_their_target, world_fresh),
		cmocka_unit_test_setup(test_dots_stop_at_the_root, world_fresh),
		cmocka_unit_test_setup(test_loops_and_magic_end, world_fresh),
		cmocka_unit_test_setup(test_other_things_in_the_way, world_fresh),
		cmocka_unit_test_setup(test_real_paths_have_no_links, world_fresh),
		cmocka_unit_test_setup(test_children_are_made_where_their_parent_is, world_fresh),
		cmocka_unit_test_setup(test_nodes_are_exact, world_fresh),
		cmocka_unit_test_setup(test_neighbours_are_exact, world_fresh),
		cmocka_unit_test_setup(test_neighbours_are_exact_whatever_the_umask, world_fresh),
		cmocka_unit_test_setup(test_nodes_behind_a_link_stay_inside, world_fresh),
		cmocka_unit_test_setup(test_links, world_fresh),
		cmocka_unit_test_setup(test_a_race_never_leaves_the_root, world_fresh),
		cmocka_unit_test_setup(test_a_race_elsewhere_does_no_harm, world_fresh),
	};

	world_enter();
	return cmocka_run_group_tests(tests, NULL, world_leave);
}
