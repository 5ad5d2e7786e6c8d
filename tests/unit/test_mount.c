/* Mounts in a root filesystem that may be hostile: each kind of op, what the kernel says, and that
 * nothing leaves the root. */
#include "mount_world.h"

#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <creel/mount.h>
#include <creel/procfs.h>

static struct error err;

#define OP(...) ((struct mount_op){ .tree = -1, .mounted = -1, __VA_ARGS__ })
#define OPTIONS(...)                                                                               \
	{                                                                                          \
		.items = (char **)(const char *[]){ __VA_ARGS__, NULL },                           \
		.n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)                      \
	}

static int prepare(void)
{
	int root = -1;

	must_work(root = mount_prepare_root("/mnt/root", MS_SLAVE | MS_REC, &err));
	return root;
}

static int apply(int root, struct mount_op op)
{
	auto_fd procfs = procfs_open(&err);

	if (procfs < 0 || mount_open_source(procfs, &op, AT_FDCWD, &err) < 0)
		return -1;
	if (mount_apply(root, &op, &err) < 0)
		return -1;
	return mount_finish(&op, &err);
}

static unsigned long flags_of(const char *path)
{
	struct statvfs fs;

	assert_int_equal(statvfs(path, &fs), 0);
	return fs.f_flag;
}

static bool is_writable(const char *directory)
{
	int fd = open(directory, O_TMPFILE | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* How many lines of our mount table have TEXT. */
static int mounts_with(const char *text)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096];
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return n;
}

static void test_new_filesystem(void **state)
{
	auto_fd root = prepare();

	(void)state;
	must_work(
	    apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "web", .target = "/a/b",
			   .options = OPTIONS("size=64k", "mode=1770"),
			   .set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME)));
	assert_int_equal(mode_of("/mnt/root/a/b"), S_IFDIR | 01770);
	assert_int_equal(flags_of("/mnt/root/a/b") &
			     (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME),
			 ST_NOSUID | ST_NODEV | ST_NOATIME);
	assert_int_equal(
	    mounts_with(" /mnt/root/a/b rw,nosuid,nodev,noatime - tmpfs web rw,size=64k"), 1);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .type = "mqueue", .source = "mqueue",
				 .target = "/dev/mqueue")));
	must_work(apply(
	    root, OP(.kind = MOUNT_NEW, .type = "devpts", .source = "devpts", .target = "/dev/pts",
		     .options = OPTIONS("newinstance", "ptmxmode=0666", "mode=0620", "gid=5"))));
	assert_int_equal(mode_of("/mnt/root/dev/pts/ptmx"), S_IFCHR | 0666);
}

static void test_kernel_words(void **state)
{
	auto_fd root = prepare();

	(void)state;
	must_fail(
	    apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .target = "/t", .where = "/mounts/3",
			   .options = OPTIONS("mode=755", "colour=red"),
			   .option_where = OPTIONS("/mounts/3/options/0", "/mounts/3/options/1"))),
	    EINVAL);
	assert_contains(err.what, "\"colour=red\"");
	assert_contains(err.what, "Unknown parameter 'colour'");
	assert_string_equal(err.where, "/mounts/3/options/1");

	must_fail(apply(root, OP(.kind = MOUNT_NEW, .type = "overlay", .target = "/t",
				 .where = "/mounts/3", .options = OPTIONS("lowerdir=/nowhere"))),
		  ENOENT);
	assert_string_equal(err.where, "/mounts/3");

	assert_int_equal(apply(root, OP(.kind = MOUNT_NEW, .type = "nosuchfs", .target = "/t",
					.where = "/mounts/3")),
			 -1);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	assert_contains(err.what, "nosuchfs");
}

static void test_the_root_is_refused(void **state)
{
	static const char *const targets[] = { "/", "", "/..", "/a/..", "/up", "." };
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(mkdir("/mnt/root/a", 0755), 0);
	assert_int_equal(symlink("/", "/mnt/root/up"), 0);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		err = (struct error){ 0 };
		assert_int_equal(apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs",
						.target = targets[i], .where = "/mounts/0")),
				 -1);
		assert_int_equal(err.kind, ERROR_CONFIG);
		assert_string_equal(err.where, "/mounts/0");
	}
}

static void test_nothing_covers_proc(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside",
					.target = "/proc", .where = "/mounts/0")),
			 -1);
	assert_int_equal(err.kind, ERROR_CONFIG);
	assert_contains(err.what, "not a procfs");

	err = (struct error){ 0 };
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/proc", .target = "/proc")));
	assert_int_equal(symlink("/proc/self/attr", "/mnt/root/link"), 0);
	assert_int_equal(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside",
					.target = "/link", .where = "/mounts/1")),
			 -1);
	assert_int_equal(err.kind, ERROR_CONFIG);
	assert_contains(err.what, "inside /proc");
	assert_int_equal(umount2("/mnt/root/proc", MNT_DETACH), 0);
}

