/* The flags, the propagation and the id map of a mount: mount_setattr(2), and what its errors mean.
 */
#include "mount_parts.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/mount.h>

#include "syscalls.h"

/* Flags that the kernel locks when a mount enters a less privileged mount namespace
 * (mount_namespaces(7)). */
static const struct flag_row {
	uint64_t attribute;
	unsigned long statvfs;
	const char *set; /* the option that keeps it */
} flag_rows[] = {
	{ MOUNT_ATTR_RDONLY, ST_RDONLY, "ro" },
	{ MOUNT_ATTR_NOSUID, ST_NOSUID, "nosuid" },
	{ MOUNT_ATTR_NODEV, ST_NODEV, "nodev" },
	{ MOUNT_ATTR_NOEXEC, ST_NOEXEC, "noexec" },
};

/* For the words of an error; a type that is not here is named by its number. */
static const struct magic_row {
	unsigned long magic;
	const char *name;
} magic_rows[] = {
	{ 0x01021994, "tmpfs" },    { 0x9fa0, "proc" },		{ 0x62656572, "sysfs" },
	{ 0x63677270, "cgroup2" },  { 0x27e0eb, "cgroup" },	{ 0xef53, "ext4" },
	{ 0x58465342, "xfs" },	    { 0x9123683e, "btrfs" },	{ 0x794c7630, "overlay" },
	{ 0x6969, "nfs" },	    { 0x65735546, "fuse" },	{ 0x01021997, "9p" },
	{ 0xff534d42, "cifs" },	    { 0xfe534d42, "smb" },	{ 0x00c36400, "ceph" },
	{ 0x73717368, "squashfs" }, { 0xe0f5e1e2, "erofs" },	{ 0x4d44, "vfat" },
	{ 0x2011bab0, "exfat" },    { 0x1cd1, "devpts" },	{ 0x19800202, "mqueue" },
	{ 0x2fc12fc1, "zfs" },	    { 0xf2f52010, "f2fs" },	{ 0x9660, "iso9660" },
	{ 0x858458f6, "ramfs" },    { 0xca451a4e, "bcachefs" }, { 0x958458f6, "hugetlbfs" },
	{ 0x19830326, "fhgfs" },    { 0x47504653, "gpfs" },	{ 0x0bd00bd0, "lustre" },
};

static void filesystem_name(int fd, char *name, size_t size)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0) {
		snprintf(name, size, "the filesystem");
		return;
	}
	snprintf(name, size, "filesystem type %#lx", (unsigned long)fs.f_type);
	for (size_t i = 0; i < ARRAY_SIZE(magic_rows); i++)
		if (magic_rows[i].magic == ((unsigned long)fs.f_type & 0xffffffff))
			snprintf(name, size, "%s", magic_rows[i].name);
}

static bool is_atime(uint64_t bits)
{
	return bits & MOUNT_ATTR__ATIME;
}

void mount_attributes(const struct mount_op *op, uint64_t *set, uint64_t *clear)
{
	*set = op->set;
	*clear = op->clear;
	if (op->flags & MOUNT_LATE_READONLY)
		*set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
}

static const char *target_of(const struct mount_op *op)
{
	return op && op->target ? op->target : "/";
}

/* The flags of CLEAR that the mount FD has, as the options that keep them. */
static void locked_flags(int fd, uint64_t clear, char *names, size_t size)
{
	struct statvfs fs;

	names[0] = '\0';
	if (fstatvfs(fd, &fs) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(flag_rows); i++) {
		size_t length = strlen(names);

		if ((clear & flag_rows[i].attribute) && (fs.f_flag & flag_rows[i].statvfs))
			snprintf(names + length, size - length, "%s%s", length > 0 ? "," : "",
				 flag_rows[i].set);
	}
}

/* EPERM: the mount came from a more privileged mount namespace, which locked some of its flags. */
static int explain_locked(int fd, uint64_t set, uint64_t clear, const struct mount_op *op,
			  struct error *err)
{
	char names[64], pointer[64];

	locked_flags(fd, clear, names, sizeof(names));
	if (names[0])
		error_system(err, EPERM, "cannot clear locked flags %s of the mount at %s", names,
			     target_of(op));
	else if (is_atime(set | clear))
		error_system(err, EPERM, "cannot change locked atime flags of the mount at %s",
			     target_of(op));
	else
		error_system(err, EPERM, "cannot change the flags of the mount at %s",
			     target_of(op));
	error_code(err, CRL_MOUNT_LOCKED);
	error_call(err, "mount_setattr");
	if (op && op->where && strncmp(op->where, "/mounts/", strlen("/mounts/")) == 0) {
		snprintf(pointer, sizeof(pointer), "%s/options", op->where);
		error_at(err, pointer);
	}
	if (names[0])
		return error_hint(
		    err, "they come from outside the user namespace; add to the options: %s",
		    names);
	if (is_atime(set | clear))
		return error_hint(
		    err, "they come from outside the user namespace; leave out the options "
			 "about access times");
	return error_hint(err, "the mount, or one below it, has flags that were set outside the "
			       "user namespace");
}

