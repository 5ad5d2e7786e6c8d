/*
 * `restore`: a container is made from its document and from what a checkpoint has saved.  The table
 * is that of create with CRIU in the place of the init; what fails is undone by create's own undo.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/monitor.h>
#include <creel/notify.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/steps.h>

#include "create_parts.h"

#define KILL_TIMEOUT_MS 10000
#define MAX_ATTEMPTS	20

static struct restore *of(struct create *create)
{
	return (struct restore *)create;
}

/* ---- the rows ---- */

static int make_request(struct create *create, struct error *err)
{
	return restore_make_request(of(create), err);
}

static int check_images(struct create *create, struct error *err)
{
	return restore_check_images(of(create), err);
}

static int protect_devices(struct create *create, struct error *err)
{
	return create->cgroup.fd < 0 ? 0 : create_equip_cgroup(create, err);
}

static int start_criu(struct create *create, struct error *err)
{
	struct restore *restore = of(create);
	struct spawn spawn = {
		.cgroup = create->cgroup.fd,
		.pidfd = &create->stage_fd,
	};
	int ends[2], sockets[2];

	if (channel_pair(ends, err) < 0)
		return -1;
	create->channel = ends[0];
	create->peer = ends[1];
	if (channel_pair(sockets, err) < 0)
		return -1;
	restore->criu.socket = sockets[0];
	restore->criu.peer = sockets[1];
	create->stage = process_spawn(&spawn, err);
	if (create->stage < 0)
		return -1;
	if (create->stage == 0)
		restore_child_main(restore);
	fd_close(&create->peer);
	fd_close(&restore->criu.peer);
	restore->criu.pid = create->stage;
	restore->criu.pidfd = fcntl(create->stage_fd, F_DUPFD_CLOEXEC, 0);
	return restore->criu.pidfd < 0 ? error_system(err, errno, "cannot watch criu") : 0;
}

