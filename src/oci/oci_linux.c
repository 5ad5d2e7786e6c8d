/*
 * `linux` as tables: namespaces, id mappings, devices, network devices, paths, sysctl, personality,
 * memory policy, resctrl and time offsets.  Resources and seccomp have files of their own.
 */
#include <creel/oci_linux.h>

#include <linux/mempolicy.h>
#include <linux/personality.h>
#include <string.h>

/* Since Linux 6.9, which is later than the headers of Debian 12. */
#define MPOL_WEIGHTED_INTERLEAVE 6

/* The all-ones id means "leave it" to chown(2), and no map can hold it. */
#define ID_MAX (UINT32_MAX - 1)

/* UID_GID_MAP_MAX_EXTENTS of the kernel, since Linux 4.15. */
#define MAPPINGS_MAX 340

/* What a dev_t of the kernel holds: 12 and 20 bits. */
#define MAJOR_MAX ((1 << 12) - 1)
#define MINOR_MAX ((1 << 20) - 1)

/* File types and permissions, as a mode_t has them; engines copy st_mode of the host's node. */
#define FILE_MODE_MAX 0177777

#define INTERFACE_NAME_MAX 15 /* IFNAMSIZ without its NUL */
#define BLANKS		   " \t\n\v\f\r"

#define NANOSECONDS_MAX 999999999

const struct name_value oci_namespace_names[] = {
	{ "pid", OCI_NAMESPACE_PID },
	{ "network", OCI_NAMESPACE_NETWORK },
	{ "mount", OCI_NAMESPACE_MOUNT },
	{ "ipc", OCI_NAMESPACE_IPC },
	{ "uts", OCI_NAMESPACE_UTS },
	{ "user", OCI_NAMESPACE_USER },
	{ "cgroup", OCI_NAMESPACE_CGROUP },
	{ "time", OCI_NAMESPACE_TIME },
	{ NULL, 0 },
};

const struct name_value oci_propagation_names[] = {
	{ "private", OCI_PROPAGATION_PRIVATE },
	{ "rprivate", OCI_PROPAGATION_RPRIVATE },
	{ "shared", OCI_PROPAGATION_SHARED },
	{ "rshared", OCI_PROPAGATION_RSHARED },
	{ "slave", OCI_PROPAGATION_SLAVE },
	{ "rslave", OCI_PROPAGATION_RSLAVE },
	{ "unbindable", OCI_PROPAGATION_UNBINDABLE },
	{ "runbindable", OCI_PROPAGATION_RUNBINDABLE },
	{ NULL, 0 },
};

