/*
 * JSON text to a tree, exactly as RFC 8259 has it.  What other readers let pass is refused here:
 * see json.h.  Strings without escapes, which is nearly all, are looked at eight bytes at a time.
 */
#include <creel/json.h>

#include <creel/error.h>
#include <creel/text.h>
#include <string.h>

/* A document is many small values and strings: the arena is asked for some of them at once. */
#define VALUES_AT_ONCE 32
#define TEXT_AT_ONCE   1024

/* An object or array that is not over yet, and what it has so far. */
struct open {
	struct json *value;
	struct json *last;
};

struct parser {
	struct arena *arena;
	struct error *err;
	const char *text;
	const char *at; /* what comes next */
	const char *end;
	size_t values;
	size_t depth;
	struct open open[JSON_DEPTH_MAX]; /* the objects and arrays around the present place */
	const char *key;		  /* the member whose value comes next, or NULL */
	struct json *root;
	/* What the arena gave and nobody has yet. */
	struct json *free_values;
	size_t free_values_n;
	char *free_text;
	size_t free_text_n;
};

/* ---- errors ---- */

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

static bool fail_at(struct parser *parser, const char *at, bool in_value, const char *message)
{
	struct where parts[JSON_DEPTH_MAX + 1];

	error_coded(parser->err, CRL_NOT_JSON,
		    error_config(parser->err, place(parser, parts, in_value), "%s", message));
	json_position(parser->text, (size_t)(at - parser->text), &parser->err->line,
		      &parser->err->column);
	return false;
}

/* The value or name at AT says what it must not. */
static bool refuse(struct parser *parser, const char *at, const char *message)
{
	return fail_at(parser, at, true, message);
}

/* AT is not as JSON is written. */
static bool fail(struct parser *parser, const char *at, const char *message)
{
	if (at == parser->end)
		message = "the document ends too early";
	return fail_at(parser, at, false, message);
}

/* What comes next is not what MESSAGE says, or nothing at all that JSON knows. */
static bool misplaced(struct parser *parser, const char *message)
{
	if (parser->at < parser->end && *parser->at == '/')
		message = "comments are not JSON";
	else if (parser->at < parser->end && !memchr("{}[]:,\"-0123456789tfn", *parser->at, 21))
		message = "this is not JSON";
	return fail(parser, parser->at, message);
}

/* Moves behind what comes next when it is A or B. */
static bool takes(struct parser *parser, char a, char b)
{
	if (parser->at == parser->end || (*parser->at != a && *parser->at != b))
		return false;
	parser->at++;
	return true;
}

/* ---- the tree ---- */

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

/* Room for SIZE bytes and a NUL; whoever fills it moves on. */
static char *text_room(struct parser *parser, size_t size)
{
	if (size >= parser->free_text_n) {
		parser->free_text_n = size >= TEXT_AT_ONCE ? size + 1 : TEXT_AT_ONCE;
		parser->free_text = arena_alloc(parser->arena, parser->free_text_n);
	}
	return parser->free_text;
}

/* Ends the text that was put into the room at SIZE bytes. */
static const char *text_end(struct parser *parser, size_t size)
{
	char *text = parser->free_text;

	text[size] = '\0';
	parser->free_text += size + 1;
	parser->free_text_n -= size + 1;
	return text;
}

static const char *keep(struct parser *parser, const char *text, size_t size)
{
	memcpy(text_room(parser, size), text, size);
	return text_end(parser, size);
}

/* Adds a value, which begins at START, to the innermost open one.  Returns NULL when there are too
 * many. */
static struct json *add(struct parser *parser, enum json_type type, const char *start)
{
	struct open *parent = parser->depth > 0 ? &parser->open[parser->depth - 1] : NULL;
	struct json *value;

