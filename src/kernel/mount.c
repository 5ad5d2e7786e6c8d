/* One mount_op after the other: what each kind is done with. */
#include <creel/mount.h>

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>

#include "mount_parts.h"
#include "syscalls.h"

/* The source is a link and MOUNT_COPY_LINK asked for the link itself. */
static int copy_link(int root, struct mount_op *op, struct error *err)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(op->tree, "", text, sizeof(text) - 1);

	if (n < 0)
		return error_system(err, errno, "cannot read the link %s", op->source);
	text[n] = '\0';
	fd_close(&op->tree);
	return inroot_make_link(root, op->target, text, op->flags & MOUNT_REPLACE, err);
}

/* Whatever is at /proc is believed by the runtime's tools and by the program: only the root of a
 * procfs may be bound there (CVE-2019-16884). */
static int check_proc(const struct mount_op *op, const struct stat *status, struct error *err)
{
	struct statfs fs;

	if (strcmp(op->target, "/proc") != 0)
		return 0;
	if (fstatfs(op->tree, &fs) < 0)
		return error_system(err, errno, "cannot examine the source %s", op->source);
	if (fs.f_type == PROC_SUPER_MAGIC && status->st_ino == 1)
		return 0;
	return error_config_at(err, op->where,
			       "\"/proc\" cannot be mounted because its source is not a procfs");
}

static int apply_bind(int root, struct mount_op *op, struct error *err)
{
	struct stat status;

	if (fstat(op->tree, &status) < 0)
		return error_system(err, errno, "cannot examine the source %s", op->source);
	if (S_ISLNK(status.st_mode) && (op->flags & MOUNT_COPY_LINK))
		return copy_link(root, op, err);
	if (check_proc(op, &status, err) < 0)
		return -1;

	auto_fd tree = take_fd(&op->tree);
	auto_fd target = mount_open_target(root, op, S_ISDIR(status.st_mode), NULL, err);

	if (target < 0)
		return -1;
	/* Before it is attached: what is to be read-only is never writable in the container. */
	if (mount_change_by_op(tree, op, err) < 0)
		return -1;
	if (mount_attach(tree, target, op, err) < 0)
		return -1;
	return mount_settle(take_fd(&tree), op, err);
}

/* Does what the link OP would point to exist in the container: 1 yes, 0 no?  A relative text starts
 * at the link's directory. */
static int points_to_something(int root, const struct mount_op *op, struct error *err)
{
	char path[PATH_MAX];
	const char *slash = strrchr(op->target, '/');
	int directory = slash ? (int)(slash - op->target) + 1 : 0;
	int length;

	if (op->source[0] == '/')
		length = snprintf(path, sizeof(path), "%s", op->source);
	else
		length = snprintf(path, sizeof(path), "%.*s%s", directory, op->target, op->source);
	if (length < 0 || (size_t)length >= sizeof(path))
		return 0;

	/* Not followed at the end: /proc/self/fd/0 is a magic link, and that it is there is enough.
	 */
	auto_fd fd = inroot_try(root, path, O_PATH | O_NOFOLLOW);

	if (fd >= 0)
		return 1;
	/* Only these are about the path; with any other the container would lack what it has on a
	 * good day. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES ||
	    errno == EXDEV)
		return 0;
	return error_system(err, errno, "cannot find out whether %s exists", op->source);
}

static int apply_link(int root, const struct mount_op *op, struct error *err)
{
	if (op->flags & MOUNT_IF_TARGET_EXISTS) {
		int exists = points_to_something(root, op, err);

		if (exists <= 0)
			return exists;
	}
	if (inroot_make_link(root, op->target, op->source, op->flags & MOUNT_REPLACE, err) == 0)
		return 0;
	/* One of our defaults, and the image has something of its own in this place: the image
	 * knows better. */
	if (!op->where && err->errnum == EEXIST) {
		*err = (struct error){ 0 };
		return 0;
	}
	return -1;
}

static int apply(int root, struct mount_op *op, struct error *err)
{
	switch (op->kind) {
	case MOUNT_NEW:
		return mount_new(root, op, err);
	case MOUNT_CGROUP:
		return mount_cgroup(root, op, err);
	case MOUNT_BIND:
		return apply_bind(root, op, err);
	case MOUNT_REMOUNT:
		return mount_remount(root, op, err);
	case MOUNT_NODE:
		return inroot_make_node(root, op->target, op->mode, op->device, op->uid, op->gid,
					err);
	case MOUNT_LINK:
		return apply_link(root, op, err);
	case MOUNT_READONLY:
		return mount_readonly(root, op, err);
	case MOUNT_MASK:
		break;
	}
	/* Masks share a filesystem: mount_mask() has it. */
	return error_system(err, EINVAL, "cannot mask %s in this way", op->target);
}

int mount_apply(int root, struct mount_op *op, struct error *err)
{
	if (apply(root, op, err) == 0)
		return 0;
	fd_close(&op->tree);
	return error_at(err, op->where);
}
