/* Namespaces that must be made, and the ids that a user namespace maps: sysctls that forbid them,
 * ranges in /etc/subuid, programs that hand them out. */
#include "check_parts.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include <creel/file.h>
#include <creel/procfs.h>
#include <creel/text.h>

#define MAP_LINES_MAX ((size_t)1 << 16)

static bool is_unprivileged(const struct checker *check)
{
	return !check->facts->is_admin || check->user.set;
}

/* ---- making namespaces ---- */

/* Sysctls of distributions that forbid user namespaces to ordinary users, and what lets them. */
static const struct sysctl_row {
	const char *file;
	int64_t forbids;
	const char *advice;
} sysctl_rows[] = {
	{ "sys/kernel/unprivileged_userns_clone", 0, "sysctl kernel.unprivileged_userns_clone=1" },
	{ "sys/kernel/apparmor_restrict_unprivileged_userns", 1,
	  "an AppArmor profile for creel that allows userns (share/apparmor/creel), or sysctl "
	  "kernel.apparmor_restrict_unprivileged_userns=0" },
	{ "sys/user/max_user_namespaces", 0, "sysctl user.max_user_namespaces=10000" },
};

static const struct sysctl_row *forbidding_sysctl(const struct checker *check)
{
	int64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(sysctl_rows); i++)
		if (probe_number(check->runtime->procfs, sysctl_rows[i].file, &value) &&
		    value == sysctl_rows[i].forbids)
			return &sysctl_rows[i];
	return NULL;
}

/* The list's index of FLAG's entry would be closer, but one call makes them all. */
static void check_namespaces(const struct checker *check)
{
	uint64_t flags = check->plan->namespaces.create;
	const struct sysctl_row *row = forbidding_sysctl(check);
	struct error err = { 0 };

	if (flags == 0 || (is_unprivileged(check) && !(flags & CLONE_NEWUSER)))
		return;
	if (probe_namespaces(flags, &check->user, &err) < 0) {
		if (flags & CLONE_NEWUSER && row)
			error_hint(&err, "user namespaces are forbidden: %s", row->advice);
		checker_error(check, &err, "/linux/namespaces",
			      err.code ? err.code : CRL_NAMESPACE);
	} else if (flags & CLONE_NEWUSER && row && is_unprivileged(check)) {
		struct error *finding = findings_say(
		    check->findings, FINDING_WARNING, "/linux/namespaces",
		    "user namespaces of ordinary users are restricted on this host (%s)",
		    row->file + strlen("sys/"));

		if (finding)
			error_hint(finding, "what may be needed: %s", row->advice);
	}
}

/* ---- ids of an ordinary user ---- */

struct half {
	const struct idmap_range *ranges;
	size_t n;
	uint32_t own;
	const char *table, *helper, *where;
};

static bool covers(const struct probe_ranges *ranges, uint64_t first, uint64_t count)
{
	for (size_t i = 0; i < ranges->n; i++)
		if (first >= ranges->items[i].first &&
		    first + count <= ranges->items[i].first + ranges->items[i].count)
			return true;
	return false;
}

static const char *ranges_text(struct arena *arena, const struct probe_ranges *ranges)
{
	const char *text = "";

	for (size_t i = 0; i < ranges->n; i++)
		text = text_format(
		    arena, "%s%s%llu to %llu", text, i ? ", " : "",
		    (unsigned long long)ranges->items[i].first,
		    (unsigned long long)(ranges->items[i].first + ranges->items[i].count - 1));
	return text;
}

static void check_range(const struct checker *check, const struct half *half, size_t index,
			const struct probe_ranges *allowed)
{
	const struct idmap_range *range = &half->ranges[index];
	struct error err = { 0 };

	if ((range->size == 1 && range->outside == half->own) ||
	    covers(allowed, range->outside, range->size))
		return;
	error_unsupported(&err, "%s does not give the user %u the ids %u to %u", half->table,
			  check->facts->euid, range->outside, range->outside + range->size - 1);
	if (allowed->n > 0)
		error_hint(&err, "it gives: %s", ranges_text(check->runtime->arena, allowed));
	else
		error_hint(&err,
			   "add a line, or let usermod do it: usermod --add-sub%cids "
			   "100000-165535 USER",
			   half->table[strlen("/etc/sub")]);
	checker_error(check, &err, checker_index(check, half->where, index), CRL_NO_SUBIDS);
}

/* A setuid program, or one with the file capability: else it may write no more than we. */
static void check_helper(const struct checker *check, const struct half *half)
{
	const char *path = probe_program(check->runtime->arena, half->helper);
	struct error err = { 0 };

	if (path)
		return;
	error_unsupported(&err, "%s is not installed, and more than the own id is to be mapped",
			  half->helper);
	error_hint(&err, "install the package uidmap (shadow-utils on some systems)");
	checker_error(check, &err, half->where, CRL_NO_SUBIDS);
}

static void check_half(const struct checker *check, const struct half *half)
{
	struct probe_ranges allowed =
	    probe_subids(check->runtime->arena, half->table, check->facts->euid);

	if (half->n == 1 && half->ranges[0].size == 1 && half->ranges[0].outside == half->own)
		return;
	check_helper(check, half);
	for (size_t i = 0; i < half->n; i++)
		check_range(check, half, i, &allowed);
}

/* ---- ids of root in a user namespace ---- */

static struct probe_ranges own_map(const struct checker *check, const char *file)
{
	struct arena *arena = check->runtime->arena;
	char *text = arena_alloc(arena, MAP_LINES_MAX);
	char *rest =
	    procfs_read(check->runtime->procfs, file, text, MAP_LINES_MAX) < 0 ? NULL : text;
	struct probe_ranges ranges = { .items = arena_array(arena, 340, sizeof(*ranges.items)) };

	for (char *line = strsep(&rest, "\n"); line && ranges.n < 340; line = strsep(&rest, "\n")) {
		const char *rest_of_line = line;
		uint64_t range[3]; /* inside, outside, how many */

		if (text_take_uints(&rest_of_line, " ", range, 3) == 3)
			ranges.items[ranges.n++] =
			    (struct probe_range){ .first = range[0], .count = range[2] };
	}
	return ranges;
}

static void check_nested(const struct checker *check, const struct half *half, const char *file)
{
	struct probe_ranges mapped = own_map(check, file);

	for (size_t i = 0; i < half->n; i++) {
		const struct idmap_range *range = &half->ranges[i];
		struct error err = { 0 };

		if (covers(&mapped, range->outside, range->size))
			continue;
		error_system(&err, EPERM,
			     "the ids %u to %u are not mapped in our own user namespace",
			     range->outside, range->outside + range->size - 1);
		error_hint(&err, "here are mapped: %s",
			   ranges_text(check->runtime->arena, &mapped));
		checker_error(check, &err, checker_index(check, half->where, i),
			      CRL_ID_MAP_REFUSED);
	}
}

static void check_maps(const struct checker *check)
{
	const struct idmap *maps = check->plan->namespaces.maps;

	if (!maps)
		return;

	const struct half halves[] = {
		{ maps->uids, maps->uids_n, check->facts->euid, "/etc/subuid", "newuidmap",
		  "/linux/uidMappings" },
		{ maps->gids, maps->gids_n, check->facts->egid, "/etc/subgid", "newgidmap",
		  "/linux/gidMappings" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		if (is_unprivileged(check))
			check_half(check, &halves[i]);
		else if (check->facts->in_userns)
			check_nested(check, &halves[i], i == 0 ? "self/uid_map" : "self/gid_map");
	}
}

void check_users(const struct checker *check)
{
	check_namespaces(check);
	check_maps(check);
}
