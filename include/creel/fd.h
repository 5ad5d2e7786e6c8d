/* File descriptors: who owns them, moving them, passing them over a socket, closing the rest. */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

/* Closes *FD when it is not negative and sets it to -1; errno is kept. */
void fd_close(int *fd);
#define auto_fd cleanup_with(fd_close) int

/*
 * For a process on its way to a program, which closes all that it still has with one call before
 * (become_user()): that does the work of fifty.  Sets *FD to -1, and closes it only when its number
 * says that many are open; errno is kept.
 */
void fd_leave(int *fd);
#define auto_left_fd cleanup_with(fd_leave) int

/* fd_close() of all N, neighbours with one call. */
void fd_close_all(int *const *fds, size_t n);

/* Hands the descriptor on: returns *FD and sets it to -1. */
int take_fd(int *fd) must_check;

/* Makes 0, 1 and 2 exist (/dev/null where they are closed), so that no later open() lands there. */
int fd_ensure_standard(struct error *err) must_check;

/* Sets close-on-exec on every descriptor from FIRST upwards with one close_range(2). */
int fd_cloexec_from(int first, struct error *err) must_check;
/* Closes every descriptor from FIRST upwards but the N of KEEP, which are put in order; -1 stands
 * for none. */
int fd_close_others(int first, int *keep, size_t n, struct error *err) must_check;
/* Clears close-on-exec of FD. */
int fd_keep_on_exec(int fd, struct error *err) must_check;
bool fd_is_open(int fd);

/* Connects to the stream socket at PATH, of any length, by its directory's descriptor. */
int fd_connect(const char *path, struct error *err) must_check;
/* Binds and listens on the SEQPACKET socket NAME in the directory DIR (a path of any length); mode
 * 0600. */
int fd_listen(int dir, const char *name, struct error *err) must_check;
/* Connects to the SEQPACKET socket NAME in the directory DIR. */
int fd_connect_at(int dir, const char *name, struct error *err) must_check;

/* Sends DATA with FD as the one SCM_RIGHTS descriptor, in one sendmsg(2). */
int fd_send(int socket, int fd, const void *data, size_t size, struct error *err) must_check;

/* Writes all SIZE bytes, over EINTR and short writes. */
int fd_write_all(int fd, const void *data, size_t size, struct error *err) must_check;

/* Waits until EVENTS (POLLIN ...) are ready on FD: 1 ready, 0 deadline passed, -1 error. TIMEOUT_MS
 * < 0 waits for ever. */
int fd_wait(int fd, short events, int timeout_ms, struct error *err) must_check;
