/*
 * The options of a mount, by table: each row is one option and what it does.  `features` prints the
 * same table.  What the table does not know belongs to the filesystem.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <linux/mount.h>
#include <string.h>

/* <sys/mount.h> and <linux/mount.h> of Debian 12 cannot be included together; these are fixed by
 * the kernel's ABI. */
#define PROPAGATE_REC	     (1UL << 14)
#define PROPAGATE_UNBINDABLE (1UL << 17)
#define PROPAGATE_PRIVATE    (1UL << 18)
#define PROPAGATE_SLAVE	     (1UL << 19)
#define PROPAGATE_SHARED     (1UL << 20)

enum option_kind {
	OPTION_NOTHING, /* accepted, and without effect */
	OPTION_SET,	/* MOUNT_ATTR_* */
	OPTION_CLEAR,
	OPTION_ATIME,	/* one value of the MOUNT_ATTR__ATIME field */
	OPTION_SET_ALL, /* the same with AT_RECURSIVE */
	OPTION_CLEAR_ALL,
	OPTION_ATIME_ALL,
	OPTION_SUPERBLOCK,  /* a flag of the whole filesystem: the option itself goes to fsconfig(2)
			     */
	OPTION_PROPAGATION, /* MS_SHARED ... */
	OPTION_FLAG,	    /* enum mount_flags */
	OPTION_IDMAP,
	OPTION_RECURSIVE_IDMAP,
};

