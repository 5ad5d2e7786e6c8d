/* Controllers: which ones a cgroup needs, and enabling them in its parents from the root down. */
#include <creel/cgroup.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>

enum {
	/* Linux has 13 controllers in version 2, and its subsystem ids fit 16 bits. */
	WANTED_MAX = 16,
	NAMES_SIZE = 1024,
};

struct wanted {
	struct {
		const char *name;
		const char *where; /* of the first write that needs it */
		bool is_needed;
	} items[WANTED_MAX];
	size_t n;
};

static int want(struct wanted *wanted, const struct cgroup_write *write, struct error *err)
{
	bool is_needed = !(write->flags & CGROUP_MISSING_IS_FINE);
	size_t i = 0;

	while (i < wanted->n && !text_equal(wanted->items[i].name, write->controller))
		i++;
	if (i == WANTED_MAX) {
		error_coded(
		    err, CRL_NO_CONTROLLER,
		    error_unsupported(err, "the cgroup controller %s is not known to this kernel",
				      write->controller));
		return error_at(err, write->where);
	}
	if (i == wanted->n)
		wanted->items[wanted->n++].name = write->controller;
	if (is_needed && !wanted->items[i].is_needed) {
		wanted->items[i].is_needed = true;
		wanted->items[i].where = write->where;
	}
	return 0;
}

/* Whether the blank-separated LIST has the word NAME. */
static bool has_word(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
		if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
			return true;
	}
	return false;
}

static void forget(struct wanted *wanted, size_t i)
{
	log_debug("the cgroup controller %s is not available; going on without it",
		  wanted->items[i].name);
	wanted->items[i] = wanted->items[--wanted->n];
}

/* All that is wanted must be offered by the cgroup AT, named PATH; what is merely welcome is
 * forgotten. */
static int check_offered(int at, const char *path, struct wanted *wanted, struct error *err)
{
	char offered[NAMES_SIZE];

	if (file_read_small(at, "cgroup.controllers", offered, sizeof(offered)) < 0)
		return error_coded(
		    err, CRL_CGROUP,
		    error_system(err, errno, "cannot read the controllers of the cgroup %s", path));
	for (size_t i = 0; i < wanted->n;) {
		const char *name = wanted->items[i].name;

		if (has_word(offered, name)) {
			i++;
			continue;
		}
		if (!wanted->items[i].is_needed) {
			forget(wanted, i);
			continue;
		}
		error_coded(err, CRL_NO_CONTROLLER,
			    error_unsupported(
				err, "the cgroup controller %s is not available in the cgroup %s",
				name, path));
		error_at(err, wanted->items[i].where);
		if (text_equal(path, "/"))
			return error_hint(
			    err,
			    "the hierarchy offers: %s; a controller may be in use by cgroup "
			    "version 1, or disabled in this kernel (cgroup_disable=)",
			    offered[0] ? offered : "none");
		return error_hint(
		    err,
		    "enable it in the cgroup.subtree_control of every parent, or have "
		    "it delegated (systemd: Delegate=%s)",
		    name);
	}
	return 0;
}

static int explain(int at, const char *path, const char *name, const char *where, struct error *err)
{
	int errnum = err->errnum;
	char text[200];

	error_system(err, errnum, "cannot enable the cgroup controller %s in the cgroup %s", name,
		     path);
	error_at(err, where);
	error_call(err, "write");
	error_code(err, errnum == EACCES || errnum == EPERM ? CRL_CGROUP_DELEGATION
							    : CRL_CGROUP_CONTROL);
	if (errnum == EBUSY) {
		cgroup_describe(at, text, sizeof(text));
		return error_hint(
		    err,
		    "a cgroup that holds processes cannot have children with controllers: "
		    "move these away first: %s",
		    text);
	}
	if (errnum == EACCES || errnum == EPERM)
		return error_hint(
		    err, "the cgroup is not delegated to this user (systemd: Delegate=%s)", name);
	if (errnum == EOPNOTSUPP || errnum == EINVAL)
		return error_hint(err,
				  "the cgroup is threaded, or realtime processes are in the way "
				  "of the cpu controller");
	return -1;
}

/* Enables the controllers one by one: to find the one that cannot be had, or to have the others
 * without it. */
