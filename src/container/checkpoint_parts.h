/* What the files of checkpoint and restore share; nobody else includes it. */
#pragma once

#include <creel/checkpoint.h>

/* The names of what masks a path, whatever path that is: a file, a directory. */
#define CHECKPOINT_NULL	 "creel-null"
#define CHECKPOINT_EMPTY "creel-empty"

/* The images know only these: refuses a container that joins others by path. */
int checkpoint_check_joins(const struct plan *plan, struct error *err) must_check;
/*
 * Where the external mounts are in the container PID: pairs of mount point and key.  What is not
 * mounted any more is left out.
 */
int checkpoint_find_mounts(struct arena *arena, int procfs, pid_t pid,
			   const struct external_mounts *mounts, struct criu_pairs *pairs,
			   struct error *err) must_check;

struct mount_line;
/* The mount that TARGET leads to in the container whose root is ROOT and whose mounts are TABLE;
 * false when there is none just there. */
bool checkpoint_find_mount(struct arena *arena, int root, const char *table, const char *target,
			   struct mount_line *line);

/*
 * Standard streams end outside of the container: a checkpoint writes down what they were, into
 * descriptors.json, and tells CRIU not to look for files in the container; a restore gives its own
 * instead.
 */
int checkpoint_save_streams(struct arena *arena, const struct strings *streams, int images,
			    struct criu_request *request, struct error *err) must_check;
/* The keys of the three streams; NULL for one that needs no replacement. */
int checkpoint_read_streams(struct arena *arena, int images, const char *keys[3],
			    struct error *err) must_check;
/* Whether TEXT is a key that a checkpoint writes: hostile, and so compared with what it may be.
 * Pure. */
bool checkpoint_is_stream_key(const char *text);
