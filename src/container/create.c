/*
 * P: the create table.  Each row makes one thing outside the new process and knows how to undo it;
 * the reasons for the order stand beside the rows at the end of the file.
 */
#include <creel/create.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/become.h>
#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/hooks.h>
#include <creel/idmap.h>
#include <creel/log.h>
#include <creel/namespace.h>
#include <creel/netdev.h>
#include <creel/process.h>
#include <creel/rdt.h>
#include <creel/seccomp_cache.h>
#include <creel/steps.h>
#include <creel/terminal.h>

#include "create_parts.h"

#define KILL_TIMEOUT_MS 10000

/* ---- helpers ---- */

bool create_has_hooks(const struct oci_hooks *hooks, enum oci_hook_kind kind)
{
	return hooks && hooks->lists[kind].n > 0;
}

int create_hooks(struct create *create, enum oci_hook_kind kind, enum oci_status status,
		 struct error *err)
{
	const struct oci_hooks *hooks =
	    create->config.hooks ? create->config.hooks : create->container.state.hooks;
	struct oci_state state;

	if (!create_has_hooks(hooks, kind))
		return 0;
	state_describe(&create->container.state, status, &state);
	state.pid.value = status == OCI_STATUS_STOPPED ? 0 : (uint64_t)create->init;

	const struct hook_run run = {
		.kind = kind,
		.list = &hooks->lists[kind],
		.state = state_json(create->runtime->arena, &state, &oci_hook_state_schema, 0),
		.directory = create->container.state.bundle,
		.timeout_ms = -1,
	};

	return hooks_run(create->runtime->arena, &run, err);
}

static bool joins(const struct create *create, uint64_t flag)
{
	for (size_t i = 0; i < create->plan.namespaces.joins_n; i++)
		if (create->plan.namespaces.joins[i].flag == flag)
			return true;
	return false;
}

/* ---- 1: end of life ---- */

static int make_nothing(struct create *create, struct error *err)
{
	(void)create;
	(void)err;
	return 0;
}

static int undo_life(struct create *create, struct error *err)
{
	struct error trouble = { 0 };

	(void)err;
	if (!create->hooks_begun || create->leftover)
		return 0;
	/* runtime.md: an error of a poststop hook is a warning, and the container is gone all the
	 * same. */
	if (create_hooks(create, OCI_HOOK_POSTSTOP, OCI_STATUS_STOPPED, &trouble) < 0)
		log_warning("%s", trouble.what);
	return 0;
}

/* ---- seccomp ---- */

/* Before the fork: it takes milliseconds and memory that the container must not be charged for. */
int create_make_filter(struct create *create, struct error *err)
{
	const struct oci_linux *config = create->config.linux;
	const struct json *profile;

	if (!config || !config->seccomp)
		return 0;
	profile = json_member(json_member(create->config_tree, "linux"), "seccomp");
	return seccomp_cache_get(create->runtime->arena, create->runtime->root, config->seccomp,
				 create->config_text + profile->offset, profile->size,
				 &create->seccomp, err);
}

/* ---- 2: state directory ---- */

static void fill_state(struct create *create, struct state *state)
{
	struct arena *arena = create->runtime->arena;
	const struct plan *plan = &create->plan;

	*state = (struct state){
		.id = (char *)plan->id,
		.bundle = (char *)plan->bundle,
		.rootfs = (char *)plan->rootfs,
		.created = state_now(arena),
		.owner = { .set = true, .value = create->runtime->facts.euid },
		.cgroup_manager = { .set = true, .value = (int)plan->cgroup.manager },
		.cgroup = (char *)plan->cgroup.path,
		.unit = (char *)plan->cgroup.unit,
		.config_digest = state_digest(arena, create->config_text, create->config_size),
		.annotations = create->config.annotations,
		.shared_pid = !(plan->namespaces.create & CLONE_NEWPID),
		.waits = !create->options->start_now,
	};
	if (!plan->process.terminal)
		create_note_streams(create);
	if (plan->rdt) {
		state->rdt_group = (char *)plan->rdt->group;
		state->rdt_own = plan->rdt->own;
		state->rdt_monitoring = plan->rdt->monitoring;
	}
	if (create_has_hooks(create->config.hooks, OCI_HOOK_POSTSTART) ||
	    create_has_hooks(create->config.hooks, OCI_HOOK_POSTSTOP)) {
		state->hooks = arena_alloc(arena, sizeof(*state->hooks));
		state->hooks->lists[OCI_HOOK_POSTSTART] =
		    create->config.hooks->lists[OCI_HOOK_POSTSTART];
		state->hooks->lists[OCI_HOOK_POSTSTOP] =
		    create->config.hooks->lists[OCI_HOOK_POSTSTOP];
	}
}

