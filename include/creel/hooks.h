/* Runs one list of hooks.  Source: runtime-spec config.md "POSIX-platform Hooks", runtime.md
 * "Lifecycle"; SECURITY H-43. */
#pragma once

#include <creel/compiler.h>
#include <creel/oci_config.h>
#include <creel/oci_state.h>

struct error;

struct hook_run {
	enum oci_hook_kind kind;
	const struct oci_hook_list *list;
	const char *state;     /* JSON for standard input */
	const char *directory; /* working directory: the bundle, or "/" inside the container */
	int timeout_ms;	       /* of a hook that has none: -1 for ever */
};

/*
 * Runs the hooks in order with exactly their own environment, descriptors 0 to 2 only, default
 * signals, a process group of their own, STATE on standard input.  The first one that fails ends
 * it: the error names kind, index, path, exit code or signal and the last lines of its output; of
 * poststop hooks it is only a warning, and the others follow.  One that runs past its timeout is
 * killed with its group.
 */
int hooks_run(struct arena *arena, const struct hook_run *run, struct error *err) must_check;
