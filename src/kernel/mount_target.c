/* The place that a mount goes to: opened or made inside the root, never the root itself. */
#include "mount_parts.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/mount.h>

#include "syscalls.h"

/* The files of procfs, sysfs and devices must not be reached through a link that an image brought
 * (CVE-2019-19921). */
static int open_real(int root, const struct mount_op *op, struct error *err)
{
	int fd = inroot_open_real(root, op->target, O_PATH | O_DIRECTORY, err);

	if (fd < 0 && err->errnum == ENOENT) {
		auto_fd made = inroot_make_directory(root, op->target, 0755, err);

		if (made < 0)
			return -1;
		fd = inroot_open_real(root, op->target, O_PATH | O_DIRECTORY, err);
	}
	if (fd >= 0)
		return fd;
	if (err->errnum == ELOOP || err->errnum == ENOTDIR) {
		error_coded(
		    err, CRL_MOUNT_FILE_DIRECTORY,
		    error_system(err, ENOTDIR,
				 "filesystem \"%s\" must be mounted on ordinary directory, and %s "
				 "is not a directory or has a link on the way",
				 op->type, op->target));
		return error_hint(err,
				  "the image has something else there; a real directory is needed");
	}
	return -1;
}

/*
 * A mount point that is made for its mount needs no look at what it is.  The next one mostly is its
 * neighbour, as in /dev: the directory that they are in is kept until a mount could cover it.
 */
static int make_new(struct mount_place *place, const struct mount_op *op)
{
	return inroot_make_child(place->root, &place->above, op->target, 0755);
}

static int open_or_make(struct mount_place *place, const struct mount_op *op, bool directory,
			bool *existed, struct error *err)
{
	int root = place->root;
	uint64_t nofollow = op->flags & MOUNT_TARGET_NOFOLLOW ? O_NOFOLLOW : 0;
	int fd = inroot_try(root, op->target, O_PATH | nofollow);

	*existed = fd >= 0;
	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return error_coded(err, CRL_MOUNT_TARGET,
				   error_system(err, errno,
						"cannot open the mount point %s inside the root",
						op->target));
	fd = directory ? make_new(place, op) : -1;
	if (fd >= 0)
		return fd;
	inroot_forget(&place->above);
	fd = directory ? inroot_make_missing(root, op->target, 0755, err)
		       : inroot_make_file(root, op->target, err);
	return fd < 0 ? error_code(err, CRL_MOUNT_TARGET) : fd;
}

/* Engines look for "not a directory"; dockerd takes "is a directory" to be about the command. */
static int check_types(const struct mount_op *op, bool directory, bool target_directory,
		       struct error *err)
{
	const char *source = op->source ? op->source : op->type;

	if (directory == target_directory)
		return 0;
	if (directory)
		error_coded(
		    err, CRL_MOUNT_FILE_DIRECTORY,
		    error_system(err, ENOTDIR,
				 "cannot mount %s at %s: the target is not a directory, as the "
				 "source is",
				 source, op->target));
	else
		error_coded(
		    err, CRL_MOUNT_FILE_DIRECTORY,
		    error_system(err, ENOTDIR,
				 "cannot mount %s at %s: the source is not a directory, as the "
				 "target is",
				 source, op->target));
	return error_hint(
	    err, "mount a directory on a directory and a file on a file; does the source exist "
		 "as what you think it is?");
}

/* A mount over the root would hide the mounts that follow, and what is masked in it. */
static int refuse_root(int root, const struct statx *target, const struct mount_op *op,
		       struct error *err)
{
	struct statx status;

	if (!(target->stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	if (statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
		return error_system(err, errno, "cannot examine the root");
	if (target->stx_mnt_id != status.stx_mnt_id)
		return 0;
	error_coded(err, CRL_MOUNT_PLACE,
		    error_config_at(err, op->where,
				    "%s is the root of the container, where nothing can be mounted",
				    op->target));
	return error_hint(err, "the root filesystem is named by root.path");
}

/* The plan has refused what lies below /proc by name; a link of the image can still lead there, and
 * a mount over self/attr or sys would catch what the program writes (CVE-2019-16884). */
static int refuse_procfs(struct mount_place *place, int target, const struct statx *status,
			 const struct mount_op *op, struct error *err)
{
	struct statfs fs;

	for (size_t i = 0; i < place->harmless_n; i++)
		if (place->harmless[i] == status->stx_mnt_id)
			return 0;
	if (strcmp(op->target, "/proc") == 0 || strncmp(op->target, "/proc/", 6) == 0)
		return 0;
	if (fstatfs(target, &fs) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (fs.f_type != PROC_SUPER_MAGIC) {
		if (place->harmless_n < ARRAY_SIZE(place->harmless))
			place->harmless[place->harmless_n++] = status->stx_mnt_id;
		return 0;
	}
	error_coded(err, CRL_MOUNT_PLACE,
		    error_config_at(err, op->where,
				    "\"%s\" cannot be mounted because it is inside /proc",
				    op->target));
	return error_hint(err, "a link in the image leads there");
}

int mount_open_target(struct mount_place *place, const struct mount_op *op, bool directory,
		      bool *existed, struct error *err)
{
	int root = place->root;
	bool ignored, *was_there = existed ? existed : &ignored;
	auto_left_fd fd = -1;
	struct statx status;

	*was_there = false;
	if (directory && !(op->flags & MOUNT_REAL_TARGET) &&
	    inroot_is_in(&place->above, op->target)) {
		fd = make_new(place, op);
		if (fd >= 0)
			return take_fd(&fd);
	}
	inroot_forget(&place->above);
	if (op->flags & MOUNT_REAL_TARGET) {
		*was_there = true;
		fd = open_real(root, op, err);
	} else {
		fd = open_or_make(place, op, directory, was_there, err);
	}
	if (fd < 0)
		return -1;
	if (!*was_there && place->above.fd >= 0)
		return take_fd(&fd);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &status) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (refuse_root(root, &status, op, err) < 0 ||
	    refuse_procfs(place, fd, &status, op, err) < 0)
		return -1;
	if (check_types(op, directory, S_ISDIR(status.stx_mode), err) < 0)
		return -1;
	return take_fd(&fd);
}

int mount_attach(int tree, int target, const struct mount_op *op, struct error *err)
{
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ==
	    0)
		return 0;
	error_system(err, errno, "cannot mount %s at %s", op->source ? op->source : op->type,
		     op->target);
	error_call(err, "move_mount");
	error_code(err, CRL_MOUNT);
	if (err->errnum == ENOSPC)
		error_hint(err, "the mount namespace is full: see the sysctl fs.mount-max");
	else if (err->errnum == ENOENT)
		error_hint(err, "the mount point was removed meanwhile");
	else if (err->errnum == EINVAL)
		error_hint(err, "the mount point does not belong to this mount namespace, or is "
				"below the mount");
	return -1;
}
