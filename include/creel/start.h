/* The parts of `start` that `run` shares. */
#pragma once

#include <creel/compiler.h>
#include <creel/create.h>
#include <sys/types.h>

struct start {
	int control; /* the channel, or a connection of start.sock */
	int timeout_ms;
	int procfs;
	pid_t pid; /* of the init */
	int pidfd;
	bool limits_left; /* to the init: what START says */
	bool told;	  /* START was sent already, and EXEC came */
};

/* Speaks the last part of the protocol: 0 when the program was executed. */
int start_init(const struct start *start, struct error *err) must_check;
/* Runs the poststart hooks; when one fails the container is killed and the error is returned. */
int start_finish(struct create *create, int init, struct error *err) must_check;
/* Finds the line of config.json that ERR points to, if the bundle's file is still the one that was
 * created from. */
void start_locate_error(struct runtime *runtime, const struct container *container,
			struct error *err);
