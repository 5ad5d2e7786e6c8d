/*
 * The mounts of the document as one list of operations, and the paths to protect after the root has
 * changed.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/mount.h>
#include <string.h>

static bool mount_is_bind(const struct oci_mount *mount)
{
	return strings_has(&mount->options, "bind") || strings_has(&mount->options, "rbind") ||
	       (mount->type && strcmp(mount->type, "bind") == 0);
}

char *mount_destination(struct arena *arena, const char *destination)
{
	size_t size = strlen(destination);
	char *path = arena_alloc(arena, size + 2);
	size_t n = 0;

	while (*destination) {
		size_t part = strcspn(destination, "/");

		if (part == 2 && strncmp(destination, "..", 2) == 0) {
			while (n > 0 && path[--n] != '/')
				continue;
		} else if (part > 0 && !(part == 1 && destination[0] == '.')) {
			path[n++] = '/';
			memcpy(path + n, destination, part);
			n += part;
		}
		destination += part;
		destination += *destination == '/';
	}
	if (n == 0)
		path[n++] = '/';
	path[n] = '\0';
	return path;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Files of procfs that lxcfs and checkpointing mount over; all others could fool the runtime or the
 * kernel's users. */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

static int check_proc(const struct mount_op *op, const char *where, struct error *err)
{
	if (!is_below(op->target, "/proc"))
		return 0;
	if (strcmp(op->target, "/proc") == 0) {
		if (op->kind == MOUNT_BIND || op->kind == MOUNT_REMOUNT ||
		    text_equal(op->type, "proc"))
			return 0;
		return error_coded(
		    err, CRL_MOUNT_PLACE,
		    error_config_at(err, where,
				    "\"/proc\" cannot be mounted because it is not of type proc"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(proc_files); i++)
		if (strcmp(op->target, proc_files[i]) == 0)
			return 0;
	return error_coded(err, CRL_MOUNT_PLACE,
			   error_config_at(err, where,
					   "\"%s\" cannot be mounted because it is inside /proc",
					   op->target));
}

static int plan_target(const struct input *input, const struct oci_mount *mount,
		       struct mount_op *op, struct error *err)
{
	const char *where = pointer_key(input->arena, op->where, "destination");

	if (mount->destination[0] != '/')
		findings_say(input->request->findings, FINDING_WARNING, where,
			     "\"%s\" is relative, which is deprecated; it is taken from /",
			     mount->destination);
	op->target = mount_destination(input->arena, mount->destination);
	if (strcmp(op->target, "/") == 0)
		return error_coded(
		    err, CRL_MOUNT_PLACE,
		    error_config_at(err, where,
				    "the container's root cannot be a mount's destination"));
	return check_proc(op, where, err);
}

static void plan_kind(const struct oci_mount *mount, struct mount_op *op)
{
	op->type = mount->type;
	op->kind = MOUNT_NEW;
	if (strings_has(&mount->options, "remount"))
		op->kind = MOUNT_REMOUNT;
	else if (mount_is_bind(mount))
		op->kind = MOUNT_BIND;
	else if (text_equal(mount->type, "cgroup") || text_equal(mount->type, "cgroup2"))
		op->kind = MOUNT_CGROUP;
	if (op->kind == MOUNT_BIND || op->kind == MOUNT_REMOUNT)
		op->type = NULL;
	if (op->kind == MOUNT_CGROUP)
		op->type = "cgroup2";
}

static int plan_source(const struct input *input, const struct oci_mount *mount,
		       struct mount_op *op, struct error *err)
{
	const char *where = pointer_key(input->arena, op->where, "source");

	op->source = mount->source;
	if (op->kind != MOUNT_BIND)
		return 0;
	if (!mount->source || mount->source[0] == '\0')
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config_at(err, where, "a bind mount needs a source"));
	if (mount->source[0] != '/')
		op->source =
		    text_format(input->arena, "%s/%s", input->request->bundle, mount->source);
	return 0;
}

static int check_type(const struct input *input, const struct mount_op *op, struct error *err)
{
	if (op->kind != MOUNT_NEW)
		return 0;
	if (!op->type || op->type[0] == '\0')
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config_at(err,
						   pointer_key(input->arena, op->where, "type"),
						   "a mount needs a type, or the option bind"));
	if (strcmp(op->type, "sysfs") != 0 || !namespace_is_new(input->linux, OCI_NAMESPACE_USER) ||
	    namespace_entry(input->linux, OCI_NAMESPACE_NETWORK))
		return 0;
	error_coded(err, CRL_NEEDS_NAMESPACE,
		    error_config_at(err, op->where,
				    "sysfs cannot be mounted in a user namespace without a network "
				    "namespace of its own"));
	return error_hint(
	    err,
	    "bind the host's: type none, source /sys, options rbind, nosuid, noexec, nodev, ro");
}

