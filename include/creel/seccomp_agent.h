/* Handing a seccomp listener to its agent.  Source: runtime-spec config-linux.md, "The Container
 * Process State". */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/oci_state.h>
#include <sys/types.h>

struct error;

struct seccomp_agent {
	const char *path; /* of its socket */
	const char *metadata;
	int pidfd; /* of the process that has the filter */
	pid_t pid;
	const struct oci_state *state;
};

/* Takes descriptor NUMBER out of the process (pidfd_getfd(2)) and sends it with the state in one
 * message. */
int seccomp_agent_pass(struct arena *arena, const struct seccomp_agent *agent, int number,
		       struct error *err) must_check;
