/* What of a running container is somebody else's: its mounts, and the namespaces that it joined. */
#include "checkpoint_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>

int checkpoint_check_joins(const struct plan *plan, struct error *err)
{
	static const uint64_t known = CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;

	for (size_t i = 0; i < plan->namespaces.joins_n; i++) {
		const struct plan_join *join = &plan->namespaces.joins[i];

		if (join->flag & known)
			continue;
		error_unsupported(err,
				  "a container that joins a %s namespace cannot be checkpointed",
				  namespace_of(join->flag)->name);
		return error_at(err, join->where);
	}
	return 0;
}

/* ---- mounts ---- */

/* The mount with ID, or that at POINT; the last one covers the others. */
static bool find_line(struct arena *arena, const char *table, int id, const char *point,
		      struct mount_line *found)
{
	char *text = arena_strdup(arena, table);
	struct mount_line line;
	bool is_there = false;

	while (mount_table_next(&text, &line)) {
		if (point ? !text_equal(line.point, point) : line.id != id)
			continue;
		*found = line;
		is_there = true;
	}
	return is_there;
}

/* A target may lie behind links of the image: then the kernel says which mount that is. */
bool checkpoint_find_mount(struct arena *arena, int root, const char *table, const char *target,
			   struct mount_line *line)
{
	struct statx status;

	if (find_line(arena, table, 0, target, line))
		return true;

	auto_fd fd = inroot_try(root, target, O_PATH);

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 ||
	    !(status.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return false;
	return find_line(arena, table, (int)status.stx_mnt_id, NULL, line);
}

/* What masks a path has one of two names: a restore cannot tell which of them fits the path. */
static int add_found(struct arena *arena, int root, const char *point,
		     const struct external_mount *mount, struct criu_pairs *pairs,
		     struct error *err)
{
	const char *key = mount->key;
	struct stat st;

	if (mount->op->kind == MOUNT_MASK) {
		auto_fd fd = inroot_open(root, point, O_PATH, err);

		if (fd < 0)
			return -1;
		if (fstat(fd, &st) < 0)
			return error_system(err, errno, "cannot examine %s", point);
		key = S_ISDIR(st.st_mode) ? CHECKPOINT_EMPTY : CHECKPOINT_NULL;
	}
	criu_pair_add(arena, pairs, (struct criu_pair){ .key = point, .value = key });
	return 0;
}

static bool is_listed(const struct criu_pairs *pairs, const char *point)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (text_equal(pairs->items[i].key, point))
			return true;
	return false;
}

/* What came with a recursive bind is as external as that. */
static void add_below(struct arena *arena, const char *table, const char *top,
		      const struct mount_op *op, struct criu_pairs *pairs)
{
	char *text = arena_strdup(arena, table);
	struct mount_line line;
	size_t n = strlen(top);

	if (op->kind != MOUNT_BIND || !(op->flags & MOUNT_RECURSIVE))
		return;
	while (mount_table_next(&text, &line))
		if (mount_is_below(line.point, top) && line.point[n] == '/' &&
		    !is_listed(pairs, line.point) && !strpbrk(line.point, "[]\n"))
			criu_pair_add(arena, pairs,
				      (struct criu_pair){
					  .key = line.point,
					  .value = external_mount_key(arena, op, line.point + n) });
}

static void add_all_below(struct arena *arena, int root, const char *table,
			  const struct external_mounts *mounts, struct criu_pairs *pairs)
{
	struct mount_line line;

	for (size_t i = 0; i < mounts->n; i++)
		if (checkpoint_find_mount(arena, root, table, mounts->items[i].op->target, &line))
			add_below(arena, table, line.point, mounts->items[i].op, pairs);
}

int checkpoint_find_mounts(struct arena *arena, int procfs, pid_t pid,
			   const struct external_mounts *mounts, struct criu_pairs *pairs,
			   struct error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/root", pid);

	auto_fd root = openat(procfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *table = mount_table_of(arena, procfs, pid, err);

	if (!table)
		return -1;
	if (root < 0)
		return error_system(err, errno, "cannot open the root of process %d", pid);
	for (size_t i = 0; i < mounts->n; i++) {
		const struct external_mount *mount = &mounts->items[i];
		struct mount_line line;

		if (!checkpoint_find_mount(arena, root, table, mount->op->target, &line))
			continue;
		/* CRIU writes it between brackets, and reads that again. */
		if (strpbrk(line.point, "[]\n")) {
			error_unsupported(err,
					  "a mount at a path with a bracket cannot be "
					  "checkpointed: %s",
					  line.point);
			return error_at(err, mount->op->where);
		}
		if (add_found(arena, root, line.point, mount, pairs, err) < 0)
			return -1;
	}
	/* The document's own mounts below others have their own names. */
	add_all_below(arena, root, table, mounts, pairs);
	return 0;
}
