/*
 * What images may ask for.  CRIU works with all of our rights, and does what the images say: open
 * files, mount file systems, give capabilities.  So before it reads them they are compared with the
 * document: the namespaces that it names, its mounts and no others, no more rights than it gives,
 * its seccomp filter, its labels (CVE-2026-94603 and relatives).
 */
#include "restore_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/criu_image.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/inroot.h>
#include <creel/namespace.h>

#define PARENT_LINK "parent"
#define DEPTH_MAX   64

static int damaged(const char *name, struct error *err)
{
	return error_unsupported(err, "the image %s is damaged", name);
}

/* ---- files ---- */

static int check_directory(const struct restore *restore, int dir, int depth, struct error *err);

/*
 * The images before these, which a checkpoint with --parent-path has linked: beside or below this
 * directory, or where the same option says now.
 */
static int check_parent(const struct restore *restore, int dir, int depth, struct error *err)
{
	const char *named = restore->options->criu.parent_path;
	char text[256];
	ssize_t n = readlinkat(dir, PARENT_LINK, text, sizeof(text) - 1);

	if (n < 0)
		return error_system(err, errno, "cannot read the link to the images before");
	text[n] = '\0';

	const char *name = text_starts_with(text, "../") ? text + 3 : text;
	bool near = name[0] && !strchr(name, '/') && !text_equal(name, "..");

	if (!near && !text_equal(text, named)) {
		error_unsupported(err, "the images are said to follow those in %s", text);
		return error_hint(err, "if that is so, restore with --parent-path %s", text);
	}
	if (depth >= DEPTH_MAX)
		return error_unsupported(err, "the images follow others more than %d times",
					 DEPTH_MAX);

	/* Not through further links, whose text nobody has looked at. */
	auto_fd up = openat(dir, name == text ? "." : "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd parent = near ? openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			      : openat(dir, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return error_system(err, errno, "cannot open the images before, in %s", text);
	return check_directory(restore, parent, depth + 1, err);
}

static int check_file(const struct restore *restore, int dir, const char *name, int depth,
		      struct error *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_system(err, errno, "cannot examine the image %s", name);
	if (S_ISLNK(st.st_mode) && text_equal(name, PARENT_LINK))
		return check_parent(restore, dir, depth, err);
	if (S_ISSOCK(st.st_mode) && restore->options->criu.lazy_pages)
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		error_unsupported(err, "%s among the images is not a regular file", name);
		return error_hint(err, "CRIU would follow it out of the directory");
	}
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_unsupported(err, "the image %s can be written to by others", name);
	return 0;
}

static int check_entries(const struct restore *restore, DIR *entries, int depth, struct error *err)
{
	for (;;) {
		errno = 0;

		const struct dirent *entry = readdir(entries);

		if (!entry)
			return errno ? error_system(err, errno, "cannot list the images") : 0;
		if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
			continue;
		if (check_file(restore, dirfd(entries), entry->d_name, depth, err) < 0)
			return -1;
	}
}

static int check_directory(const struct restore *restore, int dir, int depth, struct error *err)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);

	if (!entries)
		return error_system(err, errno, "cannot list the images");

	int result = check_entries(restore, entries, depth, err);

	closedir(entries);
	return result;
}

/* ---- namespaces ---- */

static const struct {
	enum criu_namespace kind;
	uint64_t flag;
} kinds[] = {
	{ CRIU_NS_PID, CLONE_NEWPID }, { CRIU_NS_NET, CLONE_NEWNET },
	{ CRIU_NS_IPC, CLONE_NEWIPC }, { CRIU_NS_UTS, CLONE_NEWUTS },
	{ CRIU_NS_MNT, CLONE_NEWNS },  { CRIU_NS_USER, CLONE_NEWUSER },
};

static uint64_t own_namespaces(const struct plan *plan)
{
	uint64_t flags = plan->namespaces.create;

	for (size_t i = 0; i < plan->namespaces.joins_n; i++)
		flags |= plan->namespaces.joins[i].flag;
	return flags;
}

