/* A pty: made inside the container, its master sent out; raw mode and size on the outside.  Source:
 * pty(7), TIOCGPTPEER. */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

struct error;

struct terminal {
	int master;
	int slave;
};

/*
 * Opens a new pty on the devpts that is mounted at "dev/pts" beneath ROOT (verified
 * DEVPTS_SUPER_MAGIC), the slave by TIOCGPTPEER, never by name (CVE-2025-52565).  Without a devpts
 * there: the error says so.  HEIGHT and WIDTH 0 leave the size.
 */
int terminal_open(int root, uint16_t height, uint16_t width, struct terminal *terminal,
		  struct error *err) must_check;
/* Binds the slave on dev/console beneath ROOT, which is made as an empty file where missing; never
 * through a link. */
int terminal_bind_console(int root, int slave, struct error *err) must_check;
/* New session, SLAVE becomes its controlling terminal. */
int terminal_control(int slave, struct error *err) must_check;
/* SLAVE becomes 0, 1, 2; owned by UID. */
int terminal_take(int slave, uid_t uid, struct error *err) must_check;

/* Sends MASTER over the --console-socket PATH: one message, one descriptor, the payload is its
 * name. */
int terminal_send(const char *socket, int master, struct error *err) must_check;

/* Raw mode on the caller's own terminal FD; SAVED keeps what terminal_restore() puts back. */
int terminal_raw(int fd, struct termios *saved, struct error *err) must_check;
void terminal_restore(int fd, const struct termios *saved);
/* Copies the window size of FROM to TO; nothing when FROM is no terminal. */
void terminal_copy_size(int from, int to);
