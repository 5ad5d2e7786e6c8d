/* The five capability sets and the bounding set.  Source: capabilities(7). */
#pragma once

#include <creel/compiler.h>
#include <stdint.h>

struct error;

/* One bit a capability: 1 << CAP_CHOWN. */
struct caps {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

/* Drops from the bounding set what CAPS->bounding does not have, up to the capability LAST; needs
 * CAP_SETPCAP, so before the ids change. */
int caps_drop_bounding(const struct caps *caps, int last, struct error *err) must_check;
/* After the ids changed (with PR_SET_KEEPCAPS): sets effective, permitted, inheritable and then
 * ambient, and reads them back. */
int caps_apply(const struct caps *caps, int last, struct error *err) must_check;
/* The last capability of this kernel. */
int caps_last(void);
/* Our own sets. */
int caps_read(struct caps *caps, struct error *err) must_check;
