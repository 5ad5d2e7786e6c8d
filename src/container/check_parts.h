/* What the files of `creel check` share: each one holds the plan against one side of the host. */
#pragma once

#include <creel/check_bundle.h>
#include <creel/error.h>
#include <creel/error_codes.h>
#include <creel/plan.h>
#include <creel/probe.h>
#include <stdbool.h>

struct checker {
	struct runtime *runtime;
	const struct facts *facts; /* of whoever would create the container */
	const struct oci_config *config;
	const struct oci_linux *oci_linux; /* never NULL */
	const struct plan *plan;
	struct probe_user user; /* set: judged for somebody else */
	struct findings *findings;
	int root; /* of the root filesystem, or -1 */
};

/* Where a path of the container is found. */
enum place {
	PLACE_FOUND,
	PLACE_ABSENT,
	PLACE_UNCERTAIN, /* a mount or a hook may bring it */
	PLACE_HIDDEN,	 /* we may not look; the container's root may */
};

/* Keeps ERR at POINTER with CODE (0: none) and leaves ERR cleared for the next one. */
void checker_error(const struct checker *check, struct error *err, const char *pointer, int code);
/* "POINTER/KEY" in the arena; NULL stays NULL. */
const char *checker_key(const struct checker *check, const char *pointer, const char *key);
const char *checker_index(const struct checker *check, const char *pointer, size_t index);

/* Opens PATH as the container will see it, for FLAGS; FD receives the descriptor or -1. */
enum place checker_look(const struct checker *check, const char *path, uint64_t flags, int *fd);

/* Whether ERRNUM is only ours: root of the container's user namespace may go where we may not. */
bool checker_is_hidden(const struct checker *check, int errnum);

/* check_files.c: the root filesystem, hooks, namespaces and sockets by path. */
void check_files(struct checker *check);
/* check_program.c: args[0], and what executing it needs. */
void check_program(const struct checker *check);
/* check_mounts.c */
void check_mounts(const struct checker *check);
/* check_cgroup.c */
void check_cgroup(const struct checker *check);
/* check_rights.c: what the kernel would not let us do. */
void check_rights(const struct checker *check);
/* check_users.c: user namespaces and their ids. */
void check_users(const struct checker *check);
