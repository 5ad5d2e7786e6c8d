/* `creel check --host`: what of this host works for containers, what does not, and what to change.
 */
#include "check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/namespace.h>
#include <creel/rdt.h>
#include <creel/seccomp.h>

#define ROWS_MAX 48
#define NOBODY	 65534

const struct name_value host_status_names[] = {
	{ "works", HOST_WORKS },
	{ "limited", HOST_LIMITED },
	{ "absent", HOST_ABSENT },
	{ "fails", HOST_FAILS },
	{ NULL, 0 },
};

struct host {
	struct runtime *runtime;
	struct arena *arena;
	const struct facts *facts;
	const char *group;
	struct host_rows rows;
};

static void add(struct host *host, const char *name, enum host_status status, const char *value,
		const char *advice)
{
	host->rows.items[host->rows.n++] = (struct host_row){
		.group = host->group,
		.name = name,
		.status = status,
		.value = value,
		.advice = status == HOST_WORKS ? NULL : advice,
	};
}

static void join(struct host *host, const char **list, const char *word)
{
	*list = (*list)[0] ? text_format(host->arena, "%s %s", *list, word) : word;
}

/* ---- kernel ---- */

static void add_call(struct host *host, const char *name, bool works)
{
	add(host, name, works ? HOST_WORKS : HOST_FAILS, works ? "yes" : strerror(errno),
	    "a seccomp filter or a security module around creel forbids it: allow it there");
}

static void kernel_calls(struct host *host)
{
	struct { /* struct open_how */
		uint64_t flags, mode, resolve;
	} how = { .flags = O_PATH | O_CLOEXEC };
	auto_fd opened = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	add_call(host, "openat2", opened >= 0);

	auto_fd pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	add_call(host, "pidfd", pidfd >= 0);
	/* The size is looked at first, and 0 is none. */
	add_call(host, "clone3", syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL);

	if (!host->facts->is_admin)
		return;
	auto_fd context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	add_call(host, "mount API", context >= 0);
}

static void kernel_idmap(struct host *host, const char *path)
{
	const char *type = probe_filesystem_at(host->arena, host->runtime->procfs, path);
	const char *name = text_format(host->arena, "idmapped %s", path);
	struct error err = { 0 };

	if (!host->facts->is_admin)
		return;
	if (probe_idmap(host->runtime->procfs, path, &err) == 0)
		add(host, name, HOST_WORKS, text_format(host->arena, "yes (%s)", type), NULL);
	else
		add(host, name, HOST_LIMITED,
		    text_format(host->arena, "%s (%s)", strerror(err.errnum), type),
		    "mounts with idmap or uidMappings need another filesystem or a later kernel");
}

static void kernel_filesystems(struct host *host)
{
	static const char *const types[] = {
		"proc", "sysfs", "tmpfs", "devpts", "mqueue", "overlay"
	};
	const char *there = "", *missing = "";

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		join(host,
		     probe_filesystem(host->arena, host->runtime->procfs, types[i]) ==
			     PROBE_FS_ABSENT
			 ? &missing
			 : &there,
		     types[i]);
	add(host, "filesystems", missing[0] ? HOST_LIMITED : HOST_WORKS, there,
	    text_format(host->arena, "the kernel lacks %s", missing));
}

static void report_kernel(struct host *host)
{
	struct utsname name;

	host->group = "kernel";
	if (uname(&name) == 0)
		add(host, "version", HOST_WORKS, arena_strdup(host->arena, name.release), NULL);
	kernel_calls(host);
	kernel_filesystems(host);
	kernel_idmap(host, "/");
	if (!text_equal(probe_filesystem_at(host->arena, host->runtime->procfs, "/var/lib"),
			probe_filesystem_at(host->arena, host->runtime->procfs, "/")))
		kernel_idmap(host, "/var/lib");
}

/* ---- cgroups ---- */

static const char *const usual_controllers[] = { "cpu", "cpuset", "io", "memory", "pids" };

/* What of the usual controllers LIST, blank-separated, does not have. */
static const char *missing_of(struct host *host, const char *list)
{
	const char *padded = text_format(host->arena, " %s ", list);
	const char *missing = "";

	for (size_t i = 0; i < ARRAY_SIZE(usual_controllers); i++)
		if (!strstr(padded, text_format(host->arena, " %s ", usual_controllers[i])))
			join(host, &missing, usual_controllers[i]);
	return missing;
}

static const char *controllers_at(struct host *host, const char *path)
{
	struct error ignored = { 0 };
	auto_fd fd = cgroup_open(host->runtime->cgroup_root, path, &ignored);
	const char *list = fd < 0 ? NULL : cgroup_read(host->arena, fd, "cgroup.controllers");

	return list ? list : "";
}

static void cgroup_controllers(struct host *host)
{
	const char *list = controllers_at(host, "/");
	const char *missing = missing_of(host, list);

	add(host, "controllers", missing[0] ? HOST_LIMITED : HOST_WORKS, list[0] ? list : "none",
	    text_format(host->arena,
			"no limits of %s: they are in use by cgroup version 1 (boot with "
			"cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1) or disabled",
			missing));
}

