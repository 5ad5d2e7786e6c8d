/*
 * The state that `creel state` prints and that hooks read on standard input; and one row of `creel
 * list`. Source: runtime-spec runtime.md "State"; the members after `annotations` are those that
 * engines read (SPEC 2.3).
 */
#pragma once

#include <creel/schema.h>

enum oci_status {
	OCI_STATUS_CREATING,
	OCI_STATUS_CREATED,
	OCI_STATUS_RUNNING,
	OCI_STATUS_PAUSED, /* an extra state, as in runc and crun */
	OCI_STATUS_STOPPED,
};

struct oci_state {
	char *oci_version;
	char *id;
	struct optional_uint pid; /* 0 when stopped */
	struct optional status;	  /* enum oci_status */
	char *bundle;		  /* absolute */
	char *rootfs;		  /* absolute */
	char *created;		  /* RFC 3339 with nanoseconds, UTC */
	struct string_map annotations;
	char *owner; /* user name or "#uid"; filled by `list` only, "" in `state` */
};

extern const struct schema oci_state_schema;	  /* `state`, `list --format json` */
extern const struct schema oci_hook_state_schema; /* hooks: the spec's members, and root */
extern const struct name_value oci_status_names[];

/* What a seccomp agent receives with the listener's descriptor (config-linux.md, "Container Process
 * State"). */
struct oci_container_process_state {
	char *oci_version;
	struct strings fds;
	struct optional_uint pid;
	char *metadata;
	struct oci_state *state;
};

extern const struct schema oci_container_process_state_schema;
