/* The decoder's rules, one test each, on a small schema that has every kind of row; and the way
 * back. */
#include "check.h"

#include <creel/findings.h>
#include <creel/log.h>
#include <creel/schema.h>

enum { COLOUR_RED = 3, COLOUR_GREEN = 0, COLOUR_LIGHT_BLUE = -7 };

static const struct name_value colours[] = {
	{ "red", COLOUR_RED },
	{ "green", COLOUR_GREEN },
	{ "lightBlue", COLOUR_LIGHT_BLUE },
	{ NULL, 0 },
};

struct leaf {
	char *name;
	struct optional size;
};

static int leaf_check(const void *object, const struct where *at, struct error *err)
{
	const struct leaf *leaf = object;

	if (leaf->size.set && leaf->size.value == 13)
		return error_config(err, AT_KEY(at, "size"), "13 brings bad luck");
	return 0;
}

static const struct field leaf_fields[] = {
	F_STRING(struct leaf, name, "name", FIELD_REQUIRED),
	F_INT(struct leaf, size, "size", 0, -5, 4294967295),
};

static const struct schema leaf_schema = SCHEMA(struct leaf, leaf_fields, leaf_check);

struct named {
	char *key;
	struct optional prio;
};

static int named_check(const void *object, const struct where *at, struct error *err)
{
	const struct named *named = object;

	if (strcmp(named->key, "lo") == 0)
		return error_config(err, at, "not %s", named->key);
	return 0;
}

static const struct field named_fields[] = {
	F_INT(struct named, prio, "prio", 0, 0, 9),
};

static const struct schema named_schema = SCHEMA(struct named, named_fields, named_check);

struct tree {
	bool flag;
	struct optional maybe;
	struct optional number;
	struct optional_uint big;
	char *text;
	struct optional colour;
	struct strings words;
	struct ints palette;
	struct uints ids;
	struct leaf *leaf;
	LIST_OF(struct leaf) leaves;
	struct string_map notes;
	LIST_OF(struct named) devices;
	const struct json *other;
};

static const struct field tree_fields[] = {
	F_BOOL(struct tree, flag, "flag", 0),
	F_OPTIONAL_BOOL(struct tree, maybe, "maybe", 0),
	F_INT(struct tree, number, "number", 0, INT64_MIN, INT64_MAX),
	F_UINT(struct tree, big, "big", 0, UINT64_MAX),
	F_STRING(struct tree, text, "text", 0),
	F_ENUM(struct tree, colour, "colour", 0, colours),
	F_STRINGS(struct tree, words, "words", 0),
	F_ENUMS(struct tree, palette, "palette", 0, colours),
	F_UINTS(struct tree, ids, "ids", 0, UINT32_MAX),
	F_OBJECT(struct tree, leaf, "leaf", 0, struct leaf, &leaf_schema),
	F_LIST(struct tree, leaves, "leaves", 0, struct leaf, &leaf_schema),
	F_STRING_MAP(struct tree, notes, "notes", 0),
	F_OBJECT_MAP(struct tree, devices, "devices", 0, struct named, &named_schema),
	F_ANY(struct tree, other, "other", 0),
};

static const struct schema tree_schema = SCHEMA(struct tree, tree_fields, NULL);

/* A strict schema: rows that must be there, and must not be empty, and are always written. */
struct strict {
	char *cwd;
	struct strings args;
	bool on;
	struct optional pid;
	struct string_map notes;
};

