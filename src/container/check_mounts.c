/* Each mount of the plan against this host: its source, its filesystem, its options, and whether
 * its ids can be mapped. */
#include "check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/mount_table.h>

static bool is_in_userns(const struct checker *check)
{
	for (size_t i = 0; i < check->plan->namespaces.joins_n; i++)
		if (check->plan->namespaces.joins[i].flag == CLONE_NEWUSER)
			return true;
	return check->plan->namespaces.maps != NULL;
}

/* "/mounts/7/source" for a mount of the document; a device has no source of its own. */
static const char *source_of(const struct checker *check, const struct mount_op *op)
{
	if (op->where && text_starts_with(op->where, "/mounts/"))
		return checker_key(check, op->where, "source");
	return op->where;
}

/* As `create` opens it itself: this finds out whether it can be cloned, and mapped. */
static int try_source(const struct checker *check, const struct mount_op *op, struct error *err)
{
	struct mount_op copy = *op;
	int result = mount_open_source(check->runtime->procfs, &copy, -1, err);

	fd_close(&copy.tree);
	if (result < 0 && err->errnum == EPERM && check->facts->in_userns && !op->idmap)
		return 0;
	return result;
}

static int find_source(const struct mount_op *op, struct error *err)
{
	const bool nofollow = op->flags & (MOUNT_SOURCE_NOFOLLOW | MOUNT_COPY_LINK);
	auto_fd fd = open(op->source, O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0));

	if (fd >= 0)
		return 0;
	error_system(err, errno, "cannot open the source %s of the mount at %s", op->source,
		     op->target);
	if (err->errnum == ENOENT)
		return error_hint(err, "the source of a bind mount is looked up on the host");
	return -1;
}

/* Whether an earlier mount covers the place of the one with number INDEX. */
static bool is_covered(const struct checker *check, size_t index)
{
	const struct mount_op *ops = check->plan->mounts;

	for (size_t i = 0; i < index; i++)
		if (ops[i].kind != MOUNT_REMOUNT &&
		    mount_is_below(ops[index].target, ops[i].target))
			return true;
	return false;
}

static void check_shape(const struct checker *check, size_t index)
{
	const struct mount_op *op = &check->plan->mounts[index];
	struct error err = { 0 };
	struct stat source, target;
	auto_fd fd = -1;

	if (check->root < 0 || is_covered(check, index) || stat(op->source, &source) < 0)
		return;
	fd = inroot_try(check->root, op->target, O_PATH);
	if (fd < 0 || fstat(fd, &target) < 0 || S_ISDIR(source.st_mode) == S_ISDIR(target.st_mode))
		return;
	error_system(&err, S_ISDIR(source.st_mode) ? ENOTDIR : EISDIR,
		     "cannot mount %s %s on %s %s",
		     S_ISDIR(source.st_mode) ? "the directory" : "the file", op->source,
		     S_ISDIR(source.st_mode) ? "the file" : "the directory", op->target);
	error_hint(&err,
		   "where a file of the host is missing, engines make a directory of its name");
	checker_error(check, &err, op->where, CRL_MOUNT_FILE_DIRECTORY);
}

static void check_bind(const struct checker *check, size_t index)
{
	const struct mount_op *op = &check->plan->mounts[index];
	struct error err = { 0 };
	int result = find_source(op, &err);

	if (result == 0 && check->facts->is_admin && !check->user.set &&
	    (op->idmap || is_in_userns(check)))
		result = try_source(check, op, &err);
	if (result == 0)
		check_shape(check, index);
	else if (!checker_is_hidden(check, err.errnum))
		checker_error(check, &err,
			      err.where[0] || err.code == CRL_NO_IDMAP ? op->where
								       : source_of(check, op),
			      err.code ? err.code : CRL_MOUNT_SOURCE);
}

/* ---- new filesystems ---- */

static const char *type_of(const struct checker *check, const struct mount_op *op)
{
	return op->where && text_starts_with(op->where, "/mounts/")
		   ? checker_key(check, op->where, "type")
		   : op->where;
}