static const struct option_row {
	const char *name;
	enum option_kind kind;
	unsigned long bits;
} option_rows[] = {
	{ "defaults", OPTION_NOTHING, 0 },
	{ "ro", OPTION_SET, MOUNT_ATTR_RDONLY },
	{ "rw", OPTION_CLEAR, MOUNT_ATTR_RDONLY },
	{ "suid", OPTION_CLEAR, MOUNT_ATTR_NOSUID },
	{ "nosuid", OPTION_SET, MOUNT_ATTR_NOSUID },
	{ "dev", OPTION_CLEAR, MOUNT_ATTR_NODEV },
	{ "nodev", OPTION_SET, MOUNT_ATTR_NODEV },
	{ "exec", OPTION_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "noexec", OPTION_SET, MOUNT_ATTR_NOEXEC },
	{ "sync", OPTION_SUPERBLOCK, 0 },
	{ "async", OPTION_SUPERBLOCK, 0 },
	{ "dirsync", OPTION_SUPERBLOCK, 0 },
	{ "atime", OPTION_ATIME, MOUNT_ATTR_RELATIME },
	{ "noatime", OPTION_ATIME, MOUNT_ATTR_NOATIME },
	{ "diratime", OPTION_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "nodiratime", OPTION_SET, MOUNT_ATTR_NODIRATIME },
	{ "relatime", OPTION_ATIME, MOUNT_ATTR_RELATIME },
	/* The kernel has no mount without one of the three, and relatime is its default. */
	{ "norelatime", OPTION_NOTHING, 0 },
	{ "strictatime", OPTION_ATIME, MOUNT_ATTR_STRICTATIME },
	{ "nostrictatime", OPTION_ATIME, MOUNT_ATTR_RELATIME },
	/* Flags of mount(2) that fsconfig(2) does not know: i_version is the filesystem's own
	       affair since Linux 5.17. */
	{ "iversion", OPTION_NOTHING, 0 },
	{ "noiversion", OPTION_NOTHING, 0 },
	{ "silent", OPTION_NOTHING, 0 },
	{ "loud", OPTION_NOTHING, 0 },
	{ "lazytime", OPTION_SUPERBLOCK, 0 },
	{ "nolazytime", OPTION_SUPERBLOCK, 0 },
	{ "mand", OPTION_SUPERBLOCK, 0 },
	{ "nomand", OPTION_SUPERBLOCK, 0 },
	{ "nosymfollow", OPTION_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "symfollow", OPTION_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	/* What kind of mount it is was decided before its options are read. */
	{ "remount", OPTION_NOTHING, 0 },
	{ "bind", OPTION_NOTHING, 0 },
	{ "rbind", OPTION_FLAG, MOUNT_RECURSIVE },
	{ "private", OPTION_PROPAGATION, PROPAGATE_PRIVATE },
	{ "rprivate", OPTION_PROPAGATION, PROPAGATE_PRIVATE | PROPAGATE_REC },
	{ "shared", OPTION_PROPAGATION, PROPAGATE_SHARED },
	{ "rshared", OPTION_PROPAGATION, PROPAGATE_SHARED | PROPAGATE_REC },
	{ "slave", OPTION_PROPAGATION, PROPAGATE_SLAVE },
	{ "rslave", OPTION_PROPAGATION, PROPAGATE_SLAVE | PROPAGATE_REC },
	{ "unbindable", OPTION_PROPAGATION, PROPAGATE_UNBINDABLE },
	{ "runbindable", OPTION_PROPAGATION, PROPAGATE_UNBINDABLE | PROPAGATE_REC },
	{ "rro", OPTION_SET_ALL, MOUNT_ATTR_RDONLY },
	{ "rrw", OPTION_CLEAR_ALL, MOUNT_ATTR_RDONLY },
	{ "rnosuid", OPTION_SET_ALL, MOUNT_ATTR_NOSUID },
	{ "rsuid", OPTION_CLEAR_ALL, MOUNT_ATTR_NOSUID },
	{ "rnodev", OPTION_SET_ALL, MOUNT_ATTR_NODEV },
	{ "rdev", OPTION_CLEAR_ALL, MOUNT_ATTR_NODEV },
	{ "rnoexec", OPTION_SET_ALL, MOUNT_ATTR_NOEXEC },
	{ "rexec", OPTION_CLEAR_ALL, MOUNT_ATTR_NOEXEC },
	{ "rnodiratime", OPTION_SET_ALL, MOUNT_ATTR_NODIRATIME },
	{ "rdiratime", OPTION_CLEAR_ALL, MOUNT_ATTR_NODIRATIME },
	{ "rnoatime", OPTION_ATIME_ALL, MOUNT_ATTR_NOATIME },
	{ "ratime", OPTION_ATIME_ALL, MOUNT_ATTR_RELATIME },
	{ "rrelatime", OPTION_ATIME_ALL, MOUNT_ATTR_RELATIME },
	{ "rnorelatime", OPTION_NOTHING, 0 },
	{ "rstrictatime", OPTION_ATIME_ALL, MOUNT_ATTR_STRICTATIME },
	{ "rnostrictatime", OPTION_ATIME_ALL, MOUNT_ATTR_RELATIME },
	{ "rnosymfollow", OPTION_SET_ALL, MOUNT_ATTR_NOSYMFOLLOW },
	{ "rsymfollow", OPTION_CLEAR_ALL, MOUNT_ATTR_NOSYMFOLLOW },
	/* crun's names without a meaning in the kernel. */
	{ "rsync", OPTION_NOTHING, 0 },
	{ "rasync", OPTION_NOTHING, 0 },
	{ "rdirsync", OPTION_NOTHING, 0 },
	{ "rmand", OPTION_NOTHING, 0 },
	{ "rnomand", OPTION_NOTHING, 0 },
	{ "tmpcopyup", OPTION_FLAG, MOUNT_COPY_UP },
	{ "idmap", OPTION_IDMAP, 0 },
	{ "ridmap", OPTION_RECURSIVE_IDMAP, 0 },
	{ "copy-symlink", OPTION_FLAG, MOUNT_COPY_LINK },
	{ "src-nofollow", OPTION_FLAG, MOUNT_SOURCE_NOFOLLOW },
	{ "dest-nofollow", OPTION_FLAG, MOUNT_TARGET_NOFOLLOW },
};

struct strings plan_mount_options(struct arena *arena)
{
	struct strings names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++)
		strings_add(arena, &names, arena_strdup(arena, option_rows[i].name));
	return names;
}

/* Names of the filesystems that containers have, for guesses only: they are the kernel's. */
static const char *const filesystem_names[] = {
	"size",		"nr_inodes", "nr_blocks", "mode",     "uid",	    "gid",
	"huge",		"mpol",	     "inode64",	  "ptmxmode", "max",	    "newinstance",
	"hidepid",	"subset",    "lowerdir",  "upperdir", "workdir",    "metacopy",
	"redirect_dir", "xino",	     "userxattr", "volatile", "nsdelegate", "memory_recursiveprot",
};

const char *plan_mount_option_nearest(struct arena *arena, const char *text)
{
	struct strings names = plan_mount_options(arena);
	const char *name = arena_strndup(arena, text, strcspn(text, "="));

	for (size_t i = 0; i < ARRAY_SIZE(filesystem_names); i++)
		strings_add(arena, &names, arena_strdup(arena, filesystem_names[i]));
	if (strings_has(&names, name))
		return NULL;
	return text_nearest(name, (const char *const *)names.items);
}

static int refuse_option(struct arena *arena, const char *text, struct error *err)
{
	const char *nearest = plan_mount_option_nearest(arena, text);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
	return error_code(err, CRL_MOUNT_OPTION);
}

static const struct option_row *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++)
		if (text_is(option_rows[i].name, name))
			return &option_rows[i];
	return NULL;
}