static void test_binds(void **state)
{
	auto_fd root = prepare();

	(void)state;
	write_text("/mnt/outside/file", "text");
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/d/ro",
				 .set = MOUNT_ATTR_RDONLY)));
	assert_false(is_writable("/mnt/root/d/ro"));
	assert_true(is_writable("/mnt/outside"));
	must_work(apply(
	    root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside/file", .target = "/etc/hosts")));
	assert_string_equal(read_text("/mnt/root/etc/hosts"), "text");

	must_fail(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside/file", .target = "/d",
				 .where = "/mounts/1")),
		  ENOTDIR);
	assert_contains(err.what, "the source is not a directory");
	/* dockerd would take these words to be about the command. */
	assert_null(strstr(err.what, "is a directory"));
	assert_string_equal(err.where, "/mounts/1");
	must_fail(
	    apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/etc/hosts")),
	    ENOTDIR);
	assert_contains(err.what, "the target is not a directory");
	must_fail(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/none", .target = "/x",
				 .where = "/mounts/2")),
		  ENOENT);
	assert_contains(err.what, "/mnt/none");
	assert_contains(err.hint, "on the host");
	assert_string_equal(err.where, "/mounts/2/source");
}

static void test_relative_sources(void **state)
{
	auto_fd root = prepare();
	auto_fd bundle = open("/mnt", O_PATH | O_CLOEXEC);
	auto_fd procfs = procfs_open(&err);
	struct mount_op op = OP(.kind = MOUNT_BIND, .source = "outside", .target = "/here");

	(void)state;
	write_text("/mnt/outside/file", "text");
	must_work(mount_open_source(procfs, &op, bundle, &err));
	must_work(mount_apply(root, &op, &err));
	assert_int_equal(op.tree, -1);
	assert_string_equal(read_text("/mnt/root/here/file"), "text");
}

/* The directory that is kept from one mount to the next is never one that was covered since. */
static void test_mount_points_are_made_where_they_are_seen(void **state)
{
	auto_fd root = prepare();
	struct mount_op ops[] = {
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "one", .target = "/a"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "two", .target = "/a/b"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "three", .target = "/a/c"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "cover", .target = "/a/"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "four", .target = "/a/d"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "deep", .target = "/a/d/e/f"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "again", .target = "/a/d"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "last", .target = "/a/g"),
		OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "linked", .target = "/link/h"),
	};
	auto_place place = MOUNT_PLACE(root);

	(void)state;
	assert_int_equal(symlink("a", "/mnt/root/link"), 0);
	must_work(mount_apply_all(&place, ops, sizeof(ops) / sizeof(ops[0]), &err));
	assert_false(exists("/mnt/root/a/b") || exists("/mnt/root/a/c") ||
		     exists("/mnt/root/a/d/e"));
	assert_true(exists("/mnt/root/a/d") && exists("/mnt/root/a/g") && exists("/mnt/root/a/h"));
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		assert_int_equal(mounts_with(ops[i].source), 1);
	assert_int_equal(mounts_with(" /mnt/root/a/d/e/f "), 1);
	assert_int_equal(mounts_with(" /mnt/root/a/h "), 1);
	/* Without its covers the first is as it was. */
	assert_int_equal(umount2("/mnt/root/a", MNT_DETACH), 0);
	assert_true(exists("/mnt/root/a/b") && exists("/mnt/root/a/c"));
	assert_false(exists("/mnt/root/a/d") || exists("/mnt/root/a/g") || exists("/mnt/root/a/h"));
}

static void test_recursive_binds(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(mkdir("/mnt/outside/sub", 0755), 0);
	assert_int_equal(mount("sub", "/mnt/outside/sub", "tmpfs", 0, NULL), 0);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/one",
				 .set = MOUNT_ATTR_RDONLY)));
	assert_true(flags_of("/mnt/root/one/sub") & ST_RDONLY);
	must_work(
	    apply(root, OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE, .source = "/mnt/outside",
			   .target = "/two", .set = MOUNT_ATTR_RDONLY)));
	assert_false(is_writable("/mnt/root/two"));
	assert_true(is_writable("/mnt/root/two/sub"));
	must_work(apply(root, OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE,
				 .source = "/mnt/outside", .target = "/three",
				 .recursive_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME)));
	assert_false(is_writable("/mnt/root/three/sub"));
	assert_true(flags_of("/mnt/root/three/sub") & ST_NOATIME);
}

/* Any bit about access times needs them all cleared; one that is not mentioned stays. */
static void test_access_times(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(mount("x", "/mnt/outside", "tmpfs", MS_NOATIME | MS_NOEXEC, NULL), 0);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/kept",
				 .set = MOUNT_ATTR_NOSUID)));
	assert_int_equal(flags_of("/mnt/root/kept") & (ST_NOATIME | ST_NOEXEC | ST_NOSUID),
			 ST_NOATIME | ST_NOEXEC | ST_NOSUID);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/strict",
				 .set = MOUNT_ATTR_STRICTATIME)));
	assert_int_equal(flags_of("/mnt/root/strict") & (ST_NOATIME | ST_RELATIME), 0);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/atime",
				 .clear = MOUNT_ATTR_NOATIME | MOUNT_ATTR_NOEXEC)));
	assert_int_equal(flags_of("/mnt/root/atime") & (ST_NOATIME | ST_RELATIME | ST_NOEXEC),
			 ST_RELATIME);
}

static void test_hostile_targets(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(symlink("/mnt/outside", "/mnt/root/link"), 0);
	assert_int_equal(symlink("../../../../mnt/outside/file", "/mnt/root/file"), 0);
	assert_int_equal(mkfifo("/mnt/root/fifo", 0666), 0);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .target = "/link/in")));
	assert_false(exists("/mnt/outside/in"));
	assert_int_equal(mounts_with(" /mnt/root/mnt/outside/in "), 1);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/etc/passwd", .target = "/file")));
	assert_false(exists("/mnt/outside/file"));
	must_fail(apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .target = "/fifo/x")),
		  ENOTDIR);
	/* A file may be mounted on a FIFO: nobody opens it. */
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/etc/passwd", .target = "/fifo")));
}