/* A process without the host's number for a namespace gets one of the container's. */
static int check_namespaces(const struct plan *plan, const struct criu_namespaces *host,
			    const struct criu_namespaces *task, struct error *err)
{
	uint64_t own = own_namespaces(plan);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t outside = host->ids[kinds[i].kind], inside = task->ids[kinds[i].kind];
		const char *name = namespace_of(kinds[i].flag)->name;

		if (outside == 0 || inside == 0)
			return damaged("ids", err);
		if ((own & kinds[i].flag) && inside == outside)
			return error_unsupported(
			    err,
			    "a process of the images is in the %s namespace of "
			    "the host, where config.json has another",
			    name);
		if (!(own & kinds[i].flag) && inside != outside)
			return error_unsupported(err,
						 "a process of the images is in a %s namespace "
						 "that config.json does not have",
						 name);
	}
	return 0;
}

/* ---- mounts ---- */

static bool has_key(const struct restore *restore, const char *key)
{
	const struct criu_pairs *pairs = &restore->request.mounts;

	for (size_t i = 0; i < pairs->n; i++)
		if (text_equal(pairs->items[i].key, key))
			return true;
	return false;
}

static bool path_of(int procfs, int fd, char *path, size_t size)
{
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "self/fd/%d", fd);
	length = readlinkat(procfs, link, path, size - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return true;
}

/* Where TARGET is behind the links of the root filesystem; it may be below a mount that is not
 * there yet, and then is what it says. */
static const char *real_target(const struct runtime *runtime, int root, const char *target)
{
	char top[PATH_MAX], path[PATH_MAX];
	auto_fd fd = inroot_try(root, target, O_PATH);
	size_t n;

	if (fd < 0 || !path_of(runtime->procfs, root, top, sizeof(top)) ||
	    !path_of(runtime->procfs, fd, path, sizeof(path)))
		return target;
	n = text_equal(top, "/") ? 0 : strlen(top);
	return strncmp(path, top, n) == 0 && path[n] == '/' ? arena_strdup(runtime->arena, path + n)
							    : target;
}

static uint64_t filesystem_of(const struct mount_op *op)
{
	static const struct {
		const char *type;
		enum criu_filesystem filesystem;
	} types[] = {
		{ "proc", CRIU_FS_PROC },
		{ "sysfs", CRIU_FS_SYSFS },
		{ "tmpfs", CRIU_FS_TMPFS },
		{ "devpts", CRIU_FS_DEVPTS },
		{ "mqueue", CRIU_FS_MQUEUE },
		{ "cgroup2", CRIU_FS_CGROUP2 },
		/* Of the host, where the document wants them. */
		{ "devtmpfs", CRIU_FS_DEVTMPFS },
		{ "binfmt_misc", CRIU_FS_BINFMT_MISC },
		{ "pstore", CRIU_FS_PSTORE },
		{ "securityfs", CRIU_FS_SECURITYFS },
		{ "fusectl", CRIU_FS_FUSECTL },
		{ "debugfs", CRIU_FS_DEBUGFS },
		{ "tracefs", CRIU_FS_TRACEFS },
	};

	for (size_t i = 0; op->type && i < ARRAY_SIZE(types); i++)
		if (text_equal(op->type, types[i].type))
			return types[i].filesystem;
	return CRIU_FS_UNSUPPORTED;
}

/* Of kinds that belong to a container, or a part of its root. */
static bool is_own(const struct criu_mount *mount, uint64_t root_device)
{
	static const uint64_t kinds_of_own = 1ULL << CRIU_FS_PROC | 1ULL << CRIU_FS_SYSFS |
					     1ULL << CRIU_FS_TMPFS | 1ULL << CRIU_FS_DEVPTS |
					     1ULL << CRIU_FS_MQUEUE | 1ULL << CRIU_FS_CGROUP2;

	return (mount->filesystem < 64 && kinds_of_own >> mount->filesystem & 1) ||
	       mount->device == root_device;
}

