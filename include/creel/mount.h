/*
 * Mounts, by the new mount API only: fsopen(2) or open_tree(2), mount_setattr(2), move_mount(2).
 * Everything that ends up in the container's file tree - mounts, device nodes, links, masked and
 * read-only paths - is one struct mount_op.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/idmap.h>
#include <creel/inroot.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum mount_kind {
	MOUNT_NEW,     /* a new filesystem: fsopen(TYPE) */
	MOUNT_CGROUP,  /* cgroup2; when that is not allowed, the container's own cgroup is bound
			  instead, read-only */
	MOUNT_BIND,    /* SOURCE, or the tree that P opened */
	MOUNT_REMOUNT, /* changes the attributes of what is mounted at TARGET */
	MOUNT_NODE,    /* a device node or FIFO */
	MOUNT_LINK,    /* the symbolic link TARGET -> SOURCE */
	MOUNT_MASK, /* hides TARGET: an empty read-only directory, or the null device on a file; a
		       missing one is skipped */
	MOUNT_READONLY, /* TARGET and all below it become read-only; a missing one is skipped */
};

enum mount_flags {
	MOUNT_RECURSIVE = 1 << 0,	/* binds: with the mounts below SOURCE (rbind) */
	MOUNT_SOURCE_NOFOLLOW = 1 << 1, /* do not follow a link at the end of SOURCE */
	MOUNT_TARGET_NOFOLLOW = 1 << 2, /* nor at the end of TARGET */
	MOUNT_COPY_LINK =
	    1
	    << 3, /* if SOURCE is a link, make the same link instead of binding what it points to */
	MOUNT_COPY_UP = 1 << 4,	      /* tmpfs: copy what TARGET held before (tmpcopyup) */
	MOUNT_LATE_READONLY = 1 << 5, /* SET holds RDONLY only after all ops are done: nodes and
					 mount points come first */
	MOUNT_REAL_TARGET =
	    1 << 6, /* TARGET must be a real directory, no link on the way (proc, sysfs) */
	MOUNT_IF_TARGET_EXISTS =
	    1 << 7, /* links: only when what they point to exists in the container */
	MOUNT_INHERIT_MODE =
	    1 << 8,		/* tmpfs without mode=: take the mode of the directory it covers */
	MOUNT_REPLACE = 1 << 9, /* links: replace what is there */
	MOUNT_OWN_CGROUP = 1 << 10, /* cgroup: there is no private cgroup namespace */
};

struct mount_op {
	enum mount_kind kind;
	unsigned int flags;
	const char *target; /* in the container; resolved by inroot_* only */
	const char
	    *source; /* binds: absolute on the host; new: the device or dummy; links: their text */
	const char *type;	     /* for fsopen() */
	struct strings options;	     /* for fsconfig(): "key" or "key=value" */
	struct strings option_where; /* the JSON pointer of each, same order; may be empty */
	uint64_t set, clear;	     /* MOUNT_ATTR_*; applied to the mount */
	uint64_t recursive_set, recursive_clear; /* MOUNT_ATTR_*; applied with AT_RECURSIVE */
	unsigned long propagation[4]; /* MS_SHARED, MS_SLAVE ..., each perhaps with MS_REC, in
					 order; 0 ends */
	const struct idmap *idmap; /* NULL unless idmapped; binds, and filesystems that allow it */
	bool idmap_recursive;
	int tree; /* what mount_open_source() opened, or -1: the detached tree of a bind, the link
		   * itself of a MOUNT_COPY_LINK, the user namespace of an idmapped MOUNT_NEW; or
		   * the context that mount_open_proc() opened */
	int mounted; /* the mount's descriptor between mount_apply() and mount_finish(), or -1 */
	mode_t mode; /* nodes: type and permissions; mount points are made 0755 */
	dev_t device;
	uid_t uid; /* nodes; as seen by the process that makes them */
	gid_t gid;
	const char *where; /* "/mounts/7": the JSON pointer that asked for it, or NULL for our own
			      defaults */
};

