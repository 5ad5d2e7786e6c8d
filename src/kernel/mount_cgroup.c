/* The cgroup mount of a container: its own view of cgroup2, or a read-only bind of its own cgroup.
 */
#include "mount_parts.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/mount.h>
#include <creel/procfs.h>

#include "syscalls.h"

/* The path after "0::" in /proc/self/cgroup: where we are in cgroup2, as our cgroup namespace sees
 * it. */
static char *own_path(struct arena *arena, int procfs, struct error *err)
{
	char text[8192];
	ssize_t n = procfs_read(procfs, "self/cgroup", text, sizeof(text));

	if (n < 0) {
		error_system(err, errno, "cannot read /proc/self/cgroup");
		return NULL;
	}

	char *rest = text;

	while (rest) {
		const char *line = strsep(&rest, "\n");

		if (strncmp(line, "0::/", 4) == 0)
			return arena_strdup(arena, line + 3);
	}
	error_unsupported(err, "this process is in no cgroup of version 2");
	return NULL;
}

/* Opens the directory of cgroup2 that is our own or, with WHOLE, the top of all, through any mount
 * of it that shows that. */
static int open_shown(int procfs, bool whole, struct error *err)
{
	auto_arena arena = { 0 };
	const char *path = whole ? "/" : own_path(&arena, procfs, err);
	char *table = path ? mount_table_read(&arena, procfs, err) : NULL;
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	struct mount_line line;

	if (!table)
		return -1;
	while (mount_table_next(&table, &line)) {
		if (strcmp(line.type, "cgroup2") != 0 || !mount_is_below(path, line.root))
			continue;

		const char *below = path + (strcmp(line.root, "/") == 0 ? 0 : strlen(line.root));
		auto_fd mount = open(line.point, O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		below += strspn(below, "/");
		/* The mount may itself be covered by another. */
		if (mount < 0 || fstatfs(mount, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;

		int fd = sys_openat2(mount, *below ? below : ".", &how);

		if (fd >= 0)
			return fd;
	}
	return error_unsupported(err, "the cgroup %s is in no cgroup2 mount of the host", path);
}

static int open_bind(bool whole, struct error *err)
{
	/* The mounts of the container come before the pivot: /proc is still the host's, and is
	 * verified. */
	auto_fd procfs = procfs_open(err);

	if (procfs < 0)
		return -1;

	auto_fd shown = open_shown(procfs, whole, err);

	if (shown < 0)
		return -1;

	auto_fd tree = open_tree(
	    shown, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0)
		return error_system(err, errno, "cannot bind the container's cgroup");
	if (mount_propagate(tree, MS_PRIVATE | MS_REC, err) < 0)
		return -1;
	return take_fd(&tree);
}

/* Read-only; all of it, as the host sees it, or our own part where no mount shows all. */
static int attach_whole(int target, struct mount_op *op, struct error *err)
{
	uint64_t set, clear;
	auto_fd tree = open_bind(true, err);

	if (tree < 0) {
		error_ignore(err, "what we are in is there at least");
		tree = open_bind(false, err);
	}
	mount_attributes(op, &set, &clear);
	if (tree < 0 || mount_change(tree, set | MOUNT_ATTR_RDONLY, 0, true, op, err) < 0 ||
	    mount_change(tree, op->recursive_set, op->recursive_clear, true, op, err) < 0 ||
	    mount_attach(tree, target, op, err) < 0)
		return -1;
	return mount_settle(take_fd(&tree), op, err);
}

int mount_cgroup(struct mount_place *place, struct mount_op *op, struct error *err)
{
	uint64_t set, clear;
	auto_left_fd target = mount_open_target(place, op, true, NULL, err);

	if (target < 0)
		return -1;
	mount_attributes(op, &set, &clear);
	/*
	 * Without a cgroup namespace this is the host's tree: a writable one is an escape
	 * (CVE-2023-25809), and a new mount of it would take the options of the host's own away
	 * (nsdelegate, memory_recursiveprot), which are one for all.
	 */
	if (op->flags & MOUNT_OWN_CGROUP)
		return attach_whole(target, op, err);

	auto_left_fd tree = mount_make("cgroup2", set, op, err);

	if (tree < 0 && (err->errnum == EPERM || err->errnum == EBUSY)) {
		struct error why = *err;

		tree = open_bind(false, err);
		if (tree < 0) {
			error_ignore(err, "the first reason is the one to tell");
			*err = why;
			return -1;
		}
		if (mount_change(tree, set | MOUNT_ATTR_RDONLY, 0, true, op, err) < 0)
			return -1;
	}
	if (tree < 0)
		return -1;
	if (mount_change(tree, op->recursive_set, op->recursive_clear, true, op, err) < 0)
		return -1;
	if (mount_attach(tree, target, op, err) < 0)
		return -1;
	return mount_settle(take_fd(&tree), op, err);
}
