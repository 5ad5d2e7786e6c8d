/* What sealed.c and sealed_remap.c share. */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>

/*
 * Makes the running program one that was executed from FD, which must be open for reading and be
 * the same file.  False when this kernel (CONFIG_CHECKPOINT_RESTORE) or our rights
 * (CAP_CHECKPOINT_RESTORE) do not allow it: nothing has changed then but where pages are read from.
 */
bool sealed_remap(int procfs, int fd);
