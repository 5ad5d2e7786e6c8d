/*
 * The systemd cgroup driver: a container's cgroup as a transient scope unit, made and changed over
 * D-Bus.  systemd is the one owner of its hierarchy, so where it runs the limits must be its
 * properties too: `systemctl daemon-reload` writes what it knows.  Source:
 * org.freedesktop.systemd1(5), systemd.resource-control(5).
 *
 * The manager of the user is asked when we are not root of the user namespace that systemd runs in,
 * else the manager of the system; its private socket first, since that works without a bus daemon
 * and does not queue behind others, then the bus.  TIMEOUT_MS, or 10 s when that is not positive,
 * is how long systemd may be silent and idle (one that works for others is not), and ten times that
 * is the limit for all that a function does; past it the error is ERROR_SYSTEM with ETIMEDOUT and
 * says what was waited for.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

/* One property of a unit, in the words of D-Bus: a signature and its text. */
struct systemd_property {
	const char *name;      /* "MemoryMax" */
	const char *signature; /* "t", "s", "b", "as", "ay", "a(ss)" ... */
	struct strings values; /* one text an element of the signature's basic types, in order */
	const char *with;      /* only where the unit's cgroup has this file; NULL: everywhere */
	const char *where;
};

struct systemd_scope {
	const char *unit; /* "docker-web.scope" */
	pid_t pid;	  /* the first process of it, our child */
	const struct systemd_property *properties;
	size_t properties_n;
};

/*
 * Starts the unit and waits until PID is in its cgroup.  A failed unit that is left over from an
 * earlier container is reset; any other unit of that name is ERROR_STATE and is left alone.  A
 * property that this systemd does not know is left out with a warning.  *ASKED says whether the
 * unit may exist now: then, after a failure, systemd_stop() is due.
 */
int systemd_start(const struct systemd_scope *scope, int timeout_ms, bool *asked,
		  struct error *err) must_check;
/*
 * Whether systemd has ended the unit and forgotten it, as it does by itself once nobody is left in
 * its cgroup, CGROUP below CGROUP_ROOT; waits for that no longer than it should take.  False when
 * it cannot be seen, or the unit is still there: then systemd_stop() is due.
 */
bool systemd_has_forgotten(const char *unit, int cgroup_root, const char *cgroup);
/* Stops the unit, waits until it is gone, and forgets its failures; a unit that does not exist is
 * success. */
int systemd_stop(const char *unit, int timeout_ms, struct error *err) must_check;
/* The cgroup of the unit into PATH; "" when it has none, or there is no such unit. */
int systemd_cgroup(const char *unit, int timeout_ms, char *path, size_t size,
		   struct error *err) must_check;
/* Changes properties of a running unit until the next boot, all or none. */
int systemd_set_properties(const char *unit, const struct systemd_property *properties, size_t n,
			   int timeout_ms, struct error *err) must_check;
/* Moves our child PID into the unit's cgroup, or into SUB ("/a/b") below it, where our own rights
 * do not reach. */
int systemd_attach(const char *unit, const char *sub, pid_t pid, int timeout_ms,
		   struct error *err) must_check;
