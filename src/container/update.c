/* `update`: new limits for a container that exists; all of them or none. */
#include <creel/verbs.h>

#include <errno.h>
#include <signal.h>

#include <creel/cgroup.h>
#include <creel/cgroup_systemd.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/plan.h>
#include <creel/rdt.h>

#include "update_parts.h"

/* The files as they are now, so that they can be written back. */
static struct cgroup_writes snapshot(struct arena *arena, int cgroup,
				     const struct cgroup_writes *writes)
{
	struct cgroup_writes old = { .items = arena_array(arena, writes->n, sizeof(*old.items)) };

	for (size_t i = 0; i < writes->n; i++) {
		const struct cgroup_write *write = &writes->items[i];
		const char *value = write->file ? cgroup_read(arena, cgroup, write->file) : NULL;

		if (!value)
			continue;
		old.items[old.n] = *write;
		old.items[old.n].flags |= CGROUP_LINES;
		old.items[old.n++].value = value;
	}
	return old;
}

static size_t select_properties(struct arena *arena, int cgroup, const struct plan_cgroup *plan,
				struct systemd_property **selected)
{
	size_t n = 0;

	*selected = arena_array(arena, plan->properties_n, sizeof(**selected));
	for (size_t i = 0; i < plan->properties_n; i++) {
		const struct systemd_property *property = &plan->properties[i];

		if (!property->with || cgroup_has(cgroup, property->with))
			(*selected)[n++] = *property;
	}
	return n;
}

/*
 * The files first: the kernel refuses what it does not like, where systemd only logs it.  Then
 * systemd, or its next reload would bring the old limits back; when it does not take them, they
 * must not stay.
 */
static int update_unit(struct runtime *runtime, const struct state *state, int cgroup,
		       const struct plan_cgroup *plan, struct error *err)
{
	struct cgroup_writes old = snapshot(runtime->arena, cgroup, &plan->writes);
	struct error trouble = { 0 };
	struct systemd_property *properties;
	size_t n = select_properties(runtime->arena, cgroup, plan, &properties);

	if (cgroup_write_all(cgroup, &plan->writes, true, err) < 0)
		return -1;
	if (systemd_set_properties(state->unit, properties, n, runtime->timeout_ms, err) == 0)
		return 0;
	if (cgroup_write_all(cgroup, &old, false, &trouble) < 0)
		error_ignore(&trouble, "why systemd did not take the limits matters more");
	return -1;
}

static int write_limits(struct runtime *runtime, const struct state *state, int cgroup,
			const struct plan_cgroup *plan, struct error *err)
{
	/* Device rules stay as they are, as in runc: the program on the cgroup is the one from
	 * create. */
	if (plan->manager == CGROUP_MANAGER_SYSTEMD && state->unit)
		return update_unit(runtime, state, cgroup, plan, err);
	/* The first limit of a kind needs its controller; systemd has given us all it has. */
	if (cgroup_enable(runtime->cgroup_root, state->cgroup, &plan->writes, err) < 0)
		return -1;
	return cgroup_write_all(cgroup, &plan->writes, true, err);
}

/* The last value that will be written to FILE, or NULL. */
static const char *planned(const struct plan_cgroup *plan, const char *file)
{
	const char *value = NULL;

	for (size_t i = 0; i < plan->writes.n; i++)
		if (text_equal(plan->writes.items[i].file, file))
			value = plan->writes.items[i].value;
	return value;
}

/* Signals wait until memory.high is back and the container is thawed. */
static int write_safely(struct runtime *runtime, const struct state *state, int cgroup,
			const struct plan_cgroup *plan, struct error *err)
{
	const char *limit = planned(plan, "memory.max");
	struct update_memory memory = { 0 };
	uint64_t bytes;
	sigset_t all, before;
	int result;

	if (!limit || !text_parse_uint(limit, UINT64_MAX, &bytes))
		return write_limits(runtime, state, cgroup, plan, err);
	memset(&all, 0xff, sizeof(all));
	if (sigprocmask(SIG_BLOCK, &all, &before) < 0)
		return error_system(err, errno, "cannot block signals");
	result = update_memory_prepare(cgroup, bytes, runtime->timeout_ms, &memory, err);
	if (result == 0) {
		result = write_limits(runtime, state, cgroup, plan, err);
		update_memory_finish(cgroup, result == 0 && planned(plan, "memory.high"), &memory);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

static int update_rdt(struct runtime *runtime, const struct state *state,
		      const struct strings *schemata, struct error *err)
{
	const struct rdt_plan plan = {
		.group = state->rdt_group,
		.id = state->id,
		.schemata = *schemata,
	};
	const char *mount;

	if (schemata->n == 0)
		return 0;
	if (!state->rdt_group)
		return error_state(err,
				   "container %s was created without intelRdt: there is no "
				   "resctrl group to change",
				   state->id);
	mount = rdt_mount(runtime->arena, runtime->procfs);
	if (!mount)
		return error_coded(err, CRL_NO_RESCTRL,
				   error_unsupported(err, "resctrl is not mounted on this host"));
	return rdt_change(mount, &plan, err);
}

static int update(struct runtime *runtime, const struct container *container,
		  const struct update_options *options, struct error *err)
{
	struct plan_cgroup plan = {
		.manager = (enum cgroup_manager)container->state.cgroup_manager.value,
	};
	struct oci_resources resources;
	auto_fd cgroup = container_cgroup(runtime, container, err);

	if (cgroup < 0 && err->kind != ERROR_NONE)
		return -1;
	if (cgroup < 0)
		return error_unsupported(
		    err, "container %s has no cgroup, so it has no limits to change",
		    container->id);
	if (update_complete(runtime->arena, cgroup, options->resources, &resources, err) < 0 ||
	    plan_resources(runtime->arena, &resources, "", &runtime->facts, &plan, err) < 0 ||
	    update_rdt(runtime, &container->state, &options->rdt, err) < 0)
		return -1;
	if (options->memory_safe)
		return write_safely(runtime, &container->state, cgroup, &plan, err);
	return write_limits(runtime, &container->state, cgroup, &plan, err);
}

int verb_update(struct runtime *runtime, const char *id, const struct update_options *options,
		struct error *err)
{
	auto_container container = { .dir = -1 };

	if (container_open(runtime, id, CONTAINER_EXCLUSIVE, &container, err) < 0)
		return -1;
	if (container.status == OCI_STATUS_STOPPED || container.status == OCI_STATUS_CREATING)
		return error_coded(err, CRL_NOT_RUNNING,
				   error_state(err, "container not running: %s", id));
	return update(runtime, &container, options, err);
}