int mount_change(int fd, uint64_t set, uint64_t clear, bool recursive, const struct mount_op *op,
		 struct error *err)
{
	/* Times of access are one number, not bits: the kernel wants all of it cleared before any
	 * is set. */
	struct mount_attr attr = {
		.attr_set = set,
		.attr_clr = is_atime(set | clear) ? clear | MOUNT_ATTR__ATIME : clear,
	};

	if (set == 0 && clear == 0)
		return 0;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) == 0)
		return 0;

	int errnum = errno;

	if (errnum == EPERM)
		return explain_locked(fd, set, clear, op, err);
	error_system(err, errnum, "cannot change the flags of the mount at %s", target_of(op));
	error_code(err, CRL_MOUNT);
	error_call(err, "mount_setattr");
	if (errnum == EINVAL)
		error_hint(err, "%s is not a mount point", target_of(op));
	else if (errnum == EBUSY)
		error_hint(err, "a file in it is open for writing");
	return -1;
}

int mount_change_by_op(int fd, const struct mount_op *op, struct error *err)
{
	uint64_t set, clear;

	mount_attributes(op, &set, &clear);
	if (mount_change(fd, set, clear, false, op, err) < 0)
		return -1;
	return mount_change(fd, op->recursive_set, op->recursive_clear, true, op, err);
}

static int propagate(int fd, const char *path, unsigned long propagation, struct error *err)
{
	struct mount_attr attr = { .propagation = propagation & ~(unsigned long)MS_REC };
	int flags = AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0);

	if (mount_setattr(fd, path, (unsigned int)flags, &attr, sizeof(attr)) == 0)
		return 0;
	error_system(err, errno, "cannot set the propagation of a mount");
	error_call(err, "mount_setattr");
	if (err->errnum != ENOSYS)
		return error_code(err, CRL_MOUNT);
	error_hint(err,
		   "mount_setattr(2) is in every kernel since Linux 5.12: a sandbox that creel "
		   "runs in hides it");
	return error_code(err, CRL_OLD_KERNEL);
}

int mount_propagate(int fd, unsigned long propagation, struct error *err)
{
	return propagate(fd, "", propagation, err);
}

int mount_propagate_at(const char *path, unsigned long propagation, struct error *err)
{
	return propagate(AT_FDCWD, path, propagation, err);
}

static int explain_map(int fd, int errnum, const struct mount_op *op, struct error *err)
{
	const char *source = op->source ? op->source : op->type;
	char name[48];

	filesystem_name(fd, name, sizeof(name));
	error_system(err, errnum, "cannot map the ids of %s, which is on %s", source, name);
	error_call(err, "mount_setattr");
	error_code(err, errnum == ENOSYS ? CRL_OLD_KERNEL : CRL_NO_IDMAP);
	if (errnum == EINVAL)
		return error_hint(err, "%s has no id-mapped mounts on this kernel%s", name,
				  op->idmap_recursive ? ", or a mount below it has none" : "");
	if (errnum == EPERM)
		return error_hint(
		    err, "the source is an id-mapped mount already, or its filesystem belongs to "
			 "a user namespace in which we have no CAP_SYS_ADMIN");
	return -1;
}

int mount_map_ids(int fd, int userns, bool recursive, const struct mount_op *op, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)userns,
	};

	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) < 0)
		return explain_map(fd, errno, op, err);
	return 0;
}

int mount_settle(int fd, struct mount_op *op, struct error *err)
{
	auto_left_fd mount = fd;

	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		if (mount_propagate(mount, op->propagation[i], err) < 0)
			return error_while(err, "mounting %s", op->target);
	if ((op->flags & MOUNT_LATE_READONLY) && (op->set & MOUNT_ATTR_RDONLY))
		op->mounted = take_fd(&mount);
	return 0;
}

int mount_finish(struct mount_op *op, struct error *err)
{
	auto_left_fd mount = op->mounted;

	op->mounted = -1;
	if (mount < 0)
		return 0;
	if (mount_change(mount, MOUNT_ATTR_RDONLY, 0, false, op, err) < 0)
		return error_at(err, op->where);
	return 0;
}
