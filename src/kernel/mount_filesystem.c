/* New filesystems: fsopen(2), their options, and the kernel's own words when it refuses them. */
#include "mount_parts.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/mount.h>
#include <creel/procfs.h>
#include <creel/text.h>

#include "syscalls.h"

/* fsconfig(2) copies a value with strndup_user(value, 256). */
#define VALUE_MAX_LENGTH 255

/* The messages that the kernel left in CONTEXT, one read(2) each: "e tmpfs: Bad value for 'size'".
 */
static void kernel_words(int context, char *text, size_t size)
{
	char line[256];
	size_t length = 0;
	ssize_t n;

	text[0] = '\0';
	while ((n = read(context, line, sizeof(line) - 1)) > 0 && length + 1 < size) {
		if (line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		if (n > 2 && line[0] == 'e')
			length += (size_t)snprintf(text + length, size - length, "%s%s",
						   length > 0 ? "; " : "", line + 2);
	}
}

static bool is_type(const struct mount_op *op, const char *type)
{
	return op->type && strcmp(op->type, type) == 0;
}

/*
 * A user namespace may mount proc and sysfs only when it sees one already that nothing covers, else
 * it could look behind the covers (mount_too_revealing() in fs/namespace.c).  Says which mounts
 * cover PLACE.
 */
static void hint_revealing(const char *place, struct error *err)
{
	auto_arena arena = { 0 };
	struct error ignored = { 0 };
	struct mount_line line;
	char covers[160] = "";
	auto_fd procfs = procfs_open(&ignored);
	char *text = procfs < 0 ? NULL : mount_table_read(&arena, procfs, &ignored);

	while (text && mount_table_next(&text, &line)) {
		size_t length = strlen(covers);

		/* What lies on a directory that the kernel keeps empty hides nothing. */
		if (mount_is_below(line.point, place) && strcmp(line.point, place) != 0 &&
		    strcmp(line.point, "/proc/sys/fs/binfmt_misc") != 0 &&
		    length + strlen(line.point) + 3 < sizeof(covers))
			snprintf(covers + length, sizeof(covers) - length, "%s%s",
				 length ? ", " : "", line.point);
	}
	if (covers[0]) {
		error_while(err, "the %s that creel sees is covered at %s", place, covers);
		error_hint(err,
			   "in a user namespace a new one needs a %s that nothing covers: uncover "
			   "it outside, or bind that one",
			   place);
	} else {
		error_hint(err,
			   "in a user namespace this needs a visible %s, and a pid (for proc) or "
			   "network (for sysfs) namespace of its own",
			   place);
	}
}

static int explain(int context, int errnum, const struct mount_op *op, struct error *err)
{
	char words[256], clean[256];

	kernel_words(context, words, sizeof(words));
	error_clean_text(clean, sizeof(clean), words);
	if (clean[0])
		error_system(err, errnum, "cannot mount %s at %s: %s", op->type, op->target, clean);
	else
		error_system(err, errnum, "cannot mount %s at %s", op->type, op->target);
	error_call(err, "fsconfig");
	if (errnum == EPERM && (is_type(op, "proc") || is_type(op, "sysfs")))
		error_code(err, CRL_PROC_COVERED);
	else
		error_code(err, CRL_MOUNT);
	if (errnum == EPERM && is_type(op, "proc"))
		hint_revealing("/proc", err);
	else if (errnum == EPERM && is_type(op, "sysfs"))
		hint_revealing("/sys", err);
	else if (errnum == EPERM)
		error_hint(err, "%s may not be mountable in a user namespace", op->type);
	else if (errnum == ENOENT && op->source)
		error_hint(err, "is there a %s?", op->source);
	else if (errnum == EINVAL && !clean[0])
		error_hint(err, "an option has a value that %s does not take", op->type);
	return -1;
}

static int explain_option(int context, int errnum, const struct mount_op *op, size_t i,
			  struct error *err)
{
	char words[256], clean[256];

	kernel_words(context, words, sizeof(words));
	error_clean_text(clean, sizeof(clean), words);
	error_coded(err, CRL_MOUNT_OPTION_REFUSED,
		    error_system(err, errnum, "cannot mount %s at %s with the option \"%s\"%s%s",
				 op->type, op->target, op->options.items[i], clean[0] ? ": " : "",
				 clean));
	error_call(err, "fsconfig");
	if (op->option_where.n == op->options.n)
		error_at(err, op->option_where.items[i]);
	return error_at(err, op->where);
}

static int open_context(const struct mount_op *op, struct error *err)
{
	int context = fsopen(op->type, FSOPEN_CLOEXEC);

	if (context >= 0)
		return context;
	if (errno == ENODEV) {
		error_coded(err, CRL_NO_FILESYSTEM,
			    error_unsupported(
				err, "cannot mount %s at %s: this kernel knows no such filesystem",
				op->type, op->target));
		return error_hint(
		    err, "is the type spelled right, and its module loaded? see /proc/filesystems");
	}
	error_system(err, errno, "cannot mount %s at %s", op->type, op->target);
	error_call(err, "fsopen");
	error_code(err, CRL_MOUNT);
	if (err->errnum == EPERM)
		error_hint(err,
			   "it takes CAP_SYS_ADMIN in the user namespace of the mount namespace");
	return -1;
}

/* "key" is a flag, "key=value" a string. */
static int set_option(int context, const char *option)
{
	char key[VALUE_MAX_LENGTH + 1];
	size_t n = strcspn(option, "=");

	if (n >= sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, n);
	key[n] = '\0';
	if (option[n] == '=')
		return fsconfig(context, FSCONFIG_SET_STRING, key, option + n + 1, 0);
	return fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);
}

