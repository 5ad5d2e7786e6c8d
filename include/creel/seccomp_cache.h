/*
 * Compiled seccomp filters, kept under the state root: libseccomp needs milliseconds for Docker's
 * profile.  An entry holds the whole text that the filter was made from and is used only when that
 * text is equal byte for byte, so that no digest has to be trusted; its directory is 0700 and
 * entries that are not ours are ignored.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/plan.h>

struct error;

/* The compiled filter of SECCOMP, from the cache below ROOT or by plan_seccomp(); a cache that
 * cannot be used costs time only. */
int seccomp_cache_get(struct arena *arena, int root, const struct oci_seccomp *seccomp,
		      struct plan_seccomp *plan, struct error *err) must_check;