/* As another container that shares a volume would (SECURITY W-09). */
static void test_a_race_for_the_target(void **state)
{
	auto_fd root = prepare();
	int failed = 0;

	(void)state;
	assert_int_equal(mkdir("/mnt/root/v", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/v/a", 0755), 0);
	assert_int_equal(symlink("/mnt/outside", "/mnt/root/v/l"), 0);

	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			syscall(SYS_renameat2, AT_FDCWD, "/mnt/root/v/a", AT_FDCWD, "/mnt/root/v/l",
				RENAME_EXCHANGE);
	for (int i = 0; i < 300; i++) {
		char target[32];

		snprintf(target, sizeof(target), "/v/a/d%d", i);
		failed += apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside",
					 .target = target)) < 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(failed < 300);
	assert_int_equal(mounts_with(" /mnt/outside"), 0);
	/* Only an empty directory can be removed. */
	assert_int_equal(rmdir("/mnt/outside"), 0);
}

static void test_proc_needs_a_real_directory(void **state)
{
	auto_fd root = prepare();
	struct mount_op proc = OP(.kind = MOUNT_NEW, .flags = MOUNT_REAL_TARGET, .type = "proc",
				  .source = "proc", .target = "/proc");

	(void)state;
	assert_int_equal(mkdir("/mnt/root/fake", 0755), 0);
	assert_int_equal(symlink("fake", "/mnt/root/proc"), 0);
	must_fail(mount_apply(root, &proc, &err), ENOTDIR);
	assert_contains(err.what, "must be mounted on ordinary directory");
	assert_int_equal(unlink("/mnt/root/proc"), 0);
	must_work(mount_apply(root, &proc, &err));
	assert_true(exists("/mnt/root/proc/self"));
}

/* A covered /proc may not be mounted again in a user namespace; the error lists what covers it. */
static bool covered_proc(void)
{
	expect(unshare(CLONE_NEWNS) == 0);
	expect(mount("cover", "/proc/sys", "tmpfs", 0, NULL) == 0);
	expect(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == 0);

	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int root = mount_prepare_root("/mnt/root", MS_SLAVE | MS_REC, &err);
		struct mount_op op = OP(.kind = MOUNT_NEW, .type = "proc", .target = "/proc");
		bool good = root >= 0 && mount_apply(root, &op, &err) == -1 &&
			    err.errnum == EPERM && strstr(err.what, "is covered at /proc/sys");

		if (!good)
			printf("%s; hint: %s\n", err.what, err.hint);
		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	expect(waitpid(pid, &status, 0) == pid);
	expect(status == 0);
	return true;
}

static void test_covered_proc(void **state)
{
	(void)state;
	in_child(covered_proc);
}

static void test_binds_are_slaves(void **state)
{
	auto_fd root = prepare();
	auto_fd procfs = procfs_open(&err);
	struct mount_op op = OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE,
				.source = "/mnt/outside", .target = "/slave");
	struct mount_op shared =
	    OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE, .source = "/mnt/outside",
	       .target = "/shared", .propagation = { MS_SHARED | MS_REC });
	struct mount_op private =
	    OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE, .source = "/mnt/outside",
	       .target = "/private", .propagation = { MS_PRIVATE | MS_REC });

	(void)state;
	assert_int_equal(mount("vol", "/mnt/outside", "tmpfs", 0, NULL), 0);
	assert_int_equal(mount(NULL, "/mnt/outside", NULL, MS_SHARED, NULL), 0);
	assert_int_equal(mkdir("/mnt/outside/in", 0755), 0);
	assert_int_equal(mkdir("/mnt/outside/out", 0755), 0);
	must_work(mount_open_source(procfs, &op, AT_FDCWD, &err));
	must_work(mount_open_source(procfs, &shared, AT_FDCWD, &err));
	must_work(mount_open_source(procfs, &private, AT_FDCWD, &err));
	must_work(mount_apply(root, &op, &err));
	must_work(mount_apply(root, &shared, &err));
	must_work(mount_apply(root, &private, &err));

	/* What the container mounts stays in it; what the host mounts arrives, unless it is
	 * private. */
	assert_int_equal(mount("inner", "/mnt/root/slave/in", "tmpfs", 0, NULL), 0);
	assert_int_equal(mounts_with("- tmpfs inner "), 1);
	assert_int_equal(mount("outer", "/mnt/outside/out", "tmpfs", 0, NULL), 0);
	assert_int_equal(mounts_with("- tmpfs outer "), 3);
	assert_int_equal(mounts_with(" /mnt/root/private/out "), 0);
	assert_int_equal(mount("both", "/mnt/root/shared/in", "tmpfs", 0, NULL), 0);
	assert_int_equal(mounts_with(" /mnt/outside/in "), 1);
}

