/*
 * The document that `features` prints, as tables.  An absent member says "unknown", so the program
 * fills every one that it knows about.
 */
#include <creel/oci_features.h>

static const struct field oci_features_cgroup_fields[] = {
	F_OPTIONAL_BOOL(struct oci_features_cgroup, v1, "v1", 0),
	F_OPTIONAL_BOOL(struct oci_features_cgroup, v2, "v2", 0),
	F_OPTIONAL_BOOL(struct oci_features_cgroup, systemd, "systemd", 0),
	F_OPTIONAL_BOOL(struct oci_features_cgroup, systemd_user, "systemdUser", 0),
	F_OPTIONAL_BOOL(struct oci_features_cgroup, rdma, "rdma", 0),
};

static const struct schema oci_features_cgroup_schema =
    SCHEMA(struct oci_features_cgroup, oci_features_cgroup_fields, NULL);

static const struct field oci_features_seccomp_fields[] = {
	F_OPTIONAL_BOOL(struct oci_features_seccomp, enabled, "enabled", 0),
	F_STRINGS(struct oci_features_seccomp, actions, "actions", 0),
	F_STRINGS(struct oci_features_seccomp, operators, "operators", 0),
	F_STRINGS(struct oci_features_seccomp, archs, "archs", 0),
	F_STRINGS(struct oci_features_seccomp, known_flags, "knownFlags", 0),
	F_STRINGS(struct oci_features_seccomp, supported_flags, "supportedFlags", 0),
};

static const struct schema oci_features_seccomp_schema =
    SCHEMA(struct oci_features_seccomp, oci_features_seccomp_fields, NULL);

static const struct field oci_features_enabled_fields[] = {
	F_OPTIONAL_BOOL(struct oci_features_enabled, enabled, "enabled", 0),
};

static const struct schema oci_features_enabled_schema =
    SCHEMA(struct oci_features_enabled, oci_features_enabled_fields, NULL);

static const struct field oci_features_intel_rdt_fields[] = {
	F_OPTIONAL_BOOL(struct oci_features_intel_rdt, enabled, "enabled", 0),
	F_OPTIONAL_BOOL(struct oci_features_intel_rdt, schemata, "schemata", 0),
	F_OPTIONAL_BOOL(struct oci_features_intel_rdt, monitoring, "monitoring", 0),
};

static const struct schema oci_features_intel_rdt_schema =
    SCHEMA(struct oci_features_intel_rdt, oci_features_intel_rdt_fields, NULL);

static const struct field oci_features_memory_policy_fields[] = {
	F_STRINGS(struct oci_features_memory_policy, modes, "modes", 0),
	F_STRINGS(struct oci_features_memory_policy, flags, "flags", 0),
};

static const struct schema oci_features_memory_policy_schema =
    SCHEMA(struct oci_features_memory_policy, oci_features_memory_policy_fields, NULL);

static const struct field oci_features_mount_extensions_fields[] = {
	F_OBJECT(struct oci_features_mount_extensions, idmap, "idmap", 0,
		 struct oci_features_enabled, &oci_features_enabled_schema),
};

static const struct schema oci_features_mount_extensions_schema =
    SCHEMA(struct oci_features_mount_extensions, oci_features_mount_extensions_fields, NULL);

static const struct field oci_features_linux_fields[] = {
	F_STRINGS(struct oci_features_linux, namespaces, "namespaces", 0),
	F_STRINGS(struct oci_features_linux, capabilities, "capabilities", 0),
	F_OBJECT(struct oci_features_linux, cgroup, "cgroup", 0, struct oci_features_cgroup,
		 &oci_features_cgroup_schema),
	F_OBJECT(struct oci_features_linux, seccomp, "seccomp", 0, struct oci_features_seccomp,
		 &oci_features_seccomp_schema),
	F_OBJECT(struct oci_features_linux, apparmor, "apparmor", 0, struct oci_features_enabled,
		 &oci_features_enabled_schema),
	F_OBJECT(struct oci_features_linux, selinux, "selinux", 0, struct oci_features_enabled,
		 &oci_features_enabled_schema),
	F_OBJECT(struct oci_features_linux, intel_rdt, "intelRdt", 0, struct oci_features_intel_rdt,
		 &oci_features_intel_rdt_schema),
	F_OBJECT(struct oci_features_linux, memory_policy, "memoryPolicy", 0,
		 struct oci_features_memory_policy, &oci_features_memory_policy_schema),
	F_OBJECT(struct oci_features_linux, mount_extensions, "mountExtensions", 0,
		 struct oci_features_mount_extensions, &oci_features_mount_extensions_schema),
	F_OBJECT(struct oci_features_linux, net_devices, "netDevices", 0,
		 struct oci_features_enabled, &oci_features_enabled_schema),
};

static const struct schema oci_features_linux_schema =
    SCHEMA(struct oci_features_linux, oci_features_linux_fields, NULL);

static const struct field oci_features_fields[] = {
	F_STRING(struct oci_features, oci_version_min, "ociVersionMin",
		 FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_STRING(struct oci_features, oci_version_max, "ociVersionMax",
		 FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_STRINGS(struct oci_features, hooks, "hooks", 0),
	F_STRINGS(struct oci_features, mount_options, "mountOptions", 0),
	F_OBJECT(struct oci_features, linux, "linux", 0, struct oci_features_linux,
		 &oci_features_linux_schema),
	F_STRING_MAP(struct oci_features, annotations, "annotations", 0),
	F_STRINGS(struct oci_features, potentially_unsafe_config_annotations,
		  "potentiallyUnsafeConfigAnnotations", 0),
};

const struct schema oci_features_schema = SCHEMA(struct oci_features, oci_features_fields, NULL);
