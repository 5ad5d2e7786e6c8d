/*
 * What came of a restore, asked of the kernel before any of it runs: the namespaces, the ids, the
 * rights, the labels and the mounts that the document names.  The images were compared with it
 * before; here nothing is taken from them.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/inroot.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>
#include <creel/notify.h>
#include <creel/procfs.h>
#include <creel/text.h>

#define STATUS_MAX 16384

static int refused(struct error *err, const char *what)
{
	error_unsupported(err, "what was restored is not what config.json says: %s", what);
	return error_hint(err, "it has been killed before it could run");
}

/* ---- namespaces ---- */

static int namespace_inode(int procfs, pid_t pid, const char *link, ino_t *inode, struct error *err)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%d/ns/%s", pid, link);
	if (fstatat(procfs, path, &st, 0) < 0)
		return error_system(err, errno, "cannot examine the namespaces of process %d", pid);
	*inode = st.st_ino;
	return 0;
}

static int joined_inode(const struct plan_namespaces *plan, uint64_t flag, ino_t *inode,
			struct error *err)
{
	struct stat st;

	for (size_t i = 0; i < plan->joins_n; i++) {
		if (plan->joins[i].flag != flag)
			continue;
		if (stat(plan->joins[i].path, &st) < 0) {
			error_system(err, errno, "cannot examine the namespace %s",
				     plan->joins[i].path);
			return error_at(err, plan->joins[i].where);
		}
		*inode = st.st_ino;
		return 1;
	}
	return 0;
}

/* CRIU gives a time namespace to whom it likes: with it the clocks of the container go on. */
static int check_namespace(struct restore *restore, const struct namespace_row *row,
			   struct error *err)
{
	const struct plan_namespaces *plan = &restore->create.plan.namespaces;
	ino_t host = 0, inside = 0, joined = 0;
	int is_joined = joined_inode(plan, row->flag, &joined, err);

	if (is_joined < 0 ||
	    namespace_inode(restore->create.runtime->procfs, getpid(), row->link, &host, err) < 0 ||
	    namespace_inode(restore->create.runtime->procfs, restore->create.init, row->link,
			    &inside, err) < 0)
		return -1;
	if (inside != host)
		restore->create.more_namespaces |= row->flag;
	if (is_joined)
		return inside == joined ? 0 : refused(err, "it is not in the namespace to join");
	if ((plan->create & row->flag) && inside == host)
		return refused(err, "it is in a namespace of the host");
	if (!(plan->create & row->flag) && inside != host && row->flag != CLONE_NEWTIME)
		return refused(err, "it has a namespace that is not there");
	return 0;
}

static int check_namespaces(struct restore *restore, struct error *err)
{
	for (size_t i = 0; i < NAMESPACE_COUNT; i++)
		if (check_namespace(restore, &namespace_rows[i], err) < 0)
			return error_while(err, "the %s namespace", namespace_rows[i].name);
	return 0;
}

static bool are_ranges(const char *text, const struct idmap_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t values[3]; /* inside, outside, how many */

		if (text_take_uints(&text, " \n", values, 3) != 3 ||
		    values[0] != ranges[i].inside || values[1] != ranges[i].outside ||
		    values[2] != ranges[i].size)
			return false;
	}
	return text[strspn(text, " \n")] == '\0';
}

static int check_map(const struct restore *restore, const char *file,
		     const struct idmap_range *ranges, size_t n, struct error *err)
{
	char name[32], text[STATUS_MAX];

	snprintf(name, sizeof(name), "%d/%s", restore->create.init, file);
	if (procfs_read(restore->create.runtime->procfs, name, text, sizeof(text)) < 0)
		return error_system(err, errno, "cannot read %s of the restored process", file);
	return are_ranges(text, ranges, n) ? 0 : refused(err, "its user namespace has other ids");
}

static int check_maps(const struct restore *restore, struct error *err)
{
	const struct idmap *maps = restore->create.plan.namespaces.maps;

	if (!maps)
		return 0;
	if (check_map(restore, "uid_map", maps->uids, maps->uids_n, err) < 0)
		return -1;
	return check_map(restore, "gid_map", maps->gids, maps->gids_n, err);
}

/* ---- rights ---- */

static uint64_t value(const char *status, const char *key, int base)
{
	const char *found = strstr(status, key);

	return found ? strtoull(found + strlen(key), NULL, base) : UINT64_MAX;
}

static int check_status(const struct restore *restore, pid_t pid, struct error *err)
{
	const struct plan_process *process = &restore->create.plan.process;
	const struct caps *caps = &process->caps;
	char name[32], text[STATUS_MAX];

	snprintf(name, sizeof(name), "%d/status", pid);
	if (procfs_read(restore->create.runtime->procfs, name, text, sizeof(text)) < 0)
		return error_system(err, errno, "cannot read the status of process %d", pid);
	if (strstr(text, "State:\tZ") || strstr(text, "State:\tX"))
		return 0;
	if (value(text, "\nCapBnd:\t", 16) & ~caps->bounding)
		return refused(err, "capabilities in the bounding set");
	if (value(text, "\nCapPrm:\t", 16) & ~(caps->bounding | caps->permitted))
		return refused(err, "capabilities");
	if (process->no_new_privileges && value(text, "\nNoNewPrivs:\t", 10) != 1)
		return refused(err, "no_new_privs is not set");
	if (restore->create.seccomp.program.length > 0 && value(text, "\nSeccomp:\t", 10) != 2)
		return refused(err, "there is no seccomp filter");
	return 0;
}

