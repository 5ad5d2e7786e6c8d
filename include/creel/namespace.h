/* The table of the eight namespaces; opening, checking and joining them.  Source: namespaces(7),
 * setns(2), ioctl_ns(2). */
#pragma once

#include <creel/compiler.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* In the order in which a process joins them: what needs rights in the old user namespace, user,
 * the rest. */
struct namespace_row {
	const char *name; /* as the spec writes it: "network" */
	const char *link; /* in /proc/PID/ns: "net" */
	uint64_t flag;	  /* CLONE_NEW* */
};

#define NAMESPACE_COUNT 8
extern const struct namespace_row namespace_rows[NAMESPACE_COUNT];

/* The row of FLAG; never NULL for one CLONE_NEW* flag. */
const struct namespace_row *namespace_of(uint64_t flag);

/* Opens PATH, which must be a namespace of the kind FLAG (nsfs and NS_GET_NSTYPE are checked). */
int namespace_open(const char *path, uint64_t flag, struct error *err) must_check;

/* Opens the one of kind FLAG that we are in, of a verified procfs. */
int namespace_open_own(int procfs, uint64_t flag, struct error *err) must_check;

/*
 * Joins the N namespaces of FDS (by FLAGS) in up to two passes around the user namespace: those
 * that our present rights allow first, then the user namespace, then what is left.  Joining a mount
 * namespace comes last; pid and time namespaces hold for children only.  One fd a flag; an fd of -1
 * is skipped.
 */
int namespace_join(const int *fds, const uint64_t *flags, size_t n, struct error *err) must_check;

/* setns(2) into all namespaces of the process PIDFD that FLAGS name, in one call. */
int namespace_join_process(int pidfd, uint64_t flags, struct error *err) must_check;

/* Unshares FLAGS, one by one when the whole fails, so that the error names the kind and, for
 * ENOSPC, the user.max_*_namespaces sysctl with its value. */
int namespace_unshare(uint64_t flags, struct error *err) must_check;
/* Explains a failed clone3(2) or unshare(2) that should have made FLAGS. */
int namespace_explain(uint64_t flags, int errnum, struct error *err);
/* Says which sysctls of the host forbid a user namespace, and what they are. */
void namespace_hint_forbidden(int procfs, struct error *err);
/* Says that the host takes the rights in a user namespace away, if it does (Ubuntu). */
void namespace_hint_restricted(int procfs, struct error *err);
/* Which one of FLAGS the kernel refuses, found out by a child that makes them one by one; 0 when it
 * cannot be known, or when each of them can be had. */
uint64_t namespace_find_refused(uint64_t flags);

/* Writes time offsets ("boottime 5 0\nmonotonic ...") of the time namespace our children will be
 * in. */
int namespace_set_time_offsets(int procfs, const char *lines, struct error *err) must_check;
