/* What `exec` needs, from the state directory: the container's own process as the template, options
 * and process files over it. */
#include <creel/exec.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/message.h>
#include <creel/namespace.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/seccomp_agent.h>

#define FILTER_MAX ((size_t)1 << 20)

static int refuse(const struct exec *exec, struct error *err)
{
	switch (exec->container.status) {
	case OCI_STATUS_RUNNING:
	case OCI_STATUS_CREATED:
		return 0;
	case OCI_STATUS_PAUSED:
		if (exec->options->ignore_paused)
			return 0;
		return error_coded(
		    err, CRL_WRONG_STATUS,
		    error_state(
			err,
			"cannot exec in a paused container (use --ignore-paused to override)"));
	case OCI_STATUS_STOPPED:
		return error_coded(err, CRL_NOT_RUNNING,
				   error_state(err, "cannot exec in a stopped container"));
	case OCI_STATUS_CREATING:
		break;
	}
	return error_coded(err, CRL_WRONG_STATUS,
			   error_state(err, "cannot exec in a container that is being created"));
}

/* ---- the process ---- */

int exec_parse_user(const char *text, struct oci_user *user, struct arena *arena, struct error *err)
{
	const char *colon = strchr(text, ':');
	char *uid =
	    colon ? arena_strndup(arena, text, (size_t)(colon - text)) : arena_strdup(arena, text);

	user->uid.set = text_parse_uint(uid, UINT32_MAX - 1, &user->uid.value);
	if (colon)
		user->gid.set = text_parse_uint(colon + 1, UINT32_MAX - 1, &user->gid.value);
	if (user->uid.set && (!colon || user->gid.set))
		return 0;
	error_coded(err, CRL_OPTION_VALUE, error_usage(err, "invalid user \"%s\"", text));
	return error_hint(err, "numbers only: UID or UID:GID");
}

static int add_groups(const struct strings *texts, struct oci_user *user, struct arena *arena,
		      struct error *err)
{
	uint64_t *items = arena_array(arena, user->additional_gids.n + texts->n, sizeof(*items));
	size_t n = user->additional_gids.n;

	if (n > 0)
		memcpy(items, user->additional_gids.items, n * sizeof(*items));
	for (size_t i = 0; i < texts->n; i++)
		if (!text_parse_uint(texts->items[i], UINT32_MAX - 1, &items[n++]))
			return error_coded(
			    err, CRL_OPTION_VALUE,
			    error_usage(err, "invalid group \"%s\"", texts->items[i]));
	user->additional_gids = (struct uints){ items, n };
	return 0;
}

/* As in runc: bounding, effective and permitted; ambient only where the template had inheritable
 * ones. */
static void add_capabilities(const struct strings *caps, struct oci_process *process,
			     struct arena *arena)
{
	struct oci_capabilities *sets = arena_alloc(arena, sizeof(*sets));

	if (process->capabilities)
		*sets = *process->capabilities;
	for (size_t i = 0; i < caps->n; i++) {
		strings_add(arena, &sets->bounding, caps->items[i]);
		strings_add(arena, &sets->effective, caps->items[i]);
		strings_add(arena, &sets->permitted, caps->items[i]);
		if (sets->inheritable.n > 0)
			strings_add(arena, &sets->ambient, caps->items[i]);
	}
	process->capabilities = sets;
}

static int apply_options(struct exec *exec, struct oci_process *process, struct error *err)
{
	const struct exec_options *options = exec->options;
	struct arena *arena = exec->runtime->arena;

	if (options->args.n > 0)
		process->args = options->args;
	if (options->cwd && options->cwd[0] != '/')
		return error_coded(
		    err, CRL_OPTION_VALUE,
		    error_usage(err, "the working directory \"%s\" is not an absolute path",
				options->cwd));
	if (options->cwd)
		process->cwd = (char *)options->cwd;
	for (size_t i = 0; i < options->env.n; i++)
		strings_add(arena, &process->env, options->env.items[i]);
	if (options->user && exec_parse_user(options->user, process->user, arena, err) < 0)
		return -1;
	if (options->additional_gids.n > 0 &&
	    add_groups(&options->additional_gids, process->user, arena, err) < 0)
		return -1;
	if (options->caps.n > 0)
		add_capabilities(&options->caps, process, arena);
	if (options->no_new_privileges)
		process->no_new_privileges = true;
	if (options->apparmor_profile)
		process->apparmor_profile = (char *)options->apparmor_profile;
	if (options->process_label)
		process->selinux_label = (char *)options->process_label;
	if (options->terminal_set || !options->process_file)
		process->terminal = options->terminal;
	return 0;
}