/* What an ordinary user gets of them from systemd. */
static void cgroup_delegation(struct host *host)
{
	const char *own = host->facts->cgroup_own;
	const char *list, *missing;

	if (host->facts->euid == 0 && !host->facts->in_userns) {
		add(host, "delegation", HOST_WORKS, "all (root)", NULL);
		return;
	}
	list = own ? controllers_at(host, own) : "";
	missing = missing_of(host, list);
	add(host, "delegation", missing[0] ? HOST_LIMITED : HOST_WORKS,
	    text_format(host->arena, "%s in %s", list[0] ? list : "none", own ? own : "no cgroup"),
	    text_format(host->arena,
			"no limits of %s: add Delegate=cpu cpuset io memory pids to a drop-in of "
			"user@.service",
			missing));
}

static void report_cgroups(struct host *host)
{
	bool filter;

	host->group = "cgroups";
	add(host, "cgroup2", host->facts->cgroup_mount ? HOST_WORKS : HOST_LIMITED,
	    host->facts->cgroup_mount ? host->facts->cgroup_mount : "not mounted",
	    "containers have no cgroup: mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	if (host->runtime->cgroup_root >= 0) {
		cgroup_controllers(host);
		cgroup_delegation(host);
	}
	filter = probe_device_program();
	add(host, "device filter", filter ? HOST_WORKS : HOST_LIMITED,
	    filter ? "yes" : strerror(errno),
	    "rules in linux.resources.devices need CONFIG_CGROUP_BPF and CAP_BPF or CAP_SYS_ADMIN");
	add(host, "pressure", access("/proc/pressure", F_OK) == 0 ? HOST_WORKS : HOST_ABSENT,
	    access("/proc/pressure", F_OK) == 0 ? "yes" : "no",
	    "creel stats shows no pressure: CONFIG_PSI, and boot with psi=1");
}

static void report_systemd(struct host *host)
{
	const char *run = host->facts->xdg_runtime_dir;
	bool system = host->facts->euid == 0 && !host->facts->in_userns;
	const char *socket =
	    system ? "/run/systemd/private"
		   : text_format(host->arena, "%s/systemd/private", run ? run : "/run/user/?");
	bool reached = host->facts->systemd && access(socket, F_OK) == 0;

	add(host, "systemd", reached ? HOST_WORKS : HOST_ABSENT, reached ? socket : "not reachable",
	    system ? "--systemd-cgroup does not work here"
		   : "--systemd-cgroup needs a session of the user, or loginctl enable-linger");
}

/* ---- namespaces ---- */

static void namespace_kinds(struct host *host)
{
	const struct probe_user as_we_are = { 0 };
	const char *there = "", *missing = "";

	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		uint64_t flag = namespace_rows[i].flag;
		struct error err = { 0 };

		if (!host->facts->is_admin)
			flag |= CLONE_NEWUSER;
		join(host, probe_namespaces(flag, &as_we_are, &err) == 0 ? &there : &missing,
		     namespace_rows[i].name);
	}
	add(host, "kinds",
	    !missing[0]		       ? HOST_WORKS
	    : strstr(missing, "mount") ? HOST_FAILS
				       : HOST_LIMITED,
	    there[0] ? there : "none", text_format(host->arena, "cannot be made: %s", missing));
}

static void namespace_unprivileged(struct host *host)
{
	const struct probe_user nobody = {
		.set = host->facts->euid == 0,
		.uid = NOBODY,
		.gid = NOBODY,
	};
	struct error err = { 0 };
	int64_t restricted = 0;

	if (probe_namespaces(CLONE_NEWUSER | CLONE_NEWNS, &nobody, &err) < 0)
		add(host, "unprivileged", HOST_LIMITED, strerror(err.errnum),
		    "rootless containers need user namespaces: look at the sysctls "
		    "user.max_user_namespaces and kernel.unprivileged_userns_clone");
	else if (probe_number(host->runtime->procfs,
			      "sys/kernel/apparmor_restrict_unprivileged_userns", &restricted) &&
		 restricted)
		add(host, "unprivileged", HOST_LIMITED, "restricted by AppArmor",
		    "give creel a profile that allows userns, as share/apparmor/creel does");
	else
		add(host, "unprivileged", HOST_WORKS, "yes", NULL);
}

static void namespace_limit(struct host *host)
{
	int64_t limit = 0;

	if (!probe_number(host->runtime->procfs, "sys/user/max_user_namespaces", &limit))
		return;
	add(host, "user limit", limit > 0 ? HOST_WORKS : HOST_LIMITED,
	    text_format(host->arena, "%lld", (long long)limit),
	    "sysctl user.max_user_namespaces=10000");
}