static int enable_each(int at, const char *path, const char *enabled, struct wanted *wanted,
		       struct error *err)
{
	for (size_t i = 0; i < wanted->n;) {
		char text[64];

		snprintf(text, sizeof(text), "+%s", wanted->items[i].name);
		if (has_word(enabled, wanted->items[i].name) ||
		    file_write_kernel(at, "cgroup.subtree_control", text, err) == 0) {
			i++;
			continue;
		}
		if (wanted->items[i].is_needed)
			return explain(at, path, wanted->items[i].name, wanted->items[i].where,
				       err);
		error_ignore(err, "the controller is welcome, but not needed");
		forget(wanted, i);
	}
	return 0;
}

/* Whether the cgroup holds processes itself.  The root may, and is known by having no type. */
static bool is_inhabited(int at)
{
	auto_fd procs = openat(at, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char byte;

	return faccessat(at, "cgroup.type", F_OK, 0) == 0 && procs >= 0 &&
	       read(procs, &byte, 1) == 1;
}

/*
 * The kernel itself refuses memory and the like with EBUSY where there are processes, but lets
 * cpu and pids in: then children can be threads of these processes only, and nothing can be born
 * in them.
 */
static int enable_inhabited(int at, const char *path, const char *enabled, struct wanted *wanted,
			    struct error *err)
{
	for (size_t i = 0; i < wanted->n;) {
		if (has_word(enabled, wanted->items[i].name)) {
			i++;
		} else if (wanted->items[i].is_needed) {
			error_system(err, EBUSY, "there are processes");
			return explain(at, path, wanted->items[i].name, wanted->items[i].where,
				       err);
		} else {
			forget(wanted, i);
		}
	}
	return 0;
}

/* Enables WANTED for the children of the cgroup AT. */
static int enable_in(int at, const char *path, struct wanted *wanted, struct error *err)
{
	char enabled[NAMES_SIZE], text[NAMES_SIZE] = "";
	size_t length = 0;

	if (file_read_small(at, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0)
		return error_coded(
		    err, CRL_CGROUP,
		    error_system(err, errno, "cannot read cgroup.subtree_control of the cgroup %s",
				 path));
	for (size_t i = 0; i < wanted->n; i++) {
		const char *name = wanted->items[i].name;

		if (has_word(enabled, name) || length + strlen(name) + 3 > sizeof(text))
			continue;
		length += (size_t)snprintf(text + length, sizeof(text) - length, " +%s", name);
	}
	if (!length)
		return 0;
	if (check_offered(at, path, wanted, err) < 0)
		return -1;
	if (is_inhabited(at))
		return enable_inhabited(at, path, enabled, wanted, err);
	/* One write for all: each one waits for RCU in the kernel. */
	if (file_write_kernel(at, "cgroup.subtree_control", text, err) == 0)
		return 0;
	return enable_each(at, path, enabled, wanted, err);
}

static bool all_offered(int root, const char *path, const struct wanted *wanted, struct error *err)
{
	auto_fd fd = cgroup_open(root, path, err);
	char offered[NAMES_SIZE];

	if (fd < 0) {
		error_ignore(err, "the walk from the root says it better");
		return false;
	}
	if (file_read_small(fd, "cgroup.controllers", offered, sizeof(offered)) < 0)
		return false;
	for (size_t i = 0; i < wanted->n; i++) {
		if (!has_word(offered, wanted->items[i].name))
			return false;
	}
	return true;
}

/* From the root down to the parent of PATH. */
static rarely_called int enable_above(int root, const char *path, struct wanted *wanted,
				      struct error *err)
{
	char parent[PATH_MAX];

	/* Before anything is changed: what the root does not have, nobody below it can have. */
	if (check_offered(root, "/", wanted, err) < 0)
		return -1;
	for (const char *end = path; end && wanted->n > 0; end = strchr(end + 1, '/')) {
		snprintf(parent, sizeof(parent), "%.*s", end == path ? 1 : (int)(end - path), path);

		auto_fd at = cgroup_open(root, parent, err);

		if (at < 0 || enable_in(at, parent, wanted, err) < 0)
			return -1;
	}
	return 0;
}

int cgroup_enable(int root, const char *path, const struct cgroup_writes *writes, struct error *err)
{
	struct wanted wanted = { 0 };

	for (size_t i = 0; i < writes->n; i++) {
		if (writes->items[i].controller && want(&wanted, &writes->items[i], err) < 0)
			return -1;
	}
	if (wanted.n == 0 || all_offered(root, path, &wanted, err))
		return 0;
	return enable_above(root, path, &wanted, err);
}
