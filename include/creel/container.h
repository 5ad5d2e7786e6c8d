/*
 * The state directory: ROOT/ID with state.json, exec.json, seccomp.bpf and start.sock, locked by
 * flock(2) on the directory itself.  ROOT is 0700 and its owner's own; an ID is a name that cannot
 * leave it.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/facts.h>
#include <creel/state.h>
#include <stdbool.h>

struct error;

/* What every verb needs: opened by main() once. */
struct runtime {
	struct arena *arena;
	const char *root_path; /* of the state */
	int root;	       /* its descriptor, or -1 when it does not exist (yet) */
	int procfs;
	struct optional_uint boot; /* state_boot(), once it has been read */
	int cgroup_root;	   /* of the cgroup2 mount, or -1 */
	int clone; /* of the mount that we run from, until it is closed; see sealed.h */
	struct facts facts;
	int trace;	/* of --trace, or -1 */
	int timeout_ms; /* of every wait that has none of its own; -1: for ever */
};

struct container {
	int dir; /* of ROOT/ID; holds the lock when one is taken */
	const char *id;
	struct state state;
	enum oci_status status;
	int init; /* the pidfd by which the init was found alive, for container_init_open(), or 0 */
};

enum container_lock {
	CONTAINER_NO_LOCK,   /* state, kill, list: the pidfd makes them safe */
	CONTAINER_SHARED,    /* exec, ps, pause: the container must not be deleted meanwhile */
	CONTAINER_EXCLUSIVE, /* create, start, delete, update */
};

/* "/run/creel", or $XDG_RUNTIME_DIR/creel for an ordinary user or root in a user namespace
 * (SPEC 3.7). */
char *container_default_root(struct arena *arena, const struct facts *facts);
/* Opens RUNTIME->root_path; MAKE makes it with its parents (0700).  Refuses links and what others
 * may write. */
int container_root_open(struct runtime *runtime, bool make, struct error *err) must_check;

/* ^[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,1023}$ */
int container_check_id(const char *id, struct error *err) must_check;

/* Makes ROOT/ID, locked exclusively: "container with given ID already exists". */
int container_make(struct runtime *runtime, const char *id, struct container *container,
		   struct error *err) must_check;
/* Opens ROOT/ID, takes LOCK, reads the state, asks the status: "container does not exist". */
int container_open(struct runtime *runtime, const char *id, enum container_lock lock,
		   struct container *container, struct error *err) must_check;
/* The same with an exclusive lock for a container whose state.json is damaged: what else tells of
 * it, as for a half-made one. */
int container_open_remains(struct runtime *runtime, const char *id, struct container *container,
			   struct error *err) must_check;
/* Lets other commands in while `run` only watches; and takes the lock again: 1, or 0 when it was
 * deleted meanwhile. */
void container_unlock(const struct container *container);
int container_lock_again(struct runtime *runtime, const struct container *container,
			 struct error *err) must_check;
void container_close(struct container *container);
#define auto_container cleanup_with(container_close) struct container

/* Removes ROOT/ID; UNFILTERED: there is no filter in it to be looked for, or not in its usual
 * place. */
int container_remove(struct runtime *runtime, const struct container *container, bool unfiltered,
		     struct error *err) must_check;

/* All ids, sorted; none when the root does not exist. */
int container_list(struct runtime *runtime, struct strings *ids, struct error *err) must_check;

/* A pidfd of the init, which is certainly this container's process: its start time is checked after
 * opening. "container not running" when it is gone. */
int container_init_open(struct runtime *runtime, struct container *container,
			struct error *err) must_check;
/* The container's cgroup, or -1: ERR stays ERROR_NONE when it has none or it is gone. */
int container_cgroup(struct runtime *runtime, const struct container *container,
		     struct error *err) must_check;