static void set_bits(uint64_t *set, uint64_t *clear, uint64_t bits)
{
	*set |= bits;
	*clear &= ~bits;
}

/* mount_setattr(2) wants the whole field in attr_clr whenever one of its values is set (EINVAL
 * otherwise). */
static void set_atime(uint64_t *set, uint64_t *clear, uint64_t value)
{
	*set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
	*clear |= MOUNT_ATTR__ATIME;
}

static void add_propagation(struct mount_op *op, unsigned long value)
{
	size_t n = 0;

	while (n < ARRAY_SIZE(op->propagation) && op->propagation[n])
		n++;
	/* One place stays empty: it ends the list.  Of too many the last ones count. */
	if (n == ARRAY_SIZE(op->propagation) - 1) {
		memmove(op->propagation, op->propagation + 1, (n - 1) * sizeof(value));
		n--;
	}
	op->propagation[n] = value;
}

static void add_option(struct arena *arena, struct mount_op *op, const char *text,
		       const char *where)
{
	strings_add(arena, &op->options, arena_strdup(arena, text));
	strings_add(arena, &op->option_where, arena_strdup(arena, where));
}

static int filesystem_option(struct arena *arena, struct mount_op *op, const char *text,
			     const char *where, struct error *err)
{
	/* Podman leaves one empty in its mounts for systemd where it has no label to put there. */
	if (text[0] == '\0')
		return 0;
	if (op->kind == MOUNT_BIND) {
		error_config_at(err, where,
				"bind mounts cannot have any filesystem-specific options "
				"applied: \"%s\"",
				text);
		return refuse_option(arena, text, err);
	}
	if (op->kind == MOUNT_REMOUNT)
		return error_coded(
		    err, CRL_MOUNT_OPTION,
		    error_config_at(err, where,
				    "a remount changes the flags of a mount, not \"%s\" of its "
				    "filesystem",
				    text));
	add_option(arena, op, text, where);
	return 0;
}

static void apply_row(struct arena *arena, const struct option_row *row, const char *where,
		      struct mount_op *op)
{
	switch (row->kind) {
	case OPTION_NOTHING:
	case OPTION_IDMAP:
	case OPTION_RECURSIVE_IDMAP:
		break;
	case OPTION_SET:
		set_bits(&op->set, &op->clear, row->bits);
		break;
	case OPTION_CLEAR:
		set_bits(&op->clear, &op->set, row->bits);
		break;
	case OPTION_ATIME:
		set_atime(&op->set, &op->clear, row->bits);
		break;
	case OPTION_SET_ALL:
		set_bits(&op->recursive_set, &op->recursive_clear, row->bits);
		break;
	case OPTION_CLEAR_ALL:
		set_bits(&op->recursive_clear, &op->recursive_set, row->bits);
		break;
	case OPTION_ATIME_ALL:
		set_atime(&op->recursive_set, &op->recursive_clear, row->bits);
		break;
	case OPTION_SUPERBLOCK:
		/* A bind shares its filesystem with the host, whose flags are not the container's
		 * to change. */
		if (op->kind == MOUNT_NEW)
			add_option(arena, op, row->name, where);
		break;
	case OPTION_PROPAGATION:
		add_propagation(op, row->bits);
		break;
	case OPTION_FLAG:
		op->flags |= (unsigned int)row->bits;
		break;
	}
}

/* Reads "C-H-S#C-H-S...", the ranges of crun's inline form; NULL when TEXT is none. */
static struct idmap_range *inline_ranges(struct arena *arena, char *text, size_t *n)
{
	struct idmap_range *ranges = arena_array(arena, strlen(text) / 6 + 1, sizeof(*ranges));
	char *rest = NULL;

	*n = 0;
	for (char *part = strtok_r(text, "#", &rest); part; part = strtok_r(NULL, "#", &rest)) {
		uint64_t numbers[3] = { 0 };
		char *end = NULL;
		char *number = strtok_r(part, "-", &end);

		for (size_t i = 0; i < 3; i++) {
			if (!number || !text_parse_uint(number, UINT32_MAX, &numbers[i]))
				return NULL;
			number = strtok_r(NULL, "-", &end);
		}
		if (number || numbers[2] == 0)
			return NULL;
		ranges[(*n)++] = (struct idmap_range){
			.inside = (uint32_t)numbers[0],
			.outside = (uint32_t)numbers[1],
			.size = (uint32_t)numbers[2],
		};
	}
	return *n > 0 ? ranges : NULL;
}

