/* User and group id maps: writing them for a new user namespace, and user namespaces for idmapped
 * mounts. Source: user_namespaces(7), newuidmap(1), mount_setattr(2) "ID-mapped mounts". */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct idmap_range {
	uint32_t inside;  /* first id in the new namespace (for mounts: on disk) */
	uint32_t outside; /* first id in the parent namespace (for mounts: as seen) */
	uint32_t size;
};

struct idmap {
	const struct idmap_range *uids;
	size_t uids_n;
	const struct idmap_range *gids;
	size_t gids_n;
	bool deny_setgroups; /* the single-id case of an unprivileged user */
	bool helpers;	     /* write with newuidmap(1) and newgidmap(1) */
};

/*
 * Writes setgroups, uid_map and gid_map of the process PID, which waits in its new user namespace.
 * PROCFS is a procfs handle of our own pid namespace.  With MAP->helpers the setuid programs do it,
 * found in a fixed list of directories. The errors name the id that /etc/subuid does not cover, and
 * the sysctls or AppArmor setting that forbid it.
 */
int idmap_write(int procfs, pid_t pid, const struct idmap *map, struct error *err) must_check;

/* Makes a user namespace with MAP that no process stays in: for MOUNT_ATTR_IDMAP.  Returns its
 * descriptor. */
int idmap_namespace(int procfs, const struct idmap *map, struct error *err) must_check;