/* The document's own mount at that place, of that kind; or a part of it that it makes read-only. */
static bool is_named(const struct restore *restore, int root, const struct criu_mount *mount,
		     uint64_t root_device)
{
	const struct plan *plan = &restore->create.plan;
	bool whole = text_equal(mount->root, "/");

	for (size_t i = 0; i < plan->mounts_n; i++) {
		const struct mount_op *op = &plan->mounts[i];

		if ((op->kind == MOUNT_NEW || op->kind == MOUNT_CGROUP) &&
		    (whole || op->kind == MOUNT_CGROUP) && filesystem_of(op) == mount->filesystem &&
		    mount->filesystem &&
		    text_equal(mount->point,
			       real_target(restore->create.runtime, root, op->target)))
			return true;
	}
	for (size_t i = 0; i < plan->protections_n; i++)
		if (plan->protections[i].kind == MOUNT_READONLY &&
		    text_equal(mount->point, plan->protections[i].target) &&
		    is_own(mount, root_device))
			return true;
	return plan->process.terminal && mount->filesystem == CRIU_FS_DEVPTS &&
	       text_equal(mount->point, "/dev/console");
}

/* With CAP_SYS_ADMIN the program may mount for itself. */
static bool is_allowed(const struct restore *restore, const struct criu_mount *mount,
		       uint64_t root_device)
{
	return restore->create.plan.process.caps.bounding >> CAP_SYS_ADMIN & 1 &&
	       is_own(mount, root_device);
}

static int check_mount(const struct restore *restore, int root, const struct criu_mount *mount,
		       uint64_t root_device, struct error *err)
{
	if (mount->key && has_key(restore, mount->key))
		return 0;
	if (mount->key || mount->external) {
		error_unsupported(err,
				  "the images have a mount at %s that config.json does not name",
				  mount->point);
		return error_hint(err, "a container is restored with the mounts that it was "
				       "checkpointed with, by the same destinations");
	}
	/* The root filesystem is the document's, whatever the images call it. */
	if (text_equal(mount->point, "/"))
		return 0;
	if (strstr(mount->options, "context=") && !restore->request.lsm_mount_context)
		return error_unsupported(err,
					 "the images have a label for the mount at %s, and "
					 "config.json has none",
					 mount->point);
	if (is_named(restore, root, mount, root_device) || is_allowed(restore, mount, root_device))
		return 0;
	return error_unsupported(
	    err, "the images have a mount at %s that config.json does not name", mount->point);
}

static int check_mount_table(const struct restore *restore, int root, const char *name,
			     struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct criu_records records;

	if (criu_image_read(arena, restore->place.images, name, CRIU_MAGIC_MOUNTS, &records, err) <
	    0)
		return -1;

	struct criu_mount *mounts = arena_array(arena, records.n, sizeof(*mounts));
	uint64_t root_device = 0;
	size_t roots = 0;

	for (size_t i = 0; i < records.n; i++) {
		if (criu_image_mount(arena, records.items[i], &mounts[i]) < 0)
			return damaged(name, err);
		if (!text_equal(mounts[i].point, "/"))
			continue;
		root_device = mounts[i].device;
		roots++;
	}
	/* A second one would cover the document's with anything. */
	if (roots > 1)
		return error_unsupported(err, "the images have a second mount at /, and "
					      "config.json names none");
	for (size_t i = 0; i < records.n; i++)
		if (check_mount(restore, root, &mounts[i], root_device, err) < 0)
			return -1;
	return 0;
}

/* ---- rights ---- */

static int too_much(const char *what, pid_t pid, struct error *err)
{
	error_unsupported(err, "process %d of the images has %s", pid, what);
	return error_hint(err, "a restored process gets what the restore's config.json gives, and "
			       "never more");
}

