/*
 * What the container's program is given: arguments, environment, ids, capabilities, limits and
 * scheduling, in the kernel's words.  `exec` plans its process with the same code.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_UMASK 0022

/* By number, as capabilities(7) lists them. */
static const char *const capability_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

/* What the functions of this file share. */
struct target {
	struct arena *arena;
	const struct oci_process *process;
	const struct plan_process_context *context;
	struct plan_process *plan;
};

static const char *at(const struct target *to, const char *pointer)
{
	return text_format(to->arena, "%s%s", to->context->where, pointer);
}

struct strings plan_capabilities(struct arena *arena)
{
	struct strings names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
		strings_add(arena, &names, arena_strdup(arena, capability_names[i]));
	return names;
}

uint64_t plan_capability(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
		if (strcmp(capability_names[i], name) == 0)
			return 1ULL << i;
	return 0;
}

static void add_name(struct arena *arena, struct strings *list, const char *name)
{
	if (!strings_has(list, name))
		strings_add(arena, list, arena_strdup(arena, name));
}

/* The names of LIST as a mask of what this kernel has and we may give; the others are collected for
 * one warning. */
static uint64_t capability_mask(const struct target *to, const struct strings *list,
				struct strings *ignored)
{
	const struct facts *facts = to->context->facts;
	uint64_t known = facts->cap_last >= 63 ? UINT64_MAX : (1ULL << (facts->cap_last + 1)) - 1;
	/* Who enters a user namespace has everything in it (user_namespaces(7)). */
	uint64_t ours = to->context->new_user_namespace ? UINT64_MAX : facts->caps_bounding;
	uint64_t mask = 0;

	for (size_t i = 0; i < list->n; i++) {
		uint64_t bit = plan_capability(list->items[i]);

		if (bit & known & ours)
			mask |= bit;
		else
			add_name(to->arena, ignored, list->items[i]);
	}
	return mask;
}

/* In runc's words, and which of them are rather misspelt. */
static void warn_of_ignored(struct arena *arena, const struct strings *ignored)
{
	struct strings names = plan_capabilities(arena);

	log_warning("ignoring unknown or unavailable capabilities: [%s]",
		    strings_joined(arena, ignored, ", "));
	for (size_t i = 0; i < ignored->n; i++) {
		const char *nearest = NULL;

		if (!plan_capability(ignored->items[i]))
			nearest = text_nearest(ignored->items[i], (const char *const *)names.items);
		if (nearest)
			log_warning("there is no capability %s; did you mean %s?",
				    ignored->items[i], nearest);
	}
}

static void warn_of_ambient(const struct target *to, uint64_t dropped)
{
	struct strings names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
		if (dropped & (1ULL << i))
			add_name(to->arena, &names, capability_names[i]);
	findings_say(to->context->findings, FINDING_WARNING, at(to, "/capabilities/ambient"),
		     "%s must be inheritable and permitted too, ignored",
		     strings_joined(to->arena, &names, ", "));
}

/* config.md: what cannot be granted SHOULD be a warning, not an error.  An absent object grants
 * nothing. */
static void plan_caps(const struct target *to)
{
	const struct oci_capabilities *caps = to->process->capabilities;
	struct caps *out = &to->plan->caps;
	struct strings ignored = { 0 };
	uint64_t ambient;

	if (!caps)
		return;
	out->bounding = capability_mask(to, &caps->bounding, &ignored);
	out->permitted = capability_mask(to, &caps->permitted, &ignored);
	out->effective = capability_mask(to, &caps->effective, &ignored);
	out->inheritable = capability_mask(to, &caps->inheritable, &ignored);
	ambient = capability_mask(to, &caps->ambient, &ignored);
	if (ignored.n > 0 && !to->context->findings)
		warn_of_ignored(to->arena, &ignored);
	if (out->effective & ~out->permitted)
		findings_say(to->context->findings, FINDING_WARNING,
			     at(to, "/capabilities/effective"),
			     "what is not permitted too is ignored");
	out->effective &= out->permitted;
	out->ambient = ambient & out->inheritable & out->permitted;
	if (out->ambient != ambient)
		warn_of_ambient(to, ambient & ~out->ambient);
}