static void test_tmpfs_inherits_the_mode(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(mkdir("/mnt/root/tmp", 0755), 0);
	assert_int_equal(chmod("/mnt/root/tmp", 01777), 0);
	assert_int_equal(chown("/mnt/root/tmp", 9, 9), 0);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_INHERIT_MODE, .type = "tmpfs",
				 .target = "/tmp", .options = OPTIONS("size=4k"))));
	assert_int_equal(mounts_with(" /mnt/root/tmp "), 1);
	assert_int_equal(mode_of("/mnt/root/tmp"), S_IFDIR | 01777);
	assert_int_equal(mkdir("/mnt/root/own", 0700), 0);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_INHERIT_MODE, .type = "tmpfs",
				 .target = "/own")));
	assert_int_equal(mode_of("/mnt/root/own"), S_IFDIR | 0700);
	/* What was not there has no mode to inherit. */
	must_work(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_INHERIT_MODE, .type = "tmpfs",
				 .target = "/fresh")));
	assert_int_equal(mode_of("/mnt/root/fresh"), S_IFDIR | 01777);
}

static void fill_image(void)
{
	const struct timespec times[] = { { 1000000, 5 }, { 2000000, 7 } };
	int fd;

	assert_int_equal(mkdir("/mnt/root/run", 0755), 0);
	assert_int_equal(chown("/mnt/root/run", 3, 4), 0);
	assert_int_equal(mkdir("/mnt/root/run/dir", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/run/dir/deep", 0755), 0);
	write_text("/mnt/root/run/dir/deep/file", "content");
	assert_int_equal(chown("/mnt/root/run/dir/deep/file", 11, 12), 0);
	assert_int_equal(chmod("/mnt/root/run/dir/deep/file", 04751), 0);
	assert_int_equal(setxattr("/mnt/root/run/dir/deep/file", "trusted.creel", "x", 1, 0), 0);
	assert_int_equal(chmod("/mnt/root/run/dir", 02775), 0);
	assert_int_equal(symlink("/mnt/outside/secret", "/mnt/root/run/link"), 0);
	assert_int_equal(mkfifo("/mnt/root/run/fifo", 0640), 0);
	assert_int_equal(mknod("/mnt/root/run/null", S_IFCHR | 0600, makedev(1, 3)), 0);
	write_text("/mnt/outside/secret", "secret");
	fd = open("/mnt/root/run/sparse", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "end", 3, 1 << 30), 3);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	for (int i = 0; i < 3000; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mnt/root/run/dir/many-%d", i);
		assert_int_equal(i % 100 ? mknod(path, S_IFREG | 0600, 0) : mkdir(path, 0700), 0);
	}
	assert_int_equal(utimensat(AT_FDCWD, "/mnt/root/run/dir", times, 0), 0);
}

static void test_copy_up(void **state)
{
	auto_fd root = prepare();
	struct stat status;
	char text[64] = "";

	(void)state;
	fill_image();
	assert_int_equal(mkdir("/mnt/root/run/mounted", 0755), 0);
	assert_int_equal(mount("/mnt/outside", "/mnt/root/run/mounted", NULL, MS_BIND, NULL), 0);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_COPY_UP | MOUNT_INHERIT_MODE,
				 .type = "tmpfs", .source = "copied", .target = "/run",
				 .options = OPTIONS("size=1m"), .set = MOUNT_ATTR_RDONLY)));
	assert_int_equal(mounts_with("- tmpfs copied "), 1);
	assert_false(is_writable("/mnt/root/run"));
	assert_int_equal(stat("/mnt/root/run", &status), 0);
	assert_int_equal(status.st_uid, 3);
	assert_string_equal(read_text("/mnt/root/run/dir/deep/file"), "content");
	assert_int_equal(stat("/mnt/root/run/dir/deep/file", &status), 0);
	assert_int_equal(status.st_uid, 11);
	assert_int_equal(status.st_gid, 12);
	assert_int_equal(status.st_mode, S_IFREG | 04751);
	assert_int_equal(
	    getxattr("/mnt/root/run/dir/deep/file", "trusted.creel", text, sizeof(text)), 1);
	assert_int_equal(stat("/mnt/root/run/dir", &status), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 02775);
	assert_int_equal(status.st_mtim.tv_sec, 2000000);
	assert_int_equal(readlink("/mnt/root/run/link", text, sizeof(text)), 19);
	assert_int_equal(mode_of("/mnt/root/run/fifo"), S_IFIFO | 0640);
	assert_int_equal(mode_of("/mnt/root/run/null"), S_IFCHR | 0600);
	assert_int_equal(stat("/mnt/root/run/sparse", &status), 0);
	assert_int_equal(status.st_size, (off_t)1 << 40);
	assert_true(exists("/mnt/root/run/dir/many-0") && exists("/mnt/root/run/dir/many-2999"));
	assert_true(S_ISDIR(mode_of("/mnt/root/run/dir/many-2900")));
	/* What is mounted there is not the image's. */
	assert_true(S_ISDIR(mode_of("/mnt/root/run/mounted")));
	assert_false(exists("/mnt/root/run/mounted/secret"));
}

