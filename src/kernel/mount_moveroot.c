/*
 * --no-pivot: the root filesystem is moved over "/", for ramdisks, which cannot be pivoted.  The
 * old root stays below it, out of sight but alive, so everything dangerous in it goes first.
 */
#include "mount_parts.h"

#include <errno.h>
#include <string.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/procfs.h>

#include "syscalls.h"

static const char *find_point(char *table, uint64_t id)
{
	struct mount_line line;

	while (mount_table_next(&table, &line))
		if ((uint64_t)line.id == id)
			return line.point;
	return NULL;
}

static int cover(const char *point, struct error *err)
{
	auto_fd context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_system(err, errno, "cannot hide the host's %s", point);

	auto_fd empty = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);

	if (empty < 0)
		return error_system(err, errno, "cannot hide the host's %s", point);
	if (move_mount(empty, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_system(err, errno, "cannot hide the host's %s", point);
	return 0;
}

/*
 * A proc or sysfs that nothing covers, even one out of reach, is what mount_too_revealing() asks
 * for: with it a user namespace inside could mount its own and see what is masked.  One that cannot
 * be unmounted, because a more privileged namespace locked it, is covered.
 */
static int remove_kernel_mounts(const char *rootfs, char *table, struct error *err)
{
	struct mount_line line;

	while (mount_table_next(&table, &line)) {
		if (strcmp(line.type, "proc") != 0 && strcmp(line.type, "sysfs") != 0)
			continue;
		if (mount_is_below(line.point, rootfs))
			continue;
		if (umount2(line.point, MNT_DETACH) == 0 || errno == ENOENT)
			continue;
		if (errno != EINVAL && errno != EPERM)
			return error_system(err, errno, "cannot unmount the host's %s", line.point);
		if (cover(line.point, err) < 0)
			return -1;
	}
	return 0;
}

/* Nothing of it may reach the host: neither the unmounting nor the move. */
static int isolate(struct error *err)
{
	return mount_propagate_at("/", MS_SLAVE | MS_REC, err);
}

int mount_move_root(int root, struct error *err)
{
	auto_arena arena = { 0 };
	auto_fd procfs = procfs_open(err);
	struct statx status;

	if (procfs < 0)
		return -1;
	if (statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0)
		return error_system(err, errno, "cannot examine the root filesystem");

	char *table = mount_table_read(&arena, procfs, err);

	if (!table)
		return -1;

	const char *rootfs = find_point(arena_strdup(&arena, table), status.stx_mnt_id);

	if (!rootfs)
		return error_system(err, ENOENT, "cannot find the mount of the root filesystem");
	if (isolate(err) < 0)
		return error_while(err, "moving the root filesystem over /");
	if (remove_kernel_mounts(rootfs, table, err) < 0)
		return -1;
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_system(err, errno, "cannot move the root filesystem over /");
	return 0;
}
