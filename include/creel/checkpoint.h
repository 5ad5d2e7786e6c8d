/*
 * Checkpoint and restore: the processes of a container become files, and files become the processes
 * of a container again.  The work is CRIU's; what it may touch is ours to say.  The images are
 * hostile data: everything outside of the container - paths, namespaces, the cgroup, labels - comes
 * from the restore's own config.json, the images only say which of it was used, and what came of
 * them is compared with the document before it runs.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/create.h>
#include <creel/criu.h>
#include <creel/schema.h>

struct error;

/* What both commands take. */
struct criu_options {
	const char *image_path; /* NULL: "checkpoint" */
	const char *work_path;	/* NULL: the images' */
	const char *parent_path;
	bool tcp_established, tcp_close, tcp_skip_in_flight, ext_unix_sk, shell_job, file_locks,
	    link_remap, lazy_pages, auto_dedup;
	struct optional cgroups;      /* enum criu_cgroups */
	struct optional network_lock; /* enum criu_network_lock */
	struct strings empty_ns;
};

struct checkpoint_options {
	struct criu_options criu;
	const char *id;
	bool leave_running;
	bool pre_dump;
	struct optional status_fd;
	const char *page_server;
};

struct restore_options {
	struct criu_options criu;
	struct create_options create;
	const char *lsm_profile;
	const char *lsm_mount_context;
};

extern const struct name_value criu_cgroups_names[];
extern const struct name_value criu_network_lock_names[];

int verb_checkpoint(struct runtime *runtime, const struct checkpoint_options *options,
		    struct error *err) must_check;
int verb_restore(struct runtime *runtime, const struct restore_options *options, int *exit_code,
		 struct error *err) must_check;

/* ---- between the files of both ---- */

/* The directories of one conversation with CRIU. */
struct criu_place {
	int images, work;
	const char *image_path, *work_path; /* for messages */
};

#define CRIU_PLACE_NONE                                                                            \
	{                                                                                          \
		.images = -1, .work = -1                                                           \
	}

/* Opens both; MAKE makes them where they are missing.  They must be ours alone: CRIU follows links
 * in them. */
int criu_place_open(struct runtime *runtime, const struct criu_options *options, bool make,
		    const char *log_file, struct criu_place *place, struct error *err) must_check;
void criu_place_close(struct criu_place *place);

/* Who may: root of the host, with everything. */
int criu_check_rights(const struct runtime *runtime, struct error *err) must_check;
/* The options that both requests share. */
int criu_fill_request(struct arena *arena, const struct criu_options *options,
		      const struct create *create, const struct criu_place *place,
		      struct criu_request *request, struct error *err) must_check;
/* How long CRIU may be silent. */
int criu_patience(const struct runtime *runtime) must_check;

/*
 * The mounts of a container that are not its own: bind mounts, and what masks its paths.  In images
 * they have generated names, which say nothing of any path (CVE-2026-119101).
 */
struct external_mount {
	struct mount_op *op;
	const char *key;
};

struct external_mounts {
	struct external_mount *items;
	size_t n;
};

void external_mounts_list(struct arena *arena, const struct plan *plan,
			  struct external_mounts *mounts);
/* The name of what is mounted at SUB ("/a/b"; "" for itself) below the external mount OP. */
const char *external_mount_key(struct arena *arena, const struct mount_op *op, const char *sub);

/* Names of namespaces that are joined by path; NULL for a kind that CRIU cannot leave out. */
const char *external_namespace_key(uint64_t flag);