static int set_options(int context, const struct mount_op *op, struct error *err)
{
	for (size_t i = 0; i < op->options.n; i++)
		if (set_option(context, op->options.items[i]) < 0)
			return explain_option(context, errno, op, i, err);
	return 0;
}

static bool has_option(const struct mount_op *op, const char *prefix)
{
	for (size_t i = 0; i < op->options.n; i++)
		if (text_starts_with(op->options.items[i], prefix))
			return true;
	return false;
}

/*
 * What is under a tmpfs says who may write to it: /tmp keeps 1777.  Only the mode is taken, as runc
 * does; the owner too when the content is copied, because files without their directory's owner are
 * not what was there.
 */
static int inherit(int context, int covered, const struct mount_op *op, struct error *err)
{
	struct stat status;
	char text[16];

	if (fstat(covered, &status) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	snprintf(text, sizeof(text), "%o", status.st_mode & 07777);
	if (!has_option(op, "mode=") && fsconfig(context, FSCONFIG_SET_STRING, "mode", text, 0) < 0)
		return explain(context, errno, op, err);
	return 0;
}

/* Only block devices: a superblock that is shared with the host (proc, sysfs) must not become
 * read-only. */
static bool is_device(const struct mount_op *op)
{
	return op->source && op->source[0] == '/';
}

static int configure(int context, int covered, bool existed, const struct mount_op *op,
		     struct error *err)
{
	if (op->source && op->source[0] &&
	    fsconfig(context, FSCONFIG_SET_STRING, "source", op->source, 0) < 0)
		return explain(context, errno, op, err);
	if (is_device(op) && (op->set & MOUNT_ATTR_RDONLY) && !(op->flags & MOUNT_LATE_READONLY) &&
	    fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return explain(context, errno, op, err);
	if ((op->flags & MOUNT_INHERIT_MODE) && existed && inherit(context, covered, op, err) < 0)
		return -1;
	if (set_options(context, op, err) < 0)
		return -1;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return explain(context, errno, op, err);
	return 0;
}

static bool is_long(const char *value)
{
	return value && strlen(value) > VALUE_MAX_LENGTH;
}

static bool has_long_value(const struct mount_op *op)
{
	for (size_t i = 0; i < op->options.n; i++) {
		const char *value = strchr(op->options.items[i], '=');

		if (is_long(value ? value + 1 : op->options.items[i]))
			return true;
	}
	return is_long(op->source);
}

static const struct flag_pair {
	uint64_t attribute;
	unsigned long flag;
} flag_pairs[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ MOUNT_ATTR_NOATIME, MS_NOATIME },
	{ MOUNT_ATTR_STRICTATIME, MS_STRICTATIME },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME },
	{ MOUNT_ATTR_NOSYMFOLLOW, 256 }, /* MS_NOSYMFOLLOW */
};

