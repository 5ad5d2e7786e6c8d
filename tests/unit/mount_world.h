/* A private mount namespace with a tmpfs at /mnt, in which a test may do everything: nothing of it
 * reaches the host. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>

/* Prints the error of a call that must work. */
#define must_work(call)                                                                            \
	do {                                                                                       \
		struct error *must_err_ = &(err);                                                  \
		*must_err_ = (struct error){ 0 };                                                  \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s (errno %d) hint: %s", #call, must_err_->what,             \
				 must_err_->errnum, must_err_->hint);                              \
	} while (0)

#define must_fail(call, errnum_)                                                                   \
	do {                                                                                       \
		err = (struct error){ 0 };                                                         \
		assert_int_equal((call), -1);                                                      \
		if (err.errnum != (errnum_))                                                       \
			fail_msg("%s: %s (errno %d, not %d)", #call, err.what, err.errnum,         \
				 (errnum_));                                                       \
	} while (0)

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr((text), (part)))                                                       \
			fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                \
	} while (0)

/* For main(): says so and ends the program when it cannot work. */
static inline void world_enter(void)
{
	if (geteuid() != 0) {
		puts("skipped: needs root");
		exit(77);
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		puts("skipped: needs root with CAP_SYS_ADMIN");
		exit(77);
	}
	umask(0); /* as init's is */
}

/* cmocka's setup: a fresh tmpfs with /mnt/root and /mnt/outside. */
static inline int world_fresh(void **state)
{
	(void)state;
	umount2("/mnt", MNT_DETACH);
	if (mount("creel-test", "/mnt", "tmpfs", 0, "mode=755") < 0)
		return -1;
	if (mkdir("/mnt/root", 0755) < 0 || mkdir("/mnt/outside", 0755) < 0)
		return -1;
	return chdir("/");
}

static inline int world_leave(void **state)
{
	(void)state;
	return umount2("/mnt", MNT_DETACH);
}

static inline int open_root(void)
{
	int fd = open("/mnt/root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline const char *read_text(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : text;
}

static inline bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static inline mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode;
}

/* Runs WORK in a child process, for what cannot be undone; it returns true when all is well. */
static inline void in_child(bool (*work)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		bool good = work();

		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* For children: says what did not hold. */
#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: %s does not hold (errno %d; %s; hint: %s)\n", __FILE__,     \
			       __LINE__, #condition, errno, err.what, err.hint);                   \
			return false;                                                              \
		}                                                                                  \
	} while (0)
