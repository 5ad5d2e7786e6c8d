/* `checkpoint`: the processes of a running container are written to files, and end, unless they are
 * to go on. */
#include <creel/checkpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/log.h>
#include <creel/namespace.h>
#include <creel/notify.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/verbs.h>

#include "checkpoint_parts.h"

#define LOG_FILE "dump.log"
#define END_MS	 10000
#define PORT_MAX 65535

struct checkpoint {
	const struct checkpoint_options *options;
	struct runtime *runtime;
	struct create create; /* the document, planned again; its container is ours */
	struct criu_place place;
	struct criu criu;
	struct criu_request request;
	pid_t pid;
	int init;
	bool was_paused;
};

/* ---- before anything is done ---- */

/* A pipe or the like; no directory of ours. */
static int check_status_fd(int fd, struct error *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && fstat(fd, &st) == 0 &&
	    !S_ISDIR(st.st_mode))
		return 0;
	return error_usage(err, "the descriptor %d of --status-fd is not open for writing", fd);
}

static int check_options(const struct checkpoint_options *options, struct error *err)
{
	const struct criu_options *criu = &options->criu;

	if (criu->parent_path && criu->parent_path[0] == '/') {
		error_usage(err, "--parent-path must be relative to --image-path");
		return error_hint(err, "beside it: ../%s", strrchr(criu->parent_path, '/') + 1);
	}
	if (options->status_fd.set && check_status_fd((int)options->status_fd.value, err) < 0)
		return -1;
	if (criu->lazy_pages && !options->page_server)
		return error_usage(err, "--lazy-pages needs --page-server");
	if (criu->tcp_established && criu->tcp_close)
		return error_usage(err, "--tcp-established and --tcp-close exclude each other");
	return 0;
}

static int refuse(const struct container *container, struct error *err)
{
	if (container->status == OCI_STATUS_RUNNING || container->status == OCI_STATUS_PAUSED)
		return 0;
	error_state(err, "container cannot be checkpointed in the %s state",
		    name_of(oci_status_names, container->status));
	return container->status == OCI_STATUS_CREATED
		   ? error_hint(err, "its program does not run yet: there is nothing to save")
		   : -1;
}

/* The mounts that the container was given are those of the document that it was made from. */
static int load(struct checkpoint *checkpoint, struct container *container, struct error *err)
{
	const struct state *state = &container->state;
	const struct create_options options = {
		.id = container->id,
		.bundle = state->bundle,
		.manager = (enum cgroup_manager)state->cgroup_manager.value,
		.start_now = true,
		.had_notify = faccessat(container->dir, NOTIFY_DIRECTORY, F_OK, 0) == 0,
	};
	struct create *create = &checkpoint->create;

	if (create_load(create, checkpoint->runtime, &options, err) < 0)
		return -1;
	create->options = NULL;
	if (!text_equal(
		state_digest(checkpoint->runtime->arena, create->config_text, create->config_size),
		state->config_digest)) {
		error_state(err, "the config.json of the container is not the one it was created "
				 "from");
		return error_hint(err,
				  "what is mounted in it can only be told from that: put it "
				  "back into %s",
				  state->bundle);
	}
	return 0;
}

static int check_plan(const struct plan *plan, struct error *err)
{
	if (!(plan->namespaces.create & CLONE_NEWNS))
		return error_unsupported(
		    err, "a container without a mount namespace of its own cannot be checkpointed");
	return checkpoint_check_joins(plan, err);
}

/* ---- what is not the container's own ---- */

