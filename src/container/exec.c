/*
 * `exec`: one more process for a container that runs.  No mounts, no parse of the bundle, no
 * libseccomp: what is needed lies in the state directory.  S is born in the container's cgroup,
 * joins all namespaces by the init's pidfd, and does all that there is to do; then the process is
 * born of it among the container's (birth.c).
 */
#include <creel/verbs.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/become.h>
#include <creel/cgroup_systemd.h>
#include <creel/channel.h>
#include <creel/error.h>
#include <creel/exec.h>
#include <creel/fault.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/monitor.h>
#include <creel/mount.h>
#include <creel/namespace.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/terminal.h>
#include <creel/trace.h>
#include <creel/tuning.h>

#define END_TIMEOUT_MS 10000

/* ---- S, and the process inside ---- */

static int make_terminal(struct exec *exec, struct error *err)
{
	const struct plan_process *process = &exec->process;
	struct terminal terminal = { -1, -1 };

	if (!process->terminal)
		return 0;
	if (terminal_open(exec->become.root, process->height, process->width, &terminal, err) < 0)
		return -1;
	if (message_send(exec->peer, MESSAGE_CONSOLE, 0, terminal.master, err) < 0)
		return -1;
	fd_close(&terminal.master);
	exec->become.terminal = terminal.slave;
	return 0;
}

/* While we are what systemd takes for the caller's: dumpable, and in the caller's namespaces. */
static int enter_unit(struct exec *exec, struct error *err)
{
	if (!exec->unit_sub)
		return 0;
	return systemd_attach(exec->container.state.unit, exec->unit_sub, getpid(),
			      exec->runtime->timeout_ms, err);
}

static int set_oom_score(struct exec *exec, struct error *err)
{
	if (!exec->process.oom_score_adj.set)
		return 0;
	return tuning_set_oom_score(exec->runtime->procfs, (int)exec->process.oom_score_adj.value,
				    err);
}

static int hide(struct exec *exec, struct error *err)
{
	(void)exec;
	return process_die_with_parent(SIGKILL, 0, err) < 0 ? -1 : process_set_dumpable(false, err);
}

static int set_first_affinity(struct exec *exec, struct error *err)
{
	const struct plan_process *process = &exec->process;

	if (process->affinity_initial && tuning_set_affinity(process->affinity_initial, err) < 0)
		return error_at(err, "/process/execCPUAffinity/initial");
	if (!process->affinity_initial && !process->affinity_final)
		return tuning_reset_affinity(err);
	return 0;
}

static int join_namespaces(struct exec *exec, struct error *err)
{
	return exec->namespaces ? namespace_join_process(exec->init_fd, exec->namespaces, err) : 0;
}

/* Joining a mount namespace leads to its own root; one that is not joined leaves us at the host's.
 */
static int enter_root(struct exec *exec, struct error *err)
{
	return exec->root >= 0 ? mount_chroot(exec->root, err) : 0;
}

static int become_root(struct exec *exec, struct error *err)
{
	if (become_start(&exec->become, err) < 0)
		return -1;
	exec->become.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (exec->become.root < 0)
		return error_system(err, errno, "cannot open the container's root");
	return 0;
}

static int tune(struct exec *exec, struct error *err)
{
	return become_tune(&exec->become, err);
}

static int set_final_affinity(struct exec *exec, struct error *err)
{
	if (exec->process.affinity_final &&
	    tuning_set_affinity(exec->process.affinity_final, err) < 0)
		return error_at(err, "/process/execCPUAffinity/final");
	return 0;
}

static int prepare_streams(struct exec *exec, struct error *err)
{
	return become_prepare_streams(&exec->become, err);
}

static int find_home(struct exec *exec, struct error *err)
{
	return become_find_home(&exec->become, err);
}

static int become_process(struct exec *exec, struct error *err)
{
	if (become_user(&exec->become, err) < 0)
		return -1;
	/* With the user's rights they are closed. */
	exec->runtime->procfs = exec->runtime->trace = -1;
	return 0;
}

static int find_program(struct exec *exec, struct error *err)
{
	return become_find_program(&exec->become, err);
}

static int wait_for_start(struct exec *exec, struct error *err)
{
	int limits_left = exec->unattended;

	if (!exec->unattended &&
	    (message_send(exec->peer, MESSAGE_READY, 0, -1, err) < 0 ||
	     message_expect_number(exec->peer, MESSAGE_START, -1, &limits_left, err) < 0))
		return -1;
	exec->become.limits_left = limits_left;
	return process_die_with_parent(0, 0, err);
}

