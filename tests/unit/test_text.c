/* Text: numbers are read strictly, lists grow, and the nearest name is near. */
#include "check.h"

#include <creel/text.h>

static void test_format_of_any_length(void **state)
{
	auto_arena arena = { .newest = NULL };
	char *text = text_format(&arena, "%0*d", 5000, 7);

	(void)state;
	check_int(strlen(text), 5000);
	check(text[4999] == '7' && text[0] == '0');
	check_text(text_format(&arena, "%s-%d", "a", 1), "a-1");
	check_int(strlen(text_format(&arena, "%0*d", 255, 7)), 255);
	check_int(strlen(text_format(&arena, "%0*d", 256, 7)), 256);
}

static void test_utf8(void **state)
{
	(void)state;
	check_int(text_utf8(""), 0);
	check_int(text_utf8("a"), 1);
	check_int(text_utf8("\xc3\xbc"), 2);
	check_int(text_utf8("\xe2\x82\xac"), 3);
	check_int(text_utf8("\xf0\x9f\x90\x9f"), 4);
	check_int(text_utf8("\xf4\x8f\xbf\xbf"), 4);
	check_int(text_utf8("\xf4\x90\x80\x80"), 0); /* above U+10FFFF */
	check_int(text_utf8("\xed\x9f\xbf"), 3);
	check_int(text_utf8("\xed\xa0\x80"), 0); /* a surrogate */
	check_int(text_utf8("\xc0\x80"), 0);	 /* overlong */
	check_int(text_utf8("\xc1\xbf"), 0);
	check_int(text_utf8("\xe0\x9f\xbf"), 0);
	check_int(text_utf8("\xf0\x8f\xbf\xbf"), 0);
	check_int(text_utf8("\x80"), 0);
	check_int(text_utf8("\xf5\x80\x80\x80"), 0);
	check_int(text_utf8("\xe2\x82"), 0); /* cut short */
	check_int(text_utf8("\xf0\x9f\x90z"), 0);
}

static void test_parse_uint(void **state)
{
	uint64_t value = 99;

	(void)state;
	check(text_parse_uint("0", 10, &value) && value == 0);
	check(text_parse_uint("18446744073709551615", UINT64_MAX, &value) && value == UINT64_MAX);
	check(text_parse_uint("00000000000000000007", 10, &value) && value == 7);
	value = 99;
	check(!text_parse_uint("18446744073709551616", UINT64_MAX, &value));
	check(!text_parse_uint("000000000000000000007", 10, &value)); /* 21 digits */
	check(!text_parse_uint("11", 10, &value));
	check(!text_parse_uint("", 10, &value));
	check(!text_parse_uint("-1", 10, &value));
	check(!text_parse_uint("+1", 10, &value));
	check(!text_parse_uint(" 1", 10, &value));
	check(!text_parse_uint("1 ", 10, &value));
	check(!text_parse_uint("0x1", 10, &value));
	check(!text_parse_uint("1e1", 10, &value));
	check(value == 99);
}

static void test_parse_int(void **state)
{
	int64_t value = 99;

	(void)state;
	check(text_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &value));
	check(value == INT64_MIN);
	check(text_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &value));
	check(value == INT64_MAX);
	check(text_parse_int("-1", -1, 1, &value) && value == -1);
	value = 99;
	check(!text_parse_int("-9223372036854775809", INT64_MIN, INT64_MAX, &value));
	check(!text_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &value));
	check(!text_parse_int("-2", -1, 1, &value));
	check(!text_parse_int("2", -1, 1, &value));
	check(!text_parse_int("--1", -1, 1, &value));
	check(!text_parse_int("-", -1, 1, &value));
	check(!text_parse_int("", -1, 1, &value));
	check(value == 99);
}

static void test_starts_ends_equal(void **state)
{
	(void)state;
	check(text_starts_with("net.ipv4", "net."));
	check(!text_starts_with("net", "net."));
	check(text_ends_with("a.scope", ".scope"));
	check(!text_ends_with("cope", ".scope"));
	check(text_equal(NULL, NULL) && text_equal("a", "a"));
	check(!text_equal(NULL, "") && !text_equal("", NULL) && !text_equal("a", "b"));
}

static void test_strings_grow_and_end_with_null(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct strings list = { .items = NULL };

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		strings_add(&arena, &list, text_format(&arena, "%zu", i));
		check(list.n == i + 1 && list.items[list.n] == NULL);
	}
	for (size_t i = 0; i < 100; i++)
		check_text(list.items[i], text_format(&arena, "%zu", i));
	check(strings_has(&list, "42"));
	check(!strings_has(&list, "100"));
}