static void say_no_type(const struct checker *check, const struct mount_op *op)
{
	struct error err = { 0 };

	error_unsupported(&err, "this kernel has no filesystem of the type %s", op->type);
	if (text_equal(op->type, "none") || text_equal(op->type, "bind"))
		error_hint(&err, "a bind mount needs the option bind or rbind");
	else
		error_hint(&err, "it is not in /proc/filesystems, and no module of that name is "
				 "installed");
	checker_error(check, &err, type_of(check, op), CRL_NO_FILESYSTEM);
}

static void check_device(const struct checker *check, const struct mount_op *op)
{
	struct error err = { 0 };

	if (is_in_userns(check) && !text_equal(op->type, "fuseblk")) {
		error_system(&err, EPERM, "%s cannot be mounted in a user namespace", op->type);
		error_hint(&err, "mount it on the host, and bind that");
		checker_error(check, &err, type_of(check, op), CRL_MOUNT);
		return;
	}
	if (op->source && op->source[0] == '/' && access(op->source, F_OK) < 0) {
		error_system(&err, errno, "cannot find the device %s", op->source);
		checker_error(check, &err, source_of(check, op), CRL_MOUNT_SOURCE);
	}
}

/* Only where the options are read when they are given, and by the kernel alone. */
static bool can_try_options(const struct checker *check, const struct mount_op *op)
{
	static const char *const types[] = { "tmpfs",  "proc",	"sysfs",  "devpts",
					     "mqueue", "ramfs", "cgroup2" };

	if (!check->facts->is_admin || check->user.set)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (text_equal(types[i], op->type))
			return true;
	return false;
}

/* An option that no filesystem has may be one of a mount, misspelt. */
static void hint_option(const struct checker *check, const char *option, struct error *err)
{
	struct strings names = plan_mount_options(check->runtime->arena);
	const char *nearest = text_nearest(option, (const char *const *)names.items);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
}

static void check_options(const struct checker *check, const struct mount_op *op)
{
	struct error err = { 0 };
	size_t bad;

	/* EPERM: the mount namespace belongs to another user namespace than ours. */
	if (!can_try_options(check, op) ||
	    probe_mount_options(op->type, &op->options, &bad, &err) == 0 || err.errnum == EPERM)
		return;
	if (bad < op->options.n)
		hint_option(check, op->options.items[bad], &err);
	checker_error(check, &err,
		      bad < op->option_where.n ? op->option_where.items[bad] : op->where,
		      CRL_MOUNT_OPTION_REFUSED);
}

static void check_proc(const struct checker *check, const struct mount_op *op)
{
	const char *cover = probe_covered_proc(check->runtime->arena, check->runtime->procfs);
	struct error *finding;

	if (!cover || (!is_in_userns(check) && !check->facts->in_userns))
		return;
	finding = findings_say(check->findings, FINDING_WARNING, op->where,
			       "in a user namespace the kernel refuses a new /proc while a part of "
			       "the host's is covered: %s",
			       cover);
	if (finding) {
		error_code(finding, CRL_PROC_COVERED);
		error_hint(finding, "have the outer container's /proc unmasked, or bind /proc");
	}
}

static void check_new(const struct checker *check, const struct mount_op *op)
{
	switch (probe_filesystem(check->runtime->arena, check->runtime->procfs, op->type)) {
	case PROBE_FS_ABSENT:
		say_no_type(check, op);
		return;
	case PROBE_FS_MODULE:
		findings_say(check->findings, FINDING_NOTE, type_of(check, op),
			     "the kernel will load a module for %s", op->type);
		return;
	case PROBE_FS_DEVICE:
		check_device(check, op);
		return;
	case PROBE_FS_VIRTUAL:
		break;
	}
	check_options(check, op);
	if (text_equal(op->type, "proc"))
		check_proc(check, op);
}

void check_mounts(const struct checker *check)
{
	for (size_t i = 0; i < check->plan->mounts_n; i++) {
		const struct mount_op *op = &check->plan->mounts[i];

		if (op->kind == MOUNT_BIND)
			check_bind(check, i);
		else if (op->kind == MOUNT_NEW)
			check_new(check, op);
	}
}
