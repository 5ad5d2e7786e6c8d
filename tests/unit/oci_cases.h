/* Cases for the tables of oci: a document, and what becomes of it.  In them ' stands for ". */
#pragma once

#include <creel/schema.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka.h needs the headers above and does not include them itself. */
#include <cmocka.h>

struct oci_case {
	const char *text;
	const char *where; /* the pointer of the error; NULL: the document is accepted */
	const char *what;  /* what the error's sentence contains */
};

#define ACCEPTED(text_)                                                                            \
	{                                                                                          \
		.text = (text_)                                                                    \
	}
#define REFUSED(text_, where_, what_)                                                              \
	{                                                                                          \
		.text = (text_), .where = (where_), .what = (what_)                                \
	}

static inline char *quoted(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

static inline void *decoded(const struct schema *schema, struct arena *arena, const char *text)
{
	struct error err = { 0 };
	void *object = arena_alloc(arena, schema->size);

	if (schema_parse(schema, arena, "test.json", text, strlen(text), object, NULL, &err) < 0)
		fail_msg("%s\nis refused at \"%s\": %s", text, err.where, err.what);
	return object;
}

static inline const char *encoded(const struct schema *schema, struct arena *arena,
				  const void *object)
{
	struct json_writer *w = json_writer_new(arena, 0);

	schema_encode(schema, object, w);
	return json_writer_text(w, NULL);
}

/* decode(encode(x)) is x: the text that comes out goes in again and comes out the same. */
static inline void check_round_trip(const struct schema *schema, const char *text)
{
	auto_arena arena = { 0 };
	const char *once = encoded(schema, &arena, decoded(schema, &arena, text));
	const char *twice = encoded(schema, &arena, decoded(schema, &arena, once));

	assert_string_equal(once, twice);
}

/* TEXT holds every member of its schema, in the order of the rows: it comes out as it went in. */
static inline void check_whole(const struct schema *schema, const char *text)
{
	auto_arena arena = { 0 };
	const char *document = quoted(&arena, text);

	assert_string_equal(encoded(schema, &arena, decoded(schema, &arena, document)), document);
}

static inline void check_refused(const struct schema *schema, const char *text,
				 const struct oci_case *c)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	void *object = arena_alloc(&arena, schema->size);

	if (schema_parse(schema, &arena, "test.json", text, strlen(text), object, NULL, &err) == 0)
		fail_msg("%s\nis accepted", text);
	if (err.kind != ERROR_CONFIG || strcmp(err.where, c->where) != 0 ||
	    !strstr(err.what, c->what))
		fail_msg("%s\nis refused at \"%s\": %s\ninstead of \"%s\": %s", text, err.where,
			 err.what, c->where, c->what);
}

static inline void check_cases(const struct schema *schema, const struct oci_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_arena arena = { 0 };
		const char *text = quoted(&arena, cases[i].text);

		if (cases[i].where)
			check_refused(schema, text, &cases[i]);
		else
			check_round_trip(schema, text);
	}
}
