/* statx(2), which musl has from 1.2.5 on. */
#pragma once

#include_next <sys/stat.h>

#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int statx(int dir, const char *path, int flags, unsigned int mask,
			struct statx *status)
{
	return (int)syscall(SYS_statx, dir, path, flags, mask, status);
}
