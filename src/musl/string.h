/* The names of errors, as glibc has them, and checked functions (fortify.h). */
#pragma once

#include_next <string.h>

#include "fortify.h"

const char *strerrorname_np(int errnum);

#ifndef UNCHECKED
FORTIFIED void *memcpy(void *to, const void *from, size_t n)
{
	return __builtin___memcpy_chk(to, from, n, ROOM_OF(to));
}

FORTIFIED void *memmove(void *to, const void *from, size_t n)
{
	return __builtin___memmove_chk(to, from, n, ROOM_OF(to));
}

FORTIFIED void *memset(void *to, int byte, size_t n)
{
	return __builtin___memset_chk(to, byte, n, ROOM_OF(to));
}
#endif
