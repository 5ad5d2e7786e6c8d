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
	return inroot_make_link(root, NULL, op->target, text, op->flags & MOUNT_REPLACE, err);
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

static int apply_bind(struct mount_place *place, struct mount_op *op, struct error *err)
{
	struct stat status;

	if (fstat(op->tree, &status) < 0)
		return error_system(err, errno, "cannot examine the source %s", op->source);
	if (S_ISLNK(status.st_mode) && (op->flags & MOUNT_COPY_LINK))
		return copy_link(place->root, op, err);
	if (check_proc(op, &status, err) < 0)
		return -1;

	auto_left_fd tree = take_fd(&op->tree);
	auto_left_fd target = mount_open_target(place, op, S_ISDIR(status.st_mode), NULL, err);

	if (target < 0)
		return -1;
	/* Before it is attached: what is to be read-only is never writable in the container. */
	if (mount_change_by_op(tree, op, err) < 0)
		return -1;
	if (mount_attach(tree, target, op, err) < 0)
		return -1;
	return mount_settle(take_fd(&tree), op, err);
}

/* What the link OP would point to, as a path in the root; a relative text starts at the link's
 * directory.  False when it is too long to exist. */
static bool link_target(const struct mount_op *op, char *path, size_t size)
{
	static const char descriptors[] = "/proc/self/fd/";
	const char *slash = strrchr(op->target, '/');
	int directory = slash ? (int)(slash - op->target) + 1 : 0;
	int length;

	/* The standard streams are open: where their directory is they are. */
	if (strncmp(op->source, descriptors, strlen(descriptors)) == 0)
		length = snprintf(path, size, "/proc/self/fd");
	else if (op->source[0] == '/')
		length = snprintf(path, size, "%s", op->source);
	else
		length = snprintf(path, size, "%.*s%s", directory, op->target, op->source);
	return length >= 0 && (size_t)length < size;
}

/* 1: it is there, 0: it is not. */
static int look_for(int root, const char *path, struct error *err)
{
	/* Not followed at the end: /proc/self/fd/0 is a magic link, and that it is there is enough.
	 */
	auto_left_fd fd = inroot_try(root, path, O_PATH | O_NOFOLLOW);

	if (fd >= 0)
		return 1;
	/* Only these are about the path; with any other the container would lack what it has on a
	 * good day. */
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES ||
	    errno == EXDEV)
		return 0;
	return error_system(err, errno, "cannot find out whether %s exists", path);
}

static int points_to_something(struct mount_place *place, const struct mount_op *op,
			       struct error *err)
{
	char path[PATH_MAX];
	int found;

	if (!link_target(op, path, sizeof(path)))
		return 0;
	if (strcmp(place->looked_for, path) == 0)
		return place->exists;
	found = look_for(place->root, path, err);
	if (found >= 0 && strlen(path) < sizeof(place->looked_for)) {
		memcpy(place->looked_for, path, strlen(path) + 1);
		place->exists = found;
	}
	return found;
}

static int apply_link(struct mount_place *place, const struct mount_op *op, struct error *err)
{
	if (op->flags & MOUNT_IF_TARGET_EXISTS) {
		int exists = points_to_something(place, op, err);

		if (exists <= 0)
			return exists;
	}
	if (inroot_make_link(place->root, &place->parent, op->target, op->source,
			     op->flags & MOUNT_REPLACE, err) == 0)
		return 0;
	/* One of our defaults, and the image has something of its own in this place: the image
	 * knows better. */
	if (!op->where && err->errnum == EEXIST) {
		*err = (struct error){ 0 };
		return 0;
	}
	return -1;
}

static int apply(struct mount_place *place, struct mount_op *op, struct error *err)
{
	int root = place->root;

	if (op->kind == MOUNT_NODE)
		return inroot_make_node(root, &place->parent, op->target, op->mode, op->device,
					op->uid, op->gid, err);
	if (op->kind == MOUNT_LINK)
		return apply_link(place, op, err);
	/* What comes now may cover what was found before. */
	inroot_forget(&place->parent);
	place->looked_for[0] = '\0';
	if (op->kind == MOUNT_REMOUNT || op->kind == MOUNT_READONLY)
		inroot_forget(&place->above);
	switch (op->kind) {
	case MOUNT_NEW:
		return mount_new(place, op, err);
	case MOUNT_CGROUP:
		return mount_cgroup(place, op, err);
	case MOUNT_BIND:
		return apply_bind(place, op, err);
	case MOUNT_REMOUNT:
		return mount_remount(root, op, err);
	case MOUNT_READONLY:
		return mount_readonly(root, op, err);
	case MOUNT_NODE:
	case MOUNT_LINK:
	case MOUNT_MASK:
		break;
	}
	/* Masks share a filesystem: mount_mask() has it. */
	return error_system(err, EINVAL, "cannot mask %s in this way", op->target);
}

static int apply_one(struct mount_place *place, struct mount_op *op, struct error *err)
{
	if (apply(place, op, err) == 0)
		return 0;
	fd_close(&op->tree);
	return error_at(err, op->where);
}

int mount_apply_all(struct mount_place *place, struct mount_op *ops, size_t n, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < n && result == 0; i++)
		result = apply_one(place, &ops[i], err);
	return result;
}

void mount_place_close(struct mount_place *place)
{
	inroot_forget(&place->parent);
	inroot_forget(&place->above);
}

int mount_apply(int root, struct mount_op *op, struct error *err)
{
	auto_place place = MOUNT_PLACE(root);

	return mount_apply_all(&place, op, 1, err);
}