static int read_process_file(struct exec *exec, struct oci_process *process, struct error *err)
{
	struct arena *arena = exec->runtime->arena;
	const char *name = exec->options->process_file;
	size_t size;
	char *text = file_read(arena, AT_FDCWD, name, FILE_DOCUMENT_MAX, &size, err);

	if (!text)
		return -1;
	exec->process_text = text;
	return schema_parse(&oci_process_schema, arena, name, text, size, process,
			    &exec->process_tree, err);
}

static int choose_process(struct exec *exec, struct oci_process *process, struct error *err)
{
	const struct exec_options *options = exec->options;

	*process = (struct oci_process){ 0 };
	if (options->process_file) {
		if (read_process_file(exec, process, err) < 0)
			return -1;
	} else {
		*process = *exec->record.process;
		/* Of the template, but not of one more process in it. */
		process->console_size = NULL;
	}
	if (apply_options(exec, process, err) < 0)
		return -1;
	if (process->args.n == 0)
		return error_coded(err, CRL_ARGUMENTS,
				   error_usage(err, "exec args cannot be empty"));
	if (process->cwd[0] != '/')
		return error_usage(err, "Cwd must be an absolute path, \"%s\" is not",
				   process->cwd);
	if (process->terminal && options->detach && !options->console_socket)
		return error_coded(
		    err, CRL_CONSOLE_SOCKET,
		    error_usage(
			err,
			"cannot allocate tty if creel will detach without setting console socket"));
	if (options->console_socket && !process->terminal)
		return error_coded(
		    err, CRL_CONSOLE_SOCKET,
		    error_usage(
			err, "cannot use console socket if creel will not detach or allocate tty"));
	return 0;
}

static const struct idmap *make_idmap(struct arena *arena, const struct exec_record *record)
{
	struct idmap *map = arena_alloc(arena, sizeof(*map));
	const struct oci_id_mappings *lists[] = { &record->uid_mappings, &record->gid_mappings };
	struct idmap_range *ranges[2];

	for (size_t list = 0; list < 2; list++) {
		ranges[list] = arena_array(arena, lists[list]->n, sizeof(**ranges));
		for (size_t i = 0; i < lists[list]->n; i++)
			ranges[list][i] = (struct idmap_range){
				.inside = (uint32_t)lists[list]->items[i].container_id.value,
				.outside = (uint32_t)lists[list]->items[i].host_id.value,
				.size = (uint32_t)lists[list]->items[i].size.value,
			};
	}
	*map = (struct idmap){
		.uids = ranges[0], .uids_n = lists[0]->n, .gids = ranges[1], .gids_n = lists[1]->n
	};
	return map;
}

