/* The processes of a cgroup: listing, freezing and killing them, and waiting until the kernel says
 * that it is done. */
#include <creel/cgroup.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/process.h>
#include <creel/procfs.h>

#include "syscalls.h"

enum {
	EVENTS_SIZE = 256,
	/* How often a wait for the freezer looks whether another command was later. */
	LOOK_MS = 50,
	/* Four million pids (the kernel's limit) of seven digits and a newline. */
	PROCS_MAX = 32 << 20,
	/* What is named in a message. */
	NAMED_MAX = 5,
	/* How deep and how wide a tree is followed: its shape is up to the container. */
	WALK_DEPTH_MAX = 65536,
	WALK_MAX = 1000000,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENODEV;
}

/* Whether the open cgroup.events says KEY WANTED ("populated 0"); -1 with errno. */
static int has_event(int events, const char *key, bool wanted)
{
	char text[EVENTS_SIZE];
	ssize_t length = pread(events, text, sizeof(text) - 1, 0);
	const char *at;

	if (length < 0)
		return -1;
	text[length] = '\0';
	at = strstr(text, key);
	return at && at[strlen(key)] == ' ' && at[strlen(key) + 1] == (wanted ? '1' : '0');
}

/*
 * Waits until cgroup.events says KEY WANTED: 1, or 0 after TIMEOUT_MS, or -1 with errno in ERR. The
 * kernel announces a change at most every 10 ms, so that the second change of a container that
 * lived for 2 ms would be heard of 8 ms late: the first waits are short and look for themselves.
 */
static int wait_event(int fd, const char *key, bool wanted, int timeout_ms, struct error *err)
{
	auto_fd events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t deadline = now_ms() + timeout_ms;

	if (events < 0)
		return error_system(err, errno, "cannot open cgroup.events");
	for (int step = 1;; step = step < 64 ? step * 2 : 64) {
		int done = has_event(events, key, wanted);
		int64_t left = deadline - now_ms();

		if (done < 0)
			return error_system(err, errno, "cannot read cgroup.events");
		if (done || left <= 0)
			return done;
		if (fd_wait(events, POLLPRI, left < step ? (int)left : step, err) < 0)
			return -1;
	}
}

/* The pids of one cgroup are appended to *PIDS. */
struct pid_list {
	struct arena *arena;
	pid_t *items;
	size_t n, room;
};