	if (++parser->values > JSON_VALUES_MAX) {
		refuse(parser, start, "the document has too many values");
		return NULL;
	}
	value = new_value(parser);
	value->type = type;
	value->key = parser->key;
	value->offset = (uint32_t)(start - parser->text);
	value->size = (uint32_t)(parser->at - start);
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

static bool add_text(struct parser *parser, enum json_type type, const char *start,
		     const char *text)
{
	struct json *value = add(parser, type, start);

	if (!value)
		return false;
	value->text = text;
	return true;
}

/* ---- strings ---- */

static bool is_high(unsigned int unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(unsigned int unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Reads "uXXXX" of an escape, and moves behind it. */
static bool read_unit(struct parser *parser, unsigned int *unit)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	*unit = 0;
	parser->at++;
	for (int i = 0; i < 4; i++, parser->at++) {
		const char *digit = parser->at == parser->end || *parser->at == '\0'
					? NULL
					: strchr(digits, *parser->at);

		if (!digit)
			return fail(parser, parser->at,
				    "a string holds an escape that is not \\u and four digits");
		*unit = *unit * 16 + (unsigned int)(digit - digits) - (digit > digits + 15 ? 6 : 0);
	}
	return true;
}

static void put_utf8(unsigned int character, char **to)
{
	if (character < 0x80) {
		*(*to)++ = (char)character;
		return;
	}
	if (character < 0x800) {
		*(*to)++ = (char)(0xc0 | character >> 6);
	} else {
		if (character >= 0x10000)
			*(*to)++ = (char)(0xf0 | character >> 18);
		*(*to)++ = (char)(character < 0x10000 ? 0xe0 | character >> 12
						      : 0x80 | (character >> 12 & 0x3f));
		*(*to)++ = (char)(0x80 | (character >> 6 & 0x3f));
	}
	*(*to)++ = (char)(0x80 | (character & 0x3f));
}

/* Reads from the "u" of an escape on, and behind the first half of a pair the second one. */
static bool read_unicode(struct parser *parser, char **to)
{
	const char *start = parser->at - 1;
	unsigned int unit, low = 0;

	if (!read_unit(parser, &unit))
		return false;
	if (unit == 0)
		return refuse(parser, start, "a string holds a NUL byte");
	if (is_high(unit) && parser->end - parser->at >= 2 && memcmp(parser->at, "\\u", 2) == 0) {
		parser->at++;
		if (!read_unit(parser, &low))
			return false;
	}
	if (is_low(unit) || is_high(unit) != is_low(low))
		return refuse(parser, start, "a string holds half of a surrogate pair");
	put_utf8(low ? 0x10000 + ((unit & 0x3ff) << 10 | (low & 0x3ff)) : unit, to);
	return true;
}

static bool read_escape(struct parser *parser, char **to)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	const char *name;

	parser->at++;
	if (parser->at < parser->end && *parser->at == 'u')
		return read_unicode(parser, to);
	name = parser->at < parser->end ? memchr(names, *parser->at, strlen(names)) : NULL;
	if (!name)
		return fail(parser, parser->at, "a string holds an unknown escape");
	parser->at++;
	*(*to)++ = bytes[name - names];
	return true;
}

static bool read_character(struct parser *parser, char **to)
{
	size_t left = (size_t)(parser->end - parser->at);
	char bytes[5] = "";
	size_t n;

	memcpy(bytes, parser->at, left < 4 ? left : 4);
	if (left == 0 || (unsigned char)bytes[0] < ' ')
		return fail(parser, parser->at, "a string holds a control character");
	n = text_utf8(bytes);
	if (n == 0)
		return refuse(parser, parser->at, "a string is not valid UTF-8");
	memcpy(*to, bytes, n);
	*to += n;
	parser->at += n;
	return true;
}

/* Reads the string that begins at START from here on; what is before is plain. */
static const char *read_rest(struct parser *parser, const char *start)
{
	const char *quote = parser->at;
	char *room, *to;

	/* Nothing in a string is longer than it is written. */
	while (quote < parser->end && *quote != '"')
		quote += *quote == '\\' && quote + 1 < parser->end ? 2 : 1;
	room = text_room(parser, (size_t)(quote - start));
	to = room + (parser->at - start);
	memcpy(room, start, (size_t)(parser->at - start));
	while (!takes(parser, '"', '"'))
		if (!(parser->at < parser->end && *parser->at == '\\'
			  ? read_escape(parser, &to)
			  : read_character(parser, &to)))
			return NULL;
	return text_end(parser, (size_t)(to - room));
}

/* Whether BYTE stands for itself in a string, and is one of ASCII. */
static bool is_plain(unsigned char byte)
{
	return byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Whether there is no quote, backslash, control character or byte above 127 among eight bytes: in
 * each of these differences such a byte has, or makes, a highest bit. */
static bool are_plain(const char *text)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t bytes;

	memcpy(&bytes, text, sizeof(bytes));
	return !((bytes | (bytes - ones * ' ') | ((bytes ^ ones * '"') - ones) |
		  ((bytes ^ ones * '\\') - ones)) &
		 ones * 0x80);
}

/* Reads the string whose quote comes next.  Returns NULL when it is refused. */
static const char *read_string(struct parser *parser)
{
	const char *start = ++parser->at, *at = start;

	while (parser->end - at >= 8 && are_plain(at))
		at += 8;
	while (at < parser->end && is_plain(*at))
		at++;
	parser->at = at;
	if (at == parser->end || *at != '"')
		return read_rest(parser, start);
	parser->at++;
	return keep(parser, start, (size_t)(at - start));
}

/* ---- the other values ---- */

static bool read_text(struct parser *parser)
{
	const char *start = parser->at;
	const char *text = read_string(parser);

	return text && add_text(parser, JSON_STRING, start, text);
}

static bool read_digits(struct parser *parser, const char *message)
{
	const char *start = parser->at;

	while (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9')
		parser->at++;
	return parser->at > start || fail(parser, parser->at, message);
}

static bool read_number(struct parser *parser)
{
	const char *start = parser->at;

	takes(parser, '-', '-');
	if (!takes(parser, '0', '0') && !read_digits(parser, "a digit must follow the sign"))
		return false;
	if (takes(parser, '.', '.') &&
	    !read_digits(parser, "a digit must follow the decimal point"))
		return false;
	if (takes(parser, 'e', 'E')) {
		takes(parser, '+', '-');
		if (!read_digits(parser, "a digit must follow the exponent"))
			return false;
	}
	return add_text(parser, JSON_NUMBER, start,
			keep(parser, start, (size_t)(parser->at - start)));
}

static bool read_word(struct parser *parser, enum json_type type, const char *word)
{
	const char *start = parser->at;

	for (const char *c = word; *c; c++)
		if (!takes(parser, *c, *c))
			return fail_at(parser, parser->at, false, "expected true, false or null");
	return add_text(parser, type, start, type == JSON_NULL ? NULL : word);
}

/* ---- objects and arrays ---- */

static bool read_value(struct parser *parser);

/* The next byte that is no blank; NUL, which belongs nowhere, at the end. */
static char next(struct parser *parser)
{
	while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\t' ||
					    *parser->at == '\n' || *parser->at == '\r'))
		parser->at++;
	return parser->at < parser->end ? *parser->at : '\0';
}