/* The place of the variable that TEXT sets, or N. */
static size_t find_variable(const struct strings *env, const char *text)
{
	size_t length = strcspn(text, "=") + 1;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->items[i], text, length) == 0)
			return i;
	return env->n;
}

/* Of several the last one counts, as execve(2)'s users expect of a shell's assignments. */
static void set_variable(struct arena *arena, struct strings *env, const char *text)
{
	size_t i = find_variable(env, text);

	if (i < env->n)
		env->items[i] = arena_strdup(arena, text);
	else
		strings_add(arena, env, arena_strdup(arena, text));
}

static int check_variable(const char *text, const char *where, struct error *err)
{
	if (!strchr(text, '='))
		return error_coded(
		    err, CRL_ENVIRONMENT,
		    error_config_at(err, where, "invalid environment variable: missing '='"));
	if (text[0] == '=')
		return error_coded(
		    err, CRL_ENVIRONMENT,
		    error_config_at(err, where,
				    "invalid environment variable: name cannot be empty"));
	return 0;
}

static int plan_variables(const struct target *to, struct error *err)
{
	const struct strings *env = &to->process->env;

	for (size_t i = 0; i < env->n; i++) {
		const char *where = pointer_index(to->arena, at(to, "/env"), i);

		if (check_variable(env->items[i], where, err) == 0)
			set_variable(to->arena, &to->plan->env, env->items[i]);
		else if (findings_keep(to->context->findings, err) < 0)
			return -1;
	}
	return 0;
}

/* sd_listen_fds(3): the container's program is process 1 of its pid namespace; where it is not, it
 * puts its own pid here. */
static void plan_listen(const struct target *to)
{
	const struct plan_process_context *context = to->context;

	if (context->listen_fds == 0)
		return;
	set_variable(to->arena, &to->plan->env,
		     text_format(to->arena, "LISTEN_FDS=%u", context->listen_fds));
	set_variable(to->arena, &to->plan->env, "LISTEN_PID=1");
	to->plan->listens = true;
	if (context->listen_names)
		set_variable(to->arena, &to->plan->env,
			     text_format(to->arena, "LISTEN_FDNAMES=%s", context->listen_names));
}

static int plan_env(const struct target *to, struct error *err)
{
	const struct strings *env = &to->plan->env;
	size_t home;

	if (plan_variables(to, err) < 0)
		return -1;
	plan_listen(to);
	if (to->context->notify_socket)
		set_variable(
		    to->arena, &to->plan->env,
		    text_format(to->arena, "NOTIFY_SOCKET=%s", to->context->notify_socket));
	home = find_variable(env, "HOME=");
	to->plan->needs_home = home == env->n || env->items[home][strlen("HOME=")] == '\0';
	if (!to->plan->env.items)
		to->plan->env.items = arena_alloc(to->arena, sizeof(char *));
	return 0;
}

static int check_mapped(const struct target *to, const struct idmap_range *ranges, size_t n,
			uint64_t id, const char *pointer, const char *what, struct error *err)
{
	uint32_t outside = 0;

	if (!to->context->maps || idmap_lookup(ranges, n, id, &outside))
		return 0;
	error_coded(err, CRL_NOT_MAPPED,
		    error_config_at(err, at(to, pointer),
				    "cannot %s to unmapped %.3s %llu in user namespace", what,
				    what + strlen("set"), (unsigned long long)id));
	return error_hint(err, "map it in linux.%.3sMappings", what + strlen("set"));
}

static bool can_set_groups(const struct target *to)
{
	const struct plan_process_context *context = to->context;

	return context->facts->can_set_groups && !(context->maps && context->maps->deny_setgroups);
}

