/*
 * JSON text to a tree, by yajl's event parser, which is known in this file only.  yajl is lenient
 * in places (it keeps duplicate members, replaces lone surrogates, lets overlong UTF-8 pass), so
 * each event is checked against the bytes that it came from.
 */
#include <creel/json.h>

#include <creel/error.h>
#include <creel/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

/* A document is many small values: the arena is asked for some of them at once. */
#define VALUES_AT_ONCE 32

/* An object or array that is not over yet, and what it has so far. */
struct open {
	struct json *value;
	struct json *last;
};

struct parser {
	struct arena *arena;
	struct error *err;
	yajl_handle yajl;
	const char *text;
	char *copy; /* of the text, which becomes the strings of the tree */
	size_t size;
	bool ascii;    /* the whole text */
	size_t offset; /* behind the last token */
	size_t values;
	size_t depth;
	struct open open[JSON_DEPTH_MAX]; /* the objects and arrays around the present place */
	const char *key;		  /* the member whose value comes next, or NULL */
	struct json *root;
	struct json *free_values; /* the arena gave them, and nobody has them yet */
	size_t free_values_n;
};

/*
 * The present place, in PARTS, which has room for one level more than may be open.  In an array,
 * the element counts only when it is itself what is wrong (IN_VALUE); a member counts from its name
 * on.
 */
static const struct where *place(const struct parser *parser, struct where *parts, bool in_value)
{
	const struct json *innermost =
	    parser->depth > 0 ? parser->open[parser->depth - 1].value : NULL;
	size_t n = 0;

	for (size_t i = 1; i < parser->depth; i++, n++) {
		parts[n].up = n > 0 ? &parts[n - 1] : NULL;
		parts[n].key = parser->open[i].value->key;
		parts[n].index = parser->open[i - 1].value->n - 1;
	}
	if (innermost && (parser->key || (in_value && innermost->type == JSON_ARRAY))) {
		parts[n].up = n > 0 ? &parts[n - 1] : NULL;
		parts[n].key = parser->key;
		parts[n].index = innermost->n;
		n++;
	}
	return n > 0 ? &parts[n - 1] : NULL;
}

static int fail_at(struct parser *parser, size_t offset, bool in_value, const char *message)
{
	struct where parts[JSON_DEPTH_MAX + 1];

	error_coded(parser->err, CRL_NOT_JSON,
		    error_config(parser->err, place(parser, parts, in_value), "%s", message));
	json_position(parser->text, offset, &parser->err->line, &parser->err->column);
	return 0;
}

/* The value or name at OFFSET is wrong.  Returns 0, with which a yajl callback ends the parse. */
static int fail(struct parser *parser, size_t offset, const char *message)
{
	return fail_at(parser, offset, true, message);
}

static bool is_between(char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\t' || byte == ',' || byte == ':' ||
	       byte == '\r';
}

/* Between two tokens there are only blanks and one separator, which yajl has seen to. */
static size_t token_start(const struct parser *parser)
{
	size_t offset = parser->offset;

	while (offset < parser->size && is_between(parser->text[offset]))
		offset++;
	return offset;
}

/* Moves on: the token ends where yajl has read to.  Returns its first byte's offset. */
static size_t token(struct parser *parser)
{
	size_t start = token_start(parser);

	parser->offset = yajl_get_bytes_consumed(parser->yajl);
	return start;
}

/* The same for a bracket, which needs no search. */
static size_t bracket(struct parser *parser)
{
	parser->offset = yajl_get_bytes_consumed(parser->yajl);
	return parser->offset - 1;
}

static struct json *new_value(struct parser *parser)
{
	if (parser->free_values_n == 0) {
		parser->free_values =
		    arena_array(parser->arena, VALUES_AT_ONCE, sizeof(*parser->free_values));
		parser->free_values_n = VALUES_AT_ONCE;
	}
	parser->free_values_n--;
	return parser->free_values++;
}

/* Adds a value to the innermost open one.  Returns NULL when there are too many. */
static struct json *add(struct parser *parser, enum json_type type, size_t offset)
{
	struct open *parent = parser->depth > 0 ? &parser->open[parser->depth - 1] : NULL;
	struct json *value;