int create_make_state(struct create *create, struct error *err)
{
	if (container_make(create->runtime, create->options->id, &create->container, err) < 0)
		return -1;
	fill_state(create, &create->container.state);
	return 0;
}

static int undo_state(struct create *create, struct error *err)
{
	if (create->container.dir < 0 || create->leftover)
		return 0;
	/* Who has made it knows whether there was a filter to be saved. */
	return container_remove(create->runtime, &create->container,
				create->config_text && create->seccomp.program.length == 0, err);
}

/* ---- 3: start socket ---- */

static int make_start_socket(struct create *create, struct error *err)
{
	/* `run` starts it itself: until then the mark alone says that it is not running yet. */
	if (create->options->start_now)
		return state_mark_unstarted(create->container.dir, err);
	create->start_socket = fd_listen(create->container.dir, STATE_START_SOCKET, err);
	return create->start_socket < 0 ? -1 : 0;
}

/* ---- 4: mount sources ---- */

/*
 * A new user namespace has no rights over the host's mounts, and may not even reach what only our
 * root may; an idmap needs rights over their filesystem: when P has them it opens those trees now.
 * An unprivileged P leaves it to I, which has rights in a mount namespace of its own.
 */
static bool opens_source(const struct create *create, const struct mount_op *op)
{
	bool userns = create->plan.namespaces.maps || joins(create, CLONE_NEWUSER);

	if (!create->runtime->facts.is_admin)
		return false;
	return op->idmap || (op->kind == MOUNT_BIND && userns);
}

/* Root of a user namespace has rights over mounts only when their namespace belongs to it. */
static bool may_be_left(const struct create *create, const struct mount_op *op,
			const struct error *err)
{
	return err->errnum == EPERM && create->runtime->facts.in_userns && !op->idmap;
}

static int make_sources(struct create *create, struct error *err)
{
	int bundle = -1;

	for (size_t i = 0; i < create->plan.mounts_n; i++) {
		struct mount_op *op = &create->plan.mounts[i];

		if (!opens_source(create, op))
			continue;
		if (mount_open_source(create->runtime->procfs, op, bundle, err) == 0)
			continue;
		if (!may_be_left(create, op, err))
			return error_at(err, op->where);
		error_ignore(err, "the init opens it in a mount namespace of its own");
	}
	return 0;
}

static int undo_sources(struct create *create, struct error *err)
{
	(void)err;
	for (size_t i = 0; i < create->plan.mounts_n; i++)
		fd_close(&create->plan.mounts[i].tree);
	return 0;
}

/* ---- 6: stage ---- */

/*
 * S is needed to walk from our namespaces to others, and for systemd, which moves a process that
 * exists; where all namespaces are simply new, P clones I itself.
 */
bool create_needs_stage(const struct create *create)
{
	return create->plan.namespaces.joins_n > 0 ||
	       create->plan.cgroup.manager == CGROUP_MANAGER_SYSTEMD ||
	       (create->plan.namespaces.create & (CLONE_NEWUSER | CLONE_NEWTIME));
}

bool create_is_born_late(const struct create *create)
{
	return joins(create, CLONE_NEWPID);
}

/* The cgroup namespace is made by I itself: its root is where the process is, not where it was
 * cloned from.  IPC too, with a user namespace: the root of the message queues belongs to who makes
 * it, and only I has ids that are mapped. */
uint64_t create_clone_flags(const struct create *create)
{
	uint64_t later = CLONE_NEWCGROUP | CLONE_NEWUSER | CLONE_NEWTIME;

	return create->plan.namespaces.create &
	       ~(create->plan.namespaces.create & CLONE_NEWUSER ? later | CLONE_NEWIPC : later);
}

