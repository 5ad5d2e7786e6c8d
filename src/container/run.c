/* `create` and `run`: load, plan, make; `run` goes on over the same channel, watches the process,
 * and cleans up after it. */
#include <creel/verbs.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/monitor.h>
#include <creel/notify.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/start.h>

#include "create_parts.h"

int verb_create(struct runtime *runtime, const struct create_options *options, struct error *err)
{
	struct create create;
	int result = create_load(&create, runtime, options, err);

	if (result == 0)
		result = create_run(&create, err);
	create_close(&create);
	return result;
}

/* The container is published and its init waits for START on the channel. */
static int start_now(struct create *create, struct error *err)
{
	const struct start start = {
		.control = create->channel,
		.timeout_ms = create->runtime->timeout_ms,
		.procfs = create->runtime->procfs,
		.pid = create->init,
		.pidfd = create->init_fd,
		.stat = create->init_stat,
		.limits_left = create->limits_left,
		.told = create->started,
		.ended = create->hung_up,
	};

	if (start_init(&start, err) < 0) {
		if (err->kind == ERROR_STATE)
			oom_blame(create->runtime, create->container.state.cgroup, NULL,
				  "container init", err);
		create_locate_error(create, err);
		return -1;
	}
	if (state_mark_started(create->container.dir, err) < 0)
		return -1;
	return start_finish(create, create->init_fd, err);
}

int run_watch(struct create *create, const struct notify *notify, int *exit_code, struct error *err)
{
	struct monitor monitor = {
		.notify = notify,
		.pidfd = create->init_fd,
		.console = create->console,
		.procfs = create->runtime->procfs,
	};

	struct error trouble = { 0 };

	/* Other commands may work on it while we only watch. */
	container_unlock(&create->container);
	if (monitor_run(&monitor, exit_code, err) == 0) {
		create->dead = true;
		return 0;
	}
	/* Nobody would watch it any more, nor take its output. */
	if (process_signal(create->init_fd, SIGKILL, &trouble) < 0)
		error_ignore(&trouble, "it has ended meanwhile");
	return -1;
}

static int undo(struct create *create, struct error *err)
{
	create->pid_written = false; /* the file is the engine's from now on */
	create->options = NULL;
	return create_undo(create, err);
}

static int run(struct create *create, const struct run_options *options, int *exit_code,
	       struct error *err)
{
	const char *cgroup = create->container.state.cgroup;
	struct error trouble = { 0 };
	auto_notify notify = { -1, -1 };

	*exit_code = 0;
	if (!create->started && !options->create.detach)
		oom_mark(create->runtime, cgroup, &create->oom);
	create->hooks_begun = true; /* It was created, so poststop hooks are owed. */
	if (notify_open(create->container.dir, getenv("NOTIFY_SOCKET"), &notify, err) < 0 ||
	    start_now(create, err) < 0) {
		create->pid_written = false; /* the file is the engine's from now on */
		create->options = NULL;
		if (create_undo(create, &trouble) < 0)
			error_ignore(&trouble, "the error that stopped the start matters more");
		return -1;
	}
	if (options->create.detach)
		return run_leave(create, &notify, err);
	if (run_watch(create, &notify, exit_code, err) < 0) {
		if (!options->keep && run_end(create, &trouble) < 0)
			error_ignore(&trouble, "the error that stopped the watching matters more");
		return -1;
	}
	oom_warn(create->runtime, cgroup, &create->oom, *exit_code);
	return options->keep ? 0 : run_end(create, err);
}

int run_leave(struct create *create, const struct notify *notify, struct error *err)
{
	if (notify->inner < 0)
		return 0;
	container_unlock(&create->container);
	return notify_wait(notify, create->init_fd, create->init, err);
}

int run_end(struct create *create, struct error *err)
{
	switch (container_lock_again(create->runtime, &create->container, err)) {
	case 1:
		return undo(create, err);
	case 0:
		return 0; /* Somebody deleted it already. */
	default:
		return -1;
	}
}

int verb_run(struct runtime *runtime, const struct run_options *options, int *exit_code,
	     struct error *err)
{
	struct create create;
	int result;

	if (!options->create.detach && monitor_block_signals(err) < 0)
		return -1;
	result = create_load(&create, runtime, &options->create, err);
	if (result == 0 && create.plan.process.terminal && !options->create.detach &&
	    !options->create.console_socket)
		monitor_own_size(&create.plan.process.height, &create.plan.process.width);
	if (result == 0)
		result = create_run(&create, err);
	if (result == 0)
		result = run(&create, options, exit_code, err);
	create_close(&create);
	return result;
}
