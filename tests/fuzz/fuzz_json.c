/*
 * JSON text against a second reader, which is written from RFC 8259 and the rules of json.h and
 * shares nothing with the first: both take the same documents.  What was taken comes out of the
 * writer the same.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/json.h>

struct reader {
	struct arena *arena;
	const uint8_t *at, *end;
	size_t depth;
};

static bool read_value(struct reader *reader);

static void skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4))
		reader->at++;
}

static bool take(struct reader *reader, char wanted)
{
	if (reader->at == reader->end || *reader->at != (uint8_t)wanted)
		return false;
	reader->at++;
	return true;
}

static bool read_word(struct reader *reader, const char *word)
{
	for (; *word; word++)
		if (!take(reader, *word))
			return false;
	return true;
}

static size_t digits(struct reader *reader)
{
	const uint8_t *start = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (size_t)(reader->at - start);
}

static bool read_number(struct reader *reader)
{
	take(reader, '-');
	if (!take(reader, '0') && digits(reader) == 0)
		return false;
	if (take(reader, '.') && digits(reader) == 0)
		return false;
	if (take(reader, 'e') || take(reader, 'E')) {
		if (!take(reader, '+'))
			take(reader, '-');
		return digits(reader) > 0;
	}
	return true;
}

static int hex(struct reader *reader)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int c = reader->at < reader->end ? *reader->at++ : 0;

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* UTF-8 by ranges of its table in RFC 3629, section 4. */
static size_t character(const uint8_t *at, size_t left)
{
	static const struct {
		uint8_t low, high, second_low, second_high;
		size_t n;
	} rows[] = {
		{ 0x20, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (*at < rows[i].low || *at > rows[i].high)
			continue;
		if (rows[i].n > left)
			return 0;
		if (rows[i].n > 1 && (at[1] < rows[i].second_low || at[1] > rows[i].second_high))
			return 0;
		for (size_t c = 2; c < rows[i].n; c++)
			if (at[c] < 0x80 || at[c] > 0xbf)
				return 0;
		return rows[i].n;
	}
	return 0;
}

static void put(char **to, unsigned int code)
{
	if (code < 0x80) {
		*(*to)++ = (char)code;
	} else if (code < 0x800) {
		*(*to)++ = (char)(0xc0 | code >> 6);
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*(*to)++ = (char)(0xe0 | code >> 12);
		*(*to)++ = (char)(0x80 | (code >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	} else {
		*(*to)++ = (char)(0xf0 | code >> 18);
		*(*to)++ = (char)(0x80 | (code >> 12 & 0x3f));
		*(*to)++ = (char)(0x80 | (code >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	}
}

static bool read_escape(struct reader *reader, char **to)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	int high, low;

	if (reader->at == reader->end || *reader->at == '\0')
		return false;
	if (take(reader, 'u')) {
		high = hex(reader);
		if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
			return false;
		if (high < 0xd800 || high > 0xdfff) {
			put(to, (unsigned int)high);
			return true;
		}
		low = read_word(reader, "\\u") ? hex(reader) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return false;
		put(to,
		    0x10000 + ((unsigned int)(high - 0xd800) << 10) + (unsigned int)(low - 0xdc00));
		return true;
	}
	letter = strchr(letters, *reader->at++);
	if (!letter)
		return false;
	*(*to)++ = meanings[letter - letters];
	return true;
}

static char *read_string(struct reader *reader)
{
	char *text = arena_alloc(reader->arena, (size_t)(reader->end - reader->at) + 1);
	char *to = text;

	if (!take(reader, '"'))
		return NULL;
	while (reader->at < reader->end && *reader->at != '"') {
		size_t n;

		if (take(reader, '\\')) {
			if (!read_escape(reader, &to))
				return NULL;
			continue;
		}
		n = character(reader->at, (size_t)(reader->end - reader->at));
		if (n == 0)
			return NULL;
		memcpy(to, reader->at, n);
		to += n;
		reader->at += n;
	}
	*to = '\0';
	return take(reader, '"') ? text : NULL;
}

static bool read_members(struct reader *reader, struct strings *keys)
{
	char *key;

	skip_blanks(reader);
	key = read_string(reader);
	if (!key || strings_has(keys, key))
		return false;
	strings_add(reader->arena, keys, key);
	skip_blanks(reader);
	if (!take(reader, ':') || !read_value(reader))
		return false;
	skip_blanks(reader);
	return !take(reader, ',') || read_members(reader, keys);
}

static bool read_elements(struct reader *reader)
{
	do {
		if (!read_value(reader))
			return false;
		skip_blanks(reader);
	} while (take(reader, ','));
	return true;
}

static bool read_inside(struct reader *reader, char open)
{
	struct strings keys = { 0 };
	char close = open == '{' ? '}' : ']';
	bool good;

	if (++reader->depth > JSON_DEPTH_MAX)
		return false;
	skip_blanks(reader);
	if (!take(reader, close)) {
		good = open == '{' ? read_members(reader, &keys) : read_elements(reader);
		if (!good || !take(reader, close))
			return false;
	}
	reader->depth--;
	return true;
}

static bool read_value(struct reader *reader)
{
	skip_blanks(reader);
	if (reader->at == reader->end)
		return false;
	switch (*reader->at) {
	case '{':
	case '[':
		return read_inside(reader, (char)*reader->at++);
	case '"':
		return read_string(reader) != NULL;
	case 't':
		return read_word(reader, "true");
	case 'f':
		return read_word(reader, "false");
	case 'n':
		return read_word(reader, "null");
	default:
		return read_number(reader);
	}
}

static bool is_json(struct arena *arena, const uint8_t *data, size_t size)
{
	struct reader reader = { .arena = arena, .at = data, .end = data + size };

	if (!read_value(&reader))
		return false;
	skip_blanks(&reader);
	return reader.at == reader.end;
}

static void write_tree(const struct json *value, struct json_writer *w)
{
	if (value->key)
		json_write_key(w, value->key);
	switch (value->type) {
	case JSON_NULL:
		json_write_null(w);
		return;
	case JSON_BOOL:
		json_write_bool(w, strcmp(value->text, "true") == 0);
		return;
	case JSON_NUMBER:
		json_write_number(w, value->text);
		return;
	case JSON_STRING:
		json_write_string(w, value->text);
		return;
	case JSON_ARRAY:
		json_write_array(w);
		break;
	case JSON_OBJECT:
		json_write_object(w);
		break;
	}
	json_each (child, value)
		write_tree(child, w);
	json_write_end(w);
}

static void check_same(const struct json *a, const struct json *b)
{
	const struct json *other = b->first;

	must(a->type == b->type && a->n == b->n);
	must(text_equal(a->key, b->key) && text_equal(a->text, b->text));
	json_each (child, a) {
		must(other != NULL);
		check_same(child, other);
		other = other->next;
	}
	must(other == NULL);
}

/* Every value is where the tree says that it begins and ends. */
static void check_offsets(const struct json *value, const uint8_t *data, size_t size)
{
	static const char *const first[] = {
		[JSON_NULL] = "n",    [JSON_BOOL] = "tf", [JSON_NUMBER] = "-0123456789",
		[JSON_STRING] = "\"", [JSON_ARRAY] = "[", [JSON_OBJECT] = "{",
	};

	must(value->offset < size && value->size > 0 && value->size <= size - value->offset);
	must(strchr(first[value->type], (char)data[value->offset]));
	must(value->type == JSON_NUMBER
		 ? strlen(value->text) == value->size &&
		       memcmp(value->text, data + value->offset, value->size) == 0
		 : strchr("le\"]}", (char)data[value->offset + value->size - 1]) != NULL);
	json_each (child, value)
		check_offsets(child, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	char *text = arena_alloc(&arena, size + 1);
	struct json *tree, *again;
	const char *written;
	size_t n;

	if (size > 0)
		memcpy(text, data, size);
	tree = json_parse(&arena, "document", text, size, &err);
	must((tree != NULL) == is_json(&arena, data, size));
	if (!tree) {
		must(err.kind == ERROR_CONFIG && err.what[0] && err.line > 0);
		return 0;
	}
	check_offsets(tree, data, size);
	for (int indent = -1; indent < 2; indent++) {
		struct json_writer *w = json_writer_new(&arena, indent);

		write_tree(tree, w);
		written = json_writer_text(w, &n);
		again = json_parse(&arena, "again", written, n, &err);
		must(again != NULL);
		check_same(tree, again);
	}
	return 0;
}
