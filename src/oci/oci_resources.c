/*
 * `linux.resources` as tables: the cgroup limits in the spec's words.  The same tables read the
 * body of `update`.
 */
#include <creel/oci_resources.h>

#include <string.h>

/* What a dev_t of the kernel holds: 12 and 20 bits. */
#define MAJOR_MAX ((1 << 12) - 1)
#define MINOR_MAX ((1 << 20) - 1)

#define WEIGHT_MIN 10 /* of blockIO, as cgroup v1 had it; 0 is unset */
#define WEIGHT_MAX 1000

static int device_rule_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_device_rule *rule = object;

	/* Go's reader takes an empty type for an absent one. */
	if (rule->type && rule->type[0] != '\0' &&
	    (strlen(rule->type) != 1 || !strchr("abc", rule->type[0])))
		return error_coded(err, CRL_DEVICE,
				   error_config(err, AT_KEY(at, "type"),
						"\"%s\" is not a type of device rule: a, b or c",
						rule->type));
	if (!rule->access)
		return 0;
	if (rule->access[0] == '\0')
		return error_coded(
		    err, CRL_DEVICE,
		    error_config(err, AT_KEY(at, "access"), "device access cannot be empty"));
	if (rule->access[strspn(rule->access, "rwm")] != '\0')
		return error_coded(err, CRL_DEVICE,
				   error_config(err, AT_KEY(at, "access"),
						"\"%s\" is not made of r, w and m", rule->access));
	return 0;
}

static const struct field oci_device_rule_fields[] = {
	F_OPTIONAL_BOOL(struct oci_device_rule, allow, "allow", FIELD_REQUIRED),
	F_STRING(struct oci_device_rule, type, "type", 0),
	F_INT(struct oci_device_rule, major, "major", 0, -1, UINT32_MAX),
	F_INT(struct oci_device_rule, minor, "minor", 0, -1, UINT32_MAX),
	F_STRING(struct oci_device_rule, access, "access", 0),
};

static const struct schema oci_device_rule_schema =
    SCHEMA(struct oci_device_rule, oci_device_rule_fields, device_rule_check);

static const struct field oci_memory_fields[] = {
	F_INT(struct oci_memory, limit, "limit", 0, -1, INT64_MAX),
	F_INT(struct oci_memory, reservation, "reservation", 0, -1, INT64_MAX),
	F_INT(struct oci_memory, swap, "swap", 0, -1, INT64_MAX),
	F_INT(struct oci_memory, kernel, "kernel", 0, -1, INT64_MAX),
	F_INT(struct oci_memory, kernel_tcp, "kernelTCP", 0, -1, INT64_MAX),
	F_UINT(struct oci_memory, swappiness, "swappiness", 0, 100),
	F_OPTIONAL_BOOL(struct oci_memory, disable_oom_killer, "disableOOMKiller", 0),
	F_OPTIONAL_BOOL(struct oci_memory, use_hierarchy, "useHierarchy", 0),
	F_OPTIONAL_BOOL(struct oci_memory, check_before_update, "checkBeforeUpdate", 0),
};

static const struct schema oci_memory_schema = SCHEMA(struct oci_memory, oci_memory_fields, NULL);

/* config-linux.md "CPU": a burst is at most the quota, where there is a quota. */
static int cpu_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_cpu *cpu = object;

	if (cpu->burst.set && cpu->quota.set && cpu->quota.value > 0 &&
	    cpu->burst.value > (uint64_t)cpu->quota.value)
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, AT_KEY(at, "burst"),
				 "the burst of %llu us is above the quota of %lld us",
				 (unsigned long long)cpu->burst.value,
				 (long long)cpu->quota.value));
	return 0;
}

static const struct field oci_cpu_fields[] = {
	F_UINT(struct oci_cpu, shares, "shares", 0, UINT64_MAX),
	F_INT(struct oci_cpu, quota, "quota", 0, INT64_MIN, INT64_MAX),
	F_UINT(struct oci_cpu, burst, "burst", 0, UINT64_MAX),
	F_UINT(struct oci_cpu, period, "period", 0, UINT64_MAX),
	F_INT(struct oci_cpu, realtime_runtime, "realtimeRuntime", 0, INT64_MIN, INT64_MAX),
	F_UINT(struct oci_cpu, realtime_period, "realtimePeriod", 0, UINT64_MAX),
	F_STRING(struct oci_cpu, cpus, "cpus", 0),
	F_STRING(struct oci_cpu, mems, "mems", 0),
	F_INT(struct oci_cpu, idle, "idle", 0, 0, 1),
};

static const struct schema oci_cpu_schema = SCHEMA(struct oci_cpu, oci_cpu_fields, cpu_check);

