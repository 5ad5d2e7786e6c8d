/*
 * Removing a cgroup with all below it.  What is below was made by the container: the names, the
 * depth and the number are hostile, so there is no recursion, one directory is open at a time, and
 * there is an end to it.
 */
#include <creel/cgroup.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <creel/error.h>
#include <creel/fd.h>

#include "syscalls.h"

enum {
	/* No engine makes so many cgroups for one container (SECURITY H-39). */
	STEPS_MAX = 1000000,
	BACKOFF_MAX_MS = 64,
};

struct removal {
	int64_t deadline;
	size_t steps;
	int backoff_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int remove_directory(int dir, const char *name)
{
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

/*
 * Removes NAME, which has no cgroups below it, from DIR.  It stays busy for a moment after its last
 * process: an exit is finished by RCU and workers.  Returns the last errno; 0 also when somebody
 * else was faster.
 */
static int remove_leaf(struct removal *removal, int dir, const char *name)
{
	for (;;) {
		int errnum = remove_directory(dir, name);
		struct timespec pause = { .tv_nsec = removal->backoff_ms * 1000000L };

		if (errnum == 0 || errnum == ENOENT || errnum == ENODEV)
			return 0;
		if (errnum != EBUSY || now_ms() >= removal->deadline)
			return errnum;
		nanosleep(&pause, NULL);
		if (removal->backoff_ms < BACKOFF_MAX_MS)
			removal->backoff_ms *= 2;
	}
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

#define auto_directory cleanup_with(close_directory) DIR

/* Opens NAME in *AT (or in DIR if *AT is NULL) and takes its place; 0 or an errno. */
static int move_to(DIR **at, int dir, const char *name, uint64_t resolve)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV | resolve,
	};
	auto_fd fd = sys_openat2(*at ? dirfd(*at) : dir, name, &how);
	DIR *opened;

	if (fd < 0)
		return errno;
	opened = fdopendir(fd);
	if (!opened)
		return errno;
	fd = -1; /* the stream owns it now */
	close_directory(at);
	*at = opened;
	return 0;
}

/*
 * Removes the children of *AT that have no children, until there are none (*CHILD is "") or one is
 * busy, which is then in CHILD: it has children or processes.
 */
static int remove_children(DIR *at, char child[NAME_MAX + 1], struct removal *removal)
{
	child[0] = '\0';
	for (const struct dirent *entry = readdir(at); entry; entry = readdir(at)) {
		int errnum;

		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		if (++removal->steps > STEPS_MAX)
			return EOVERFLOW;
		errnum = remove_directory(dirfd(at), entry->d_name);
		if (errnum == EBUSY || errnum == ENOTEMPTY) {
			snprintf(child, NAME_MAX + 1, "%s", entry->d_name);
			return 0;
		}
		if (errnum && errnum != ENOENT && errnum != ENODEV)
			return errnum;
	}
	return 0;
}

/*
 * Removes all that is below NAME in DIR, deepest first.  There is no memory of the way: it goes
 * down into whatever is busy, and up by ".." (which is safe here: nothing is ever renamed in
 * cgroup2), where it starts reading again; what was removed is no longer met.
 */
static int remove_below(struct removal *removal, int dir, const char *name)
{
	auto_directory *at = NULL;
	char child[NAME_MAX + 1];
	char entered[NAME_MAX + 1] = ""; /* the name of AT, if we came down into it last */
	size_t depth = 0;
	int errnum = move_to(&at, dir, name, RESOLVE_BENEATH);

	while (!errnum && at) {
		errnum = remove_children(at, child, removal);
		if (errnum)
			break;
		if (child[0]) {
			errnum = move_to(&at, -1, child, RESOLVE_BENEATH);
			if (errnum == 0) {
				memcpy(entered, child, sizeof(entered));
				depth++;
			} else if (errnum == ENOENT) {
				errnum = 0;
			}
			continue;
		}
		if (depth-- == 0)
			return 0;
		errnum = move_to(&at, -1, "..", 0);
		/* It was busy, and has nothing below it: it had processes. */
		if (!errnum && entered[0])
			errnum = remove_leaf(removal, dirfd(at), entered);
		entered[0] = '\0';
	}
	return errnum == ENOENT || errnum == ENODEV ? 0 : errnum;
}

static int explain(int root, const char *path, int errnum, struct error *err)
{
	struct error dropped = { 0 };
	auto_fd fd = cgroup_open(root, path, &dropped);
	char text[256] = "";

	error_coded(err, CRL_CGROUP,
		    error_system(err, errnum, "cannot remove the cgroup %s", path));
	error_call(err, "rmdir");
	if (fd < 0) {
		error_ignore(&dropped, "names only help a message");
		return -1;
	}
	cgroup_describe(fd, text, sizeof(text));
	if (errnum == EOVERFLOW)
		return error_hint(err, "more than %d cgroups are below it; deleting again goes on",
				  STEPS_MAX);
	if (text[0])
		return error_hint(err, "it is used by: %s", text);
	if (errnum == EACCES || errnum == EPERM)
		return error_hint(err, "its parent is not delegated to this user");
	return -1;
}

/* The parent of PATH, for which *OPENED may have to be opened, and in *NAME the last component; -1
 * with errno in ERR. */
static int find_parent(int root, const char *path, const char **name, int *opened,
		       struct error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	/* The other components are cgroup_open()'s to judge. */
	if (strlen(path) >= PATH_MAX || !slash || !slash[1] || !strcmp(slash, "/.") ||
	    !strcmp(slash, "/.."))
		return error_config(err, NULL,
				    "\"%.64s\" is no path of a cgroup that can be removed", path);
	*name = slash + 1;
	if (slash == path)
		return root;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	*opened = cgroup_open(root, parent, err);
	return *opened;
}

/* Removes the empty cgroup PATH: 1 removed or gone already, 0 others use it by now. */
static int remove_parent(int root, const char *path, struct error *err)
{
	const char *name = "";
	auto_fd opened = -1;
	int parent = find_parent(root, path, &name, &opened, err);
	int errnum;

	if (parent < 0) {
		if (err->kind != ERROR_SYSTEM || err->errnum != ENOENT)
			return -1;
		error_ignore(err, "a cgroup whose parent is gone is gone");
		return 1;
	}
	errnum = remove_directory(parent, name);
	if (errnum == EBUSY || errnum == ENOTEMPTY)
		return 0;
	return !errnum || errnum == ENOENT || errnum == ENODEV ? 1
							       : explain(root, path, errnum, err);
}

/* Removes up to N parents of PATH, as long as they are empty.  One that is gone does not end it: a
 * removal that was killed half-way may have left those above. */
static int remove_parents(int root, const char *path, size_t n, struct error *err)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	while (n-- > 0) {
		char *slash = strrchr(copy, '/');
		int removed;

		if (!slash || slash == copy)
			return 0;
		*slash = '\0';
		removed = remove_parent(root, copy, err);
		if (removed <= 0)
			return removed;
	}
	return 0;
}

