/* Make down, undo up: the mechanism of the create table. */
#pragma once

#include <creel/compiler.h>
#include <stddef.h>

struct create;
struct error;

struct step {
	const char *name; /* completes "while ...", for errors and --trace */
	int (*make)(struct create *create, struct error *err);
	/* Must be safe to call for a step that was never, or half, made.  NULL: nothing to undo. */
	int (*undo)(struct create *create, struct error *err);
};

/* Makes every step in order.  When one fails, it and the earlier ones are undone. */
int steps_run(const struct step *steps, size_t n, struct create *create,
	      struct error *err) must_check;

/* Undoes the first N steps, last one first, all of them whatever fails; the first error is
 * returned. */
int steps_undo(const struct step *steps, size_t n, struct create *create,
	       struct error *err) must_check;