/* The container's user namespace may deny setgroups(2): an unprivileged single-id map does. */
static bool may_set_groups(const struct exec *exec)
{
	char name[64], answer[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d/setgroups", (int)exec->container.state.pid.value);
	n = procfs_read(exec->runtime->procfs, name, answer, sizeof(answer));
	return n <= 0 || strncmp(answer, "deny", 4) != 0;
}

static int plan(struct exec *exec, struct error *err)
{
	struct arena *arena = exec->runtime->arena;
	struct facts facts = exec->runtime->facts;
	struct oci_process *process = arena_alloc(arena, sizeof(*process));
	const char *keep =
	    string_map_get(&exec->record.annotations, "run.oci.keep_original_groups");
	struct plan_process_context context = {
		.facts = &facts,
		.new_user_namespace = exec->record.user_namespace,
		.keep_groups = keep && strcmp(keep, "1") == 0,
		.listen_fds = exec->options->listen_fds,
		.listen_names = exec->options->listen_names,
		.where = exec->options->process_file ? "" : "/process",
	};
	const struct oci_linux linux_part = {
		.personality = exec->record.personality,
		.memory_policy = exec->record.memory_policy,
	};

	if (exec->record.uid_mappings.n > 0)
		context.maps = make_idmap(arena, &exec->record);
	if (exec->record.user_namespace)
		facts.can_set_groups = may_set_groups(exec);
	if (choose_process(exec, process, err) < 0 ||
	    plan_process(arena, process, &context, &exec->process, err) < 0 ||
	    plan_linux_process(arena, &linux_part, &exec->process, err) < 0)
		return -1;
	return 0;
}

/* ---- the filter ---- */

static int load_filter(struct exec *exec, struct error *err)
{
	size_t size;
	char *bytes;

	if (!exec->record.has_seccomp)
		return 0;
	bytes = file_read(exec->runtime->arena, exec->container.dir, STATE_SECCOMP_FILE, FILTER_MAX,
			  &size, err);
	if (!bytes)
		return error_while(err, "cannot read the container's seccomp filter");
	if (size == 0 || size % sizeof(struct sock_filter) != 0)
		return error_state(err, "the container's seccomp filter is damaged");
	exec->seccomp = (struct plan_seccomp){
		.program = {
			.filter = (struct sock_filter *)(void *)bytes,
			.length = size / sizeof(struct sock_filter),
			.flags = (unsigned int)exec->record.seccomp_flags.value,
			.notify = exec->record.seccomp_notify,
		},
		.listener_path = exec->record.listener_path,
		.listener_metadata = exec->record.listener_metadata,
	};
	return 0;
}

int exec_pass_listener(struct exec *exec, int number, struct error *err)
{
	struct arena *arena = exec->runtime->arena;
	struct oci_state state;

	state_describe(&exec->container.state, exec->container.status, &state);

	const struct seccomp_agent agent = {
		.path = exec->seccomp.listener_path,
		.metadata = exec->seccomp.listener_metadata,
		.pidfd = exec->pidfd,
		.pid = exec->pid,
		.state = &state,
	};

	if (seccomp_agent_pass(arena, &agent, number, err) < 0)
		return -1;
	return message_send(exec->channel, MESSAGE_GO, 0, -1, err);
}

/* ---- where ---- */

/* A container may have moved its init into a cgroup of its own making; where it made inner ones,
 * processes live in leaves only. */
static char *init_cgroup(struct exec *exec)
{
	char name[64], text[4200];
	ssize_t n;

	snprintf(name, sizeof(name), "%d/cgroup", (int)exec->container.state.pid.value);
	n = procfs_read(exec->runtime->procfs, name, text, sizeof(text));
	if (n <= 0)
		return NULL;

	char *line = strstr(text, "0::/");

	if (!line)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return arena_strdup(exec->runtime->arena, line + strlen("0::"));
}

/*
 * Whether the kernel lets us put a process there: that takes rights in the first parent that it has
 * in common with our own cgroup.  An ordinary user has none in what is above the cgroups of the
 * user's systemd.
 */
static bool can_enter(const struct exec *exec, const char *path)
{
	struct runtime *runtime = exec->runtime;
	struct error err = { 0 };
	size_t common = 0;

	/* Not asked before, since it is for containers of systemd's only. */
	facts_ask_own_cgroup(runtime->arena, runtime->procfs, &runtime->facts);

	const char *own = runtime->facts.cgroup_own;

	for (size_t i = 0; own; i++) {
		bool ends = own[i] == '/' || own[i] == '\0';

		if (ends && (path[i] == '/' || path[i] == '\0'))
			common = i;
		if (own[i] != path[i] || path[i] == '\0')
			break;
	}

	auto_fd parent =
	    cgroup_open(exec->runtime->cgroup_root,
			common ? arena_strndup(exec->runtime->arena, path, common) : "/", &err);

	if (parent < 0) {
		error_ignore(&err, "then systemd is asked");
		return false;
	}
	return faccessat(parent, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

/*
 * The path below the container's cgroup that all of LIST name, or NULL.  runc takes a path for each
 * controller; version 2 has one hierarchy, so that they must be the same.
 */
static const char *sub_cgroup(const struct strings *list, struct error *err)
{
	const char *found = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const char *text = list->items[i];
		const char *colon = strchr(text, ':');
		const char *path = colon ? colon + 1 : text;

		if (colon == text || !*path) {
			error_usage(err, "invalid --cgroup argument: \"%s\"", text);
			error_hint(err, "PATH or CONTROLLER[,CONTROLLER...]:PATH, relative to the "
					"container's cgroup");
			return NULL;
		}
		path += strspn(path, "/");
		if (found && strcmp(found, path) != 0) {
			error_unsupported(err, "cgroup version 2 has one hierarchy: a process "
					       "cannot be in two cgroups of it");
			return NULL;
		}
		found = path;
	}
	return found;
}

static int open_cgroup(struct exec *exec, struct error *err)
{
	struct runtime *runtime = exec->runtime;
	const char *own = exec->container.state.cgroup;
	const char *path = own;

	if (!own || runtime->cgroup_root < 0)
		return 0;
	if (exec->options->cgroups.n > 0) {
		const char *sub = sub_cgroup(&exec->options->cgroups, err);

		if (!sub)
			return -1;
		if (*sub)
			path = text_format(runtime->arena, "%s/%s", own, sub);
	} else {
		char *inits = init_cgroup(exec);

		/* Only below its own: whatever else /proc says would lead out. */
		if (inits && text_starts_with(inits, own) && inits[strlen(own)] == '/')
			path = inits;
	}
	exec->cgroup = cgroup_open(runtime->cgroup_root, path, err);
	if (exec->cgroup < 0)
		return error_while(err, "cannot open the cgroup for the process");
	if (exec->container.state.unit && text_starts_with(path, own) && !can_enter(exec, path))
		exec->unit_sub = path + strlen(own);
	return 0;
}

/* Those that are not ours already: joining one's own user namespace, for example, is refused by the
 * kernel.  With all rights most may be joined, whether they are ours or not. */
static void drop_shared_namespaces(struct exec *exec)
{
	const struct facts *facts = &exec->runtime->facts;
	const uint64_t harmless = facts->is_admin && !facts->in_userns
				      ? CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
					    CLONE_NEWCGROUP | CLONE_NEWPID | CLONE_NEWNS
				      : 0;

	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		char name[64], ours[64], theirs[64];
		int pid = (int)exec->container.state.pid.value;

		if (!(exec->namespaces & ~harmless & namespace_rows[i].flag))
			continue;
		snprintf(name, sizeof(name), "self/ns/%s", namespace_rows[i].link);

		ssize_t n = readlinkat(exec->runtime->procfs, name, ours, sizeof(ours));

		snprintf(name, sizeof(name), "%d/ns/%s", pid, namespace_rows[i].link);
		if (n > 0 && readlinkat(exec->runtime->procfs, name, theirs, sizeof(theirs)) == n &&
		    memcmp(ours, theirs, (size_t)n) == 0)
			exec->namespaces &= ~namespace_rows[i].flag;
	}
}

static int open_root(struct exec *exec, struct error *err)
{
	char name[32];

	if (!exec->record.own_root)
		return 0;
	snprintf(name, sizeof(name), "%d/root", (int)exec->container.state.pid.value);
	exec->root = openat(exec->runtime->procfs, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (exec->root < 0)
		return error_system(err, errno, "cannot open the root of the container");
	/* While it lives the number is its own: else we might have the root of another. */
	return process_signal(exec->init_fd, 0, err);
}

int exec_load(struct exec *exec, struct error *err)
{
	struct container *container = &exec->container;

	if (container_open(exec->runtime, exec->options->id, CONTAINER_SHARED, container, err) <
		0 ||
	    refuse(exec, err) < 0 ||
	    exec_record_read(exec->runtime->arena, container->dir, &exec->record, err) < 0)
		return -1;
	exec->init_fd = container_init_open(exec->runtime, container, err);
	if (exec->init_fd < 0 || plan(exec, err) < 0 || load_filter(exec, err) < 0 ||
	    open_cgroup(exec, err) < 0 || open_root(exec, err) < 0)
		return -1;
	exec->namespaces = exec->record.namespaces.value;
	drop_shared_namespaces(exec);
	exec->become = (struct become){
		.arena = exec->runtime->arena,
		.process = &exec->process,
		.seccomp = &exec->seccomp,
		.procfs = exec->runtime->procfs,
		.root = -1,
		.terminal = -1,
		.trace = -1,
		.start_socket = -1,
		.preserve_fds = exec->options->preserve_fds,
		.ignored = exec->runtime->facts.signals_ignored,
		.cap_last = exec->runtime->facts.cap_last,
		.in_userns = exec->namespaces & CLONE_NEWUSER,
	};
	exec->become.preserve_fds += exec->options->listen_fds;
	return 0;
}
