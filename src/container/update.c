/* `update`: new limits for a container that exists; all of them or none. */
#include <creel/verbs.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/plan.h>

int verb_update(struct runtime *runtime, const char *id, const struct oci_resources *resources,
		struct error *err)
{
	auto_container container = { .dir = -1 };
	struct plan_cgroup plan = { 0 };

	if (container_open(runtime, id, CONTAINER_EXCLUSIVE, &container, err) < 0)
		return -1;
	if (container.status == OCI_STATUS_STOPPED || container.status == OCI_STATUS_CREATING)
		return error_state(err, "container not running: %s", id);
	if (plan_resources(runtime->arena, resources, "", &runtime->facts, &plan, err) < 0)
		return -1;

	auto_fd cgroup = container_cgroup(runtime, &container);

	if (cgroup < 0)
		return error_unsupported(err, "container %s has no cgroup, so it has no limits to change", id);
	/* Device rules stay as they are, as in runc: the program on the cgroup is the one from create. */
	return cgroup_write_all(cgroup, &plan.writes, true, err);
}