static int run_program(struct exec *exec, struct error *err)
{
	return become_program(&exec->become, exec->peer, err);
}

struct exec_step {
	const char *name; /* for --trace, and for tests: fault.h */
	int (*make)(struct exec *exec, struct error *err);
};

static const struct exec_step inner_steps[] = {
	{ "entering the unit", enter_unit },
	/* A user namespace, and not being dumpable, would take our own /proc files away; the child
	 * inherits the score. */
	{ "setting the OOM score", set_oom_score },
	/* Before anything of the container's can see us: it may share the pid namespace that we
	 * enter. */
	{ "hiding", hide },
	{ "setting the first CPU affinity", set_first_affinity },
	{ "joining the namespaces", join_namespaces },
	{ "entering the root", enter_root },
	{ "becoming the container's root", become_root },
	/* In the container's devpts. */
	{ "making the terminal", make_terminal },
	{ "tuning the process", tune },
	{ "setting the final CPU affinity", set_final_affinity },
	{ "preparing the standard streams", prepare_streams },
	{ "finding HOME", find_home },
	/* From here on we are the process, and no longer S. */
	{ "becoming the user", become_process },
	/* With the user's rights. */
	{ "finding the program", find_program },
	{ "waiting for start", wait_for_start },
	{ "executing the program", run_program },
};

static int make_steps(const struct exec_step *steps, size_t n, const char *role, struct exec *exec,
		      struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t start = trace_now(exec->runtime->trace);

		if (fault_point(FAULT_BEFORE, steps[i].name, err) < 0 ||
		    steps[i].make(exec, err) < 0 ||
		    fault_point(FAULT_AFTER, steps[i].name, err) < 0)
			return -1;
		trace_span(exec->runtime->trace, role, steps[i].name, start);
	}
	return 0;
}

static void never_returns stage(struct exec *exec)
{
	struct error err = { 0 };

	message_log_to(&exec->peer);
	if (make_steps(inner_steps, ARRAY_SIZE(inner_steps), "S", exec, &err) < 0)
		message_send_error(exec->peer, &err);
	_exit(255);
}

/* ---- P ---- */

/* In a container that is paused it waits for as long as that is, if that is what was asked for. */
static int patience(const struct exec *exec)
{
	return message_patience(exec->runtime->timeout_ms, exec->options->ignore_paused);
}

/* What the container's processes may do to the one that was just born among them goes no further.
 */
static bool is_in_turn(struct exec *exec, enum message_kind kind)
{
	bool again = exec->console_taken;

	if (kind == MESSAGE_CONSOLE)
		exec->console_taken = true;
	return kind == MESSAGE_CONSOLE	  ? exec->process.terminal && !again
	       : kind == MESSAGE_LISTENER ? exec->seccomp.program.notify
					  : true;
}

static int not_born(struct error *err)
{
	return error_coded(
	    err, CRL_SETUP_DIED,
	    error_state(err, "the process in the container ended before it could be executed; is "
			     "the container still running?"));
}

/* S is not in the pid namespace yet, so the end of that does not end it: and while the container is
 * paused nothing does.  1: the message is there. */
static int wait_for_birth(struct exec *exec, struct error *err)
{
	struct pollfd fds[] = {
		{ .fd = exec->channel, .events = POLLIN },
		{ .fd = exec->init_fd, .events = POLLIN },
	};
	int n;

	if (exec->pidfd >= 0)
		return 0;
	do
		n = poll(fds, ARRAY_SIZE(fds), patience(exec));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_system(err, errno, "cannot wait for the process in the container");
	if (fds[0].revents)
		return 1;
	return n == 0 || *exec->born > 0 ? 0 : not_born(err);
}

static int receive(struct exec *exec, struct message *message, struct error *err)
{
	for (;;) {
		auto_fd fd = -1;
		int there = wait_for_birth(exec, err);
		int got = there < 0 ? -1
				    : message_receive(exec->channel, message, &fd,
						      there ? -1 : patience(exec), err);

		if (there < 0)
			return -1;
		if (got < 0)
			return process_blame(exec->runtime->procfs,
					     *exec->born > 0 ? *exec->born : exec->stage, err);
		if (got == 0)
			return 0;
		if (message->kind == MESSAGE_ERROR) {
			*err = message->error;
			return -1;
		}
		if (!is_in_turn(exec, message->kind))
			return error_system(err, EPROTO, "message %d came out of turn",
					    message->kind);
		if (message->kind == MESSAGE_LOG)
			log_record((enum log_level)message->number, "%s", message->error.what);
		else if (message->kind == MESSAGE_CONSOLE && exec->options->console_socket) {
			if (terminal_send(exec->options->console_socket, fd, err) < 0)
				return -1;
		} else if (message->kind == MESSAGE_CONSOLE) {
			exec->console = take_fd(&fd);
		} else if (message->kind == MESSAGE_LISTENER) {
			if (exec_pass_listener(exec, message->number, err) < 0)
				return -1;
		} else
			return 1;
	}
}

