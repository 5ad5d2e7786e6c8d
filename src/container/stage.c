/*
 * S: walks from our namespaces to the container's, then clones I there and is gone.  It lives for a
 * millisecond while P waits. Only the kernel's rules decide the order here; each is named beside
 * its step.  Where I joins a pid namespace S does I's work, and I is born when it is done
 * (birth.c).
 */
#include <creel/create.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/namespace.h>
#include <creel/process.h>
#include <creel/trace.h>
#include <creel/tuning.h>

struct stage {
	struct create *create;
	int fds[NAMESPACE_COUNT]; /* of the namespaces to join */
	uint64_t flags[NAMESPACE_COUNT];
};

/* All are opened before any is joined: a path may not mean the same afterwards. */
static int open_joins(const struct plan_namespaces *plan, int *fds, uint64_t *flags,
		      struct error *err)
{
	for (size_t i = 0; i < plan->joins_n; i++) {
		flags[i] = plan->joins[i].flag;
		fds[i] = namespace_open(plan->joins[i].path, flags[i], err);
		if (fds[i] < 0)
			return error_at(err, plan->joins[i].where);
	}
	return 0;
}

static int make_user_namespace(struct create *create, struct error *err)
{
	if (!(create->plan.namespaces.create & CLONE_NEWUSER))
		return 0;
	/* A map file belongs to the user namespace that its process had when it was opened: so P is
	 * asked after the unshare. */
	if (namespace_unshare(CLONE_NEWUSER, err) < 0)
		return create_explain_namespace(create, CLONE_NEWUSER, err);
	if (message_send(create->peer, MESSAGE_NEED_MAPS, 0, -1, err) < 0)
		return -1;
	return message_expect(create->peer, MESSAGE_MAPS_DONE, -1, err);
}

/* Before any change of ids: that would make us non-dumpable, and our /proc files root's (EACCES).
 */
static int make_time_namespace(struct create *create, struct error *err)
{
	const struct plan_namespaces *plan = &create->plan.namespaces;

	if (!(plan->create & CLONE_NEWTIME))
		return 0;
	if (namespace_unshare(CLONE_NEWTIME, err) < 0)
		return create_explain_namespace(create, CLONE_NEWTIME, err);
	if (!plan->time_offsets)
		return 0;
	if (namespace_set_time_offsets(create->runtime->procfs, plan->time_offsets, err) < 0)
		return error_at(err, plan->time_where);
	return 0;
}

/* The index of FLAG among the joins of PLAN, or PLAN->joins_n. */
static size_t find_join(const struct plan_namespaces *plan, uint64_t flag)
{
	size_t i = 0;

	while (i < plan->joins_n && plan->joins[i].flag != flag)
		i++;
	return i;
}

/* What proc shows is decided where its context is opened: in the namespace that I will be in. */
static int open_procs(struct create *create, int pidns, int userns, struct error *err)
{
	for (size_t i = 0; i < create->plan.mounts_n; i++) {
		struct mount_op *op = &create->plan.mounts[i];

		if (op->kind == MOUNT_NEW && !op->idmap && text_equal(op->type, "proc") &&
		    mount_open_proc(op, pidns, userns, err) < 0)
			return error_at(err, op->where);
	}
	return 0;
}

/*
 * A pid namespace is joined by children only, so all of them, also hooks, would be seen there: it
 * is put off until I is born.  Not with a user namespace, in which the right to join would be gone.
 */
static int put_off_pid(struct create *create, int *fds, struct error *err)
{
	const struct plan_namespaces *plan = &create->plan.namespaces;
	size_t pid = find_join(plan, CLONE_NEWPID), user = find_join(plan, CLONE_NEWUSER);
	bool joins_user = user < plan->joins_n;

	if (pid == plan->joins_n)
		return 0;
	if (open_procs(create, fds[pid], joins_user ? fds[user] : -1, err) < 0)
		return -1;
	if (!joins_user && !(plan->create & CLONE_NEWUSER))
		create->pid_ns = take_fd(&fds[pid]);
	return 0;
}

/* S goes on as I until all is done. */
static int become_init(struct create *create, struct error *err)
{
	if (namespace_unshare(create_clone_flags(create), err) < 0 ||
	    process_set_dumpable(false, err) < 0)
		return -1;
	init_main(create);
}

static int make_init(struct create *create, struct error *err)
{
	const struct spawn spawn = {
		.flags = create_clone_flags(create) | CLONE_PARENT,
		.cgroup = -1,
		.born = create->born,
	};
	pid_t pid;

	/* A child inherits it. */
	if (process_set_dumpable(false, err) < 0)
		return -1;
	pid = process_spawn(&spawn, err);
	if (pid < 0)
		return create_explain_spawn(create, spawn.flags, err);
	if (pid == 0)
		init_main(create);
	return 0;
}

/* Before a user namespace, and before we are not dumpable: both would make our /proc files somebody
 * else's (EACCES). */
int create_tune(struct create *create, struct error *err)
{
	const struct plan_process *process = &create->plan.process;

	if (process->oom_score_adj.set &&
	    tuning_set_oom_score(create->runtime->procfs, (int)process->oom_score_adj.value, err) <
		0)
		return -1;
	return tuning_reset_affinity(err);
}

static int wait_for_go(struct stage *stage, struct error *err)
{
	if (process_die_with_parent(SIGKILL, 0, err) < 0 ||
	    message_expect(stage->create->peer, MESSAGE_GO, -1, err) < 0)
		return -1;
	return create_tune(stage->create, err);
}

static int open_namespaces(struct stage *stage, struct error *err)
{
	if (open_joins(&stage->create->plan.namespaces, stage->fds, stage->flags, err) < 0)
		return -1;
	return put_off_pid(stage->create, stage->fds, err);
}

static int join_namespaces(struct stage *stage, struct error *err)
{
	return namespace_join(stage->fds, stage->flags, stage->create->plan.namespaces.joins_n,
			      err);
}

static int make_user(struct stage *stage, struct error *err)
{
	return make_user_namespace(stage->create, err);
}

static int make_time(struct stage *stage, struct error *err)
{
	return make_time_namespace(stage->create, err);
}

static int make_or_become_init(struct stage *stage, struct error *err)
{
	return create_is_born_late(stage->create) ? become_init(stage->create, err)
						  : make_init(stage->create, err);
}

static const struct {
	const char *name; /* for --trace */
	int (*make)(struct stage *stage, struct error *err);
} stage_steps[] = {
	{ "waiting until the stage may go", wait_for_go },
	{ "opening the namespaces to join", open_namespaces },
	/* Joins come first: what is there already belongs to no user namespace that is made now,
	   which gives no rights to it. */
	{ "joining namespaces", join_namespaces },
	{ "making the user namespace", make_user },
	{ "making the time namespace", make_time },
	{ "making the container's init", make_or_become_init },
};

static int walk(struct create *create, struct error *err)
{
	struct stage stage = { .create = create };

	for (size_t i = 0; i < ARRAY_SIZE(stage_steps); i++) {
		uint64_t start = trace_now(create->runtime->trace);

		if (stage_steps[i].make(&stage, err) < 0)
			return -1;
		trace_span(create->runtime->trace, "S", stage_steps[i].name, start);
	}
	return 0;
}

void stage_main(struct create *create)
{
	struct error err = { 0 };

	message_log_to(&create->peer);
	if (walk(create, &err) < 0) {
		message_send_error(create->peer, &err);
		_exit(1);
	}
	_exit(0);
}