static void test_copy_up_is_bounded(void **state)
{
	auto_fd root = prepare();
	int at = open("/mnt/root", O_PATH | O_CLOEXEC);

	(void)state;
	for (int i = 0; i < 200; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0755), 0);
		next = openat(at, "d", O_PATH | O_CLOEXEC);
		close(at);
		at = next;
	}
	close(at);
	must_fail(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_COPY_UP, .type = "tmpfs",
				 .target = "/d")),
		  ELOOP);
	assert_contains(err.what, "copying /d into its tmpfs");
	assert_int_equal(mounts_with(" /mnt/root/d "), 0);
	assert_int_equal(mkdir("/mnt/root/big", 0755), 0);
	for (int i = 0; i < 20; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mnt/root/big/%d", i);
		write_text(path, "more than nothing");
	}
	must_fail(apply(root, OP(.kind = MOUNT_NEW, .flags = MOUNT_COPY_UP, .type = "tmpfs",
				 .target = "/big", .options = OPTIONS("size=16k"))),
		  ENOSPC);
	assert_int_equal(mounts_with(" /mnt/root/big "), 0);
}

/* Forty layers: more than the 255 bytes that fsconfig(2) takes. */
static void test_long_overlay(void **state)
{
	auto_fd root = prepare();
	char option[2048] = "lowerdir=";
	char cwd[64];

	(void)state;
	for (int i = 0; i < 40; i++) {
		char path[64], file[80];

		snprintf(path, sizeof(path), "/mnt/outside/layer%02d", i);
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(file, sizeof(file), "%s/file%d", path, i);
		write_text(file, "layer");
		if (i > 0)
			strcat(option, ":");
		strcat(option, path);
	}
	assert_true(strlen(option) > 264);
	must_work(apply(root, OP(.kind = MOUNT_NEW, .type = "overlay", .source = "overlay",
				 .target = "/merged", .options = OPTIONS(option),
				 .set = MOUNT_ATTR_NOSUID, .propagation = { MS_PRIVATE })));
	assert_string_equal(read_text("/mnt/root/merged/file0"), "layer");
	assert_string_equal(read_text("/mnt/root/merged/file39"), "layer");
	assert_true(flags_of("/mnt/root/merged") & ST_NOSUID);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_string_equal(cwd, "/");
}

static void test_late_readonly(void **state)
{
	auto_fd root = prepare();
	struct mount_op op = OP(.kind = MOUNT_NEW, .flags = MOUNT_LATE_READONLY, .type = "tmpfs",
				.target = "/dev", .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);

	(void)state;
	must_work(mount_apply(root, &op, &err));
	assert_true(op.mounted >= 0);
	must_work(apply(root, OP(.kind = MOUNT_NODE, .target = "/dev/null", .mode = S_IFCHR | 0666,
				 .device = makedev(1, 3))));
	must_work(mount_finish(&op, &err));
	assert_int_equal(op.mounted, -1);
	assert_false(is_writable("/mnt/root/dev"));
	assert_true(flags_of("/mnt/root/dev") & ST_NOSUID);
	must_work(mount_finish(&op, &err));
}

static void test_remount(void **state)
{
	auto_fd root = prepare();

	(void)state;
	must_work(apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .source = "re", .target = "/t",
				 .options = OPTIONS("size=64k"), .set = MOUNT_ATTR_NOSUID)));
	must_work(apply(root, OP(.kind = MOUNT_REMOUNT, .target = "/t", .set = MOUNT_ATTR_RDONLY,
				 .clear = MOUNT_ATTR_NOSUID, .options = OPTIONS("size=128k"))));
	assert_int_equal(mounts_with("- tmpfs re rw,size=128k"), 1);
	assert_int_equal(flags_of("/mnt/root/t") & (ST_RDONLY | ST_NOSUID), ST_RDONLY);
	assert_int_equal(mkdir("/mnt/root/plain", 0755), 0);
	must_fail(apply(root, OP(.kind = MOUNT_REMOUNT, .target = "/plain",
				 .set = MOUNT_ATTR_RDONLY, .where = "/mounts/4")),
		  EINVAL);
	assert_contains(err.hint, "not a mount point");
	assert_string_equal(err.where, "/mounts/4");
}

static void test_nodes_and_links(void **state)
{
	auto_fd root = prepare();
	char text[32] = "";

	(void)state;
	must_work(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/core", .source = "/proc/kcore",
				 .flags = MOUNT_IF_TARGET_EXISTS)));
	assert_false(exists("/mnt/root/dev/core"));
	must_work(apply(root, OP(.kind = MOUNT_NEW, .type = "proc", .target = "/proc")));
	must_work(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/stdin",
				 .source = "/proc/self/fd/0", .flags = MOUNT_IF_TARGET_EXISTS)));
	assert_true(S_ISLNK(mode_of("/mnt/root/dev/stdin")));
	must_work(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/rel", .source = "../proc/self",
				 .flags = MOUNT_IF_TARGET_EXISTS)));
	assert_true(exists("/mnt/root/dev/rel"));

	/* Our defaults give way to the image, what the config asks for does not. */
	must_work(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/stdin", .source = "/other")));
	must_fail(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/stdin", .source = "/other",
				 .where = "/x")),
		  EEXIST);
	must_work(apply(root, OP(.kind = MOUNT_LINK, .target = "/dev/stdin", .source = "/other",
				 .flags = MOUNT_REPLACE)));

	assert_int_equal(symlink("any text", "/mnt/outside/link"), 0);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .flags = MOUNT_COPY_LINK,
				 .source = "/mnt/outside/link", .target = "/etc/link")));
	assert_int_equal(readlink("/mnt/root/etc/link", text, sizeof(text)), 8);
	assert_string_equal(text, "any text");
	must_work(apply(root, OP(.kind = MOUNT_BIND, .flags = MOUNT_COPY_LINK,
				 .source = "/mnt/outside", .target = "/etc/dir")));
	assert_int_equal(mounts_with(" /mnt/root/etc/dir "), 1);
}