/*
 * Opens OP's source as a detached tree into OP->tree, if it is a bind.  P calls it for trees that
 * only P may open, I for all others, before the first container mount exists (CVE-2021-30465).  For
 * idmapped binds it applies the map; for an idmapped MOUNT_NEW it makes the user namespace.
 * DIRECTORY is what a relative source is looked up in (the bundle). PROCFS is used for id maps
 * only.  Unless OP asks for shared propagation, the tree becomes a slave of where it came from.
 */
int mount_open_source(int procfs, struct mount_op *op, int directory, struct error *err) must_check;

/*
 * Opens the filesystem context of OP, a MOUNT_NEW of the type proc, into OP->tree: what is mounted
 * from it shows the pid namespace PIDNS, in which we are not.  USERNS is the user namespace that
 * has to be joined for that, or -1.  No process of PIDNS can reach the host through it.
 */
int mount_open_proc(struct mount_op *op, int pidns, int userns, struct error *err) must_check;

/*
 * In a new mount namespace: sets the propagation of everything to PROPAGATION (MS_SLAVE|MS_REC
 * unless the config says otherwise), keeps the rootfs's own parent mount from propagating, and
 * mounts the directory ROOTFS (recursively) on itself. Returns a descriptor of the root mount,
 * below which all ops happen.
 */
int mount_prepare_root(const char *rootfs, unsigned long propagation, struct error *err) must_check;

/*
 * Does one op of any kind but MOUNT_MASK beneath ROOT; OP->tree is used up.  The error names
 * OP->where, the kernel's own message (fsopen log) and likely causes.  A MOUNT_LINK of our own
 * (WHERE is NULL) gives way to what is there already.
 */
int mount_apply(int root, struct mount_op *op, struct error *err) must_check;

/* What one op leaves to the next. */
struct mount_place {
	int root;
	struct inroot_parent parent; /* of the last node or link */
	struct inroot_parent above;  /* of the last mount point, if that was made for it */
	char looked_for[256];	     /* the last thing that a link would point to, */
	bool exists;		     /* and whether it is there */
	uint64_t harmless[4];	     /* ids of mounts that are no procfs, */
	size_t harmless_n;	     /* the first ones that were met */
};

#define MOUNT_PLACE(fd)                                                                            \
	((struct mount_place){                                                                     \
	    .root = (fd), .parent = INROOT_NO_PARENT, .above = INROOT_NO_PARENT })

/* The same for N ops in their order, after others on the same PLACE, which begins as
 * MOUNT_PLACE(ROOT). */
int mount_apply_all(struct mount_place *place, struct mount_op *ops, size_t n,
		    struct error *err) must_check;
void mount_place_close(struct mount_place *place);
#define auto_place cleanup_with(mount_place_close) struct mount_place
/* Second half of ops with MOUNT_LATE_READONLY; closes OP->mounted. */
int mount_finish(struct mount_op *op, struct error *err) must_check;

/* All ops with MOUNT_MASK share one read-only empty tmpfs and one verified null device.  Starts as
 * { -1, -1 }. */
struct mount_masks {
	int directory;	     /* empty tmpfs, or -1: made on first use */
	int null;	     /* null device (1:3, verified), or -1 */
	bool directory_used; /* attached already: further masks are copies of it */
	bool null_used;
};

/* Opens the host's /dev/null; before the pivot, since masks are applied after it, when /dev is the
 * container's. */
int mount_masks_open(struct mount_masks *masks, struct error *err) must_check;
int mount_mask(int root, struct mount_masks *masks, const struct mount_op *op,
	       struct error *err) must_check;
void mount_masks_close(struct mount_masks *masks);

/* Makes the root mount read-only. */
int mount_root_readonly(int root, struct error *err) must_check;

/*
 * Makes ROOT the root of the mount namespace and detaches the old one (pivot_root(".", ".")); with
 * NO_PIVOT it is moved over "/" and chroot(2) follows, for ramdisks.  BEFORE is what
 * mount_prepare_root() made everything, or 0 when nobody knows; PROPAGATION (0, or MS_SHARED /
 * MS_UNBINDABLE) is applied to the new root after it.
 */
int mount_pivot(int root, bool no_pivot, unsigned long before, unsigned long propagation,
		struct error *err) must_check;
/* Without a mount namespace: chroot(2) only. */
int mount_chroot(int root, struct error *err) must_check;
