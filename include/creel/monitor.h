/* `run` and `exec` in the foreground: relays the terminal, forwards signals, and learns how the
 * process ended. */
#pragma once

#include <creel/compiler.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct notify;

struct monitor {
	const struct notify
	    *notify; /* what the container tells its service manager is relayed; or NULL */
	int pidfd;   /* of the process; our child */
	int console; /* the pty's master, or -1: then only signals are forwarded */
	int signals; /* monitor_run()'s own */
	int procfs;
};

/*
 * Blocks all signals that will be forwarded, before the process is made, so that none is lost
 * until monitor_run() takes them.  SIGTTIN and SIGTTOU stay as they are: reading our terminal from
 * the background stops us, as it stops every job of a shell.
 */
int monitor_block_signals(struct error *err) must_check;

/* The size of our own terminal, if we have one: what the process's is made with, since its program
 * may look at once. */
void monitor_own_size(uint16_t *height, uint16_t *width);

/*
 * Until the process ends: 128+n or its exit code in *EXIT_CODE.  The terminal is restored on every
 * way out.  What the process wrote before its end is delivered, however slow the reader is, unless
 * a signal says that nobody wants to wait for that; when the reader has gone away the process's
 * terminal is hung up.
 */
int monitor_run(struct monitor *monitor, int *exit_code, struct error *err) must_check;