static const struct field strict_fields[] = {
	F_STRING(struct strict, cwd, "cwd", FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_STRINGS(struct strict, args, "args", FIELD_NOT_EMPTY),
	F_BOOL(struct strict, on, "on", FIELD_REQUIRED),
	F_INT(struct strict, pid, "pid", FIELD_KEEP_EMPTY, 0, 99),
	F_STRING_MAP(struct strict, notes, "notes", FIELD_KEEP_EMPTY | FIELD_NOT_EMPTY),
};

static const struct schema strict_schema = SCHEMA(struct strict, strict_fields, NULL);

/* Decodes TEXT, which must be good. */
static struct tree good(struct arena *arena, const char *text)
{
	struct error err = { .kind = ERROR_NONE };
	struct tree tree = { .flag = false };

	if (schema_parse(&tree_schema, arena, "doc.json", text, strlen(text), &tree, NULL, &err) <
	    0)
		check_text(err.what, "");
	return tree;
}

/* Decodes TEXT by SCHEMA, which must fail, and checks message, pointer and "LINE:COLUMN". */
static struct error refused_by(const struct schema *schema, const char *text, const char *what,
			       const char *where, const char *position)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	char found[32];

	check(schema_parse(schema, &arena, "doc.json", text, strlen(text),
			   arena_alloc(&arena, schema->size), NULL, &err) == -1);
	check(err.kind == ERROR_CONFIG);
	check_text(err.what, what);
	check_text(err.where, where);
	check_text(err.file, "doc.json");
	snprintf(found, sizeof(found), "%u:%u", err.line, err.column);
	check_text(found, position);
	return err;
}

static struct error refused(const char *text, const char *what, const char *where,
			    const char *position)
{
	return refused_by(&tree_schema, text, what, where, position);
}

static const char full[] =
    "{\"flag\":true,\"maybe\":false,\"number\":-9223372036854775808,"
    "\"big\":18446744073709551615,\"text\":\"t\",\"colour\":\"lightBlue\","
    "\"words\":[\"a\",\"\"],\"palette\":[\"red\",\"green\"],\"ids\":[0,4294967295],"
    "\"leaf\":{\"name\":\"l\",\"size\":-5},\"leaves\":[{\"name\":\"1\"},{\"name\":\"2\",\"size\":0}"
    "],"
    "\"notes\":{\"k/1\":\"v\",\"\":\"\"},\"devices\":{\"eth0\":{\"prio\":4},\"eth1\":{}},"
    "\"other\":{\"a\":[1.50,null,true,\"s\"],\"b\":{}}}";

static void test_every_kind_is_decoded(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct tree tree = good(&arena, full);
	size_t n = 0;

	(void)state;
	check(tree.flag);
	check(tree.maybe.set && tree.maybe.value == 0);
	check(tree.number.set && tree.number.value == INT64_MIN);
	check(tree.big.set && tree.big.value == UINT64_MAX);
	check_text(tree.text, "t");
	check(tree.colour.set && tree.colour.value == COLOUR_LIGHT_BLUE);
	check(tree.words.n == 2 && tree.words.items[2] == NULL);
	check_text(tree.words.items[1], "");
	check(tree.palette.n == 2 && tree.palette.items[0] == COLOUR_RED &&
	      tree.palette.items[1] == COLOUR_GREEN);
	check(tree.ids.n == 2 && tree.ids.items[1] == UINT32_MAX);
	check_text(tree.leaf->name, "l");
	check(tree.leaf->size.value == -5);
	list_each (struct leaf, leaf, &tree.leaves)
		check_text(leaf->name, n++ == 0 ? "1" : "2");
	check_int(n, 2);
	check(!tree.leaves.items[0].size.set && tree.leaves.items[1].size.set);
	check_text(string_map_get(&tree.notes, "k/1"), "v");
	check_text(string_map_get(&tree.notes, ""), "");
	check(tree.devices.n == 2);
	check_text(tree.devices.items[0].key, "eth0");
	check_text(tree.devices.items[1].key, "eth1");
	check(tree.devices.items[0].prio.value == 4 && !tree.devices.items[1].prio.set);
	check_text(json_member(tree.other, "a")->first->text, "1.50");
}

