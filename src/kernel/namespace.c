/* The eight namespaces: their names and flags, joining them in an order that works, and why making
 * one failed. */
#include <creel/namespace.h>

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/procfs.h>
#include <creel/text.h>

#include "syscalls.h"

const struct namespace_row namespace_rows[NAMESPACE_COUNT] = {
	{ "ipc", "ipc", CLONE_NEWIPC },	    { "uts", "uts", CLONE_NEWUTS },
	{ "network", "net", CLONE_NEWNET }, { "cgroup", "cgroup", CLONE_NEWCGROUP },
	{ "time", "time", CLONE_NEWTIME },  { "pid", "pid", CLONE_NEWPID },
	{ "user", "user", CLONE_NEWUSER },  { "mount", "mnt", CLONE_NEWNS },
};

/* Same order as namespace_rows: the sysctl that bounds how many a user may have. */
static const char *const namespace_limits[NAMESPACE_COUNT] = {
	"max_ipc_namespaces",  "max_uts_namespaces", "max_net_namespaces",  "max_cgroup_namespaces",
	"max_time_namespaces", "max_pid_namespaces", "max_user_namespaces", "max_mnt_namespaces",
};

const struct namespace_row *namespace_of(uint64_t flag)
{
	size_t i = 0;

	while (i + 1 < NAMESPACE_COUNT && namespace_rows[i].flag != flag)
		i++;
	return &namespace_rows[i];
}

static int cannot_open(const char *path, uint64_t flag, int errnum, struct error *err)
{
	error_system(err, errnum, "cannot open the %s namespace %s", namespace_of(flag)->name,
		     path);
	error_call(err, "open");
	return error_code(err, CRL_NAMESPACE_JOIN);
}

/* Takes OPENED, what open(2) of PATH returned, with ERRNUM: it has to be a namespace of the kind
 * FLAG. */
static int checked(int opened, int errnum, const char *path, uint64_t flag, struct error *err)
{
	const char *name = namespace_of(flag)->name;
	auto_fd fd = opened;
	struct statfs fs;

	if (fd < 0)
		return cannot_open(path, flag, errnum, err);
	if (fstatfs(fd, &fs) < 0)
		return error_coded(
		    err, CRL_NAMESPACE_JOIN,
		    error_system(err, errno, "cannot examine the %s namespace %s", name, path));
	if (fs.f_type != NSFS_MAGIC)
		return error_coded(err, CRL_NAMESPACE_JOIN,
				   error_config_at(err, NULL, "%s is not a namespace", path));

	int type = ioctl(fd, NS_GET_NSTYPE);

	if (type < 0)
		return error_coded(
		    err, CRL_NAMESPACE_JOIN,
		    error_system(err, errno, "cannot examine the %s namespace %s", name, path));
	/* The kernel would refuse it too, but after other namespaces have been joined. */
	if ((uint64_t)type != flag)
		return error_coded(err, CRL_NAMESPACE_JOIN,
				   error_config_at(err, NULL,
						   "%s is a %s namespace, not a %s namespace", path,
						   namespace_of((uint64_t)type)->name, name));
	return take_fd(&fd);
}

int namespace_open(const char *path, uint64_t flag, struct error *err)
{
	/* The path is the operator's and ends in a magic link or in a bind mount: links are
	 * followed. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return checked(fd, errno, path, flag, err);
}

int namespace_open_own(int procfs, uint64_t flag, struct error *err)
{
	char name[32];

	snprintf(name, sizeof(name), "self/ns/%s", namespace_of(flag)->link);

	int fd = openat(procfs, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	/* Nobody else has chosen what lies there, and setns(2) checks the kind. */
	return fd < 0 ? cannot_open(name, flag, errno, err) : fd;
}

static int explain_join(uint64_t flag, int errnum, struct error *err)
{
	error_coded(
	    err, CRL_NAMESPACE_JOIN,
	    error_system(err, errnum, "cannot join the %s namespace", namespace_of(flag)->name));
	error_call(err, "setns");
	if (errnum == EINVAL && flag == CLONE_NEWUSER)
		error_hint(err, "a process cannot join the user namespace that it is in already");
	else if (errnum == EPERM && flag == CLONE_NEWUSER)
		error_hint(err,
			   "joining needs CAP_SYS_ADMIN in that user namespace: only its owner "
			   "and root outside have it");
	else if (errnum == EPERM)
		error_hint(err, "it belongs to a user namespace in which we have no CAP_SYS_ADMIN; "
				"the container may have to join that one too");
	else if (errnum == EINVAL && flag == CLONE_NEWPID)
		error_hint(err, "only our own pid namespace and those below it can be joined");
	else if (errnum == EUSERS)
		error_hint(err, "a process that shares its memory cannot join a time namespace");
	return -1;
}

