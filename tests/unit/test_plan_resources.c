/* Resources on their own, as `update` plans them: pointers of a resources file, and the arithmetic
 * of limits. */
#include <creel/error.h>
#include <creel/plan.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct arena arena;
	struct plan_cgroup plan;
	struct error err;
};

static int plan(struct fixture *fixture, const char *json)
{
	static const struct facts facts;
	struct oci_resources resources = { 0 };

	if (schema_parse(&oci_resources_schema, &fixture->arena, "resources.json", json,
			 strlen(json), &resources, NULL, &fixture->err) < 0)
		fail_msg("%s: %s", fixture->err.where, fixture->err.what);
	return plan_resources(&fixture->arena, &resources, "", &facts, &fixture->plan,
			      &fixture->err);
}

/* The last value that is written to FILE, or NULL. */
static const char *written(const struct fixture *fixture, const char *file)
{
	const char *value = NULL;

	for (size_t i = 0; i < fixture->plan.writes.n; i++)
		if (strcmp(fixture->plan.writes.items[i].file, file) == 0)
			value = fixture->plan.writes.items[i].value;
	return value;
}

static void check_write(const char *json, const char *file, const char *value)
{
	struct fixture fixture = { 0 };

	if (plan(&fixture, json) < 0)
		fail_msg("%s: %s", fixture.err.where, fixture.err.what);
	if (value)
		assert_string_equal(written(&fixture, file), value);
	else
		assert_null(written(&fixture, file));
	arena_free(&fixture.arena);
}

static void test_pointers(void **state)
{
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(
	    plan(&fixture, "{ \"memory\": { \"limit\": 5 }, \"unified\": { \"a.b~c\": \"1\" } }"),
	    0);
	assert_string_equal(fixture.plan.writes.items[0].where, "/memory/limit");
	assert_string_equal(fixture.plan.writes.items[0].controller, "memory");
	assert_string_equal(fixture.plan.writes.items[1].where, "/unified/a.b~0c");
	assert_int_equal(fixture.plan.properties_n, 0);
	arena_free(&fixture.arena);
}

static void test_shares(void **state)
{
	static const char *const pairs[][2] = {
		{ "1", "1" },	       { "2", "1" },	      { "3", "2" },
		{ "10", "4" },	       { "102", "17" },	      { "512", "59" },
		{ "1024", "100" },     { "2048", "174" },     { "10240", "639" },
		{ "262143", "10000" }, { "262144", "10000" }, { "9999999", "10000" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		auto_arena arena = { 0 };

		check_write(text_format(&arena, "{ \"cpu\": { \"shares\": %s } }", pairs[i][0]),
			    "cpu.weight", pairs[i][1]);
	}
}

static void test_swap(void **state)
{
	static const struct {
		const char *limit, *swap, *value;
	} rows[] = {
		{ "100", "150", "50" }, { "100", "100", "0" }, { "100", "-1", "max" },
		{ "100", "0", NULL },	{ "-1", "-1", "max" }, { "-1", "0", "max" },
		{ "-1", "500", "500" }, { "0", "0", NULL },    { "0", "-1", "max" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_arena arena = { 0 };

		check_write(text_format(&arena, "{ \"memory\": { \"limit\": %s, \"swap\": %s } }",
					rows[i].limit, rows[i].swap),
			    "memory.swap.max", rows[i].value);
	}
}

static void test_bandwidth(void **state)
{
	(void)state;
	check_write("{ \"cpu\": { \"quota\": 5000 } }", "cpu.max", "5000");
	check_write("{ \"cpu\": { \"quota\": 5000, \"period\": 20000 } }", "cpu.max", "5000 20000");
	check_write("{ \"cpu\": { \"period\": 20000 } }", "cpu.max", "max 20000");
	check_write("{ \"cpu\": { \"quota\": -1, \"period\": 20000 } }", "cpu.max", "max 20000");
	check_write("{ \"cpu\": { \"burst\": 7 } }", "cpu.max.burst", "7");
}

static void test_weights(void **state)
{
	(void)state;
	check_write("{ \"blockIO\": { \"weight\": 10 } }", "io.weight", "1");
	check_write("{ \"blockIO\": { \"weight\": 1000 } }", "io.weight", "10000");
	check_write("{ \"blockIO\": { \"weight\": 0 } }", "io.weight", NULL);
	check_write("{ \"blockIO\": { \"weight\": 500 } }", "io.bfq.weight", "500");
	check_write("{ \"blockIO\": { \"weightDevice\": [ { \"major\": 8, \"minor\": 0, "
		    "\"weight\": 500 } ] } }",
		    "io.bfq.weight", "8:0 500");
}

/* Limits that engines send for version 1, and that change nothing. */
static void test_ignored(void **state)
{
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(plan(&fixture,
			      "{ \"memory\": { \"kernel\": 5, \"kernelTCP\": 5, \"swappiness\": "
			      "60, \"useHierarchy\": true, \"disableOOMKiller\": false },"
			      "\"cpu\": { \"realtimeRuntime\": 0, \"realtimePeriod\": 1000000 }, "
			      "\"network\": { \"classID\": 0 }, \"blockIO\": {} }"),
			 0);
	assert_int_equal(fixture.plan.writes.n, 0);
	arena_free(&fixture.arena);
}

static void test_many_writes(void **state)
{
	struct fixture fixture = { 0 };
	const char *json = "";

	(void)state;
	for (int i = 0; i < 300; i++)
		json =
		    text_format(&fixture.arena, "%s%s\"x.%d\": \"%d\"", json, i ? ", " : "", i, i);
	json = text_format(&fixture.arena, "{ \"unified\": { %s } }", json);
	assert_int_equal(plan(&fixture, json), 0);
	assert_int_equal(fixture.plan.writes.n, 300);
	assert_string_equal(fixture.plan.writes.items[299].file, "x.299");
	assert_string_equal(fixture.plan.writes.items[0].value, "0");
	arena_free(&fixture.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointers),    cmocka_unit_test(test_shares),
		cmocka_unit_test(test_swap),	    cmocka_unit_test(test_bandwidth),
		cmocka_unit_test(test_weights),	    cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_many_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
