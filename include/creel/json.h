/*
 * JSON text to a small tree and back.  json.c is the only file that includes yajl, and uses its
 * event parser only.
 *
 * Refused while reading: more than one value, a duplicate member, NUL and lone surrogates in
 * strings, invalid UTF-8, a byte order mark, nesting deeper than JSON_DEPTH_MAX, more than
 * JSON_VALUES_MAX values.  Numbers stay text until a schema row says what they are, so that 64-bit
 * integers are exact.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define JSON_DEPTH_MAX	32
#define JSON_VALUES_MAX 1000000

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json {
	enum json_type type;
	uint32_t n;	    /* of its children */
	uint32_t offset;    /* of its first byte in the document */
	uint32_t size;	    /* of its bytes in the document */
	const char *key;    /* when it is a member of an object, else NULL */
	const char *text;   /* strings (unescaped), numbers (as written), "true" and "false" */
	struct json *first; /* child */
	struct json *next;  /* sibling */
};

#define json_each(item, parent)                                                                    \
	for (const struct json *item = (parent)->first; item; item = item->next)

/*
 * Parses SIZE bytes of TEXT.  NAME is what errors call the document ("config.json").  On failure
 * *ERR is ERROR_CONFIG with file, line, column and the pointer of the innermost value that was
 * open.
 */
struct json *json_parse(struct arena *arena, const char *name, const char *text, size_t size,
			struct error *err) must_check;

/* The member KEY of an object, or NULL. */
const struct json *json_member(const struct json *object, const char *key);
/* The first member of OBJECT that has the name of one before it, or NULL. */
const struct json *json_duplicate(struct arena *arena, const struct json *object);
/* The value at the RFC 6901 POINTER; when a part is missing, the deepest value that exists. */
const struct json *json_at(const struct json *root, const char *pointer);
/* The line and column (from 1) of byte OFFSET in TEXT. */
void json_position(const char *text, size_t offset, unsigned int *line, unsigned int *column);
/*
 * Gives ERR, when it is an ERROR_CONFIG without a line, the file NAME and the position that its
 * pointer has in TEXT; of the innermost object that exists, when the member is missing.
 */
void json_locate(const struct json *root, const char *name, const char *text, struct error *err);

/*
 * Writing.  INDENT 0 gives compact text, n > 0 gives n blanks a level, -1 one tab a level.  Strings
 * are escaped so that the result is valid UTF-8 JSON whatever bytes they hold (invalid bytes become
 * U+FFFD).
 */
struct json_writer;
struct json_writer *json_writer_new(struct arena *arena, int indent);
void json_write_object(struct json_writer *w);
void json_write_array(struct json_writer *w);
void json_write_end(struct json_writer *w); /* closes the innermost object or array */
void json_write_key(struct json_writer *w, const char *key);
void json_write_string(struct json_writer *w, const char *text);
void json_write_int(struct json_writer *w, int64_t value);
void json_write_uint(struct json_writer *w, uint64_t value);
void json_write_number(struct json_writer *w, const char *text); /* TEXT is a number already */
void json_write_bool(struct json_writer *w, bool value);
void json_write_null(struct json_writer *w);
/* The text so far, NUL-terminated, without a final newline; owned by the arena. */
const char *json_writer_text(struct json_writer *w, size_t *size);
