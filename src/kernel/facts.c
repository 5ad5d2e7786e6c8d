/* What this host can do, asked once and cheaply: each question is one system call or one small
 * file. */
#include <creel/facts.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <creel/caps.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>

#include "syscalls.h"

enum {
	KERNEL_MAJOR = 5,
	KERNEL_MINOR = 14,
	/* 14 hierarchies with paths as long as engines make them; not more, since each page of it
	   costs a fault. */
	CGROUP_FILE_MAX = 8192,
	FILE_USUAL = 2048,
	MOUNTINFO_MAX = 4 << 20,
	/* Its longest line is of the processors that it may run on. */
	STATUS_MAX = 16384,
};

static int check_kernel(struct error *err)
{
	struct utsname name;
	unsigned long major, minor;
	char *rest;

	if (uname(&name) < 0)
		return error_system(err, errno, "cannot ask for the kernel's version");
	major = strtoul(name.release, &rest, 10);
	minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return 0;
	error_coded(err, CRL_OLD_KERNEL,
		    error_unsupported(err, "creel needs Linux %d.%d or later, and this is %.64s",
				      KERNEL_MAJOR, KERNEL_MINOR, name.release));
	return error_hint(err, "cgroup.kill and idmapped mounts came with Linux %d.%d",
			  KERNEL_MAJOR, KERNEL_MINOR);
}

static int ask_user_namespace(int procfs, struct facts *facts, struct error *err)
{
	/*
	 * The number of the initial user namespace is a constant of the kernel
	 * (PROC_USER_INIT_INO).  uid_map does not tell: "0 0 4294967295" can be written for a
	 * nested one too.
	 */
	static const char initial[] = "user:[4026531837]";
	char link[64];
	ssize_t length = readlinkat(procfs, "self/ns/user", link, sizeof(link) - 1);

	if (length < 0)
		return error_system(err, errno, "cannot read /proc/self/ns/user");
	link[length] = '\0';
	facts->in_userns = !text_equal(link, initial);
	facts->can_set_groups = true;
	if (facts->in_userns && procfs_read(procfs, "self/setgroups", link, sizeof(link)) > 0)
		facts->can_set_groups = !text_starts_with(link, "deny");
	return 0;
}

/* The text of a file of procfs: mostly short, so what it is read into first is not what it may
 * need; NULL with errno. */
static char *read_text(struct arena *arena, int procfs, const char *name, size_t max)
{
	char some[FILE_USUAL], *all;

	if (procfs_read(procfs, name, some, sizeof(some)) >= 0)
		return arena_strdup(arena, some);
	if (errno != EOVERFLOW)
		return NULL;
	all = arena_alloc(arena, max);
	return procfs_read(procfs, name, all, max) < 0 ? NULL : all;
}

/* The hexadecimal set behind NAME in what is left of /proc/self/status, which then begins behind
 * it. */
static bool find_set(const char **status, const char *name, uint64_t *set)
{
	const char *found = strstr(*status, name);
	char *end;

	if (!found)
		return false;
	found += strlen(name);
	*set = strtoull(found, &end, 16);
	*status = end;
	return end > found && *end == '\n';
}

/* One file says what would take a hundred system calls. */
static int ask_status(struct arena *arena, int procfs, struct facts *facts, struct error *err)
{
	const char *status;
	uint64_t effective;

	facts->cap_last = caps_last();
	status = read_text(arena, procfs, "self/status", STATUS_MAX);
	if (!status)
		return error_system(err, errno, "cannot read /proc/self/status");
	/* In the order in which they stand there. */
	if (!find_set(&status, "\nSigIgn:\t", &facts->signals_ignored) ||
	    !find_set(&status, "\nCapEff:\t", &effective) ||
	    !find_set(&status, "\nCapBnd:\t", &facts->caps_bounding))
		return error_system(err, EPROTO, "/proc/self/status does not say what it should");
	facts->is_admin = effective & (1U << CAP_SYS_ADMIN);
	return 0;
}

static bool is_filesystem(const char *path, unsigned long magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == magic;
}

/* Undoes the \040 escapes of mountinfo in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to++ =
			    (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* Field 5 of a line of mountinfo whose type, behind " - ", is cgroup2; NULL for others. */
static char *cgroup2_mount_point(char *line)
{
	const char *type = strstr(line, " - ");

	if (!type || !text_starts_with(type, " - cgroup2 "))
		return NULL;
	for (int field = 1; field < 5; field++)
		strsep(&line, " ");
	return strsep(&line, " ");
}

