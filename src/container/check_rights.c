/* What the kernel would not let us set: limits, scores, policies, labels, sysctls, filters. */
#include "check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/fd.h>
#include <creel/file.h>
#include <creel/rdt.h>
#include <creel/text.h>

#define IO_CLASS_REALTIME 1
#define PROFILES_MAX	  ((size_t)4 << 20)

static bool has_capability(const struct checker *check, int capability)
{
	return check->facts->is_admin && !check->user.set &&
	       probe_capability(check->runtime->procfs, capability);
}

/* ---- limits ---- */

static const char *limit_text(const struct checker *check, uint64_t value)
{
	return value == RLIM_INFINITY
		   ? "unlimited"
		   : text_format(check->runtime->arena, "%llu", (unsigned long long)value);
}

static void check_limit(const struct checker *check, const struct tuning_rlimit *limit)
{
	const char *name = name_of(oci_rlimit_names, limit->type);
	struct error err = { 0 };
	int64_t most;

	if (limit->type == RLIMIT_NOFILE &&
	    probe_number(check->runtime->procfs, "sys/fs/nr_open", &most) &&
	    limit->hard > (uint64_t)most) {
		error_system(&err, EPERM, "%s of %s is above the sysctl fs.nr_open, which is %lld",
			     name, limit_text(check, limit->hard), (long long)most);
		checker_error(check, &err, checker_key(check, limit->where, "hard"),
			      CRL_RLIMIT_HARD);
		return;
	}
	if (limit->hard <= tuning_hard_limit(limit->type) ||
	    has_capability(check, CAP_SYS_RESOURCE))
		return;
	error_system(&err, EPERM, "%s of %s is asked for, and our own hard limit is %s", name,
		     limit_text(check, limit->hard),
		     limit_text(check, tuning_hard_limit(limit->type)));
	error_hint(&err,
		   "raising it needs CAP_SYS_RESOURCE in the first user namespace; whoever "
		   "starts creel can be given a higher limit (systemd: Limit%s=)",
		   name + strlen("RLIMIT_"));
	checker_error(check, &err, checker_key(check, limit->where, "hard"), CRL_RLIMIT_HARD);
}

static void check_score(const struct checker *check)
{
	const struct optional *score = &check->plan->process.oom_score_adj;
	struct error err = { 0 };

	if (!score->set ||
	    (check->user.set ? score->value >= 0
			     : probe_oom_score(check->runtime->procfs, (int)score->value)))
		return;
	error_system(&err, EACCES, "the OOM score adjustment %lld is lower than we may set",
		     (long long)score->value);
	error_hint(&err, "lowering it below what it was given needs CAP_SYS_RESOURCE in the first "
			 "user namespace");
	checker_error(check, &err, "/process/oomScoreAdj", CRL_SETTING);
}

static void check_scheduling(const struct checker *check)
{
	const struct plan_process *process = &check->plan->process;
	const struct tuning_scheduler *scheduler = process->scheduler;
	struct error err = { 0 };

	if (has_capability(check, CAP_SYS_NICE))
		return;
	if (scheduler && (scheduler->policy == SCHED_FIFO || scheduler->policy == SCHED_RR ||
			  scheduler->policy == SCHED_DEADLINE || scheduler->nice < 0)) {
		error_system(&err, EPERM, "this scheduling policy needs CAP_SYS_NICE");
		checker_error(check, &err, "/process/scheduler", CRL_SCHEDULING);
	}
	if (process->io_class == IO_CLASS_REALTIME && !has_capability(check, CAP_SYS_ADMIN)) {
		error_system(&err, EPERM, "IOPRIO_CLASS_RT needs CAP_SYS_NICE or CAP_SYS_ADMIN");
		checker_error(check, &err, "/process/ioPriority", CRL_SCHEDULING);
	}
}

static void check_memory_policy(const struct checker *check)
{
	struct error err = { 0 };

	if (!check->plan->process.memory_policy ||
	    syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0) == 0 || errno != ENOSYS)
		return;
	error_unsupported(&err, "this kernel has no memory policies (CONFIG_NUMA)");
	checker_error(check, &err, "/linux/memoryPolicy", CRL_UNSUPPORTED);
}

