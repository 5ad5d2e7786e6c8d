/* The source of a bind mount: a detached copy of a tree, opened before the container can have any
 * say. */
#include <creel/mount.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/idmap.h>

#include "mount_parts.h"
#include "syscalls.h"

static int explain_source(const struct mount_op *op, int errnum, struct error *err)
{
	char pointer[64] = "";

	error_coded(err, CRL_MOUNT_SOURCE,
		    error_system(err, errnum, "cannot open the source %s of the mount at %s",
				 op->source, op->target));
	if (op->where && strncmp(op->where, "/mounts/", strlen("/mounts/")) == 0)
		snprintf(pointer, sizeof(pointer), "%s/source", op->where);
	error_at(err, pointer[0] ? pointer : op->where);
	error_call(err, "open_tree");
	if (errnum == ENOENT)
		return error_hint(
		    err, "the source of a bind mount is looked up on the host, before the root is "
			 "changed");
	if (errnum == EINVAL)
		return error_hint(
		    err, op->flags & MOUNT_RECURSIVE
			     ? "the source is an unbindable mount, or not of this mount namespace"
			     : "the source is an unbindable mount, or has mounts below it that a "
			       "user namespace may not uncover: then use rbind");
	if (errnum == EPERM)
		return error_hint(
		    err, "it takes CAP_SYS_ADMIN in the user namespace of the mount namespace");
	if (errnum == EACCES)
		return error_hint(err, "every directory on the way needs x permission for us");
	return -1;
}

static bool is_link(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

/*
 * The copy stays in the peer group of what it was copied from.  If that is shared with the host,
 * every mount that the container makes below it would appear on the host.  A slave still sees the
 * host's new mounts, and no more than that; OP's own propagation follows when it is attached.
 */
static int isolate(int tree, const struct mount_op *op, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		if (op->propagation[i] & MS_SHARED)
			return 0;
	return mount_propagate(tree, MS_SLAVE | MS_REC, err);
}

static int open_bind(struct mount_op *op, int directory, struct error *err)
{
	const unsigned int recursive = op->flags & MOUNT_RECURSIVE ? AT_RECURSIVE : 0;
	const unsigned int nofollow = op->flags & MOUNT_SOURCE_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;

	if (op->flags & MOUNT_COPY_LINK) {
		auto_fd link = openat(directory, op->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (link < 0)
			return explain_source(op, errno, err);
		/* The link itself is the "tree"; mount_apply() makes one with the same text. */
		if (is_link(link)) {
			op->tree = take_fd(&link);
			return 0;
		}
	}

	auto_fd tree = open_tree(directory, op->source,
				 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive | nofollow);

	if (tree < 0)
		return explain_source(op, errno, err);
	if (isolate(tree, op, err) < 0)
		return error_at(err, op->where);
	op->tree = take_fd(&tree);
	return 0;
}

int mount_open_source(int procfs, struct mount_op *op, int directory, struct error *err)
{
	auto_fd userns = -1;

	if (op->idmap) {
		userns = idmap_namespace(procfs, op->idmap, err);
		if (userns < 0)
			return error_at(err, op->where);
	}
	/* A new filesystem has no tree yet: mount_apply() maps it by the namespace that waits in
	 * its place. */
	if (op->kind == MOUNT_NEW && userns >= 0)
		op->tree = take_fd(&userns);
	if (op->kind != MOUNT_BIND)
		return 0;
	if (open_bind(op, directory, err) < 0)
		return -1;
	if (userns < 0 || is_link(op->tree))
		return 0;
	if (mount_map_ids(op->tree, userns, op->idmap_recursive, op, err) < 0) {
		fd_close(&op->tree);
		return error_at(err, op->where);
	}
	return 0;
}
