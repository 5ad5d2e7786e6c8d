/* JSON: what is refused, where errors point to, and that what is written can be read. */
#include "check.h"

#include <creel/error.h>
#include <creel/json.h>
#include <creel/text.h>
#include <stdlib.h>

/* Parses TEXT and checks the message, the pointer and the position ("LINE:COLUMN") of its error. */
static void refused_bytes(const char *text, size_t size, const char *what, const char *where,
			  const char *position)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	char *exact = malloc(size ? size : 1); /* so that ASan sees a byte too many */
	char found[32];

	memcpy(exact, text, size);
	check(!json_parse(&arena, "doc.json", exact, size, &err));
	free(exact);
	check(err.kind == ERROR_CONFIG);
	check_text(err.what, what);
	check_text(err.where, where);
	check_text(err.file, "doc.json");
	snprintf(found, sizeof(found), "%u:%u", err.line, err.column);
	check_text(found, position);
}

static void refused(const char *text, const char *what, const char *where, const char *position)
{
	refused_bytes(text, strlen(text), what, where, position);
}

/* The root of TEXT, which is good. */
static const struct json *good(struct arena *arena, const char *text)
{
	struct error err = { .kind = ERROR_NONE };
	size_t size = strlen(text);
	char *exact = malloc(size);
	const struct json *root;

	memcpy(exact, text, size);
	root = json_parse(arena, "doc.json", exact, size, &err);
	free(exact);
	check_text(err.what, "");
	check(root != NULL);
	return root;
}

static const struct json *last(const struct json *parent)
{
	const struct json *child = parent->first;

	while (child->next)
		child = child->next;
	return child;
}

static void test_a_tree(void **state)
{
	auto_arena arena = { .newest = NULL };
	const struct json *root =
	    good(&arena, " {\"a\": [1, -2.5e3, \"x\\n\\u00fc\\ud83d\\udc1f\"], \"b\":true ,"
			 "\n\"c\": null, \"d\": {}, \"\": [] }\n");
	const struct json *a = json_member(root, "a");

	(void)state;
	check(root->type == JSON_OBJECT && root->n == 5 && !root->key);
	check_int(root->offset, 1);
	check(a->type == JSON_ARRAY && a->n == 3);
	check_text(a->key, "a");
	check_int(a->offset, 7);
	check(a->first->type == JSON_NUMBER && !a->first->key);
	check_text(a->first->text, "1");
	check_int(a->first->offset, 8);
	check_text(a->first->next->text, "-2.5e3");
	check_int(a->first->next->offset, 11);
	check(last(a)->type == JSON_STRING);
	check_text(last(a)->text, "x\n\xc3\xbc\xf0\x9f\x90\x9f");
	check_int(last(a)->offset, 19);
	check(json_member(root, "b")->type == JSON_BOOL);
	check_text(json_member(root, "b")->text, "true");
	check(json_member(root, "c")->type == JSON_NULL);
	check(json_member(root, "d")->type == JSON_OBJECT && json_member(root, "d")->n == 0);
	check(json_member(root, "") && json_member(root, "")->type == JSON_ARRAY);
	check(json_member(root, "e") == NULL);
	check(json_member(a, "a") == NULL);
}

static void check_own_text(const struct json *value, const char *document, const char *text)
{
	check_int(value->size, strlen(text));
	check(memcmp(document + value->offset, text, value->size) == 0);
}

/* Each value says which bytes of the document it is, however it is written. */
static void test_every_value_is_its_own_text(void **state)
{
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-12.5e+3",
		"\"\"",
		"\"abc\"",
		"[]",
		"{}",
		"\"\\\"\"",
		"\"\\u00fc\\ud83d\\udc1f\"",
		"\"\xc3\xbc\"",
		"[ 1 ,2]",
		"{ \"\" : [ ] }",
	};
	auto_arena arena = { .newest = NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *one = texts[i];
		const char *text = text_format(
		    &arena, "{ \"\\n\":\t[%s,\n%s ,%s\r\n], \"\\\"\" : %s}", one, one, one, one);
		const struct json *root = good(&arena, text);

		check_own_text(root, text, text);
		check_int(text[root->first->offset + root->first->size], ',');
		json_each (item, root->first)
			check_own_text(item, text, one);
		check_own_text(last(root), text, one);
		check_own_text(good(&arena, one), one, one);
	}
}

