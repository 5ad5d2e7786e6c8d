/*
 * What _FORTIFY_SOURCE does in glibc, for the functions that creel fills memory with: where the
 * compiler knows how large an object is, a length that is too large ends the program.  What it
 * knows to be right costs nothing.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#define FORTIFIED extern inline __attribute__((__gnu_inline__, __always_inline__, __artificial__))

#define ROOM_OF(to)	 __builtin_dynamic_object_size((to), 0)
#define ROOM_OF_TEXT(to) __builtin_dynamic_object_size((to), 1)

ssize_t checked_read(int fd, void *to, size_t n, size_t room);
ssize_t checked_pread(int fd, void *to, size_t n, off_t from, size_t room);
ssize_t checked_recv(int fd, void *to, size_t n, int flags, size_t room);
ssize_t checked_readlinkat(int dir, const char *path, char *to, size_t n, size_t room);
