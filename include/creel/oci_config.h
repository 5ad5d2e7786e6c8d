/* config.json: the top level, root, mounts, hooks, annotations.  Source: runtime-spec config.md. */
#pragma once

#include <creel/oci_linux.h>
#include <creel/oci_process.h>
#include <creel/schema.h>

/* The spec version that creel writes, and the range that it accepts. */
#define OCI_VERSION	"1.3.0"
#define OCI_VERSION_MIN "1.0.0"

struct oci_root {
	char *path; /* absolute, or relative to the bundle */
	bool readonly;
};

struct oci_mount {
	char *destination; /* in the container; a relative one is taken from "/" (deprecated) */
	char *type;
	char *source;
	struct strings options;
	struct oci_id_mappings uid_mappings;
	struct oci_id_mappings gid_mappings;
};

struct oci_hook {
	char *path;		 /* absolute */
	struct strings args;	 /* argv with argv[0]; empty means just PATH */
	struct strings env;	 /* the whole environment, nothing is inherited */
	struct optional timeout; /* seconds, from 1; unset means no limit */
};

struct oci_hook_list {
	struct oci_hook *items;
	size_t n;
};

enum oci_hook_kind {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_COUNT,
};

/* One list a kind, so that code can name a kind by its number. */
struct oci_hooks {
	struct oci_hook_list lists[OCI_HOOK_COUNT];
};

struct oci_config {
	char *oci_version; /* required */
	struct oci_root *root;
	struct oci_process *process;
	char *hostname;
	char *domainname;
	LIST_OF(struct oci_mount) mounts;
	struct oci_hooks *hooks;
	struct string_map annotations;
	struct oci_linux *linux;
	/* Other platforms' sections are known, so that they are not reported as unknown, and
	 * ignored. */
	const struct json *vm, *windows, *solaris, *zos, *freebsd;
};

extern const struct schema oci_config_schema;
extern const struct schema oci_hooks_schema;
extern const struct schema oci_mount_schema;

/* "prestart", "createRuntime" ...: the member's name of each kind. */
extern const struct name_value oci_hook_names[];
