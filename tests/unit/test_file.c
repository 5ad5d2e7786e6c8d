/* Files: hostile names do not block, limits hold, a replacement is atomic, a removal stays inside.
 */
#include "check.h"

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/text.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/creel-file-XXXXXX";
static int dir = -1;

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(path))
		return -1;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int remove_directory(void **state)
{
	(void)state;
	close(dir);
	return rmdir(path);
}

static void put(const char *name, const char *data, size_t size)
{
	auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static void drop(const char *name)
{
	check(unlinkat(dir, name, 0) == 0);
}

static void test_read(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	size_t size = 0;

	(void)state;
	put("f", "a\0b", 3);
	check(memcmp(file_read(&arena, dir, "f", 3, &size, &err), "a\0b", 4) == 0);
	check_int(size, 3);
	check_text(file_read(&arena, dir, "f", 100, NULL, &err), "a");
	check(!file_read(&arena, dir, "f", 2, NULL, &err));
	check(err.kind == ERROR_CONFIG);
	check_text(err.what, "f is larger than 2 bytes");
	put("f", "", 0);
	check_text(file_read(&arena, dir, "f", 0, &size, &err), "");
	check_int(size, 0);
	drop("f");
	check(!file_read(&arena, dir, "f", 2, NULL, &err));
	check(err.kind == ERROR_SYSTEM && err.errnum == ENOENT);
	check_text(err.what, "cannot open f");
}

static void test_read_refuses_what_is_no_file(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(mkfifoat(dir, "fifo", 0600) == 0);
	check(!file_read(&arena, dir, "fifo", 10, NULL, &err));
	check_text(err.what, "fifo is not a regular file");
	drop("fifo");
	check(!file_read(&arena, dir, ".", 10, NULL, &err));
	check_text(err.what, ". is not a regular file");
	check(!file_read(&arena, AT_FDCWD, "/dev/zero", 10, NULL, &err));
	check_text(err.what, "/dev/zero is not a regular file");
}

/* procfs says that its files are empty, and the pipe says nothing. */
static void test_read_of_unknown_size(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	char data[20000];
	int fds[2];
	char *text;
	size_t size;

	(void)state;
	text = file_read(&arena, AT_FDCWD, "/proc/self/status", FILE_DOCUMENT_MAX, &size, &err);
	check(text && strlen(text) == size && size > 100);
	memset(data, 'd', sizeof(data));
	check(pipe2(fds, O_CLOEXEC) == 0 && write(fds[1], data, sizeof(data)) == sizeof(data));
	close(fds[1]);
	text = file_read_fd(&arena, fds[0], FILE_DOCUMENT_MAX, &size, &err);
	check(text && size == sizeof(data) && strlen(text) == size);
	check(text[0] == 'd' && text[size - 1] == 'd');
	close(fds[0]);
}

static void test_read_fd_has_a_limit(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	auto_fd zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)state;
	check(!file_read_fd(&arena, zero, 100000, NULL, &err));
	check(err.kind == ERROR_CONFIG);
	check_text(err.what, "more than 100000 bytes");
	check(!file_read_fd(&arena, dir, 10, NULL, &err) && err.errnum == EBADF);
}

static void test_read_small(void **state)
{
	char buffer[8];

	(void)state;
	put("f", "max\n", 4);
	check_int(file_read_small(dir, "f", buffer, sizeof(buffer)), 3);
	check_text(buffer, "max");
	put("f", "1234567", 7);
	check_int(file_read_small(dir, "f", buffer, sizeof(buffer)), 7);
	check_text(buffer, "1234567");
	put("f", "12345678", 8);
	check_int(file_read_small(dir, "f", buffer, sizeof(buffer)), -1);
	check_int(errno, EFBIG);
	put("f", "", 0);
	check_int(file_read_small(dir, "f", buffer, sizeof(buffer)), 0);
	check_text(buffer, "");
	drop("f");
	check_int(file_read_small(dir, "f", buffer, sizeof(buffer)), -1);
	check_int(errno, ENOENT);
}

static void test_write_kernel(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(file_write_kernel(dir, "f", "1", &err) == -1 && err.errnum == ENOENT);
	check_text(err.call, "openat");
	put("f", "", 0);
	check(file_write_kernel(dir, "f", "max", &err) == 0);
	check_text(file_read(&arena, dir, "f", 10, NULL, &err), "max");
	check(symlinkat("f", dir, "link") == 0);
	check(file_write_kernel(dir, "link", "x", &err) == -1 && err.errnum == ELOOP);
	check(file_write_kernel(AT_FDCWD, "/dev/full", "x", &err) == -1 && err.errnum == ENOSPC);
	check_text(err.what, "cannot write \"x\" to /dev/full");
	check_text(err.call, "write");
	drop("link");
	drop("f");
}

