/* The end of the create table: P waits until I is set up, and the container exists for everybody.
 */
#include "create_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <creel/become.h>
#include <creel/create.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/start.h>

static int send_pidfd(struct create *create, struct error *err)
{
	static const char payload[] = "standard";
	auto_fd socket = -1;

	if (!create->options->pidfd_socket)
		return 0;
	socket = fd_connect(create->options->pidfd_socket, err);
	if (socket < 0)
		return -1;
	return fd_send(socket, create->init_fd, payload, strlen(payload), err);
}

static int write_pid_file(const char *path, pid_t pid, struct error *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);

	return file_replace_path(path, text, (size_t)n, 0644, err);
}

static int publish(struct create *create, struct error *err)
{
	const struct state *state = &create->container.state;

	/* Were state.json damaged one day, `delete --force` would find the processes by it. */
	if ((!state->cgroup || state->unit) &&
	    state_note_init(create->container.dir, state, err) < 0)
		return -1;
	if (state_commit(create->container.dir, err) < 0 || send_pidfd(create, err) < 0)
		return -1;
	if (!create->options->pid_file)
		return 0;
	if (write_pid_file(create->options->pid_file, create->init, err) < 0)
		return -1;
	create->pid_written = true;
	return 0;
}

int create_undo_published(struct create *create, struct error *err)
{
	(void)err;
	/* Only ours: `delete` knows no pid file, since the engine owns it by then. */
	if (create->pid_written)
		unlink(create->options->pid_file);
	create->pid_written = false;
	return 0;
}

/* Hooks make P and I wait for each other, and decide what a failure means. */
bool create_starts_early(const struct create *create)
{
	return create->options->start_now && !create_is_born_late(create) && !create->plan.notify &&
	       !create->seccomp.program.notify && !create->config.hooks &&
	       become_limits_itself(&create->plan.process, &create->seccomp);
}

/*
 * `run` is done before I is, on the other core: START then waits in the channel for I, and not I
 * for a wake-up of P.  Not where P still has something to say to I, or something to do for it.
 */
static int start_early(struct create *create, struct error *err)
{
	if (!create->options->detach)
		oom_mark(create->runtime, create->container.state.cgroup, &create->oom);
	if (publish(create, err) < 0 || message_tell(create->channel, MESSAGE_START, 1, err) < 0)
		return -1;

	int ended = start_wait_for_end(create->channel, create->runtime->timeout_ms, err);

	create->hung_up = ended > 0;
	if (ended < 0 || create_serve(create, MESSAGE_EXEC, err) < 0)
		return -1;
	create->started = true;
	return 0;
}

int create_make_inside(struct create *create, struct error *err)
{
	if (create_save_exec_record(create, err) < 0 ||
	    state_prepare(create->runtime->arena, create->container.dir, &create->container.state,
			  err) < 0)
		return -1;
	/* I is still busy: nobody waits for us. */
	fd_close(&create->runtime->clone);
	if (create->early)
		return start_early(create, err);
	if (create_serve(create, MESSAGE_READY, err) < 0)
		return -1;
	return become_set_limits(create->init, &create->plan.process, &create->limits_left, err);
}

int create_make_published(struct create *create, struct error *err)
{
	struct message message;

	if (create->started)
		return 0;
	if (publish(create, err) < 0)
		return -1;
	if (create->options->start_now)
		return 0;

	/* I acknowledges by closing the channel: only then may we exit without taking it along. */
	if (message_send(create->channel, MESSAGE_COMMIT, create->limits_left, -1, err) < 0)
		return -1;

	int got = message_receive(create->channel, &message, NULL,
				  message_patience(create->runtime->timeout_ms, false), err);

	if (got < 0)
		return process_blame(create->runtime->procfs, create->init, err);
	if (got > 0 && message.kind == MESSAGE_ERROR) {
		*err = message.error;
		return -1;
	}
	return 0;
}