const struct name_value oci_memory_policy_mode_names[] = {
	{ "MPOL_DEFAULT", MPOL_DEFAULT },
	{ "MPOL_PREFERRED", MPOL_PREFERRED },
	{ "MPOL_BIND", MPOL_BIND },
	{ "MPOL_INTERLEAVE", MPOL_INTERLEAVE },
	{ "MPOL_LOCAL", MPOL_LOCAL },
	{ "MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY },
	{ "MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE },
	{ NULL, 0 },
};

const struct name_value oci_memory_policy_flag_names[] = {
	{ "MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING },
	{ "MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES },
	{ "MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES },
	{ NULL, 0 },
};

const struct name_value oci_personality_names[] = {
	{ "LINUX", PER_LINUX },
	{ "LINUX32", PER_LINUX32 },
	{ NULL, 0 },
};

static int absolute_check(const char *path, const struct where *at, struct error *err)
{
	if (path[0] != '/')
		return error_coded(err, CRL_NOT_ABSOLUTE,
				   error_config(err, at, "\"%s\" is not absolute", path));
	return 0;
}

static int namespace_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_namespace *ns = object;

	if (!ns->path)
		return 0;
	return absolute_check(ns->path, AT_KEY(at, "path"), err);
}

static const struct field oci_namespace_fields[] = {
	F_ENUM(struct oci_namespace, type, "type", FIELD_REQUIRED, oci_namespace_names),
	F_STRING(struct oci_namespace, path, "path", 0),
};

static const struct schema oci_namespace_schema =
    SCHEMA(struct oci_namespace, oci_namespace_fields, namespace_check);

/* The last id of a range may be 2^32-2: the kernel refuses a range whose end wraps (map_write()).
 */
static int id_mapping_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_id_mapping *mapping = object;

	if (mapping->size.value == 0)
		return error_coded(
		    err, CRL_ID_MAPPINGS,
		    error_config(err, AT_KEY(at, "size"), "a mapping of no ids is not possible"));
	if (mapping->container_id.value + mapping->size.value > UINT32_MAX)
		return error_coded(err, CRL_ID_MAPPINGS,
				   error_config(err, AT_KEY(at, "containerID"),
						"the mapping goes beyond the last id, 4294967294"));
	if (mapping->host_id.value + mapping->size.value > UINT32_MAX)
		return error_coded(err, CRL_ID_MAPPINGS,
				   error_config(err, AT_KEY(at, "hostID"),
						"the mapping goes beyond the last id, 4294967294"));
	return 0;
}

static const struct field oci_id_mapping_fields[] = {
	F_UINT(struct oci_id_mapping, container_id, "containerID", FIELD_REQUIRED, UINT32_MAX),
	F_UINT(struct oci_id_mapping, host_id, "hostID", FIELD_REQUIRED, UINT32_MAX),
	F_UINT(struct oci_id_mapping, size, "size", FIELD_REQUIRED, UINT32_MAX),
};

const struct schema oci_id_mapping_schema =
    SCHEMA(struct oci_id_mapping, oci_id_mapping_fields, id_mapping_check);

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int overlap_check(const struct oci_id_mappings *mappings, size_t i, const struct where *at,
			 struct error *err)
{
	const struct oci_id_mapping *a = &mappings->items[i];

	for (size_t j = 0; j < i; j++) {
		const struct oci_id_mapping *b = &mappings->items[j];

		if (ranges_overlap(a->container_id.value, a->size.value, b->container_id.value,
				   b->size.value))
			return error_coded(err, CRL_ID_MAPPINGS,
					   error_config(err, AT_KEY(AT_INDEX(at, i), "containerID"),
							"the ids overlap those of mapping %zu", j));
		if (ranges_overlap(a->host_id.value, a->size.value, b->host_id.value,
				   b->size.value))
			return error_coded(err, CRL_ID_MAPPINGS,
					   error_config(err, AT_KEY(AT_INDEX(at, i), "hostID"),
							"the ids overlap those of mapping %zu", j));
	}
	return 0;
}

int oci_id_mappings_check(const struct oci_id_mappings *mappings, const struct where *at,
			  struct error *err)
{
	if (mappings->n > MAPPINGS_MAX)
		return error_coded(
		    err, CRL_ID_MAPPINGS,
		    error_config(err, at, "%zu mappings are more than the %d the kernel takes",
				 mappings->n, MAPPINGS_MAX));
	for (size_t i = 0; i < mappings->n; i++)
		if (overlap_check(mappings, i, at, err) < 0)
			return -1;
	return 0;
}

/* A fifo has no numbers; those that generators write for it are ignored. */
static int device_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_device *device = object;

	if (strlen(device->type) != 1 || !strchr("cbup", device->type[0]))
		return error_coded(err, CRL_DEVICE,
				   error_config(err, AT_KEY(at, "type"),
						"\"%s\" is not a type of device: c, b, u or p",
						device->type));
	if (absolute_check(device->path, AT_KEY(at, "path"), err) < 0)
		return -1;
	if (device->type[0] == 'p')
		return 0;
	if (!device->major.set)
		return error_coded(
		    err, CRL_DEVICE,
		    error_config(err, AT_KEY(at, "major"), "a device needs a major number"));
	if (!device->minor.set)
		return error_coded(
		    err, CRL_DEVICE,
		    error_config(err, AT_KEY(at, "minor"), "a device needs a minor number"));
	return 0;
}

static const struct field oci_device_fields[] = {
	F_STRING(struct oci_device, type, "type", FIELD_REQUIRED),
	F_STRING(struct oci_device, path, "path", FIELD_REQUIRED),
	F_INT(struct oci_device, major, "major", 0, 0, MAJOR_MAX),
	F_INT(struct oci_device, minor, "minor", 0, 0, MINOR_MAX),
	F_UINT(struct oci_device, file_mode, "fileMode", 0, FILE_MODE_MAX),
	F_UINT(struct oci_device, uid, "uid", 0, ID_MAX),
	F_UINT(struct oci_device, gid, "gid", 0, ID_MAX),
};

static const struct schema oci_device_schema =
    SCHEMA(struct oci_device, oci_device_fields, device_check);

/* What dev_valid_name() of the kernel takes. */
static bool is_interface_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > INTERFACE_NAME_MAX)
		return false;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return name[strcspn(name, "/:" BLANKS)] == '\0';
}