	if (++parser->values > JSON_VALUES_MAX) {
		fail(parser, offset, "the document has too many values");
		return NULL;
	}
	value = new_value(parser);
	value->type = type;
	value->key = parser->key;
	value->offset = (uint32_t)offset;
	value->size = (uint32_t)(parser->offset - offset);
	parser->key = NULL;
	if (!parent) {
		parser->root = value;
		return value;
	}
	if (parent->last)
		parent->last->next = value;
	else
		parent->value->first = value;
	parent->last = value;
	parent->value->n++;
	return value;
}

static int add_text(struct parser *parser, enum json_type type, size_t offset, const char *text)
{
	struct json *value = add(parser, type, offset);

	if (!value)
		return 0;
	value->text = text;
	return 1;
}

static int on_null(void *context)
{
	struct parser *parser = context;

	return add(parser, JSON_NULL, token(parser)) != NULL;
}

static int on_bool(void *context, int value)
{
	struct parser *parser = context;

	return add_text(parser, JSON_BOOL, token(parser), value ? "true" : "false");
}

static int on_number(void *context, const char *text, size_t size)
{
	struct parser *parser = context;
	size_t start = token_start(parser);

	/* At the end of the document yajl has counted what is not there. */
	parser->offset = start + size;
	return add_text(parser, JSON_NUMBER, start, arena_strndup(parser->arena, text, size));
}

/* The four hexadecimal digits after "\u"; yajl has checked that there are four. */
static unsigned int hex4(const char *text)
{
	char digits[5] = { text[0], text[1], text[2], text[3], '\0' };

	return (unsigned int)strtoul(digits, NULL, 16);
}