static int join_options(const struct mount_op *op, char *data, size_t size, struct error *err)
{
	size_t length = 0;

	data[0] = '\0';
	for (size_t i = 0; i < op->options.n; i++) {
		length += (size_t)snprintf(data + length, size - length, "%s%s", i > 0 ? "," : "",
					   op->options.items[i]);
		if (length >= size)
			return error_system(err, E2BIG,
					    "cannot mount %s at %s: its options have more than %zu "
					    "bytes",
					    op->type, op->target, size - 1);
	}
	return 0;
}

static int mount_at_cwd(int target, const struct mount_op *op, const char *data, struct error *err)
{
	uint64_t set, clear;
	unsigned long flags = 0;
	auto_fd before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	mount_attributes(op, &set, &clear);
	for (size_t i = 0; i < ARRAY_SIZE(flag_pairs); i++)
		if (set & flag_pairs[i].attribute)
			flags |= flag_pairs[i].flag;
	if (before < 0)
		return error_system(err, errno, "cannot open the working directory");
	if (fchdir(target) < 0)
		return error_system(err, errno, "cannot enter %s inside the root", op->target);

	int mounted =
	    mount(op->source && op->source[0] ? op->source : "none", ".", op->type, flags, data);
	int errnum = errno;

	if (fchdir(before) < 0)
		return error_system(err, errno, "cannot return to the working directory");
	if (mounted < 0)
		return error_coded(
		    err, CRL_MOUNT,
		    error_system(err, errnum, "cannot mount %s at %s", op->type, op->target));
	return 0;
}

/*
 * The one exception to the new mount API: a value of more than 255 bytes (the lowerdir= of an
 * overlay with many layers), which fsconfig(2) refuses, goes through mount(2), as part of at most a
 * page of options.  "." after fchdir(2) stands for the target's descriptor, so that no path is
 * looked up.  Returns the mount, found again by its path and verified.
 */