/*
 * Joins those of FLAGS that are not joined yet, in the order of the rows but the user and mount
 * namespaces.  With TRY, one that needs rights which only the user namespace gives is left for the
 * second pass.
 */
static int join_plain(const int *fds, const uint64_t *flags, size_t n, uint64_t *joined, bool try,
		      struct error *err)
{
	for (size_t row = 0; row < NAMESPACE_COUNT; row++) {
		uint64_t flag = namespace_rows[row].flag;

		if (flag == CLONE_NEWUSER || flag == CLONE_NEWNS || (*joined & flag))
			continue;
		for (size_t i = 0; i < n; i++) {
			if (flags[i] != flag || fds[i] < 0)
				continue;
			if (setns(fds[i], (int)flag) == 0)
				*joined |= flag;
			else if (!try || errno != EPERM)
				return explain_join(flag, errno, err);
		}
	}
	return 0;
}

static int find(const int *fds, const uint64_t *flags, size_t n, uint64_t flag)
{
	for (size_t i = 0; i < n; i++)
		if (flags[i] == flag && fds[i] >= 0)
			return fds[i];
	return -1;
}

int namespace_join(const int *fds, const uint64_t *flags, size_t n, struct error *err)
{
	int user = find(fds, flags, n, CLONE_NEWUSER);
	int mount = find(fds, flags, n, CLONE_NEWNS);
	uint64_t joined = 0;

	if (join_plain(fds, flags, n, &joined, user >= 0, err) < 0)
		return -1;
	if (user >= 0) {
		if (setns(user, CLONE_NEWUSER) < 0)
			return explain_join(CLONE_NEWUSER, errno, err);
		if (join_plain(fds, flags, n, &joined, false, err) < 0)
			return -1;
	}
	/* Last, because it changes the root and the working directory, and what /proc says. */
	if (mount >= 0 && setns(mount, CLONE_NEWNS) < 0)
		return explain_join(CLONE_NEWNS, errno, err);
	return 0;
}

int namespace_join_process(int pidfd, uint64_t flags, struct error *err)
{
	if (setns(pidfd, (int)flags) == 0)
		return 0;

	int errnum = errno;

	error_coded(err, CRL_NAMESPACE_JOIN,
		    error_system(err, errnum, "cannot join the namespaces of the container"));
	error_call(err, "setns");
	if (errnum == ESRCH)
		error_hint(err, "its first process has ended");
	else if (errnum == EPERM)
		error_hint(err, "it takes CAP_SYS_ADMIN in the user namespaces that own them");
	else if (errnum == EUSERS)
		error_hint(err, "a process that shares its memory cannot join a time namespace");
	return -1;
}

/* Appends "NAME is VALUE" to TEXT if that sysctl exists. */
static void say_sysctl(int procfs, const char *path, char *text, size_t size)
{
	char name[64], value[32];
	size_t length = strlen(text);

	snprintf(name, sizeof(name), "sys/%s", path);
	if (procfs_read_covered(procfs, name, value, sizeof(value)) < 0)
		return;
	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '.';
	snprintf(text + length, size - length, "%s%s is %s", length > 0 ? ", " : "", name + 4,
		 value);
}

void namespace_hint_forbidden(int procfs, struct error *err)
{
	char text[256] = "";

	say_sysctl(procfs, "kernel/apparmor_restrict_unprivileged_userns", text, sizeof(text));
	say_sysctl(procfs, "kernel/unprivileged_userns_clone", text, sizeof(text));
	say_sysctl(procfs, "user/max_user_namespaces", text, sizeof(text));
	error_hint(err, "%s%s", text,
		   text[0] ? "; in a chroot it is never allowed"
			   : "in a chroot it is never allowed");
}

