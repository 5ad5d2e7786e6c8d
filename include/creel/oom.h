/* Who ran out of memory: the cgroup whose limit was hit, which need not be the container's own. */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/oci_stats.h>
#include <stdbool.h>
#include <stdint.h>

struct error;

/* How often the kernel killed in the cgroup and below for want of memory; 0 where that is not
 * counted. */
uint64_t oom_kills(int cgroup);

/* How often the limit of each cgroup from the container's up to the root was hit. */
struct oom_mark {
	uint64_t kills;
	uint64_t *hits; /* of PATH, its parent, ...; in the arena */
	size_t n;
};

/* Looks now, to tell later what is new; for a cgroup that we have just made an empty mark will do.
 */
void oom_look(struct arena *arena, int cgroup_root, const char *path, struct oom_mark *mark);
/*
 * Finds the cgroup that hit its limit since MARK: PATH, one below it, or the nearest of its
 * parents.  False when nothing was killed since then; without one that has hit a limit the host
 * itself was out of memory, and OOM->cgroup is NULL.
 */
bool oom_find(struct arena *arena, int cgroup_root, const char *path, const struct oom_mark *mark,
	      struct oci_oom *oom);
/* "the cgroup /a/b hit its memory limit of 8388608 bytes (at most 8388608 were in use)". */
const char *oom_text(struct arena *arena, const struct oci_oom *oom);

/* When the kernel killed in the cgroup PATH (NULL: none) since MARK (NULL: ever, for a container's
 * own init), ERR says so of WHO instead; returns -1 for the caller to return. */
int oom_blame(struct runtime *runtime, const char *path, const struct oom_mark *mark,
	      const char *who, struct error *err);
/* Before and after a foreground process: a warning when EXIT_CODE says SIGKILL and the kernel
 * killed for want of memory. */
void oom_mark(struct runtime *runtime, const char *path, struct oom_mark *mark);
void oom_warn(struct runtime *runtime, const char *path, const struct oom_mark *mark,
	      int exit_code);
