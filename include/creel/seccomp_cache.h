/*
 * Compiled seccomp filters, kept under the state root: libseccomp needs milliseconds for Docker's
 * profile.  An entry holds the whole profile as config.json writes it, and is used only when that
 * text is equal byte for byte and was read by the same version of creel, so that no digest has to
 * be trusted; its directory is 0700 and entries that are not ours are ignored.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/plan.h>

struct error;

/* The compiled filter of SECCOMP, which was decoded from SIZE bytes of TEXT, from the cache below
 * ROOT or by plan_seccomp(); a cache that cannot be used costs time only. */
int seccomp_cache_get(struct arena *arena, int root, const struct oci_seccomp *seccomp,
		      const char *text, size_t size, struct plan_seccomp *plan,
		      struct error *err) must_check;