static void test_absent_and_null_are_the_same(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct tree absent = good(&arena, "{}");
	struct tree nulls =
	    good(&arena, "{\"flag\":null,\"maybe\":null,\"number\":null,\"big\":null,"
			 "\"text\":null,\"colour\":null,\"words\":null,\"palette\":null,"
			 "\"ids\":null,\"leaf\":null,\"leaves\":null,\"notes\":null,"
			 "\"devices\":null,\"other\":null}");
	const struct tree zero = { .flag = false };

	(void)state;
	check(memcmp(&absent, &zero, sizeof(zero)) == 0);
	check(memcmp(&nulls, &zero, sizeof(zero)) == 0);
	check(good(&arena, "{\"notes\":{\"a\":null,\"b\":\"\"}}").notes.n == 1);
	check(good(&arena, "{\"devices\":{\"a\":null,\"b\":{}}}").devices.n == 1);
}

static void test_an_empty_list_is_not_an_absent_one(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct tree tree = good(&arena, "{\"words\":[],\"palette\":[],\"ids\":[],\"leaves\":[],"
					"\"notes\":{},\"devices\":{},\"text\":\"\"}");

	(void)state;
	check(tree.words.items && tree.words.n == 0 && tree.words.items[0] == NULL);
	check(tree.palette.items && tree.palette.n == 0);
	check(tree.ids.items && tree.ids.n == 0);
	check(tree.leaves.items && tree.leaves.n == 0);
	check(tree.notes.items && tree.notes.n == 0);
	check(tree.devices.items && tree.devices.n == 0);
	check_text(tree.text, "");
}

static void test_a_wrong_type_is_an_error(void **state)
{
	(void)state;
	refused("[]", "expected an object, found an array", "", "1:1");
	refused("{\"flag\": 1}", "expected a boolean, found a number", "/flag", "1:10");
	refused("{\"maybe\":\"true\"}", "expected a boolean, found a string", "/maybe", "1:10");
	refused("{\n\"number\":\n\t\"1\"}", "expected a number, found a string", "/number", "3:2");
	refused("{\"big\":true}", "expected a number, found a boolean", "/big", "1:8");
	refused("{\"text\":[]}", "expected a string, found an array", "/text", "1:9");
	refused("{\"colour\":3}", "expected a string, found a number", "/colour", "1:11");
	refused("{\"words\":\"a\"}", "expected an array, found a string", "/words", "1:10");
	refused("{\"words\":{}}", "expected an array, found an object", "/words", "1:10");
	refused("{\"words\":[\"a\",null]}", "expected a string, found null", "/words/1", "1:15");
	refused("{\"palette\":[1]}", "expected a string, found a number", "/palette/0", "1:13");
	refused("{\"ids\":[1,\"2\"]}", "expected a number, found a string", "/ids/1", "1:11");
	refused("{\"leaf\":[]}", "expected an object, found an array", "/leaf", "1:9");
	refused("{\"leaves\":[{\"name\":\"\"},7]}", "expected an object, found a number",
		"/leaves/1", "1:24");
	refused("{\"notes\":{\"a/b\":1}}", "expected a string, found a number", "/notes/a~1b",
		"1:17");
	refused("{\"devices\":{\"e\":1}}", "expected an object, found a number", "/devices/e",
		"1:17");
	refused("{\"leaves\":[{\"name\":7}]}", "expected a string, found a number",
		"/leaves/0/name", "1:20");
}

static void test_integers_are_written_as_integers(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	refused("{\"number\":1.0}", "expected an integer, found 1.0", "/number", "1:11");
	refused("{\"number\":1e3}", "expected an integer, found 1e3", "/number", "1:11");
	refused("{\"number\":1E3}", "expected an integer, found 1E3", "/number", "1:11");
	refused("{\"number\":-0}", "expected an integer, found -0", "/number", "1:11");
	refused("{\"big\":-0}", "expected an integer, found -0", "/big", "1:8");
	check(good(&arena, "{\"number\":0}").number.set);
}