/* A '%' asks the kernel for a free number, so it is only good as the final "%d". */
static bool is_interface_pattern(const char *name)
{
	const char *percent = strchr(name, '%');

	return is_interface_name(name) && (!percent || strcmp(percent, "%d") == 0);
}

static int net_device_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_net_device *device = object;

	if (device->name && !is_interface_pattern(device->name))
		return error_config(err, AT_KEY(at, "name"),
				    "\"%s\" is not a name for a network device", device->name);
	return 0;
}

static const struct field oci_net_device_fields[] = {
	F_STRING(struct oci_net_device, name, "name", 0),
};

static const struct schema oci_net_device_schema =
    SCHEMA(struct oci_net_device, oci_net_device_fields, net_device_check);

static int no_newline_check(const char *line, const struct where *at, struct error *err)
{
	if (line && strchr(line, '\n'))
		return error_config(err, at, "a schema is one line, without a line feed");
	return 0;
}

static int clos_id_check(const char *id, const struct where *at, struct error *err)
{
	if (!id || strcmp(id, "/") == 0)
		return 0;
	if (id[0] == '\0' || strcmp(id, ".") == 0 || strcmp(id, "..") == 0 || strpbrk(id, "/\n"))
		return error_config(err, at, "\"%s\" cannot be the name of a resctrl group", id);
	return 0;
}

static int intel_rdt_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_intel_rdt *rdt = object;

	if (clos_id_check(rdt->clos_id, AT_KEY(at, "closID"), err) < 0)
		return -1;
	for (size_t i = 0; i < rdt->schemata.n; i++)
		if (no_newline_check(rdt->schemata.items[i], AT_INDEX(AT_KEY(at, "schemata"), i),
				     err) < 0)
			return -1;
	if (no_newline_check(rdt->l3_cache_schema, AT_KEY(at, "l3CacheSchema"), err) < 0)
		return -1;
	if (rdt->mem_bw_schema && strncmp(rdt->mem_bw_schema, "MB:", 3) != 0)
		return error_config(err, AT_KEY(at, "memBwSchema"),
				    "a schema of memory bandwidth begins with MB:");
	return no_newline_check(rdt->mem_bw_schema, AT_KEY(at, "memBwSchema"), err);
}

static const struct field oci_intel_rdt_fields[] = {
	F_STRING(struct oci_intel_rdt, clos_id, "closID", 0),
	F_STRINGS(struct oci_intel_rdt, schemata, "schemata", 0),
	F_STRING(struct oci_intel_rdt, l3_cache_schema, "l3CacheSchema", 0),
	F_STRING(struct oci_intel_rdt, mem_bw_schema, "memBwSchema", 0),
	F_BOOL(struct oci_intel_rdt, enable_monitoring, "enableMonitoring", 0),
};

static const struct schema oci_intel_rdt_schema =
    SCHEMA(struct oci_intel_rdt, oci_intel_rdt_fields, intel_rdt_check);

/* set_mempolicy(2): which modes take nodes.  MPOL_PREFERRED without any means the local node. */
static int memory_nodes_check(const struct oci_memory_policy *policy, const struct where *at,
			      struct error *err)
{
	const char *mode = name_of(oci_memory_policy_mode_names, (int)policy->mode.value);
	bool has_nodes = policy->nodes && policy->nodes[0] != '\0';
	bool takes_none = policy->mode.value == MPOL_DEFAULT || policy->mode.value == MPOL_LOCAL;

