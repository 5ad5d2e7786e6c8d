/* `start`: tells the waiting init to go on, and learns from the end of the connection that execve
 * worked. */
#include <creel/verbs.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/message.h>
#include <creel/notify.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/start.h>

#define QUIET_MS 20

static int refuse(const struct container *container, struct error *err)
{
	switch (container->status) {
	case OCI_STATUS_CREATED:
		return 0;
	case OCI_STATUS_RUNNING:
		return error_coded(err, CRL_WRONG_STATUS,
				   error_state(err, "cannot start an already running container"));
	case OCI_STATUS_STOPPED:
		return error_coded(err, CRL_WRONG_STATUS,
				   error_state(err, "cannot start a container that has stopped"));
	case OCI_STATUS_CREATING:
	case OCI_STATUS_PAUSED:
		break;
	}
	return error_coded(err, CRL_WRONG_STATUS,
			   error_state(err, "cannot start a container in the %s state",
				       name_of(oci_status_names, container->status)));
}

static int ended_early(struct error *err)
{
	error_coded(err, CRL_SETUP_DIED,
		    error_state(err, "the container's init ended before it executed the program"));
	return error_hint(err,
			  "a seccomp filter that refuses execve, or exit, ends it without a word");
}

/* The end of the connection is the end of the old program: by execve, or because the process died
 * on the way. */
static int check_executed(const struct start *start, struct error *err)
{
	if (process_died_unexecuted(start->procfs, start->pid, start->pidfd, start->stat))
		return ended_early(err);
	return 0;
}

int start_wait_for_end(int control, int timeout_ms, struct error *err)
{
	int patience = message_patience(timeout_ms, false);

	return fd_wait(control, POLLRDHUP, patience < QUIET_MS ? patience : QUIET_MS, err);
}

int start_init(const struct start *start, struct error *err)
{
	int control = start->control;
	bool executes = start->told, hooks = false;
	int ended;

	if (!start->told && message_tell(control, MESSAGE_START, start->limits_left, err) < 0)
		return -1;
	ended = start->ended ? 1 : start_wait_for_end(control, start->timeout_ms, err);
	if (ended < 0)
		return -1;
	for (;;) {
		struct message message;
		/* Whoever has ended is not waited for: its last words are there. */
		int patience = ended ? -1 : message_patience(start->timeout_ms, hooks);
		int got = message_receive(control, &message, NULL, patience, err);

		if (got < 0) {
			process_blame(start->procfs, start->pid, err);
			return error_while(err, "waiting for the container's program");
		}
		if (got == 0)
			return executes ? check_executed(start, err) : ended_early(err);
		if (message.kind == MESSAGE_EXEC) {
			executes = true;
		} else if (message.kind == MESSAGE_HOOKS) {
			hooks = message.number;
		} else if (message.kind == MESSAGE_LOG) {
			log_record((enum log_level)message.number, "%s", message.error.what);
		} else if (message.kind == MESSAGE_ERROR) {
			*err = message.error;
			return -1;
		}
	}
}

void start_locate_error(struct runtime *runtime, const struct container *container,
			struct error *err)
{
	const struct create_options options = { .id = container->id,
						.bundle = container->state.bundle,
						.start_now = true };
	struct create create;
	struct error changed = { 0 };

	if (!err->where[0] || err->line || !container->state.bundle)
		return;
	if (create_read_config(&create, runtime, &options, &changed) < 0) {
		error_ignore(&changed, "without the document there is no line to name");
		return;
	}
	if (text_equal(state_digest(runtime->arena, create.config_text, create.config_size),
		       container->state.config_digest))
		create_locate_error(&create, err);
}

/* Hooks of the container may run for as long as they like, unless --timeout was given. */
static int start_over_socket(struct runtime *runtime, struct container *container, int init,
			     struct error *err)
{
	auto_fd socket = fd_connect_at(container->dir, STATE_START_SOCKET, err);
	const struct start start = {
		.control = socket,
		.timeout_ms = runtime->timeout_ms,
		.procfs = runtime->procfs,
		.pid = (pid_t)container->state.pid.value,
		.pidfd = init,
		.stat = -1,
	};

	if (socket < 0 || start_init(&start, err) < 0)
		return -1;
	return state_mark_started(container->dir, err);
}

int verb_start(struct runtime *runtime, const char *id, struct error *err)
{
	auto_container container = { .dir = -1 };
	struct create create;

	if (container_open(runtime, id, CONTAINER_EXCLUSIVE, &container, err) < 0)
		return -1;
	if (refuse(&container, err) < 0) {
		/* Its init ended while it waited for us. */
		if (container.status == OCI_STATUS_STOPPED && state_is_unstarted(container.dir))
			oom_blame(runtime, container.state.cgroup, NULL, "container init", err);
		return -1;
	}
	/* The init checks nothing about us: that it is the right one is for us to know. */
	auto_fd init = container_init_open(runtime, &container, err);

	auto_notify notify = { -1, -1 };

	if (init < 0 || notify_open(container.dir, getenv("NOTIFY_SOCKET"), &notify, err) < 0)
		return -1;
	if (start_over_socket(runtime, &container, init, err) < 0) {
		/* It ended without a word. */
		if (err->kind == ERROR_STATE)
			oom_blame(runtime, container.state.cgroup, NULL, "container init", err);
		start_locate_error(runtime, &container, err);
		return -1;
	}
	create_from_state(&create, runtime, &container);

	int result = create.container.state.hooks ? start_finish(&create, init, err) : 0;

	if (result == 0 && notify.inner >= 0) {
		/* It may take its time to be ready: others may stop it meanwhile. */
		container_unlock(&create.container);
		result = notify_wait(&notify, init, create.init, err);
	}
	create_close(&create);
	return result;
}

/* runtime.md: since 1.3 a failing poststart hook stops the container. */
int start_finish(struct create *create, int init, struct error *err)
{
	struct error trouble = { 0 };

	if (create_hooks(create, OCI_HOOK_POSTSTART, OCI_STATUS_RUNNING, err) == 0)
		return 0;
	if (process_signal(init, SIGKILL, &trouble) < 0)
		error_ignore(&trouble, "it is dead already");
	return -1;
}
