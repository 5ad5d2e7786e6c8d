/* The words that the unit tests are written in: a thin layer over cmocka that takes any condition
 * and any text. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The condition holds. */
#define check(condition) _assert_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* Two texts are the same; NULL is the same as NULL only. */
#define check_text(actual, expected) check_text_at((actual), (expected), __FILE__, __LINE__)

/* TEXT has PART somewhere in it. */
#define check_has(text, part)	  check_part_at((text), (part), 1, __FILE__, __LINE__)
#define check_has_not(text, part) check_part_at((text), (part), 0, __FILE__, __LINE__)

/* Two numbers are the same. */
#define check_int(actual, expected)                                                                \
	check_int_at((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)

/* The body of main(): runs the named tests. */
#define check_all(tests) cmocka_run_group_tests((tests), NULL, NULL)

static inline void check_text_at(const char *actual, const char *expected, const char *file,
				 int line)
{
	if (actual == expected || (actual && expected && strcmp(actual, expected) == 0))
		return;
	print_error("found:    %s\nexpected: %s\n", actual ? actual : "(null)",
		    expected ? expected : "(null)");
	_fail(file, line);
}

static inline void check_part_at(const char *text, const char *part, int wanted, const char *file,
				 int line)
{
	if (text && !strstr(text, part) == !wanted)
		return;
	print_error("%s %s\nin: %s\n", wanted ? "missing:" : "unwanted:", part,
		    text ? text : "(null)");
	_fail(file, line);
}

static inline void check_int_at(long long actual, long long expected, const char *what,
				const char *file, int line)
{
	if (actual == expected)
		return;
	print_error("%s is %lld, expected %lld\n", what, actual, expected);
	_fail(file, line);
}
