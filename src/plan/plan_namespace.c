/*
 * Which namespaces to join and which to create, the id maps of a new user namespace, and the
 * offsets of a new time namespace.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/sched.h>

/* By enum oci_namespace_type. */
static const uint64_t clone_flags[OCI_NAMESPACE_COUNT] = {
	[OCI_NAMESPACE_PID] = CLONE_NEWPID,	  [OCI_NAMESPACE_NETWORK] = CLONE_NEWNET,
	[OCI_NAMESPACE_MOUNT] = CLONE_NEWNS,	  [OCI_NAMESPACE_IPC] = CLONE_NEWIPC,
	[OCI_NAMESPACE_UTS] = CLONE_NEWUTS,	  [OCI_NAMESPACE_USER] = CLONE_NEWUSER,
	[OCI_NAMESPACE_CGROUP] = CLONE_NEWCGROUP, [OCI_NAMESPACE_TIME] = CLONE_NEWTIME,
};

const struct oci_namespace *namespace_entry(const struct oci_linux *oci_linux,
					    enum oci_namespace_type type)
{
	list_each (const struct oci_namespace, entry, &oci_linux->namespaces)
		if (entry->type.value == (int64_t)type)
			return entry;
	return NULL;
}

bool namespace_is_new(const struct oci_linux *oci_linux, enum oci_namespace_type type)
{
	const struct oci_namespace *entry = namespace_entry(oci_linux, type);

	return entry && !entry->path;
}

bool idmap_lookup(const struct idmap_range *ranges, size_t n, uint64_t inside, uint32_t *outside)
{
	for (size_t i = 0; i < n; i++) {
		const struct idmap_range *range = &ranges[i];

		if (inside < range->inside || inside - range->inside >= range->size)
			continue;
		*outside = range->outside + (uint32_t)(inside - range->inside);
		return true;
	}
	return false;
}

const struct idmap_range *idmap_ranges(struct arena *arena, const struct oci_id_mappings *mappings)
{
	struct idmap_range *ranges = arena_array(arena, mappings->n, sizeof(*ranges));

	for (size_t i = 0; i < mappings->n; i++) {
		ranges[i].inside = (uint32_t)mappings->items[i].container_id.value;
		ranges[i].outside = (uint32_t)mappings->items[i].host_id.value;
		ranges[i].size = (uint32_t)mappings->items[i].size.value;
	}
	return ranges;
}

/* The one map that a process without privileges may write itself: its own id. */
static bool maps_only(const struct idmap_range *ranges, size_t n, uint32_t own)
{
	return n == 1 && ranges[0].size == 1 && ranges[0].outside == own;
}

/*
 * A privileged creel writes the maps itself.  An unprivileged one may map its own ids only, and
 * only after it gave up setgroups(2); for more it needs newuidmap(1) and newgidmap(1), which know
 * /etc/subuid.
 */
static const struct idmap *plan_maps(const struct input *input)
{
	const struct oci_linux *oci_linux = input->linux;
	const struct facts *facts = input->facts;
	struct idmap *map = arena_alloc(input->arena, sizeof(*map));

	map->uids = idmap_ranges(input->arena, &oci_linux->uid_mappings);
	map->uids_n = oci_linux->uid_mappings.n;
	map->gids = idmap_ranges(input->arena, &oci_linux->gid_mappings);
	map->gids_n = oci_linux->gid_mappings.n;
	if (facts->is_admin) {
		/* Who has been denied it cannot allow it to others. */
		map->deny_setgroups = !facts->can_set_groups;
		return map;
	}
	map->deny_setgroups = maps_only(map->gids, map->gids_n, facts->egid);
	map->helpers = !map->deny_setgroups || !maps_only(map->uids, map->uids_n, facts->euid);
	return map;
}

static void plan_user_namespace(const struct input *input, size_t index, bool joined,
				struct plan_namespaces *plan)
{
	if (!joined) {
		plan->maps = plan_maps(input);
		plan->maps_where = "/linux/uidMappings";
		return;
	}
	/* podman writes dummy maps beside the path of a user namespace to join. */
	if (input->linux->uid_mappings.n > 0 || input->linux->gid_mappings.n > 0)
		findings_say(input->request->findings, FINDING_WARNING, "/linux/uidMappings",
			     "uidMappings and gidMappings are ignored: linux.namespaces[%zu] joins "
			     "a user namespace, which has its own",
			     index);
}

static const char *time_offsets(const struct input *input)
{
	const char *lines = "";

	if (input->linux->time_offsets.n == 0)
		return NULL;
	list_each (const struct oci_time_offset, offset, &input->linux->time_offsets)
		lines = text_format(input->arena, "%s%s %lld %llu\n", lines, offset->key,
				    (long long)offset->secs.value,
				    (unsigned long long)offset->nanosecs.value);
	return lines;
}

int plan_namespaces(const struct input *input, struct plan_namespaces *plan, struct error *err)
{
	size_t i = 0;

	list_each (const struct oci_namespace, entry, &input->linux->namespaces) {
		const char *where = pointer_index(input->arena, "/linux/namespaces", i);
		uint64_t flag = clone_flags[entry->type.value];

		if (plan->joins_n + plan->makes_n == ARRAY_SIZE(plan->joins))
			return error_config_at(err, where,
					       "there are more entries than namespaces");
		if (flag == CLONE_NEWUSER)
			plan_user_namespace(input, i, entry->path != NULL, plan);
		if (entry->path)
			plan->joins[plan->joins_n++] = (struct plan_join){
				.flag = flag,
				.path = entry->path,
				.where = pointer_key(input->arena, where, "path"),
			};
		else
			plan->makes[plan->makes_n++] = (struct plan_join){
				.flag = flag,
				.where = where,
			};
		if (!entry->path)
			plan->create |= flag;
		i++;
	}
	plan->time_offsets = time_offsets(input);
	plan->time_where = plan->time_offsets ? "/linux/timeOffsets" : NULL;
	return 0;
}
