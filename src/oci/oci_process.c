/*
 * `process` as tables: user, arguments, environment, capabilities, rlimits, scheduling and labels.
 * Process files of `exec --process` are read by the same tables.
 */
#include <creel/oci_process.h>

#include <linux/sched.h>
#include <string.h>
#include <sys/resource.h>

/* Reserved by the kernel and never implemented, so <linux/sched.h> of Debian 12 leaves it out. */
#define SCHED_ISO 4

/* The all-ones id means "leave it" to setresuid(2) and chown(2): as an id it would run as root. */
#define ID_MAX (UINT32_MAX - 1)

#define PRIORITY_MIN 1 /* of SCHED_FIFO and SCHED_RR, as in sched(7) */
#define PRIORITY_MAX 99

const struct name_value oci_rlimit_names[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
	{ NULL, 0 },
};

const struct name_value oci_scheduler_policy_names[] = {
	{ "SCHED_OTHER", SCHED_NORMAL },
	{ "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", SCHED_ISO },
	{ "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
	{ NULL, 0 },
};

const struct name_value oci_scheduler_flag_names[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
	{ NULL, 0 },
};

/* The numbers of <linux/ioprio.h>. */
const struct name_value oci_io_priority_class_names[] = {
	{ "IOPRIO_CLASS_RT", 1 },
	{ "IOPRIO_CLASS_BE", 2 },
	{ "IOPRIO_CLASS_IDLE", 3 },
	{ NULL, 0 },
};

static const struct field oci_console_size_fields[] = {
	F_UINT(struct oci_console_size, height, "height", FIELD_REQUIRED, UINT16_MAX),
	F_UINT(struct oci_console_size, width, "width", FIELD_REQUIRED, UINT16_MAX),
};

static const struct schema oci_console_size_schema =
    SCHEMA(struct oci_console_size, oci_console_size_fields, NULL);

static const struct field oci_user_fields[] = {
	F_UINT(struct oci_user, uid, "uid", FIELD_REQUIRED, ID_MAX),
	F_UINT(struct oci_user, gid, "gid", FIELD_REQUIRED, ID_MAX),
	F_UINT(struct oci_user, umask, "umask", 0, 0777),
	F_UINTS(struct oci_user, additional_gids, "additionalGids", 0, ID_MAX),
	F_STRING(struct oci_user, username, "username", 0),
};

static const struct schema oci_user_schema = SCHEMA(struct oci_user, oci_user_fields, NULL);

static const struct field oci_capabilities_fields[] = {
	F_STRINGS(struct oci_capabilities, bounding, "bounding", 0),
	F_STRINGS(struct oci_capabilities, effective, "effective", 0),
	F_STRINGS(struct oci_capabilities, inheritable, "inheritable", 0),
	F_STRINGS(struct oci_capabilities, permitted, "permitted", 0),
	F_STRINGS(struct oci_capabilities, ambient, "ambient", 0),
};

static const struct schema oci_capabilities_schema =
    SCHEMA(struct oci_capabilities, oci_capabilities_fields, NULL);

static int rlimit_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_rlimit *rlimit = object;

	if (rlimit->soft.value > rlimit->hard.value)
		return error_coded(err, CRL_RLIMIT,
				   error_config(err, AT_KEY(at, "soft"),
						"the soft limit %llu is above the hard limit %llu",
						(unsigned long long)rlimit->soft.value,
						(unsigned long long)rlimit->hard.value));
	return 0;
}

static const struct field oci_rlimit_fields[] = {
	F_ENUM(struct oci_rlimit, type, "type", FIELD_REQUIRED, oci_rlimit_names),
	F_UINT(struct oci_rlimit, soft, "soft", FIELD_REQUIRED, UINT64_MAX),
	F_UINT(struct oci_rlimit, hard, "hard", FIELD_REQUIRED, UINT64_MAX),
};

static const struct schema oci_rlimit_schema =
    SCHEMA(struct oci_rlimit, oci_rlimit_fields, rlimit_check);

static bool is_given(const struct optional_uint *number)
{
	return number->set && number->value != 0;
}

