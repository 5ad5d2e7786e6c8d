/* statx(2) as the kernel's headers have it: musl has it from 1.2.5 on, and without the mount's id.
 */
#pragma once

#define statx		statx_of_musl
#define statx_timestamp statx_timestamp_of_musl
#include_next <sys/stat.h>
#undef statx
#undef statx_timestamp

#include <linux/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int statx(int dir, const char *path, int flags, unsigned int mask,
			struct statx *status)
{
	return (int)syscall(SYS_statx, dir, path, flags, mask, status);
}