static int external_namespaces(struct checkpoint *checkpoint, struct error *err)
{
	const struct plan_namespaces *ns = &checkpoint->create.plan.namespaces;
	struct arena *arena = checkpoint->runtime->arena;

	for (size_t i = 0; i < ns->joins_n; i++) {
		const char *key = external_namespace_key(ns->joins[i].flag);
		const char *link = namespace_of(ns->joins[i].flag)->link;
		char path[64];
		struct stat st;

		if (!key)
			continue;
		snprintf(path, sizeof(path), "%d/ns/%s", checkpoint->pid, link);
		if (fstatat(checkpoint->runtime->procfs, path, &st, 0) < 0)
			return error_system(err, errno,
					    "cannot examine the namespaces of process %d",
					    checkpoint->pid);
		strings_add(arena, &checkpoint->request.external,
			    text_format(arena, "%s[%ju]:%s", link, (uintmax_t)st.st_ino, key));
	}
	return 0;
}

static int external_mounts(struct checkpoint *checkpoint, struct error *err)
{
	struct external_mounts mounts;
	struct arena *arena = checkpoint->runtime->arena;

	external_mounts_list(arena, &checkpoint->create.plan, &mounts);
	return checkpoint_find_mounts(arena, checkpoint->runtime->procfs, checkpoint->pid, &mounts,
				      &checkpoint->request.mounts, err);
}

/* ---- the request ---- */

/* "ADDRESS:PORT" */
static int page_server(struct checkpoint *checkpoint, struct error *err)
{
	const char *text = checkpoint->options->page_server;
	const char *colon = text ? strrchr(text, ':') : NULL;
	uint64_t port;

	if (!text)
		return 0;
	if (!colon || colon == text || !text_parse_uint(colon + 1, PORT_MAX, &port) || port == 0)
		return error_usage(err, "--page-server wants ADDRESS:PORT, not \"%s\"", text);
	checkpoint->request.page_server =
	    arena_strndup(checkpoint->runtime->arena, text, (size_t)(colon - text));
	checkpoint->request.page_port = (uint16_t)port;
	return 0;
}

static int fill(struct checkpoint *checkpoint, struct error *err)
{
	const struct checkpoint_options *options = checkpoint->options;
	const struct runtime *runtime = checkpoint->runtime;
	const struct state *state = &checkpoint->create.container.state;
	struct criu_request *request = &checkpoint->request;

	*request = (struct criu_request){
		.kind = options->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP,
		.log_file = LOG_FILE,
		.pid = checkpoint->pid,
		.parent = options->criu.parent_path,
		.root = checkpoint->create.plan.rootfs,
		.leave_running = options->leave_running || options->pre_dump,
		.track_memory = options->pre_dump || options->criu.parent_path,
	};
	if (state->cgroup && runtime->facts.cgroup_mount)
		request->freeze_cgroup =
		    text_format(runtime->arena, "%s%s", runtime->facts.cgroup_mount, state->cgroup);
	if (criu_fill_request(runtime->arena, &options->criu, &checkpoint->create,
			      &checkpoint->place, request, err) < 0 ||
	    page_server(checkpoint, err) < 0 || external_namespaces(checkpoint, err) < 0)
		return -1;
	return external_mounts(checkpoint, err);
}

/* ---- the work ---- */

static int notified(void *argument, const struct criu_answer *answer, int *fd, struct error *err)
{
	const struct checkpoint *checkpoint = argument;
	const struct optional *status = &checkpoint->options->status_fd;

	(void)fd;
	if (!text_equal(answer->script, "status-ready") || !status->set)
		return 0;
	if (write((int)status->value, "", 1) != 1)
		return error_system(err, errno, "cannot write to the descriptor of --status-fd");
	return 0;
}

/* CRIU has killed them; whoever is their parent reaps them. */
static void wait_for_end(struct checkpoint *checkpoint)
{
	struct error err = { 0 };
	int status;

	if (process_wait(checkpoint->init, END_MS, &status, &err) != 1)
		log_warning("the container's processes have been saved, but process %d still lives",
			    checkpoint->pid);
}

/*
 * To look at cgroups CRIU mounts them; in the first cgroup namespace that resets the options of the
 * host's own mount (nsdelegate).  A namespace with the same root is as good to look from.
 */