/* sched_setattr(2): of each order that the kernel wants, the member that breaks it is named. */
static int deadline_check(const struct oci_scheduler *scheduler, const struct where *at,
			  struct error *err)
{
	if (!is_given(&scheduler->runtime) || !is_given(&scheduler->deadline))
		return error_config(err, AT_KEY(at, "policy"),
				    "SCHED_DEADLINE needs a runtime and a deadline");
	if (scheduler->runtime.value > scheduler->deadline.value)
		return error_config(err, AT_KEY(at, "runtime"),
				    "the runtime is longer than the deadline");
	if (is_given(&scheduler->period) && scheduler->deadline.value > scheduler->period.value)
		return error_config(err, AT_KEY(at, "deadline"),
				    "the deadline is longer than the period");
	return 0;
}

static int no_deadline_check(const struct oci_scheduler *scheduler, const struct where *at,
			     struct error *err)
{
	const struct {
		const char *key;
		const struct optional_uint *number;
	} numbers[] = {
		{ "runtime", &scheduler->runtime },
		{ "deadline", &scheduler->deadline },
		{ "period", &scheduler->period },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (is_given(numbers[i].number))
			return error_config(err, AT_KEY(at, numbers[i].key),
					    "only SCHED_DEADLINE takes a %s", numbers[i].key);
	return 0;
}

/* Zero is what generators write for "not given", so it is never out of place. */
static int scheduler_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_scheduler *scheduler = object;
	bool real_time =
	    scheduler->policy.value == SCHED_FIFO || scheduler->policy.value == SCHED_RR;

	if (real_time && scheduler->priority.value < PRIORITY_MIN)
		return error_config(
		    err, AT_KEY(at, "priority"), "%s needs a priority from %d to %d",
		    name_of(oci_scheduler_policy_names, (int)scheduler->policy.value), PRIORITY_MIN,
		    PRIORITY_MAX);
	if (!real_time && scheduler->priority.value != 0)
		return error_config(err, AT_KEY(at, "priority"),
				    "only SCHED_FIFO and SCHED_RR take a priority");
	if (scheduler->policy.value == SCHED_DEADLINE)
		return deadline_check(scheduler, at, err);
	return no_deadline_check(scheduler, at, err);
}

static const struct field oci_scheduler_fields[] = {
	F_ENUM(struct oci_scheduler, policy, "policy", FIELD_REQUIRED, oci_scheduler_policy_names),
	F_INT(struct oci_scheduler, nice, "nice", 0, -20, 19),
	F_INT(struct oci_scheduler, priority, "priority", 0, 0, PRIORITY_MAX),
	F_ENUMS(struct oci_scheduler, flags, "flags", 0, oci_scheduler_flag_names),
	F_UINT(struct oci_scheduler, runtime, "runtime", 0, UINT64_MAX),
	F_UINT(struct oci_scheduler, deadline, "deadline", 0, UINT64_MAX),
	F_UINT(struct oci_scheduler, period, "period", 0, UINT64_MAX),
};

static const struct schema oci_scheduler_schema =
    SCHEMA(struct oci_scheduler, oci_scheduler_fields, scheduler_check);

static const struct field oci_io_priority_fields[] = {
	F_ENUM(struct oci_io_priority, class, "class", FIELD_REQUIRED, oci_io_priority_class_names),
	F_INT(struct oci_io_priority, priority, "priority", 0, 0, 7),
};

static const struct schema oci_io_priority_schema =
    SCHEMA(struct oci_io_priority, oci_io_priority_fields, NULL);

/* config.md "execCPUAffinity": digits, commas, hyphens and blanks; the plan reads the numbers. */
static int cpu_list_check(const char *list, const struct where *at, struct error *err)
{
	if (list && list[strspn(list, "0123456789,- ")] != '\0')
		return error_config(err, at, "\"%s\" is not a list of CPUs such as 0-3,7", list);
	return 0;
}

static int exec_cpu_affinity_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_exec_cpu_affinity *affinity = object;

	if (cpu_list_check(affinity->initial, AT_KEY(at, "initial"), err) < 0)
		return -1;
	return cpu_list_check(affinity->final, AT_KEY(at, "final"), err);
}

static const struct field oci_exec_cpu_affinity_fields[] = {
	F_STRING(struct oci_exec_cpu_affinity, initial, "initial", 0),
	F_STRING(struct oci_exec_cpu_affinity, final, "final", 0),
};