/* The kernel refuses ids that its user namespace does not map with a mere EINVAL. */
static int check_ids(const struct mount_op *op, const struct idmap *maps, struct error *err)
{
	for (size_t i = 0; maps && i < op->options.n; i++) {
		const char *text = op->options.items[i];
		bool is_uid = text_starts_with(text, "uid=");
		uint64_t id = 0;
		uint32_t outside = 0;

		if ((!is_uid && !text_starts_with(text, "gid=")) ||
		    !text_parse_uint(text + 4, UINT32_MAX, &id))
			continue;
		if (idmap_lookup(is_uid ? maps->uids : maps->gids,
				 is_uid ? maps->uids_n : maps->gids_n, id, &outside))
			continue;
		return error_coded(
		    err, CRL_NOT_MAPPED,
		    error_config_at(err, op->option_where.items[i],
				    "cannot specify %.3s=%llu mount option: the id is not "
				    "mapped in the user namespace",
				    text, (unsigned long long)id));
	}
	return 0;
}

static bool has_option(const struct mount_op *op, const char *prefix)
{
	for (size_t i = 0; i < op->options.n; i++)
		if (text_starts_with(op->options.items[i], prefix))
			return true;
	return false;
}

static void add_option(const struct input *input, struct mount_op *op, const char *text,
		       const char *where)
{
	strings_add(input->arena, &op->options, arena_strdup(input->arena, text));
	strings_add(input->arena, &op->option_where, arena_strdup(input->arena, where));
}

/* These take their label from the kernel, and refuse the option. */
static bool takes_context(const struct mount_op *op)
{
	static const char *const without[] = { "proc", "sysfs", "mqueue" };

	if (op->kind != MOUNT_NEW || has_option(op, "context="))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		if (strcmp(op->type, without[i]) == 0)
			return false;
	return true;
}

static void plan_context(const struct input *input, struct mount_op *op)
{
	const char *kind =
	    string_map_get(&input->config->annotations, "run.oci.mount_context_type");
	const char *label = input->linux->mount_label;

	if (!label || !label[0] || !input->facts->selinux || !takes_context(op))
		return;
	/* fsconfig(2) takes one value at a time: no quotes are needed around the commas of a label.
	 */
	add_option(input, op, text_format(input->arena, "%s=%s", kind ? kind : "context", label),
		   "/linux/mountLabel");
}

static bool is_filesystem(const struct mount_op *op, const char *type)
{
	return op->kind == MOUNT_NEW && strcmp(op->type, type) == 0;
}

/*
 * A new filesystem becomes read-only as a whole, not just its mount.  Where nodes and mount points
 * must still be made - in a tmpfs, in /dev - the mount becomes read-only later, and the filesystem
 * never.
 */
static void plan_readonly(const struct input *input, struct mount_op *op)
{
	bool readonly = op->set & MOUNT_ATTR_RDONLY;

	if (!readonly)
		return;
	if (is_filesystem(op, "tmpfs") || is_below(op->target, "/dev"))
		op->flags |= MOUNT_LATE_READONLY;
	else if (op->kind == MOUNT_NEW)
		add_option(input, op, "ro", op->where);
}

static void plan_flags(const struct input *input, struct mount_op *op)
{
	if (is_filesystem(op, "proc") || is_filesystem(op, "sysfs") ||
	    strcmp(op->target, "/proc") == 0)
		op->flags |= MOUNT_REAL_TARGET;
	if (is_filesystem(op, "tmpfs") && !has_option(op, "mode="))
		op->flags |= MOUNT_INHERIT_MODE;
	if (op->kind == MOUNT_CGROUP && !namespace_entry(input->linux, OCI_NAMESPACE_CGROUP))
		op->flags |= MOUNT_OWN_CGROUP;
}