/* ---- labels ---- */

static void check_apparmor(const struct checker *check)
{
	const char *profile = check->plan->process.apparmor_profile;
	struct error err = { 0 };
	char *list;

	if (!profile || !check->facts->apparmor || text_equal(profile, "unconfined") ||
	    profile[0] == ':' || profile[0] == '&' || strstr(profile, "//"))
		return;
	list = file_read(check->runtime->arena, AT_FDCWD, "/sys/kernel/security/apparmor/profiles",
			 PROFILES_MAX, NULL, &err);
	/* Only root may read it: then the answer comes with the container. */
	if (!list)
		return;
	list = text_format(check->runtime->arena, "\n%s", list);
	if (strstr(list, text_format(check->runtime->arena, "\n%s (", profile)))
		return;
	error_system(&err, ENOENT, "the AppArmor profile %s is not loaded", profile);
	error_hint(&err, "see aa-status(8); load it with apparmor_parser(8)");
	checker_error(check, &err, "/process/apparmorProfile", CRL_LABEL);
}

/* Whoever may read selinuxfs may ask whether a context is valid; nothing gets the label by that. */
static void check_selinux(const struct checker *check)
{
	const char *label = check->plan->process.selinux_label;
	struct error err = { 0 };
	auto_fd fd = -1;

	if (!label || !check->facts->selinux)
		return;
	fd = open("/sys/fs/selinux/context", O_RDWR | O_CLOEXEC);
	if (fd < 0 || write(fd, label, strlen(label) + 1) >= 0 || errno != EINVAL)
		return;
	error_system(&err, EINVAL, "the loaded SELinux policy does not know the label %s", label);
	checker_error(check, &err, "/process/selinuxLabel", CRL_LABEL);
}

/* ---- sysctls ---- */

static void say_sysctl(const struct checker *check, const struct plan_sysctl *sysctl, int refusal)
{
	struct error err = { 0 };

	error_system(&err, refusal, "cannot set the sysctl %s to \"%s\"", sysctl->key,
		     sysctl->value);
	if (refusal == ENOENT)
		error_hint(&err, "this kernel has no such sysctl, or not in a container's "
				 "namespace, or its module is not loaded");
	else if (refusal == EROFS)
		error_hint(&err, "/proc/sys is mounted read-only here");
	else if (refusal == EXDEV)
		error_hint(&err, "something is mounted over a part of /proc");
	checker_error(check, &err, sysctl->where, CRL_SYSCTL_REFUSED);
}

static bool maps_id(const struct idmap *maps, uint64_t id)
{
	for (size_t i = 0; i < maps->gids_n; i++)
		if (id >= maps->gids[i].inside && id - maps->gids[i].inside < maps->gids[i].size)
			return true;
	return false;
}

/* The kernel takes group ids of the namespace only, and says no more than EINVAL. */
static void check_ping_range(const struct checker *check, const struct plan_sysctl *sysctl)
{
	const struct idmap *maps = check->plan->namespaces.maps;
	const char *value = sysctl->value;
	uint64_t range[2];
	struct error err = { 0 };

	if (!maps || !text_ends_with(sysctl->key, "ping_group_range") ||
	    text_take_uints(&value, " \t", range, 2) != 2)
		return;
	for (int i = 0; i < 2; i++) {
		if (maps_id(maps, range[i]))
			continue;
		error_system(&err, EINVAL, "cannot set the sysctl %s to \"%s\"", sysctl->key,
			     sysctl->value);
		error_hint(&err, "the group %" PRIu64 " is not mapped in the user namespace",
			   range[i]);
		checker_error(check, &err, sysctl->where, CRL_SYSCTL_VALUE);
		return;
	}
}

/* The namespaces that hold sysctls and are new: those that are joined cannot be tried without
 * joining them. */
static uint64_t sysctl_namespaces(const struct checker *check)
{
	uint64_t flags =
	    check->plan->namespaces.create & (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);

	return check->facts->is_admin && !check->user.set ? flags : flags | CLONE_NEWUSER;
}

