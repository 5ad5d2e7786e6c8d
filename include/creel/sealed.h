/*
 * Self-protection: no container can write the binary that creel runs from (CVE-2019-5736).  Every
 * command that puts a process into a container calls it first; state, list, kill and delete do not.
 *
 * In this order: the binary already lies on a read-only mount or is a sealed memfd: nothing to do.
 * Else it is executed again from a detached read-only clone of its own mount (open_tree,
 * mount_setattr, execveat), or, where that is not allowed, from a sealed memfd copy.  There is no
 * variable and no option that turns it off.
 */
#pragma once

#include <creel/compiler.h>

struct error;

/*
 * Returns 0 when protected; otherwise executes itself again with ARGV and does not return, or
 * fails.  *CLONE (-1: none) is the descriptor of the mount that we run from now.  With it one who
 * has CAP_SYS_ADMIN could make that mount writable: every child closes it before all else, and we
 * do before the container's program runs.  Whoever closes it last waits for RCU, so we do it when
 * nobody waits for us.
 */
int sealed_ensure(int procfs, char **argv, int *clone, struct error *err) must_check;
