/*
 * Where the container's cgroup is, what is written to it, and whom it is given to.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/mount.h>
#include <string.h>

#define PATH_LENGTH_MAX 4096

struct cgroup_write *plan_write(struct arena *arena, struct plan_cgroup *plan, const char *file,
				const char *value, const char *where)
{
	struct cgroup_writes *writes = &plan->writes;
	struct cgroup_write *write;

	/* Room is doubled whenever the count reaches a power of two. */
	if ((writes->n & (writes->n - 1)) == 0) {
		struct cgroup_write *larger =
		    arena_array(arena, 2 * writes->n + 1, sizeof(*larger));

		if (writes->n > 0)
			memcpy(larger, writes->items, writes->n * sizeof(*larger));
		writes->items = larger;
	}
	write = &writes->items[writes->n++];
	write->file = file;
	write->value = value;
	write->controller = arena_strndup(arena, file, strcspn(file, "."));
	write->where = where;
	return write;
}

/* Nothing is normalised: what the kernel sees is what the document says, or nothing (CVE class of
 * path confusion). */
static int check_path(const char *path, struct error *err)
{
	const char *rest = path[0] == '/' ? path + 1 : path;

	if (strlen(path) > PATH_LENGTH_MAX)
		return error_coded(err, CRL_CGROUP_PATH,
				   error_config_at(err, "/linux/cgroupsPath",
						   "the path is longer than %d bytes",
						   PATH_LENGTH_MAX));
	for (;;) {
		size_t n = strcspn(rest, "/");

		if (n == 0)
			return error_coded(
			    err, CRL_CGROUP_PATH,
			    error_config_at(
				err, "/linux/cgroupsPath",
				"\"%s\" has an empty part, or is the root of all cgroups", path));
		if ((n == 1 && rest[0] == '.') || (n == 2 && rest[0] == '.' && rest[1] == '.'))
			return error_coded(err, CRL_CGROUP_PATH,
					   error_config_at(err, "/linux/cgroupsPath",
							   "\"%s\" has a part \"%.*s\"", path,
							   (int)n, rest));
		if (memchr(rest, '\n', n))
			return error_coded(
			    err, CRL_CGROUP_PATH,
			    error_config_at(err, "/linux/cgroupsPath", "the path has a line feed"));
		if (rest[n] == '\0')
			return 0;
		rest += n + 1;
	}
}

/* Beside our own cgroup: below it the container could not have controllers while we live there ("no
 * inner processes"). */
static const char *base_path(const struct input *input)
{
	const char *own = input->facts->cgroup_own;
	const char *slash = own ? strrchr(own, '/') : NULL;

	return slash ? arena_strndup(input->arena, own, (size_t)(slash - own)) : "";
}

static int plan_path(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	const char *path = input->linux->cgroups_path;

	if (!path || path[0] == '\0') {
		plan->path =
		    text_format(input->arena, "%s/creel-%s", base_path(input), input->request->id);
		return 0;
	}
	plan->where = "/linux/cgroupsPath";
	if (check_path(path, err) < 0)
		return -1;
	plan->path = path;
	if (path[0] != '/')
		plan->path = text_format(input->arena, "%s/%s", base_path(input), path);
	return 0;
}

static bool is_writable_cgroup_mount(const struct mount_op *op)
{
	return op->kind == MOUNT_CGROUP && strcmp(op->target, "/sys/fs/cgroup") == 0 &&
	       !((op->set | op->recursive_set) & MOUNT_ATTR_RDONLY);
}

/*
 * config-linux.md "Cgroup ownership": only with a cgroup namespace of its own and a writable mount
 * of it may the container manage its cgroup.  The owner is the host's id of the container's user.
 */
static void plan_delegation(const struct input *input, struct plan *plan)
{
	const struct oci_user *user = input->config->process->user;
	const struct idmap *maps = plan->namespaces.maps;
	struct plan_cgroup *cgroup = &plan->cgroup;
	uint32_t uid = user ? (uint32_t)user->uid.value : 0;
	uint32_t gid = user ? (uint32_t)user->gid.value : 0;
	bool wanted = false;

	for (size_t i = 0; i < plan->mounts_n; i++)
		wanted |= is_writable_cgroup_mount(&plan->mounts[i]);
	if (!wanted || !namespace_is_new(input->linux, OCI_NAMESPACE_CGROUP))
		return;
	if (!maps && namespace_entry(input->linux, OCI_NAMESPACE_USER))
		return;
	if (maps && (!idmap_lookup(maps->uids, maps->uids_n, uid, &uid) ||
		     !idmap_lookup(maps->gids, maps->gids_n, gid, &gid)))
		return;
	if (uid == input->facts->euid)
		return;
	cgroup->delegate = true;
	cgroup->delegate_uid = uid;
	cgroup->delegate_gid = gid;
}

