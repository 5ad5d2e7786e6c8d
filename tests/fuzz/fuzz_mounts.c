/*
 * The options of a mount, a line each behind the byte that picks its kind: what is asked for never
 * contradicts itself, and every option is a flag, a filesystem's word or an error that names it.
 * The first line is the destination.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <linux/mount.h>

#include "../../src/plan/parts.h"

#define ATTRIBUTES_MAX ((uint64_t)0x003fffff)

static void check_map(const struct idmap_range *ranges, size_t n)
{
	must(n == 0 || ranges);
	for (size_t i = 0; i < n; i++)
		must(ranges[i].size > 0);
}

static void check_op(struct arena *arena, const struct mount_op *op)
{
	const struct strings flags = plan_mount_options(arena);

	must((op->recursive_set & op->recursive_clear & ~(uint64_t)MOUNT_ATTR__ATIME) == 0);
	must((op->set & op->clear & ~(uint64_t)MOUNT_ATTR__ATIME) == 0);
	must(((op->set | op->clear | op->recursive_set | op->recursive_clear) & ~ATTRIBUTES_MAX) ==
	     0);
	must(op->options.n == op->option_where.n || op->option_where.n == 0);
	for (size_t i = 0; i < op->options.n; i++)
		must(op->options.items[i][0] != '\0');
	must(flags.n > 0);
	if (!op->idmap)
		return;
	check_map(op->idmap->uids, op->idmap->uids_n);
	check_map(op->idmap->gids, op->idmap->gids_n);
}

/* Absolute, without "//", "." and "..", and already what it would become. */
static void check_destination(struct arena *arena, const char *text)
{
	const char *clean = mount_destination(arena, text);

	must(clean[0] == '/' && !strstr(clean, "//"));
	must(!strstr(clean, "/../") && !strstr(clean, "/./"));
	must(!text_ends_with(clean, "/..") && !text_ends_with(clean, "/."));
	must(strlen(clean) == 1 || !text_ends_with(clean, "/"));
	must(strcmp(mount_destination(arena, clean), clean) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum mount_kind kinds[] = { MOUNT_NEW, MOUNT_CGROUP, MOUNT_BIND,
						 MOUNT_REMOUNT };
	static struct oci_id_mapping one = {
		.container_id = { .set = true, .value = 0 },
		.host_id = { .set = true, .value = 1000 },
		.size = { .set = true, .value = 10 },
	};
	static const struct idmap_range range = { .inside = 0, .outside = 100000, .size = 65536 };
	static const struct idmap map = {
		.uids = &range, .uids_n = 1, .gids = &range, .gids_n = 1
	};
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct error err = { 0 };
	uint8_t choice = take_byte(&bytes);
	struct oci_mount mount = { .destination = take_text(&arena, &bytes, '\n', NULL) };
	struct mount_op op = { .kind = kinds[choice % 4],
			       .type = choice & 4 ? "tmpfs" : "overlay",
			       .tree = -1,
			       .mounted = -1,
			       .where = "/mounts/0" };

	while (bytes.left > 0)
		strings_add(&arena, &mount.options, take_text(&arena, &bytes, '\n', NULL));
	if (choice & 8) {
		mount.uid_mappings.items = mount.gid_mappings.items = &one;
		mount.uid_mappings.n = mount.gid_mappings.n = 1;
	}
	check_destination(&arena, mount.destination);
	if (plan_mount_options_read(&arena, &mount, choice & 16 ? &map : NULL, &op, &err) < 0) {
		must(err.kind == ERROR_CONFIG && text_starts_with(err.where, "/mounts/0"));
		return 0;
	}
	check_op(&arena, &op);
	return 0;
}