static void test_links_that_are_not_followed(void **state)
{
	auto_fd root = prepare();

	(void)state;
	write_text("/mnt/outside/file", "text");
	write_text("/mnt/root/kept", "kept");
	assert_int_equal(symlink("kept", "/mnt/root/link"), 0);
	assert_int_equal(symlink("file", "/mnt/outside/link"), 0);
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside/link",
				 .target = "/link", .flags = MOUNT_TARGET_NOFOLLOW)));
	assert_string_equal(read_text("/mnt/root/kept"), "kept");
	assert_string_equal(read_text("/mnt/root/link"), "text");
	must_work(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside/link",
				 .target = "/bound", .flags = MOUNT_SOURCE_NOFOLLOW)));
	assert_true(S_ISLNK(mode_of("/mnt/root/bound")));
}

static void test_masks(void **state)
{
	auto_fd root = prepare();
	struct mount_masks masks = { .directory = -1, .null = -1 };
	struct mount_op op = OP(.kind = MOUNT_MASK, .where = "/linux/maskedPaths/0");
	static const char *const targets[] = { "/dir",	"/dir2",      "/file", "/file2",
					       "/none", "/file/none", "/link" };
	struct stat status;

	(void)state;
	assert_int_equal(mkdir("/mnt/root/dir", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/dir/secret", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/dir2", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/dir3", 0755), 0);
	assert_int_equal(symlink("loop", "/mnt/root/loop"), 0);
	assert_int_equal(symlink("/dir3", "/mnt/root/link"), 0);
	write_text("/mnt/root/file", "secret");
	write_text("/mnt/root/file2", "secret");

	op.target = "/file";
	must_fail(mount_mask(root, &masks, &op, &err), EBADF);
	must_work(mount_masks_open(&masks, &err));
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		op.target = targets[i];
		must_work(mount_mask(root, &masks, &op, &err));
	}
	/* As a magic link is refused, through which the container may well find something. */
	op.target = "/loop";
	must_fail(mount_mask(root, &masks, &op, &err), ELOOP);
	op.kind = MOUNT_READONLY;
	must_fail(mount_apply(root, &op, &err), ELOOP);
	mount_masks_close(&masks);
	assert_false(exists("/mnt/root/dir/secret"));
	for (int i = 0; i < 3; i++) {
		const char *const paths[] = { "/mnt/root/dir", "/mnt/root/dir2", "/mnt/root/dir3" };

		assert_int_equal(mkdir("/mnt/root/dir/x", 0755), -1);
		assert_true(flags_of(paths[i]) & ST_RDONLY);
	}
	assert_string_equal(read_text("/mnt/root/file"), "");
	assert_string_equal(read_text("/mnt/root/file2"), "");
	assert_int_equal(stat("/mnt/root/file2", &status), 0);
	assert_int_equal(status.st_rdev, makedev(1, 3));
	assert_true(flags_of("/mnt/root/file") & ST_RDONLY);
	/* One filesystem for all, and it is not a writable one when it is mounted again. */
	assert_int_equal(mount(NULL, "/mnt/root/dir", NULL, MS_REMOUNT | MS_BIND, NULL), 0);
	assert_int_equal(mkdir("/mnt/root/dir/x", 0755), -1);
	assert_int_equal(errno, EROFS);
}

static bool refuses_a_false_null(void)
{
	struct mount_masks masks = { .directory = -1, .null = -1 };

	write_text("/mnt/secret", "secret");
	expect(mount("/mnt/secret", "/dev/null", NULL, MS_BIND, NULL) == 0);
	expect(mount_masks_open(&masks, &err) == -1 && err.kind == ERROR_UNSUPPORTED);
	expect(masks.null == -1);
	expect(umount("/dev/null") == 0);
	expect(mount("/dev/zero", "/dev/null", NULL, MS_BIND, NULL) == 0);
	expect(mount_masks_open(&masks, &err) == -1 && err.kind == ERROR_UNSUPPORTED);
	return umount("/dev/null") == 0;
}

static void test_refuses_a_false_null(void **state)
{
	(void)state;
	in_child(refuses_a_false_null);
}

static void test_readonly_paths(void **state)
{
	auto_fd root = prepare();

	(void)state;
	assert_int_equal(mkdir("/mnt/root/d", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/d/sub", 0755), 0);
	assert_int_equal(mount("sub", "/mnt/root/d/sub", "tmpfs", 0, NULL), 0);
	write_text("/mnt/root/f", "x");
	must_work(apply(root, OP(.kind = MOUNT_READONLY, .target = "/d")));
	must_work(apply(root, OP(.kind = MOUNT_READONLY, .target = "/f")));
	must_work(apply(root, OP(.kind = MOUNT_READONLY, .target = "/none")));
	must_work(apply(root, OP(.kind = MOUNT_READONLY, .target = "/f/none")));
	assert_false(is_writable("/mnt/root/d"));
	assert_false(is_writable("/mnt/root/d/sub"));
	assert_int_equal(open("/mnt/root/f", O_WRONLY), -1);
	assert_int_equal(errno, EROFS);
}

/* What an outer user namespace locked cannot be cleared; what is not asked for is not touched. */
static bool locked_flags(void)
{
	expect(mount("vol", "/mnt/outside", "tmpfs", MS_RDONLY | MS_NOEXEC | MS_NOATIME, NULL) ==
	       0);
	expect(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);

	int root = mount_prepare_root("/mnt/root", MS_SLAVE | MS_REC, &err);
	struct mount_op keep =
	    OP(.kind = MOUNT_BIND, .flags = MOUNT_RECURSIVE, .source = "/mnt/outside",
	       .target = "/", .set = MOUNT_ATTR_NOSUID);
	struct mount_op clear = keep, atime = keep;
	auto_fd procfs = procfs_open(&err);

	expect(root >= 0 && procfs >= 0);
	keep.target = "/k", clear.target = "/c", atime.target = "/a";
	clear.clear = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
	atime.set = MOUNT_ATTR_STRICTATIME;
	expect(mount_open_source(procfs, &keep, AT_FDCWD, &err) == 0);
	expect(mount_open_source(procfs, &clear, AT_FDCWD, &err) == 0);
	expect(mount_open_source(procfs, &atime, AT_FDCWD, &err) == 0);
	expect(mount_apply(root, &keep, &err) == 0);
	expect(mount_apply(root, &clear, &err) == -1 && err.errnum == EPERM);
	expect(strstr(err.what, "cannot clear locked flags ro,noexec ") != NULL);
	expect(strstr(err.hint, "ro,noexec") != NULL);
	expect(mount_apply(root, &atime, &err) == -1 && err.errnum == EPERM);
	expect(strstr(err.what, "cannot change locked atime flags") != NULL);
	return true;
}

static void test_locked_flags(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/mnt/root/k", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/c", 0755), 0);
	assert_int_equal(mkdir("/mnt/root/a", 0755), 0);
	in_child(locked_flags);
}

static bool cgroup_in_namespace(void)
{
	expect(unshare(CLONE_NEWCGROUP) == 0);

	int root = mount_prepare_root("/mnt/root", MS_SLAVE | MS_REC, &err);
	struct mount_op op =
	    OP(.kind = MOUNT_CGROUP, .target = "/sys/fs/cgroup", .set = MOUNT_ATTR_NOSUID);

	expect(root >= 0 && mount_apply(root, &op, &err) == 0);
	expect(exists("/mnt/root/sys/fs/cgroup/cgroup.procs"));
	expect((flags_of("/mnt/root/sys/fs/cgroup") & (ST_RDONLY | ST_NOSUID)) == ST_NOSUID);
	struct mount_op own = OP(.kind = MOUNT_CGROUP, .flags = MOUNT_OWN_CGROUP, .target = "/own");

	expect(mount_apply(root, &own, &err) == 0);
	expect(flags_of("/mnt/root/own") & ST_RDONLY);
	return true;
}

/* Without a cgroup namespace a user namespace may not mount cgroup2: its own cgroup is bound. */
static bool cgroup_in_user_namespace(void)
{
	expect(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);

	int root = mount_prepare_root("/mnt/root", MS_SLAVE | MS_REC, &err);
	struct mount_op op =
	    OP(.kind = MOUNT_CGROUP, .flags = MOUNT_OWN_CGROUP, .target = "/cgroup");

	expect(root >= 0);
	if (mount_apply(root, &op, &err) < 0) {
		expect(err.errnum == 0);
		return false;
	}
	expect(exists("/mnt/root/cgroup/cgroup.procs"));
	expect(flags_of("/mnt/root/cgroup") & ST_RDONLY);
	return true;
}

static void test_cgroup(void **state)
{
	(void)state;
	if (mounts_with(" - cgroup2 ") == 0) {
		puts("skipped: needs cgroup2");
		return;
	}
	assert_int_equal(mkdir("/mnt/root/cgroup", 0755), 0);
	in_child(cgroup_in_namespace);
	in_child(cgroup_in_user_namespace);
}

static void test_mapped_ids(void **state)
{
	const struct idmap_range range[] = { { 0, 5000, 100 } };
	const struct idmap map = { .uids = range, .uids_n = 1, .gids = range, .gids_n = 1 };
	auto_fd root = prepare();
	struct stat status;

	(void)state;
	write_text("/mnt/outside/file", "x");
	must_work(apply(
	    root, OP(.kind = MOUNT_BIND, .source = "/mnt/outside", .target = "/m", .idmap = &map)));
	assert_int_equal(stat("/mnt/root/m/file", &status), 0);
	assert_int_equal(status.st_uid, 5000);
	must_work(
	    apply(root, OP(.kind = MOUNT_NEW, .type = "tmpfs", .target = "/n", .idmap = &map)));
	assert_int_equal(stat("/mnt/root/n", &status), 0);
	assert_int_equal(status.st_uid, 5000);

	must_fail(apply(root, OP(.kind = MOUNT_BIND, .source = "/proc/sys", .target = "/p",
				 .idmap = &map, .where = "/mounts/5")),
		  EINVAL);
	assert_contains(err.hint, "proc has no id-mapped mounts");
	assert_string_equal(err.where, "/mounts/5");
	must_fail(apply(root, OP(.kind = MOUNT_BIND, .source = "/mnt/root/m", .target = "/q",
				 .idmap = &map)),
		  EPERM);
	assert_contains(err.hint, "id-mapped mount already");
}

static bool pivots_from(const char *rootfs, unsigned long propagation, bool no_pivot)
{
	int root = mount_prepare_root(rootfs, propagation, &err);
	struct mount_op proc = OP(.kind = MOUNT_NEW, .type = "proc", .target = "/proc");

	expect(root >= 0);
	expect(mount_apply(root, &proc, &err) == 0);
	expect(mount_pivot(root, no_pivot, propagation, propagation & (MS_SHARED | MS_UNBINDABLE),
			   &err) == 0);
	expect(exists("/marker") && exists("/proc/self"));
	expect(!exists("/mnt") && !exists("/etc/passwd"));
	expect(mount_root_readonly(root, &err) == 0 && !is_writable("/"));
	return true;
}

static bool pivots(void)
{
	expect(pivots_from("/mnt/root", MS_SLAVE | MS_REC, false));
	expect(mounts_with("") == 2);
	return true;
}

static bool pivots_by_link(void)
{
	expect(symlink("root", "/mnt/link") == 0);
	return pivots_from("/mnt/link", MS_SLAVE | MS_REC, false);
}

static bool pivots_on_shared(void)
{
	expect(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == 0);
	expect(unshare(CLONE_NEWNS) == 0);
	expect(pivots_from("/mnt/root", MS_SHARED | MS_REC, false));
	expect(mounts_with(" / ro,relatime shared:") == 1 || mounts_with("shared:") >= 1);
	return true;
}

static bool pivots_with_single_propagation(void)
{
	expect(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) == 0);
	expect(unshare(CLONE_NEWNS) == 0);
	return pivots_from("/mnt/root", MS_SLAVE, false);
}

