/*
 * Names in a filter that no architecture has: such rules are left out, which is harmless when they
 * allow something, and is not when they forbid it.
 */
#include "parts.h"
#include "syscall_table.h"

#include <string.h>

/* Linux has them, but they are newer than the libseccomp that many a build was made with. */
static const char *const new_names[] = {
	"cachestat",
	"fchmodat2",
	"file_getattr",
	"file_setattr",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"getxattrat",
	"listmount",
	"listns",
	"listxattrat",
	"lsm_get_self_attr",
	"lsm_list_modules",
	"lsm_set_self_attr",
	"map_shadow_stack",
	"memfd_secret",
	"mseal",
	"open_tree_attr",
	"process_mrelease",
	"quotactl_fd",
	"removexattrat",
	"riscv_flush_icache",
	"riscv_hwprobe",
	"rseq_slice_yield",
	"set_mempolicy_home_node",
	"setxattrat",
	"statmount",
	"uprobe",
	"uretprobe",
};

static bool is_new(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(new_names); i++)
		if (strcmp(new_names[i], name) == 0)
			return true;
	return false;
}

static bool permits(int64_t action)
{
	return action == OCI_SECCOMP_ALLOW || action == OCI_SECCOMP_LOG;
}

static const char *nearest_call(struct arena *arena, const char *name)
{
	const char **names = arena_array(arena, syscall_names_n + 1, sizeof(*names));

	for (size_t i = 0; i < syscall_names_n; i++)
		names[i] = &syscall_names[syscall_starts[i]];
	return text_nearest(name, names);
}

/* A call that should be forbidden, and is not, matters more than one that stays forbidden. */
static void say_unknown(const struct input *input, const struct oci_seccomp_rule *rule,
			const char *name, const char *where, struct findings *findings)
{
	bool default_permits = permits(input->linux->seccomp->default_action.value);
	bool forbids = !permits(rule->action.value) && default_permits;
	const char *nearest = is_new(name) ? NULL : nearest_call(input->arena, name);
	struct error *finding =
	    findings_say(findings, is_new(name) && !forbids ? FINDING_NOTE : FINDING_WARNING, where,
			 "unknown system call \"%s\": the rule for it is left out%s", name,
			 forbids ? ", so the call is permitted" : "");

	if (finding && nearest)
		error_hint(finding, "did you mean \"%s\"?", nearest);
	else if (finding && is_new(name))
		error_hint(finding,
			   "it is newer than libseccomp %s, from which creel has the names",
			   syscall_source);
}

static void suspect_rule(const struct input *input, size_t index, struct findings *findings)
{
	const struct oci_seccomp_rule *rule = &input->linux->seccomp->syscalls.items[index];
	const char *where = pointer_key(
	    input->arena, pointer_index(input->arena, "/linux/seccomp/syscalls", index), "names");

	for (size_t i = 0; i < rule->names.n; i++)
		if (rule->names.items[i][0] && !syscall_is_known(rule->names.items[i]))
			say_unknown(input, rule, rule->names.items[i],
				    pointer_index(input->arena, where, i), findings);
}

static void suspect_architectures(const struct input *input, struct findings *findings)
{
	const struct strings *names = &input->linux->seccomp->architectures;
	uint32_t native = syscall_arch_native();

	for (size_t i = 0; i < names->n; i++) {
		char lower[32] = "";
		const char *name = names->items[i];

		if (!text_starts_with(name, "SCMP_ARCH_"))
			continue;
		name += strlen("SCMP_ARCH_");
		for (size_t j = 0; j < sizeof(lower) - 1 && name[j]; j++)
			lower[j] = (char)(name[j] >= 'A' && name[j] <= 'Z' ? name[j] - 'A' + 'a'
									   : name[j]);
		if (syscall_arch_token(lower) == native)
			return;
	}
	if (names->n > 0)
		findings_say(findings, FINDING_NOTE, "/linux/seccomp/architectures",
			     "the architecture of this machine is not listed; creel adds it");
}

static bool notifies(const struct oci_seccomp *seccomp)
{
	list_each (const struct oci_seccomp_rule, rule, &seccomp->syscalls)
		if (rule->action.value == OCI_SECCOMP_NOTIFY)
			return true;
	return false;
}

void suspect_seccomp(const struct input *input, struct findings *findings)
{
	const struct oci_seccomp *seccomp = input->linux->seccomp;

	if (!seccomp)
		return;
	for (size_t i = 0; i < seccomp->syscalls.n; i++)
		suspect_rule(input, i, findings);
	suspect_architectures(input, findings);
	if (seccomp->listener_path && !notifies(seccomp))
		findings_say(findings, FINDING_WARNING, "/linux/seccomp/listenerPath",
			     "no rule has the action SCMP_ACT_NOTIFY, so nobody listens there");
}
