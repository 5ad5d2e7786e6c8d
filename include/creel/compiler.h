/* Attributes that the compiler checks for us: results that must be used, formats, clean-up. */
#pragma once

#include <stddef.h>

#define must_check	  __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
/* Out of its callers' way, and its variables out of their frames: a large frame is touched page by
 * page (-fstack-clash-protection), whether it is used or not. */
#define rarely_called	 __attribute__((cold, noinline))
#define never_returns	 __attribute__((noreturn))
#define cleanup_with(fn) __attribute__((cleanup(fn)))

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* GNU C predefines it as 1; the spec has a member of that name. */
#undef linux
