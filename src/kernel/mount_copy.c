/*
 * tmpcopyup: fills a new tmpfs with what the image has in its place.  The image is hostile, so
 * everything goes by descriptor, no link is followed, no mount is entered, and the depth is
 * bounded; how much is copied the tmpfs bounds.
 */
#include "mount_parts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>

#include "syscalls.h"

/* Two descriptors a level; 1024 are what a process has by default. */
#define DEPTH_MAX 128
/* As the kernel's XATTR_LIST_MAX and XATTR_SIZE_MAX. */
#define XATTR_MAX 65536

struct level {
	int from;
	int to;
	off_t next; /* where getdents64() goes on */
};

struct copy {
	struct level levels[DEPTH_MAX];
	int depth;
	char *value; /* XATTR_MAX bytes each */
	char *names;
	char entries[32768];
};

static int open_beneath(int dir, const char *name, uint64_t flags)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve =
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return sys_openat2(dir, name, &how);
}

/* Attributes that tmpfs cannot hold, or that our user namespace may not set, are left out: said in
 * the debug log. */
static int copy_xattrs(struct copy *copy, int from, int to, struct error *err)
{
	ssize_t length = flistxattr(from, copy->names, XATTR_MAX);

	if (length < 0 && errno == EOPNOTSUPP)
		return 0;
	if (length < 0)
		return error_system(err, errno, "cannot list extended attributes");
	for (char *name = copy->names; name < copy->names + length; name += strlen(name) + 1) {
		ssize_t n = fgetxattr(from, name, copy->value, XATTR_MAX);

		if (n < 0 && errno == ENODATA)
			continue;
		if (n < 0)
			return error_system(err, errno, "cannot read the extended attribute %s",
					    name);
		if (fsetxattr(to, name, copy->value, (size_t)n, 0) == 0)
			continue;
		if (errno != EOPNOTSUPP && errno != EPERM)
			return error_system(err, errno, "cannot set the extended attribute %s",
					    name);
		log_debug("tmpcopyup leaves out the extended attribute %s", name);
	}
	return 0;
}

