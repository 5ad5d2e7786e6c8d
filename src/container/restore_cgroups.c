/*
 * The cgroups that images name.  CRIU makes paths of the words in them, below a mount of the
 * container's own cgroup: with a ".." they would lead into the file systems of the host, and a
 * hierarchy of version 1 would be mounted there and then, all of it.
 */
#include "restore_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <creel/criu_image.h>
#include <creel/error.h>

#define IMAGE "cgroup.img"

static bool has_dots(const char *path)
{
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");

		if ((n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
			return true;
		at += n + strspn(at + n, "/");
	}
	return false;
}

static bool is_in(const struct idmap_range *ranges, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (id >= ranges[i].outside && id - ranges[i].outside < ranges[i].size)
			return true;
	return false;
}

/* With a user namespace, one of its own ids, or root's, who needs no file to belong to it. */
static bool may_own(const struct idmap *maps, const struct criu_owner *owner)
{
	return !maps || ((owner->uid == 0 || is_in(maps->uids, maps->uids_n, owner->uid)) &&
			 (owner->gid == 0 || is_in(maps->gids, maps->gids_n, owner->gid)));
}

static int check_names(const struct criu_cgroup_names *cgroups, struct error *err)
{
	for (size_t i = 0; i < cgroups->paths.n; i++)
		if (has_dots(cgroups->paths.items[i]))
			return error_unsupported(err,
						 "the images have a cgroup %s, which leads out of "
						 "the container's",
						 cgroups->paths.items[i]);
	for (size_t i = 0; i < cgroups->files.n; i++) {
		const char *name = cgroups->files.items[i];

		if (!name[0] || strchr(name, '/') || has_dots(name))
			return error_unsupported(
			    err, "the images write to %s, which is no file of a cgroup", name);
	}
	return 0;
}

static int check_hierarchies(const struct criu_cgroup_names *cgroups, struct error *err)
{
	for (size_t i = 0; i < cgroups->controllers.n; i++) {
		const char *name = cgroups->controllers.items[i];

		if (!name[0])
			continue;
		error_unsupported(err, "the images have cgroups of version 1 (%s)", name);
		return error_hint(err, "they were made on a host that has such; checkpoint there "
				       "with --manage-cgroups-mode ignore");
	}
	return 0;
}

int restore_check_cgroups(struct restore *restore, struct error *err)
{
	const struct create *create = &restore->create;
	struct criu_request *request = &restore->request;
	const enum criu_cgroups mode = request->cgroups;
	const char *root = request->cgroup_root;
	struct criu_records records;
	struct criu_cgroup_names cgroups;
	struct stat st;

	/* What was saved without cgroups can only be restored so. */
	request->cgroups = CRIU_CGROUPS_IGNORE;
	request->cgroup_root = NULL;
	if (fstatat(restore->place.images, IMAGE, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	if (criu_image_read(create->runtime->arena, restore->place.images, IMAGE, CRIU_MAGIC_CGROUP,
			    &records, err) < 0)
		return -1;
	if (records.n == 0)
		return 0;
	if (records.n > 1 ||
	    criu_image_cgroups(create->runtime->arena, records.items[0], &cgroups) < 0)
		return error_unsupported(err, "the image " IMAGE " is damaged");
	for (size_t i = 0; i < cgroups.owners_n; i++)
		if (!may_own(create->plan.namespaces.maps, &cgroups.owners[i]))
			return error_unsupported(err, "the images give a cgroup to an id that the "
						      "user namespace does not have");
	if (check_names(&cgroups, err) < 0 || check_hierarchies(&cgroups, err) < 0)
		return -1;
	if (cgroups.has_hierarchies) {
		request->cgroups = mode;
		request->cgroup_root = root;
	}
	return 0;
}
