/* The wire format: what is written is read again, and hostile bytes end in an error, never outside.
 */
#include "check.h"

#include <creel/protobuf.h>

static void test_what_is_written_is_read(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct protobuf inner = { .arena = &arena }, outer = { .arena = &arena };
	struct protobuf_field field;

	(void)state;
	protobuf_number(&inner, 1, 150);
	protobuf_number(&outer, 3, UINT64_MAX);
	protobuf_text(&outer, 200, "text");
	protobuf_nested(&outer, 4, &inner);

	struct protobuf_reader reader = { .data = outer.data, .size = outer.size };

	check_int(protobuf_next(&reader, &field), 1);
	check(field.field == 3 && field.number == UINT64_MAX && !field.data);
	check_int(protobuf_next(&reader, &field), 1);
	check_int(field.field, 200);
	check_text(protobuf_to_text(&arena, &field), "text");
	check_int(protobuf_next(&reader, &field), 1);
	check_int(field.field, 4);

	struct protobuf_reader inside = protobuf_inside(&field);

	check_int(protobuf_next(&inside, &field), 1);
	check(field.field == 1 && field.number == 150);
	check_int(protobuf_next(&inside, &field), 0);
	check_int(protobuf_next(&reader, &field), 0);
}

/* The example of the format's own documentation: field 1 is 150. */
static void test_bytes_of_the_documentation(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct protobuf message = { .arena = &arena };
	static const unsigned char expected[] = { 0x08, 0x96, 0x01 };

	(void)state;
	protobuf_number(&message, 1, 150);
	check_int(message.size, sizeof(expected));
	check(memcmp(message.data, expected, sizeof(expected)) == 0);
}

static void test_a_long_message_grows(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct protobuf message = { .arena = &arena };
	struct protobuf_field field;
	int n = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		protobuf_text(&message, 37, "mnt[/some/where]:key");

	struct protobuf_reader reader = { .data = message.data, .size = message.size };

	while (protobuf_next(&reader, &field) == 1 && field.field == 37 && field.size == 20)
		n++;
	check_int(n, 1000);
}

static void test_fixed_numbers(void **state)
{
	static const unsigned char bytes[] = { 0x0d, 1, 2, 3, 4, 0x11, 1, 0, 0, 0, 0, 0, 0, 0x80 };
	struct protobuf_reader reader = { .data = bytes, .size = sizeof(bytes) };
	struct protobuf_field field;

	(void)state;
	check_int(protobuf_next(&reader, &field), 1);
	check(field.field == 1 && field.number == 0x04030201);
	check_int(protobuf_next(&reader, &field), 1);
	check(field.field == 2 && field.number == 0x8000000000000001);
	check_int(protobuf_next(&reader, &field), 0);
}

static int first(const char *bytes, size_t size)
{
	struct protobuf_reader reader = { .data = (const unsigned char *)bytes, .size = size };
	struct protobuf_field field;

	return protobuf_next(&reader, &field);
}

#define FIRST(bytes) first(bytes, sizeof(bytes) - 1)

static void test_hostile_bytes(void **state)
{
	(void)state;
	check_int(FIRST("\x08"), -1);	  /* no value */
	check_int(FIRST("\x08\x80"), -1); /* a value without an end */
	check_int(FIRST("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		  -1); /* more than 64 bits */
	check_int(FIRST("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 1);
	check_int(FIRST("\x0a\x05"
			"abcd"),
		  -1); /* longer than what is there */
	check_int(FIRST("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -1);
	check_int(FIRST("\x0a\x04"
			"abcd"),
		  1);
	check_int(FIRST("\x0d\x01\x02\x03"), -1); /* three bytes of four */
	check_int(FIRST("\x09\x01\x02\x03"), -1); /* three bytes of eight */
	check_int(FIRST("\x0b"), -1);		  /* a group */
	check_int(FIRST("\x0f\x01"), -1);	  /* no such kind */
	check_int(FIRST("\x00\x01"), -1);	  /* field 0 */
	check_int(FIRST(""), 0);
}

static void test_text_without_nul(void **state)
{
	auto_arena arena = { .newest = NULL };
	const struct protobuf_field good = { .data = (const unsigned char *)"ab", .size = 2 };
	const struct protobuf_field bad = { .data = (const unsigned char *)"a\0b", .size = 3 };
	const struct protobuf_field number = { .number = 3 };

	(void)state;
	check_text(protobuf_to_text(&arena, &good), "ab");
	check_text(protobuf_to_text(&arena, &bad), NULL);
	check_text(protobuf_to_text(&arena, &number), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_bytes_of_the_documentation),
		cmocka_unit_test(test_a_long_message_grows),
		cmocka_unit_test(test_fixed_numbers),
		cmocka_unit_test(test_hostile_bytes),
		cmocka_unit_test(test_text_without_nul),
	};

	return check_all(tests);
}
