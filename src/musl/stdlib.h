/* realpath(3) of a path with two slashes in front begins with one. */
#pragma once

#include_next <stdlib.h>

#include <string.h>

/* POSIX lets two mean something else, and musl keeps them; Linux knows no such place. */
static inline char *with_one_slash(char *path)
{
	if (path && path[0] == '/' && path[1] == '/')
		memmove(path, path + 1, strlen(path));
	return path;
}

#define realpath(path, real) with_one_slash(realpath((path), (real)))
