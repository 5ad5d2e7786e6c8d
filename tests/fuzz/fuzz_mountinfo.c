/*
 * /proc/self/mountinfo and /proc/self/cgroup.  The first section of the input is a path that the
 * kernel would write with escapes: it must come back.  The others are raw bytes of the files: they
 * may mean nothing, but must not be taken for more.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/facts.h>
#include <creel/rdt.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "../../src/kernel/mount_parts.h"
#include "fake_files.h"

int __wrap_statfs64(const char *path, struct statfs *fs);

/* For the links in it, which are not files. */
static int procfs = -1;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	procfs = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(procfs >= 0);
	return 0;
}

static bool is_usual_place(const char *path)
{
	return strcmp(path, "/sys/fs/cgroup") == 0 || strcmp(path, "/sys/fs/cgroup/unified") == 0;
}

/* meson makes offsets 64 bits wide, which gives it this name.  cgroup2 is where the table says, and
 * not in the usual places. */
int __wrap_statfs64(const char *path, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = is_usual_place(path) ? TMPFS_MAGIC : CGROUP2_SUPER_MAGIC;
	return 0;
}

/* As the kernel's mangle() does. */
static const char *escaped(struct arena *arena, const char *text)
{
	char *out = arena_alloc(arena, 4 * strlen(text) + 1), *to = out;

	for (; *text; text++) {
		if (strchr(" \t\n\\#", *text))
			to += sprintf(to, "\\%03o", (unsigned int)(unsigned char)*text);
		else
			*to++ = *text;
	}
	*to = '\0';
	return out;
}

static const char *line_of(struct arena *arena, const char *path, const char *type)
{
	return text_format(arena,
			   "20 1 8:1 / / rw - ext4 /dev/root rw\n"
			   "36 35 0:29 %s %s rw,nosuid shared:9 master:1 - %s none rw\n",
			   escaped(arena, path), escaped(arena, path), type);
}

static void check_path(struct arena *arena, const char *path)
{
	struct mount_line line = { 0 };
	char *text = arena_strdup(arena, line_of(arena, path, "tmpfs"));
	const char *table;
	const char *found;

	must(mount_table_next(&text, &line) && line.id == 20 && line.parent == 1);
	must(strcmp(line.point, "/") == 0 && strcmp(line.type, "ext4") == 0);
	must(mount_table_next(&text, &line) && line.id == 36 && line.parent == 35);
	must(strcmp(line.root, path) == 0 && strcmp(line.point, path) == 0);
	must(strcmp(line.type, "tmpfs") == 0);
	must(!mount_table_next(&text, &line));
	must(mount_is_below(path, path) && mount_is_below(path, "/"));
	must(mount_is_below(text_format(arena, "%s/x", path), path));
	must(strlen(path) == 1 || !mount_is_below(text_format(arena, "%sx", path), path));

	fake_clear();
	table = line_of(arena, path, "resctrl");
	fake_file("self/mountinfo", table, strlen(table));
	found = rdt_mount(arena, -1);
	must(found && strcmp(found, path) == 0);
}

/* What else the facts are taken from. */
static void fake_status(void)
{
	static const char status[] =
	    "Name:\tcreel\nSigIgn:\t0000000000001000\nCapEff:\t000001ffffffffff\n"
	    "CapBnd:\t000001ffffffffff\nSeccomp:\t0\n";

	fake_file("self/status", status, sizeof(status) - 1);
}

static void check_facts(struct arena *arena, const char *path, const char *table, size_t table_size,
			const char *cgroup, size_t cgroup_size)
{
	struct facts facts;
	struct error err = { 0 };
	const char *line = line_of(arena, path, "cgroup2");

	fake_clear();
	fake_file("self/mountinfo", line, strlen(line));
	fake_file("self/cgroup", cgroup, cgroup_size);
	fake_status();
	must(facts_ask(arena, procfs, &facts, &err) == 0);
	if (is_usual_place(path))
		must(!facts.cgroup_mount);
	else
		must(facts.cgroup_mount && strcmp(facts.cgroup_mount, path) == 0);
	must(!facts.cgroup_own || facts.cgroup_own[0] == '/');
	must(!facts.cgroup_own || !text_ends_with(facts.cgroup_own, " (deleted)"));
	fake_clear();
	fake_file("self/mountinfo", table, table_size);
	fake_status();
	must(facts_ask(arena, procfs, &facts, &err) == 0);
	(void)rdt_mount(arena, -1);
}

static void read_raw(struct arena *arena, const char *table, size_t size)
{
	char *text = arena_strndup(arena, table, size);
	size_t lines = 1;
	struct mount_line line;

	for (const char *at = table; *at; at++)
		lines += *at == '\n';
	while (mount_table_next(&text, &line)) {
		must(lines-- > 0);
		must(line.root && line.point && line.type);
		must(!strchr(line.type, ' ') && !strchr(line.type, '\n'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	const char *path = text_format(&arena, "/%s", take_text(&arena, &bytes, '\0', NULL));
	size_t cgroup_size, table_size;
	const char *cgroup = take_text(&arena, &bytes, '\0', &cgroup_size);
	const char *table = take_rest(&arena, &bytes, &table_size);

	/* Of mounts, which end with a slash only at the root. */
	if (strlen(path) > 1 && text_ends_with(path, "/"))
		return 0;
	check_path(&arena, path);
	read_raw(&arena, table, table_size);
	check_facts(&arena, path, table, table_size, cgroup, cgroup_size);
	return 0;
}