static int start_criu(struct checkpoint *checkpoint, struct error *err)
{
	bool looks = checkpoint->request.cgroups != CRIU_CGROUPS_IGNORE;

	return criu_start(&checkpoint->criu, looks ? checkpoint->runtime->cgroup_root : -1, err);
}

/* A CRIU that was killed has left it frozen. */
static void thaw(const struct checkpoint *checkpoint)
{
	struct error err = { 0 };
	auto_fd cgroup = container_cgroup(checkpoint->runtime, &checkpoint->create.container, &err);

	if (checkpoint->was_paused || cgroup < 0 || cgroup_is_frozen(cgroup) != 1)
		return;
	if (cgroup_freeze(cgroup, false, END_MS, &err) < 0)
		log_warning("the container could not be thawed: %s", err.what);
}

static int dump(struct checkpoint *checkpoint, struct error *err)
{
	struct criu_answer answer;
	const char *what = checkpoint->options->pre_dump ? "pre-dumping" : "checkpointing";

	if (fill(checkpoint, err) < 0 ||
	    checkpoint_save_streams(checkpoint->runtime->arena,
				    &checkpoint->create.container.state.streams,
				    checkpoint->place.images, &checkpoint->request, err) < 0 ||
	    start_criu(checkpoint, err) < 0)
		return -1;
	if (criu_call(&checkpoint->criu, checkpoint->runtime->arena, &checkpoint->request, notified,
		      checkpoint, criu_patience(checkpoint->runtime), checkpoint->place.work_path,
		      &answer, err) < 0) {
		criu_close(&checkpoint->criu);
		thaw(checkpoint);
		return error_while(err, "%s", what);
	}
	if (!checkpoint->request.leave_running)
		wait_for_end(checkpoint);
	return 0;
}

static int save(struct runtime *runtime, const struct checkpoint_options *options,
		struct error *err)
{
	struct checkpoint checkpoint = {
		.options = options,
		.runtime = runtime,
		.place = CRIU_PLACE_NONE,
		.criu = CRIU_NONE,
	};
	auto_container container = { .dir = -1 };
	auto_fd criu = -1, init = -1;
	int result = -1;

	if (check_options(options, err) < 0 || criu_check_rights(runtime, err) < 0 ||
	    container_open(runtime, options->id, CONTAINER_EXCLUSIVE, &container, err) < 0 ||
	    refuse(&container, err) < 0)
		return -1;
	criu = criu_find(err);
	if (criu < 0)
		return -1;
	init = container_init_open(runtime, &container, err);
	if (init < 0)
		return -1;
	checkpoint.init = init;
	checkpoint.pid = (pid_t)container.state.pid.value;
	checkpoint.was_paused = container.status == OCI_STATUS_PAUSED;
	if (load(&checkpoint, &container, err) == 0 &&
	    check_plan(&checkpoint.create.plan, err) == 0 &&
	    criu_place_open(runtime, &options->criu, true, LOG_FILE, &checkpoint.place, err) == 0) {
		checkpoint.create.container.state = container.state;
		result = dump(&checkpoint, err);
	}
	criu_close(&checkpoint.criu);
	criu_place_close(&checkpoint.place);
	create_close(&checkpoint.create);
	return result;
}

/*
 * What was saved is no container any more, as with runc: its name is free for a restore.  Should
 * that fail the images are good all the same.
 */
static void delete_saved(struct runtime *runtime, const char *id)
{
	struct error err = { 0 };

	/* A `run` in the foreground may have been faster. */
	if (verb_delete(runtime, id, false, &err) < 0 && err.code != CRL_NO_CONTAINER)
		log_warning("the container has been checkpointed, but not deleted: %s", err.what);
}

int verb_checkpoint(struct runtime *runtime, const struct checkpoint_options *options,
		    struct error *err)
{
	if (save(runtime, options, err) < 0)
		return -1;
	if (!options->leave_running && !options->pre_dump)
		delete_saved(runtime, options->id);
	return 0;
}
