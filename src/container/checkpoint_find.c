/* What of a running container is somebody else's: its mounts, its standard streams, the namespaces
 * that it joined. */
#include "checkpoint_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/inroot.h>
#include <creel/json.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>
#include <creel/procfs.h>

#define STREAMS_FILE "descriptors.json"
#define STREAMS_MAX  65536

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

/* ---- standard streams ---- */

/* "mnt_id:" of /proc/PID/fdinfo/FD, or -1. */
static int mount_of(int procfs_pid, int stream)
{
	char name[32], text[512];
	const char *found;
	uint64_t id;

	snprintf(name, sizeof(name), "fdinfo/%d", stream);
	if (file_read_small(procfs_pid, name, text, sizeof(text)) < 0)
		return -1;
	found = strstr(text, "mnt_id:");
	if (!found)
		return -1;
	found += strlen("mnt_id:");
	found += strspn(found, " \t");

	char digits[16];

	snprintf(digits, sizeof(digits), "%.*s", (int)strspn(found, "0123456789"), found);
	return text_parse_uint(digits, INT32_MAX, &id) ? (int)id : -1;
}

/* Unix98 ptys have the majors 136 to 143. */
static bool is_pty(dev_t device)
{
	return major(device) >= 136 && major(device) <= 143;
}

/* CRIU looks a file up in the container, by its path: these it would not find. */
static const char *external_key(struct arena *arena, int procfs_pid, int stream, const char *table)
{
	char name[32];
	struct stat st;
	struct mount_line line;
	int id;

	snprintf(name, sizeof(name), "fd/%d", stream);
	if (fstatat(procfs_pid, name, &st, 0) < 0)
		return NULL;
	id = mount_of(procfs_pid, stream);
	if (id < 0 || find_line(arena, table, id, NULL, &line))
		return NULL;
	if (S_ISREG(st.st_mode))
		return text_format(arena, "file[%x:%jx]", (unsigned int)id, (uintmax_t)st.st_ino);
	if (S_ISCHR(st.st_mode) && is_pty(st.st_rdev))
		return text_format(arena, "tty[%jx:%jx]", (uintmax_t)st.st_rdev,
				   (uintmax_t)st.st_dev);
	return NULL;
}

static const char *stream_key(struct arena *arena, int process, int stream, const char *table,
			      struct criu_request *request)
{
	char name[32], link[PATH_MAX];
	const char *key;
	ssize_t n;

	snprintf(name, sizeof(name), "fd/%d", stream);
	n = readlinkat(process, name, link, sizeof(link) - 1);
	if (n < 0)
		return "";
	link[n] = '\0';
	key = external_key(arena, process, stream, table);
	if (key)
		strings_add(arena, &request->external, (char *)key);
	if (text_starts_with(link, "socket:["))
		strings_add(arena, &request->external,
			    text_format(arena, "unix%s", link + strlen("socket:")));
	return key ? key : arena_strdup(arena, link);
}

int checkpoint_save_streams(const struct runtime *runtime, pid_t pid, int images,
			    struct criu_request *request, struct error *err)
{
	struct arena *arena = runtime->arena;
	struct json_writer *w = json_writer_new(arena, 0);
	char name[32];

	snprintf(name, sizeof(name), "%d", pid);

	auto_fd process = openat(runtime->procfs, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *table;

	if (process < 0)
		return error_system(err, errno, "cannot open process %d", pid);
	table = mount_table_of(arena, runtime->procfs, pid, err);
	if (!table)
		return -1;
	json_write_array(w);
	for (int stream = 0; stream < 3; stream++)
		json_write_string(w, stream_key(arena, process, stream, table, request));
	json_write_end(w);

	size_t size;
	const char *text = json_writer_text(w, &size);

	return file_replace(images, STREAMS_FILE, text, size, 0600, false, err);
}

static bool is_digits(const char *text, const char *digits, const char *end)
{
	size_t n = strspn(text, digits);

	return n > 0 && n < 32 && text_equal(text + n, end);
}

static bool is_two(const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strspn(text, hex);

	return n > 0 && n < 32 && text[n] == ':' && is_digits(text + n + 1, hex, "]");
}

bool checkpoint_is_stream_key(const char *text)
{
	static const char decimal[] = "0123456789";

	if (text_starts_with(text, "pipe:["))
		return is_digits(text + strlen("pipe:["), decimal, "]");
	if (text_starts_with(text, "socket:["))
		return is_digits(text + strlen("socket:["), decimal, "]");
	if (text_starts_with(text, "file["))
		return is_two(text + strlen("file["));
	if (text_starts_with(text, "tty["))
		return is_two(text + strlen("tty["));
	return false;
}

int checkpoint_read_streams(struct arena *arena, int images, const char *keys[3], struct error *err)
{
	size_t size;
	const char *text = file_read(arena, images, STREAMS_FILE, STREAMS_MAX, &size, err);
	const struct json *list = text ? json_parse(arena, STREAMS_FILE, text, size, err) : NULL;
	size_t n = 0;

	/* Without any the error is another one: that there is no checkpoint. */
	if (!list && err->errnum == ENOENT) {
		error_ignore(err, "no stream needs a replacement");
		return 0;
	}
	if (!list)
		return -1;
	json_each (item, list) {
		if (n < 3 && item->type == JSON_STRING && checkpoint_is_stream_key(item->text))
			keys[n] = item->text;
		n++;
	}
	return 0;
}