static bool pivots_unbindable(void)
{
	expect(pivots_from("/mnt/root", MS_UNBINDABLE, false));
	return mounts_with(" unbindable ") == 1;
}

static bool pivots_to_a_mount(void)
{
	expect(mount(NULL, "/mnt", NULL, MS_PRIVATE, NULL) == 0);
	expect(mount("image", "/mnt/root", "tmpfs", 0, NULL) == 0);
	expect(mount(NULL, "/mnt/root", NULL, MS_SHARED, NULL) == 0);
	write_text("/mnt/root/marker", "x");
	return pivots_from("/mnt/root", MS_SHARED, false);
}

static bool pivots_to_the_host_root(void)
{
	int root = mount_prepare_root("/", MS_SLAVE | MS_REC, &err);

	expect(root >= 0);
	expect(mount_pivot(root, false, MS_SLAVE | MS_REC, 0, &err) == 0);
	expect(exists("/mnt/root/marker") && exists("/proc/self"));
	return true;
}

static bool moves(void)
{
	expect(pivots_from("/mnt/root", MS_SLAVE | MS_REC, true));
	/* No procfs or sysfs of the host is left, even out of sight. */
	expect(mounts_with(" - sysfs ") == 0);
	expect(mounts_with(" - proc ") == 1);
	return true;
}

