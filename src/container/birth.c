/*
 * The birth of a process in a pid namespace where others are: they may have CAP_SYS_PTRACE over it,
 * and then being non-dumpable is no protection.  So all that is done for it is done by its stage,
 * which they cannot see, and it comes into their sight with nothing but what it may keep.
 */
#include <creel/become.h>

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/message.h>
#include <creel/process.h>
#include <creel/seccomp.h>
#include <creel/terminal.h>
#include <creel/tuning.h>

static const struct seccomp_program *filter_of(const struct become *become)
{
	return &become->seccomp->program;
}

/* A filter without no_new_privs is in force before the rights are dropped, so before the birth. */
static bool is_filtered(const struct become *become)
{
	return filter_of(become)->length > 0 && !become->process->no_new_privileges;
}

static bool lets_clone3(const struct become *become)
{
	return !is_filtered(become) || seccomp_lets(filter_of(become), SYS_clone3, 0);
}

bool become_is_born_first(const struct become *become)
{
	const struct seccomp_program *filter = filter_of(become);

	if (!become->born || !is_filtered(become))
		return false;
	/* The agent is told the pid of the process with the first notification. */
	if (filter->notify)
		return true;
	return (!lets_clone3(become) &&
		!seccomp_lets(filter, SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID)) ||
	       !seccomp_lets(filter, SYS_setsid, 0) || !seccomp_lets(filter, SYS_close_range, 3) ||
	       !seccomp_lets(filter, SYS_madvise, 0) ||
	       (become->terminal >= 0 && !seccomp_lets(filter, SYS_ioctl, 0));
}

/* Nothing of the host's goes along.  Before the filter and the ids, which still need the two. */
static int let_go(struct become *become, bool first, struct error *err)
{
	int keep[] = { become->channel, become->start_socket, first ? become->root : -1,
		       first ? become->procfs : -1 };

	if (fd_close_others(3 + (int)become->preserve_fds, keep, ARRAY_SIZE(keep), err) < 0)
		return -1;
	if (!first)
		become->root = become->procfs = -1;
	return 0;
}

static int begin(struct become *become, struct error *err)
{
	if (process_die_with_parent(SIGKILL, 0, err) < 0)
		return -1;
	if (!become->unattended && (message_send(become->channel, MESSAGE_INIT, 0, -1, err) < 0 ||
				    message_expect(become->channel, MESSAGE_GO, -1, err) < 0))
		return -1;
	if (setsid() < 0)
		return error_system(err, errno, "cannot start a session");
	return become->terminal >= 0 ? terminal_control(STDIN_FILENO, err) : 0;
}

int become_be_born(struct become *become, struct error *err)
{
	const struct spawn spawn = {
		.flags = CLONE_PARENT,
		.cgroup = -1,
		.born = become->born,
		.old_call = !lets_clone3(become),
	};
	pid_t pid;

	if (!become->born)
		return 0;
	/* The change of ids may have made us dumpable (fs.suid_dumpable).  And only the kernel
	 * shall write what P takes for the pid: the memory does not go along. */
	if (let_go(become, become_is_born_first(become), err) < 0 ||
	    process_set_dumpable(false, err) < 0)
		return -1;
	if (madvise(become->born, sizeof(*become->born), MADV_DONTFORK) < 0)
		return error_system(err, errno, "cannot keep the memory that P shares");
	pid = process_spawn(&spawn, err);
	if (pid < 0)
		return -1;
	if (pid > 0)
		_exit(0);
	become->born = NULL;
	return begin(become, err);
}

bool become_needs_tuning(const struct plan_process *process)
{
	return process->scheduler && !tuning_is_inherited(process->scheduler);
}

int become_tune_newborn(pid_t pid, const struct plan_process *process, struct error *err)
{
	if (!become_needs_tuning(process))
		return 0;
	if (tuning_set_scheduler(pid, process->scheduler, err) < 0)
		return error_at(err, "/process/scheduler");
	return 0;
}
