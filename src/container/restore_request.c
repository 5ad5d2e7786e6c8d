/*
 * What CRIU is told for a restore: the streams, namespaces and labels that it gets from us, and
 * where the mounts and the images wait for it.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>

static int keep(struct restore *restore, const char *key, int fd)
{
	const struct criu_pair pair = {
		.key = key,
		.fd = CRIU_FIRST_FD + (int)restore->keep_n,
	};

	criu_pair_add(restore->create.runtime->arena, &restore->request.inherited, pair);
	restore->keep[restore->keep_n++] = fd;
	return 0;
}

/* Our own instead of those that ended with the container that was saved. */
static int keep_streams(struct restore *restore, struct error *err)
{
	const char *keys[3] = { NULL };

	if (checkpoint_read_streams(restore->create.runtime->arena, restore->place.images, keys,
				    err) < 0)
		return -1;
	for (int stream = 0; stream < 3; stream++) {
		bool known = false;

		/* Two may have been the same: the first that is ours serves both. */
		for (int before = 0; before < stream; before++)
			known |= text_equal(keys[before], keys[stream]);
		if (keys[stream] && !known && keep(restore, keys[stream], stream) < 0)
			return -1;
	}
	return 0;
}

static int keep_namespaces(struct restore *restore, struct error *err)
{
	const struct plan_namespaces *ns = &restore->create.plan.namespaces;

	for (size_t i = 0; i < ns->joins_n; i++) {
		const struct plan_join *join = &ns->joins[i];
		const char *key = external_namespace_key(join->flag);
		int fd = namespace_open(join->path, join->flag, err);

		if (fd < 0)
			return error_at(err, join->where);
		if (key) {
			if (keep(restore, key, fd) < 0)
				return -1;
			continue;
		}
		close(fd);
		criu_pair_add(restore->create.runtime->arena, &restore->request.joins,
			      (struct criu_pair){ .key = namespace_of(join->flag)->link,
						  .value = join->path });
	}
	return 0;
}

static const char *label(const struct restore *restore)
{
	const struct facts *facts = &restore->create.runtime->facts;
	const struct plan_process *process = &restore->create.plan.process;
	struct arena *arena = restore->create.runtime->arena;

	if (restore->options->lsm_profile)
		return restore->options->lsm_profile;
	if (facts->apparmor && process->apparmor_profile)
		return text_format(arena, "apparmor:%s", process->apparmor_profile);
	if (facts->selinux && process->selinux_label)
		return text_format(arena, "selinux:%s", process->selinux_label);
	return NULL;
}

static const char *mount_context(const struct restore *restore)
{
	const struct oci_linux *config = restore->create.config.linux;

	if (restore->options->lsm_mount_context)
		return restore->options->lsm_mount_context;
	if (!restore->create.runtime->facts.selinux || !config || !config->mount_label ||
	    !config->mount_label[0])
		return NULL;
	return config->mount_label;
}

static void place(struct restore *restore, const char *key, const char *name)
{
	struct arena *arena = restore->create.runtime->arena;
	const char *path = text_format(arena, "%s/%s", restore->stage_path, name);

	criu_pair_add(arena, &restore->request.mounts,
		      (struct criu_pair){ .key = key, .value = path });
}

/* What is mounted below the source of a recursive bind comes with it. */
static int place_below(struct restore *restore, const struct external_mount *mount,
		       struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	char source[PATH_MAX];
	struct mount_line line;

	if (mount->op->kind != MOUNT_BIND || !(mount->op->flags & MOUNT_RECURSIVE))
		return 0;
	/* Whatever is wrong with it is said when it is mounted. */
	if (!realpath(mount->op->source, source))
		return 0;

	char *table = mount_table_read(arena, restore->create.runtime->procfs, err);
	size_t n = text_equal(source, "/") ? 0 : strlen(source);

	if (!table)
		return -1;
	while (mount_table_next(&table, &line))
		if (mount_is_below(line.point, source) && line.point[n] == '/' && line.point[n + 1])
			place(restore, external_mount_key(arena, mount->op, line.point + n),
			      text_format(arena, "%s%s", mount->key, line.point + n));
	return 0;
}

/*
 * The state directory is nobody's but ours.  In a user namespace CRIU has to find its way as
 * somebody else: there some directory that everybody can enter is covered, which nobody but CRIU's
 * mount namespace will see.
 */
