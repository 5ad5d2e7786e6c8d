/* A /proc that is really procfs: opening it, and reading and writing beneath it without being led
 * astray. */
#include <creel/procfs.h>

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/text.h>

#include "syscalls.h"

/* The inode number of every procfs root (PROC_ROOT_INO); nothing else in a procfs has it. */
#define PROCFS_ROOT_INODE 1

static int verify(int fd, struct error *err)
{
	struct statfs fs;
	struct stat status;

	if (fstatfs(fd, &fs) < 0)
		return error_system(err, errno, "cannot examine /proc");
	if (fstat(fd, &status) < 0)
		return error_system(err, errno, "cannot examine /proc");
	if (fs.f_type != PROC_SUPER_MAGIC || status.st_ino != PROCFS_ROOT_INODE) {
		error_coded(
		    err, CRL_UNSAFE_PROC,
		    error_unsupported(err, "what is mounted at /proc is not the root of a procfs"));
		return error_hint(
		    err, "creel needs the real /proc; mount it with: mount -t proc proc /proc");
	}
	return 0;
}

int procfs_open(struct error *err)
{
	auto_fd fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_system(err, errno, "cannot open /proc");
	if (verify(fd, err) < 0)
		return -1;
	return take_fd(&fd);
}

int procfs_open_private(struct error *err)
{
	auto_fd context = fsopen("proc", FSOPEN_CLOEXEC);

	if (context < 0)
		return error_system(err, errno, "cannot make a private /proc");
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_system(err, errno, "cannot make a private /proc");

	auto_fd fd = fsmount(context, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	if (fd < 0)
		return error_system(err, errno, "cannot make a private /proc");
	if (verify(fd, err) < 0)
		return -1;
	return take_fd(&fd);
}

static int try_open(int procfs, const char *name, uint64_t flags)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};

	return sys_openat2(procfs, name, &how);
}

int procfs_open_file(int procfs, const char *name, uint64_t flags, struct error *err)
{
	int fd = try_open(procfs, name, flags);

	if (fd >= 0)
		return fd;
	error_system(err, errno, "cannot open /proc/%s", name);
	if (err->errnum == EXDEV) {
		error_hint(err, "something is mounted over a part of /proc");
		error_code(err, CRL_UNSAFE_PROC);
	}
	return -1;
}

static ssize_t read_whole(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	for (;;) {
		ssize_t n = read(fd, buffer + length, size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		length += (size_t)n;
		if (file_is_end(buffer, (size_t)n, length, size))
			break;
		/* A cut answer would be taken for the whole: the path of a cgroup, a sysctl. */
		if (length == size) {
			errno = EOVERFLOW;
			return -1;
		}
	}
	if (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return (ssize_t)length;
}

int procfs_reopen(int procfs, int fd, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "self/fd/%d", fd);
	return openat(procfs, name, flags | O_CLOEXEC | O_NOCTTY);
}

ssize_t procfs_read(int procfs, const char *name, char *buffer, size_t size)
{
	auto_fd fd = try_open(procfs, name, O_RDONLY);

	return fd < 0 ? -1 : read_whole(fd, buffer, size);
}

ssize_t procfs_read_covered(int procfs, const char *name, char *buffer, size_t size)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	auto_fd fd = try_open(procfs, name, O_RDONLY);
	struct statfs fs;

	/* Mostly nothing is mounted on the way: then it is of the procfs that we know. */
	if (fd >= 0)
		return read_whole(fd, buffer, size);
	if (errno != EXDEV)
		return -1;
	fd = sys_openat2(procfs, name, &how);
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -1;
	if (fs.f_type != PROC_SUPER_MAGIC) {
		errno = EXDEV;
		return -1;
	}
	return read_whole(fd, buffer, size);
}

/* One write(2): most files of procfs take a value whole or not at all. */
static int write_once(int procfs, const char *name, const char *text)
{
	auto_fd fd = try_open(procfs, name, O_WRONLY);
	size_t length = strlen(text);

	if (fd < 0)
		return -1;

	ssize_t n = write(fd, text, length);

	if (n >= 0 && (size_t)n != length) {
		errno = EIO;
		return -1;
	}
	return n < 0 ? -1 : 0;
}

