/* Self-protection: runs creel from a file that no container can ever write (CVE-2019-5736). */
#include <creel/sealed.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/procfs.h>
#include <creel/text.h>

#include "sealed_parts.h"
#include "syscalls.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/*
 * Opens our own program file.  The last step goes through a magic link, which cannot be done with
 * RESOLVE_NO_XDEV; so the link itself is opened with it first, which fails when something is
 * mounted over it.
 */
static int open_self(int procfs, int flags, struct error *err)
{
	auto_fd link = procfs_open_file(procfs, "self/exe", O_PATH | O_NOFOLLOW, err);

	if (link < 0)
		return -1;

	int fd = openat(procfs, "self/exe", flags | O_CLOEXEC);

	if (fd < 0)
		return error_system(err, errno, "cannot open creel's own program file");
	return fd;
}

/* Whether FD, opened for reading, is a memfd that nobody can ever change. */
static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}

/*
 * On a read-only mount, an open for writing fails whoever asks, and the container cannot make the
 * mount writable: it is in another mount namespace than the container's, or, for our own clone, in
 * none at all.
 */
static bool is_read_only(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_flags & ST_RDONLY);
}

/* Whether SELF (O_PATH) is protected already.  Seals can only be asked of a memfd that is opened
 * anew, for reading. */
static bool is_protected(int procfs, int self)
{
	struct error err = { 0 };
	struct statfs fs;

	if (fstatfs(self, &fs) < 0)
		return false;
	if (fs.f_flags & ST_RDONLY)
		return true;
	if (fs.f_type != TMPFS_MAGIC)
		return false;

	auto_fd readable = open_self(procfs, O_RDONLY, &err);

	if (readable < 0) {
		error_ignore(&err, "what cannot be examined is not protected");
		return false;
	}
	return is_sealed(readable);
}

/*
 * Whether we were executed by descriptor: the kernel says so in AT_EXECFN, which neither the
 * environment nor argv can forge.  Our own second start is one of those.
 */
static bool is_executed_by_descriptor(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	return name && text_starts_with(name, "/dev/fd/");
}

/* A read-only clone of our own mount that is attached nowhere, or -1. */
static int clone_mount(int self)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_fd tree = open_tree(self, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
		log_debug("no read-only clone of creel's own mount: %s", strerror(errno));
		return -1;
	}
	/* The next start looks at the same, so it can never come here again and again. */
	return is_read_only(tree) ? take_fd(&tree) : -1;
}

/*
 * Becomes the program of the clone without another exec.  The clone's descriptor must not stay
 * open: with it anybody could make the mount writable again (mount_setattr); without it the mount
 * has no namespace and nobody can.  sealed.h says when it is closed.
 */
static bool become_clone(int procfs, int tree)
{
	auto_fd program = procfs_reopen(procfs, tree, O_RDONLY);

	return program >= 0 && sealed_remap(procfs, program);
}

/* Executes the clone; returns only when this is not possible.  Its descriptor is close-on-exec, see
 * above. */
static void execute_clone(int tree, char **argv)
{
	execveat(tree, "", argv, environ, AT_EMPTY_PATH);
	log_debug("cannot execute the read-only clone of creel: %s", strerror(errno));
}

static int make_memfd(struct error *err)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	/* Since Linux 6.3 the sysctl vm.memfd_noexec may make a memfd without MFD_EXEC not
	 * executable. */
	int fd = memfd_create("creel", flags | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("creel", flags);
	if (fd < 0)
		return error_system(err, errno, "cannot make a protected copy of creel");
	return fd;
}

static int copy_file(int to, int from, struct error *err)
{
	ssize_t n;

	do {
		n = sendfile(to, from, NULL, (size_t)1 << 30);
		if (n < 0)
			return error_system(err, errno, "cannot make a protected copy of creel");
	} while (n > 0);
	return 0;
}

/* Executes a sealed copy in memory; returns only on failure. */
static int execute_copy(int procfs, char **argv, struct error *err)
{
	auto_fd from = open_self(procfs, O_RDONLY, err);
	auto_fd copy = from < 0 ? -1 : make_memfd(err);

	if (copy < 0)
		return -1;
	if (copy_file(copy, from, err) < 0)
		return -1;
	if (fcntl(copy, F_ADD_SEALS, ALL_SEALS) < 0 || !is_sealed(copy))
		return error_system(err, errno, "cannot seal the protected copy of creel");
	execveat(copy, "", argv, environ, AT_EMPTY_PATH);
	error_system(err, errno, "cannot execute the protected copy of creel");
	if (err->errnum == EACCES)
		error_hint(
		    err,
		    "the sysctl vm.memfd_noexec=2 forbids it; install creel on a read-only mount");
	return -1;
}

int sealed_ensure(int procfs, char **argv, int *clone, struct error *err)
{
	auto_fd self = open_self(procfs, O_PATH, err);

	*clone = -1;
	if (self < 0)
		return -1;
	if (is_protected(procfs, self)) {
		/* Executed by descriptor, we are called after its number. */
		if (is_executed_by_descriptor())
			(void)prctl(PR_SET_NAME, "creel");
		return 0;
	}

	auto_fd tree = clone_mount(self);

	if (tree >= 0) {
		if (become_clone(procfs, tree)) {
			*clone = take_fd(&tree);
			return 0;
		}
		execute_clone(tree, argv);
	}
	return execute_copy(procfs, argv, err);
}