static int make_stage(struct create *create, struct error *err)
{
	bool stage = create_needs_stage(create);
	int ends[2];
	struct spawn spawn = {
		.flags = stage ? 0 : create_clone_flags(create),
		.cgroup = create->cgroup.fd,
		.pidfd = stage ? &create->stage_fd : &create->init_fd,
	};

	/* We are not kept from the network namespace, nor I from its work, by what I can make as
	 * well. */
	if (!stage)
		spawn.flags &= ~create_late_flags(create);
	if (stage) {
		create->born = mmap(NULL, sizeof(*create->born), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (create->born == MAP_FAILED) {
			create->born = NULL;
			return error_system(err, errno, "cannot share memory with the stage");
		}
	}
	create->early = create_starts_early(create);
	if (channel_pair(ends, err) < 0)
		return -1;
	create->channel = ends[0];
	create->peer = ends[1];

	pid_t pid = process_spawn(&spawn, err);

	if (pid < 0)
		return create_explain_spawn(create, spawn.flags, err);
	if (pid == 0) {
		struct error failed = { 0 };

		create_close_in_child(create);
		if (stage)
			stage_main(create);
		if (create_tune(create, &failed) == 0)
			init_main(create);
		message_send_error(create->peer, &failed);
		_exit(1);
	}
	fd_close(&create->peer);
	if (stage)
		create->stage = pid;
	else
		create->init = pid;
	return 0;
}

static void kill_and_reap(int *pidfd)
{
	struct error err = { 0 };
	int status;

	if (*pidfd < 0)
		return;
	if (process_signal(*pidfd, SIGKILL, &err) < 0)
		error_ignore(&err, "it is dead already");
	if (process_wait(*pidfd, KILL_TIMEOUT_MS, &status, &err) < 0)
		error_ignore(&err, "it was not our child");
	fd_close(pidfd);
}

static int undo_stage(struct create *create, struct error *err)
{
	/* Nobody is left to hear that we have gone. */
	if (create->dead)
		fd_leave(&create->channel);
	fd_close(&create->channel);
	kill_and_reap(&create->stage_fd);
	/* I is our child by CLONE_PARENT, also when it died before it could say so: in a pid
	 * namespace that it joined its zombie would keep that from ending. */
	if (create->born && *create->born > 0 &&
	    (create->init_fd < 0 || create->init != *create->born)) {
		fd_close(&create->init_fd);
		create->init_fd = process_open(*create->born, err);
		if (create->init_fd < 0)
			error_ignore(err, "it has been reaped already");
	}
	if (!create->dead)
		kill_and_reap(&create->init_fd);
	return 0;
}

/* ---- record ---- */

int create_make_record(struct create *create, struct error *err)
{
	struct state *state = &create->container.state;

	if (state_boot(create->runtime->procfs, &state->boot.value, err) < 0)
		return -1;
	state->boot.set = true;
	/* Who is done in a moment publishes it at once: the links are enough until then. */
	if (create->early && !state->unit && !state->rdt_group)
		return 0;
	return state_write(create->runtime->arena, create->container.dir, state, err);
}

/* ---- 8: namespaces ---- */

int create_reap_stage(struct create *create, struct error *err)
{
	int status;

	if (process_wait(create->stage_fd, message_patience(create->runtime->timeout_ms, false),
			 &status, err) < 0)
		return -1;
	fd_close(&create->stage_fd);
	create->stage = 0;
	return 0;
}

int create_know_init(struct create *create, struct error *err)
{
	struct state *state = &create->container.state;
	uint64_t start;
	bool dead;

	if (process_start_time_kept(create->runtime->procfs, create->init, &create->init_stat,
				    &start, &dead, err) < 0)
		return -1;
	state->start = (struct optional_uint){ .set = true, .value = start };
	state->identity.set = process_identity(create->init_fd, &state->identity.value);
	state->pid = (struct optional_uint){ .set = true, .value = (uint64_t)create->init };
	return 0;
}

static int make_namespaces(struct create *create, struct error *err)
{
	if (create->stage) {
		if (message_tell(create->channel, MESSAGE_GO, 0, err) < 0 ||
		    create_serve(create, MESSAGE_INIT, err) < 0)
			return -1;
		create->init_fd = process_open(create->init, err);
		if (create->init_fd < 0)
			return -1;
		if (!create_is_born_late(create) && create_reap_stage(create, err) < 0)
			return -1;
	}
	return create_know_init(create, err);
}

static int undo_namespaces(struct create *create, struct error *err)
{
	(void)err;
	if (!create->dead)
		kill_and_reap(&create->init_fd);
	return 0;
}

/* ---- 9: network devices, resctrl ---- */

static int move_net_devices(struct create *create, struct error *err)
{
	char path[64];

	if (create->plan.net_devices_n == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", create->init);

	auto_fd target = open(path, O_RDONLY | O_CLOEXEC);

	if (target < 0)
		return error_system(err, errno, "cannot open the container's network namespace");
	for (size_t i = 0; i < create->plan.net_devices_n; i++) {
		const struct plan_net_device *device = &create->plan.net_devices[i];

		if (netdev_move(device->name, target, device->new_name, err) < 0)
			return error_coded(err, CRL_NET_DEVICE, error_at(err, device->where));
	}
	return 0;
}

static int make_devices(struct create *create, struct error *err)
{
	if (move_net_devices(create, err) < 0)
		return -1;
	if (!create->plan.rdt)
		return 0;

	const char *mount = rdt_mount(create->runtime->arena, create->runtime->procfs);

	if (!mount) {
		error_coded(err, CRL_NO_RESCTRL,
			    error_unsupported(err, "resctrl is not mounted on this host"));
		error_hint(err, "mount -t resctrl resctrl /sys/fs/resctrl");
		return error_at(err, "/linux/intelRdt");
	}
	if (rdt_join(mount, create->plan.rdt, create->init, &create->made_rdt, err) < 0)
		return error_at(err, "/linux/intelRdt");
	return 0;
}

static int undo_devices(struct create *create, struct error *err)
{
	const struct state *state = &create->container.state;
	const struct rdt_plan from_state = {
		.group = state->rdt_group,
		.own = state->rdt_own,
		.monitoring = state->rdt_monitoring,
		.id = state->id,
	};
	const char *mount;

	if (!state->rdt_group)
		return 0;
	mount = rdt_mount(create->runtime->arena, create->runtime->procfs);
	return mount ? rdt_remove(mount, &from_state, err) : 0;
}

/* ---- the table ---- */

static const struct step create_steps[] = {
	/* First, so that its undo comes last: poststop hooks run when all else is gone
	   (runtime.md). */
	{ "ending the container's life", make_nothing, undo_life },
	/* Makes nothing outside: an error of the profile costs nothing. */
	{ "compiling the seccomp filter", create_make_filter, NULL },
	/* Before anything that would have to be remembered. */
	{ "making the state directory", create_make_state, undo_state },
	/* Before the fork, so that I inherits it; removed with the state directory. */
	{ "making the start socket", make_start_socket, NULL },
	/* Before its mount; removed with the state directory. */
	{ "making the notify directory", create_make_notify, NULL },
	/* Before the fork, since only P may open them. */
	{ "opening mount sources", make_sources, undo_sources },
	/* Before the fork, since the processes are born in it. */
	{ "making the cgroup", create_make_cgroup, create_undo_cgroup },
	{ "starting the container's first process", make_stage, undo_stage },
	/* At once, since I will soon wait for it. */
	{ "making the network namespace", create_make_network, NULL },
	/* Until here two links stand for it; I is at work on the other core already.  Before the
	   unit, whose name is in it. */
	{ "recording the container", create_make_record, NULL },
	/* While S waits: what it makes is then born in the unit. */
	{ "giving the container to systemd", create_make_adoption, create_undo_adoption },
	{ "making namespaces", make_namespaces, undo_namespaces },
	/* As soon as the network namespace exists. */
	{ "moving devices into the container", make_devices, undo_devices },
	/* When the stage is gone, so that pids.max=1 works. */
	{ "setting resource limits", create_make_limits, NULL },
	{ "setting up the container", create_make_inside, create_undo_published },
	/* Last: from here on the container exists for everybody. */
	{ "publishing the container", create_make_published, create_undo_published },
};

/*
 * Ubuntu lets everybody make a user namespace, and takes its rights away when they are first used:
 * then anything may fail, and nothing of it says why.
 */
static void blame_restriction(const struct create *create, struct error *err)
{
	if ((err->errnum != EPERM && err->errnum != EACCES) || err->hint[0] ||
	    create->runtime->facts.euid == 0 || !(create->plan.namespaces.create & CLONE_NEWUSER))
		return;
	namespace_hint_restricted(create->runtime->procfs, err);
}

int create_run(struct create *create, struct error *err)
{
	if (steps_run(create_steps, ARRAY_SIZE(create_steps), create, err) < 0) {
		blame_restriction(create, err);
		create_locate_error(create, err);
		return -1;
	}
	return 0;
}

int create_undo(struct create *create, struct error *err)
{
	return steps_undo(create_steps, ARRAY_SIZE(create_steps), create, err);
}

void create_from_state(struct create *create, struct runtime *runtime, struct container *container)
{
	*create = (struct create){
		.runtime = runtime,
		.container = *container,
		.cgroup = { .fd = -1 },
		.start_socket = -1,
		.channel = -1,
		.peer = -1,
		.pid_ns = -1,
		.stage_fd = -1,
		.init_fd = -1,
		.init_stat = -1,
		.console = -1,
		.hooks_begun = true,
		.init = container->state.pid.set ? (pid_t)container->state.pid.value : 0,
	};
	container->dir = -1;
	container->init = 0;
}

/* The lock belongs to the open file, so a child that kept it would hold it; and no way back to the
 * host stays open. */
void create_close_in_child(struct create *create)
{
	struct runtime *runtime = create->runtime;
	int *const fds[] = { &runtime->clone, &create->channel,	  &create->container.dir,
			     &runtime->root,  &create->cgroup.fd, &runtime->cgroup_root };

	fd_close_all(fds, ARRAY_SIZE(fds));
}

/* The command ends now, and all that is open with it. */
void create_close(struct create *create)
{
	fd_leave(&create->channel);
	fd_leave(&create->peer);
	fd_leave(&create->stage_fd);
	fd_leave(&create->init_fd);
	fd_leave(&create->init_stat);
	fd_leave(&create->console);
	fd_leave(&create->start_socket);
	fd_leave(&create->cgroup.fd);
	fd_leave(&create->container.dir);
}
