/*
 * The only way into a rootfs.  Lookups are one openat2(2); making what is missing is a walk that
 * holds a descriptor of each directory and never follows a link in the kernel.
 */
#include <creel/inroot.h>

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>

#include "syscalls.h"

/* openat2() gives EAGAIN when a rename or a mount anywhere on the host passes while it handles
 * "..". */
#define RACE_TRIES 128
/* As the kernel's MAXSYMLINKS. */
#define LINKS_MAX 40

#define IN_ROOT (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define REAL	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static int open_retried(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK),
		.mode = flags & O_CREAT ? 0600 : 0,
		.resolve = resolve,
	};
	int fd = -1;

	for (int i = 0; i < RACE_TRIES; i++) {
		fd = sys_openat2(dir, *path ? path : ".", &how);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int inroot_try(int root, const char *path, uint64_t flags)
{
	return open_retried(root, path, flags, IN_ROOT);
}

int inroot_open(int root, const char *path, uint64_t flags, struct error *err)
{
	int fd = inroot_try(root, path, flags);

	if (fd >= 0)
		return fd;
	error_system(err, errno, "cannot open %s inside the root", path);
	return error_call(err, "openat2");
}

int inroot_open_real(int root, const char *path, uint64_t flags, struct error *err)
{
	int fd = open_retried(root, path + strspn(path, "/"), flags, REAL);

	if (fd >= 0)
		return fd;
	error_system(err, errno, "cannot open %s inside the root", path);
	error_call(err, "openat2");
	if (err->errnum == ELOOP)
		error_hint(err, "it must be a real path: no part of it may be a symbolic link");
	return -1;
}

/* What the last component of a walk is made as, when it is missing. */
enum walk_end {
	END_DIRECTORY,
	END_FILE,
};

struct walk {
	int root;
	int at;		     /* the directory reached so far */
	char real[PATH_MAX]; /* its path from the root, free of links */
	char rest[PATH_MAX]; /* what is still to be walked */
	int links;	     /* followed so far */
};

static int walk_to(struct walk *walk, const char *real)
{
	int fd = open_retried(walk->root, real, O_PATH | O_DIRECTORY, REAL);

	if (fd < 0)
		return -1;
	fd_close(&walk->at);
	walk->at = fd;
	return 0;
}

/* "..": the text is cut, and opened again from the root.  openat(at, "..") could leave the root in
 * a race. */
static int walk_up(struct walk *walk)
{
	char *slash = strrchr(walk->real, '/');

	*(slash ? slash : walk->real) = '\0';
	return walk_to(walk, walk->real);
}

static int walk_down(struct walk *walk, int fd, const char *name)
{
	size_t length = strlen(walk->real);
	size_t more = strlen(name);

	if (length + more + 2 > sizeof(walk->real)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (length > 0)
		walk->real[length++] = '/';
	memcpy(walk->real + length, name, more + 1);
	fd_close(&walk->at);
	walk->at = fd;
	return 0;
}

/* Puts the text of the link FD in front of what is still to be walked. */
static int walk_link(struct walk *walk, int fd)
{
	char text[PATH_MAX];
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -1;
	/* Links of procfs may be magic: their text is no path.  Nothing is ever made behind one. */
	if (fs.f_type == PROC_SUPER_MAGIC || ++walk->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}

	ssize_t n = readlinkat(fd, "", text, sizeof(text));
	size_t rest = strlen(walk->rest);

	if (n < 0)
		return -1;
	if ((size_t)n + rest + 2 > sizeof(walk->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memmove(walk->rest + n + 1, walk->rest, rest + 1);
	memcpy(walk->rest, text, (size_t)n);
	walk->rest[n] = '/';
	/* "link" at the end must not become "link/": that would ask a file to be a directory. */
	if (rest == 0)
		walk->rest[n] = '\0';
	if (text[0] == '/') {
		walk->real[0] = '\0';
		return walk_to(walk, "");
	}
	return 0;
}

/* Takes the next component out of walk->rest; empty when there is none. */
static void walk_next(struct walk *walk, char *name, size_t size)
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t n = strcspn(start, "/");
	const char *after = start + n;

	n = n < size ? n : size - 1;
	memcpy(name, start, n);
	name[n] = '\0';
	memmove(walk->rest, after, strlen(after) + 1);
}

static int make(int at, const char *name, mode_t mode, dev_t device)
{
	return S_ISDIR(mode) ? mkdirat(at, name, mode & 07777) : mknodat(at, name, mode, device);
}

/* Opens NAME in the directory reached, making it when it is missing.  EEXIST means that another was
 * faster: fine. */
static int open_or_make(struct walk *walk, const char *name, mode_t mode)
{
	int fd = open_retried(walk->at, name, O_PATH | O_NOFOLLOW, REAL);

	for (int i = 0; fd < 0 && errno == ENOENT && i < RACE_TRIES; i++) {
		if (make(walk->at, name, mode, 0) < 0 && errno != EEXIST)
			return -1;
		fd = open_retried(walk->at, name, O_PATH | O_NOFOLLOW, REAL);
	}
	return fd;
}

static int walk_run(struct walk *walk, mode_t mode, enum walk_end end)
{
	char name[NAME_MAX + 2]; /* one too many, so that the kernel sees a name that is too long */

	for (;;) {
		struct stat status;

		walk_next(walk, name, sizeof(name));
		if (name[0] == '\0')
			return take_fd(&walk->at);
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			if (walk_up(walk) < 0)
				return -1;
			continue;
		}

		bool last = walk->rest[strspn(walk->rest, "/")] == '\0';
		bool file = last && end == END_FILE;
		auto_fd fd = open_or_make(walk, name, file ? S_IFREG | 0644 : S_IFDIR | mode);

		if (fd < 0)
			return -1;
		if (fstat(fd, &status) < 0)
			return -1;
		if (S_ISLNK(status.st_mode)) {
			if (walk_link(walk, fd) < 0)
				return -1;
		} else if (S_ISDIR(status.st_mode)) {
			if (walk_down(walk, fd, name) < 0)
				return -1;
			fd = -1;
		} else if (last) {
			if (end == END_FILE)
				return take_fd(&fd);
			errno = ENOTDIR;
			return -1;
		} else {
			errno = ENOTDIR;
			return -1;
		}
	}
}

static int walk(int root, const char *path, mode_t mode, enum walk_end end)
{
	struct walk walk = { .root = root, .at = -1 };
	size_t length = strlen(path);

	if (length >= sizeof(walk.rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(walk.rest, path, length + 1);
	if (walk_to(&walk, "") < 0)
		return -1;

	int fd = walk_run(&walk, mode, end);
	int errnum = errno;

	fd_close(&walk.at);
	errno = errnum;
	return fd;
}

/* Splits PATH into PARENT, which ends with a slash or is empty, and NAME; false when there is no
 * name that could be made. */
static bool split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1])
{
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		length--;

	size_t start = length;

	while (start > 0 && path[start - 1] != '/')
		start--;
	if (length - start > NAME_MAX || start >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(name, path + start, length - start);
	name[length - start] = '\0';
	memcpy(parent, path, start);
	parent[start] = '\0';
	errno = EINVAL;
	return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Mostly the last component alone is missing.  -1: the walk has to find out. */
static int make_last(int root, const char *path, mode_t mode)
{
	char parent[PATH_MAX], name[NAME_MAX + 1];
	auto_left_fd at =
	    split(path, parent, name) ? inroot_try(root, parent, O_PATH | O_DIRECTORY) : -1;

	if (at < 0 || make(at, name, S_IFDIR | mode, 0) < 0)
		return -1;
	return open_retried(at, name, O_PATH | O_DIRECTORY, REAL);
}

int inroot_make_missing(int root, const char *path, mode_t mode, struct error *err)
{
	int fd = make_last(root, path, mode & 0755);

	/* Also what a dangling link points to is missing: the walk makes it, inside the root. */
	if (fd < 0)
		fd = walk(root, path, mode & 0755, END_DIRECTORY);
	if (fd < 0)
		return error_system(err, errno, "cannot make the directory %s inside the root",
				    path);
	return fd;
}

static void keep(struct inroot_parent *kept, int fd, const char *path)
{
	inroot_forget(kept);
	kept->fd = fd;
	kept->exact = 0;
	kept->path[0] = '\0';
	if (strlen(path) < sizeof(kept->path))
		memcpy(kept->path, path, strlen(path) + 1);
}

void inroot_keep(struct inroot_parent *kept, int fd, const char *path)
{
	char text[sizeof(kept->path)];
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length + 2 > sizeof(text))
		length = 0;
	memcpy(text, path, length);
	text[length] = '/';
	text[length > 0 ? length + 1 : 0] = '\0';
	keep(kept, fd, text);
}

bool inroot_is_in(const struct inroot_parent *kept, const char *path)
{
	char parent[PATH_MAX], name[NAME_MAX + 1];

	return kept->fd >= 0 && split(path, parent, name) && strcmp(kept->path, parent) == 0;
}

int inroot_make_child(int root, struct inroot_parent *kept, const char *path, mode_t mode)
{
	char parent[PATH_MAX], name[NAME_MAX + 1];

	if (!split(path, parent, name))
		return -1;
	if (kept->fd < 0 || strcmp(kept->path, parent) != 0) {
		int fd = inroot_try(root, parent, O_PATH | O_DIRECTORY);

		if (fd < 0)
			return -1;
		keep(kept, fd, parent);
	}
	if (make(kept->fd, name, S_IFDIR | (mode & 0755), 0) < 0)
		return -1;
	return open_retried(kept->fd, name, O_PATH | O_DIRECTORY, REAL | RESOLVE_NO_XDEV);
}

int inroot_make_directory(int root, const char *path, mode_t mode, struct error *err)
{
	int fd = inroot_try(root, path, O_PATH | O_DIRECTORY);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return inroot_make_missing(root, path, mode, err);
	return error_system(err, errno, "cannot make the directory %s inside the root", path);
}

int inroot_make_file(int root, const char *path, struct error *err)
{
	auto_fd fd = inroot_try(root, path, O_PATH);
	struct stat status;

	if (fd < 0 && errno == ENOENT)
		fd = walk(root, path, 0755, END_FILE);
	if (fd < 0)
		return error_system(err, errno, "cannot make the file %s inside the root", path);
	if (fstat(fd, &status) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", path);
	if (S_ISDIR(status.st_mode))
		return error_system(err, EISDIR, "cannot make the file %s inside the root", path);
	return take_fd(&fd);
}

void inroot_forget(struct inroot_parent *parent)
{
	fd_leave(&parent->fd);
}

#define auto_parent cleanup_with(inroot_forget) struct inroot_parent

/* Opens (makes) the directory that PATH is in, unless KEPT is that, and copies PATH's last
 * component into NAME.  The descriptor stays KEPT's. */
static int open_parent(int root, struct inroot_parent *kept, const char *path, char *name,
		       struct error *err)
{
	char parent[PATH_MAX];

	if (!split(path, parent, name))
		return error_system(err, errno, "cannot make %s inside the root", path);
	if (kept->fd >= 0 && strcmp(kept->path, parent) == 0)
		return kept->fd;
	keep(kept, inroot_make_directory(root, parent, 0755, err), parent);
	return kept->fd;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFCHR:
		return "another character device";
	case S_IFBLK:
		return "another block device";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	}
	return "a file";
}

/* What is there is never changed: it may be a host's node that a mount brought here. */
static int check_same_node(int parent, const char *name, const char *path, mode_t mode,
			   dev_t device, struct error *err)
{
	struct stat status;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", path);
	if ((status.st_mode & S_IFMT) == (mode & S_IFMT) &&
	    (S_ISFIFO(mode) || status.st_rdev == device))
		return 0;
	return error_system(err, EEXIST, "cannot make the device %s: %s is there already", path,
			    type_name(status.st_mode));
}

int inroot_make_node(int root, struct inroot_parent *kept, const char *path, mode_t mode,
		     dev_t device, uid_t uid, gid_t gid, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_parent own = INROOT_NO_PARENT;
	struct inroot_parent *used = kept ? kept : &own;
	int parent = open_parent(root, used, path, name, err);
	struct stat status;

	if (parent < 0)
		return -1;
	if (make(parent, name, mode, device) < 0) {
		if (errno == EEXIST)
			return check_same_node(parent, name, path, mode, device, err);
		return error_system(err, errno, "cannot make the device %s", path);
	}
	/* What its neighbour got with the same mode it has, too. */
	if (used->exact == mode && uid == 0 && gid == 0)
		return 0;
	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", path);
	if (status.st_uid == 0 && status.st_gid == 0 && status.st_mode == mode)
		used->exact = mode;
	if ((status.st_uid != uid || status.st_gid != gid) &&
	    fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot set the owner of %s", path);
	/* A default ACL of the parent takes bits away, whatever the umask. */
	if ((status.st_mode & 07777) != (mode & 07777) &&
	    fchmodat(parent, name, mode & 07777, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot set the mode of %s", path);
	return 0;
}

static bool is_same_link(int parent, const char *name, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(parent, name, text, sizeof(text));

	return n >= 0 && (size_t)n == strlen(target) && memcmp(text, target, (size_t)n) == 0;
}

int inroot_make_link(int root, struct inroot_parent *kept, const char *path, const char *target,
		     bool replace, struct error *err)
{
	char name[NAME_MAX + 1];
	auto_parent own = INROOT_NO_PARENT;
	int parent = open_parent(root, kept ? kept : &own, path, name, err);

	if (parent < 0)
		return -1;
	if (symlinkat(target, parent, name) == 0)
		return 0;
	if (errno != EEXIST)
		return error_system(err, errno, "cannot make the link %s", path);
	if (is_same_link(parent, name, target))
		return 0;
	if (!replace)
		return error_system(err, EEXIST, "cannot make the link %s", path);
	if (unlinkat(parent, name, 0) < 0)
		return error_system(err, errno, "cannot replace %s by a link", path);
	if (symlinkat(target, parent, name) < 0)
		return error_system(err, errno, "cannot make the link %s", path);
	return 0;
}
