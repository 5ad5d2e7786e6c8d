/*
 * A procfs of another pid namespace than ours.  A procfs shows the pid namespace of the process
 * that opened its context, so somebody has to go there; whoever is there may be traced by what
 * lives there (CVE-2016-9962), so that process has nothing: no root, no descriptors, no rights but
 * in a user namespace of its own, and no system calls but the few that it makes.
 */
#include "mount_parts.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/mount.h>
#include <creel/namespace.h>
#include <creel/process.h>
#include <creel/seccomp.h>

#include "syscalls.h"

#define PATIENCE_MS 10000

/* What comes back beside the context; from somebody who may have been taken over. */
struct answer {
	int errnum;
	char what[160];
};

/* Since Linux 6.17 nobody has to go. */
static int open_by_option(int pidns)
{
	auto_fd context = fsopen("proc", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_SET_FD, "pidns", NULL, pidns) < 0)
		return -1;
	return take_fd(&context);
}

/* The mount namespace is ours alone: an empty directory becomes all that there is in it. */
static int make_empty_root(struct error *err)
{
	const struct mount_op op = { .target = "/" };
	auto_fd tree = mount_make("tmpfs", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, &op, err);

	if (tree < 0)
		return -1;
	/* Any directory will do, and this one is there. */
	if (move_mount(tree, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_system(err, errno, "cannot mount an empty directory");
	return mount_pivot(tree, false, 0, 0, err);
}

/*
 * Gives up all that somebody could want, and then goes.  Who has joined a user namespace is out of
 * reach of all in it: not dumpable, and executed outside.  Else a new one takes away every right
 * over what is outside of it, and leaves what fsopen(2) asks for.
 */
static int go(int pidns, int userns, struct error *err)
{
	const int fds[] = { pidns, userns };
	const uint64_t flags[] = { CLONE_NEWPID, CLONE_NEWUSER };

	if (namespace_join(fds, flags, ARRAY_SIZE(fds), err) < 0 ||
	    namespace_unshare((userns < 0 ? CLONE_NEWUSER : 0) | CLONE_NEWNS, err) < 0 ||
	    make_empty_root(err) < 0)
		return error_while(err, "cannot go into the pid namespace safely");
	return process_set_dumpable(false, err);
}

/*
 * Rights in a user namespace of one's own are still rights to try the kernel with, which a seccomp
 * filter may have denied to who lives there: this one leaves what is needed, to whoever does it.
 */
static int confine(struct error *err)
{
	static const unsigned int calls[] = { SYS_clone3, SYS_waitid,  SYS_prctl,
					      SYS_fsopen, SYS_sendmsg, SYS_exit_group };
	struct sock_filter filter[2 * ARRAY_SIZE(calls) + 5] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_AUDIT_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct seccomp_program program = { .filter = filter, .length = 4 };
	int none;

	if (NATIVE_AUDIT_ARCH == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		filter[program.length++] =
		    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		filter[program.length++] =
		    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	filter[program.length++] =
	    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	return seccomp_install(&program, &none, err);
}

static void answer(int channel, int context, int errnum, const char *what)
{
	struct answer answer = { .errnum = errnum };
	struct error err = { 0 };

	snprintf(answer.what, sizeof(answer.what), "%s", what);
	if (channel_send(channel, &answer, sizeof(answer), context, &err) < 0)
		error_ignore(&err, "there is nobody left to tell");
}

static void never_returns there(int channel)
{
	struct error err = { 0 };
	auto_fd context = -1;

	if (process_die_with_parent(SIGKILL, 0, &err) < 0)
		error_ignore(&err, "it is over in a moment");
	context = fsopen("proc", FSOPEN_CLOEXEC);
	answer(channel, context, context < 0 ? errno : 0, "cannot open a procfs");
	_exit(0);
}

static void never_returns messenger(int channel, int pidns, int userns)
{
	int keep[] = { channel, pidns, userns };
	struct error err = { 0 };
	const struct spawn spawn = { .cgroup = -1 };
	siginfo_t info;
	pid_t pid = -1;

	if (process_die_with_parent(SIGKILL, 0, &err) == 0 &&
	    process_set_dumpable(false, &err) == 0 &&
	    fd_close_others(0, keep, ARRAY_SIZE(keep), &err) == 0 && go(pidns, userns, &err) == 0 &&
	    fd_close_others(0, &channel, 1, &err) == 0 && confine(&err) == 0)
		pid = process_spawn(&spawn, &err);
	if (pid == 0)
		there(channel);
	if (pid < 0)
		answer(channel, -1, err.errnum, err.what);
	else if (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		_exit(1); /* Whoever waits for us has a deadline. */
	_exit(0);
}

static int take_answer(int channel, struct error *err)
{
	struct answer answer;
	auto_fd context = -1;
	int got = channel_receive(channel, &answer, sizeof(answer), &context, PATIENCE_MS, err);

	if (got < 0)
		return -1;
	if (got == 0)
		return error_system(err, ECONNRESET, "the process that opens a procfs was killed");
	answer.what[sizeof(answer.what) - 1] = '\0';
	if (context < 0)
		return error_system(err, answer.errnum, "%s", answer.what);
	return take_fd(&context);
}

static int open_by_messenger(int pidns, int userns, struct error *err)
{
	int ends[2], status;
	auto_fd child = -1;
	auto_fd context = -1;
	struct error gone = { 0 };

	if (channel_pair(ends, err) < 0)
		return -1;

	pid_t pid = process_spawn(&(struct spawn){ .cgroup = -1, .pidfd = &child }, err);

	if (pid == 0)
		messenger(ends[1], pidns, userns);
	close(ends[1]);
	if (pid > 0)
		context = take_answer(ends[0], err);
	close(ends[0]);
	if (pid < 0)
		return -1;
	/* It ends by itself, unless what it has met there holds its child. */
	if (process_wait(child, context < 0 ? 0 : PATIENCE_MS, &status, &gone) <= 0 &&
	    (process_signal(child, SIGKILL, &gone) < 0 ||
	     process_wait(child, PATIENCE_MS, &status, &gone) < 0))
		error_ignore(&gone, "it has ended meanwhile");
	return take_fd(&context);
}

int mount_open_proc(struct mount_op *op, int pidns, int userns, struct error *err)
{
	op->tree = open_by_option(pidns);
	if (op->tree < 0)
		op->tree = open_by_messenger(pidns, userns, err);
	if (op->tree >= 0)
		return 0;
	error_while(err, "cannot open a procfs of the pid namespace that is joined");
	return error_hint(err, "before Linux 6.17 this takes a user namespace: "
			       "is user.max_user_namespaces 0?");
}