/* "PROFILE (enforce)" of AppArmor; the whole label of SELinux. */
static int check_label(const struct restore *restore, pid_t pid, struct error *err)
{
	const char *wanted = restore->request.lsm_profile;
	char name[32], text[512];
	ssize_t length;
	size_t n;

	if (!wanted)
		return 0;
	wanted = strchr(wanted, ':') + 1;
	n = strlen(wanted);
	snprintf(name, sizeof(name), "%d/attr/current", pid);
	length = procfs_read(restore->create.runtime->procfs, name, text, sizeof(text));
	if (length < 0)
		return error_system(err, errno, "cannot read the label of process %d", pid);
	if (strncmp(text, wanted, n) == 0 && (text[n] == '\0' || text[n] == ' '))
		return 0;
	return refused(err, "the security label");
}

/* CRIU and its helpers are in the cgroup too, but not in the container's pid namespace. */
int restore_check_rights(const struct restore *restore, struct error *err)
{
	const struct create *create = &restore->create;
	ino_t own = 0, other = 0;
	pid_t *pids = NULL;
	size_t n = 0;

	if (create->cgroup.fd >= 0 &&
	    cgroup_pids(create->runtime->arena, create->cgroup.fd, &pids, &n, err) < 0)
		return -1;
	if (check_status(restore, create->init, err) < 0 ||
	    check_label(restore, create->init, err) < 0 ||
	    namespace_inode(create->runtime->procfs, create->init, "pid", &own, err) < 0)
		return -1;
	if (!(create->plan.namespaces.create & CLONE_NEWPID))
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct error gone = { 0 };

		if (namespace_inode(create->runtime->procfs, pids[i], "pid", &other, &gone) < 0) {
			error_ignore(&gone, "it was a helper of criu, and has ended");
			continue;
		}
		if (other == own && (check_status(restore, pids[i], err) < 0 ||
				     check_label(restore, pids[i], err) < 0))
			return -1;
	}
	return 0;
}

/* ---- mounts ---- */

static const struct {
	uint64_t attribute;
	const char *word;
} flag_words[] = {
	{ MOUNT_ATTR_RDONLY, "ro" },
	{ MOUNT_ATTR_NOSUID, "nosuid" },
	{ MOUNT_ATTR_NODEV, "nodev" },
	{ MOUNT_ATTR_NOEXEC, "noexec" },
};

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0'))
			return true;
	}
	return false;
}

static bool has_flags(const struct mount_line *line, uint64_t set)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_words); i++)
		if ((set & flag_words[i].attribute) && !has_word(line->flags, flag_words[i].word))
			return false;
	return true;
}

static int check_line(const struct mount_op *op, const struct mount_line *line, uint64_t set,
		      struct error *err)
{
	if (line && has_flags(line, set))
		return 0;
	refused(err, line ? "a mount lacks its flags" : "a mount is missing");
	error_while(err, "%s", op->target);
	return error_at(err, op->where);
}

/* What a path leads to that is not there needs no protection. */
static int check_protection(const struct restore *restore, int root, const char *table,
			    const struct mount_op *op, struct error *err)
{
	struct mount_line line;
	auto_fd fd = inroot_try(root, op->target, O_PATH);

	if (fd < 0)
		return 0;
	return check_line(
	    op,
	    checkpoint_find_mount(restore->create.runtime->arena, root, table, op->target, &line)
		? &line
		: NULL,
	    MOUNT_ATTR_RDONLY, err);
}

static int check_mount(const struct restore *restore, int root, const char *table,
		       const struct mount_op *op, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct mount_line line;
	bool found;

	if (op->kind != MOUNT_NEW && op->kind != MOUNT_CGROUP && op->kind != MOUNT_BIND)
		return 0;
	if (op->flags & MOUNT_COPY_LINK)
		return 0;
	found = checkpoint_find_mount(arena, root, table, op->target, &line);
	/* Only a checkpoint with a notify socket has it. */
	if (!op->where && !found)
		return 0;
	return check_line(op, found ? &line : NULL, op->set | op->recursive_set, err);
}

static int check_mounts(const struct restore *restore, struct error *err)
{
	const struct create *create = &restore->create;
	const struct plan *plan = &create->plan;
	const struct mount_op top = { .target = "/", .where = "/root/readonly" };
	struct mount_line line;
	char path[64];

	/* With it the program may have changed them before the checkpoint. */
	if (plan->process.caps.bounding >> CAP_SYS_ADMIN & 1)
		return 0;
	snprintf(path, sizeof(path), "%d/root", create->init);

	auto_fd root = openat(create->runtime->procfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *table =
	    mount_table_of(create->runtime->arena, create->runtime->procfs, create->init, err);

	if (!table)
		return -1;
	if (root < 0)
		return error_system(err, errno, "cannot open the root of process %d", create->init);
	if (plan->root_readonly &&
	    check_line(&top,
		       checkpoint_find_mount(create->runtime->arena, root, table, "/", &line)
			   ? &line
			   : NULL,
		       MOUNT_ATTR_RDONLY, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->mounts_n; i++)
		if (check_mount(restore, root, table, &plan->mounts[i], err) < 0)
			return -1;
	for (size_t i = 0; i < plan->protections_n; i++)
		if (check_protection(restore, root, table, &plan->protections[i], err) < 0)
			return -1;
	return 0;
}

int restore_check_container(struct restore *restore, struct error *err)
{
	if (check_namespaces(restore, err) < 0 || check_maps(restore, err) < 0)
		return -1;
	return check_mounts(restore, err);
}
