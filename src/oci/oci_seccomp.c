/*
 * `linux.seccomp` as tables: the system call filter as the spec writes it.  Names of system calls
 * stay text here, for only libseccomp knows them.
 */
#include <creel/oci_seccomp.h>

#include <string.h>

#define ARGUMENT_MAX 5 /* a system call has six arguments */

/* SECCOMP_RET_DATA: what fits beside the action in a filter's answer. */
#define ERRNO_MAX UINT16_MAX

const struct name_value oci_seccomp_action_names[] = {
	{ "SCMP_ACT_KILL", OCI_SECCOMP_KILL },
	{ "SCMP_ACT_KILL_PROCESS", OCI_SECCOMP_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", OCI_SECCOMP_KILL_THREAD },
	{ "SCMP_ACT_TRAP", OCI_SECCOMP_TRAP },
	{ "SCMP_ACT_ERRNO", OCI_SECCOMP_ERRNO },
	{ "SCMP_ACT_TRACE", OCI_SECCOMP_TRACE },
	{ "SCMP_ACT_ALLOW", OCI_SECCOMP_ALLOW },
	{ "SCMP_ACT_LOG", OCI_SECCOMP_LOG },
	{ "SCMP_ACT_NOTIFY", OCI_SECCOMP_NOTIFY },
	{ NULL, 0 },
};

const struct name_value oci_seccomp_operator_names[] = {
	{ "SCMP_CMP_NE", OCI_SECCOMP_NE },
	{ "SCMP_CMP_LT", OCI_SECCOMP_LT },
	{ "SCMP_CMP_LE", OCI_SECCOMP_LE },
	{ "SCMP_CMP_EQ", OCI_SECCOMP_EQ },
	{ "SCMP_CMP_GE", OCI_SECCOMP_GE },
	{ "SCMP_CMP_GT", OCI_SECCOMP_GT },
	{ "SCMP_CMP_MASKED_EQ", OCI_SECCOMP_MASKED_EQ },
	{ NULL, 0 },
};

const struct name_value oci_seccomp_flag_names[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", OCI_SECCOMP_FLAG_TSYNC },
	{ "SECCOMP_FILTER_FLAG_LOG", OCI_SECCOMP_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", OCI_SECCOMP_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV },
	{ NULL, 0 },
};

const struct name_value oci_seccomp_architecture_names[] = {
	{ "SCMP_ARCH_X86", 0 },		 { "SCMP_ARCH_X86_64", 1 },
	{ "SCMP_ARCH_X32", 2 },		 { "SCMP_ARCH_ARM", 3 },
	{ "SCMP_ARCH_AARCH64", 4 },	 { "SCMP_ARCH_LOONGARCH64", 5 },
	{ "SCMP_ARCH_M68K", 6 },	 { "SCMP_ARCH_MIPS", 7 },
	{ "SCMP_ARCH_MIPS64", 8 },	 { "SCMP_ARCH_MIPS64N32", 9 },
	{ "SCMP_ARCH_MIPSEL", 10 },	 { "SCMP_ARCH_MIPSEL64", 11 },
	{ "SCMP_ARCH_MIPSEL64N32", 12 }, { "SCMP_ARCH_PPC", 13 },
	{ "SCMP_ARCH_PPC64", 14 },	 { "SCMP_ARCH_PPC64LE", 15 },
	{ "SCMP_ARCH_S390", 16 },	 { "SCMP_ARCH_S390X", 17 },
	{ "SCMP_ARCH_SH", 18 },		 { "SCMP_ARCH_SHEB", 19 },
	{ "SCMP_ARCH_PARISC", 20 },	 { "SCMP_ARCH_PARISC64", 21 },
	{ "SCMP_ARCH_RISCV64", 22 },	 { NULL, 0 },
};

static const struct field oci_seccomp_arg_fields[] = {
	F_UINT(struct oci_seccomp_arg, index, "index", FIELD_REQUIRED, ARGUMENT_MAX),
	F_UINT(struct oci_seccomp_arg, value, "value", FIELD_REQUIRED, UINT64_MAX),
	F_UINT(struct oci_seccomp_arg, value_two, "valueTwo", 0, UINT64_MAX),
	F_ENUM(struct oci_seccomp_arg, op, "op", FIELD_REQUIRED, oci_seccomp_operator_names),
};

static const struct schema oci_seccomp_arg_schema =
    SCHEMA(struct oci_seccomp_arg, oci_seccomp_arg_fields, NULL);

/* config-linux.md "Seccomp": an errno beside an action that has none MUST be an error. */
static int errno_check(const struct optional *action, const struct optional_uint *errno_ret,
		       const struct where *at, struct error *err)
{
	if (errno_ret->set && action->value != OCI_SECCOMP_ERRNO &&
	    action->value != OCI_SECCOMP_TRACE)
		return error_coded(
		    err, CRL_SECCOMP_PROFILE,
		    error_config(err, at,
				 "%s takes no errno, only SCMP_ACT_ERRNO and "
				 "SCMP_ACT_TRACE do",
				 name_of(oci_seccomp_action_names, (int)action->value)));
	return 0;
}

static int rule_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_seccomp_rule *rule = object;

	for (size_t i = 0; i < rule->names.n; i++) {
		const struct where *name = AT_INDEX(AT_KEY(at, "names"), i);

		if (rule->names.items[i][0] == '\0')
			return error_coded(
			    err, CRL_SECCOMP_PROFILE,
			    error_config(err, name, "the name of a system call is empty"));
		/* The listener's descriptor is handed out with write(2), which would wait for
		 * the agent that does not have it yet. */
		if (rule->action.value == OCI_SECCOMP_NOTIFY &&
		    strcmp(rule->names.items[i], "write") == 0)
			return error_coded(
			    err, CRL_SECCOMP_PROFILE,
			    error_config(err, name, "SCMP_ACT_NOTIFY cannot be used for write"));
	}
	return errno_check(&rule->action, &rule->errno_ret, AT_KEY(at, "errnoRet"), err);
}

static const struct field oci_seccomp_rule_fields[] = {
	F_STRINGS(struct oci_seccomp_rule, names, "names", FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_ENUM(struct oci_seccomp_rule, action, "action", FIELD_REQUIRED, oci_seccomp_action_names),
	F_UINT(struct oci_seccomp_rule, errno_ret, "errnoRet", 0, ERRNO_MAX),
	F_LIST(struct oci_seccomp_rule, args, "args", 0, struct oci_seccomp_arg,
	       &oci_seccomp_arg_schema),
};

static const struct schema oci_seccomp_rule_schema =
    SCHEMA(struct oci_seccomp_rule, oci_seccomp_rule_fields, rule_check);

static int architectures_check(const void *object, const struct where *at, struct error *err)
{
	const struct strings *names = &((const struct oci_seccomp *)object)->architectures;
	const struct where *list = AT_KEY(at, "architectures");

	for (size_t i = 0; i < names->n; i++)
		if (value_of(oci_seccomp_architecture_names, names->items[i]) < 0)
			return error_coded(err, CRL_SECCOMP_PROFILE,
					   error_config(err, AT_INDEX(list, i),
							"unknown architecture \"%s\"",
							names->items[i]));
	return 0;
}

static int listener_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_seccomp *seccomp = object;

	if (seccomp->listener_metadata && !seccomp->listener_path)
		return error_coded(err, CRL_SECCOMP_PROFILE,
				   error_config(err, AT_KEY(at, "listenerMetadata"),
						"listenerMetadata needs a listenerPath"));
	if (seccomp->listener_path && seccomp->listener_path[0] != '/')
		return error_coded(err, CRL_SECCOMP_PROFILE,
				   error_config(err, AT_KEY(at, "listenerPath"),
						"\"%s\" is not absolute", seccomp->listener_path));
	return 0;
}

static int default_action_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_seccomp *seccomp = object;

	/* It would catch write(2), see above. */
	if (seccomp->default_action.value == OCI_SECCOMP_NOTIFY)
		return error_coded(err, CRL_SECCOMP_PROFILE,
				   error_config(err, AT_KEY(at, "defaultAction"),
						"SCMP_ACT_NOTIFY cannot be the default action"));
	return errno_check(&seccomp->default_action, &seccomp->default_errno_ret,
			   AT_KEY(at, "defaultErrnoRet"), err);
}

static const struct field oci_seccomp_fields[] = {
	F_ENUM(struct oci_seccomp, default_action, "defaultAction", FIELD_REQUIRED,
	       oci_seccomp_action_names),
	F_UINT(struct oci_seccomp, default_errno_ret, "defaultErrnoRet", 0, ERRNO_MAX),
	F_STRINGS(struct oci_seccomp, architectures, "architectures", 0),
	F_ENUMS(struct oci_seccomp, flags, "flags", 0, oci_seccomp_flag_names),
	F_STRING(struct oci_seccomp, listener_path, "listenerPath", 0),
	F_STRING(struct oci_seccomp, listener_metadata, "listenerMetadata", 0),
	F_LIST(struct oci_seccomp, syscalls, "syscalls", 0, struct oci_seccomp_rule,
	       &oci_seccomp_rule_schema),
};

const struct schema oci_seccomp_schema =
    SCHEMA(struct oci_seccomp, oci_seccomp_fields, default_action_check, architectures_check,
	   listener_check);
