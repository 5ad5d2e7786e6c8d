/* System calls for which musl has no function, and checked functions (fortify.h). */
#pragma once

#include_next <unistd.h>

#include <sys/syscall.h>

#include "fortify.h"

static inline int execveat(int dir, const char *path, char *const argv[], char *const envp[],
			   int flags)
{
	return (int)syscall(SYS_execveat, dir, path, argv, envp, flags);
}

static inline int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

#ifndef UNCHECKED
FORTIFIED ssize_t read(int fd, void *to, size_t n)
{
	return checked_read(fd, to, n, ROOM_OF(to));
}

FORTIFIED ssize_t pread(int fd, void *to, size_t n, off_t from)
{
	return checked_pread(fd, to, n, from, ROOM_OF(to));
}

FORTIFIED ssize_t readlinkat(int dir, const char *path, char *to, size_t n)
{
	return checked_readlinkat(dir, path, to, n, ROOM_OF(to));
}
#endif
