/* `run` and `exec` in the foreground: relays the terminal, forwards signals, and learns how the
 * process ended. */
#pragma once

#include <creel/compiler.h>
#include <sys/types.h>

struct error;
struct notify;

struct monitor {
	const struct notify
	    *notify; /* what the container tells its service manager is relayed; or NULL */
	int pidfd;   /* of the process; our child */
	int console; /* the pty's master, or -1: then only signals are forwarded */
	int signals; /* signalfd of monitor_block_signals() */
};

/* Blocks all signals that will be forwarded, before the process is made, so that none is lost;
 * returns a signalfd. */
int monitor_block_signals(struct error *err) must_check;

/* Until the process ends: 128+n or its exit code in *EXIT_CODE.  The terminal is restored on every
 * way out. */
int monitor_run(struct monitor *monitor, int *exit_code, struct error *err) must_check;