static void test_strings_of_others_are_not_written_to(void **state)
{
	auto_arena arena = { .newest = NULL };
	char *items[] = {
		(char *)"a", (char *)"b", (char *)"c", (char *)"d", NULL, (char *)"guard"
	};
	struct strings list = { .items = items, .n = 4 };

	(void)state;
	strings_add(&arena, &list, (char *)"e");
	check(items[4] == NULL);
	check_text(items[5], "guard");
	check(list.n == 5 && list.items[5] == NULL);
	check_text(list.items[0], "a");
	check_text(list.items[4], "e");
}

static void test_string_map(void **state)
{
	struct string_pair items[] = { { (char *)"a", (char *)"1" }, { (char *)"b", (char *)"" } };
	struct string_map map = { .items = items, .n = 2 };

	(void)state;
	check_text(string_map_get(&map, "a"), "1");
	check_text(string_map_get(&map, "b"), "");
	check_text(string_map_get(&map, "c"), NULL);
	check_text(string_map_get(&(struct string_map){ .items = NULL }, "a"), NULL);
}

static void test_nearest(void **state)
{
	const char *const names[] = { "cwd", "args", "capabilities", "network", "ro", NULL };
	const char *const none[] = { NULL };
	char long_name[500];

	(void)state;
	check_text(text_nearest("capabilites", names), "capabilities");
	check_text(text_nearest("Capabilities", names), "capabilities");
	check_text(text_nearest("netwrok", names), "network"); /* one swap */
	check_text(text_nearest("arsg", names), "args");
	check_text(text_nearest("RO", names), "ro");
	check_text(text_nearest("rw", names), NULL);
	check_text(text_nearest("hostname", names), NULL);
	check_text(text_nearest("", names), NULL);
	check_text(text_nearest("cwd", none), NULL);
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	check_text(text_nearest(long_name, names), NULL);
}

static void test_take_uints(void **state)
{
	uint64_t values[3] = { 0 };
	const char *text = "  8:16 rbytes=1";

	(void)state;
	check_int(text_take_uints(&text, ": ", values, 3), 2);
	check_int(values[0], 8);
	check_int(values[1], 16);
	check_text(text, " rbytes=1");
	text = "0 100000 65536\n1 2 3";
	check_int(text_take_uints(&text, " ", values, 3), 3);
	check_int(values[2], 65536);
	check_text(text, "\n1 2 3");
	text = "-1 2";
	check_int(text_take_uints(&text, " ", values, 3), 0);
	check_text(text, "-1 2");
	text = "1 18446744073709551615 18446744073709551616";
	check_int(text_take_uints(&text, " ", values, 3), 2);
	check(values[1] == UINT64_MAX);
	check_text(text, " 18446744073709551616");
	text = "";
	check_int(text_take_uints(&text, " ", values, 3), 0);
}

static void visit(void *argument, unsigned int first, unsigned int last)
{
	char *text = argument;

	sprintf(text + strlen(text), "[%u %u]", first, last);
}

static bool ranges(const char *text, unsigned int max, char *found)
{
	found[0] = '\0';
	return text_parse_ranges(text, max, visit, found);
}

static void test_ranges(void **state)
{
	char found[128];

	(void)state;
	check(ranges("0", 7, found));
	check_text(found, "[0 0]");
	check(ranges("0-3,7", 7, found));
	check_text(found, "[0 3][7 7]");
	check(!ranges("0-8", 7, found));
	check(!ranges("99999999999999999999", UINT32_MAX, found));
	check(!ranges("3-1", 7, found));
	check(!ranges("", 7, found));
	check(!ranges(",", 7, found));
	check(!ranges("1,", 7, found));
	check(!ranges("1-", 7, found));
	check(!ranges("-1", 7, found));
	check(!ranges("1 ", 7, found));
	check(!ranges("a", 7, found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format_of_any_length),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_parse_uint),
		cmocka_unit_test(test_parse_int),
		cmocka_unit_test(test_take_uints),
		cmocka_unit_test(test_starts_ends_equal),
		cmocka_unit_test(test_strings_grow_and_end_with_null),
		cmocka_unit_test(test_strings_of_others_are_not_written_to),
		cmocka_unit_test(test_string_map),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_ranges),
	};

	return check_all(tests);
}