static void test_replace(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	struct stat st;
	mode_t old = umask(077);

	(void)state;
	check(file_replace(dir, "f", "one", 3, 0644, true, &err) == 0);
	umask(old);
	check(fstatat(dir, "f", &st, 0) == 0 && (st.st_mode & 07777) == 0644);
	check(file_replace(dir, "f", "two", 3, 0600, false, &err) == 0);
	check(fstatat(dir, "f", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
	check_text(file_read(&arena, dir, "f", 10, NULL, &err), "two");
	drop("f"); /* remove_directory() proves that nothing else is left */
}

static void test_replace_over_what_a_dead_process_left(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	const char *left = text_format(&arena, ".f.%d", (int)getpid());

	(void)state;
	put("victim", "untouched", 9);
	check(symlinkat("victim", dir, left) == 0);
	check(file_replace(dir, "f", "one", 3, 0644, false, &err) == 0);
	check_text(file_read(&arena, dir, "victim", 10, NULL, &err), "untouched");
	check_text(file_read(&arena, dir, "f", 10, NULL, &err), "one");
	drop("f");
	drop("victim");
}

static void test_a_failed_replacement_leaves_nothing(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(mkdirat(dir, "f", 0700) == 0);
	check(file_replace(dir, "f", "one", 3, 0644, false, &err) == -1);
	check(err.errnum == EISDIR);
	check(unlinkat(dir, "f", AT_REMOVEDIR) == 0);
	check(file_replace(dir, "none/f", "one", 3, 0644, false, &err) == -1 &&
	      err.errnum == ENOENT);
}

static void test_replace_path(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	const char *pid_file = text_format(&arena, "%s/pid", path);
	const char *null = text_format(&arena, "%s/null", path);

	(void)state;
	put("victim", "untouched", 9);
	check(symlinkat("victim", dir, "pid") == 0);
	check(file_replace_path(pid_file, "42", 2, 0644, &err) == 0);
	check_text(file_read(&arena, dir, "victim", 10, NULL, &err), "untouched");
	check_text(file_read(&arena, dir, "pid", 10, NULL, &err), "42");
	drop("pid");
	drop("victim");

	check(mkfifoat(dir, "null", 0600) == 0);
	check(file_replace_path(null, "42", 2, 0644, &err) == -1);
	check_has(err.what, "cannot replace ");
	drop("null");
	check(file_replace_path("/nonexistent/pid", "42", 2, 0644, &err) == -1);
	check(err.errnum == ENOENT);
	check_text(err.what, "cannot open the directory of /nonexistent/pid");
	check(file_replace_path("/tmp/", "42", 2, 0644, &err) == -1);
}

static void test_replace_path_in_the_working_directory_and_in_the_root(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (chdir(path) < 0 || file_replace_path("pid", "1", 1, 0644, &err) < 0)
			_exit(1);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid && status == 0);
	check_text(file_read(&arena, dir, "pid", 10, NULL, &err), "1");
	drop("pid");
	/* "/" is the directory of "/tmp"; a directory is not replaced. */
	check(file_replace_path("/tmp", "1", 1, 0644, &err) == -1 && err.errnum == EEXIST);
}

static void test_remove_tree(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(file_remove_tree(dir, "none", &err) == 0);
	check(mkdirat(dir, "keep", 0700) == 0);
	put("keep/file", "", 0);
	check(mkdirat(dir, "t", 0700) == 0 && mkdirat(dir, "t/u", 0700) == 0);
	check(mkfifoat(dir, "t/fifo", 0600) == 0);
	put("t/u/f", "x", 1);
	put("t/.hidden", "x", 1);
	check(symlinkat("../keep", dir, "t/link") == 0);
	check(symlinkat("nowhere", dir, "t/dangling") == 0);
	check(file_remove_tree(dir, "t", &err) == 0);
	check(faccessat(dir, "t", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
	check(faccessat(dir, "keep/file", F_OK, 0) == 0);
	check(symlinkat("keep", dir, "link") == 0);
	check(file_remove_tree(dir, "link", &err) == 0);
	check(faccessat(dir, "keep/file", F_OK, 0) == 0);
	check(file_remove_tree(dir, "keep", &err) == 0);
	check(file_remove_tree(dir, "..", &err) == -1);
}

/* Binds KEEP on a directory inside the tree, in a mount namespace of its own, and removes the tree.
 */
static int remove_around_a_mount(void)
{
	struct error err = { .kind = ERROR_NONE };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	if (fchdir(open(path, O_PATH | O_DIRECTORY)) < 0 ||
	    mount("keep", "t/m", NULL, MS_BIND, NULL) < 0)
		return 1;
	if (file_remove_tree(AT_FDCWD, "t", &err) == 0 || err.errnum != EXDEV)
		return 2;
	return access("keep/file", F_OK) == 0 ? 0 : 3;
}

static void test_remove_tree_stops_at_mounts(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	int status = 0;
	pid_t pid;

	(void)state;
	check(mkdirat(dir, "keep", 0700) == 0 && mkdirat(dir, "t", 0700) == 0);
	check(mkdirat(dir, "t/m", 0700) == 0);
	put("keep/file", "", 0);
	pid = fork();
	if (pid == 0)
		_exit(remove_around_a_mount());
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	check(file_remove_tree(dir, "t", &err) == 0 && file_remove_tree(dir, "keep", &err) == 0);
	if (WEXITSTATUS(status) == 77)
		skip(); /* needs a mount namespace, which not every user may have */
	check_int(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_refuses_what_is_no_file),
		cmocka_unit_test(test_read_of_unknown_size),
		cmocka_unit_test(test_read_fd_has_a_limit),
		cmocka_unit_test(test_read_small),
		cmocka_unit_test(test_write_kernel),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_replace_over_what_a_dead_process_left),
		cmocka_unit_test(test_a_failed_replacement_leaves_nothing),
		cmocka_unit_test(test_replace_path),
		cmocka_unit_test(test_replace_path_in_the_working_directory_and_in_the_root),
		cmocka_unit_test(test_remove_tree),
		cmocka_unit_test(test_remove_tree_stops_at_mounts),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