static void test_the_offset_is_the_first_byte(void **state)
{
	auto_arena arena = { .newest = NULL };
	const char *text = "[ \"\\\"\\\\,\" ,\t-1\n,[ ] , { }\r\n,false,{\"k\" : 77 }]";
	const char firsts[] = { '"', '-', '[', '{', 'f', '{' };
	const struct json *root = good(&arena, text);
	size_t i = 0;

	(void)state;
	json_each (item, root)
		check(text[item->offset] == firsts[i++]);
	check_int(i, 6);
	check(text[last(root)->first->offset] == '7' && text[last(root)->first->offset - 1] == ' ');
}

static void test_scalars_are_documents(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	check_text(good(&arena, "42")->text, "42");
	check_int(good(&arena, "  42")->offset, 2);
	check_text(good(&arena, " \"x\" ")->text, "x");
	check(good(&arena, "null")->type == JSON_NULL);
	check_text(good(&arena, "18446744073709551615999")->text, "18446744073709551615999");
}

static void test_syntax_errors_have_our_words_and_a_place(void **state)
{
	(void)state;
	refused("", "the document ends too early", "", "1:1");
	refused("  ", "the document ends too early", "", "1:3");
	refused("{\"a\": {\"b\": [1, 2", "the document ends too early", "/a/b", "1:18");
	refused("{\"a\": \"x", "the document ends too early", "/a", "1:9");
	refused("{\"a\":\n  tru }", "expected true, false or null", "/a", "2:6");
	refused("[1 2]", "expected ',' or ']' after the element", "", "1:4");
	refused("{\"a\": [1 2]}", "expected ',' or ']' after the element", "/a", "1:10");
	refused("{\"a\":1 \"b\":2}", "expected ',' or '}' after the member", "", "1:8");
	refused("{\"a\" 1}", "expected ':' after the member's name", "/a", "1:6");
	refused("{1: 2}", "expected a member's name in double quotes", "", "1:2");
	refused("{\"a\":1,}", "expected a member's name in double quotes", "", "1:8");
	refused("[1,]", "this does not belong here", "", "1:4");
	refused("[1,,2]", "this does not belong here", "", "1:4");
	refused("[,1]", "this does not belong here", "", "1:2");
	refused("}", "this does not belong here", "", "1:1");
	refused("{\"a\": [}", "this does not belong here", "/a", "1:8");
	refused("[1] // no", "something follows the end of the document", "", "1:5");
	refused("[ /* no */ 1]", "comments are not JSON", "", "1:3");
	refused("{} {}", "something follows the end of the document", "", "1:4");
	refused("{} x", "something follows the end of the document", "", "1:4");
	refused("1 2", "something follows the end of the document", "", "1:3");
	refused("{'a': 1}", "this is not JSON", "", "1:2");
	refused("[-]", "a digit must follow the sign", "", "1:3");
	refused("[1.]", "a digit must follow the decimal point", "", "1:4");
	refused("[1e]", "a digit must follow the exponent", "", "1:4");
	refused("[01]", "expected ',' or ']' after the element", "", "1:3");
	refused("[+1]", "this is not JSON", "", "1:2");
	refused("[NaN]", "this is not JSON", "", "1:2");
	refused("{\"a\": \"x\ny\"}", "a string holds a control character", "/a", "1:9");
	refused("{\"a\": \"\\q\"}", "a string holds an unknown escape", "/a", "1:9");
	refused("{\"a\": \"\\u12g4\"}", "a string holds an escape that is not \\u and four digits",
		"/a", "1:12");
}

static void test_bytes_that_are_no_text(void **state)
{
	(void)state;
	refused("\xef\xbb\xbf{}", "the document starts with a byte order mark", "", "1:1");
	refused("{\"a\": \"x\xff\"}", "a string is not valid UTF-8", "/a", "1:9");
	refused("[\"\xc0\xaf\"]", "a string is not valid UTF-8", "/0", "1:3");
	refused("[1, \"\xed\xa0\x80\"]", "a string is not valid UTF-8", "/1", "1:6");
	refused("[\"\xe2\x82\"]", "a string is not valid UTF-8", "/0", "1:3");
	refused("{\"b\xff\": 1}", "a string is not valid UTF-8", "", "1:4");
	refused("{\"a\": \"x\\u0000\"}", "a string holds a NUL byte", "/a", "1:9");
	refused("{\"a\\u0000\": 1}", "a string holds a NUL byte", "", "1:4");
	refused("[\"\\ud800\"]", "a string holds half of a surrogate pair", "/0", "1:3");
	refused("[\"\\ud800x\"]", "a string holds half of a surrogate pair", "/0", "1:3");
	refused("[\"\\ud800\\n\"]", "a string holds half of a surrogate pair", "/0", "1:3");
	refused("[\"\\ud800\\u0041\"]", "a string holds half of a surrogate pair", "/0", "1:3");
	refused("[\"\\uDC00\\uD800\"]", "a string holds half of a surrogate pair", "/0", "1:3");
	refused_bytes("[\"a\0b\"]", 7, "a string holds a control character", "", "1:4");
	refused_bytes("[1\0]", 4, "this is not JSON", "", "1:3");
	refused_bytes("{}\0", 3, "something follows the end of the document", "", "1:3");
}

