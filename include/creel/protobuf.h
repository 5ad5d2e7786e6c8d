/*
 * The wire format of Protocol Buffers, as far as CRIU's requests and images need it: numbers and
 * bytes.  Writing goes into the arena; reading is for hostile bytes and never leaves them.  Source:
 * https://protobuf.dev/programming-guides/encoding.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <stdint.h>

struct protobuf {
	struct arena *arena;
	unsigned char *data;
	size_t size, room;
};

void protobuf_number(struct protobuf *message, unsigned int field, uint64_t value);
void protobuf_text(struct protobuf *message, unsigned int field, const char *text);
/* A message in a message. */
void protobuf_nested(struct protobuf *message, unsigned int field, const struct protobuf *nested);

/* What is left to read. */
struct protobuf_reader {
	const unsigned char *data;
	size_t size;
};

/* One field: NUMBER holds the value of a varint or fixed one, else 0; DATA and SIZE the bytes of
 * one that has a length, else NULL and 0. */
struct protobuf_field {
	unsigned int field;
	uint64_t number;
	const unsigned char *data;
	size_t size;
};

/* 1: *FIELD is the next one; 0: the end; -1: these bytes are no message. */
int protobuf_next(struct protobuf_reader *reader, struct protobuf_field *field) must_check;
/* A copy of the field's bytes as text; NULL when it holds a NUL byte, or has no bytes. */
char *protobuf_to_text(struct arena *arena, const struct protobuf_field *field);
/* What reads the message inside FIELD. */
struct protobuf_reader protobuf_inside(const struct protobuf_field *field);
