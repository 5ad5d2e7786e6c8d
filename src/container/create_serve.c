/* P serves its children: maps, hooks, the console and the seccomp listener, until the message that
 * it waits for. */
#include <creel/create.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/become.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/idmap.h>
#include <creel/log.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/seccomp_agent.h>
#include <creel/terminal.h>

#include "create_parts.h"

/* How the child that we talked to ended; its own last words, if it had any, came as MESSAGE_ERROR
 * before. */
static int explain_death(struct create *create, struct error *err)
{
	const char *who = create->stage ? "the stage" : "container init";
	int fd = create->stage ? create->stage_fd : create->init_fd;
	struct error ignored = { 0 };
	char name[32];
	int status = 0;

	if (fd < 0 || process_wait(fd, 1000, &status, &ignored) != 1)
		return error_coded(err, CRL_SETUP_DIED,
				   error_system(err, ECONNRESET, "%s stopped answering", who));
	if (WIFSIGNALED(status)) {
		error_coded(
		    err, CRL_SETUP_DIED,
		    error_system(err, 0, "%s was killed by %s", who,
				 process_signal_name(WTERMSIG(status), name, sizeof(name))));
		if (WTERMSIG(status) == SIGSYS) {
			error_at(err, "/linux/seccomp");
			error_hint(err,
				   "the seccomp filter does not allow what creel itself has to "
				   "do after it is in force, or execve");
		}
		return WTERMSIG(status) == SIGKILL
			   ? oom_blame(create->runtime, create->container.state.cgroup, NULL,
				       "container init", err)
			   : -1;
	}
	return error_coded(err, CRL_SETUP_DIED,
			   error_system(err, 0,
					"%s exited with code %d before the container was set up",
					who, WEXITSTATUS(status)));
}

static int write_maps(struct create *create, struct error *err)
{
	if (idmap_write(create->runtime->procfs, create->stage, create->plan.namespaces.maps, err) <
	    0)
		return error_at(err, create->plan.namespaces.maps_where);
	return message_send(create->channel, MESSAGE_MAPS_DONE, 0, -1, err);
}

/* I is there, and waits: from here on it is what we mean by the init. */
static int take_newborn(struct create *create, struct error *err)
{
	struct container *container = &create->container;

	fd_close(&create->init_fd);
	/* Its own words are not needed: what lives where it was born may speak for it. */
	create->init = *create->born;
	create->init_fd = process_open(create->init, err);
	if (create->init_fd < 0 || create_reap_stage(create, err) < 0 ||
	    create_know_init(create, err) < 0 ||
	    state_prepare(create->runtime->arena, container->dir, &container->state, err) < 0 ||
	    create_make_late_limits(create, err) < 0 ||
	    become_tune_newborn(create->init, &create->plan.process, err) < 0)
		return -1;
	return message_send(create->channel, MESSAGE_GO, 0, -1, err);
}

static int run_runtime_hooks(struct create *create, struct error *err)
{
	create->hooks_begun = true;
	if (create_hooks(create, OCI_HOOK_PRESTART, OCI_STATUS_CREATING, err) < 0 ||
	    create_hooks(create, OCI_HOOK_CREATE_RUNTIME, OCI_STATUS_CREATING, err) < 0)
		return -1;
	return message_send(create->channel, MESSAGE_HOOKS_DONE, 0, -1, err);
}

int create_take_console(struct create *create, int *fd, struct error *err)
{
	create->console_taken = true;
	if (*fd < 0)
		return error_system(err, EPROTO, "the console came without a descriptor");
	if (create->options->console_socket)
		return terminal_send(create->options->console_socket, *fd, err);
	create->console = take_fd(fd);
	return 0;
}

static int pass_listener(struct create *create, int number, struct error *err)
{
	struct oci_state state;

	state_describe(&create->container.state, OCI_STATUS_CREATING, &state);
	state.pid.value = (uint64_t)create->init;

	const struct seccomp_agent agent = {
		.path = create->seccomp.listener_path,
		.metadata = create->seccomp.listener_metadata,
		.pidfd = create->init_fd,
		.pid = create->init,
		.state = &state,
	};

	if (seccomp_agent_pass(create->runtime->arena, &agent, number, err) < 0)
		return -1;
	return message_send(create->channel, MESSAGE_GO, 0, -1, err);
}

/*
 * Whether the message may come now.  An I that was born among others may be in their hands by then:
 * what S asks for is done once, and not for I.
 */
static bool is_in_turn(const struct create *create, enum message_kind kind, enum message_kind end)
{
	switch (kind) {
	case MESSAGE_NEED_MAPS:
		return create->stage && create->plan.namespaces.maps;
	case MESSAGE_INIT:
		return end == MESSAGE_INIT ||
		       (create_is_born_late(create) && create->stage && *create->born > 0);
	case MESSAGE_MOUNTED:
		return !create->hooks_begun;
	case MESSAGE_CONSOLE:
		return create->plan.process.terminal && !create->console_taken;
	case MESSAGE_LISTENER:
		return create->seccomp.program.notify;
	case MESSAGE_READY:
	case MESSAGE_EXEC:
		return kind == end;
	case MESSAGE_LOG:
	case MESSAGE_HOOKS:
	case MESSAGE_ERROR:
		return true;
	case MESSAGE_GO:
	case MESSAGE_MAPS_DONE:
	case MESSAGE_NETWORK:
	case MESSAGE_HOOKS_DONE:
	case MESSAGE_COMMIT:
	case MESSAGE_START:
		break;
	}
	return false;
}

/* Answers one message.  1: it was END. */
static int answer(struct create *create, struct message *message, int *fd, enum message_kind end,
		  struct error *err)
{
	if (!is_in_turn(create, message->kind, end))
		return error_system(err, EPROTO,
				    "the container's process sent message %d out of turn",
				    message->kind);
	switch (message->kind) {
	case MESSAGE_NEED_MAPS:
		return write_maps(create, err);
	case MESSAGE_INIT:
		if (end != MESSAGE_INIT)
			return take_newborn(create, err);
		create->init = message->number;
		return 1;
	case MESSAGE_MOUNTED:
		return run_runtime_hooks(create, err);
	case MESSAGE_READY:
	case MESSAGE_EXEC:
		return 1;
	case MESSAGE_LOG:
		log_record((enum log_level)message->number, "%s", message->error.what);
		return 0;
	case MESSAGE_CONSOLE:
		return create_take_console(create, fd, err);
	case MESSAGE_LISTENER:
		return pass_listener(create, message->number, err);
	case MESSAGE_ERROR:
		*err = message->error;
		return -1;
	case MESSAGE_GO:
	case MESSAGE_MAPS_DONE:
	case MESSAGE_NETWORK:
	case MESSAGE_HOOKS_DONE:
	case MESSAGE_COMMIT:
	case MESSAGE_START:
	case MESSAGE_HOOKS:
		break;
	}
	return 0;
}

int create_serve(struct create *create, enum message_kind end, struct error *err)
{
	bool hooks = false;

	for (;;) {
		struct message message;
		auto_fd fd = -1;
		int patience =
		    create->hung_up ? -1 : message_patience(create->runtime->timeout_ms, hooks);
		int got = message_receive(create->channel, &message, &fd, patience, err);

		if (got < 0)
			return process_blame(create->runtime->procfs, create->init, err);
		if (got == 0)
			return explain_death(create, err);
		if (message.kind == MESSAGE_HOOKS) {
			hooks = message.number;
			continue;
		}

		int answered = answer(create, &message, &fd, end, err);

		if (answered != 0)
			return answered < 0 ? -1 : 0;
	}
}