static void test_a_position_counts_characters(void **state)
{
	unsigned int line, column;

	(void)state;
	json_position("\xc3\xbc\xc3\xbcx", 4, &line, &column);
	check(line == 1 && column == 3);
	json_position("a\n\nb", 3, &line, &column);
	check(line == 3 && column == 1);
	refused("{\"\xc3\xbc\": x}", "this is not JSON", "/\xc3\xbc", "1:7");
}

static void test_duplicates_are_refused(void **state)
{
	(void)state;
	refused("{\"a\":1,\"a\":1}", "the member is there twice", "/a", "1:12");
	refused("{\"x\":[{\"b\":1,\"c\":2,\"b\":\"\"}]}", "the member is there twice", "/x/0/b",
		"1:24");
	refused("{\"a\":1,\"\\u0061\":2}", "the member is there twice", "/a", "1:17");
}

/* An object of N members "k0" to "k<N-1>", of which the last is called LAST. */
static char *many_members(struct arena *arena, size_t n, const char *last)
{
	struct json_writer *w = json_writer_new(arena, 0);
	char key[24];

	json_write_object(w);
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "k%zu", i);
		json_write_key(w, i + 1 == n ? last : key);
		json_write_uint(w, i);
	}
	json_write_end(w);
	return (char *)json_writer_text(w, NULL);
}

static void test_duplicates_among_many(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	for (size_t n = 2; n < 200; n = n * 3 / 2 + 1) {
		struct error err = { .kind = ERROR_NONE };
		char *text = many_members(&arena, n, "k0");

		check(!json_parse(&arena, "doc.json", text, strlen(text), &err));
		check_text(err.what, "the member is there twice");
		check_text(err.where, "/k0");
		check_int(err.column, strrchr(text, ':') + 1 - text + 1);
		check_int(good(&arena, many_members(&arena, n, "last"))->n, n);
	}
	/* The same name in two objects is no duplicate. */
	check(good(&arena, "[{\"a\":1},{\"a\":1},{\"b\":{\"a\":{\"a\":1}}}]")->n == 3);
}

static void test_depth_and_number_of_values(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	char deep[2 * (JSON_DEPTH_MAX + 1) + 1];
	size_t n = 2 * (size_t)JSON_VALUES_MAX + 1;
	char *text = arena_alloc(&arena, n + 1);

	(void)state;
	memset(deep, '[', JSON_DEPTH_MAX);
	memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	deep[2 * JSON_DEPTH_MAX] = '\0';
	check(good(&arena, deep)->type == JSON_ARRAY);
	memset(deep, '[', JSON_DEPTH_MAX + 1);
	check(!json_parse(&arena, "doc.json", deep, sizeof(deep) - 1, &err));
	check_text(err.what, "the document is nested too deeply");
	check_int(err.column, JSON_DEPTH_MAX + 1);
	check_has(err.where, "/0/0/0/0/0/0");

	/* The array counts as well, so that many elements are one too many. */
	memset(text, ',', n);
	for (size_t i = 1; i < n; i += 2)
		text[i] = '1';
	text[0] = '[';
	text[n - 1] = ']';
	check(JSON_VALUES_MAX == 1000000);
	check(!json_parse(&arena, "doc.json", text, n, &err));
	check_text(err.what, "the document has too many values");
	check_text(err.where, "/999999");
}

static void test_json_at(void **state)
{
	auto_arena arena = { .newest = NULL };
	const struct json *root = good(&arena, "{\"a\":[10,{\"x/y\":1,\"~\":2,\"01\":3}],\"\":4}");

	(void)state;
	check(json_at(root, "") == root);
	check_text(json_at(root, "/a/0")->text, "10");
	check_text(json_at(root, "/a/1/x~1y")->text, "1");
	check_text(json_at(root, "/a/1/~0")->text, "2");
	check_text(json_at(root, "/a/1/01")->text, "3");
	check_text(json_at(root, "/")->text, "4");
	check(json_at(root, "/a/01") == json_member(root, "a"));
	check(json_at(root, "/a/2/b") == json_member(root, "a"));
	check(json_at(root, "/nothing/here") == root);
	check(json_at(root, "/a/1/x") == last(json_member(root, "a")));
}

