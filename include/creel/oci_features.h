/* The document that `creel features` prints.  Source: runtime-spec features.md, features-linux.md.
 */
#pragma once

#include <creel/schema.h>

struct oci_features_cgroup {
	struct optional v1, v2, systemd, systemd_user, rdma;
};

struct oci_features_seccomp {
	struct optional enabled;
	struct strings actions;
	struct strings operators;
	struct strings archs;
	struct strings known_flags;
	struct strings supported_flags;
};

struct oci_features_enabled {
	struct optional enabled;
};

struct oci_features_intel_rdt {
	struct optional enabled, schemata, monitoring;
};

struct oci_features_memory_policy {
	struct strings modes;
	struct strings flags;
};

struct oci_features_mount_extensions {
	struct oci_features_enabled *idmap;
};

struct oci_features_linux {
	struct strings namespaces;
	struct strings capabilities;
	struct oci_features_cgroup *cgroup;
	struct oci_features_seccomp *seccomp;
	struct oci_features_enabled *apparmor;
	struct oci_features_enabled *selinux;
	struct oci_features_intel_rdt *intel_rdt;
	struct oci_features_memory_policy *memory_policy;
	struct oci_features_mount_extensions *mount_extensions;
	struct oci_features_enabled *net_devices;
};

struct oci_features {
	char *oci_version_min;
	char *oci_version_max;
	struct strings hooks;
	struct strings mount_options;
	struct oci_features_linux *linux;
	struct string_map annotations;
	struct strings potentially_unsafe_config_annotations;
};

extern const struct schema oci_features_schema;
