/* User and group id maps: written by us or by newuidmap(1) for a process that waits in its new user
 * namespace. */
#include <creel/idmap.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/arena.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/text.h>

#include "idmap_parts.h"
#include "syscalls.h"

/* The kernel takes 340 lines (UID_GID_MAP_MAX_EXTENTS); a line is three numbers of ten digits at
 * most. */
#define LINES_MAX      340
#define LINE_SIZE      34
#define HELPER_TIME_MS 10000

struct kind {
	const char *file;   /* in /proc/PID */
	const char *helper; /* the setuid program */
	const char *table;  /* who may use which ids */
	const char *name;
};

static const struct kind kind_uid = { "uid_map", "newuidmap", "/etc/subuid", "user" };
static const struct kind kind_gid = { "gid_map", "newgidmap", "/etc/subgid", "group" };

static int explain(const struct kind *kind, const struct idmap_range *ranges, size_t n,
		   bool deny_setgroups, int errnum, struct error *err)
{
	error_coded(err, CRL_ID_MAP_REFUSED,
		    error_system(err, errnum, "cannot write the %s id map", kind->name));
	if (errnum == EINVAL)
		return error_hint(
		    err,
		    "ranges must not overlap, be empty, or end beyond 4294967295, and "
		    "no more than %d are allowed",
		    LINES_MAX);
	if (errnum == EPERM && kind == &kind_gid && !deny_setgroups && geteuid() != 0)
		return error_hint(
		    err, "without privilege a group map needs setgroups to be denied first");
	if (errnum == EPERM && geteuid() != 0)
		return error_hint(err,
				  "without privilege only the own id can be mapped; newuidmap and "
				  "newgidmap (package uidmap) map more");
	if (errnum == EPERM)
		return error_hint(err,
				  "host ids %u to %u must be mapped in our own user namespace, and "
				  "mapping takes CAP_SETUID and CAP_SETGID there",
				  n ? ranges[0].outside : 0,
				  n ? ranges[0].outside + ranges[0].size - 1 : 0);
	return -1;
}

/* One write(2): the kernel takes a map whole, and only once. */
static int write_map(int procfs, pid_t pid, const struct kind *kind,
		     const struct idmap_range *ranges, size_t n, bool deny_setgroups,
		     struct error *err)
{
	char text[LINES_MAX * LINE_SIZE], name[64];
	size_t length = 0;

	if (n == 0)
		return 0;
	if (n > LINES_MAX)
		return explain(kind, ranges, n, deny_setgroups, EINVAL, err);
	for (size_t i = 0; i < n; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%u %u %u\n",
					   ranges[i].inside, ranges[i].outside, ranges[i].size);
	snprintf(name, sizeof(name), "%d/%s", pid, kind->file);
	if (procfs_write(procfs, name, text, err) < 0)
		return explain(kind, ranges, n, deny_setgroups, err->errnum, err);
	return 0;
}