static void plan_filter(const struct input *input, const struct oci_resources *resources,
			struct plan_cgroup *plan)
{
	if (resources->devices.n == 0)
		return;
	if (!input->facts->is_admin || input->facts->in_userns) {
		log_debug(
		    "the rules of linux.resources.devices are left out: a device filter needs "
		    "privileges in the first user namespace");
		return;
	}
	plan_device_rules(input->arena, resources, plan);
	plan->filter_devices = true;
}

static int refuse_limits(const struct plan_cgroup *plan, const char *why, struct error *err)
{
	const struct cgroup_write *write = &plan->writes.items[0];

	error_unsupported(err, "%s cannot be written: %s", write->file, why);
	error_code(err, CRL_NO_CGROUP2);
	return error_at(err, write->where);
}

/* Without a cgroup there is nothing to limit: a document with limits must not run without them. */
static int plan_disabled(struct plan_cgroup *plan, const char *why, struct error *err)
{
	plan->manager = CGROUP_MANAGER_DISABLED;
	plan->filter_devices = false;
	if (plan->writes.n > 0)
		return refuse_limits(plan, why, err);
	return 0;
}

static int plan_place(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	if (plan->manager == CGROUP_MANAGER_SYSTEMD)
		return plan_systemd_annotations(input, plan, err);
	if (plan->manager == CGROUP_MANAGER_DISABLED)
		return plan_disabled(plan, "cgroups are disabled", err);
	if (!input->facts->cgroup_mount) {
		findings_say(input->request->findings, FINDING_WARNING, NULL,
			     "the container has no cgroup: cgroup version 2 is not mounted");
		return plan_disabled(plan, "cgroup version 2 is not mounted", err);
	}
	if (plan_path(input, plan, err) < 0)
		return -1;
	plan->best_effort = input->request->rootless_cgroups && !plan->where && plan->writes.n == 0;
	return 0;
}

/*
 * Without them the cgroup has no memory.current and the like, and `docker stats` or the kubelet
 * would show nothing for a container without limits.  Only those that are read by everybody: each
 * one that is enabled costs something.
 */
static void welcome_controllers(const struct input *input, struct plan_cgroup *plan)
{
	static const char *const names[] = { "cpu", "io", "memory", "pids" };
	struct cgroup_writes *writes = &plan->writes;
	struct cgroup_write *items =
	    arena_array(input->arena, writes->n + ARRAY_SIZE(names), sizeof(*items));

	if (writes->n > 0)
		memcpy(items, writes->items, writes->n * sizeof(*items));
	writes->items = items;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strings_has(&input->facts->cgroup_controllers, names[i]))
			items[writes->n++] = (struct cgroup_write){
				.controller = names[i],
				.flags = CGROUP_MISSING_IS_FINE,
			};
}

const char *oom_group(const struct input *input, const char **where)
{
	const struct oci_resources *resources = input->linux->resources;
	const char *value =
	    resources ? string_map_get(&resources->unified, "memory.oom.group") : NULL;

	*where = "/linux/resources/unified/memory.oom.group";
	if (value)
		return value;
	*where = "/annotations/" OOM_GROUP_ANNOTATION;
	return string_map_get(&input->config->annotations, OOM_GROUP_ANNOTATION);
}

/* For engines that pass annotations but no `unified`: when one process is out of memory all of the
 * container dies, or only that one. */
static int plan_oom_group(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	const char *where;
	const char *value = oom_group(input, &where);

	if (!value || !text_starts_with(where, "/annotations"))
		return 0;
	if (!text_equal(value, "0") && !text_equal(value, "1"))
		return error_config_at(err, where, "\"%s\" is neither 0 nor 1", value);
	plan_write(input->arena, plan, "memory.oom.group", value, where);
	return 0;
}

int plan_cgroups(const struct input *input, struct plan *plan, struct error *err)
{
	static const struct oci_resources no_resources;
	const struct oci_resources *resources = input->linux->resources;
	struct plan_cgroup *cgroup = &plan->cgroup;

	if (!resources)
		resources = &no_resources;
	cgroup->manager = input->request->manager;
	if (cgroup->manager == CGROUP_MANAGER_SYSTEMD && plan_systemd(input, cgroup, err) < 0 &&
	    go_on(input, err) < 0)
		return -1;
	if (plan_all_resources(input->arena, resources, "/linux/resources", cgroup,
			       input->request->findings, err) < 0)
		return -1;
	if (plan_oom_group(input, cgroup, err) < 0 && go_on(input, err) < 0)
		return -1;
	plan_filter(input, resources, cgroup);
	if (plan_place(input, cgroup, err) < 0)
		return -1;
	if (cgroup->manager == CGROUP_MANAGER_SYSTEMD && cgroup->filter_devices)
		plan_systemd_devices(input->arena, cgroup);
	if (cgroup->manager == CGROUP_MANAGER_CGROUPFS)
		welcome_controllers(input, cgroup);
	if (cgroup->manager != CGROUP_MANAGER_DISABLED)
		plan_delegation(input, plan);
	return 0;
}
