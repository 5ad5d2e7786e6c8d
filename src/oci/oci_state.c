/*
 * The state as tables: what `state` and `list` print, what hooks read on standard input, and what a
 * seccomp agent receives.
 */
#include <creel/oci_state.h>

#define PID_MAX INT32_MAX

const struct name_value oci_status_names[] = {
	{ "creating", OCI_STATUS_CREATING }, { "created", OCI_STATUS_CREATED },
	{ "running", OCI_STATUS_RUNNING },   { "paused", OCI_STATUS_PAUSED },
	{ "stopped", OCI_STATUS_STOPPED },   { NULL, 0 },
};

/* The order is that of runc's output, which people and scripts know. */
static const struct field oci_state_fields[] = {
	F_STRING(struct oci_state, oci_version, "ociVersion", FIELD_REQUIRED),
	F_STRING(struct oci_state, id, "id", FIELD_REQUIRED),
	F_UINT(struct oci_state, pid, "pid", FIELD_KEEP_EMPTY, PID_MAX),
	F_ENUM(struct oci_state, status, "status", FIELD_REQUIRED, oci_status_names),
	F_STRING(struct oci_state, bundle, "bundle", FIELD_REQUIRED),
	F_STRING(struct oci_state, rootfs, "rootfs", 0),
	F_STRING(struct oci_state, created, "created", 0),
	F_STRING_MAP(struct oci_state, annotations, "annotations", 0),
	F_STRING(struct oci_state, owner, "owner", FIELD_KEEP_EMPTY),
};

const struct schema oci_state_schema = SCHEMA(struct oci_state, oci_state_fields, NULL);

/* The spec's members, and `root`, which hooks of peers are used to. */
static const struct field oci_hook_state_fields[] = {
	F_STRING(struct oci_state, oci_version, "ociVersion", FIELD_REQUIRED),
	F_STRING(struct oci_state, id, "id", FIELD_REQUIRED),
	F_ENUM(struct oci_state, status, "status", FIELD_REQUIRED, oci_status_names),
	F_UINT(struct oci_state, pid, "pid", FIELD_KEEP_EMPTY, PID_MAX),
	F_STRING(struct oci_state, bundle, "bundle", FIELD_REQUIRED),
	F_STRING_MAP(struct oci_state, annotations, "annotations", FIELD_KEEP_EMPTY),
	F_STRING(struct oci_state, rootfs, "root", 0),
};

const struct schema oci_hook_state_schema = SCHEMA(struct oci_state, oci_hook_state_fields, NULL);

static const struct field oci_container_process_state_fields[] = {
	F_STRING(struct oci_container_process_state, oci_version, "ociVersion", FIELD_REQUIRED),
	F_STRINGS(struct oci_container_process_state, fds, "fds",
		  FIELD_REQUIRED | FIELD_KEEP_EMPTY),
	F_UINT(struct oci_container_process_state, pid, "pid", FIELD_REQUIRED, PID_MAX),
	F_STRING(struct oci_container_process_state, metadata, "metadata", 0),
	F_OBJECT(struct oci_container_process_state, state, "state", FIELD_REQUIRED,
		 struct oci_state, &oci_hook_state_schema),
};

const struct schema oci_container_process_state_schema =
    SCHEMA(struct oci_container_process_state, oci_container_process_state_fields, NULL);
