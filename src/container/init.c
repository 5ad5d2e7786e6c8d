/*
 * I: the init table, from "cloned" to the user's program.  There is no undo: the kernel undoes a
 * dead process.  Each row says why it stands where it does; the order is SECURITY 2.6, and moving a
 * row means rewriting its reason.
 */
#include <creel/create.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/become.h>
#include <creel/error.h>
#include <creel/fault.h>
#include <creel/fd.h>
#include <creel/hooks.h>
#include <creel/inroot.h>
#include <creel/log.h>
#include <creel/namespace.h>
#include <creel/netdev.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/terminal.h>
#include <creel/trace.h>

struct init {
	struct create *create;
	const struct plan *plan;
	int channel;
	int root;
	int control; /* who starts us: the channel, or a connection of start.sock */
	struct mount_masks masks;
	struct terminal terminal;
	struct become become;
};

static bool makes(const struct init *init, uint64_t flag)
{
	return init->plan->namespaces.create & flag;
}

static const struct oci_hook_list *hooks_of(const struct init *init, enum oci_hook_kind kind)
{
	const struct oci_hooks *hooks = init->create->config.hooks;

	return hooks && hooks->lists[kind].n > 0 ? &hooks->lists[kind] : NULL;
}

static int run_inner_hooks(struct init *init, enum oci_hook_kind kind, enum oci_status status,
			   struct error *err)
{
	struct arena *arena = init->create->runtime->arena;
	int channel = init->control >= 0 ? init->control : init->channel;
	struct oci_state state;

	if (!hooks_of(init, kind))
		return 0;
	state_describe(&init->create->container.state, status, &state);
	state.pid = (struct optional_uint){ .set = true, .value = (uint64_t)getpid() };

	const struct hook_run run = {
		.kind = kind,
		.list = hooks_of(init, kind),
		.state = state_json(arena, &state, &oci_hook_state_schema, 0),
		.directory = "/",
		.timeout_ms = -1,
	};

	/* Whoever waits for us knows then that it is not us that it waits for. */
	if (message_send(channel, MESSAGE_HOOKS, 1, -1, err) < 0 || hooks_run(arena, &run, err) < 0)
		return -1;
	return message_send(channel, MESSAGE_HOOKS, 0, -1, err);
}

static int become_root(struct init *init, struct error *err)
{
	uint64_t flags = create_late_flags(init->create) & ~(uint64_t)CLONE_NEWNET;

	if (makes(init, CLONE_NEWCGROUP))
		flags |= CLONE_NEWCGROUP;
	if (namespace_unshare(flags, err) < 0)
		return create_explain_spawn(init->create, flags, err);
	if (become_start(&init->become, err) < 0)
		return -1;
	return makes(init, CLONE_NEWUSER) && makes(init, CLONE_NEWIPC)
		   ? namespace_unshare(CLONE_NEWIPC, err)
		   : 0;
}

static int raise_loopback(struct init *init, struct error *err)
{
	/* Who makes the namespace for us does that as well, before it lets us go on. */
	if (create_late_flags(init->create) & CLONE_NEWNET)
		return 0;
	return makes(init, CLONE_NEWNET) ? netdev_loopback_up(err) : 0;
}

