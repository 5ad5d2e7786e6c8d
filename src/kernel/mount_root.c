/* The root mount: bound on itself, and made the root of the mount namespace. */
#include <creel/mount.h>

#include <errno.h>

#include <creel/error.h>
#include <creel/fd.h>

#include "mount_parts.h"
#include "syscalls.h"

/* As deep as PATH_MAX allows. */
#define DEPTH_MAX 2048

/* Opens the root of the mount that the directory FD is on, by going up until it is reached. */
static int open_mount_root(int fd, struct error *err)
{
	auto_fd at = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; at >= 0 && i < DEPTH_MAX; i++) {
		struct statx status;

		if (statx(at, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
			return error_coded(
			    err, CRL_ROOTFS,
			    error_system(err, errno,
					 "cannot examine the parents of the root filesystem"));
		if (status.stx_attributes & STATX_ATTR_MOUNT_ROOT)
			return take_fd(&at);

		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (up < 0)
			break;
		fd_close(&at);
		at = up;
	}
	error_coded(
	    err, CRL_ROOTFS,
	    error_system(err, EINVAL, "cannot find the mount that the root filesystem is on"));
	return error_hint(
	    err, "creel may run in a chroot; then use --no-pivot, or make it a mount point");
}

static int propagate_all(unsigned long propagation, struct error *err)
{
	/* An unbindable tree could not be bound on itself below; mount_pivot() makes it unbindable
	 * in the end. */
	if (propagation & MS_UNBINDABLE)
		propagation = MS_PRIVATE | (propagation & MS_REC);
	if (mount_propagate_at("/", propagation, err) == 0)
		return 0;
	error_while(err, "cutting the mount namespace off from the host's");
	if (err->errnum == EINVAL)
		error_hint(err, "/ is not a mount point: creel runs in a chroot");
	return -1;
}

int mount_prepare_root(const char *rootfs, unsigned long propagation, struct error *err)
{
	if (propagate_all(propagation, err) < 0)
		return -1;

	/* The operator's path, so links are fine; it is resolved this once. */
	auto_left_fd root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_coded(
		    err, CRL_ROOTFS,
		    error_system(err, errno, "cannot open the root filesystem %s", rootfs));

	/*
	 * pivot_root(2) refuses a new root on a shared parent, and our mount would show up in all
	 * its peers.  After a recursive slave or private nothing is shared any more, and a slave
	 * goes on to see what the host mounts in the rootfs.
	 */
	if ((propagation & MS_SHARED) || !(propagation & MS_REC)) {
		auto_fd parent = open_mount_root(root, err);

		if (parent < 0)
			return -1;
		if (mount_propagate(parent, MS_PRIVATE, err) < 0)
			return error_while(err, "keeping the root filesystem's mount private");
	}

	auto_fd tree =
	    open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0) {
		error_coded(err, CRL_ROOTFS,
			    error_system(err, errno, "cannot bind the root filesystem %s", rootfs));
		if (err->errnum == EINVAL)
			error_hint(err, "it is on an unbindable mount");
		return -1;
	}
	if (move_mount(tree, "", root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno,
						"cannot bind the root filesystem %s on itself",
						rootfs));
	return take_fd(&tree);
}

int mount_root_readonly(int root, struct error *err)
{
	return mount_change(root, MOUNT_ATTR_RDONLY, 0, false, NULL, err);
}

/* Whether no mount can tell the host's of its end, once everything has PROPAGATION. */
static bool is_cut_off(unsigned long propagation)
{
	return (propagation & MS_REC) && (propagation & (MS_SLAVE | MS_PRIVATE));
}

static int enter(int root, struct error *err)
{
	if (fchdir(root) < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno, "cannot enter the root filesystem"));
	/* Both names are the same directory: the old root ends up on top of the new one, and needs
	 * no place of its own. */
	if (sys_pivot_root(".", ".") == 0)
		return 0;
	error_coded(err, CRL_ROOTFS,
		    error_system(err, errno, "cannot make the root filesystem the root"));
	error_call(err, "pivot_root");
	if (err->errnum == EINVAL)
		error_hint(err,
			   "on an initial ramdisk (rootfs) it is not possible: use --no-pivot");
	return -1;
}

static int pivot(int root, unsigned long before, struct error *err)
{
	auto_fd old = is_cut_off(before) ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 && !is_cut_off(before))
		return error_coded(err, CRL_ROOTFS, error_system(err, errno, "cannot open /"));
	if (enter(root, err) < 0)
		return -1;
	/* Unmounting must not propagate: the host's own mounts would go with it (runc issue 2404).
	 */
	if (old >= 0 && mount_propagate(old, MS_SLAVE | MS_REC, err) < 0)
		return error_while(err, "detaching the host's root");
	/* umount2(2) goes to what is on top of ".", which is the old root. */
	if (umount2(".", MNT_DETACH) < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno, "cannot detach the host's root"));
	/* enter() has made "/" the working directory. */
	return 0;
}

int mount_chroot(int root, struct error *err)
{
	if (fchdir(root) < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno, "cannot enter the root filesystem"));
	if (chroot(".") < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno, "cannot change the root"));
	if (chdir("/") < 0)
		return error_coded(err, CRL_ROOTFS,
				   error_system(err, errno, "cannot enter the new root"));
	return 0;
}

int mount_pivot(int root, bool no_pivot, unsigned long before, unsigned long propagation,
		struct error *err)
{
	if (!no_pivot && pivot(root, before, err) < 0)
		return -1;
	if (no_pivot && (mount_move_root(root, err) < 0 || mount_chroot(root, err) < 0))
		return -1;
	if (propagation == 0)
		return 0;
	if (mount_propagate(root, propagation, err) < 0)
		return error_while(err, "the propagation of the root filesystem");
	return 0;
}