/* With '@' the second number is an id of the container, which its own map turns into the host's. */
static bool make_relative(struct idmap_range *ranges, size_t n, const struct idmap_range *own,
			  size_t own_n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t last = (uint64_t)ranges[i].outside + ranges[i].size - 1;
		uint32_t first_host = 0;
		uint32_t last_host = 0;

		if (!idmap_lookup(own, own_n, ranges[i].outside, &first_host) ||
		    !idmap_lookup(own, own_n, last, &last_host) ||
		    last_host - first_host != ranges[i].size - 1)
			return false;
		ranges[i].outside = first_host;
	}
	return true;
}

static bool inline_half(struct arena *arena, char *text, const struct idmap_range *own,
			size_t own_n, const struct idmap_range **out, size_t *out_n)
{
	bool relative = text[0] == '@';
	struct idmap_range *ranges = inline_ranges(arena, text + relative, out_n);

	if (!ranges || (relative && !make_relative(ranges, *out_n, own, own_n)))
		return false;
	*out = ranges;
	return true;
}

/* "uids=C-H-S#...;gids=...": crun's inline mapping, which podman passes on. */
static bool inline_map(struct arena *arena, const char *text, const struct idmap *maps,
		       struct idmap *out)
{
	static const struct idmap none;
	char *copy = arena_strdup(arena, text);
	char *rest = NULL;

	if (!maps)
		maps = &none;
	for (char *part = strtok_r(copy, ";", &rest); part; part = strtok_r(NULL, ";", &rest)) {
		bool fine = false;

		if (text_starts_with(part, "uids="))
			fine = inline_half(arena, part + 5, maps->uids, maps->uids_n, &out->uids,
					   &out->uids_n);
		else if (text_starts_with(part, "gids="))
			fine = inline_half(arena, part + 5, maps->gids, maps->gids_n, &out->gids,
					   &out->gids_n);
		if (!fine)
			return false;
	}
	return out->uids && out->gids;
}

/* The map of an idmapped mount: written in the option, beside it, or the container's own. */
static int plan_idmap(struct arena *arena, const struct oci_mount *mount, const char *text,
		      const struct idmap *maps, const char *where, struct mount_op *op,
		      struct error *err)
{
	struct idmap *map = arena_alloc(arena, sizeof(*map));

	op->idmap = map;
	if (text) {
		if (inline_map(arena, text, maps, map))
			return 0;
		return error_coded(
		    err, CRL_MOUNT_OPTION,
		    error_config_at(err, where,
				    "\"%s\" is not a mapping such as uids=0-1000-1;gids=0-1000-1",
				    text));
	}
	if (mount->uid_mappings.n > 0) {
		map->uids = idmap_ranges(arena, &mount->uid_mappings);
		map->uids_n = mount->uid_mappings.n;
		map->gids = idmap_ranges(arena, &mount->gid_mappings);
		map->gids_n = mount->gid_mappings.n;
		return 0;
	}
	if (maps) {
		op->idmap = maps;
		return 0;
	}
	error_coded(
	    err, CRL_MOUNT_OPTION,
	    error_config_at(err, where,
			    "an idmapped mount needs uidMappings and gidMappings, or a new user "
			    "namespace to take them from"));
	return error_hint(err, "give the mount uidMappings and gidMappings of its own");
}

static int read_option(struct arena *arena, const struct oci_mount *mount, const char *text,
		       const struct idmap *maps, const char *where, struct mount_op *op,
		       struct error *err)
{
	const struct option_row *row = find_option(text);
	const char *inline_text = NULL;

	if (!row && text_starts_with(text, "idmap="))
		inline_text = text + strlen("idmap=");
	else if (!row && text_starts_with(text, "ridmap="))
		inline_text = text + strlen("ridmap=");
	if (inline_text)
		row = find_option(text[0] == 'r' ? "ridmap" : "idmap");
	if (!row)
		return filesystem_option(arena, op, text, where, err);
	if (row->kind == OPTION_IDMAP || row->kind == OPTION_RECURSIVE_IDMAP) {
		op->idmap_recursive = row->kind == OPTION_RECURSIVE_IDMAP;
		return plan_idmap(arena, mount, inline_text, maps, where, op, err);
	}
	apply_row(arena, row, where, op);
	return 0;
}

int plan_mount_options_read(struct arena *arena, const struct oci_mount *mount,
			    const struct idmap *maps, struct mount_op *op, struct error *err)
{
	const char *base = text_format(arena, "%s/options", op->where);

	for (size_t i = 0; i < mount->options.n; i++)
		if (read_option(arena, mount, mount->options.items[i], maps,
				pointer_index(arena, base, i), op, err) < 0)
			return -1;
	if (!op->idmap && mount->uid_mappings.n > 0)
		return plan_idmap(arena, mount, NULL, maps, op->where, op, err);
	return 0;
}