	if (has_nodes && policy->nodes[strspn(policy->nodes, "0123456789,- ")] != '\0')
		return error_config(err, at, "\"%s\" is not a list of nodes such as 0-3,7",
				    policy->nodes);
	if (has_nodes && takes_none)
		return error_config(err, at, "%s takes no nodes", mode);
	if (!has_nodes && !takes_none && policy->mode.value != MPOL_PREFERRED)
		return error_config(err, at, "%s needs nodes", mode);
	return 0;
}

static bool has_flag(const struct ints *flags, int flag)
{
	for (size_t i = 0; i < flags->n; i++)
		if (flags->items[i] == flag)
			return true;
	return false;
}

static int memory_policy_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_memory_policy *policy = object;

	if (memory_nodes_check(policy, AT_KEY(at, "nodes"), err) < 0)
		return -1;
	if (has_flag(&policy->flags, MPOL_F_STATIC_NODES) &&
	    has_flag(&policy->flags, MPOL_F_RELATIVE_NODES))
		return error_config(err, AT_KEY(at, "flags"),
				    "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each "
				    "other");
	return 0;
}

static const struct field oci_memory_policy_fields[] = {
	F_ENUM(struct oci_memory_policy, mode, "mode", FIELD_REQUIRED,
	       oci_memory_policy_mode_names),
	F_STRING(struct oci_memory_policy, nodes, "nodes", 0),
	F_ENUMS(struct oci_memory_policy, flags, "flags", 0, oci_memory_policy_flag_names),
};

const struct schema oci_memory_policy_schema =
    SCHEMA(struct oci_memory_policy, oci_memory_policy_fields, memory_policy_check);

/* config-linux.md "Personality": flags exist, but "currently no flag values are supported". */
static int personality_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_personality *personality = object;

	if (personality->flags.n > 0)
		return error_config(err, AT_INDEX(AT_KEY(at, "flags"), 0),
				    "the specification defines no flags of a personality");
	return 0;
}

static const struct field oci_personality_fields[] = {
	F_ENUM(struct oci_personality, domain, "domain", FIELD_REQUIRED, oci_personality_names),
	F_STRINGS(struct oci_personality, flags, "flags", 0),
};

const struct schema oci_personality_schema =
    SCHEMA(struct oci_personality, oci_personality_fields, personality_check);

static const struct field oci_time_offset_fields[] = {
	F_INT(struct oci_time_offset, secs, "secs", 0, INT64_MIN, INT64_MAX),
	F_UINT(struct oci_time_offset, nanosecs, "nanosecs", 0, NANOSECONDS_MAX),
};

static const struct schema oci_time_offset_schema =
    SCHEMA(struct oci_time_offset, oci_time_offset_fields, NULL);

static int namespaces_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;
	const struct where *list = AT_KEY(at, "namespaces");
	bool seen[OCI_NAMESPACE_COUNT] = { false };

	for (size_t i = 0; i < linux->namespaces.n; i++) {
		int type = (int)linux->namespaces.items[i].type.value;

		if (seen[type])
			return error_coded(err, CRL_NAMESPACE_LIST,
					   error_config(err, AT_KEY(AT_INDEX(list, i), "type"),
							"the %s namespace is listed twice",
							name_of(oci_namespace_names, type)));
		seen[type] = true;
	}
	return 0;
}

static int net_devices_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;
	const struct where *list = AT_KEY(at, "netDevices");
	list_each (const struct oci_net_device, device, &linux->net_devices) {
		if (!is_interface_name(device->key))
			return error_config(err, AT_KEY(list, device->key),
					    "\"%s\" is not the name of a network device",
					    device->key);
		/* Without a name of its own the host's name is the pattern for the container's. */
		if (!device->name && !is_interface_pattern(device->key))
			return error_config(err, AT_KEY(list, device->key),
					    "\"%s\" cannot be the name in the container too",
					    device->key);
	}
	return 0;
}

/*
 * A key becomes a path below /proc/sys, and '.' and '/' both separate.  With '.' as separator no
 * component can be "." or "..", and an empty one is what ".." and "//" leave behind.
 */