static int check_flags(const struct mount_op *op, struct error *err)
{
	if (op->flags & MOUNT_COPY_UP && !is_filesystem(op, "tmpfs"))
		return error_coded(
		    err, CRL_MOUNT_OPTION,
		    error_config_at(err, op->where, "tmpcopyup is for mounts of type tmpfs only"));
	if (op->idmap && op->kind != MOUNT_BIND && op->kind != MOUNT_NEW)
		return error_coded(
		    err, CRL_MOUNT_OPTION,
		    error_config_at(err, op->where, "this kind of mount cannot be idmapped"));
	return 0;
}

static int plan_one_mount(const struct input *input, const struct oci_mount *mount, size_t index,
			  const struct idmap *maps, struct mount_op *op, struct error *err)
{
	*op = (struct mount_op){ .tree = -1, .mounted = -1 };
	op->where = pointer_index(input->arena, "/mounts", index);
	plan_kind(mount, op);
	if (plan_target(input, mount, op, err) < 0)
		return -1;
	if (plan_source(input, mount, op, err) < 0)
		return -1;
	if (check_type(input, op, err) < 0)
		return -1;
	if (plan_mount_options_read(input->arena, mount, maps, op, err) < 0)
		return -1;
	if (check_flags(op, err) < 0)
		return -1;
	if (check_ids(op, maps, err) < 0)
		return -1;
	plan_context(input, op);
	plan_readonly(input, op);
	plan_flags(input, op);
	return 0;
}

/* True when TEXT is in the list before place N. */
static bool is_repeated(const struct strings *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list->items[i], list->items[n]) == 0)
			return true;
	return false;
}

static void protect(const struct input *input, const struct strings *paths, const char *base,
		    enum mount_kind kind, struct plan *plan)
{
	for (size_t i = 0; i < paths->n; i++) {
		if (is_repeated(paths, i))
			continue;
		plan->protections[plan->protections_n++] = (struct mount_op){
			.kind = kind,
			.target = mount_destination(input->arena, paths->items[i]),
			.tree = -1,
			.mounted = -1,
			.where = pointer_index(input->arena, base, i),
		};
	}
}

/* Read-only first: what is masked could no longer be found by its path. */
static void plan_protections(const struct input *input, struct plan *plan)
{
	const struct strings *readonly = &input->linux->readonly_paths;
	const struct strings *masked = &input->linux->masked_paths;

	plan->protections =
	    arena_array(input->arena, readonly->n + masked->n, sizeof(*plan->protections));
	protect(input, readonly, "/linux/readonlyPaths", MOUNT_READONLY, plan);
	protect(input, masked, "/linux/maskedPaths", MOUNT_MASK, plan);
}

/* Read-only: a socket can be written to all the same, and the directory is the host's.  After the
 * document's, which may mount on /run. */
static void plan_notify(const struct input *input, struct plan *plan)
{
	const struct plan_request *request = input->request;

	if (!request->notify_socket || !request->notify_directory ||
	    !namespace_is_new(input->linux, OCI_NAMESPACE_MOUNT))
		return;
	plan->notify = true;
	plan->mounts[plan->mounts_n++] = (struct mount_op){
		.kind = MOUNT_BIND,
		.target = NOTIFY_TARGET,
		.source = request->notify_directory,
		.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
		.tree = -1,
		.mounted = -1,
	};
}

int plan_mounts(const struct input *input, struct plan *plan, struct error *err)
{
	const struct oci_config *config = input->config;

	plan->mounts = arena_array(input->arena, config->mounts.n + 1 + plan_devices_max(input),
				   sizeof(*plan->mounts));
	for (size_t i = 0; i < config->mounts.n; i++) {
		if (plan_one_mount(input, &config->mounts.items[i], i, plan->namespaces.maps,
				   &plan->mounts[plan->mounts_n], err) == 0)
			plan->mounts_n++;
		else if (go_on(input, err) < 0)
			return -1;
	}
	plan_notify(input, plan);
	plan_devices(input, plan);
	plan_protections(input, plan);
	return 0;
}
