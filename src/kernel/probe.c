/* What this kernel and this process can do, tried one by one without leaving a trace. */
#include <creel/probe.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <creel/caps.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/mount.h>
#include <creel/mount_table.h>
#include <creel/procfs.h>

#include "syscalls.h"

#define SMALL_FILE_MAX ((size_t)4 << 20)

bool probe_capability(int procfs, int capability)
{
	static const char initial[] = "user:[4026531837]";
	struct error ignored = { 0 };
	struct caps caps = { 0 };
	char link[64];
	ssize_t n = readlinkat(procfs, "self/ns/user", link, sizeof(link) - 1);

	if (n < 0 || caps_read(&caps, &ignored) < 0)
		return false;
	link[n] = '\0';
	return text_equal(link, initial) && caps.effective >> capability & 1;
}

bool probe_number(int procfs, const char *name, int64_t *value)
{
	char text[32];

	return procfs_read(procfs, name, text, sizeof(text)) > 0 &&
	       text_parse_int(text, INT64_MIN, INT64_MAX, value);
}

/* modprobe(8) looks for "fs-TYPE", which is what the kernel asks it for. */
static bool has_module(struct arena *arena, const char *type)
{
	struct error ignored = { 0 };
	struct utsname name;
	char path[128], *text;
	const char *alias = text_format(arena, "alias fs-%s ", type);

	if (uname(&name) < 0)
		return false;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", name.release);
	text = file_read(arena, AT_FDCWD, path, SMALL_FILE_MAX, NULL, &ignored);
	return text && strstr(text, alias);
}

enum probe_filesystem probe_filesystem(struct arena *arena, int procfs, const char *type)
{
	struct error ignored = { 0 };
	auto_fd fd = procfs_open_file(procfs, "filesystems", O_RDONLY, &ignored);
	char *rest = fd < 0 ? NULL : file_read_fd(arena, fd, SMALL_FILE_MAX, NULL, &ignored);

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *tab = strchr(line, '\t');

		if (tab && text_equal(tab + 1, type))
			return tab == line ? PROBE_FS_DEVICE : PROBE_FS_VIRTUAL;
	}
	return has_module(arena, type) ? PROBE_FS_MODULE : PROBE_FS_ABSENT;
}

static int set_option(int context, const char *option)
{
	const char *equals = strchr(option, '=');
	char key[256];

	if (!equals)
		return fsconfig(context, FSCONFIG_SET_FLAG, option, NULL, 0);
	if (snprintf(key, sizeof(key), "%.*s", (int)(equals - option), option) >=
	    (int)sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	return fsconfig(context, FSCONFIG_SET_STRING, key, equals + 1, 0);
}

int probe_mount_options(const char *type, const struct strings *options, size_t *bad,
			struct error *err)
{
	auto_fd context = fsopen(type, FSOPEN_CLOEXEC);

	*bad = options->n;
	if (context < 0)
		return error_system(err, errno, "cannot open a filesystem of the type %s", type);
	for (size_t i = 0; i < options->n; i++) {
		if (set_option(context, options->items[i]) == 0)
			continue;
		*bad = i;
		return error_system(err, errno, "%s does not take the option \"%s\"", type,
				    options->items[i]);
	}
	return 0;
}

int probe_idmap(int procfs, const char *path, struct error *err)
{
	/* Whether the filesystem maps ids at all does not depend on which. */
	static const struct idmap_range range = { .inside = 0, .outside = 0, .size = 1 };
	static const struct idmap map = {
		.uids = &range,
		.uids_n = 1,
		.gids = &range,
		.gids_n = 1,
	};
	struct mount_op op = {
		.kind = MOUNT_BIND,
		.source = path,
		.target = path,
		.idmap = &map,
		.tree = -1,
		.mounted = -1,
	};
	int result = mount_open_source(procfs, &op, -1, err);

	fd_close(&op.tree);
	return result;
}

bool probe_oom_score(int procfs, int score)
{
	char before[16], wanted[16];
	struct error ignored = { 0 };
	bool can;

	if (procfs_read(procfs, "self/oom_score_adj", before, sizeof(before)) <= 0)
		return false;
	snprintf(wanted, sizeof(wanted), "%d", score);
	can = procfs_write(procfs, "self/oom_score_adj", wanted, &ignored) == 0;
	/* Raising it is always allowed, and lowering it again to what it was. */
	if (can && procfs_write(procfs, "self/oom_score_adj", before, &ignored) < 0)
		error_ignore(&ignored, "it is our own process, which ends soon");
	return can;
}

bool probe_device_program(void)
{
	static const struct bpf_insn allow[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	/* The kernel writes results back, also beyond what this header's union has. */
	union {
		char room[256];
		union bpf_attr bpf;
	} attributes = { .room = { 0 } };

	attributes.bpf.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attributes.bpf.expected_attach_type = BPF_CGROUP_DEVICE;
	attributes.bpf.insns = (uintptr_t)allow;
	attributes.bpf.insn_cnt = ARRAY_SIZE(allow);
	attributes.bpf.license = (uintptr_t) "Apache-2.0";

	auto_fd program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));

	return program >= 0;
}

/* Directories that are always empty are no secret: mounts over them do not count
 * (is_empty_dir_inode() in fs/libfs.c). */
static bool is_harmless_cover(const char *point)
{
	static const char *const empty[] = { "/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd",
					     "/proc/fs/xfs", "/proc/openprom" };

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
		if (text_equal(empty[i], point))
			return true;
	return false;
}

char *probe_covered_proc(struct arena *arena, int procfs)
{
	struct error ignored = { 0 };
	char *text = mount_table_read(arena, procfs, &ignored);
	struct mount_line line;

	while (text && mount_table_next(&text, &line))
		if (text_starts_with(line.point, "/proc/") && !is_harmless_cover(line.point))
			return arena_strdup(arena, line.point);
	return NULL;
}

const char *probe_filesystem_at(struct arena *arena, int procfs, const char *path)
{
	struct error ignored = { 0 };
	char *text = mount_table_read(arena, procfs, &ignored);
	const char *type = "unknown";
	size_t longest = 0;
	struct mount_line line;

	while (text && mount_table_next(&text, &line)) {
		size_t n = strlen(line.point);

		/* Of mounts at the same place the last one is seen. */
		if (n < longest || !mount_is_below(path, line.point))
			continue;
		longest = n;
		type = line.type;
	}
	return type;
}