static const struct schema oci_exec_cpu_affinity_schema =
    SCHEMA(struct oci_exec_cpu_affinity, oci_exec_cpu_affinity_fields, exec_cpu_affinity_check);

static int cwd_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_process *process = object;

	if (process->cwd[0] == '\0')
		return error_coded(
		    err, CRL_MISSING_MEMBER,
		    error_config(err, AT_KEY(at, "cwd"), "the process cwd must not be empty"));
	if (process->cwd[0] != '/')
		return error_coded(
		    err, CRL_NOT_ABSOLUTE,
		    error_config(err, AT_KEY(at, "cwd"),
				 "the process cwd must be an absolute path, \"%s\" is not",
				 process->cwd));
	return 0;
}

static int args_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_process *process = object;

	if (process->args.n == 0)
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config(err, AT_KEY(at, "args"), "args must not be empty"));
	return 0;
}

static int env_check(const void *object, const struct where *at, struct error *err)
{
	const struct strings *env = &((const struct oci_process *)object)->env;

	for (size_t i = 0; i < env->n; i++) {
		if (!strchr(env->items[i], '='))
			return error_coded(
			    err, CRL_ENVIRONMENT,
			    error_config(err, AT_INDEX(AT_KEY(at, "env"), i),
					 "invalid environment variable: missing '='"));
		if (env->items[i][0] == '=')
			return error_coded(
			    err, CRL_ENVIRONMENT,
			    error_config(err, AT_INDEX(AT_KEY(at, "env"), i),
					 "invalid environment variable: name cannot be empty"));
	}
	return 0;
}

/* config.md "rlimits": a type that is listed twice MUST be an error. */
static int rlimits_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_process *process = object;
	const struct where *list = AT_KEY(at, "rlimits");
	bool seen[RLIMIT_NLIMITS] = { false };

	for (size_t i = 0; i < process->rlimits.n; i++) {
		int type = (int)process->rlimits.items[i].type.value;

		if (seen[type])
			return error_coded(err, CRL_RLIMIT,
					   error_config(err, AT_KEY(AT_INDEX(list, i), "type"),
							"%s is limited twice",
							name_of(oci_rlimit_names, type)));
		seen[type] = true;
	}
	return 0;
}

static const struct field oci_process_fields[] = {
	F_BOOL(struct oci_process, terminal, "terminal", 0),
	F_OBJECT(struct oci_process, console_size, "consoleSize", 0, struct oci_console_size,
		 &oci_console_size_schema),
	F_STRING(struct oci_process, cwd, "cwd", FIELD_REQUIRED),
	F_STRINGS(struct oci_process, env, "env", 0),
	F_STRINGS(struct oci_process, args, "args", 0),
	F_STRING(struct oci_process, command_line, "commandLine", 0),
	F_OBJECT(struct oci_process, user, "user", FIELD_REQUIRED, struct oci_user,
		 &oci_user_schema),
	F_OBJECT(struct oci_process, capabilities, "capabilities", 0, struct oci_capabilities,
		 &oci_capabilities_schema),
	F_LIST(struct oci_process, rlimits, "rlimits", 0, struct oci_rlimit, &oci_rlimit_schema),
	F_BOOL(struct oci_process, no_new_privileges, "noNewPrivileges", 0),
	F_INT(struct oci_process, oom_score_adj, "oomScoreAdj", 0, -1000, 1000),
	F_STRING(struct oci_process, apparmor_profile, "apparmorProfile", 0),
	F_STRING(struct oci_process, selinux_label, "selinuxLabel", 0),
	F_OBJECT(struct oci_process, scheduler, "scheduler", 0, struct oci_scheduler,
		 &oci_scheduler_schema),
	F_OBJECT(struct oci_process, io_priority, "ioPriority", 0, struct oci_io_priority,
		 &oci_io_priority_schema),
	F_OBJECT(struct oci_process, exec_cpu_affinity, "execCPUAffinity", 0,
		 struct oci_exec_cpu_affinity, &oci_exec_cpu_affinity_schema),
};

const struct schema oci_process_schema =
    SCHEMA(struct oci_process, oci_process_fields, cwd_check, args_check, env_check, rlimits_check);
