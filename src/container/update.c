/* `update`: new limits for a container that exists; all of them or none. */
#include <creel/verbs.h>

#include <creel/cgroup.h>
#include <creel/cgroup_systemd.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/plan.h>

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

/*
 * The files first: the kernel refuses what it does not like, where systemd only logs it.  Then systemd, or its next reload
 * would bring the old limits back; when it does not take them, they must not stay.
 */
static int update_unit(struct runtime *runtime, const struct state *state, int cgroup,
		       const struct plan_cgroup *plan, struct error *err)
{
	struct cgroup_writes old = snapshot(runtime->arena, cgroup, &plan->writes);
	struct error trouble = { 0 };

	if (cgroup_write_all(cgroup, &plan->writes, true, err) < 0)
		return -1;
	if (systemd_set_properties(state->unit, plan->properties, plan->properties_n,
				   runtime->timeout_ms, err) == 0)
		return 0;
	if (cgroup_write_all(cgroup, &old, false, &trouble) < 0)
		error_ignore(&trouble, "why systemd did not take the limits matters more");
	return -1;
}

int verb_update(struct runtime *runtime, const char *id, const struct oci_resources *resources,
		struct error *err)
{
	auto_container container = { .dir = -1 };
	struct plan_cgroup plan = { 0 };

	if (container_open(runtime, id, CONTAINER_EXCLUSIVE, &container, err) < 0)
		return -1;
	if (container.status == OCI_STATUS_STOPPED || container.status == OCI_STATUS_CREATING)
		return error_state(err, "container not running: %s", id);
	plan.manager = (enum cgroup_manager)container.state.cgroup_manager.value;
	if (plan_resources(runtime->arena, resources, "", &runtime->facts, &plan, err) < 0)
		return -1;

	auto_fd cgroup = container_cgroup(runtime, &container);

	if (cgroup < 0)
		return error_unsupported(err, "container %s has no cgroup, so it has no limits to change", id);
	/* Device rules stay as they are, as in runc: the program on the cgroup is the one from create. */
	if (plan.manager == CGROUP_MANAGER_SYSTEMD && container.state.unit)
		return update_unit(runtime, &container.state, cgroup, &plan, err);
	return cgroup_write_all(cgroup, &plan.writes, true, err);
}
