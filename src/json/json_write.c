/*
 * JSON text, made value by value in an arena.  Whatever bytes a string holds, the result is valid
 * UTF-8 JSON without control characters, so that it can be shown on a terminal.
 */
#include <creel/json.h>

#include <creel/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tree that was read is at most JSON_DEPTH_MAX deep, and stands a few levels below a root. */
#define DEPTH_MAX 64

struct json_writer {
	struct arena *arena;
	int indent;
	char *text;
	size_t length;
	size_t room;
	size_t depth;
	bool has_key; /* a name was written, its value comes next */
	struct {
		char close; /* '}' or ']' */
		bool has_items;
	} open[DEPTH_MAX];
};

/* Makes room for N bytes and a NUL. */
static void reserve(struct json_writer *w, size_t n)
{
	size_t room = (w->length + n + 1) * 2;
	char *larger;

	if (w->length + n < w->room)
		return;
	larger = arena_alloc(w->arena, room);
	memcpy(larger, w->text, w->length);
	w->text = larger;
	w->room = room;
}

static void put(struct json_writer *w, const char *text, size_t n)
{
	reserve(w, n);
	memcpy(w->text + w->length, text, n);
	w->length += n;
}

static void put_byte(struct json_writer *w, char byte)
{
	reserve(w, 1);
	w->text[w->length++] = byte;
}

static void put_text(struct json_writer *w, const char *text)
{
	put(w, text, strlen(text));
}

struct json_writer *json_writer_new(struct arena *arena, int indent)
{
	struct json_writer *w = arena_alloc(arena, sizeof(*w));

	w->arena = arena;
	w->indent = indent;
	w->room = 1024;
	w->text = arena_alloc(arena, w->room);
	return w;
}

static void new_line(struct json_writer *w)
{
	if (w->indent == 0)
		return;
	put_byte(w, '\n');
	for (size_t i = 0; i < w->depth; i++) {
		if (w->indent < 0)
			put_byte(w, '\t');
		for (int blank = 0; blank < w->indent; blank++)
			put_byte(w, ' ');
	}
}

/* What stands before a value or a name: nothing after a name, else a comma and a new line. */
static void next_item(struct json_writer *w)
{
	if (w->has_key) {
		w->has_key = false;
		return;
	}
	if (w->depth == 0)
		return;
	if (w->open[w->depth - 1].has_items)
		put_byte(w, ',');
	w->open[w->depth - 1].has_items = true;
	new_line(w);
}

static void open_value(struct json_writer *w, char bracket, char closing)
{
	next_item(w);
	/* Only a mistake of ours can come here. */
	if (w->depth == DEPTH_MAX)
		abort();
	w->open[w->depth].close = closing;
	w->open[w->depth].has_items = false;
	w->depth++;
	put_byte(w, bracket);
}

void json_write_object(struct json_writer *w)
{
	open_value(w, '{', '}');
}

void json_write_array(struct json_writer *w)
{
	open_value(w, '[', ']');
}

void json_write_end(struct json_writer *w)
{
	if (w->depth == 0)
		abort();
	w->depth--;
	if (w->open[w->depth].has_items)
		new_line(w);
	put_byte(w, w->open[w->depth].close);
}

static void put_escape(struct json_writer *w, unsigned int unit)
{
	static const char letters[][3] = {
		['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"
	};
	char escape[8];

	if (unit < ARRAY_SIZE(letters) && letters[unit][0])
		snprintf(escape, sizeof(escape), "%s", letters[unit]);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", unit);
	put_text(w, escape);
}

static void put_string(struct json_writer *w, const char *text)
{
	put_byte(w, '"');
	while (*text) {
		const unsigned char *byte = (const unsigned char *)text;
		size_t bytes = text_utf8(text);

		if (bytes == 0) {
			put_text(w, "\xef\xbf\xbd"); /* U+FFFD */
			bytes = 1;
		} else if (*byte == '"' || *byte == '\\') {
			put_byte(w, '\\');
			put_byte(w, *text);
		} else if (*byte < 0x20 || *byte == 0x7f) {
			put_escape(w, *byte);
		} else if (*byte == 0xc2 && byte[1] < 0xa0) {
			put_escape(w, byte[1]); /* C1: a terminal may obey it */
		} else {
			/* All plain letters at once: most strings are nothing else. */
			while (text[bytes] > ' ' && text[bytes] < 0x7f && text[bytes] != '"' &&
			       text[bytes] != '\\')
				bytes++;
			put(w, text, bytes);
		}
		text += bytes;
	}
	put_byte(w, '"');
}

void json_write_key(struct json_writer *w, const char *key)
{
	next_item(w);
	put_string(w, key);
	put_byte(w, ':');
	if (w->indent != 0)
		put_byte(w, ' ');
	w->has_key = true;
}

void json_write_string(struct json_writer *w, const char *text)
{
	next_item(w);
	put_string(w, text);
}

void json_write_number(struct json_writer *w, const char *text)
{
	next_item(w);
	put_text(w, text);
}

static void write_decimal(struct json_writer *w, uint64_t value, bool negative)
{
	char text[24] = "";
	char *digit = text + sizeof(text) - 1;

	do
		*--digit = (char)('0' + value % 10);
	while (value /= 10);
	if (negative)
		*--digit = '-';
	json_write_number(w, digit);
}

void json_write_int(struct json_writer *w, int64_t value)
{
	write_decimal(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void json_write_uint(struct json_writer *w, uint64_t value)
{
	write_decimal(w, value, false);
}

void json_write_bool(struct json_writer *w, bool value)
{
	json_write_number(w, value ? "true" : "false");
}

void json_write_null(struct json_writer *w)
{
	json_write_number(w, "null");
}

const char *json_writer_text(struct json_writer *w, size_t *size)
{
	w->text[w->length] = '\0';
	if (size)
		*size = w->length;
	return w->text;
}