static void test_ranges(void **state)
{
	auto_arena arena = { .newest = NULL };

	(void)state;
	refused("{\"ids\":[4294967296]}", "4294967296 is out of range (0 to 4294967295)", "/ids/0",
		"1:9");
	refused("{\"big\":18446744073709551616}",
		"18446744073709551616 is out of range (0 to 18446744073709551615)", "/big", "1:8");
	refused("{\"big\":-1}", "-1 is out of range (0 to 18446744073709551615)", "/big", "1:8");
	refused("{\"number\":9223372036854775808}",
		"9223372036854775808 is out of range (-9223372036854775808 to 9223372036854775807)",
		"/number", "1:11");
	refused("{\"leaf\":{\"name\":\"x\",\"size\":-6}}", "-6 is out of range (-5 to 4294967295)",
		"/leaf/size", "1:28");
	check(good(&arena, "{\"leaf\":{\"name\":\"x\",\"size\":-5}}").leaf->size.value == -5);
	check(good(&arena, "{\"leaf\":{\"name\":\"x\",\"size\":4294967295}}").leaf->size.set);
	/* Of many digits only some are shown, so that the range can still be read. */
	refused("{\"big\":1000000000000000000000000000000000000000000000000000000000000}",
		"1000000000000000000000000000000000000000 is out of range "
		"(0 to 18446744073709551615)",
		"/big", "1:8");
}

static void test_unknown_enum_values(void **state)
{
	struct error err;

	(void)state;
	err =
	    refused("{\"colour\":\"lightblue\"}", "unknown value \"lightblue\"", "/colour", "1:11");
	check_text(err.hint, "did you mean \"lightBlue\"?");
	err = refused("{\"palette\":[\"red\",\"yellow\"]}", "unknown value \"yellow\"",
		      "/palette/1", "1:19");
	check_text(err.hint, "known values: red, green, lightBlue");
	err = refused("{\"colour\":\"\"}", "unknown value \"\"", "/colour", "1:11");
	check_text(err.hint, "known values: red, green, lightBlue");
}

static void test_required_members(void **state)
{
	(void)state;
	refused_by(&strict_schema, "{ }", "required member \"cwd\" is missing", "/cwd", "1:1");
	refused_by(&strict_schema, "{\"cwd\":null,\"on\":true}",
		   "required member \"cwd\" is missing", "/cwd", "1:8");
	refused_by(&strict_schema, "{\"cwd\":\"/\"}", "required member \"on\" is missing", "/on",
		   "1:1");
	refused("{\"leaves\":[{\"name\":\"x\"},\n {\"size\":1}]}",
		"required member \"name\" is missing", "/leaves/1/name", "2:2");
}

static void test_members_that_must_not_be_empty(void **state)
{
	(void)state;
	refused_by(&strict_schema, "{\"on\":true,\"cwd\":\"\"}", "must not be empty", "/cwd",
		   "1:18");
	refused_by(&strict_schema, "{\"on\":true,\"cwd\":\"/\",\"args\":[]}", "must not be empty",
		   "/args", "1:29");
	refused_by(&strict_schema, "{\"on\":true,\"cwd\":\"/\",\"notes\":{}}", "must not be empty",
		   "/notes", "1:30");
}

static void test_checks_of_one_object(void **state)
{
	(void)state;
	refused("{\"leaves\":[{\"name\":\"x\",\"size\":13}]}", "13 brings bad luck",
		"/leaves/0/size", "1:31");
	refused("{\"devices\":{\"eth0\":{},\"lo\":{}}}", "not lo", "/devices/lo", "1:28");
}

static void test_text_that_is_no_json(void **state)
{
	(void)state;
	refused("{\"leaf\":{\"name\":tru", "expected true, false or null", "/leaf/name", "1:20");
	refused("{\"flag\":true,\"flag\":true}", "the member is there twice", "/flag", "1:21");
}

static char records[1024];

static void take_record(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	snprintf(records + strlen(records), sizeof(records) - strlen(records), "%d %s\n",
		 (int)level, text);
}

