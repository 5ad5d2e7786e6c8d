/* What the files mount_*.c share; nobody else includes it. */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/mount_table.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct mount_op;
struct mount_place;

/* mount_target.c: the place that a mount goes to. */

/*
 * Opens OP's target, making it (and its parents) when it is missing: a directory, or a file.
 * *EXISTED says whether it was there; it may be NULL.  The root itself is refused, and so is a
 * directory for a file or the other way round.
 */
int mount_open_target(struct mount_place *place, const struct mount_op *op, bool directory,
		      bool *existed, struct error *err) must_check;
/* Moves the detached TREE onto TARGET. */
int mount_attach(int tree, int target, const struct mount_op *op, struct error *err) must_check;

/* mount_attributes.c: the flags of a mount. */

/* OP's set and clear as the kernel wants them, without a late RDONLY. */
void mount_attributes(const struct mount_op *op, uint64_t *set, uint64_t *clear);
/* Changes the flags of the mount FD; no call is made when there is nothing to change. */
int mount_change(int fd, uint64_t set, uint64_t clear, bool recursive, const struct mount_op *op,
		 struct error *err) must_check;
int mount_propagate(int fd, unsigned long propagation, struct error *err) must_check;
/* The same for what is mounted at PATH, of the runtime's own tree. */
int mount_propagate_at(const char *path, unsigned long propagation, struct error *err) must_check;
/* Maps the ids of the detached mount FD by the user namespace USERNS. */
int mount_map_ids(int fd, int userns, bool recursive, const struct mount_op *op,
		  struct error *err) must_check;
/* OP's flags, the recursive ones too. */
int mount_change_by_op(int fd, const struct mount_op *op, struct error *err) must_check;
/* OP's propagation, in order; then FD is kept in OP->mounted if something is left for
 * mount_finish(), else closed. */
int mount_settle(int fd, struct mount_op *op, struct error *err) must_check;

/* mount_filesystem.c: new filesystems. */

int mount_new(struct mount_place *place, struct mount_op *op, struct error *err) must_check;
int mount_remount(int root, const struct mount_op *op, struct error *err) must_check;
/* fsopen(2) of TYPE with no options; a detached mount with the flags SET.  -1 with errno and ERR
 * set. */
int mount_make(const char *type, uint64_t set, const struct mount_op *op,
	       struct error *err) must_check;

/* mount_cgroup.c, mount_copy.c, mount_mask.c */

int mount_cgroup(struct mount_place *place, struct mount_op *op, struct error *err) must_check;
/* Copies what is in the directory FROM, without the mounts below it, into the empty directory TO.
 */
int mount_copy(int from, int to, struct error *err) must_check;
int mount_readonly(int root, const struct mount_op *op, struct error *err) must_check;

/* mount_moveroot.c: the pivot for file trees that cannot be pivoted. */

int mount_move_root(int root, struct error *err) must_check;