static int open_beneath(int root, const char *path, int *fd, struct error *err)
{
	fd_close(fd);
	*fd = openat(root, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? error_system(err, errno, "cannot open %s as criu will see it", path) : 0;
}

/* CRIU goes to these directories by our descriptors, and mounts in them: they must be of its own
 * mount namespace. */
static int open_directories(struct restore *restore, struct error *err)
{
	const struct create *create = &restore->create;
	char name[32];

	snprintf(name, sizeof(name), "%d/root", create->stage);

	auto_fd root = openat(create->runtime->procfs, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_system(err, errno, "cannot open the root of criu's process");
	if (open_beneath(root, restore->image_path, &restore->place.images, err) < 0 ||
	    open_beneath(root, restore->work_path, &restore->place.work, err) < 0)
		return -1;
	restore->request.images = restore->place.images;
	restore->request.work = restore->place.work;
	return 0;
}

static int prepare_criu(struct create *create, struct error *err)
{
	struct message message;

	if (message_send(create->channel, MESSAGE_GO, 0, -1, err) < 0 ||
	    create_serve(create, MESSAGE_READY, err) < 0 || open_directories(of(create), err) < 0)
		return -1;

	/* The end of the channel: it is CRIU now. */
	int got = message_receive(create->channel, &message, NULL,
				  message_patience(create->runtime->timeout_ms, false), err);

	if (got > 0 && message.kind == MESSAGE_ERROR)
		*err = message.error;
	else if (got > 0)
		error_system(err, EPROTO, "criu's process sent message %d out of turn",
			     message.kind);
	return got == 0 ? 0 : -1;
}

/* The namespaces are there, and nothing else: what the runtime's hooks of create see, too. */
static int run_hooks(struct create *create, struct error *err)
{
	create->hooks_begun = true;
	if (create_hooks(create, OCI_HOOK_PRESTART, OCI_STATUS_CREATING, err) < 0)
		return -1;
	return create_hooks(create, OCI_HOOK_CREATE_RUNTIME, OCI_STATUS_CREATING, err);
}

/* All is there but does not run yet. */
static int take_over(struct create *create, struct error *err)
{
	struct state *state = &create->container.state;
	uint64_t start;
	bool dead;

	create->init_fd = process_open(create->init, err);
	if (create->init_fd < 0 ||
	    process_start_time(create->runtime->procfs, create->init, &start, &dead, err) < 0)
		return -1;
	state->pid = (struct optional_uint){ .set = true, .value = (uint64_t)create->init };
	state->start = (struct optional_uint){ .set = true, .value = start };
	state->identity.set = process_identity(create->init_fd, &state->identity.value);
	if (restore_check_container(of(create), err) < 0 || create_make_limits(create, err) < 0 ||
	    (create_is_born_late(create) && create_make_late_limits(create, err) < 0) ||
	    create_save_exec_record(create, err) < 0)
		return -1;
	return state_prepare(create->runtime->arena, create->container.dir, state, err);
}

/* All rights are given, and nothing runs yet.  CRIU would not stop here for us. */
static int check_rights(struct create *create, struct error *err)
{
	struct error trouble = { 0 };

	of(create)->is_checked = true;
	if (restore_check_rights(of(create), err) == 0)
		return 0;
	if ((create->cgroup.fd >= 0 &&
	     cgroup_kill(create->cgroup.fd, KILL_TIMEOUT_MS, &trouble) < 0) ||
	    process_signal(create->init_fd, SIGKILL, &trouble) < 0)
		error_ignore(&trouble, "it is dead already");
	return -1;
}

static int notified(void *argument, const struct criu_answer *answer, int *fd, struct error *err)
{
	struct create *create = argument;

	if (text_equal(answer->script, "setup-namespaces")) {
		create->init = answer->pid;
		return run_hooks(create, err);
	}
	if (text_equal(answer->script, "post-restore")) {
		create->init = answer->pid;
		return take_over(create, err);
	}
	if (text_equal(answer->script, "pre-resume"))
		return check_rights(create, err);
	if (text_equal(answer->script, "orphan-pts-master"))
		return create_take_console(create, fd, err);
	return 0;
}

/* It says that the kernel does not know SELinux; it is the one who does not. */
static int explain_label(const struct restore *restore, struct error *err)
{
	const char *wanted = restore->request.lsm_profile;

	if (!wanted || !text_starts_with(wanted, "selinux:") ||
	    !restore->create.runtime->facts.selinux || !strstr(err->what, "selinux not supported"))
		return -1;
	return error_hint(err,
			  "this criu was built without SELinux: it takes one that is linked with "
			  "libselinux; the whole log is %s/" RESTORE_LOG,
			  restore->place.work_path);
}

static int restore_processes(struct create *create, struct error *err)
{
	struct restore *restore = of(create);
	struct criu_answer answer;

	if (criu_call(&restore->criu, create->runtime->arena, &restore->request, notified, create,
		      criu_patience(create->runtime), restore->place.work_path, &answer, err) < 0)
		return explain_label(restore, err);
	if (create->init_fd < 0 || !restore->is_checked)
		return error_system(err, EPROTO, "criu did not say which process it has restored");
	criu_close(&restore->criu);
	fd_close(&create->stage_fd);
	create->stage = 0;
	return 0;
}

static const struct step restore_steps[] = {
	/* Nothing is made yet: what is wrong with the images or the options costs nothing. */
	{ "preparing the request", make_request, NULL },
	{ "compiling the seccomp filter", create_make_filter, NULL },
	{ "checking the images", check_images, NULL },
	{ "making the state directory", create_make_state, NULL },
	{ "making the notify directory", create_make_notify, NULL },
	{ "making the cgroup", create_make_cgroup, NULL },
	/* In the cgroup, and so is everything that it makes. */
	{ "starting criu", start_criu, NULL },
	{ "recording the container", create_make_record, NULL },
	/* While it waits: what it makes is then born in the unit. */
	{ "giving the container to systemd", create_make_adoption, NULL },
	/* What CRIU opens is opened under the container's rules, whoever asked for it. */
	{ "protecting devices", protect_devices, NULL },
	{ "preparing mounts", prepare_criu, NULL },
	{ "restoring the processes", restore_processes, NULL },
	{ "publishing the container", create_make_published, NULL },
};

static int make(struct create *create, struct error *err)
{
	struct error trouble = { 0 };

	if (steps_run(restore_steps, ARRAY_SIZE(restore_steps), create, err) == 0)
		return 0;
	create_locate_error(create, err);
	if (create->container.dir >= 0 && create_undo(create, &trouble) < 0)
		error_ignore(&trouble, "the error that stopped the restore matters more");
	return -1;
}

/* ---- the verb ---- */

static int check_options(const struct restore_options *options, struct error *err)
{
	if (options->criu.tcp_established && options->criu.tcp_close)
		return error_usage(err, "--tcp-established and --tcp-close exclude each other");
	if (options->lsm_profile && !strchr(options->lsm_profile, ':'))
		return error_usage(err, "--lsm-profile wants TYPE:NAME, not \"%s\"",
				   options->lsm_profile);
	return 0;
}

static int check_plan(const struct plan *plan, struct error *err)
{
	if (!(plan->namespaces.create & CLONE_NEWNS))
		return error_unsupported(
		    err, "a container without a mount namespace of its own cannot be restored");
	return checkpoint_check_joins(plan, err);
}

static int finish(struct restore *restore, int *exit_code, struct error *err)
{
	struct create *create = &restore->create;
	const char *cgroup = create->container.state.cgroup;
	struct oom_mark mark;
	struct error trouble = { 0 };
	auto_notify notify = { -1, -1 };

	create->pid_written = false; /* the file is the engine's from now on */
	if (notify_open(create->container.dir, getenv("NOTIFY_SOCKET"), &notify, err) < 0)
		return -1;
	if (create->options->detach)
		return run_leave(create, &notify, err);
	oom_mark(create->runtime, cgroup, &mark);
	if (run_watch(create, &notify, exit_code, err) < 0) {
		if (run_end(create, &trouble) < 0)
			error_ignore(&trouble, "the error that stopped the watching matters more");
		return -1;
	}
	oom_warn(create->runtime, cgroup, &mark, *exit_code);
	return run_end(create, err);
}

/*
 * The first process that CRIU makes in a new user namespace opens an image at once, maybe before
 * the maps of that namespace are written.  Until then it is not yet the root to whom the images are
 * shown to belong, and has no rights over them.  Nothing is restored by then.
 */
static bool was_too_early(const struct create *create, const struct error *err)
{
	return create->plan.namespaces.maps && !create->hooks_begun &&
	       strstr(err->what, "timens-0.img: Permission denied");
}

static int restore_once(struct runtime *runtime, const struct restore_options *options, int program,
			bool *again, int *exit_code, struct error *err)
{
	struct restore restore = {
		.options = options,
		.place = CRIU_PLACE_NONE,
		.criu = CRIU_NONE,
		.program = program,
	};
	struct create *create = &restore.create;
	int result;

	if (!options->create.detach && monitor_block_signals(err) < 0)
		return -1;
	result = create_load(create, runtime, &options->create, err);
	create->restores = true;
	if (result == 0)
		result = check_plan(&create->plan, err);
	if (result == 0) {
		result = make(create, err);
		*again = result < 0 && was_too_early(create, err);
		if (*again)
			log_debug("criu was too early for its images: once more");
	}
	if (result == 0)
		result = finish(&restore, exit_code, err);
	criu_close(&restore.criu);
	criu_place_close(&restore.place);
	for (size_t i = 0; i < restore.keep_n; i++)
		if (restore.keep[i] > STDERR_FILENO)
			fd_close(&restore.keep[i]);
	create_close(create);
	return result;
}

int verb_restore(struct runtime *runtime, const struct restore_options *options, int *exit_code,
		 struct error *err)
{
	auto_fd program = -1;
	bool again = true;
	int result = -1;

	*exit_code = 0;
	if (check_options(options, err) < 0 || criu_check_rights(runtime, err) < 0)
		return -1;
	program = criu_find(err);
	if (program < 0)
		return -1;
	for (int i = 0; again && i < MAX_ATTEMPTS; i++) {
		*err = (struct error){ 0 };
		again = false;
		result = restore_once(runtime, options, program, &again, exit_code, err);
	}
	return result;
}