void namespace_hint_restricted(int procfs, struct error *err)
{
	static const char sysctl[] = "sys/kernel/apparmor_restrict_unprivileged_userns";
	char value[16];

	if (procfs_read_covered(procfs, sysctl, value, sizeof(value)) <= 0 ||
	    text_equal(value, "0"))
		return;
	error_hint(err,
		   "kernel.apparmor_restrict_unprivileged_userns is %s: an ordinary user has "
		   "no rights in a user namespace unless creel has an AppArmor profile "
		   "(share/apparmor/creel)",
		   value);
}

static enum crl code_of(uint64_t flags, int errnum)
{
	if (errnum == ENOSPC || errnum == EUSERS)
		return CRL_NAMESPACE_LIMIT;
	return errnum == EPERM && (flags & CLONE_NEWUSER) ? CRL_USER_NAMESPACE_FORBIDDEN
							  : CRL_NAMESPACE;
}

int namespace_explain(uint64_t flags, int errnum, struct error *err)
{
	struct error ignored = { 0 };
	auto_fd procfs = procfs_open(&ignored);
	char names[96] = "", text[256] = "";

	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		size_t length = strlen(names), at = strlen(text);
		char value[32], path[64];

		if (!(flags & namespace_rows[i].flag))
			continue;
		snprintf(names + length, sizeof(names) - length, "%s%s", length ? ", " : "",
			 namespace_rows[i].name);
		snprintf(path, sizeof(path), "sys/user/%s", namespace_limits[i]);
		if (procfs >= 0 && procfs_read_covered(procfs, path, value, sizeof(value)) >= 0)
			snprintf(text + at, sizeof(text) - at, "%suser.%s is %s", at ? ", " : "",
				 namespace_limits[i], value);
	}
	if (errnum == ENOSPC && text[0])
		error_system(err, errnum, "cannot make a new %s namespace, %s", names, text);
	else
		error_system(err, errnum, "cannot make a new %s namespace", names);
	error_code(err, code_of(flags, errnum));
	error_call(err, "unshare");
	if (errnum == ENOSPC || errnum == EUSERS)
		error_hint(err, "too many are in use by this user, or they are nested too deep");
	else if (errnum == EPERM && (flags & CLONE_NEWUSER) && procfs >= 0)
		namespace_hint_forbidden(procfs, err);
	else if (errnum == EPERM)
		error_hint(err, "it takes CAP_SYS_ADMIN: be root, or add a user namespace");
	else if (errnum == EINVAL)
		error_hint(err, "this kernel is built without it");
	return -1;
}

/* The exit code: 1 and the row of the first namespace that cannot be had, or 0. */
static int try_each(uint64_t flags)
{
	if ((flags & CLONE_NEWUSER) && unshare(CLONE_NEWUSER) < 0)
		return 1 + (int)(namespace_of(CLONE_NEWUSER) - namespace_rows);
	for (int i = 0; i < NAMESPACE_COUNT; i++)
		if ((namespace_rows[i].flag & flags & ~(uint64_t)CLONE_NEWUSER) &&
		    unshare((int)namespace_rows[i].flag) < 0)
			return 1 + i;
	return 0;
}

uint64_t namespace_find_refused(uint64_t flags)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return 0;
	if (pid == 0)
		_exit(try_each(flags));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
		return 0;
	return namespace_rows[WEXITSTATUS(status) - 1].flag;
}

int namespace_unshare(uint64_t flags, struct error *err)
{
	if (flags == 0 || unshare((int)flags) == 0)
		return 0;
	/* A user namespace must be first: the others may need the rights that it gives. */
	if ((flags & CLONE_NEWUSER) && unshare(CLONE_NEWUSER) < 0)
		return namespace_explain(CLONE_NEWUSER, errno, err);
	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		uint64_t flag = namespace_rows[i].flag & ~(uint64_t)CLONE_NEWUSER;

		if ((flags & flag) && unshare((int)flag) < 0)
			return namespace_explain(flag, errno, err);
	}
	/* Each works alone: then only the moment was wrong (a limit that another process just
	 * left). */
	return 0;
}

int namespace_set_time_offsets(int procfs, const char *lines, struct error *err)
{
	if (procfs_write(procfs, "self/timens_offsets", lines, err) == 0)
		return 0;
	error_while(err, "cannot set the offsets of the time namespace");
	if (err->errnum == EACCES || err->errnum == EPERM)
		error_hint(
		    err,
		    "it takes CAP_SYS_TIME in the user namespace that owns the time namespace");
	else if (err->errnum == ERANGE)
		error_hint(err, "the clocks of the container must not be negative");
	return -1;
}
