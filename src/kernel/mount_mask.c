/* Masked and read-only paths: what a container may see but not read, or read but not write. */
#include <creel/mount.h>

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>

#include "mount_parts.h"
#include "syscalls.h"

#define MASK_FLAGS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/*
 * A path that is not there needs no mask: that includes one that a file is in the way of.  Nothing
 * else may be skipped, or an error would leave open what was to be hidden (SECURITY H-14): ELOOP is
 * that of a magic link too, behind which the container finds what we do not.
 */
static bool is_missing(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR;
}

int mount_masks_open(struct mount_masks *masks, struct error *err)
{
	auto_fd null = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = { .attr_set = MASK_FLAGS, .propagation = MS_PRIVATE };
	struct stat status;

	if (null < 0)
		return error_system(err, errno, "cannot open /dev/null to mask files with");
	if (fstat(null, &status) < 0)
		return error_system(err, errno, "cannot examine /dev/null");
	/* A false /dev/null would give the container the very file that it names (CVE-2025-31133).
	 */
	if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) {
		error_unsupported(
		    err, "/dev/null is not the null device, and is needed to mask files with");
		return error_hint(err, "it must be the character device 1:3");
	}
	if (mount_setattr(null, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		error_system(err, errno, "cannot take the rights from what files are masked with");
		error_call(err, "mount_setattr");
		return error_code(err, CRL_MOUNT);
	}
	masks->null = take_fd(&null);
	masks->null_used = false;
	return 0;
}

/* Read-only as a whole, shared by all masked directories of the container. */
static int make_empty(struct error *err)
{
	auto_left_fd context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context < 0)
		return error_system(err, errno, "cannot make an empty directory to mask with");
	if (fsconfig(context, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_system(err, errno, "cannot make an empty directory to mask with");

	int fd = fsmount(context, FSMOUNT_CLOEXEC, MASK_FLAGS | MOUNT_ATTR_NODEV);

	if (fd < 0)
		return error_system(err, errno, "cannot make an empty directory to mask with");
	return fd;
}

/*
 * The first mask is SHARED itself, the others are copies of it: kernels before 6.15 copy attached
 * mounts only.  The descriptor stays that of the first.
 */
static int cover(int shared, bool *used, int target, const struct mount_op *op, struct error *err)
{
	if (!*used) {
		if (mount_attach(shared, target, op, err) < 0)
			return -1;
		*used = true;
		return 0;
	}

	auto_left_fd copy =
	    open_tree(shared, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (copy < 0)
		return error_system(err, errno, "cannot mask %s", op->target);
	return mount_attach(copy, target, op, err);
}

static int mask(int root, struct mount_masks *masks, const struct mount_op *op, struct error *err)
{
	const struct mount_op named = { .source = "a mask", .target = op->target };
	auto_left_fd target = inroot_try(root, op->target, O_PATH | O_DIRECTORY);
	bool directory = target >= 0;

	/* Something else, or behind something else.  The kernel mounts no file on a directory. */
	if (target < 0 && errno == ENOTDIR)
		target = inroot_try(root, op->target, O_PATH);
	if (target < 0 && is_missing(errno))
		return 0;
	if (target < 0)
		return error_system(err, errno, "cannot open %s to mask it", op->target);
	if (!directory) {
		if (masks->null < 0)
			return error_system(err, EBADF, "cannot mask %s: no null device is open",
					    op->target);
		return cover(masks->null, &masks->null_used, target, &named, err);
	}
	if (masks->directory < 0) {
		masks->directory = make_empty(err);
		masks->directory_used = false;
	}
	if (masks->directory < 0)
		return -1;
	return cover(masks->directory, &masks->directory_used, target, &named, err);
}

int mount_mask(int root, struct mount_masks *masks, const struct mount_op *op, struct error *err)
{
	if (mask(root, masks, op, err) < 0)
		return error_at(err, op->where);
	return 0;
}

void mount_masks_close(struct mount_masks *masks)
{
	fd_leave(&masks->directory);
	fd_leave(&masks->null);
}

int mount_readonly(int root, const struct mount_op *op, struct error *err)
{
	const struct mount_op named = { .source = op->target, .target = op->target };
	auto_left_fd target = inroot_try(root, op->target, O_PATH);

	if (target < 0 && is_missing(errno))
		return 0;
	if (target < 0)
		return error_system(err, errno, "cannot open %s to make it read-only", op->target);

	auto_left_fd tree = open_tree(
	    target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0)
		return error_system(err, errno, "cannot make %s read-only", op->target);
	if (mount_change(tree, MOUNT_ATTR_RDONLY, 0, true, op, err) < 0)
		return -1;
	return mount_attach(tree, target, &named, err);
}
