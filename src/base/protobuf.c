/* The wire format of Protocol Buffers: a few dozen lines instead of a library and generated code.
 */
#include <creel/protobuf.h>

#include <string.h>

enum wire {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

#define VARINT_MAX 10

static void append(struct protobuf *message, const void *data, size_t size)
{
	if (message->room - message->size < size) {
		size_t room = 2 * message->room + size + 64;
		unsigned char *larger = arena_alloc(message->arena, room);

		if (message->size > 0)
			memcpy(larger, message->data, message->size);
		message->data = larger;
		message->room = room;
	}
	if (size > 0)
		memcpy(message->data + message->size, data, size);
	message->size += size;
}

static void varint(struct protobuf *message, uint64_t value)
{
	unsigned char bytes[VARINT_MAX];
	size_t n = 0;

	for (; value > 0x7f; value >>= 7)
		bytes[n++] = (unsigned char)(0x80 | (value & 0x7f));
	bytes[n++] = (unsigned char)value;
	append(message, bytes, n);
}

void protobuf_number(struct protobuf *message, unsigned int field, uint64_t value)
{
	varint(message, (uint64_t)field << 3 | WIRE_VARINT);
	varint(message, value);
}

static void bytes(struct protobuf *message, unsigned int field, const void *data, size_t size)
{
	varint(message, (uint64_t)field << 3 | WIRE_BYTES);
	varint(message, size);
	append(message, data, size);
}

void protobuf_text(struct protobuf *message, unsigned int field, const char *text)
{
	bytes(message, field, text, strlen(text));
}

void protobuf_nested(struct protobuf *message, unsigned int field, const struct protobuf *nested)
{
	bytes(message, field, nested->data, nested->size);
}

static bool read_varint(struct protobuf_reader *reader, uint64_t *value)
{
	*value = 0;
	for (unsigned int i = 0; i < VARINT_MAX && i < reader->size; i++) {
		unsigned char byte = reader->data[i];

		/* The tenth byte has room for the last bit of 64 only. */
		if (i == VARINT_MAX - 1 && byte > 1)
			return false;
		*value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		reader->data += i + 1;
		reader->size -= i + 1;
		return true;
	}
	return false;
}

static bool skip(struct protobuf_reader *reader, uint64_t size)
{
	if (size > reader->size)
		return false;
	reader->data += size;
	reader->size -= (size_t)size;
	return true;
}

int protobuf_next(struct protobuf_reader *reader, struct protobuf_field *field)
{
	uint64_t key, size;
	const unsigned char *start;

	if (reader->size == 0)
		return 0;
	if (!read_varint(reader, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
		return -1;
	*field = (struct protobuf_field){ .field = (unsigned int)(key >> 3) };
	switch (key & 7) {
	case WIRE_VARINT:
		return read_varint(reader, &field->number) ? 1 : -1;
	case WIRE_FIXED64:
	case WIRE_FIXED32:
		size = (key & 7) == WIRE_FIXED64 ? 8 : 4;
		start = reader->data;
		if (!skip(reader, size))
			return -1;
		for (size_t i = 0; i < size; i++)
			field->number |= (uint64_t)start[i] << (8 * i);
		return 1;
	case WIRE_BYTES:
		if (!read_varint(reader, &size))
			return -1;
		field->data = reader->data;
		field->size = (size_t)size;
		return skip(reader, size) ? 1 : -1;
	default:
		return -1;
	}
}

char *protobuf_to_text(struct arena *arena, const struct protobuf_field *field)
{
	if (!field->data || memchr(field->data, '\0', field->size))
		return NULL;
	return arena_strndup(arena, (const char *)field->data, field->size);
}

struct protobuf_reader protobuf_inside(const struct protobuf_field *field)
{
	return (struct protobuf_reader){ .data = field->data, .size = field->size };
}