static int prepare_root(struct init *init, struct error *err)
{
	const struct plan *plan = init->plan;

	if (makes(init, CLONE_NEWNS))
		init->root = mount_prepare_root(plan->rootfs, plan->propagation, err);
	else
		init->root = open(plan->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (init->root >= 0)
		return 0;
	if (err->kind == ERROR_NONE)
		error_system(err, errno, "cannot open the root filesystem %s", plan->rootfs);
	error_code(err, CRL_ROOTFS);
	return error_at(err, "/root/path");
}

static int open_sources(struct init *init, struct error *err)
{
	for (size_t i = 0; i < init->plan->mounts_n; i++) {
		struct mount_op *op = &init->plan->mounts[i];

		if ((op->kind == MOUNT_BIND || op->idmap) && op->tree < 0 &&
		    mount_open_source(init->create->runtime->procfs, op, -1, err) < 0)
			return error_at(err, op->where);
	}
	return init->plan->protections_n > 0 ? mount_masks_open(&init->masks, err) : 0;
}

/* How many mounts there are before the first that may show the network namespace, as sysfs does. */
static size_t mounts_without_network(const struct plan *plan)
{
	static const char *const same_everywhere[] = { "proc", "tmpfs", "devpts", "mqueue" };
	size_t n = 0;

	for (; n < plan->mounts_n; n++) {
		bool same = plan->mounts[n].kind != MOUNT_NEW;

		for (size_t i = 0; !same && i < ARRAY_SIZE(same_everywhere); i++)
			same = text_equal(plan->mounts[n].type, same_everywhere[i]);
		if (!same)
			break;
	}
	return n;
}

static int make_mounts(struct init *init, struct error *err)
{
	const struct plan *plan = init->plan;
	size_t n = mounts_without_network(plan);
	auto_place place = MOUNT_PLACE(init->root);

	if (mount_apply_all(&place, plan->mounts, n, err) < 0)
		return error_coded(err, CRL_MOUNT, -1);
	if (create_join_network(init->create, init->channel, err) < 0)
		return -1;
	if (mount_apply_all(&place, plan->mounts + n, plan->mounts_n - n, err) < 0)
		return error_coded(err, CRL_MOUNT, -1);
	return 0;
}

static int let_parent_work(struct init *init, struct error *err)
{
	if (!hooks_of(init, OCI_HOOK_PRESTART) && !hooks_of(init, OCI_HOOK_CREATE_RUNTIME) &&
	    !hooks_of(init, OCI_HOOK_CREATE_CONTAINER))
		return 0;
	if (message_send(init->channel, MESSAGE_MOUNTED, 0, -1, err) < 0)
		return -1;
	return message_expect(init->channel, MESSAGE_HOOKS_DONE, -1, err);
}

static int run_container_hooks(struct init *init, struct error *err)
{
	return run_inner_hooks(init, OCI_HOOK_CREATE_CONTAINER, OCI_STATUS_CREATING, err);
}

static int make_terminal(struct init *init, struct error *err)
{
	const struct plan_process *process = &init->plan->process;

	if (!process->terminal)
		return 0;
	if (terminal_open(init->root, process->height, process->width, &init->terminal, err) < 0 ||
	    terminal_bind_console(init->root, init->terminal.slave, err) < 0)
		return error_at(err, "/process/terminal");
	if (message_send(init->channel, MESSAGE_CONSOLE, 0, init->terminal.master, err) < 0)
		return -1;
	fd_close(&init->terminal.master);
	init->become.terminal = init->terminal.slave;
	return 0;
}

static int enter_root(struct init *init, struct error *err)
{
	const struct plan *plan = init->plan;

	if (!makes(init, CLONE_NEWNS)) {
		if (mount_chroot(init->root, err) < 0)
			return -1;
	} else if (mount_pivot(init->root, plan->no_pivot, plan->propagation,
			       plan->propagation_after, err) < 0) {
		return -1;
	}
	init->become.root = init->root;
	return 0;
}

static int make_directory(struct init *init, struct error *err)
{
	const char *path = init->plan->process.cwd;

	if (text_equal(path, "/"))
		return 0;

	auto_left_fd fd = inroot_make_directory(init->root, path, 0755, err);

	if (fd < 0) {
		error_while(err, "cannot make the working directory");
		error_code(err, CRL_CWD);
		return error_at(err, "/process/cwd");
	}
	return 0;
}

static int protect_paths(struct init *init, struct error *err)
{
	for (size_t i = 0; i < init->plan->mounts_n; i++)
		if (mount_finish(&init->plan->mounts[i], err) < 0)
			return error_coded(err, CRL_MOUNT,
					   error_at(err, init->plan->mounts[i].where));
	for (size_t i = 0; i < init->plan->protections_n; i++) {
		struct mount_op *op = &init->plan->protections[i];
		int done = op->kind == MOUNT_MASK ? mount_mask(init->root, &init->masks, op, err)
						  : mount_apply(init->root, op, err);

		if (done < 0)
			return error_coded(err, CRL_MOUNT, error_at(err, op->where));
	}
	mount_masks_close(&init->masks);
	if (init->plan->root_readonly && mount_root_readonly(init->root, err) < 0)
		return error_coded(err, CRL_MOUNT, error_at(err, "/root/readonly"));
	return 0;
}

static int set_sysctls(struct init *init, struct error *err)
{
	for (size_t i = 0; i < init->plan->sysctls_n; i++) {
		const struct plan_sysctl *sysctl = &init->plan->sysctls[i];

		if (procfs_sysctl(init->create->runtime->procfs, sysctl->key, sysctl->value,
				  sysctl->where, err) < 0)
			return error_at(err, sysctl->where);
	}
	return 0;
}

static int set_names(struct init *init, struct error *err)
{
	const char *host = init->plan->hostname, *domain = init->plan->domainname;

	if (host && sethostname(host, strlen(host)) < 0) {
		error_system(err, errno, "cannot set the host name \"%s\"", host);
		error_call(err, "sethostname");
		return error_coded(err, CRL_SETTING, error_at(err, "/hostname"));
	}
	if (domain && setdomainname(domain, strlen(domain)) < 0) {
		error_system(err, errno, "cannot set the domain name \"%s\"", domain);
		error_call(err, "setdomainname");
		return error_coded(err, CRL_SETTING, error_at(err, "/domainname"));
	}
	return 0;
}

static int tune(struct init *init, struct error *err)
{
	return become_tune(&init->become, err);
}

static int prepare_streams(struct init *init, struct error *err)
{
	return become_prepare_streams(&init->become, err);
}

static int find_home(struct init *init, struct error *err)
{
	return become_find_home(&init->become, err);
}

static int drop_rights(struct init *init, struct error *err)
{
	struct runtime *runtime = init->create->runtime;
	const uint64_t pid = CLONE_NEWPID;

	if (init->create->pid_ns >= 0 && namespace_join(&init->create->pid_ns, &pid, 1, err) < 0)
		return -1;
	if (become_user(&init->become, err) < 0)
		return -1;
	/* They are closed, for what the kernel might be told to look into by the program's first
	 * line. */
	init->root = runtime->procfs = -1;
	/* Who was born just now has left it behind. */
	if (create_is_born_late(init->create))
		runtime->trace = -1;
	return 0;
}

static int find_program(struct init *init, struct error *err)
{
	return become_find_program(&init->become, err);
}

/* READY, then COMMIT: from here on the container lives without P.  `run` goes on over the channel,
 * `create` over start.sock. */
static int wait_for_start(struct init *init, struct error *err)
{
	struct create *create = init->create;
	int limits_left;

	if (!create->early && message_send(init->channel, MESSAGE_READY, 0, -1, err) < 0)
		return -1;
	if (create->options->start_now) {
		if (message_expect_number(init->channel, MESSAGE_START, -1, &limits_left, err) <
			0 ||
		    process_die_with_parent(0, 0, err) < 0)
			return -1;
		init->become.limits_left = limits_left;
		init->control = init->channel;
		return 0;
	}
	if (message_expect_number(init->channel, MESSAGE_COMMIT, -1, &limits_left, err) < 0 ||
	    process_die_with_parent(0, 0, err) < 0)
		return -1;
	init->become.limits_left = limits_left;
	/* P waits for this close before it exits: until the line above its death would have been
	 * ours. */
	log_to_function(NULL, NULL);
	fd_close(&create->peer);
	init->channel = -1;

	do
		init->control = accept4(create->start_socket, NULL, NULL, SOCK_CLOEXEC);
	while (init->control < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (init->control < 0)
		return error_system(err, errno, "cannot wait for start");
	create->peer = init->control;
	init->channel = init->control;
	message_log_to(&create->peer);
	return message_expect(init->control, MESSAGE_START, -1, err);
}

static int run_start_hooks(struct init *init, struct error *err)
{
	return run_inner_hooks(init, OCI_HOOK_START_CONTAINER, OCI_STATUS_CREATED, err);
}

static int run_program(struct init *init, struct error *err)
{
	return become_program(&init->become, init->control, err);
}

static const struct init_step {
	const char *name;
	int (*make)(struct init *init, struct error *err);
} init_steps[] = {
	/* Needs the maps; the keyring before any label of keys changes. */
	{ "becoming the container's root", become_root },
	/* Sources are the host's: all are opened before the first container mount exists
	   (CVE-2021-30465). */
	{ "opening mount sources", open_sources },
	/* Private before the first mount, which would propagate. */
	{ "preparing the root filesystem", prepare_root },
	/* In document order: config.md says so. */
	{ "mounting", make_mounts },
	/* Needs the network namespace, which the mounts have waited for, and hooks use it. */
	{ "bringing the loopback device up", raise_loopback },
	/* The root is complete, not pivoted: what users of runc's hooks rely on. */
	{ "running the runtime's hooks", let_parent_work },
	/* In the container's namespaces, with paths that are still the runtime's. */
	{ "running createContainer hooks", run_container_hooks },
	/* In the container's devpts, before /dev may become read-only. */
	{ "making the terminal", make_terminal },
	/* Before the root may become read-only. */
	{ "making the working directory", make_directory },
	/* After the last host path. */
	{ "entering the root filesystem", enter_root },
	/* Through the verified procfs, before its paths become read-only. */
	{ "setting sysctls", set_sysctls },
	/* After everything that must still write. */
	{ "protecting paths", protect_paths },
	/* Needs the UTS namespace, and rights in it. */
	{ "setting the host name", set_names },
	/* Scheduler and priorities may need rights that are dropped below. */
	{ "tuning the process", tune },
	/* The container's /dev/null exists now; fchown needs rights. */
	{ "preparing the standard streams", prepare_streams },
	/* Read with root's rights, inside the root. */
	{ "finding the home directory", find_home },
	/* What is left open, labels, early seccomp, ids, capabilities, working directory,
	   no_new_privs: become.c.  In a pid namespace that was joined I is born with that, and not
	   before: birth.c. */
	{ "becoming the user", drop_rights },
	/* With the user's rights, and before READY, so that `create` reports what is wrong with
	   args[0]. */
	{ "finding the program", find_program },
	/* create is over. */
	{ "waiting for start", wait_for_start },
	{ "running startContainer hooks", run_start_hooks },
	/* The late seccomp filter, then execve: end of file tells `start` that it worked. */
	{ "executing the program", run_program },
};

static void fill_become(struct init *init)
{
	const struct create *create = init->create;
	const struct plan_namespaces *ns = &init->plan->namespaces;
	bool userns = ns->create & CLONE_NEWUSER;

	for (size_t i = 0; i < ns->joins_n; i++)
		userns |= ns->joins[i].flag == CLONE_NEWUSER;
	init->become = (struct become){
		.arena = create->runtime->arena,
		.process = &init->plan->process,
		.seccomp = &create->seccomp,
		.procfs = create->runtime->procfs,
		.channel = init->channel,
		.root = -1,
		.mounts = init->plan->mounts,
		.mounts_n = init->plan->mounts_n,
		.terminal = -1,
		/* Where entering the root leads. */
		.entered = text_equal(init->plan->process.cwd, "/"),
		.trace = create->runtime->trace,
		/* In a user namespace their owners have other numbers. */
		.streams = create->streams_known && !userns ? create->streams : NULL,
		.preserve_fds = init->plan->preserve_fds,
		.ignored = create->runtime->facts.signals_ignored,
		.cap_last = create->runtime->facts.cap_last,
		.born = create_is_born_late(create) ? create->born : NULL,
		.start_socket = create->start_socket,
		.keyring = init->plan->keyring,
		.keyring_label = init->plan->keyring_label,
		.in_userns = userns,
		.stay_dumpable =
		    create->runtime->facts.euid != 0 || create->runtime->facts.in_userns,
	};
}

/* P has cloned S, not us.  Said by ourselves, so that no message of ours can come before it. */
static int introduce(struct init *init, struct error *err)
{
	int pid = procfs_own_pid(init->create->runtime->procfs, err);

	return pid < 0 ? -1 : message_send(init->channel, MESSAGE_INIT, pid, -1, err);
}

void init_main(struct create *create)
{
	struct error err = { 0 };
	struct init init = {
		.create = create,
		.plan = &create->plan,
		.channel = create->peer,
		.root = -1,
		.control = -1,
		.masks = { .directory = -1, .null = -1 },
		.terminal = { -1, -1 },
	};

	message_log_to(&create->peer);
	/* What is made in the container's tree has the mode that the document asks for. */
	umask(0);
	fill_become(&init);
	if (process_die_with_parent(SIGKILL, 0, &err) < 0 ||
	    process_set_dumpable(false, &err) < 0 ||
	    (create_needs_stage(create) && introduce(&init, &err) < 0)) {
		message_send_error(init.channel, &err);
		_exit(1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(init_steps); i++) {
		uint64_t start = trace_now(create->runtime->trace);

		/* Before the exec, which does not return. */
		if (i + 1 == ARRAY_SIZE(init_steps))
			trace_span(create->runtime->trace, "I", init_steps[i].name, start);
		if (fault_point(FAULT_BEFORE, init_steps[i].name, &err) == 0 &&
		    init_steps[i].make(&init, &err) == 0 &&
		    fault_point(FAULT_AFTER, init_steps[i].name, &err) == 0) {
			trace_span(create->runtime->trace, "I", init_steps[i].name, start);
			continue;
		}
		error_while(&err, "%s", init_steps[i].name);
		message_send_error(init.control >= 0 ? init.control : init.channel, &err);
		_exit(1);
	}
	_exit(1);
}