static const struct field oci_pids_fields[] = {
	F_INT(struct oci_pids, limit, "limit", 0, -1, INT64_MAX),
};

static const struct schema oci_pids_schema = SCHEMA(struct oci_pids, oci_pids_fields, NULL);

static int weight_check(const struct optional_uint *weight, const struct where *at,
			struct error *err)
{
	if (weight->set && weight->value != 0 && weight->value < WEIGHT_MIN)
		return error_coded(err, CRL_CGROUP_VALUE,
				   error_config(err, at, "a weight is from %d to %d, or 0 for none",
						WEIGHT_MIN, WEIGHT_MAX));
	return 0;
}

static int weight_device_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_weight_device *device = object;

	if (!device->weight.set && !device->leaf_weight.set)
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, at, "a device needs a weight or a leafWeight"));
	if (weight_check(&device->weight, AT_KEY(at, "weight"), err) < 0)
		return -1;
	return weight_check(&device->leaf_weight, AT_KEY(at, "leafWeight"), err);
}

static const struct field oci_weight_device_fields[] = {
	F_INT(struct oci_weight_device, major, "major", FIELD_REQUIRED, 0, MAJOR_MAX),
	F_INT(struct oci_weight_device, minor, "minor", FIELD_REQUIRED, 0, MINOR_MAX),
	F_UINT(struct oci_weight_device, weight, "weight", 0, WEIGHT_MAX),
	F_UINT(struct oci_weight_device, leaf_weight, "leafWeight", 0, WEIGHT_MAX),
};

static const struct schema oci_weight_device_schema =
    SCHEMA(struct oci_weight_device, oci_weight_device_fields, weight_device_check);

static const struct field oci_throttle_device_fields[] = {
	F_INT(struct oci_throttle_device, major, "major", FIELD_REQUIRED, 0, MAJOR_MAX),
	F_INT(struct oci_throttle_device, minor, "minor", FIELD_REQUIRED, 0, MINOR_MAX),
	F_UINT(struct oci_throttle_device, rate, "rate", FIELD_REQUIRED, UINT64_MAX),
};

static const struct schema oci_throttle_device_schema =
    SCHEMA(struct oci_throttle_device, oci_throttle_device_fields, NULL);

static int block_io_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_block_io *io = object;

	if (weight_check(&io->weight, AT_KEY(at, "weight"), err) < 0)
		return -1;
	return weight_check(&io->leaf_weight, AT_KEY(at, "leafWeight"), err);
}

static const struct field oci_block_io_fields[] = {
	F_UINT(struct oci_block_io, weight, "weight", 0, WEIGHT_MAX),
	F_UINT(struct oci_block_io, leaf_weight, "leafWeight", 0, WEIGHT_MAX),
	F_LIST(struct oci_block_io, weight_device, "weightDevice", 0, struct oci_weight_device,
	       &oci_weight_device_schema),
	F_LIST(struct oci_block_io, throttle_read_bps, "throttleReadBpsDevice", 0,
	       struct oci_throttle_device, &oci_throttle_device_schema),
	F_LIST(struct oci_block_io, throttle_write_bps, "throttleWriteBpsDevice", 0,
	       struct oci_throttle_device, &oci_throttle_device_schema),
	F_LIST(struct oci_block_io, throttle_read_iops, "throttleReadIOPSDevice", 0,
	       struct oci_throttle_device, &oci_throttle_device_schema),
	F_LIST(struct oci_block_io, throttle_write_iops, "throttleWriteIOPSDevice", 0,
	       struct oci_throttle_device, &oci_throttle_device_schema),
};

static const struct schema oci_block_io_schema =
    SCHEMA(struct oci_block_io, oci_block_io_fields, block_io_check);

/* config-linux.md: ^[1-9][0-9]*[KMG]B$, the way cgroup v1 and v2 both name their files. */
static bool is_page_size(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n > 0 && text[0] != '0' && text[n] != '\0' && strchr("KMG", text[n]) &&
	       strcmp(text + n + 1, "B") == 0;
}

static int hugepage_limit_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_hugepage_limit *limit = object;

	if (!is_page_size(limit->page_size))
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, AT_KEY(at, "pageSize"),
				 "\"%s\" is not the size of a page such as 2MB or 1GB",
				 limit->page_size));
	return 0;
}

static const struct field oci_hugepage_limit_fields[] = {
	F_STRING(struct oci_hugepage_limit, page_size, "pageSize", FIELD_REQUIRED),
	F_UINT(struct oci_hugepage_limit, limit, "limit", FIELD_REQUIRED, UINT64_MAX),
};