static bool is_chain_complete(const struct restore *restore, const struct criu_filters *filters,
			      uint64_t last)
{
	const struct seccomp_program *program = &restore->create.seccomp.program;
	size_t size = program->length * sizeof(*program->filter);

	/* No more steps than filters: a circle ends, too. */
	for (size_t steps = 0; steps <= filters->n && last < filters->n; steps++) {
		const struct criu_filter *filter = &filters->items[last];

		if (filter->size == size && memcmp(filter->data, program->filter, size) == 0)
			return true;
		if (!filter->has_previous)
			return false;
		last = filter->previous;
	}
	return false;
}

static int check_seccomp(const struct restore *restore, const struct criu_filters *filters,
			 const struct criu_rights *rights, pid_t pid, struct error *err)
{
	if (restore->create.seccomp.program.length == 0)
		return 0;
	if (rights->seccomp_mode == 2 &&
	    is_chain_complete(restore, filters, rights->seccomp_filter))
		return 0;
	too_much("not the seccomp filter of config.json", pid, err);
	return error_at(err, "/linux/seccomp");
}

static int check_label(const struct restore *restore, const struct criu_rights *rights, pid_t pid,
		       struct error *err)
{
	if (rights->has_policy)
		return too_much("an AppArmor policy of its own", pid, err);
	if (restore->request.lsm_profile || !rights->label || !rights->label[0] ||
	    text_equal(rights->label, "unconfined"))
		return 0;
	return too_much("a security label, and config.json has none", pid, err);
}

/* Ids change by CAP_SETUID, or by a program that may raise its privileges. */
static bool may_change_ids(const struct plan_process *process)
{
	return !process->no_new_privileges ||
	       process->caps.bounding & (1ULL << CAP_SETUID | 1ULL << CAP_SETGID);
}

static bool are_ids(const struct criu_rights *rights, const struct plan_process *process)
{
	return rights->uid == process->uid && rights->euid == process->uid &&
	       rights->suid == process->uid && rights->gid == process->gid &&
	       rights->egid == process->gid && rights->sgid == process->gid;
}

static int check_rights(const struct restore *restore, const struct criu_filters *filters,
			const struct criu_rights *rights, pid_t pid, struct error *err)
{
	const struct plan_process *process = &restore->create.plan.process;
	uint64_t all = process->caps.bounding | process->caps.permitted;
	uint64_t has =
	    rights->inheritable | rights->permitted | rights->effective | rights->ambient;

	if (!rights->has_credentials)
		return damaged("core", err);
	if (rights->bounding & ~process->caps.bounding)
		return too_much("capabilities in its bounding set that config.json does not give",
				pid, err);
	if (has & ~(all | process->caps.inheritable))
		return too_much("capabilities that config.json does not give", pid, err);
	if (process->no_new_privileges && !rights->no_new_privs)
		return too_much("not no_new_privs, which config.json wants", pid, err);
	if (!may_change_ids(process) && !restore->create.plan.namespaces.maps &&
	    !are_ids(rights, process))
		return too_much("other ids than config.json, and could not change them", pid, err);
	if (check_label(restore, rights, pid, err) < 0)
		return -1;
	return check_seccomp(restore, filters, rights, pid, err);
}

/* ---- tasks ---- */

static int read_filters(const struct restore *restore, struct criu_filters *filters,
			struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct criu_records records;

	*filters = (struct criu_filters){ 0 };
	if (restore->create.seccomp.program.length == 0)
		return 0;
	if (criu_image_read(arena, restore->place.images, "seccomp.img", CRIU_MAGIC_SECCOMP,
			    &records, err) < 0)
		return -1;
	if (records.n == 0)
		return 0;
	return criu_image_filters(arena, records.items[0], filters) < 0
		   ? damaged("seccomp.img", err)
		   : 0;
}

static int read_rights(const struct restore *restore, pid_t pid, struct criu_rights *rights,
		       struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct criu_records records;
	char name[32];

	snprintf(name, sizeof(name), "core-%d.img", pid);
	if (criu_image_read(arena, restore->place.images, name, CRIU_MAGIC_CORE, &records, err) < 0)
		return -1;
	if (records.n != 1 || criu_image_rights(arena, records.items[0], rights) < 0)
		return damaged(name, err);
	return 0;
}