static int plan_groups(const struct target *to, struct error *err)
{
	const struct oci_user *user = to->process->user;
	const struct idmap *maps = to->context->maps;

	to->plan->set_groups = can_set_groups(to) && !to->context->keep_groups;
	if (!user || user->additional_gids.n == 0)
		return 0;
	if (to->context->keep_groups) {
		findings_say(to->context->findings, FINDING_WARNING, at(to, "/user/additionalGids"),
			     "it is ignored: the caller's groups are kept");
		return 0;
	}
	if (!can_set_groups(to))
		return error_coded(
		    err, CRL_NOT_MAPPED,
		    error_config_at(err, at(to, "/user/additionalGids"),
				    "cannot set any additional groups in a rootless container"));
	to->plan->groups = arena_array(to->arena, user->additional_gids.n, sizeof(gid_t));
	for (size_t i = 0; i < user->additional_gids.n; i++) {
		uint64_t gid = user->additional_gids.items[i];
		const char *pointer = pointer_index(to->arena, "/user/additionalGids", i);

		if (maps &&
		    check_mapped(to, maps->gids, maps->gids_n, gid, pointer, "setgid", err) < 0)
			return -1;
		to->plan->groups[to->plan->groups_n++] = (gid_t)gid;
	}
	return 0;
}

static int plan_user(const struct target *to, struct error *err)
{
	const struct oci_user *user = to->process->user;
	const struct idmap *maps = to->context->maps;
	uint64_t uid = user ? user->uid.value : 0;
	uint64_t gid = user ? user->gid.value : 0;

	to->plan->uid = (uid_t)uid;
	to->plan->gid = (gid_t)gid;
	to->plan->umask = user && user->umask.set ? (mode_t)user->umask.value : DEFAULT_UMASK;
	if (maps &&
	    check_mapped(to, maps->gids, maps->gids_n, gid, "/user/gid", "setgid", err) < 0 &&
	    findings_keep(to->context->findings, err) < 0)
		return -1;
	if (maps &&
	    check_mapped(to, maps->uids, maps->uids_n, uid, "/user/uid", "setuid", err) < 0 &&
	    findings_keep(to->context->findings, err) < 0)
		return -1;
	return plan_groups(to, err);
}

static void plan_rlimits(const struct target *to)
{
	struct plan_process *plan = to->plan;

	plan->rlimits = arena_array(to->arena, to->process->rlimits.n, sizeof(*plan->rlimits));
	list_each (const struct oci_rlimit, rlimit, &to->process->rlimits) {
		struct tuning_rlimit *out = &plan->rlimits[plan->rlimits_n];

		out->type = (int)rlimit->type.value;
		out->soft = rlimit->soft.value;
		out->hard = rlimit->hard.value;
		out->where = pointer_index(to->arena, at(to, "/rlimits"), plan->rlimits_n++);
	}
}

static void plan_scheduler(const struct target *to)
{
	const struct oci_scheduler *scheduler = to->process->scheduler;
	struct tuning_scheduler *out;

	if (!scheduler)
		return;
	out = arena_alloc(to->arena, sizeof(*out));
	out->policy = (uint32_t)scheduler->policy.value;
	out->nice = (int32_t)scheduler->nice.value;
	out->priority = (uint32_t)scheduler->priority.value;
	out->runtime = scheduler->runtime.value;
	out->deadline = scheduler->deadline.value;
	out->period = scheduler->period.value;
	for (size_t i = 0; i < scheduler->flags.n; i++)
		out->flags |= (uint64_t)scheduler->flags.items[i];
	to->plan->scheduler = out;
}

static void set_cpus(void *argument, unsigned int first, unsigned int last)
{
	const unsigned int width = 8 * sizeof(unsigned long);
	unsigned long *bits = argument;

	for (unsigned int i = first; i <= last; i++)
		bits[i / width] |= 1UL << i % width;
}

