/* Checked functions (fortify.h). */
#pragma once

#include_next <stdio.h>

#include "fortify.h"

#ifndef UNCHECKED
FORTIFIED int snprintf(char *to, size_t n, const char *format, ...)
{
	return __builtin___snprintf_chk(to, n, 0, ROOM_OF_TEXT(to), format,
					__builtin_va_arg_pack());
}

FORTIFIED int vsnprintf(char *to, size_t n, const char *format, va_list list)
{
	return __builtin___vsnprintf_chk(to, n, 0, ROOM_OF_TEXT(to), format, list);
}
#endif