/* A fixed list: the caller's PATH must not choose what is given our process. */
static int find_helper(const struct kind *kind, struct error *err)
{
	static const char *const directories[] = { "/usr/bin",	"/bin",	 "/usr/local/bin",
						   "/usr/sbin", "/sbin", "/run/wrappers/bin" };

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%s", directories[i], kind->helper);

		int fd = open(path, O_PATH | O_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	error_coded(err, CRL_NO_SUBIDS,
		    error_unsupported(
			err, "%s is not installed, and more than the own %s id is to be mapped",
			kind->helper, kind->name));
	return error_hint(err, "install the package uidmap (shadow-utils on some systems)");
}

/* Never returns.  OUTPUT becomes stderr; the signals that our caller ignores or blocks are not the
 * helper's. */
static void run_helper(int helper, char *const *argv, int output)
{
	char *const no_environment[] = { NULL };
	sigset_t none;

	/* ^Z would stop it, and we would wait for it. */
	setpgid(0, 0);
	process_forget_signals();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
		execveat(helper, "", argv, no_environment, AT_EMPTY_PATH);
	_exit(127);
}

static int helper_failed(const struct kind *kind, int output, struct error *err)
{
	char said[160] = "", clean[160] = "", subids[128];
	ssize_t n = read(output, said, sizeof(said) - 1);

	if (n > 0 && said[n - 1] == '\n')
		said[n - 1] = '\0';
	error_clean_text(clean, sizeof(clean), said);
	idmap_describe_subids(kind->table, getuid(), subids, sizeof(subids));
	error_coded(err, CRL_ID_MAP_REFUSED,
		    error_system(err, EPERM, "cannot write the %s id map: %s", kind->name,
				 clean[0] ? clean : kind->helper));
	return error_hint(err, "%s; it must cover every id of the map but the own one", subids);
}

static int wait_helper(const struct kind *kind, pid_t pid, int output, struct error *err)
{
	auto_fd pidfd = pidfd_open(pid, 0);
	int ready = pidfd < 0 ? 1 : fd_wait(pidfd, POLLIN, HELPER_TIME_MS, err);
	int status;

	if (ready <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_system(err, errno, "cannot wait for %s", kind->helper);
	if (ready < 0)
		return -1;
	if (ready == 0)
		return error_coded(err, CRL_ID_MAP_REFUSED,
				   error_system(err, ETIMEDOUT, "%s did not end within %d seconds",
						kind->helper, HELPER_TIME_MS / 1000));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return helper_failed(kind, output, err);
	return 0;
}

static int map_by_helper(pid_t pid, const struct kind *kind, const struct idmap_range *ranges,
			 size_t n, struct error *err)
{
	auto_arena arena = { 0 };
	struct strings argv = { 0 };
	int ends[2];

	if (n == 0)
		return 0;

	auto_fd helper = find_helper(kind, err);

	if (helper < 0)
		return -1;
	strings_add(&arena, &argv, arena_strdup(&arena, kind->helper));
	strings_add(&arena, &argv, text_format(&arena, "%d", pid));
	for (size_t i = 0; i < n; i++) {
		strings_add(&arena, &argv, text_format(&arena, "%u", ranges[i].inside));
		strings_add(&arena, &argv, text_format(&arena, "%u", ranges[i].outside));
		strings_add(&arena, &argv, text_format(&arena, "%u", ranges[i].size));
	}
	/* Not blocking: a descendant of the helper could keep the pipe open for ever. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_system(err, errno, "cannot make a pipe for %s", kind->helper);

	auto_fd output = ends[0];
	auto_fd input = ends[1];
	pid_t child = fork();

	if (child < 0)
		return error_system(err, errno, "cannot start %s", kind->helper);
	if (child == 0)
		run_helper(helper, argv.items, input);
	return wait_helper(kind, child, output, err);
}

static int write_setgroups(int procfs, pid_t pid, bool deny, struct error *err)
{
	char name[64], text[16];

	snprintf(name, sizeof(name), "%d/setgroups", pid);
	/* "allow" is what a new user namespace starts with, and writing it again takes rights that
	 * it may not have. */
	if (!deny && procfs_read(procfs, name, text, sizeof(text)) > 0 && text_equal(text, "allow"))
		return 0;
	return procfs_write(procfs, name, deny ? "deny" : "allow", err);
}

int idmap_write(int procfs, pid_t pid, const struct idmap *map, struct error *err)
{
	if (map->helpers) {
		/* newgidmap itself denies setgroups when the map asks for it (shadow 4.5,
		 * CVE-2018-7169). */
		if (map->deny_setgroups && write_setgroups(procfs, pid, true, err) < 0)
			return -1;
		if (map_by_helper(pid, &kind_uid, map->uids, map->uids_n, err) < 0)
			return -1;
		return map_by_helper(pid, &kind_gid, map->gids, map->gids_n, err);
	}
	/* setgroups must be decided before gid_map: without privilege the kernel takes that map
	 * only after "deny". */
	if (write_setgroups(procfs, pid, map->deny_setgroups, err) < 0)
		return -1;
	if (write_map(procfs, pid, &kind_uid, map->uids, map->uids_n, map->deny_setgroups, err) < 0)
		return -1;
	return write_map(procfs, pid, &kind_gid, map->gids, map->gids_n, map->deny_setgroups, err);
}

/* Holds the namespace until the other end of the pipe closes, which a dying parent does too. */
static int hold(void *argument)
{
	const int *ends = argument;
	char byte;

	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	return 0;
}

/* The last component is a magic link, the one place where following one is the point; PID is our
 * own child. */
static int open_user_namespace(int procfs, pid_t pid, struct error *err)
{
	char name[32];

	snprintf(name, sizeof(name), "%d/ns", pid);

	auto_fd directory = procfs_open_file(procfs, name, O_PATH | O_DIRECTORY, err);

	if (directory < 0)
		return -1;

	int ns = openat(directory, "user", O_RDONLY | O_CLOEXEC);

	if (ns < 0)
		return error_system(err, errno,
				    "cannot open the user namespace of an id-mapped mount");
	return ns;
}

int idmap_namespace(int procfs, const struct idmap *map, struct error *err)
{
	/* It shares our memory, which costs half of what a fork does, but only ever touches this
	 * stack. */
	_Alignas(16) char stack[16384];
	int ends[2], ns = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_system(err, errno, "cannot make a pipe");

	pid_t pid = clone(hold, stack + sizeof(stack), CLONE_VM | CLONE_NEWUSER, ends);

	if (pid < 0) {
		error_system(err, errno, "cannot make a user namespace for an id-mapped mount");
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (idmap_write(procfs, pid, map, err) == 0)
		ns = open_user_namespace(procfs, pid, err);
	close(ends[1]);
	close(ends[0]);
	/* exit_signal is 0, so that no signalfd of ours sees a child that it does not know: hence
	 * __WALL. */
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return ns;
}