static const struct schema oci_hugepage_limit_schema =
    SCHEMA(struct oci_hugepage_limit, oci_hugepage_limit_fields, hugepage_limit_check);

static const struct field oci_interface_priority_fields[] = {
	F_STRING(struct oci_interface_priority, name, "name", FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_UINT(struct oci_interface_priority, priority, "priority", FIELD_REQUIRED, UINT32_MAX),
};

static const struct schema oci_interface_priority_schema =
    SCHEMA(struct oci_interface_priority, oci_interface_priority_fields, NULL);

static const struct field oci_network_resources_fields[] = {
	F_UINT(struct oci_network_resources, class_id, "classID", 0, UINT32_MAX),
	F_LIST(struct oci_network_resources, priorities, "priorities", 0,
	       struct oci_interface_priority, &oci_interface_priority_schema),
};

static const struct schema oci_network_resources_schema =
    SCHEMA(struct oci_network_resources, oci_network_resources_fields, NULL);

/* config-linux.md "RDMA": at least one of the two MUST be there. */
static int rdma_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_rdma *rdma = object;

	if (!rdma->hca_handles.set && !rdma->hca_objects.set)
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, at, "a device needs hcaHandles or hcaObjects"));
	return 0;
}

static const struct field oci_rdma_fields[] = {
	F_UINT(struct oci_rdma, hca_handles, "hcaHandles", 0, UINT32_MAX),
	F_UINT(struct oci_rdma, hca_objects, "hcaObjects", 0, UINT32_MAX),
};

static const struct schema oci_rdma_schema = SCHEMA(struct oci_rdma, oci_rdma_fields, rdma_check);

/* The name is a word of the line that goes into rdma.max, so it must stay one word. */
static int rdma_names_check(const struct oci_resources *resources, const struct where *at,
			    struct error *err)
{
	list_each (const struct oci_rdma, rdma, &resources->rdma)
		if (rdma->key[0] == '\0' || strpbrk(rdma->key, " \t\r\n"))
			return error_coded(err, CRL_CGROUP_VALUE,
					   error_config(err, AT_KEY(at, rdma->key),
							"\"%s\" is not the name of an RDMA device",
							rdma->key));
	return 0;
}

/* The key is a file of the cgroup directory; cgroup.* would move, freeze or kill processes. */
static int unified_key_check(const char *key, const struct where *at, struct error *err)
{
	if (strchr(key, '/'))
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, at,
				 "unified resource \"%s\" must be a file name (no slashes)", key));
	if (key[0] == '.' || !strchr(key, '.'))
		return error_coded(err, CRL_CGROUP_VALUE,
				   error_config(err, at,
						"unified resource \"%s\" must be in the form "
						"CONTROLLER.PARAMETER",
						key));
	if (strncmp(key, "cgroup.", 7) == 0)
		return error_coded(
		    err, CRL_CGROUP_VALUE,
		    error_config(err, at,
				 "unified resource \"%s\" is no limit: cgroup.* files belong to "
				 "the runtime",
				 key));
	return 0;
}

static int resources_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_resources *resources = object;
	const struct where *unified = AT_KEY(at, "unified");

	if (rdma_names_check(resources, AT_KEY(at, "rdma"), err) < 0)
		return -1;
	for (size_t i = 0; i < resources->unified.n; i++) {
		const char *key = resources->unified.items[i].key;

		if (unified_key_check(key, AT_KEY(unified, key), err) < 0)
			return -1;
	}
	return 0;
}

static const struct field oci_resources_fields[] = {
	F_LIST(struct oci_resources, devices, "devices", 0, struct oci_device_rule,
	       &oci_device_rule_schema),
	F_OBJECT(struct oci_resources, memory, "memory", 0, struct oci_memory, &oci_memory_schema),
	F_OBJECT(struct oci_resources, cpu, "cpu", 0, struct oci_cpu, &oci_cpu_schema),
	F_OBJECT(struct oci_resources, pids, "pids", 0, struct oci_pids, &oci_pids_schema),
	F_OBJECT(struct oci_resources, block_io, "blockIO", 0, struct oci_block_io,
		 &oci_block_io_schema),
	F_LIST(struct oci_resources, hugepage_limits, "hugepageLimits", 0,
	       struct oci_hugepage_limit, &oci_hugepage_limit_schema),
	F_OBJECT(struct oci_resources, network, "network", 0, struct oci_network_resources,
		 &oci_network_resources_schema),
	F_OBJECT_MAP(struct oci_resources, rdma, "rdma", 0, struct oci_rdma, &oci_rdma_schema),
	F_STRING_MAP(struct oci_resources, unified, "unified", 0),
};

const struct schema oci_resources_schema =
    SCHEMA(struct oci_resources, oci_resources_fields, resources_check);
