/*
 * Text: made in an arena, read strictly.  Nothing here knows a locale.
 */
#include <creel/text.h>

#include <stdio.h>
#include <string.h>

char *text_vformat(struct arena *arena, const char *format, va_list args)
{
	char small[256];
	va_list again;
	int length;
	char *text;

	va_copy(again, args);
	length = vsnprintf(small, sizeof(small), format, args);
	if (length < 0) {
		text = arena_strdup(arena, "");
	} else if ((size_t)length < sizeof(small)) {
		text = arena_strndup(arena, small, (size_t)length);
	} else {
		text = arena_alloc(arena, (size_t)length + 1);
		vsnprintf(text, (size_t)length + 1, format, again);
	}
	va_end(again);
	return text;
}

char *text_format(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = text_vformat(arena, format, args);
	va_end(args);
	return text;
}

size_t text_utf8(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf; /* of the second byte */
	size_t length;

	if (byte[0] < 0x80)
		return byte[0] != '\0';
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;

	/* Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
	if (byte[0] == 0xe0)
		low = 0xa0;
	else if (byte[0] == 0xed)
		high = 0x9f;
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f;
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	return length;
}

bool text_parse_uint(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;
	size_t digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
		if (digits == 20 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[digits] - '0'), &number))
			return false;
	}
	if (digits == 0 || text[digits] != '\0' || number > max)
		return false;
	*value = number;
	return true;
}

bool text_parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = text[0] == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t size;
	int64_t number;

	if (!text_parse_uint(text + negative, limit, &size))
		return false;
	/* Not -(int64_t)size: INT64_MIN has no positive twin. */
	number = negative ? (int64_t)(0 - size) : (int64_t)size;
	if (number < min || number > max)
		return false;
	*value = number;
	return true;
}

/* Not sscanf(3): it is a tenth of a static program. */
size_t text_take_uints(const char **text, const char *between, uint64_t *values, size_t n)
{
	size_t found = 0;

	for (; found < n; found++) {
		const char *digit = *text + strspn(*text, between);

		if (*digit < '0' || *digit > '9')
			break;
		for (values[found] = 0; *digit >= '0' && *digit <= '9'; digit++)
			if (__builtin_mul_overflow(values[found], 10, &values[found]) ||
			    __builtin_add_overflow(values[found], (uint64_t)(*digit - '0'),
						   &values[found]))
				return found;
		*text = digit;
	}
	return found;
}

bool text_starts_with(const char *text, const char *prefix)
{
	/* Mostly the first letter says no. */
	while (*prefix)
		if (*text++ != *prefix++)
			return false;
	return true;
}

bool text_ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void strings_add(struct arena *arena, struct strings *list, char *text)
{
	/* ROOM is 0 for a list that was not made here: its items stay where they are, untouched. */
	if (list->n + 2 > list->room) {
		size_t room = list->n < 3 ? 8 : (list->n + 2) * 2;
		char **items = arena_array(arena, room, sizeof(*items));

		if (list->n > 0)
			memcpy(items, list->items, list->n * sizeof(*items));
		list->items = items;
		list->room = room;
	}
	list->items[list->n++] = text;
	list->items[list->n] = NULL;
}

bool strings_has(const struct strings *list, const char *text)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

const char *string_map_get(const struct string_map *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (strcmp(map->items[i].key, key) == 0)
			return map->items[i].value;
	return NULL;
}

/* Longer words are not worth a guess; it also bounds the rows of the distance. */
#define NEAREST_MAX 48

static int lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : (unsigned char)letter;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein (optimal string alignment), letters of either case being equal. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][NEAREST_MAX + 1]; /* the last two and the one being made, in turn */

	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3];
		const size_t *up = rows[(i + 2) % 3];
		const size_t *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = least(up[j - 1] + !same, least(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = least(row[j], up2[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

const char *text_nearest(const char *text, const char *const *names)
{
	size_t length = strlen(text);
	size_t best = length / 3 + 1; /* the first distance that is too far */
	const char *nearest = NULL;

	if (length > NEAREST_MAX)
		return NULL;
	for (; *names; names++) {
		size_t name_length = strlen(*names);
		size_t apart;

		if (name_length > NEAREST_MAX)
			continue;
		apart = distance(text, length, *names, name_length);
		if (apart < best) {
			best = apart;
			nearest = *names;
		}
	}
	return nearest;
}

/* Reads one number of a range list and moves *TEXT behind it. */
static bool range_number(const char **text, unsigned int max, unsigned int *value)
{
	const char *start = *text;
	uint64_t number = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++) {
		number = number * 10 + (uint64_t)(**text - '0');
		if (number > max)
			return false;
	}
	*value = (unsigned int)number;
	return *text > start;
}

bool text_parse_ranges(const char *text, unsigned int max,
		       void (*visit)(void *argument, unsigned int first, unsigned int last),
		       void *argument)
{
	for (;;) {
		unsigned int first, last;

		if (!range_number(&text, max, &first))
			return false;
		last = first;
		if (*text == '-') {
			text++;
			if (!range_number(&text, max, &last) || last < first)
				return false;
		}
		visit(argument, first, last);
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}
