/*
 * state.json: what must be remembered of a container between two commands.  Written atomically,
 * once as soon as the first process is there ("creating": no pid yet), once when the container is
 * created.  The status is derived from the kernel, never stored.
 *
 * exec.json beside it is what `exec` needs, so that it never parses the bundle's config.json again.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/oci_config.h>
#include <creel/oci_state.h>
#include <creel/schema.h>

struct error;

struct state {
	struct optional_uint version; /* of this format: 1 */
	char *id;
	char *bundle;		    /* absolute */
	char *rootfs;		    /* absolute */
	struct optional_uint pid;   /* of the init, in the pid namespace of the command that created
				       it; absent: creating */
	struct optional_uint start; /* its start time, clock ticks since boot: tells it from a later
				       process with its pid */
	struct optional_uint identity; /* process_identity() of it: also tells it from one that has
					  its pid and began in the same tick */
	struct optional_uint boot;  /* a digest of the kernel's boot id: after a reboot nothing of
				       the container is left */
	char *created;		    /* RFC 3339 */
	struct optional_uint owner; /* uid of the creator */
	struct optional cgroup_manager;
	char *cgroup; /* path in the hierarchy; absent: none */
	size_t
	    cgroup_missing; /* how many of it did not exist before: only of the note, see below */
	struct optional_uint cgroup_made; /* how many directories of it we made */
	char *unit;			  /* of systemd */
	char *config_digest;		  /* of config.json as it was at create */
	struct string_map annotations;
	struct oci_hooks *hooks; /* only poststart and poststop are kept */
	bool shared_pid; /* no pid namespace of its own: killing the init does not end the others */
	bool waits;	 /* the init waits on start.sock; a container of `run` does not */
	char *rdt_group; /* resctrl group that was made */
	bool rdt_own, rdt_monitoring;
	struct strings
	    streams; /* what it was given as standard streams: see checkpoint_streams.c */
};

extern const struct schema state_schema;

struct exec_record {
	struct oci_process *process; /* the container's own: the template for command lines */
	struct oci_personality *personality;
	struct oci_memory_policy *memory_policy;
	struct optional_uint
	    namespaces; /* CLONE_NEW* flags that the container does not share with the runtime */
	bool user_namespace;
	bool own_root; /* its root is not that of its mount namespace, which it shares or joined */
	struct oci_id_mappings uid_mappings;
	struct oci_id_mappings gid_mappings;
	bool has_seccomp; /* seccomp.bpf lies beside */
	struct optional_uint seccomp_flags;
	bool seccomp_notify;
	char *listener_path;
	char *listener_metadata;
	struct string_map annotations;
};

extern const struct schema exec_record_schema;

#define STATE_FILE	   "state.json"
#define STATE_EXEC_FILE	   "exec.json"
#define STATE_SECCOMP_FILE "seccomp.bpf"
#define STATE_START_SOCKET "start.sock"
#define STATE_CGROUP_NOTE  "cgroup"
#define STATE_CGROUP_MARK  "cgroup.made"
#define STATE_INIT_NOTE	   "init"

int state_write(struct arena *arena, int dir, const struct state *state,
		struct error *err) must_check;
/* The same in two halves, so that publishing a container is one rename. */
int state_prepare(struct arena *arena, int dir, const struct state *state,
		  struct error *err) must_check;
int state_commit(int dir, struct error *err) must_check;
/* A missing state.json is ERROR_STATE: a directory whose create died before the first write. */
int state_read(struct arena *arena, int dir, struct state *state, struct error *err) must_check;

/*
 * Before state.json is there, symbolic links stand for it, since each is one atomic system call:
 * the PATH of the cgroup that will be made, of which MISSING directories do not exist yet, and then
 * that it was made, with how many directories.  A create that is killed at any instant leaves
 * enough to clean up by; state_read() reads the mark, and state_read_remains() both where there is
 * no state.json.
 */
int state_note_cgroup(int dir, const char *path, size_t missing, struct error *err) must_check;
int state_mark_cgroup(int dir, size_t made, struct error *err) must_check;
/* Where no cgroup tells which processes are the container's: who its init is, beside state.json. */
int state_note_init(int dir, const struct state *state, struct error *err) must_check;
void state_read_remains(struct arena *arena, int dir, struct state *state);

/* start.sock, or in a `run` a link in its place, says "created"; without it the container is
 * running. */
int state_mark_unstarted(int dir, struct error *err) must_check;
int state_mark_started(int dir, struct error *err) must_check;
bool state_is_unstarted(int dir);

int exec_record_write(struct arena *arena, int dir, const struct exec_record *record,
		      struct error *err) must_check;
int exec_record_read(struct arena *arena, int dir, struct exec_record *record,
		     struct error *err) must_check;

/* 1 with a pidfd of the init in *INIT, 0 when it is gone.  *BOOT is state_boot() once that had to
 * be known: whoever asks for many containers keeps it. */
int state_find_init(int procfs, struct optional_uint *boot, const struct state *state, int *init,
		    struct error *err) must_check;
/* Asks the kernel: no pid yet is creating; pid gone, dead or another process is stopped; start.sock
 * there is created; frozen is paused; else running.  *INIT is a pidfd of the process that was found
 * alive, or 0. */
int state_status(int procfs, struct optional_uint *boot, int cgroup_root, int dir,
		 const struct state *state, enum oci_status *status, int *init,
		 struct error *err) must_check;

/* The spec's state object, for `state`, `list` and hooks. */
void state_describe(const struct state *state, enum oci_status status, struct oci_state *out);
/* The same as JSON text: compact for hooks, indented for people. */
const char *state_json(struct arena *arena, const struct oci_state *state,
		       const struct schema *schema, int indent);

/* RFC 3339 with nanoseconds, UTC. */
char *state_now(struct arena *arena);
/* A digest of the kernel's boot id. */
int state_boot(int procfs, uint64_t *boot, struct error *err) must_check;
/* FNV-1a of the bytes, as 16 hex digits: tells a changed file from the same, nothing more. */
char *state_digest(struct arena *arena, const void *data, size_t size);