static void test_unknown_members_are_ignored_but_not_in_silence(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	struct tree tree;

	(void)state;
	check(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, &err) == 0);
	log_to_function(take_record, NULL);
	tree = good(&arena, "{\"Flag\":true,\"fresh\":1,\"leaf\":{\"name\":\"\",\"NAME\":7}}");
	check(!tree.flag);
	check_text(tree.leaf->name, "");
	check_text(records,
		   "1 unknown member \"Flag\" at / is ignored; did you mean \"flag\"?\n"
		   "3 unknown member \"fresh\" at / is ignored\n"
		   "1 unknown member \"NAME\" at /leaf is ignored; did you mean \"name\"?\n");

	records[0] = '\0';
	check(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, &err) == 0);
	log_to_function(take_record, NULL);
	good(&arena, "{\"Flag\":true,\"fresh\":1}");
	check_text(records, "");
	check(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, &err) == 0);
}

static void test_the_tree_is_handed_out(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	struct tree tree = { .flag = false };
	const struct json *json = NULL;

	(void)state;
	check(schema_parse(&tree_schema, &arena, "d", "{\"big\":3}", 9, &tree, &json, &err) == 0);
	check_int(json_at(json, "/big")->offset, 7);
	check(schema_parse(&tree_schema, &arena, "d", "{", 1, &tree, &json, &err) == -1);
	check(json == NULL);
}

/* An object that stands somewhere inside a document. */
static void test_decoding_knows_where_it_is(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct error err = { .kind = ERROR_NONE };
	struct leaf leaf = { .name = NULL };
	const struct json *json = json_parse(&arena, "d", "{\"size\":0}", 10, &err);

	(void)state;
	check(schema_decode(&leaf_schema, &arena, json, AT_KEY(NULL, "linux"), &leaf, &err) == -1);
	check_text(err.where, "/linux/name");
	check_int(err.line, 0);
}

static const char *encoded(const struct schema *schema, struct arena *arena, const void *object)
{
	struct json_writer *w = json_writer_new(arena, 0);

	schema_encode(schema, object, w);
	return json_writer_text(w, NULL);
}

static void test_round_trip(void **state)
{
	auto_arena arena = { .newest = NULL };
	const char *const texts[] = {
		full,
		"{}",
		"{\"maybe\":true,\"number\":0,\"big\":0,\"text\":\"\",\"colour\":\"green\"}",
		"{\"words\":[],\"palette\":[],\"ids\":[],\"leaves\":[],\"notes\":{},\"devices\":{}"
		"}",
		"{\"other\":[]}",
		"{\"other\":\"x\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tree tree = good(&arena, texts[i]);

		check_text(encoded(&tree_schema, &arena, &tree), texts[i]);
	}
}

static void test_what_is_written_although_it_is_empty(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct strict strict = { .cwd = (char *)"/" };

	(void)state;
	check_text(encoded(&strict_schema, &arena, &strict),
		   "{\"cwd\":\"/\",\"on\":false,\"pid\":0,\"notes\":{}}");
}

static void test_names(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct strings list = names_list(&arena, colours);

	(void)state;
	check_text(name_of(colours, COLOUR_LIGHT_BLUE), "lightBlue");
	check_text(name_of(colours, 99), NULL);
	check_int(value_of(colours, "red"), COLOUR_RED);
	check_int(value_of(colours, "Red"), -1);
	check(list.n == 3 && list.items[3] == NULL);
	check_text(list.items[2], "lightBlue");
}

/* Collects all that is wrong with TEXT, one "pointer sentence" a line, into OUT. */
static struct findings collected(struct arena *arena, const char *text, struct tree *out)
{
	struct findings findings = { .arena = arena };
	struct error err = { .kind = ERROR_NONE };
	const struct json *root = json_parse(arena, "doc.json", text, strlen(text), &err);

	check(root != NULL);
	schema_collect(&tree_schema, arena, root, out, &findings);
	return findings;
}

static void check_finding(const struct findings *findings, size_t i, const char *where,
			  const char *what)
{
	check(i < findings->n);
	check_text(findings->items[i].error.where, where);
	check_text(findings->items[i].error.what, what);
}

