/* Text: formatting into an arena, lists of strings, and number parsing that accepts nothing but
 * numbers. */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A list of strings; ITEMS is NULL-terminated when it is not NULL, ready for execve(2). */
struct strings {
	char **items;
	size_t n;
	size_t room; /* of ITEMS, for strings_add() alone; 0 for a list that it did not make */
};

/* An ordered map from string to string, as JSON objects are. */
struct string_pair {
	char *key;
	char *value;
};

struct string_map {
	struct string_pair *items;
	size_t n;
};

char *text_format(struct arena *arena, const char *format, ...) printf_like(2, 3);
char *text_vformat(struct arena *arena, const char *format, va_list args) printf_like(2, 0);

/* The bytes (1 to 4) of the UTF-8 character at TEXT; 0 at its end, and when it is none (overlong, a
 * surrogate, above U+10FFFF, cut short).  Never reads past the first byte that does not fit. */
size_t text_utf8(const char *text);

/* Strict decimal: "[0-9]{1,20}" and within [0, MAX]; no sign, no blank, nothing after it. */
bool text_parse_uint(const char *text, uint64_t max, uint64_t *value);
/* The same with an optional leading '-', within [MIN, MAX]. */
bool text_parse_int(const char *text, int64_t min, int64_t max, int64_t *value);

/* The decimal numbers that *TEXT begins with, at most N; bytes of BETWEEN stand before and between
 * them.  Gives how many there are, and moves *TEXT behind the last one. */
size_t text_take_uints(const char **text, const char *between, uint64_t *values, size_t n);

bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
/* For searching in tables: mostly the first byte differs, and that is seen without a call. */
static inline bool text_is(const char *a, const char *b)
{
	return a[0] == b[0] && strcmp(a, b) == 0;
}
bool text_equal(const char *a, const char *b); /* NULL equals only NULL */

/* Appends TEXT (not copied) to LIST; amortised by doubling in the arena. */
void strings_add(struct arena *arena, struct strings *list, char *text);
bool strings_has(const struct strings *list, const char *text);
/* The value of KEY, or NULL. */
const char *string_map_get(const struct string_map *map, const char *key);

/* The member of the NULL-terminated NAMES that is most like TEXT, for "did you mean"; NULL when
 * none is near enough (edit distance above a third of its length). */
const char *text_nearest(const char *text, const char *const *names);

/* A cpu or node list as in /sys ("0-3,7"): calls VISIT for each range; false when TEXT is no such
 * list. */
bool text_parse_ranges(const char *text, unsigned int max,
		       void (*visit)(void *argument, unsigned int first, unsigned int last),
		       void *argument);