static int check_thread(const struct restore *restore, const struct criu_filters *filters,
			pid_t pid, struct error *err)
{
	struct criu_rights rights = { 0 };

	if (pid < 0)
		return damaged("pstree.img", err);
	if (read_rights(restore, pid, &rights, err) < 0)
		return -1;
	return check_rights(restore, filters, &rights, pid, err);
}

static int read_namespaces(const struct restore *restore, const char *name, enum criu_magic magic,
			   struct criu_namespaces *namespaces, struct error *err)
{
	struct criu_records records;
	int result = -1;

	if (criu_image_read(restore->create.runtime->arena, restore->place.images, name, magic,
			    &records, err) < 0)
		return -1;
	if (records.n == 1)
		result = magic == CRIU_MAGIC_INVENTORY
			     ? criu_image_inventory(records.items[0], namespaces)
			     : criu_image_namespaces(records.items[0], namespaces);
	return result < 0 ? damaged(name, err) : 0;
}

static int check_mounts_of(const struct restore *restore, uint64_t id, struct error *err)
{
	char name[48];
	auto_fd root = open(restore->create.plan.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0) {
		error_system(err, errno, "cannot open the root filesystem %s",
			     restore->create.plan.rootfs);
		return error_at(err, "/root/path");
	}
	snprintf(name, sizeof(name), "mountpoints-%ju.img", (uintmax_t)id);
	return check_mount_table(restore, root, name, err);
}

static int check_task(const struct restore *restore, const struct criu_namespaces *host,
		      const struct criu_filters *filters, const struct criu_task *task,
		      struct error *err)
{
	struct criu_namespaces namespaces = { 0 };
	struct criu_rights rights = { 0 };
	char name[32];

	if (read_rights(restore, task->pid, &rights, err) < 0)
		return -1;
	/* A zombie has left its namespaces. */
	if (rights.is_dead && !rights.has_credentials)
		return 0;
	snprintf(name, sizeof(name), "ids-%d.img", task->pid);
	if (read_namespaces(restore, name, CRIU_MAGIC_IDS, &namespaces, err) < 0 ||
	    check_namespaces(&restore->create.plan, host, &namespaces, err) < 0 ||
	    check_mounts_of(restore, namespaces.ids[CRIU_NS_MNT], err) < 0)
		return -1;
	for (size_t i = 0; i < task->threads_n; i++)
		if (check_thread(restore, filters, task->threads[i], err) < 0)
			return -1;
	return check_rights(restore, filters, &rights, task->pid, err);
}

static int check_tasks(const struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct criu_namespaces host;
	struct criu_filters filters;
	struct criu_records records;

	if (read_namespaces(restore, "inventory.img", CRIU_MAGIC_INVENTORY, &host, err) < 0 ||
	    read_filters(restore, &filters, err) < 0 ||
	    criu_image_read(arena, restore->place.images, "pstree.img", CRIU_MAGIC_PSTREE, &records,
			    err) < 0)
		return -1;
	if (records.n == 0)
		return damaged("pstree.img", err);
	for (size_t i = 0; i < records.n; i++) {
		struct criu_task task;

		if (criu_image_task(arena, records.items[i], &task) < 0)
			return damaged("pstree.img", err);
		if (check_task(restore, &host, &filters, &task, err) < 0)
			return -1;
	}
	return 0;
}

int restore_check_images(struct restore *restore, struct error *err)
{
	struct stat st;

	if (check_directory(restore, restore->place.images, 0, err) < 0)
		return -1;
	if (fstatat(restore->place.images, "inventory.img", &st, 0) < 0 && errno == ENOENT) {
		error_state(err, "there is no checkpoint in %s", restore->place.image_path);
		return error_hint(err, "--image-path names the directory that a checkpoint was "
				       "written to; a pre-dump is only a part of one");
	}
	return check_tasks(restore, err) < 0 ? -1 : restore_check_cgroups(restore, err);
}