static int expect(struct exec *exec, enum message_kind kind, struct message *message,
		  struct error *err)
{
	int got = receive(exec, message, err);

	if (got < 0)
		return -1;
	if (got == 0)
		return not_born(err);
	if (message->kind != kind)
		return error_system(err, EPROTO, "message %d came instead of %d", message->kind,
				    kind);
	return 0;
}

/* Only when it is certain that the program runs: the missing file is how conmon tells a failed exec
 * from a failed program. */
static int publish(struct exec *exec, struct error *err)
{
	static const char payload[] = "setns";
	char text[16];

	if (exec->options->pidfd_socket) {
		auto_fd socket = fd_connect(exec->options->pidfd_socket, err);

		if (socket < 0 || fd_send(socket, exec->pidfd, payload, strlen(payload), err) < 0)
			return -1;
	}
	if (!exec->options->pid_file)
		return 0;

	int n = snprintf(text, sizeof(text), "%d", exec->pid);

	return file_replace_path(exec->options->pid_file, text, (size_t)n, 0644, err);
}

/* Decided before the process is there, which has to know it as well. */
static bool is_unattended(const struct exec *exec)
{
	const struct exec_options *options = exec->options;

	return !options->pid_file && !options->pidfd_socket && !exec->seccomp.program.notify &&
	       !become_needs_tuning(&exec->process) &&
	       become_limits_itself(&exec->process, &exec->seccomp);
}

/* Only now has the process a pid; its stage has ended. */
static int meet(struct exec *exec, struct error *err)
{
	int status;

	/* S has closed its own, and nobody waits for us now. */
	fd_close(&exec->runtime->clone);
	exec->pid = *exec->born;
	exec->pidfd = process_open(exec->pid, err);
	if (exec->pidfd < 0)
		return -1;
	return process_wait(exec->stage_fd, patience(exec), &status, err) < 0 ? -1 : 0;
}

static int meet_attended(struct exec *exec, struct error *err)
{
	struct message message;

	if (exec->unattended)
		return 0;
	return expect(exec, MESSAGE_INIT, &message, err) < 0 ? -1 : meet(exec, err);
}

static int let_go_on(struct exec *exec, struct error *err)
{
	struct message message;

	if (exec->unattended)
		return 0;
	if (become_tune_newborn(exec->pid, &exec->process, err) < 0 ||
	    message_tell(exec->channel, MESSAGE_GO, 0, err) < 0)
		return -1;
	return expect(exec, MESSAGE_READY, &message, err);
}

static int set_limits(struct exec *exec, struct error *err)
{
	if (exec->unattended)
		return 0;
	return become_set_limits(exec->pid, &exec->process, &exec->become.limits_left, err);
}

static int tell_start(struct exec *exec, struct error *err)
{
	if (exec->unattended)
		return 0;
	return message_tell(exec->channel, MESSAGE_START, exec->become.limits_left, err);
}

static int await_exec(struct exec *exec, struct error *err)
{
	struct message message;

	if (expect(exec, MESSAGE_EXEC, &message, err) < 0)
		return -1;
	if (exec->unattended && meet(exec, err) < 0)
		return -1;

	int got = receive(exec, &message, err);

	if (got > 0)
		return error_system(err, EPROTO, "message %d came after the exec", message.kind);
	if (got == 0 && process_died_unexecuted(exec->runtime->procfs, exec->pid, exec->pidfd, -1))
		return error_coded(
		    err, CRL_SETUP_DIED,
		    error_state(
			err, "the process in the container ended before it executed the program"));
	return got;
}