static bool is_of_joined(const struct checker *check, const char *key)
{
	const struct plan_namespaces *namespaces = &check->plan->namespaces;

	for (size_t i = 0; i < namespaces->joins_n; i++) {
		uint64_t flag = namespaces->joins[i].flag;

		if (flag == CLONE_NEWNET			   ? text_starts_with(key, "net")
		    : flag == CLONE_NEWIPC || flag == CLONE_NEWUTS ? !text_starts_with(key, "net")
								   : false)
			return true;
	}
	return false;
}

static void check_sysctls(const struct checker *check)
{
	const struct plan *plan = check->plan;
	struct arena *arena = check->runtime->arena;
	struct strings keys = { 0 };
	struct error err = { 0 };
	int *refusals = arena_array(arena, plan->sysctls_n, sizeof(*refusals));

	for (size_t i = 0; i < plan->sysctls_n; i++)
		strings_add(arena, &keys, arena_strdup(arena, plan->sysctls[i].key));
	if (keys.n == 0)
		return;
	/* That namespaces cannot be made is said elsewhere. */
	if (probe_sysctls(check->runtime->procfs, sysctl_namespaces(check), keys.items, keys.n,
			  refusals, &err) < 0)
		return;
	for (size_t i = 0; i < plan->sysctls_n; i++) {
		if (refusals[i] && !is_of_joined(check, plan->sysctls[i].key))
			say_sysctl(check, &plan->sysctls[i], refusals[i]);
		check_ping_range(check, &plan->sysctls[i]);
	}
}

/* ---- filters ---- */

static void check_seccomp(const struct checker *check)
{
	static const unsigned int bits[] = {
		[OCI_SECCOMP_FLAG_TSYNC] = SECCOMP_FILTER_FLAG_TSYNC,
		[OCI_SECCOMP_FLAG_LOG] = SECCOMP_FILTER_FLAG_LOG,
		[OCI_SECCOMP_FLAG_SPEC_ALLOW] = SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		[OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV] = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
	};
	const struct oci_seccomp *seccomp = check->oci_linux->seccomp;
	struct error err = { 0 };

	if (!seccomp)
		return;
	if (!seccomp_has_flag(0)) {
		error_unsupported(&err, "this kernel has no seccomp filters");
		checker_error(check, &err, "/linux/seccomp", CRL_NO_SECCOMP);
		return;
	}
	for (size_t i = 0; i < seccomp->flags.n; i++) {
		int64_t flag = seccomp->flags.items[i];

		if (seccomp_has_flag(bits[flag]))
			continue;
		error_unsupported(&err, "this kernel does not know the flag %s",
				  name_of(oci_seccomp_flag_names, (int)flag));
		checker_error(check, &err, checker_index(check, "/linux/seccomp/flags", i),
			      CRL_NO_SECCOMP);
	}
}

static void check_device_filter(const struct checker *check)
{
	struct error err = { 0 };

	if (!check->plan->cgroup.filter_devices || check->user.set || probe_device_program())
		return;
	error_unsupported(&err, "the kernel takes no program for the device controller");
	error_hint(&err, "it needs CONFIG_CGROUP_BPF, and CAP_BPF or CAP_SYS_ADMIN in the first "
			 "user namespace");
	checker_error(check, &err, "/linux/resources/devices", CRL_NO_CGROUP_BPF);
}

static void check_rdt(const struct checker *check)
{
	struct error err = { 0 };

	if (!check->plan->rdt || rdt_mount(check->runtime->arena, check->runtime->procfs))
		return;
	error_unsupported(&err, "resctrl is not mounted");
	error_hint(&err, "mount it where the CPU has it: mount -t resctrl resctrl /sys/fs/resctrl");
	checker_error(check, &err, "/linux/intelRdt", CRL_NO_RESCTRL);
}

void check_rights(const struct checker *check)
{
	for (size_t i = 0; i < check->plan->process.rlimits_n; i++)
		check_limit(check, &check->plan->process.rlimits[i]);
	check_score(check);
	check_scheduling(check);
	check_memory_policy(check);
	check_apparmor(check);
	check_selinux(check);
	check_sysctls(check);
	check_seccomp(check);
	check_device_filter(check);
	check_rdt(check);
}
