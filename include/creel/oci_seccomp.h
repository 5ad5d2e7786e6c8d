/* `linux.seccomp`: the system call filter as the spec writes it.  Source: runtime-spec
 * config-linux.md "Seccomp". */
#pragma once

#include <creel/schema.h>

/* The values of these enums are indices of our own; plan_seccomp.c maps them to libseccomp's. */
enum oci_seccomp_action {
	OCI_SECCOMP_KILL, /* the same as KILL_THREAD */
	OCI_SECCOMP_KILL_PROCESS,
	OCI_SECCOMP_KILL_THREAD,
	OCI_SECCOMP_TRAP,
	OCI_SECCOMP_ERRNO,
	OCI_SECCOMP_TRACE,
	OCI_SECCOMP_ALLOW,
	OCI_SECCOMP_LOG,
	OCI_SECCOMP_NOTIFY,
};

enum oci_seccomp_operator {
	OCI_SECCOMP_NE,
	OCI_SECCOMP_LT,
	OCI_SECCOMP_LE,
	OCI_SECCOMP_EQ,
	OCI_SECCOMP_GE,
	OCI_SECCOMP_GT,
	OCI_SECCOMP_MASKED_EQ, /* value is the mask, value_two the datum */
};

enum oci_seccomp_flag {
	OCI_SECCOMP_FLAG_TSYNC,
	OCI_SECCOMP_FLAG_LOG,
	OCI_SECCOMP_FLAG_SPEC_ALLOW,
	OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV,
};

struct oci_seccomp_arg {
	struct optional_uint index; /* 0 to 5 */
	struct optional_uint value;
	struct optional_uint value_two;
	struct optional op; /* enum oci_seccomp_operator */
};

struct oci_seccomp_rule {
	struct strings names; /* at least one */
	struct optional action;
	struct optional_uint errno_ret;
	LIST_OF(struct oci_seccomp_arg) args;
};

struct oci_seccomp {
	struct optional default_action; /* required */
	struct optional_uint default_errno_ret;
	struct strings
	    architectures; /* "SCMP_ARCH_X86_64"; checked against oci_seccomp_architectures */
	struct ints
	    flags; /* items == NULL: absent, which means SPEC_ALLOW; an empty list means none */
	char *listener_path;
	char *listener_metadata;
	LIST_OF(struct oci_seccomp_rule) syscalls;
};

extern const struct schema oci_seccomp_schema;

extern const struct name_value oci_seccomp_action_names[];
extern const struct name_value oci_seccomp_operator_names[];
extern const struct name_value oci_seccomp_flag_names[];
/* All 23 names; the values are the AUDIT-independent indices of our own. */
extern const struct name_value oci_seccomp_architecture_names[];