static void add_pid(struct pid_list *list, pid_t pid)
{
	if (list->n == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		pid_t *items = arena_array(list->arena, room, sizeof(*items));

		if (list->n > 0)
			memcpy(items, list->items, list->n * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	list->items[list->n++] = pid;
}

static int add_procs(int fd, struct pid_list *list, struct error *err)
{
	auto_arena arena = { 0 };
	auto_fd procs = openat(fd, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *text;

	if (procs < 0) {
		int errnum = errno;

		return is_gone(errnum) ? 0 : error_system(err, errnum, "cannot open cgroup.procs");
	}
	text = file_read_fd(&arena, procs, PROCS_MAX, NULL, err);
	if (!text) {
		/* In a threaded cgroup the domain above lists the processes. */
		if (err->errnum != EOPNOTSUPP && !is_gone(err->errnum))
			return error_while(err, "cannot read cgroup.procs");
		error_ignore(err, "the processes are listed elsewhere, or gone");
		return 0;
	}
	while (*text) {
		char *end;
		long pid = strtol(text, &end, 10);

		if (end == text)
			break;
		/* 0 is a process that our pid namespace does not see. */
		if (pid > 0)
			add_pid(list, (pid_t)pid);
		text = end + (*end == '\n');
	}
	return 0;
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

#define auto_directory cleanup_with(close_directory) DIR

/* The next child cgroup of DIRECTORY, or NULL. */
static const char *next_child(DIR *directory)
{
	for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	}
	return NULL;
}

/*
 * Opens NAME in DIRECTORY (a child, or ".." which cannot leave the hierarchy: nothing is ever
 * renamed in it) and takes its place.  The container may make a tree deeper than our limit of open
 * files, so that only one level is open at a time.
 */
static bool move_to(DIR **directory, const char *name)
{
	auto_fd fd =
	    openat(dirfd(*directory), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *opened;

	if (fd < 0)
		return false;
	opened = fdopendir(fd);
	if (!opened)
		return false;
	fd = -1; /* the stream owns it now */
	close_directory(directory);
	*directory = opened;
	return true;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Sorts and makes unique: a process that moves while we look is found twice. */
static void tidy(struct pid_list *list)
{
	size_t n = 0;

	if (list->n > 0)
		qsort(list->items, list->n, sizeof(*list->items), compare_pids);
	for (size_t i = 0; i < list->n; i++) {
		if (n == 0 || list->items[n - 1] != list->items[i])
			list->items[n++] = list->items[i];
	}
	list->n = n;
}

static int walk(int fd, struct pid_list *list, struct error *err)
{
	auto_arena arena = { 0 };
	auto_fd copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_directory *at = copy < 0 ? NULL : fdopendir(copy);
	long *places = NULL; /* where to go on reading in each level above */
	size_t depth = 0, room = 0;

	if (!at) {
		int errnum = errno;

		return is_gone(errnum) ? 0 : error_system(err, errnum, "cannot list the cgroup");
	}
	copy = -1; /* the stream owns it now */
	if (add_procs(fd, list, err) < 0)
		return -1;
	for (size_t steps = 0; steps < WALK_MAX; steps++) {
		const char *child = next_child(at);
		long place = telldir(at);

		if (!child && depth == 0)
			return 0;
		if (!child) {
			if (!move_to(&at, ".."))
				return error_system(err, errno, "cannot list the cgroup");
			seekdir(at, places[--depth]);
			continue;
		}
		/* One that vanishes meanwhile has no processes any more. */
		if (depth == WALK_DEPTH_MAX || !move_to(&at, child))
			continue;
		if (depth == room) {
			long *more = arena_array(&arena, room ? room * 2 : 64, sizeof(*more));

			if (room > 0)
				memcpy(more, places, room * sizeof(*more));
			room = room ? room * 2 : 64;
			places = more;
		}
		places[depth++] = place;
		if (add_procs(dirfd(at), list, err) < 0)
			return -1;
	}
	return error_system(err, EOVERFLOW, "cannot list the cgroup: more than %d are below it",
			    WALK_MAX);
}

int cgroup_pids(struct arena *arena, int fd, pid_t **pids, size_t *n, struct error *err)
{
	struct pid_list list = { .arena = arena };

	*pids = NULL;
	*n = 0;
	if (walk(fd, &list, err) < 0)
		return -1;
	tidy(&list);
	*pids = list.items;
	*n = list.n;
	return 0;
}

/* Describes the processes of the cgroup for which IS_MEANT (NULL: all). */
static void describe(int fd, bool (*is_meant)(const char *described), char *text, size_t size)
{
	auto_arena arena = { 0 };
	struct error dropped = { 0 };
	auto_fd procfs = procfs_open(&dropped);
	size_t n = 0, named = 0, meant = 0, length = 0;
	pid_t *pids = NULL;

	text[0] = '\0';
	if (procfs < 0 || cgroup_pids(&arena, fd, &pids, &n, &dropped) < 0) {
		error_ignore(&dropped, "names only help a message");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char name[64];

		process_describe(procfs, pids[i], name, sizeof(name));
		if (is_meant && !is_meant(name))
			continue;
		meant++;
		if (named == NAMED_MAX || length >= size)
			continue;
		length += (size_t)snprintf(text + length, size - length, "%s%d %s",
					   named ? ", " : "", pids[i], name);
		named++;
	}
	if (meant > named && length < size)
		snprintf(text + length, size - length, " and %zu more", meant - named);
}

void cgroup_describe(int fd, char *text, size_t size)
{
	describe(fd, NULL, text, size);
}

/* A frozen task of version 2 waits in the kernel's do_freezer_trap(), which a compiler may have
 * made a part of get_signal(). */
static bool is_not_frozen(const char *described)
{
	return !strstr(described, "(do_freezer_trap)") && !strstr(described, "(get_signal)");
}

/* A freeze that is reported as failed must not happen after all. */
static void thaw_again(int fd)
{
	struct error dropped = { 0 };

	if (file_write_kernel(fd, "cgroup.freeze", "0", &dropped) < 0)
		error_ignore(&dropped, "the failure to freeze is the one to report");
}

static int explain_freeze(int fd, bool frozen, int timeout_ms, struct error *err)
{
	char text[256];

	if (!frozen) {
		error_coded(err, CRL_CGROUP_WAIT,
			    error_system(err, ETIMEDOUT, "the cgroup is still frozen after %d ms",
					 timeout_ms));
		return error_hint(err, "a parent of it is frozen: see its cgroup.freeze");
	}
	describe(fd, is_not_frozen, text, sizeof(text));
	thaw_again(fd);
	error_coded(
	    err, CRL_CGROUP_WAIT,
	    error_system(err, ETIMEDOUT, "the cgroup did not freeze within %d ms", timeout_ms));
	return error_hint(err, "it is thawed again; not frozen: %s",
			  text[0] ? text : "(none is left)");
}

/*
 * 1, 0 after TIMEOUT_MS, or -1.  When somebody else has asked for the opposite since, it will never
 * be as we want it, and it is as if it had been for a moment.
 */
static int wait_frozen(int fd, bool frozen, int timeout_ms, struct error *err)
{
	int64_t deadline = now_ms() + timeout_ms;

	for (;;) {
		int64_t left = deadline - now_ms();
		int done =
		    wait_event(fd, "frozen", frozen, left < LOOK_MS ? (int)left : LOOK_MS, err);

		if (done || left <= LOOK_MS)
			return done;
		if (cgroup_is_frozen(fd) == !frozen)
			return 1;
	}
}

int cgroup_freeze(int fd, bool frozen, int timeout_ms, struct error *err)
{
	int done;

	if (file_write_kernel(fd, "cgroup.freeze", frozen ? "1" : "0", err) < 0)
		return error_while(err, "cannot %s the cgroup", frozen ? "freeze" : "thaw");
	done = wait_frozen(fd, frozen, timeout_ms, err);
	if (done < 0 && frozen)
		thaw_again(fd);
	if (done < 0)
		return error_while(err, "cannot %s the cgroup", frozen ? "freeze" : "thaw");
	return done ? 0 : explain_freeze(fd, frozen, timeout_ms, err);
}

static int explain_kill(int fd, int timeout_ms, struct error *err)
{
	char text[256];

	cgroup_describe(fd, text, sizeof(text));
	error_coded(
	    err, CRL_CGROUP_WAIT,
	    error_system(err, ETIMEDOUT,
			 "the processes of the cgroup are not gone %d ms after they were killed",
			 timeout_ms));
	return error_hint(
	    err, "left are: %s; a process that waits in the kernel dies when its wait ends",
	    text[0] ? text : "processes outside our pid namespace");
}

int cgroup_kill(int fd, int timeout_ms, struct error *err)
{
	struct error dropped = { 0 };
	int populated = cgroup_is_populated(fd);
	int done;

	if (populated < 0) {
		int errnum = errno;

		return is_gone(errnum) ? 0 : error_system(err, errnum, "cannot read cgroup.events");
	}
	if (!populated)
		return 0;
	/* Since Linux 5.14; a fork that is under way dies too, which no loop over pids can promise.
	 */
	if (file_write_kernel(fd, "cgroup.kill", "1", err) < 0) {
		if (!is_gone(err->errnum))
			return error_while(err, "cannot kill the processes of the cgroup");
		error_ignore(err, "a cgroup that is gone has no processes");
		return 0;
	}
	/* SIGKILL wakes frozen tasks; the thaw is for those that stop in the freezer on their way
	 * out. */
	if (cgroup_is_frozen(fd) == 1 && file_write_kernel(fd, "cgroup.freeze", "0", &dropped) < 0)
		error_ignore(&dropped, "killing works on a frozen cgroup too");
	done = wait_event(fd, "populated", false, timeout_ms, err);
	if (done < 0) {
		if (!is_gone(err->errnum))
			return -1;
		error_ignore(err, "a cgroup that is gone has no processes");
		return 0;
	}
	return done ? 0 : explain_kill(fd, timeout_ms, err);
}