static void report_namespaces(struct host *host)
{
	const char *cover = probe_covered_proc(host->arena, host->runtime->procfs);

	host->group = "namespaces";
	namespace_kinds(host);
	namespace_unprivileged(host);
	namespace_limit(host);
	add(host, "/proc inside", cover ? HOST_LIMITED : HOST_WORKS,
	    cover ? text_format(host->arena, "%s is covered", cover) : "yes",
	    "user namespaces get no /proc of their own: have the outer container's /proc unmasked");
}

/* ---- security ---- */

static void security_seccomp(struct host *host)
{
	static const struct {
		unsigned int flag;
		const char *name;
	} flags[] = {
		{ SECCOMP_FILTER_FLAG_LOG, "log" },
		{ SECCOMP_FILTER_FLAG_SPEC_ALLOW, "spec-allow" },
		{ SECCOMP_FILTER_FLAG_NEW_LISTENER, "notify" },
		{ SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, "wait-killable" },
	};
	const char *list = "filters";

	if (!seccomp_has_flag(0)) {
		add(host, "seccomp", HOST_LIMITED, "no",
		    "documents with linux.seccomp are refused: CONFIG_SECCOMP_FILTER");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (seccomp_has_flag(flags[i].flag))
			join(host, &list, flags[i].name);
	add(host, "seccomp", HOST_WORKS, list, NULL);
}

static void security_capabilities(struct host *host)
{
	struct strings names = plan_capabilities(host->arena);
	const char *missing = "";

	for (size_t i = 0; i < names.n; i++)
		if ((int)i <= host->facts->cap_last && !(host->facts->caps_bounding >> i & 1))
			join(host, &missing, names.items[i] + strlen("CAP_"));
	add(host, "capabilities", missing[0] ? HOST_LIMITED : HOST_WORKS,
	    missing[0] ? text_format(host->arena, "without %s", missing) : "all",
	    "no container gets what is not in the bounding set of whoever starts creel");
}

static void report_security(struct host *host)
{
	bool raises = probe_capability(host->runtime->procfs, CAP_SYS_RESOURCE);

	host->group = "security";
	security_seccomp(host);
	add(host, "AppArmor", host->facts->apparmor ? HOST_WORKS : HOST_ABSENT,
	    host->facts->apparmor ? "enabled" : "not enabled",
	    "documents with process.apparmorProfile are refused");
	add(host, "SELinux", host->facts->selinux ? HOST_WORKS : HOST_ABSENT,
	    host->facts->selinux ? "enabled" : "not enabled",
	    "documents with process.selinuxLabel are refused");
	security_capabilities(host);
	add(host, "raising limits", raises ? HOST_WORKS : HOST_LIMITED, raises ? "yes" : "no",
	    "rlimits above our own hard limits are refused: it needs CAP_SYS_RESOURCE");
}

/* ---- rootless and the rest ---- */

static void rootless_helper(struct host *host, const char *name)
{
	const char *path = probe_program(host->arena, name);

	add(host, name, path ? HOST_WORKS : HOST_LIMITED, path ? path : "not installed",
	    "rootless containers have one id only: install the package uidmap");
}

static void rootless_ranges(struct host *host, const char *table)
{
	struct probe_ranges ranges = probe_subids(host->arena, table, host->facts->euid);
	uint64_t count = 0;

	for (size_t i = 0; i < ranges.n; i++)
		count += ranges.items[i].count;
	add(host, table, count > 0 ? HOST_WORKS : HOST_LIMITED,
	    text_format(host->arena, "%llu ids", (unsigned long long)count),
	    "add a range for this user: usermod --add-subuids and --add-subgids 100000-165535");
}

static void report_rootless(struct host *host)
{
	host->group = "rootless";
	rootless_helper(host, "newuidmap");
	rootless_helper(host, "newgidmap");
	if (host->facts->euid == 0)
		return;
	rootless_ranges(host, "/etc/subuid");
	rootless_ranges(host, "/etc/subgid");
}

static void report_extras(struct host *host)
{
	const char *criu = probe_program(host->arena, "criu");
	const char *resctrl = rdt_mount(host->arena, host->runtime->procfs);

	host->group = "extras";
	add(host, "criu", criu ? HOST_WORKS : HOST_ABSENT, criu ? criu : "not installed",
	    "checkpoint and restore need it");
	add(host, "resctrl", resctrl ? HOST_WORKS : HOST_ABSENT, resctrl ? resctrl : "not mounted",
	    "documents with linux.intelRdt are refused: mount -t resctrl resctrl /sys/fs/resctrl");
}

struct host_rows check_host(struct runtime *runtime)
{
	struct host host = {
		.runtime = runtime,
		.arena = runtime->arena,
		.facts = &runtime->facts,
	};

	host.rows.items = arena_array(host.arena, ROWS_MAX, sizeof(*host.rows.items));
	report_kernel(&host);
	report_cgroups(&host);
	report_systemd(&host);
	report_namespaces(&host);
	report_security(&host);
	report_rootless(&host);
	report_extras(&host);
	return host.rows;
}