static int mount_by_old_call(int root, int target, const struct mount_op *op, struct error *err)
{
	char data[4096];
	struct statx before, after;

	if (join_options(op, data, sizeof(data), err) < 0)
		return -1;
	if (statx(target, "", AT_EMPTY_PATH, STATX_MNT_ID, &before) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (mount_at_cwd(target, op, data, err) < 0)
		return -1;

	auto_fd fd = inroot_open(root, op->target, O_PATH | O_DIRECTORY, err);

	if (fd < 0)
		return -1;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &after) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (!(after.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    after.stx_mnt_id == before.stx_mnt_id)
		return error_system(err, EAGAIN, "%s was moved while it was mounted on",
				    op->target);
	/* Where it is attached already the kernel maps no ids: the error is better than none. */
	if (op->tree >= 0 && mount_map_ids(fd, op->tree, false, op, err) < 0)
		return -1;
	if (mount_change(fd, op->recursive_set, op->recursive_clear, true, op, err) < 0)
		return -1;
	return take_fd(&fd);
}

/* Somebody who shares a volume with us may have swapped a directory; a false /proc would then be
 * trusted. */
static int verify_proc(int root, const struct mount_op *op, struct error *err)
{
	auto_left_fd fd = inroot_open_real(root, op->target, O_PATH | O_DIRECTORY, err);
	struct statfs fs;
	struct stat status;

	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (fstat(fd, &status) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (fs.f_type != PROC_SUPER_MAGIC || status.st_ino != 1)
		return error_system(err, EAGAIN, "%s is not the procfs that was mounted there",
				    op->target);
	return 0;
}

/* Fills the new mount TREE before anybody can see it. */
static int fill(int tree, int covered, bool existed, const struct mount_op *op, struct error *err)
{
	struct stat status;

	if (!(op->flags & MOUNT_COPY_UP) || !existed)
		return 0;
	if (mount_copy(covered, tree, err) < 0)
		return error_while(err, "copying %s into its tmpfs", op->target);
	if (has_option(op, "uid=") || has_option(op, "gid="))
		return 0;
	if (fstat(covered, &status) < 0)
		return error_system(err, errno, "cannot examine %s inside the root", op->target);
	if (fchownat(tree, "", status.st_uid, status.st_gid, AT_EMPTY_PATH) < 0)
		return error_system(err, errno, "cannot set the owner of %s", op->target);
	return 0;
}

/* A context from another pid namespace is used before it is known what somebody there made of it.
 */
static int check_context(int tree, const struct mount_op *op, struct error *err)
{
	struct statfs fs;

	if (fstatfs(tree, &fs) < 0)
		return error_system(err, errno, "cannot examine what is to be mounted at %s",
				    op->target);
	if (fs.f_type == PROC_SUPER_MAGIC)
		return 0;
	return error_system(err, EPROTO, "what is to be mounted at %s is not a procfs", op->target);
}

static int make_new(int target, bool existed, struct mount_op *op, struct error *err)
{
	uint64_t set, clear;
	bool given = is_type(op, "proc") && !op->idmap && op->tree >= 0;
	auto_left_fd context = given ? take_fd(&op->tree) : open_context(op, err);
	bool fill_first = op->flags & MOUNT_COPY_UP;

	if (context < 0)
		return -1;
	if (configure(context, target, existed, op, err) < 0)
		return -1;
	mount_attributes(op, &set, &clear);

	/* A read-only mount cannot be filled: then the flags follow, still before it is attached.
	 */
	auto_left_fd tree = fsmount(context, FSMOUNT_CLOEXEC, fill_first ? 0 : (unsigned int)set);

	if (tree < 0)
		return explain(context, errno, op, err);
	if (given && check_context(tree, op, err) < 0)
		return -1;
	if (fill(tree, target, existed, op, err) < 0)
		return -1;
	if (fill_first && mount_change(tree, set, 0, false, op, err) < 0)
		return -1;
	if (op->tree >= 0 && mount_map_ids(tree, op->tree, false, op, err) < 0)
		return -1;
	if (mount_change(tree, op->recursive_set, op->recursive_clear, true, op, err) < 0)
		return -1;
	if (mount_attach(tree, target, op, err) < 0)
		return -1;
	return take_fd(&tree);
}

int mount_new(struct mount_place *place, struct mount_op *op, struct error *err)
{
	bool existed;
	auto_left_fd target = mount_open_target(place, op, true, &existed, err);

	if (target < 0)
		return -1;

	auto_left_fd tree = has_long_value(op) ? mount_by_old_call(place->root, target, op, err)
					       : make_new(target, existed, op, err);

	if (tree < 0)
		return -1;
	fd_close(&op->tree);
	if (is_type(op, "proc") && verify_proc(place->root, op, err) < 0)
		return -1;
	/* It is empty, and mostly what comes next goes into it, or beside it. */
	if (is_type(op, "tmpfs") && !(op->flags & MOUNT_COPY_UP) && place->above.fd < 0 &&
	    !(op->set & MOUNT_ATTR_RDONLY) && !op->propagation[0]) {
		inroot_keep(&place->above, take_fd(&tree), op->target);
		return 0;
	}
	return mount_settle(take_fd(&tree), op, err);
}

int mount_make(const char *type, uint64_t set, const struct mount_op *op, struct error *err)
{
	const struct mount_op named = { .type = type, .target = op->target };
	const char *source = op->source && op->source[0] ? op->source : type;
	auto_left_fd context = open_context(&named, err);

	if (context < 0)
		return -1;
	/* Only a name, but programs look for it in the mount table. */
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return explain(context, errno, &named, err);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return explain(context, errno, &named, err);

	int tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned int)set);

	if (tree < 0)
		return explain(context, errno, &named, err);
	return tree;
}

static int reconfigure(int target, const struct mount_op *op, struct error *err)
{
	auto_left_fd context = fspick(target, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	if (context < 0)
		return error_system(err, errno, "cannot remount %s", op->target);
	if (set_options(context, op, err) < 0)
		return -1;
	if (fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return explain(context, errno, op, err);
	return 0;
}

int mount_remount(int root, const struct mount_op *op, struct error *err)
{
	auto_left_fd target = inroot_open(root, op->target, O_PATH, err);

	if (target < 0)
		return -1;
	if (op->options.n > 0 && reconfigure(target, op, err) < 0)
		return -1;
	if (mount_change_by_op(target, op, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		if (mount_propagate(target, op->propagation[i], err) < 0)
			return error_while(err, "remounting %s", op->target);
	return 0;
}