static struct json *begin(struct parser *parser, enum json_type type)
{
	struct json *value;

	if (parser->depth == JSON_DEPTH_MAX) {
		refuse(parser, parser->at, "the document is nested too deeply");
		return NULL;
	}
	value = add(parser, type, parser->at);
	if (value)
		parser->open[parser->depth++] = (struct open){ .value = value };
	parser->at++;
	return value;
}

static bool end(struct parser *parser, struct json *value)
{
	parser->at++;
	value->size = (uint32_t)(parser->at - parser->text) - value->offset;
	parser->depth--;
	return true;
}

static bool read_array(struct parser *parser)
{
	struct json *array = begin(parser, JSON_ARRAY);

	if (!array)
		return false;
	if (next(parser) == ']')
		return end(parser, array);
	for (;; parser->at++) {
		if (!read_value(parser))
			return false;
		if (next(parser) == ']')
			return end(parser, array);
		if (next(parser) != ',')
			return misplaced(parser, "expected ',' or ']' after the element");
	}
}

static bool read_member(struct parser *parser)
{
	if (next(parser) != '"')
		return misplaced(parser, "expected a member's name in double quotes");
	parser->key = read_string(parser);
	if (!parser->key)
		return false;
	if (next(parser) != ':')
		return misplaced(parser, "expected ':' after the member's name");
	parser->at++;
	return read_value(parser);
}

static bool end_object(struct parser *parser, struct json *object)
{
	const struct json *twice = json_duplicate(parser->arena, object);

	if (!twice)
		return end(parser, object);
	parser->key = twice->key;
	refuse(parser, parser->text + twice->offset, "the member is there twice");
	parser->err->code = CRL_DUPLICATE_MEMBER;
	return false;
}

static bool read_object(struct parser *parser)
{
	struct json *object = begin(parser, JSON_OBJECT);

	if (!object)
		return false;
	if (next(parser) == '}')
		return end(parser, object);
	for (;; parser->at++) {
		if (!read_member(parser))
			return false;
		if (next(parser) == '}')
			return end_object(parser, object);
		if (next(parser) != ',')
			return misplaced(parser, "expected ',' or '}' after the member");
	}
}

static bool read_value(struct parser *parser)
{
	switch (next(parser)) {
	case '{':
		return read_object(parser);
	case '[':
		return read_array(parser);
	case '"':
		return read_text(parser);
	case '-':
	case '0' ... '9':
		return read_number(parser);
	case 't':
		return read_word(parser, JSON_BOOL, "true");
	case 'f':
		return read_word(parser, JSON_BOOL, "false");
	case 'n':
		return read_word(parser, JSON_NULL, "null");
	default:
		return misplaced(parser, "this does not belong here");
	}
}

static bool read_document(struct parser *parser)
{
	size_t size = (size_t)(parser->end - parser->text);

	if (size > UINT32_MAX)
		return refuse(parser, parser->text, "the document is too large");
	if (size >= 3 && memcmp(parser->text, "\xef\xbb\xbf", 3) == 0)
		return refuse(parser, parser->text, "the document starts with a byte order mark");
	if (!read_value(parser))
		return false;
	next(parser);
	return parser->at == parser->end ||
	       fail(parser, parser->at, "something follows the end of the document");
}

struct json *json_parse(struct arena *arena, const char *name, const char *text, size_t size,
			struct error *err)
{
	struct parser parser = {
		.arena = arena,
		.err = err,
		.text = text,
		.at = text,
		.end = text + size,
	};

	*err = (struct error){ .kind = ERROR_NONE };
	if (read_document(&parser))
		return parser.root;
	error_clean_text(err->file, sizeof(err->file), name);
	return NULL;
}