static int spawn_stage(struct exec *exec, struct error *err)
{
	int ends[2];
	pid_t pid;

	void *shared = mmap(NULL, sizeof(*exec->born), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return error_system(err, errno, "cannot share memory with the stage");
	exec->born = shared;
	if (channel_pair(ends, err) < 0)
		return -1;
	exec->channel = ends[0];
	exec->peer = ends[1];
	exec->become.channel = exec->peer;
	exec->become.born = exec->born;
	exec->become.unattended = exec->unattended = is_unattended(exec);

	const struct spawn spawn = {
		.cgroup = exec->unit_sub ? -1 : exec->cgroup,
		.pidfd = &exec->stage_fd,
	};

	pid = process_spawn(&spawn, err);
	if (pid < 0)
		return -1;
	if (pid == 0) {
		struct runtime *runtime = exec->runtime;
		/* The lock belongs to the open file: a child that kept it would hold it. */
		int *const fds[] = { &runtime->clone, &exec->channel, &exec->container.dir,
				     &runtime->root,  &exec->cgroup,  &runtime->cgroup_root };

		fd_close_all(fds, ARRAY_SIZE(fds));
		stage(exec);
	}
	exec->stage = pid;
	fd_close(&exec->peer);
	return 0;
}

/* An unattended process is not met before it has executed its program. */
static const struct exec_step outer_steps[] = {
	{ "starting the stage", spawn_stage },
	{ "meeting the process", meet_attended },
	{ "letting the process go on", let_go_on },
	/* When it has opened all that it needs: a small limit of files must not stop that. */
	{ "setting limits", set_limits },
	{ "publishing the process", publish },
	{ "telling the process to start", tell_start },
	{ "waiting for the program", await_exec },
};

static void kill_and_reap(int *pidfd)
{
	struct error gone = { 0 };
	int status;

	if (*pidfd < 0)
		return;
	if (process_signal(*pidfd, SIGKILL, &gone) < 0)
		error_ignore(&gone, "it ended by itself");
	if (process_wait(*pidfd, END_TIMEOUT_MS, &status, &gone) < 0)
		error_ignore(&gone, "it was reaped already");
	fd_close(pidfd);
}

/* Dead or alive, the process inside is our child, and one that nobody reaps keeps the container's
 * pid namespace from ending. */
static void end_process(struct exec *exec)
{
	struct error gone = { 0 };

	fd_close(&exec->channel);
	kill_and_reap(&exec->stage_fd);
	/* It may not have come to say its pid: it is frozen, or was killed on the way. */
	if (exec->pidfd < 0 && exec->born && *exec->born > 0) {
		exec->pidfd = process_open(*exec->born, &gone);
		if (exec->pidfd < 0)
			error_ignore(&gone, "it has been reaped already");
	}
	kill_and_reap(&exec->pidfd);
	if (exec->options->pid_file && exec->pid)
		unlink(exec->options->pid_file);
}

static int run(struct exec *exec, int *exit_code, struct error *err)
{
	const char *cgroup = exec->container.state.cgroup;
	struct monitor monitor;
	struct oom_mark mark;

	oom_mark(exec->runtime, cgroup, &mark);
	if (exec->process.terminal && !exec->options->detach && !exec->options->console_socket)
		monitor_own_size(&exec->process.height, &exec->process.width);
	if (make_steps(outer_steps, ARRAY_SIZE(outer_steps), "P", exec, err) < 0) {
		end_process(exec);
		/* It ended without a word. */
		if (err->kind == ERROR_STATE)
			oom_blame(exec->runtime, cgroup, &mark, "the process", err);
		return -1;
	}
	*exit_code = 0;
	/* From here on the container may be deleted under the process: it is the process that
	 * counts. */
	container_close(&exec->container);
	if (exec->options->detach)
		return 0;
	monitor = (struct monitor){
		.pidfd = exec->pidfd,
		.console = exec->console,
		.procfs = exec->runtime->procfs,
	};
	if (monitor_run(&monitor, exit_code, err) < 0) {
		/* Nobody would watch it any more, nor take its output. */
		kill_and_reap(&exec->pidfd);
		return -1;
	}
	oom_warn(exec->runtime, cgroup, &mark, *exit_code);
	return 0;
}

int verb_exec(struct runtime *runtime, const struct exec_options *options, int *exit_code,
	      struct error *err)
{
	struct exec exec = {
		.runtime = runtime,
		.options = options,
		.container = { .dir = -1 },
		.init_fd = -1,
		.root = -1,
		.cgroup = -1,
		.channel = -1,
		.peer = -1,
		.stage_fd = -1,
		.pidfd = -1,
		.console = -1,
	};
	int result = -1;

	/* Engines read 255 as "exec itself failed". */
	*exit_code = 255;
	if (!options->detach && monitor_block_signals(err) < 0)
		return -1;
	if (exec_load(&exec, err) == 0)
		result = run(&exec, exit_code, err);
	exec_locate_error(&exec, err);
	/* The command ends now, and all that is open with it. */
	return result;
}
