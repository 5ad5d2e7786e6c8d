/*
 * `restore`: a container is made from its document and from what a checkpoint has saved.  The table
 * is that of create with CRIU in the place of the init; what fails is undone by create's own undo.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/monitor.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>
#include <creel/notify.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/steps.h>

#include "create_parts.h"

#define LOG_FILE	"restore.log"
#define KILL_TIMEOUT_MS 10000

static struct restore *of(struct create *create)
{
	return (struct restore *)create;
}

/* ---- what CRIU is told ---- */

static int keep(struct restore *restore, const char *key, int fd)
{
	const struct criu_pair pair = {
		.key = key,
		.fd = CRIU_FIRST_FD + (int)restore->keep_n,
	};

	criu_pair_add(restore->create.runtime->arena, &restore->request.inherited, pair);
	restore->keep[restore->keep_n++] = fd;
	return 0;
}

/* Our own instead of those that ended with the container that was saved. */
static int keep_streams(struct restore *restore, struct error *err)
{
	const char *keys[3] = { NULL };

	if (checkpoint_read_streams(restore->create.runtime->arena, restore->place.images, keys,
				    err) < 0)
		return -1;
	for (int stream = 0; stream < 3; stream++) {
		bool known = false;

		/* Two may have been the same: the first that is ours serves both. */
		for (int before = 0; before < stream; before++)
			known |= text_equal(keys[before], keys[stream]);
		if (keys[stream] && !known && keep(restore, keys[stream], stream) < 0)
			return -1;
	}
	return 0;
}

static int keep_namespaces(struct restore *restore, struct error *err)
{
	const struct plan_namespaces *ns = &restore->create.plan.namespaces;

	for (size_t i = 0; i < ns->joins_n; i++) {
		const struct plan_join *join = &ns->joins[i];
		const char *key = external_namespace_key(join->flag);
		int fd = namespace_open(join->path, join->flag, err);

		if (fd < 0)
			return error_at(err, join->where);
		if (key) {
			if (keep(restore, key, fd) < 0)
				return -1;
			continue;
		}
		close(fd);
		criu_pair_add(restore->create.runtime->arena, &restore->request.joins,
			      (struct criu_pair){ .key = namespace_of(join->flag)->link,
						  .value = join->path });
	}
	return 0;
}

static const char *label(const struct restore *restore)
{
	const struct facts *facts = &restore->create.runtime->facts;
	const struct plan_process *process = &restore->create.plan.process;
	struct arena *arena = restore->create.runtime->arena;

	if (restore->options->lsm_profile)
		return restore->options->lsm_profile;
	if (facts->apparmor && process->apparmor_profile)
		return text_format(arena, "apparmor:%s", process->apparmor_profile);
	if (facts->selinux && process->selinux_label)
		return text_format(arena, "selinux:%s", process->selinux_label);
	return NULL;
}

static const char *mount_context(const struct restore *restore)
{
	const struct oci_linux *config = restore->create.config.linux;

	if (restore->options->lsm_mount_context)
		return restore->options->lsm_mount_context;
	if (!restore->create.runtime->facts.selinux || !config || !config->mount_label ||
	    !config->mount_label[0])
		return NULL;
	return config->mount_label;
}

static void place(struct restore *restore, const char *key, const char *name)
{
	struct arena *arena = restore->create.runtime->arena;
	const char *path = text_format(arena, "%s/%s", restore->stage_path, name);

	criu_pair_add(arena, &restore->request.mounts,
		      (struct criu_pair){ .key = key, .value = path });
}

/* What is mounted below the source of a recursive bind comes with it. */
static int place_below(struct restore *restore, const struct external_mount *mount,
		       struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	char source[PATH_MAX];
	struct mount_line line;

	if (mount->op->kind != MOUNT_BIND || !(mount->op->flags & MOUNT_RECURSIVE))
		return 0;
	/* Whatever is wrong with it is said when it is mounted. */
	if (!realpath(mount->op->source, source))
		return 0;

	char *table = mount_table_read(arena, restore->create.runtime->procfs, err);
	size_t n = text_equal(source, "/") ? 0 : strlen(source);

	if (!table)
		return -1;
	while (mount_table_next(&table, &line))
		if (mount_is_below(line.point, source) && line.point[n] == '/' && line.point[n + 1])
			place(restore, external_mount_key(arena, mount->op, line.point + n),
			      text_format(arena, "%s%s", mount->key, line.point + n));
	return 0;
}

/*
 * The state directory is nobody's but ours.  In a user namespace CRIU has to find its way as
 * somebody else: there some directory that everybody can enter is covered, which nobody but CRIU's
 * mount namespace will see.
 */
