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
	int stat;	  /* its file in /proc, or -1 */
	bool limits_left; /* to the init: what START says */
	bool told;	  /* START was sent already, and EXEC came */
	bool ended;	  /* and the connection has ended */
};

/*
 * What comes next is nearly always execve, which ends the connection: whoever waits for just that
 * is woken once, and not also for EXEC.  What was said before can wait for so long.  1: it has
 * ended, and what it said is there; 0: not yet.
 */
int start_wait_for_end(int control, int timeout_ms, struct error *err) must_check;
/* Speaks the last part of the protocol: 0 when the program was executed. */
int start_init(const struct start *start, struct error *err) must_check;
/* Runs the poststart hooks; when one fails the container is killed and the error is returned. */
int start_finish(struct create *create, int init, struct error *err) must_check;
/* Finds the line of config.json that ERR points to, if the bundle's file is still the one that was
 * created from. */
void start_locate_error(struct runtime *runtime, const struct container *container,
			struct error *err);
