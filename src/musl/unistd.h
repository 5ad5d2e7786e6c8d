/* System calls for which musl has no function. */
#pragma once

#include_next <unistd.h>

#include <sys/syscall.h>

static inline int execveat(int dir, const char *path, char *const argv[], char *const envp[],
			   int flags)
{
	return (int)syscall(SYS_execveat, dir, path, argv, envp, flags);
}

static inline int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}