/* An owner that our user namespace does not know stays 0: there is no id for it in here. */
static int copy_owner(int dir, const char *name, const struct stat *status, struct error *err)
{
	if (fchownat(dir, name, status->st_uid, status->st_gid,
		     AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0 ||
	    errno == EINVAL)
		return 0;
	return error_system(err, errno, "cannot set the owner of %s", name);
}

/* Owner first, since changing it takes setuid bits and file capabilities away; times last. */
static int copy_status(struct copy *copy, int from, int to, const struct stat *status,
		       struct error *err)
{
	const struct timespec times[] = { status->st_atim, status->st_mtim };

	if (copy_owner(to, "", status, err) < 0)
		return -1;
	if (fchmod(to, status->st_mode & 07777) < 0)
		return error_system(err, errno, "cannot set a mode");
	if (copy_xattrs(copy, from, to, err) < 0)
		return -1;
	if (futimens(to, times) < 0)
		return error_system(err, errno, "cannot set times");
	return 0;
}

/* Holes stay holes: a sparse file of a petabyte must not fill the memory. */
static int copy_data(int from, int to, off_t size, const char *name, struct error *err)
{
	off_t at = lseek(from, 0, SEEK_DATA);

	while (at >= 0 && at < size) {
		off_t end = lseek(from, at, SEEK_HOLE);

		if (end < 0 || lseek(to, at, SEEK_SET) < 0)
			return error_system(err, errno, "cannot copy %s", name);
		/* A filesystem of a user's program (FUSE) answers what it likes, for ever. */
		if (end <= at)
			return error_system(err, EIO, "cannot copy %s: its holes move", name);
		while (at < end) {
			ssize_t n = sendfile(to, from, &at, (size_t)(end - at));

			if (n < 0)
				return error_system(err, errno, "cannot copy %s", name);
			if (n == 0)
				break;
		}
		at = lseek(from, end, SEEK_DATA);
		if (at >= 0 && at < end)
			return error_system(err, EIO, "cannot copy %s: its holes move", name);
	}
	/* ENXIO: no data after this offset. */
	if (at < 0 && errno != ENXIO)
		return error_system(err, errno, "cannot copy %s", name);
	if (ftruncate(to, size) < 0)
		return error_system(err, errno, "cannot copy %s", name);
	return 0;
}

static int copy_file(struct copy *copy, int from_dir, int to_dir, const char *name,
		     struct error *err)
{
	auto_fd from = open_beneath(from_dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (from < 0)
		return error_system(err, errno, "cannot open %s", name);
	if (fstat(from, &status) < 0)
		return error_system(err, errno, "cannot examine %s", name);
	if (!S_ISREG(status.st_mode))
		return error_system(err, EAGAIN, "%s changed while it was copied", name);

	auto_fd to =
	    openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (to < 0)
		return error_system(err, errno, "cannot make %s", name);
	if (copy_data(from, to, status.st_size, name, err) < 0)
		return -1;
	return copy_status(copy, from, to, &status, err);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *status,
		     struct error *err)
{
	const struct timespec times[] = { status->st_atim, status->st_mtim };
	char text[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, text, sizeof(text) - 1);

	if (n < 0)
		return error_system(err, errno, "cannot read the link %s", name);
	text[n] = '\0';
	if (symlinkat(text, to_dir, name) < 0)
		return error_system(err, errno, "cannot make the link %s", name);
	if (copy_owner(to_dir, name, status, err) < 0)
		return -1;
	if (utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot set the times of %s", name);
	return 0;
}

/* Devices, FIFOs and sockets. */
static int copy_node(int to_dir, const char *name, const struct stat *status, struct error *err)
{
	const struct timespec times[] = { status->st_atim, status->st_mtim };

	if (mknodat(to_dir, name, status->st_mode & S_IFMT, status->st_rdev) < 0) {
		/* A user namespace makes no devices, so none can have been usable in there. */
		if (errno == EPERM) {
			log_debug("tmpcopyup leaves out the device %s", name);
			return 0;
		}
		return error_system(err, errno, "cannot make %s", name);
	}
	if (copy_owner(to_dir, name, status, err) < 0)
		return -1;
	/* Nobody else can see this tree yet, so NAME is what was just made. */
	if (fchmodat(to_dir, name, status->st_mode & 07777, 0) < 0)
		return error_system(err, errno, "cannot set the mode of %s", name);
	if (utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot set the times of %s", name);
	return 0;
}

/* Goes one level down.  A directory that something is mounted on (EXDEV) stays empty. */
static int enter(struct copy *copy, const struct level *up, const char *name, struct error *err)
{
	auto_fd from = open_beneath(up->from, name, O_RDONLY | O_DIRECTORY);

	if (from < 0 && errno != EXDEV)
		return error_system(err, errno, "cannot open %s", name);
	if (copy->depth == DEPTH_MAX)
		return error_system(err, ELOOP, "cannot copy more than %d levels of directories",
				    DEPTH_MAX);
	if (mkdirat(up->to, name, from < 0 ? 0755 : 0700) < 0)
		return error_system(err, errno, "cannot make %s", name);
	if (from < 0)
		return 0;

	int to = open_beneath(up->to, name, O_RDONLY | O_DIRECTORY);

	if (to < 0)
		return error_system(err, errno, "cannot open %s", name);
	copy->levels[copy->depth++] = (struct level){ .from = take_fd(&from), .to = to };
	return 0;
}

static int leave(struct copy *copy, struct error *err)
{
	struct level *level = &copy->levels[--copy->depth];
	auto_fd from = take_fd(&level->from);
	auto_fd to = take_fd(&level->to);
	struct stat status;

	/* The first level is the tmpfs itself: its mode and owner are options. */
	if (copy->depth == 0)
		return 0;
	if (fstat(from, &status) < 0)
		return error_system(err, errno, "cannot examine a directory");
	return copy_status(copy, from, to, &status, err);
}

static int copy_entry(struct copy *copy, struct level *level, const char *name, struct error *err)
{
	struct stat status;

	if (fstatat(level->from, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return error_system(err, errno, "cannot examine %s", name);
	switch (status.st_mode & S_IFMT) {
	case S_IFDIR:
		return enter(copy, level, name, err);
	case S_IFREG:
		return copy_file(copy, level->from, level->to, name, err);
	case S_IFLNK:
		return copy_link(level->from, level->to, name, &status, err);
	}
	return copy_node(level->to, name, &status, err);
}

/* Works on the deepest level until a directory is entered, or nothing is left in it. */
static int step(struct copy *copy, struct error *err)
{
	struct level *level = &copy->levels[copy->depth - 1];
	const int depth = copy->depth;
	ssize_t n;

	/* The buffer is shared by all levels: after a return from below, it is read again from
	 * where we were. */
	if (lseek(level->from, level->next, SEEK_SET) < 0)
		return error_system(err, errno, "cannot read a directory");
	n = sys_getdents64(level->from, copy->entries, sizeof(copy->entries));
	if (n < 0)
		return error_system(err, errno, "cannot read a directory");
	if (n == 0)
		return leave(copy, err);
	for (ssize_t at = 0; at < n && copy->depth == depth;) {
		const struct dirent *entry = (const struct dirent *)(copy->entries + at);

		at += entry->d_reclen;
		level->next = entry->d_off;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (copy_entry(copy, level, entry->d_name, err) < 0)
			return -1;
	}
	return 0;
}

static int run(struct copy *copy, struct error *err)
{
	while (copy->depth > 0)
		if (step(copy, err) < 0)
			return -1;
	return 0;
}

int mount_copy(int from, int to, struct error *err)
{
	auto_arena arena = { 0 };
	struct copy *copy = arena_alloc(&arena, sizeof(*copy));
	struct level *first = &copy->levels[0];

	copy->value = arena_alloc(&arena, XATTR_MAX);
	copy->names = arena_alloc(&arena, XATTR_MAX);
	/* FROM and TO are O_PATH. */
	first->from = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (first->from < 0)
		return error_system(err, errno, "cannot read the directory to copy");
	first->to = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	copy->depth = 1;

	int result =
	    first->to < 0 ? error_system(err, errno, "cannot open the tmpfs") : run(copy, err);

	for (int i = 0; i < copy->depth; i++) {
		fd_close(&copy->levels[i].from);
		fd_close(&copy->levels[i].to);
	}
	return result;
}
