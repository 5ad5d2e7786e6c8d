/*
 * One cgroup of the version 2 hierarchy: make, write, freeze, kill, read, remove.  Paths are
 * absolute inside the hierarchy
 * ("/machine/web"); MOUNT is where it is mounted.  Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum cgroup_write_flags {
	CGROUP_MISSING_IS_FINE =
	    1,		  /* the file or the controller may be missing (hugetlb rsvd, swap off) */
	CGROUP_LINES = 2, /* one write(2) for each line of the value */
};

/* Without FILE it writes nothing and only wants the CONTROLLER (engines read its statistics). */
struct cgroup_write {
	const char *file; /* "memory.max", or NULL */
	const char *value;
	const char *controller; /* "memory"; NULL for cgroup.* */
	unsigned int flags;
	const char *unless; /* nothing is written where the cgroup has this file; or NULL */
	const char *where;  /* JSON pointer */
};

struct cgroup_writes {
	struct cgroup_write *items;
	size_t n;
};

/* A cgroup that we made. */
struct cgroup {
	int fd; /* of the directory: for CLONE_INTO_CGROUP and all files; the owner closes it */
	const char *path; /* absolute in the hierarchy */
	size_t
	    made; /* how many directories at the end of PATH we made: so many are removed on undo */
};

/* How many directories at the end of PATH do not exist yet: what cgroup_make() would make. */
int cgroup_missing(int root, const char *path, size_t *missing, struct error *err) must_check;

/* Opens the cgroup2 mount's root; refuses anything that is not cgroup2. */
int cgroup_root(const char *mount, struct error *err) must_check;
/* The same for what is known to be one, as the mount of struct facts is. */
int cgroup_root_known(const char *mount, struct error *err) must_check;

/*
 * Makes the cgroup PATH with its parents below ROOT (cgroup_root()), and enables in the parents the
 * controllers that WRITES need.  A cgroup that exists already is used if it is empty and not frozen
 * (engines make it beforehand), and counts as not made; if it is populated or frozen, that is
 * ERROR_STATE.  A path with an empty, "." or ".." component, or longer than 4096 bytes, is
 * ERROR_CONFIG.  On failure nothing that was made remains.  CGROUP->path must outlive CGROUP.
 */
int cgroup_make(int root, const char *path, const struct cgroup_writes *writes,
		struct cgroup *cgroup, struct error *err) must_check;
/*
 * Enables the controllers that WRITES need in all parents of the existing cgroup PATH; what is
 * enabled already is not written again.  cgroup_make() calls it; an update that brings a new
 * controller does too.  A controller that cannot be had is ERROR_UNSUPPORTED with its name, the
 * parent that lacks it, the pointer of the first write that needs it and what to do; unless all
 * writes that need it carry CGROUP_MISSING_IS_FINE.
 */
int cgroup_enable(int root, const char *path, const struct cgroup_writes *writes,
		  struct error *err) must_check;
/* Opens an existing one; ERRNUM is ENOENT when there is none.  "/" is ROOT itself. */
int cgroup_open(int root, const char *path, struct error *err) must_check;

/*
 * Writes all WRITES in order; when one fails and RESTORE is set, the earlier files get their old
 * values back.  The error names file, value, pointer and the likely cause.
 */
int cgroup_write_all(int fd, const struct cgroup_writes *writes, bool restore,
		     struct error *err) must_check;

/* Gives the cgroup's directory and the files that the kernel lists for delegation to UID:GID. */
int cgroup_delegate(int fd, uid_t uid, gid_t gid, struct error *err) must_check;

int cgroup_freeze(int fd, bool frozen, int timeout_ms, struct error *err) must_check;
/* 1 frozen by itself (not by a parent), 0 not, -1 no such cgroup (errno ENOENT or ENODEV). */
int cgroup_is_frozen(int fd);
/* The same of PATH, in three calls; -1 with ENOENT or ENODEV when there is no such cgroup. */
int cgroup_is_paused(int root, const char *path, struct error *err) must_check;
/* 1 when some process is in it or below, 0 when none, -1 errno. */
int cgroup_is_populated(int fd);

/* Kills all processes in it and below with one write to cgroup.kill, and waits until they are gone;
 * the error names the pids, their names and wait channels that are left.  A missing cgroup is
 * success. */
int cgroup_kill(int fd, int timeout_ms, struct error *err) must_check;

/* Removes the cgroup PATH if nothing is in it or below it; says whether it did. */
bool cgroup_remove_empty(int root, const char *path);
/* Removes the cgroup PATH with all below it, deepest first, retrying EBUSY for TIMEOUT_MS, then up
 * to MADE - 1 of its parents as long as they are empty.  A missing one is success. */
int cgroup_remove(int root, const char *path, size_t made, int timeout_ms,
		  struct error *err) must_check;

/* All pids in it and below, as seen from our pid namespace; sorted. */
int cgroup_pids(struct arena *arena, int fd, pid_t **pids, size_t *n, struct error *err) must_check;

/* "12 sh (do_wait), 13 cat (pipe_read) and 3 more": the processes in it and below, for messages. */
void cgroup_describe(int fd, char *text, size_t size);

/* Whether the cgroup has FILE; NULL is no file. */
bool cgroup_has(int fd, const char *file);

/* Reads one file of the cgroup, without the last newline; NULL when it does not exist. */
char *cgroup_read(struct arena *arena, int fd, const char *file);