static void test_everything_that_is_wrong_at_once(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct tree tree = { .flag = false };
	struct findings findings = collected(
	    &arena,
	    "{ \"flag\": 1, \"number\": 1.5, \"words\": [\"a\", 2, \"c\"], \"colour\": \"read\","
	    "  \"leaves\": [{ \"name\": \"x\" }, { \"size\": 13 }, 3, { \"name\": \"y\", \"size\": "
	    "13 }],"
	    "  \"notes\": { \"a\": \"b\", \"c\": 1 }, \"devices\": { \"lo\": {}, \"eth0\": 5 },"
	    "  \"ids\": [1, -1, 3], \"Text\": \"t\", \"leef\": {}, \"zzzzzz\": 1 }",
	    &tree);

	(void)state;
	check_int(findings.n, 15);
	check_finding(&findings, 0, "/flag", "expected a boolean, found a number");
	check_finding(&findings, 1, "/number", "expected an integer, found 1.5");
	check_finding(&findings, 2, "/words/1", "expected a string, found a number");
	check_finding(&findings, 3, "/colour", "unknown value \"read\"");
	check_finding(&findings, 4, "/leaves/1/name", "required member \"name\" is missing");
	check_finding(&findings, 5, "/leaves/1/size", "13 brings bad luck");
	check_finding(&findings, 6, "/leaves/2", "expected an object, found a number");
	check_finding(&findings, 7, "/leaves/3/size", "13 brings bad luck");
	check_finding(&findings, 8, "/notes/c", "expected a string, found a number");
	check_finding(&findings, 9, "/devices/lo", "not lo");
	check_finding(&findings, 10, "/devices/eth0", "expected an object, found a number");
	check_finding(&findings, 11, "/ids/1", "-1 is out of range (0 to 4294967295)");
	check_finding(&findings, 12, "/Text", "unknown member \"Text\" is ignored");
	check_text(findings.items[12].error.hint, "did you mean \"text\"?");
	check_finding(&findings, 13, "/leef", "unknown member \"leef\" is ignored");
	check_text(findings.items[13].error.hint, "did you mean \"leaf\"?");
	check_finding(&findings, 14, "/zzzzzz", "unknown member \"zzzzzz\" is ignored");
	check_text(findings.items[14].error.hint, "");
}

/* Damaged items keep their places, damaged members are absent, required texts are empty. */
static void test_what_is_collected_can_be_used(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct tree tree = { .flag = false };
	struct findings findings =
	    collected(&arena,
		      "{ \"leaves\": [{}, { \"name\": \"b\" }, \"c\"], \"words\": [1, \"two\"],"
		      "  \"big\": -1, \"colour\": \"blue\", \"leaf\": 7 }",
		      &tree);

	(void)state;
	check_int(findings.n, 6);
	check_int(tree.leaves.n, 3);
	check_text(tree.leaves.items[0].name, "");
	check_text(tree.leaves.items[1].name, "b");
	check_text(tree.leaves.items[2].name, "");
	check_int(tree.words.n, 2);
	check_text(tree.words.items[0], "");
	check_text(tree.words.items[1], "two");
	check(!tree.big.set && !tree.colour.set && !tree.leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_is_decoded),
		cmocka_unit_test(test_absent_and_null_are_the_same),
		cmocka_unit_test(test_an_empty_list_is_not_an_absent_one),
		cmocka_unit_test(test_a_wrong_type_is_an_error),
		cmocka_unit_test(test_integers_are_written_as_integers),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_unknown_enum_values),
		cmocka_unit_test(test_required_members),
		cmocka_unit_test(test_members_that_must_not_be_empty),
		cmocka_unit_test(test_checks_of_one_object),
		cmocka_unit_test(test_text_that_is_no_json),
		cmocka_unit_test(test_unknown_members_are_ignored_but_not_in_silence),
		cmocka_unit_test(test_the_tree_is_handed_out),
		cmocka_unit_test(test_decoding_knows_where_it_is),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_what_is_written_although_it_is_empty),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_everything_that_is_wrong_at_once),
		cmocka_unit_test(test_what_is_collected_can_be_used),
	};

	return check_all(tests);
}