static bool changes_root_only(void)
{
	int root = open("/mnt/root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	expect(mount_chroot(root, &err) == 0);
	expect(exists("/marker") && !exists("/mnt"));
	return true;
}

/* The host's mounts as a process outside sees them: none may come or go. */
static void in_namespace(bool (*work)(void))
{
	int before = mounts_with("");
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		bool good = unshare(CLONE_NEWNS) == 0 && work();

		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(mounts_with(""), before);
}

static void test_new_roots(void **state)
{
	bool (*const works[])(void) = { pivots,
					pivots_by_link,
					pivots_on_shared,
					pivots_with_single_propagation,
					pivots_unbindable,
					pivots_to_a_mount,
					moves,
					changes_root_only,
					pivots_to_the_host_root };

	(void)state;
	write_text("/mnt/root/marker", "x");
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		in_namespace(works[i]);
		/* The same from a shared mount, as systemd makes the host's root. */
		assert_int_equal(mount(NULL, "/mnt", NULL, MS_SHARED, NULL), 0);
		unlink("/mnt/link");
		in_namespace(works[i]);
		assert_int_equal(mount(NULL, "/mnt", NULL, MS_PRIVATE, NULL), 0);
		unlink("/mnt/link");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, world_fresh)
	const struct CMUnitTest tests[] = {
		TEST(test_new_filesystem),
		TEST(test_kernel_words),
		TEST(test_the_root_is_refused),
		TEST(test_nothing_covers_proc),
		TEST(test_binds),
		TEST(test_relative_sources),
		TEST(test_mount_points_are_made_where_they_are_seen),
		TEST(test_recursive_binds),
		TEST(test_access_times),
		TEST(test_hostile_targets),
		TEST(test_a_race_for_the_target),
		TEST(test_proc_needs_a_real_directory),
		TEST(test_covered_proc),
		TEST(test_binds_are_slaves),
		TEST(test_tmpfs_inherits_the_mode),
		TEST(test_copy_up),
		TEST(test_copy_up_is_bounded),
		TEST(test_long_overlay),
		TEST(test_late_readonly),
		TEST(test_remount),
		TEST(test_nodes_and_links),
		TEST(test_links_that_are_not_followed),
		TEST(test_masks),
		TEST(test_refuses_a_false_null),
		TEST(test_readonly_paths),
		TEST(test_locked_flags),
		TEST(test_cgroup),
		TEST(test_mapped_ids),
		TEST(test_new_roots),
	};

	world_enter();
	return cmocka_run_group_tests(tests, NULL, world_leave);
}
