/*
 * The system call filter: from the spec's words to a classic BPF program.  libseccomp knows the
 * names and numbers of system calls; the program is our own, because libseccomp drops rules that
 * say what the default says anyway and opens socketcall(2) wide for each rule on socket(2), so that
 * an explicit refusal would be lost (CVE-2026-31431 class); it is also a hundred times faster.
 *
 * What a profile means: of the rules that name a call and hold for its arguments the most
 * restrictive one decides, in the kernel's own order of actions; where none does, the default.
 */
#include "seccomp_parts.h"
#include "syscall_table.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

/* Changes, as creel's own version does, with every change of what oci_seccomp.c and this room make
 * of the same text: caches are keyed by both. */
#define COMPILER_VERSION 3

static const unsigned int flag_bits[] = {
	[OCI_SECCOMP_FLAG_TSYNC] = SECCOMP_FILTER_FLAG_TSYNC,
	[OCI_SECCOMP_FLAG_LOG] = SECCOMP_FILTER_FLAG_LOG,
	[OCI_SECCOMP_FLAG_SPEC_ALLOW] = SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	[OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV] = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
};

static bool notifies(const struct oci_seccomp *seccomp)
{
	list_each (const struct oci_seccomp_rule, rule, &seccomp->syscalls)
		if (rule->action.value == OCI_SECCOMP_NOTIFY)
			return true;
	return false;
}

/* Absent flags mean SPEC_ALLOW, as in runc and crun: the mitigation costs more than it gives to
 * containers. */
static unsigned int filter_flags(const struct oci_seccomp *seccomp, bool notify)
{
	unsigned int flags = 0;

	if (!seccomp->flags.items)
		return SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (size_t i = 0; i < seccomp->flags.n; i++)
		flags |= flag_bits[seccomp->flags.items[i]];
	/* Waiting for an answer in a killable way is for those who wait (EINVAL without a
	 * listener). */
	if (!notify)
		flags &= ~(unsigned int)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	/* With a listener, seccomp(2) cannot return the thread that failed to follow. */
	if (notify && flags & SECCOMP_FILTER_FLAG_TSYNC)
		flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	return flags;
}

int plan_seccomp(struct arena *arena, const struct oci_seccomp *seccomp, const char *where,
		 struct plan_seccomp *plan, struct error *err)
{
	struct filter_arch *archs;
	size_t n = 0;

	*plan = (struct plan_seccomp){ 0 };
	plan->program.notify = notifies(seccomp);
	plan->program.flags = filter_flags(seccomp, plan->program.notify);
	if (plan->program.notify) {
		if (!seccomp->listener_path)
			return error_coded(
			    err, CRL_SECCOMP_PROFILE,
			    error_config_at(err, where, "SCMP_ACT_NOTIFY needs a listenerPath"));
		plan->listener_path = seccomp->listener_path;
		plan->listener_metadata = seccomp->listener_metadata;
	}
	archs = plan_seccomp_rules(arena, seccomp, &n);
	if (plan_seccomp_program(arena, archs, n, &plan->program) < 0)
		return error_coded(
		    err, CRL_SECCOMP_PROFILE,
		    error_config_at(
			err, where,
			"the filter needs more than the %d instructions that the kernel takes",
			BPF_MAXINSNS));
	return 0;
}

const char *plan_seccomp_version(struct arena *arena)
{
	return text_format(arena, "creel-%s-%d libseccomp-%s native-%x", CREEL_VERSION,
			   COMPILER_VERSION, syscall_source, syscall_arch_native());
}
