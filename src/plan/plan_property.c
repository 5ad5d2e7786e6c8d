/*
 * GVariant's text form, as far as properties of units need it: booleans, strings, numbers with or
 * without a type, and arrays of these.  Source: GLib, "GVariant Text Format".
 */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	struct arena *arena;
	const char *rest;
	char type; /* of the elements: a letter of D-Bus's signatures, 0 when not yet known */
};

static const struct number_type {
	const char *keyword;
	char type;
	int64_t min;
	uint64_t max;
} number_types[] = {
	{ "byte", 'y', 0, UINT8_MAX },	  { "int16", 'n', INT16_MIN, INT16_MAX },
	{ "uint16", 'q', 0, UINT16_MAX }, { "int32", 'i', INT32_MIN, INT32_MAX },
	{ "uint32", 'u', 0, UINT32_MAX }, { "int64", 'x', INT64_MIN, INT64_MAX },
	{ "uint64", 't', 0, UINT64_MAX },
};

static void skip_blanks(struct reader *reader)
{
	reader->rest += strspn(reader->rest, " \t\n");
}

static bool take_char(struct reader *reader, char wanted)
{
	skip_blanks(reader);
	if (*reader->rest != wanted)
		return false;
	reader->rest++;
	return true;
}

static bool take_word(struct reader *reader, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(reader);
	if (strncmp(reader->rest, word, n) != 0 ||
	    (reader->rest[n] && !strchr(" \t\n,]", reader->rest[n])))
		return false;
	reader->rest += n;
	return true;
}

/* All elements of an array have one type. */
static bool has_type(struct reader *reader, char type)
{
	if (reader->type == 0)
		reader->type = type;
	return reader->type == type;
}

static const char *read_string(struct reader *reader)
{
	char quote = *reader->rest++;
	char *text = arena_alloc(reader->arena, strlen(reader->rest) + 1);
	size_t n = 0;

	while (*reader->rest && *reader->rest != quote) {
		if (*reader->rest == '\\') {
			reader->rest++;
			if (*reader->rest == '\0')
				return NULL;
			if (!strchr("\\'\"", *reader->rest))
				return NULL;
		}
		text[n++] = *reader->rest++;
	}
	if (*reader->rest++ != quote)
		return NULL;
	return has_type(reader, 's') ? text : NULL;
}

static const struct number_type *number_type(char type)
{
	for (size_t i = 0; i < ARRAY_SIZE(number_types); i++)
		if (number_types[i].type == type)
			return &number_types[i];
	return NULL;
}

static const char *read_number(struct reader *reader)
{
	const struct number_type *type;
	size_t n = strcspn(reader->rest, " \t\n,]");
	char *text = arena_strndup(reader->arena, reader->rest, n);
	uint64_t positive = 0;
	int64_t negative = 0;

	/* A number without a type is an int32. */
	if (reader->type == 0)
		reader->type = 'i';
	type = number_type(reader->type);
	if (!type)
		return NULL;
	reader->rest += n;
	if (text_parse_uint(text, type->max, &positive))
		return text_format(reader->arena, "%llu", (unsigned long long)positive);
	if (type->min < 0 && text_parse_int(text, type->min, 0, &negative))
		return text_format(reader->arena, "%lld", (long long)negative);
	return NULL;
}

static const char *read_value(struct reader *reader)
{
	skip_blanks(reader);
	if (*reader->rest == '\'' || *reader->rest == '"')
		return read_string(reader);
	if (take_word(reader, "true"))
		return has_type(reader, 'b') ? "true" : NULL;
	if (take_word(reader, "false"))
		return has_type(reader, 'b') ? "false" : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(number_types); i++) {
		if (!take_word(reader, number_types[i].keyword))
			continue;
		skip_blanks(reader);
		return has_type(reader, number_types[i].type) ? read_number(reader) : NULL;
	}
	return read_number(reader);
}

static bool read_array(struct reader *reader, struct systemd_property *property)
{
	if (take_char(reader, ']'))
		return reader->type != 0;
	do {
		const char *value = read_value(reader);

		if (!value)
			return false;
		plan_property_value(reader->arena, property, value);
	} while (take_char(reader, ','));
	return take_char(reader, ']');
}

/* "@as []": the type in words of the signature.  Sets *ARRAY when it is one. */
static bool read_type(struct reader *reader, bool *array)
{
	*array = *reader->rest == 'a';
	reader->rest += *array;
	if (*reader->rest == '\0' || !strchr("bsynqiuxt", *reader->rest))
		return false;
	reader->type = *reader->rest++;
	return *reader->rest == ' ';
}

bool plan_property_parse(struct arena *arena, const char *value, struct systemd_property *property)
{
	struct reader reader = { .arena = arena, .rest = value };
	bool wants_array = false;
	bool typed = take_char(&reader, '@');
	bool array;

	if (typed && !read_type(&reader, &wants_array))
		return false;
	array = take_char(&reader, '[');
	if (typed && array != wants_array)
		return false;
	if (array) {
		if (!read_array(&reader, property))
			return false;
	} else {
		const char *text = read_value(&reader);

		if (!text)
			return false;
		plan_property_value(arena, property, text);
	}
	skip_blanks(&reader);
	property->signature = text_format(arena, "%s%c", array ? "a" : "", reader.type);
	return *reader.rest == '\0';
}
