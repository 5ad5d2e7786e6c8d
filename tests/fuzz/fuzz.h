/*
 * What the fuzz targets share.  A target is one function from bytes to nothing: libFuzzer calls it
 * with what it invents
 * (`meson setup -Dfuzz=true`), and replay.c with what is kept in corpus/ and regress/, in every
 * build.
 */
#pragma once

#include <creel/arena.h>
#include <creel/schema.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Called once before everything else; a target that needs nothing made does not have it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A property of the program: what does not hold is a finding, as a crash is. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The bytes that are not used yet. */
struct bytes {
	const uint8_t *at;
	size_t left;
};

/* 0 when there is none left. */
static inline uint8_t take_byte(struct bytes *bytes)
{
	if (bytes->left == 0)
		return 0;
	bytes->left--;
	return *bytes->at++;
}

static inline uint64_t take_number(struct bytes *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | take_byte(bytes);
	return value;
}

/* Up to the next END or to the end of all; END itself is skipped.  *SIZE (may be NULL) counts NUL
 * bytes too. */
static inline char *take_text(struct arena *arena, struct bytes *bytes, char end, size_t *size)
{
	const void *found = bytes->left ? memchr(bytes->at, end, bytes->left) : NULL;
	size_t n = found ? (size_t)((const uint8_t *)found - bytes->at) : bytes->left;
	char *text = arena_alloc(arena, n + 1);

	if (n > 0)
		memcpy(text, bytes->at, n);
	bytes->at += n + (found != NULL);
	bytes->left -= n + (found != NULL);
	if (size)
		*size = n;
	return text;
}

/* All that is left. */
static inline char *take_rest(struct arena *arena, struct bytes *bytes, size_t *size)
{
	char *text = arena_alloc(arena, bytes->left + 1);

	if (bytes->left > 0)
		memcpy(text, bytes->at, bytes->left);
	*size = bytes->left;
	bytes->left = 0;
	return text;
}

/* What is read from a document and written again is the same to who reads that. */
static inline void check_round_trip(const struct schema *schema, struct arena *arena,
				    const void *object)
{
	void *again = arena_alloc(arena, schema->size);
	struct json_writer *first = json_writer_new(arena, 0), *second = json_writer_new(arena, 0);
	struct error err = { 0 };
	const char *text;
	size_t size;

	schema_encode(schema, object, first);
	text = json_writer_text(first, &size);
	if (schema_parse(schema, arena, "again", text, size, again, NULL, &err) < 0) {
		fprintf(stderr, "%s: %s: %s\n", err.where, err.what, text);
		abort();
	}
	schema_encode(schema, again, second);
	must(strcmp(text, json_writer_text(second, NULL)) == 0);
}