bool cgroup_remove_empty(int root, const char *path)
{
	struct error dropped = { 0 };
	const char *name = "";
	auto_fd opened = -1;
	int parent = find_parent(root, path, &name, &opened, &dropped);

	if (parent < 0)
		error_ignore(&dropped, "who has to remove it finds out");
	return parent >= 0 && remove_directory(parent, name) == 0;
}

int cgroup_remove(int root, const char *path, size_t made, int timeout_ms, struct error *err)
{
	struct removal removal = { .deadline = now_ms() + timeout_ms, .backoff_ms = 1 };
	const char *name = "";
	auto_fd opened = -1;
	int parent = find_parent(root, path, &name, &opened, err);
	int errnum;

	if (parent < 0) {
		if (err->kind != ERROR_SYSTEM || err->errnum != ENOENT)
			return -1;
		error_ignore(err, "a cgroup whose parent is gone is gone");
	}
	errnum = parent < 0 ? ENOENT : remove_directory(parent, name);
	/* Said before anybody looks for it. */
	if (errnum == EROFS && faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		errnum = errno;
	if (errnum == EBUSY || errnum == ENOTEMPTY) {
		errnum = remove_below(&removal, parent, name);
		if (!errnum)
			errnum = remove_leaf(&removal, parent, name);
	}
	if (errnum && errnum != ENOENT && errnum != ENODEV)
		return explain(root, path, errnum, err);
	return made > 1 ? remove_parents(root, path, made - 1, err) : 0;
}