static bool is_sysctl_key(const char *key)
{
	const char *rest = key;

	if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/")])
		return false;
	for (;;) {
		size_t n = strcspn(rest, "./");

		if (n == 0)
			return false;
		if (rest[n] == '\0')
			return true;
		rest += n + 1;
	}
}

static int sysctl_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;
	const struct where *list = AT_KEY(at, "sysctl");
	for (size_t i = 0; i < linux->sysctl.n; i++) {
		const char *key = linux->sysctl.items[i].key;

		if (!is_sysctl_key(key))
			return error_coded(err, CRL_SYSCTL_KEY,
					   error_config(err, AT_KEY(list, key),
							"\"%s\" is not a sysctl key", key));
	}
	return 0;
}

static int paths_check(const struct strings *paths, const struct where *at, struct error *err)
{
	for (size_t i = 0; i < paths->n; i++)
		if (absolute_check(paths->items[i], AT_INDEX(at, i), err) < 0)
			return -1;
	return 0;
}

static int time_offsets_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;
	const struct where *list = AT_KEY(at, "timeOffsets");
	list_each (const struct oci_time_offset, offset, &linux->time_offsets)
		if (strcmp(offset->key, "boottime") != 0 && strcmp(offset->key, "monotonic") != 0)
			return error_config(err, AT_KEY(list, offset->key),
					    "\"%s\" is not a clock with an offset: boottime or "
					    "monotonic",
					    offset->key);
	return 0;
}

static int uid_mappings_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;

	return oci_id_mappings_check(&linux->uid_mappings, AT_KEY(at, "uidMappings"), err);
}

static int gid_mappings_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;

	return oci_id_mappings_check(&linux->gid_mappings, AT_KEY(at, "gidMappings"), err);
}

static int masked_paths_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;

	return paths_check(&linux->masked_paths, AT_KEY(at, "maskedPaths"), err);
}

static int readonly_paths_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_linux *linux = object;

	return paths_check(&linux->readonly_paths, AT_KEY(at, "readonlyPaths"), err);
}

static const struct field oci_linux_fields[] = {
	F_LIST(struct oci_linux, namespaces, "namespaces", 0, struct oci_namespace,
	       &oci_namespace_schema),
	F_LIST(struct oci_linux, uid_mappings, "uidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
	F_LIST(struct oci_linux, gid_mappings, "gidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
	F_LIST(struct oci_linux, devices, "devices", 0, struct oci_device, &oci_device_schema),
	F_OBJECT_MAP(struct oci_linux, net_devices, "netDevices", 0, struct oci_net_device,
		     &oci_net_device_schema),
	F_STRING(struct oci_linux, cgroups_path, "cgroupsPath", 0),
	F_OBJECT(struct oci_linux, resources, "resources", 0, struct oci_resources,
		 &oci_resources_schema),
	F_OBJECT(struct oci_linux, intel_rdt, "intelRdt", 0, struct oci_intel_rdt,
		 &oci_intel_rdt_schema),
	F_OBJECT(struct oci_linux, memory_policy, "memoryPolicy", 0, struct oci_memory_policy,
		 &oci_memory_policy_schema),
	F_STRING_MAP(struct oci_linux, sysctl, "sysctl", 0),
	F_OBJECT(struct oci_linux, seccomp, "seccomp", 0, struct oci_seccomp, &oci_seccomp_schema),
	F_ENUM(struct oci_linux, rootfs_propagation, "rootfsPropagation", 0, oci_propagation_names),
	F_STRINGS(struct oci_linux, masked_paths, "maskedPaths", 0),
	F_STRINGS(struct oci_linux, readonly_paths, "readonlyPaths", 0),
	F_STRING(struct oci_linux, mount_label, "mountLabel", 0),
	F_OBJECT(struct oci_linux, personality, "personality", 0, struct oci_personality,
		 &oci_personality_schema),
	F_OBJECT_MAP(struct oci_linux, time_offsets, "timeOffsets", 0, struct oci_time_offset,
		     &oci_time_offset_schema),
};

const struct schema oci_linux_schema = SCHEMA(
    struct oci_linux, oci_linux_fields, namespaces_check, uid_mappings_check, gid_mappings_check,
    net_devices_check, sysctl_check, masked_paths_check, readonly_paths_check, time_offsets_check);
