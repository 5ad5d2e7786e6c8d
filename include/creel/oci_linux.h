/* `linux` of config.json.  Source: runtime-spec config-linux.md. */
#pragma once

#include <creel/oci_resources.h>
#include <creel/oci_seccomp.h>
#include <creel/schema.h>

enum oci_namespace_type {
	OCI_NAMESPACE_PID,
	OCI_NAMESPACE_NETWORK,
	OCI_NAMESPACE_MOUNT,
	OCI_NAMESPACE_IPC,
	OCI_NAMESPACE_UTS,
	OCI_NAMESPACE_USER,
	OCI_NAMESPACE_CGROUP,
	OCI_NAMESPACE_TIME,
	OCI_NAMESPACE_COUNT,
};

struct oci_namespace {
	struct optional type; /* enum oci_namespace_type; required */
	char *path;	      /* NULL: a new one; else absolute: join this one */
};

struct oci_id_mapping {
	struct optional_uint container_id;
	struct optional_uint host_id;
	struct optional_uint size;
};

struct oci_id_mappings {
	struct oci_id_mapping *items;
	size_t n;
};

struct oci_device {
	char *type;	       /* "c", "b", "u" (the same as c) or "p" */
	char *path;	       /* in the container */
	struct optional major; /* required unless p */
	struct optional minor;
	struct optional_uint file_mode; /* default 0666 */
	struct optional_uint uid;	/* in the container, default 0 */
	struct optional_uint gid;
};

struct oci_net_device {
	char *key;  /* name on the host */
	char *name; /* name in the container, NULL: the same */
};

struct oci_intel_rdt {
	char *clos_id;
	struct strings schemata;
	char *l3_cache_schema;
	char *mem_bw_schema;
	bool enable_monitoring;
};

struct oci_memory_policy {
	struct optional mode; /* MPOL_* of <linux/mempolicy.h>; required */
	char *nodes;	      /* node list */
	struct ints flags;    /* MPOL_F_* */
};

struct oci_personality {
	struct optional domain; /* 0 (LINUX) or PER_LINUX32 */
	struct strings flags;	/* the spec knows none */
};

struct oci_time_offset {
	char *key; /* "boottime" or "monotonic" */
	struct optional secs;
	struct optional_uint nanosecs;
};

enum oci_propagation {
	OCI_PROPAGATION_PRIVATE,
	OCI_PROPAGATION_RPRIVATE,
	OCI_PROPAGATION_SHARED,
	OCI_PROPAGATION_RSHARED,
	OCI_PROPAGATION_SLAVE,
	OCI_PROPAGATION_RSLAVE,
	OCI_PROPAGATION_UNBINDABLE,
	OCI_PROPAGATION_RUNBINDABLE,
};

struct oci_linux {
	LIST_OF(struct oci_namespace) namespaces;
	struct oci_id_mappings uid_mappings;
	struct oci_id_mappings gid_mappings;
	LIST_OF(struct oci_device) devices;
	LIST_OF(struct oci_net_device) net_devices;
	char *cgroups_path;
	struct oci_resources *resources;
	struct oci_intel_rdt *intel_rdt;
	struct oci_memory_policy *memory_policy;
	struct string_map sysctl;
	struct oci_seccomp *seccomp;
	struct optional rootfs_propagation; /* enum oci_propagation */
	struct strings masked_paths;
	struct strings readonly_paths;
	char *mount_label;
	struct oci_personality *personality;
	LIST_OF(struct oci_time_offset) time_offsets;
};

extern const struct schema oci_linux_schema;
extern const struct schema oci_id_mapping_schema;
extern const struct schema oci_memory_policy_schema;
extern const struct schema oci_personality_schema;

/*
 * The rules of one whole map, as the kernel has them: at most 340 lines, none empty, none past the
 * last id, none overlapping another on either side.  AT is the list's place.  Source:
 * user_namespaces(7).
 */
int oci_id_mappings_check(const struct oci_id_mappings *mappings, const struct where *at,
			  struct error *err) must_check;

extern const struct name_value oci_namespace_names[];
extern const struct name_value oci_propagation_names[];
extern const struct name_value oci_memory_policy_mode_names[];
extern const struct name_value oci_memory_policy_flag_names[];
extern const struct name_value oci_personality_names[];