static const char *stage_path(const struct restore *restore)
{
	static const char *const open_to_all[] = { "/media", "/mnt", "/srv", "/opt" };
	const struct create *create = &restore->create;
	struct stat st;

	for (size_t i = 0; create->plan.namespaces.maps && i < ARRAY_SIZE(open_to_all); i++)
		if (fstatat(AT_FDCWD, open_to_all[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH) &&
		    !mount_is_below(create->plan.rootfs, open_to_all[i]))
			return open_to_all[i];
	return text_format(create->runtime->arena, "%s/%s/" RESTORE_STAGE,
			   create->runtime->root_path, create->options->id);
}

static int place_mounts(struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;

	external_mounts_list(arena, &restore->create.plan, &restore->mounts);
	restore->stage_path = stage_path(restore);
	place(restore, CHECKPOINT_NULL, CHECKPOINT_NULL);
	place(restore, CHECKPOINT_EMPTY, CHECKPOINT_EMPTY);
	for (size_t i = 0; i < restore->mounts.n; i++) {
		const struct external_mount *mount = &restore->mounts.items[i];

		if (mount->op->kind == MOUNT_MASK)
			continue;
		place(restore, mount->key, mount->key);
		if (place_below(restore, mount, err) < 0)
			return -1;
	}
	return 0;
}

static const char *real_path(struct restore *restore, const char *path, struct error *err)
{
	char real[PATH_MAX];

	if (realpath(path, real))
		return arena_strdup(restore->create.runtime->arena, real);
	error_system(err, errno, "cannot find the directory %s", path);
	return NULL;
}

/*
 * In a user namespace CRIU has no more rights than its root has, to whom the images do not belong:
 * there it sees them through a mount that says they do; with what is beside them, to which they may
 * have a link.
 */
static int place_images(struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	const struct idmap *maps = restore->create.plan.namespaces.maps;
	const char *path = real_path(restore, restore->place.image_path, err);
	const char *slash = path ? strrchr(path, '/') : NULL;

	restore->work_path = path ? real_path(restore, restore->place.work_path, err) : NULL;
	if (!restore->work_path)
		return -1;
	restore->image_path = path;
	if (!maps)
		return 0;
	restore->image_mount = (struct mount_op){
		.kind = MOUNT_BIND,
		.target = RESTORE_IMAGES,
		.source = slash > path ? arena_strndup(arena, path, (size_t)(slash - path)) : "/",
		.idmap = maps,
		.tree = -1,
		.mounted = -1,
	};
	restore->image_path =
	    text_format(arena, "%s/" RESTORE_IMAGES "%s", restore->stage_path, slash);
	return 0;
}

/*
 * In the first cgroup namespace CRIU would see, and mount, those of the host.  The container's own
 * cgroup is there and set up already: "full" would write to what is not writable in it, and
 * "strict" would refuse it.  Those inside are new, and there all modes do the same.
 */
static int root_cgroups(struct restore *restore, struct error *err)
{
	if (restore->request.cgroups == CRIU_CGROUPS_IGNORE)
		return 0;
	restore->request.cgroups = CRIU_CGROUPS_SOFT;
	if (!(restore->create.plan.namespaces.create & CLONE_NEWCGROUP))
		return error_unsupported(err, "cgroups inside of a container without a cgroup "
					      "namespace cannot be restored");
	restore->request.cgroup_root = "/";
	return 0;
}

static int make_request(struct create *create, struct error *err)
{
	struct restore *restore = of(create);
	const struct criu_options *options = &restore->options->criu;

	restore->request = (struct criu_request){
		.kind = CRIU_RESTORE,
		.log_file = LOG_FILE,
		.root = create->plan.rootfs,
		.sibling = true,
		.lsm_profile = label(restore),
		.lsm_mount_context = mount_context(restore),
	};
	if (criu_place_open(create->runtime, options, false, LOG_FILE, &restore->place, err) < 0 ||
	    criu_fill_request(create->runtime->arena, options, create, &restore->place,
			      &restore->request, err) < 0 ||
	    root_cgroups(restore, err) < 0 || keep_streams(restore, err) < 0 ||
	    keep_namespaces(restore, err) < 0)
		return -1;
	return place_mounts(restore, err) < 0 ? -1 : place_images(restore, err);
}

/* ---- the rows ---- */

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
	return state_prepare(create->container.dir, state, err);
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
			  "libselinux; the whole log is %s/" LOG_FILE,
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

static int finish(struct restore *restore, int signals, int *exit_code, struct error *err)
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
	if (run_watch(create, &notify, signals, exit_code, err) < 0) {
		if (run_end(create, &trouble) < 0)
			error_ignore(&trouble, "the error that stopped the watching matters more");
		return -1;
	}
	oom_warn(create->runtime, cgroup, &mark, *exit_code);
	return run_end(create, err);
}

int verb_restore(struct runtime *runtime, const struct restore_options *options, int *exit_code,
		 struct error *err)
{
	struct restore restore = {
		.options = options,
		.place = CRIU_PLACE_NONE,
		.criu = CRIU_NONE,
		.program = -1,
	};
	struct create *create = &restore.create;
	auto_fd signals = -1, program = -1;
	int result;

	*exit_code = 0;
	if (check_options(options, err) < 0 || criu_check_rights(runtime, err) < 0)
		return -1;
	program = criu_find(err);
	if (program < 0)
		return -1;
	restore.program = program;
	if (!options->create.detach) {
		signals = monitor_block_signals(err);
		if (signals < 0)
			return -1;
	}
	result = create_load(create, runtime, &options->create, err);
	create->restores = true;
	if (result == 0)
		result = check_plan(&create->plan, err);
	if (result == 0)
		result = make(create, err);
	if (result == 0)
		result = finish(&restore, signals, exit_code, err);
	criu_close(&restore.criu);
	criu_place_close(&restore.place);
	for (size_t i = 0; i < restore.keep_n; i++)
		if (restore.keep[i] > STDERR_FILENO)
			fd_close(&restore.keep[i]);
	create_close(create);
	return result;
}