static const char *stage_path(const struct restore *restore)
{
	static const char *const open_to_all[] = { "/media", "/mnt", "/srv", "/opt" };
	const struct create *create = &restore->create;
	struct stat st;

	for (size_t i = 0; create->plan.namespaces.maps && i < ARRAY_SIZE(open_to_all); i++)
		if (fstatat(AT_FDCWD, open_to_all[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode) && (st.st_mode & S_IXOTH) &&
		    !mount_is_below(create->plan.rootfs, open_to_all[i]))
			return open_to_all[i];
	return text_format(create->runtime->arena, "%s/%s/" RESTORE_STAGE,
			   create->runtime->root_path, create->options->id);
}

static int place_mounts(struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;

	external_mounts_list(arena, &restore->create.plan, &restore->mounts);
	restore->stage_path = stage_path(restore);
	place(restore, CHECKPOINT_NULL, CHECKPOINT_NULL);
	place(restore, CHECKPOINT_EMPTY, CHECKPOINT_EMPTY);
	for (size_t i = 0; i < restore->mounts.n; i++) {
		const struct external_mount *mount = &restore->mounts.items[i];

		if (mount->op->kind == MOUNT_MASK)
			continue;
		place(restore, mount->key, mount->key);
		if (place_below(restore, mount, err) < 0)
			return -1;
	}
	return 0;
}

static const char *real_path(struct restore *restore, const char *path, struct error *err)
{
	char real[PATH_MAX];

	if (realpath(path, real))
		return arena_strdup(restore->create.runtime->arena, real);
	error_system(err, errno, "cannot find the directory %s", path);
	return NULL;
}

/*
 * In a user namespace CRIU has no more rights than its root has, to whom the images do not belong:
 * there it sees them through a mount that says they do; with what is beside them, to which they may
 * have a link.
 */
static int place_images(struct restore *restore, struct error *err)
{
	struct arena *arena = restore->create.runtime->arena;
	const struct idmap *maps = restore->create.plan.namespaces.maps;
	const char *path = real_path(restore, restore->place.image_path, err);
	const char *slash = path ? strrchr(path, '/') : NULL;

	restore->work_path = path ? real_path(restore, restore->place.work_path, err) : NULL;
	if (!restore->work_path)
		return -1;
	restore->image_path = path;
	if (!maps)
		return 0;
	restore->image_mount = (struct mount_op){
		.kind = MOUNT_BIND,
		.target = RESTORE_IMAGES,
		.source = slash > path ? arena_strndup(arena, path, (size_t)(slash - path)) : "/",
		.idmap = maps,
		.tree = -1,
		.mounted = -1,
	};
	restore->image_path =
	    text_format(arena, "%s/" RESTORE_IMAGES "%s", restore->stage_path, slash);
	return 0;
}

/*
 * In the first cgroup namespace CRIU would see, and mount, those of the host.  The container's own
 * cgroup is there and set up already: "full" would write to what is not writable in it, and
 * "strict" would refuse it.  Those inside are new, and there all modes do the same.
 */
static int root_cgroups(struct restore *restore, struct error *err)
{
	if (restore->request.cgroups == CRIU_CGROUPS_IGNORE)
		return 0;
	restore->request.cgroups = CRIU_CGROUPS_SOFT;
	if (!(restore->create.plan.namespaces.create & CLONE_NEWCGROUP))
		return error_unsupported(err, "cgroups inside of a container without a cgroup "
					      "namespace cannot be restored");
	restore->request.cgroup_root = "/";
	return 0;
}

int restore_make_request(struct restore *restore, struct error *err)
{
	struct create *create = &restore->create;
	const struct criu_options *options = &restore->options->criu;

	restore->request = (struct criu_request){
		.kind = CRIU_RESTORE,
		.log_file = RESTORE_LOG,
		.root = create->plan.rootfs,
		.sibling = true,
		.lsm_profile = label(restore),
		.lsm_mount_context = mount_context(restore),
	};
	if (criu_place_open(create->runtime, options, false, RESTORE_LOG, &restore->place, err) <
		0 ||
	    criu_fill_request(create->runtime->arena, options, create, &restore->place,
			      &restore->request, err) < 0 ||
	    root_cgroups(restore, err) < 0 || keep_streams(restore, err) < 0 ||
	    keep_namespaces(restore, err) < 0)
		return -1;
	return place_mounts(restore, err) < 0 ? -1 : place_images(restore, err);
}
