/* Installing a ready filter, and the listener of its notifications.  Source: seccomp(2),
 * seccomp_unotify(2). */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct sock_filter;

struct seccomp_program {
	struct sock_filter *filter; /* classic BPF for struct seccomp_data */
	size_t length;		    /* instructions; 0: no filter at all */
	unsigned int flags;	    /* SECCOMP_FILTER_FLAG_*, without NEW_LISTENER */
	bool notify;		    /* some rule notifies: a listener is wanted */
};

/* Installs it for this process; *LISTENER receives the notification descriptor or -1. */
int seccomp_install(const struct seccomp_program *program, int *listener,
		    struct error *err) must_check;

/*
 * Whether PROGRAM lets a process do the system call NUMBER of our own architecture with the first
 * argument ARGUMENT, the others being zero: found by running it here, so nothing happens.  False
 * when it is not certain.
 */
bool seccomp_lets(const struct seccomp_program *program, long number, uint64_t argument);

/* Whether this kernel knows the SECCOMP_FILTER_FLAG_*; installs nothing. */
bool seccomp_has_flag(unsigned int flag);
