/*
 * The process that becomes CRIU for a restore.  Before that it makes its surroundings: the
 * container's cgroup, where it was born, becomes the root of what it can see of cgroups; in a mount
 * namespace of its own the root filesystem and every external mount wait as the document wants
 * them.  What the images say can choose among these only.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/message.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>
#include <creel/process.h>

/* ---- external mounts ---- */

static int open_stage(const struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	struct mount_op op = {
		.kind = MOUNT_NEW,
		.target = restore->stage_path,
		.type = "tmpfs",
		.source = "creel",
		.tree = -1,
		.mounted = -1,
	};
	auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_system(err, errno, "cannot open /");
	strings_add(arena, &op.options, arena_strdup(arena, "mode=755"));
	if (mount_apply(root, &op, err) < 0)
		return error_while(err, "making a place for mounts");
	return inroot_open(root, restore->stage_path, O_PATH | O_DIRECTORY, err);
}

/* Whatever it masks, it is one of these two: the type of the place is in the image's name. */
static int stage_masks(int stage, struct error *err)
{
	struct mount_masks masks = { .directory = -1, .null = -1 };
	const struct mount_op null = { .kind = MOUNT_MASK, .target = CHECKPOINT_NULL };
	const struct mount_op empty = { .kind = MOUNT_MASK, .target = CHECKPOINT_EMPTY };
	auto_fd file = inroot_make_file(stage, CHECKPOINT_NULL, err);
	auto_fd directory =
	    file < 0 ? -1 : inroot_make_directory(stage, CHECKPOINT_EMPTY, 0755, err);
	int result = -1;

	if (directory >= 0 && mount_masks_open(&masks, err) == 0 &&
	    mount_mask(stage, &masks, &null, err) == 0)
		result = mount_mask(stage, &masks, &empty, err);
	mount_masks_close(&masks);
	return result;
}

static int stage_images(struct restore *restore, int stage, struct error *err)
{
	struct mount_op *op = &restore->image_mount;

	if (!op->source)
		return 0;
	if (mount_apply(stage, op, err) < 0 || mount_finish(op, err) < 0)
		return error_while(err, "showing the images to the container's root");
	return 0;
}

/* All of them, before the stage covers a part of the host. */
static int open_sources(struct restore *restore, struct error *err)
{
	int procfs = restore->create.runtime->procfs;

	for (size_t i = 0; i < restore->mounts.n; i++) {
		struct mount_op *op = restore->mounts.items[i].op;

		if (op->kind == MOUNT_BIND && op->tree < 0 &&
		    mount_open_source(procfs, op, -1, err) < 0)
			return error_at(err, op->where);
	}
	return restore->image_mount.source
		   ? mount_open_source(procfs, &restore->image_mount, -1, err)
		   : 0;
}

static int stage_one(int stage, const struct external_mount *mount, struct error *err)
{
	struct mount_op op = *mount->op;

	op.target = mount->key;
	op.flags &= ~(unsigned int)MOUNT_TARGET_NOFOLLOW;
	if (mount_apply(stage, &op, err) < 0 || mount_finish(&op, err) < 0)
		return error_at(err, mount->op->where);
	return 0;
}

/* ---- mount points ---- */

/* Below a mount that CRIU fills from the images the mount point comes with that. */
static bool is_in_new_mount(const struct plan *plan, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (plan->mounts[i].kind == MOUNT_NEW &&
		    mount_is_below(plan->mounts[index].target, plan->mounts[i].target))
			return true;
	return false;
}

static int make_point(const struct restore *restore, int root, int stage, size_t index,
		      struct error *err)
{
	const struct mount_op *op = &restore->create.plan.mounts[index];
	struct stat st = { .st_mode = S_IFDIR };
	int fd;

	for (size_t i = 0; i < restore->mounts.n; i++)
		if (restore->mounts.items[i].op == op &&
		    fstatat(stage, restore->mounts.items[i].key, &st, 0) < 0)
			return error_system(err, errno, "cannot examine the mount for %s",
					    op->target);
	fd = S_ISDIR(st.st_mode) ? inroot_make_directory(root, op->target, 0755, err)
				 : inroot_make_file(root, op->target, err);
	if (fd < 0)
		return error_at(err, op->where);
	close(fd);
	return 0;
}

static bool is_mount(const struct mount_op *op)
{
	return op->kind == MOUNT_NEW || op->kind == MOUNT_CGROUP || op->kind == MOUNT_BIND;
}

static int make_points(const struct restore *restore, int root, int stage, struct error *err)
{
	const struct plan *plan = &restore->create.plan;

	for (size_t i = 0; i < plan->mounts_n; i++)
		if (is_mount(&plan->mounts[i]) && !(plan->mounts[i].flags & MOUNT_COPY_LINK) &&
		    !is_in_new_mount(plan, i) && make_point(restore, root, stage, i, err) < 0)
			return -1;
	return 0;
}

static int prepare_mounts(struct restore *restore, struct error *err)
{
	const struct plan *plan = &restore->create.plan;
	auto_fd root = -1, stage = -1;

	if (namespace_unshare(CLONE_NEWNS, err) < 0 || open_sources(restore, err) < 0)
		return -1;
	root = mount_prepare_root(plan->rootfs, MS_SLAVE | MS_REC, err);
	if (root < 0)
		return error_at(err, "/root/path");
	stage = open_stage(restore, err);
	if (stage < 0 || stage_masks(stage, err) < 0 || stage_images(restore, stage, err) < 0)
		return -1;
	for (size_t i = 0; i < restore->mounts.n; i++)
		if (restore->mounts.items[i].op->kind != MOUNT_MASK &&
		    stage_one(stage, &restore->mounts.items[i], err) < 0)
			return -1;
	if (make_points(restore, root, stage, err) < 0)
		return -1;
	/* CRIU copies the mount as it is. */
	if (plan->root_readonly && mount_root_readonly(root, err) < 0)
		return error_at(err, "/root/readonly");
	return 0;
}

/* ---- becoming CRIU ---- */

static int become_criu(struct restore *restore, struct error *err)
{
	struct create *create = &restore->create;
	mode_t mask;

	if (process_die_with_parent(SIGKILL, 0, err) < 0 ||
	    message_expect(create->peer, MESSAGE_GO, -1, err) < 0)
		return -1;
	/* Its root is the cgroup that we were born in: all that CRIU, and the images, can name is
	 * below that.  Before it is mounted. */
	if ((create->plan.namespaces.create & CLONE_NEWCGROUP) &&
	    namespace_unshare(CLONE_NEWCGROUP, err) < 0)
		return -1;
	/* Mount points have the mode that is asked for. */
	mask = umask(0);
	if (prepare_mounts(restore, err) < 0)
		return -1;
	umask(mask);
	if (message_send(create->peer, MESSAGE_READY, 0, -1, err) < 0)
		return -1;
	fd_close(&create->container.dir);
	return criu_exec(restore->program, restore->criu.peer, restore->keep, restore->keep_n, err);
}

void restore_child_main(struct restore *restore)
{
	struct create *create = &restore->create;
	struct error err = { 0 };

	fd_close(&create->channel);
	fd_close(&restore->criu.socket);
	message_log_to(&create->peer);
	become_criu(restore, &err);
	message_send_error(create->peer, &err);
	_exit(1);
}