static void test_locate(void **state)
{
	auto_arena arena = { .newest = NULL };
	const char *text = "{\n \"a\": [1,\n  {}]}";
	const struct json *root = good(&arena, text);
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	error_config_at(&err, "/a/1/missing", "x");
	json_locate(root, "d", text, &err);
	check_text(err.file, "d");
	check_int(err.line, 3);
	check_int(err.column, 3);
	error_at(&err, "/a");
	json_locate(root, "other", text, &err);
	check_text(err.file, "d"); /* it has a line already */
	error_state(&err, "x");
	json_locate(root, "d", text, &err);
	check_int(err.line, 0);
}

static const char *written(struct arena *arena, int indent)
{
	struct json_writer *w = json_writer_new(arena, indent);

	json_write_object(w);
	json_write_key(w, "a");
	json_write_array(w);
	json_write_int(w, INT64_MIN);
	json_write_uint(w, UINT64_MAX);
	json_write_end(w);
	json_write_key(w, "b");
	json_write_object(w);
	json_write_end(w);
	json_write_key(w, "c");
	json_write_array(w);
	json_write_end(w);
	json_write_key(w, "d");
	json_write_bool(w, true);
	json_write_key(w, "e");
	json_write_null(w);
	json_write_key(w, "f");
	json_write_number(w, "1.50");
	json_write_end(w);
	return json_writer_text(w, NULL);
}

static void test_writer_layout(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	check_text(written(&arena, 0),
		   "{\"a\":[-9223372036854775808,18446744073709551615],\"b\":{},\"c\":[],"
		   "\"d\":true,\"e\":null,\"f\":1.50}");
	check_text(written(&arena, 2),
		   "{\n  \"a\": [\n    -9223372036854775808,\n    18446744073709551615\n  ],\n"
		   "  \"b\": {},\n  \"c\": [],\n  \"d\": true,\n  \"e\": null,\n  \"f\": 1.50\n}");
	check_has(written(&arena, -1), "{\n\t\"a\": [\n\t\t-92");
}

static const char *string_as_json(struct arena *arena, const char *text)
{
	struct json_writer *w = json_writer_new(arena, 0);

	json_write_string(w, text);
	return json_writer_text(w, NULL);
}

static void test_writer_escapes(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	check_text(string_as_json(&arena, "a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
	check_text(string_as_json(&arena, "\b\t\n\f\r\x01\x1b\x7f"),
		   "\"\\b\\t\\n\\f\\r\\u0001\\u001b\\u007f\"");
	check_text(string_as_json(&arena, "\xc2\x9b"), "\"\\u009b\"");
	check_text(string_as_json(&arena, "\xc3\xbc\xf0\x9f\x90\x9f <>&"),
		   "\"\xc3\xbc\xf0\x9f\x90\x9f <>&\"");
	check_text(string_as_json(&arena, "x\xffy\xc3"), "\"x\xef\xbf\xbdy\xef\xbf\xbd\"");
}

static void test_every_byte_survives_a_round_trip(void **state)
{
	auto_arena arena = { .newest = NULL };
	char text[0x80];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i + 1);
	text[sizeof(text) - 1] = '\0';
	check_text(good(&arena, string_as_json(&arena, text))->text, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tree),
		cmocka_unit_test(test_every_value_is_its_own_text),
		cmocka_unit_test(test_the_offset_is_the_first_byte),
		cmocka_unit_test(test_scalars_are_documents),
		cmocka_unit_test(test_syntax_errors_have_our_words_and_a_place),
		cmocka_unit_test(test_bytes_that_are_no_text),
		cmocka_unit_test(test_a_position_counts_characters),
		cmocka_unit_test(test_duplicates_are_refused),
		cmocka_unit_test(test_duplicates_among_many),
		cmocka_unit_test(test_depth_and_number_of_values),
		cmocka_unit_test(test_json_at),
		cmocka_unit_test(test_locate),
		cmocka_unit_test(test_writer_layout),
		cmocka_unit_test(test_writer_escapes),
		cmocka_unit_test(test_every_byte_survives_a_round_trip),
	};

	return check_all(tests);
}