int procfs_write(int procfs, const char *name, const char *text, struct error *err)
{
	if (write_once(procfs, name, text) == 0)
		return 0;
	error_system(err, errno, "cannot write /proc/%s", name);
	if (err->errnum == EXDEV) {
		error_hint(err, "something is mounted over a part of /proc");
		error_code(err, CRL_UNSAFE_PROC);
	}
	return -1;
}

/*
 * Turns KEY into a path beneath /proc as sysctl(8) does: the first separator decides, so that
 * "net/ipv4/conf/eth0.100/mtu" keeps its dot and "net.ipv4.conf.eth0/100.mtu" means the same.
 */
static bool sysctl_path(const char *key, char *path, size_t size)
{
	const char *first = strpbrk(key, "./");
	bool dotted = first && *first == '.';
	int length = snprintf(path, size, "sys/%s", key);

	if (length < 0 || (size_t)length >= size)
		return false;
	for (char *p = path + 4; dotted && *p; p++) {
		if (*p == '.')
			*p = '/';
		else if (*p == '/')
			*p = '.';
	}
	/* An empty component, "." or ".." would name another key than the plan checked. */
	for (const char *p = path + 4;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
		if (*p == '\0')
			return true;
	}
}

/* Something that is no procfs lies over a part of PATH: says over which. */
static int explain_covered(int procfs, const char *path, struct error *err)
{
	char part[512];

	for (const char *end = strchr(path, '/');; end = strchr(end + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", end ? (int)(end - path) : (int)strlen(path),
			 path);

		auto_fd fd = try_open(procfs, part, O_PATH);

		if (fd < 0 || !end)
			break;
	}
	error_while(err, "/proc/%s is covered by another mount, which cannot be trusted", part);
	error_hint(err, "creel runs in a container or under a manager that covers parts of /proc; "
			"uncover it there, or leave out what needs it");
	return error_code(err, CRL_UNSAFE_PROC);
}

/* An outer AppArmor profile that knows procfs by its path alone denies what it sees elsewhere. */
static int explain_denied(int procfs, struct error *err)
{
	char profile[128];

	error_code(err, CRL_SYSCTL_REFUSED);
	if (procfs_read(procfs, "self/attr/apparmor/current", profile, sizeof(profile)) > 0 &&
	    !text_starts_with(profile, "unconfined"))
		return error_hint(err,
				  "creel is confined by the AppArmor profile %s, which may deny "
				  "it; or the namespace that holds it belongs to another user "
				  "namespace",
				  profile);
	return error_hint(err, "the namespace that holds it belongs to another user namespace");
}

int procfs_sysctl(int procfs, const char *key, const char *value, const char *where,
		  struct error *err)
{
	char path[512];

	if (!sysctl_path(key, path, sizeof(path)))
		return error_coded(
		    err, CRL_SYSCTL_KEY,
		    error_config_at(err, where, "\"%s\" is not the name of a sysctl", key));
	if (write_once(procfs, path, value) == 0)
		return 0;
	error_system(err, errno, "cannot set the sysctl %s to \"%s\"", key, value);
	error_at(err, where);
	if (err->errnum == EXDEV)
		return explain_covered(procfs, path, err);
	if (err->errnum == EACCES || err->errnum == EPERM)
		return explain_denied(procfs, err);
	if (err->errnum == ENOENT)
		error_hint(err,
			   "this kernel has no such sysctl, or not in a container's namespace");
	else if (err->errnum == EINVAL)
		error_hint(err, "the kernel does not take this value");
	return error_code(err, err->errnum == ENOENT ? CRL_SYSCTL_REFUSED : CRL_SYSCTL_VALUE);
}

int procfs_sysctl_refusal(int procfs, const char *key)
{
	char path[512];

	if (!sysctl_path(key, path, sizeof(path)))
		return ENOENT;

	auto_fd fd = try_open(procfs, path, O_WRONLY);

	return fd < 0 ? errno : 0;
}

int procfs_own_pid(int procfs, struct error *err)
{
	char text[24];
	ssize_t n = readlinkat(procfs, "self", text, sizeof(text) - 1);
	uint64_t pid;

	if (n < 0)
		return error_system(err, errno, "cannot ask /proc for our own pid");
	text[n] = '\0';
	if (!text_parse_uint(text, INT32_MAX, &pid))
		return error_system(err, EPROTO, "cannot understand /proc/self");
	return (int)pid;
}