static char *search_cgroup_mount(struct arena *arena, int procfs)
{
	struct error dropped = { 0 };
	auto_fd fd = procfs_open_file(procfs, "self/mountinfo", O_RDONLY, &dropped);
	char *rest = fd < 0 ? NULL : file_read_fd(arena, fd, MOUNTINFO_MAX, NULL, &dropped);

	if (!rest)
		error_ignore(&dropped, "then there is no cgroup2 mount that we could use");
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *point = cgroup2_mount_point(line);

		if (!point)
			continue;
		unescape(point);
		/* Something else may be mounted over it. */
		if (is_filesystem(point, CGROUP2_SUPER_MAGIC))
			return arena_strdup(arena, point);
	}
	return NULL;
}

/* The line "0::/path"; a process of a removed cgroup has " (deleted)" behind it. */
static char *own_cgroup(struct arena *arena, int procfs)
{
	char *rest = read_text(arena, procfs, "self/cgroup", CGROUP_FILE_MAX);

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (!text_starts_with(line, "0::/"))
			continue;
		if (text_ends_with(line, " (deleted)"))
			return NULL;
		return arena_strdup(arena, line + strlen("0::"));
	}
	return NULL;
}

static void ask_controllers(struct arena *arena, struct facts *facts)
{
	const char *path = text_format(arena, "%s/cgroup.controllers", facts->cgroup_mount);
	char text[1024], *rest = text;

	if (file_read_small(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " ")) {
		if (name[0])
			strings_add(arena, &facts->cgroup_controllers, arena_strdup(arena, name));
	}
}

static void find_cgroup_mount(struct arena *arena, int procfs, struct facts *facts)
{
	if (is_filesystem("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC))
		facts->cgroup_mount = arena_strdup(arena, "/sys/fs/cgroup");
	else if (is_filesystem("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC))
		facts->cgroup_mount = arena_strdup(arena, "/sys/fs/cgroup/unified");
	else
		facts->cgroup_mount = search_cgroup_mount(arena, procfs);
}

void facts_ask_modules(struct facts *facts)
{
	char enabled[8];

	facts->systemd = access("/run/systemd/system", F_OK) == 0;
	/* Without securityfs, too: Podman hides it. A profile is set through /proc. */
	facts->apparmor = file_read_small(AT_FDCWD, "/sys/module/apparmor/parameters/enabled",
					  enabled, sizeof(enabled)) > 0 &&
			  enabled[0] == 'Y';
	facts->selinux = is_filesystem("/sys/fs/selinux", SELINUX_MAGIC) &&
			 access("/sys/fs/selinux/enforce", F_OK) == 0;
}

int facts_ask_place(struct arena *arena, int procfs, struct facts *facts, struct error *err)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");

	/* The kernel has told us at our start. */
	*facts =
	    (struct facts){ .euid = (uid_t)getauxval(AT_EUID), .egid = (gid_t)getauxval(AT_EGID) };
	if (check_kernel(err) < 0)
		return -1;
	if (runtime_dir && runtime_dir[0])
		facts->xdg_runtime_dir = arena_strdup(arena, runtime_dir);
	/* It decides whether root's states are there: container_default_root(). */
	if (facts->xdg_runtime_dir && ask_user_namespace(procfs, facts, err) < 0)
		return -1;
	find_cgroup_mount(arena, procfs, facts);
	return 0;
}

int facts_ask_rights(struct arena *arena, int procfs, struct facts *facts, struct error *err)
{
	if (!facts->xdg_runtime_dir && ask_user_namespace(procfs, facts, err) < 0)
		return -1;
	if (ask_status(arena, procfs, facts, err) < 0)
		return -1;
	if (facts->cgroup_mount)
		ask_controllers(arena, facts);
	return 0;
}

void facts_ask_own_cgroup(struct arena *arena, int procfs, struct facts *facts)
{
	if (facts->cgroup_mount)
		facts->cgroup_own = own_cgroup(arena, procfs);
}

int facts_ask_rest(struct arena *arena, int procfs, struct facts *facts, struct error *err)
{
	facts_ask_own_cgroup(arena, procfs, facts);
	return facts_ask_rights(arena, procfs, facts, err);
}

int facts_ask(struct arena *arena, int procfs, struct facts *facts, struct error *err)
{
	if (facts_ask_place(arena, procfs, facts, err) < 0)
		return -1;
	facts_ask_modules(facts);
	return facts_ask_rest(arena, procfs, facts, err);
}
