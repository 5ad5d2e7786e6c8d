/* The kernel's bits in words, for everything that prints a plan. */
#include "print_parts.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define BIT_NAMES_END                                                                              \
	{                                                                                          \
		0, NULL                                                                            \
	}

const struct bit_name clone_names[] = {
	{ CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mount" },  { CLONE_NEWPID, "pid" },
	{ CLONE_NEWNET, "network" },   { CLONE_NEWIPC, "ipc" },	  { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" }, { CLONE_NEWTIME, "time" }, BIT_NAMES_END,
};

const struct bit_name attribute_names[] = {
	{ MOUNT_ATTR_RDONLY, "ro" },
	{ MOUNT_ATTR_NOSUID, "nosuid" },
	{ MOUNT_ATTR_NODEV, "nodev" },
	{ MOUNT_ATTR_NOEXEC, "noexec" },
	{ MOUNT_ATTR_NODIRATIME, "nodiratime" },
	{ MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
	BIT_NAMES_END,
};

const struct bit_name mount_flag_names[] = {
	{ MOUNT_RECURSIVE, "recursive" },
	{ MOUNT_SOURCE_NOFOLLOW, "source-nofollow" },
	{ MOUNT_TARGET_NOFOLLOW, "target-nofollow" },
	{ MOUNT_COPY_LINK, "copy-link" },
	{ MOUNT_COPY_UP, "copy-up" },
	{ MOUNT_LATE_READONLY, "late-readonly" },
	{ MOUNT_REAL_TARGET, "real-target" },
	{ MOUNT_IF_TARGET_EXISTS, "if-target-exists" },
	{ MOUNT_INHERIT_MODE, "inherit-mode" },
	{ MOUNT_REPLACE, "replace" },
	{ MOUNT_OWN_CGROUP, "own-cgroup" },
	BIT_NAMES_END,
};

const struct bit_name device_access_names[] = {
	{ DEVICE_READ, "read" },
	{ DEVICE_WRITE, "write" },
	{ DEVICE_MKNOD, "mknod" },
	BIT_NAMES_END,
};

void printer_put(struct printer *out, const char *text)
{
	size_t n = strlen(text);

	if (out->n + n + 1 > out->room) {
		char *larger = arena_alloc(out->arena, 2 * (out->n + n + 1));

		if (out->n > 0)
			memcpy(larger, out->text, out->n);
		out->text = larger;
		out->room = 2 * (out->n + n + 1);
	}
	memcpy(out->text + out->n, text, n + 1);
	out->n += n;
}

void printer_format(struct printer *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printer_put(out, text_vformat(out->arena, format, args));
	va_end(args);
}

struct strings bits_list(struct arena *arena, const struct bit_name *names, uint64_t bits)
{
	struct strings list = { 0 };

	for (; names->name; names++)
		if (bits & names->bit)
			strings_add(arena, &list, (char *)names->name);
	return list;
}

const char *bits_text(struct arena *arena, const struct bit_name *names, uint64_t bits)
{
	const struct strings list = bits_list(arena, names, bits);

	return strings_joined(arena, &list, ",");
}

struct strings attributes_set(struct arena *arena, uint64_t set, uint64_t clear)
{
	struct strings list = bits_list(arena, attribute_names, set);

	if (clear & MOUNT_ATTR__ATIME)
		strings_add(arena, &list,
			    (char *)(set & MOUNT_ATTR_NOATIME	    ? "noatime"
				     : set & MOUNT_ATTR_STRICTATIME ? "strictatime"
								    : "relatime"));
	return list;
}

const char *propagation_text(struct arena *arena, unsigned long value)
{
	const char *recursive = value & 1UL << 14 ? "r" : "";
	const char *name = value & 1UL << 20   ? "shared"
			   : value & 1UL << 19 ? "slave"
			   : value & 1UL << 18 ? "private"
					       : "unbindable";

	return text_format(arena, "%s%s", recursive, name);
}

const char *node_type(mode_t mode)
{
	return S_ISBLK(mode) ? "b" : S_ISFIFO(mode) ? "p" : "c";
}

const char *ranges_text(struct arena *arena, const struct idmap_range *ranges, size_t n)
{
	const char *text = "";

	for (size_t i = 0; i < n; i++)
		text = text_format(arena, "%s%s%u:%u:%u", text, i ? "," : "", ranges[i].inside,
				   ranges[i].outside, ranges[i].size);
	return text;
}

const char *mount_verb(enum mount_kind kind)
{
	static const char *const verbs[] = {
		[MOUNT_NEW] = "mount",	     [MOUNT_CGROUP] = "mount",	   [MOUNT_BIND] = "bind",
		[MOUNT_REMOUNT] = "remount", [MOUNT_NODE] = "node",	   [MOUNT_LINK] = "link",
		[MOUNT_MASK] = "mask",	     [MOUNT_READONLY] = "protect",
	};

	return verbs[kind];
}

struct strings capability_list(struct arena *arena, uint64_t set)
{
	const struct strings names = plan_capabilities(arena);
	struct strings list = { 0 };

	for (size_t i = 0; i < 64; i++)
		if (set & 1ULL << i)
			strings_add(arena, &list,
				    i < names.n ? names.items[i] : text_format(arena, "%zu", i));
	return list;
}