static bool is_high(unsigned int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(unsigned int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* What is wrong with the escape at *TEXT ("\..."), or NULL; moves behind it. */
static const char *check_escape(const char **text)
{
	unsigned int unit;

	if ((*text)[1] != 'u') {
		*text += 2;
		return NULL;
	}
	unit = hex4(*text + 2);
	*text += 6;
	if (unit == 0)
		return "a string holds a NUL byte";
	if (is_low(unit))
		return "a string holds half of a surrogate pair";
	if (!is_high(unit))
		return NULL;
	if ((*text)[0] != '\\' || (*text)[1] != 'u' || !is_low(hex4(*text + 2)))
		return "a string holds half of a surrogate pair";
	*text += 6;
	return NULL;
}

/* Checks the bytes of a string token, quotes included: [START, END) of the document. */
static bool check_string(struct parser *parser, size_t start, size_t end)
{
	const char *text = parser->text + start + 1;
	const char *stop = parser->text + end - 1;

	while (text < stop) {
		const char *wrong = NULL;
		const char *here = text;
		size_t bytes;

		if (*text == '\\') {
			wrong = check_escape(&text);
		} else if (*text >= 0) {
			text++;
		} else {
			bytes = text_utf8(text);
			if (bytes == 0)
				wrong = "a string is not valid UTF-8";
			text += bytes;
		}
		if (wrong) {
			fail(parser, (size_t)(here - parser->text), wrong);
			return false;
		}
	}
	return true;
}

/*
 * Takes a string or a name; *START is its first byte's offset.  Returns NULL when it is refused.
 * yajl has left the closing quote behind, so a NUL can take its place.
 */
static const char *string_token(struct parser *parser, const void *text, size_t size, size_t *start)
{
	size_t at = (size_t)((uintptr_t)text - (uintptr_t)parser->copy);

	/* Escapes: it lies in a buffer of yajl's, which is used again. */
	if (at >= parser->size) {
		*start = token(parser);
		return check_string(parser, *start, parser->offset)
			   ? arena_strndup(parser->arena, text, size)
			   : NULL;
	}
	*start = at - 1;
	parser->offset = at + size + 1;
	if (!parser->ascii && !check_string(parser, *start, parser->offset))
		return NULL;
	parser->copy[at + size] = '\0';
	return parser->copy + at;
}

static int on_string(void *context, const unsigned char *text, size_t size)
{
	struct parser *parser = context;
	size_t start;
	const char *string = string_token(parser, text, size, &start);

	return string ? add_text(parser, JSON_STRING, start, string) : 0;
}

static int on_key(void *context, const unsigned char *text, size_t size)
{
	struct parser *parser = context;
	size_t start;

	parser->key = string_token(parser, text, size, &start);
	return parser->key != NULL;
}

static int on_start(struct parser *parser, enum json_type type)
{
	size_t start = bracket(parser);
	struct json *value;

	if (parser->depth == JSON_DEPTH_MAX)
		return fail(parser, start, "the document is nested too deeply");
	value = add(parser, type, start);
	if (!value)
		return 0;
	parser->open[parser->depth++] = (struct open){ .value = value };
	return 1;
}

static int on_start_object(void *context)
{
	return on_start(context, JSON_OBJECT);
}

static int on_start_array(void *context)
{
	return on_start(context, JSON_ARRAY);
}

/* Closes the innermost object or array. */
static int on_end(void *context)
{
	struct parser *parser = context;
	struct json *value = parser->open[parser->depth - 1].value;

	value->size = (uint32_t)(bracket(parser) + 1 - value->offset);
	parser->depth--;
	return 1;
}

static int on_end_object(void *context)
{
	struct parser *parser = context;
	const struct json *object = parser->open[parser->depth - 1].value;
	const struct json *twice = json_duplicate(parser->arena, object);

	if (twice) {
		parser->key = twice->key;
		fail(parser, twice->offset, "the member is there twice");
		parser->err->code = CRL_DUPLICATE_MEMBER;
		return 0;
	}
	return on_end(parser);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end_object,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/*
 * yajl's memory comes from the arena: it does not look for a failed malloc(), and its error paths
 * leak. The size stands in front, for realloc().
 */
#define HEAD 16

static void *take(void *context, size_t size)
{
	char *memory = arena_alloc(context, size + HEAD);

	memcpy(memory, &size, sizeof(size));
	return memory + HEAD;
}

static void *retake(void *context, void *old, size_t size)
{
	char *memory = take(context, size);
	size_t old_size;

	if (!old)
		return memory;
	memcpy(&old_size, (char *)old - HEAD, sizeof(old_size));
	return memcpy(memory, old, old_size < size ? old_size : size);
}

static void give_back(void *context, void *memory)
{
	(void)context;
	(void)memory;
}

/* yajl's words, as they begin after the kind of error, and ours. */
static const struct {
	const char *theirs;
	const char *ours;
} syntax_errors[] = {
	{ "premature EOF", "the document ends too early" },
	{ "trailing garbage", "something follows the end of the document" },
	{ "after array element", "expected ',' or ']' after the element" },
	{ "after key and value", "expected ',' or '}' after the member" },
	{ "object key and value", "expected ':' after the member's name" },
	{ "invalid object key", "expected a member's name in double quotes" },
	{ "unallowed token", "this does not belong here" },
	{ "invalid bytes in UTF8", "a string is not valid UTF-8" },
	{ "inside a string, '\\' occurs", "a string holds an unknown escape" },
	{ "invalid character inside string", "a string holds a control character" },
	{ "invalid (non-hex)", "a string holds an escape that is not \\u and four digits" },
	{ "malformed number, a digit is required after the minus", "a digit must follow the sign" },
	{ "malformed number, a digit is required after the decimal",
	  "a digit must follow the decimal point" },
	{ "malformed number, a digit is required after the exp",
	  "a digit must follow the exponent" },
	{ "probable comment", "comments are not JSON" },
	{ "invalid string in json text", "expected true, false or null" },
	{ "invalid char in json text", "this is not JSON" },
};

/* Says what yajl did not like, and where. */
static void fail_syntax(struct parser *parser, size_t consumed)
{
	const char *theirs = (const char *)yajl_get_error(parser->yajl, 0, NULL, 0);
	const char *words = strstr(theirs, ": ");
	const char *ours = "this is not JSON";
	size_t offset = consumed;

	for (size_t i = 0; words && i < ARRAY_SIZE(syntax_errors); i++) {
		if (!text_starts_with(words + 2, syntax_errors[i].theirs))
			continue;
		ours = syntax_errors[i].ours;
		break;
	}
	/* A lexical error is about the next byte, or about the last one if it can start nothing; a
	 * parse error is about the token that has just been read. */
	if (words && text_starts_with(words + 2, "invalid char in"))
		offset = consumed - 1;
	if (text_starts_with(theirs, "parse error") && !strstr(theirs, "premature EOF")) {
		offset = token_start(parser);
		if (consumed > 0 && strchr(",:", parser->text[consumed - 1]))
			offset = consumed - 1;
	}
	fail_at(parser, offset, false, ours);
}

/* yajl takes these for blanks, and in strings it has refused them. */
static bool has_foreign_blank(struct parser *parser)
{
	static const char foreign[] = "\v\f";

	for (size_t i = 0; foreign[i]; i++) {
		const char *at = memchr(parser->text, foreign[i], parser->size);

		if (!at)
			continue;
		fail_at(parser, (size_t)(at - parser->text), false, "this is not JSON");
		return true;
	}
	return false;
}

/* yajl takes a text that breaks off in a string or a word behind the value for whole. */
static bool has_more(struct parser *parser, size_t end)
{
	while (end < parser->size && memchr(" \t\r\n", parser->text[end], 4))
		end++;
	if (end == parser->size)
		return false;
	fail_at(parser, end, false, "something follows the end of the document");
	return true;
}

/* Returns the root, or NULL with the error set. */
static struct json *parse(struct parser *parser)
{
	yajl_status status;
	size_t end; /* of the value; a number at the end of the text is not known to be over yet */

	if (parser->size > UINT32_MAX) {
		fail(parser, 0, "the document is too large");
		return NULL;
	}
	if (parser->size >= 3 && memcmp(parser->text, "\xef\xbb\xbf", 3) == 0) {
		fail(parser, 0, "the document starts with a byte order mark");
		return NULL;
	}
	status = yajl_parse(parser->yajl, (const unsigned char *)parser->copy, parser->size);
	if (status == yajl_status_error)
		fail_syntax(parser, yajl_get_bytes_consumed(parser->yajl));
	if (status != yajl_status_ok)
		return NULL;
	end = parser->root ? parser->offset : parser->size;
	if (yajl_complete_parse(parser->yajl) == yajl_status_ok)
		return has_more(parser, end) || has_foreign_blank(parser) ? NULL : parser->root;
	/* yajl's count has started anew.  A callback may have failed here: "1" ends only now. */
	if (parser->err->kind == ERROR_NONE)
		fail_syntax(parser, parser->size);
	return NULL;
}

static bool is_ascii(const char *text, size_t size)
{
	uint64_t eight, bits = 0;

	for (; size >= sizeof(eight); text += sizeof(eight), size -= sizeof(eight)) {
		memcpy(&eight, text, sizeof(eight));
		bits |= eight;
	}
	for (; size > 0; text++, size--)
		bits |= (unsigned char)*text;
	return !(bits & 0x8080808080808080);
}

struct json *json_parse(struct arena *arena, const char *name, const char *text, size_t size,
			struct error *err)
{
	yajl_alloc_funcs memory = {
		.malloc = take,
		.realloc = retake,
		.free = give_back,
		.ctx = arena,
	};
	struct parser parser = {
		.arena = arena,
		.err = err,
		.text = text,
		.copy = arena_copy(arena, text, size),
		.size = size,
		.ascii = is_ascii(text, size),
	};
	struct json *root;

	*err = (struct error){ .kind = ERROR_NONE };
	parser.yajl = yajl_alloc(&callbacks, &memory, &parser);
	/* check_string() is stricter. */
	yajl_config(parser.yajl, yajl_dont_validate_strings, 1);

	root = parse(&parser);
	if (!root)
		error_clean_text(err->file, sizeof(err->file), name);
	return root;
}
