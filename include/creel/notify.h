/*
 * NOTIFY_SOCKET for containers (sd_notify(3)): a socket of our own is seen in the container, and
 * what its program says of being ready is told to the caller's, with the pid that is its on the
 * host.  `create` makes the directory that is mounted, `start` binds the socket and waits; a
 * foreground `run` relays for as long as the container lives.
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;

/* In the state directory, and the socket's name in it. */
#define NOTIFY_DIRECTORY "notify"
#define NOTIFY_NAME	 "notify.sock"

struct notify {
	int inner; /* what the container sends comes here; -1: nobody wants to be notified */
	int outer; /* connected to the caller's NOTIFY_SOCKET */
};

/*
 * Opens both ends when the container in the state directory DIR has the directory and HOST, the
 * caller's NOTIFY_SOCKET (or NULL), can be reached; else NOTIFY->inner is -1.  A socket that cannot
 * be reached is a warning: nobody waits there.
 */
int notify_open(int dir, const char *host, struct notify *notify, struct error *err) must_check;
void notify_close(struct notify *notify);
#define auto_notify cleanup_with(notify_close) struct notify

/* Waits until the container is ready or the process PIDFD has ended; tells MAINPID=PID and READY=1,
 * and waits until that has been taken, so that the caller's unit knows its process before we are
 * gone. */
int notify_wait(const struct notify *notify, int pidfd, pid_t pid, struct error *err) must_check;
/* Passes on what has come: READY, RELOADING, STOPPING, WATCHDOG, and nothing that would speak for
 * the caller. */
void notify_relay(const struct notify *notify);