static int plan_affinity(const struct target *to, const char *list, const char *pointer,
			 const struct tuning_cpus **out, struct error *err)
{
	struct tuning_cpus *cpus;

	if (!list || list[0] == '\0')
		return 0;
	cpus = arena_alloc(to->arena, sizeof(*cpus));
	if (!text_parse_ranges(list, TUNING_CPUS_MAX - 1, set_cpus, cpus->bits))
		return error_config_at(err, at(to, pointer),
				       "\"%s\" is not a list of CPUs such as 0-3,7", list);
	*out = cpus;
	return 0;
}

static int plan_affinities(const struct target *to, struct error *err)
{
	const struct oci_exec_cpu_affinity *affinity = to->process->exec_cpu_affinity;

	if (!affinity)
		return 0;
	if (plan_affinity(to, affinity->initial, "/execCPUAffinity/initial",
			  &to->plan->affinity_initial, err) < 0)
		return -1;
	return plan_affinity(to, affinity->final, "/execCPUAffinity/final",
			     &to->plan->affinity_final, err);
}

static void plan_io_priority(const struct target *to)
{
	const struct oci_io_priority *io = to->process->io_priority;

	if (!io)
		return;
	to->plan->io_class = (int)io->class.value;
	to->plan->io_priority = (int)io->priority.value;
}

static void plan_terminal(const struct target *to)
{
	const struct oci_console_size *size = to->process->console_size;

	to->plan->terminal = to->process->terminal;
	if (!to->process->terminal || !size)
		return;
	to->plan->height = (uint16_t)size->height.value;
	to->plan->width = (uint16_t)size->width.value;
}

static const char *label(const char *text)
{
	return text && text[0] ? text : NULL;
}

int plan_process(struct arena *arena, const struct oci_process *process,
		 const struct plan_process_context *context, struct plan_process *plan,
		 struct error *err)
{
	const struct target to = { arena, process, context, plan };

	*plan = (struct plan_process){ .where = context->where };
	if (process->args.n == 0)
		return error_coded(
		    err, CRL_MISSING_MEMBER,
		    error_config_at(err, at(&to, "/args"), "args must not be empty"));
	plan->args = process->args;
	plan->cwd = process->cwd;
	plan->no_new_privileges = process->no_new_privileges;
	plan->oom_score_adj = process->oom_score_adj;
	plan->apparmor_profile = label(process->apparmor_profile);
	plan->selinux_label = label(process->selinux_label);
	plan_terminal(&to);
	if (plan_env(&to, err) < 0)
		return -1;
	if (plan_user(&to, err) < 0 && findings_keep(context->findings, err) < 0)
		return -1;
	plan_caps(&to);
	plan_rlimits(&to);
	plan_scheduler(&to);
	plan_io_priority(&to);
	return plan_affinities(&to, err);
}

static int plan_memory_policy(struct arena *arena, const struct oci_memory_policy *policy,
			      struct plan_process *plan, struct error *err)
{
	struct tuning_memory_policy *out = arena_alloc(arena, sizeof(*out));

	out->mode = (int)policy->mode.value;
	for (size_t i = 0; i < policy->flags.n; i++)
		out->mode |= (int)policy->flags.items[i];
	if (policy->nodes && policy->nodes[0] &&
	    !text_parse_ranges(policy->nodes, 8 * sizeof(out->nodes) - 1, set_cpus, out->nodes))
		return error_config_at(err, "/linux/memoryPolicy/nodes",
				       "\"%s\" is not a list of nodes such as 0-3,7",
				       policy->nodes);
	plan->memory_policy = out;
	return 0;
}

int plan_linux_process(struct arena *arena, const struct oci_linux *oci_linux,
		       struct plan_process *plan, struct error *err)
{
	if (oci_linux->personality)
		plan->personality = oci_linux->personality->domain;
	if (oci_linux->memory_policy)
		return plan_memory_policy(arena, oci_linux->memory_policy, plan, err);
	return 0;
}
