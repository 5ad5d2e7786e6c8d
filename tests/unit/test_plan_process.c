/* The process part of a plan, as `exec` uses it: pointers of a process file, ids of a container
 * that exists. */
#include <creel/error.h>
#include <creel/plan.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct facts host = {
	.is_admin = true,
	.can_set_groups = true,
	.cap_last = 40,
	.caps_bounding = UINT64_MAX,
};

static const struct idmap_range range = { .inside = 0, .outside = 100000, .size = 1000 };
static const struct idmap maps = { .uids = &range, .uids_n = 1, .gids = &range, .gids_n = 1 };

struct fixture {
	struct arena arena;
	struct plan_process plan;
	struct error err;
};

static int plan(struct fixture *fixture, const char *json,
		const struct plan_process_context *context)
{
	struct oci_process process = { 0 };

	if (schema_parse(&oci_process_schema, &fixture->arena, "process.json", json, strlen(json),
			 &process, NULL, &fixture->err) < 0)
		fail_msg("%s: %s", fixture->err.where, fixture->err.what);
	return plan_process(&fixture->arena, &process, context, &fixture->plan, &fixture->err);
}

#define USER "\"cwd\": \"/\", \"args\": [\"sh\"], \"user\": { \"uid\": 7, \"gid\": 8 }"

static void test_process_file(void **state)
{
	const struct plan_process_context context = { .facts = &host, .where = "" };
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(
	    plan(&fixture,
		 "{ " USER
		 ", \"rlimits\": [ { \"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 2 } ] }",
		 &context),
	    0);
	assert_int_equal(fixture.plan.uid, 7);
	assert_int_equal(fixture.plan.gid, 8);
	assert_int_equal(fixture.plan.umask, 0022);
	assert_true(fixture.plan.set_groups);
	assert_true(fixture.plan.needs_home);
	assert_int_equal(fixture.plan.env.n, 0);
	assert_non_null(fixture.plan.env.items);
	assert_null(fixture.plan.env.items[0]);
	assert_string_equal(fixture.plan.rlimits[0].where, "/rlimits/0");
	assert_int_equal(fixture.plan.caps.bounding, 0);
	arena_free(&fixture.arena);
}

static void test_pointer_of_a_process_file(void **state)
{
	const struct plan_process_context context = { .facts = &host, .maps = &maps, .where = "" };
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(
	    plan(&fixture,
		 "{ \"cwd\": \"/\", \"args\": [\"sh\"], \"user\": { \"uid\": 1000, \"gid\": 0 } }",
		 &context),
	    -1);
	assert_string_equal(fixture.err.where, "/user/uid");
	assert_string_equal(fixture.err.what,
			    "cannot setuid to unmapped uid 1000 in user namespace");
	arena_free(&fixture.arena);
}

static void test_last_mapped_id(void **state)
{
	const struct plan_process_context context = { .facts = &host, .maps = &maps, .where = "" };
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(plan(&fixture,
			      "{ \"cwd\": \"/\", \"args\": [\"sh\"], \"user\": { \"uid\": 999, "
			      "\"gid\": 0, \"additionalGids\": [999] } }",
			      &context),
			 0);
	assert_int_equal(fixture.plan.groups_n, 1);
	assert_int_equal(fixture.plan.groups[0], 999);
	arena_free(&fixture.arena);
}

static void test_affinity(void **state)
{
	const struct plan_process_context context = { .facts = &host, .where = "" };
	struct fixture fixture = { 0 };

	(void)state;
	assert_int_equal(
	    plan(&fixture,
		 "{ " USER ", \"execCPUAffinity\": { \"initial\": \"0-1,65\", \"final\": \"3\" } }",
		 &context),
	    0);
	assert_int_equal(fixture.plan.affinity_initial->bits[0], 3);
	assert_int_equal(fixture.plan.affinity_initial->bits[1], 2);
	assert_int_equal(fixture.plan.affinity_final->bits[0], 8);
	arena_free(&fixture.arena);
}

static void test_groups_are_denied_where_setgroups_is(void **state)
{
	struct facts denied = host;
	const struct plan_process_context context = { .facts = &denied, .where = "" };
	struct fixture fixture = { 0 };

	(void)state;
	denied.can_set_groups = false;
	assert_int_equal(plan(&fixture, "{ " USER " }", &context), 0);
	assert_false(fixture.plan.set_groups);
	assert_int_equal(plan(&fixture,
			      "{ \"cwd\": \"/\", \"args\": [\"sh\"], \"user\": { \"uid\": 0, "
			      "\"gid\": 0, \"additionalGids\": [5] } }",
			      &context),
			 -1);
	assert_string_equal(fixture.err.where, "/user/additionalGids");
	arena_free(&fixture.arena);
}

static void test_capability_names(void **state)
{
	auto_arena arena = { 0 };
	struct strings names = plan_capabilities(&arena);

	(void)state;
	assert_int_equal(names.n, 41);
	for (size_t i = 0; i < names.n; i++)
		assert_int_equal(plan_capability(names.items[i]), 1ULL << i);
	assert_int_equal(plan_capability("CAP_SYS_ADMIN"), 1ULL << 21);
	assert_int_equal(plan_capability("CAP_sys_admin"), 0);
	assert_int_equal(plan_capability("SYS_ADMIN"), 0);
}

/* Our bounding set ends at our own user namespace: in another one everything can be given. */
static void test_capabilities_that_we_lack(void **state)
{
	const struct facts poor = { .can_set_groups = true, .cap_last = 40, .caps_bounding = 1 };
	struct plan_process_context context = { .facts = &poor, .where = "" };

	(void)state;
	for (int userns = 0; userns < 2; userns++) {
		struct fixture fixture = { 0 };

		context.new_user_namespace = userns;
		assert_int_equal(plan(&fixture,
				      "{ " USER ", \"capabilities\": { \"bounding\": "
				      "[\"CAP_CHOWN\", \"CAP_SYS_ADMIN\"] } }",
				      &context),
				 0);
		assert_int_equal(fixture.plan.caps.bounding, userns ? 1 | 1 << 21 : 1);
		arena_free(&fixture.arena);
	}
}

static void test_linux_part(void **state)
{
	auto_arena arena = { 0 };
	const char *json = "{ \"personality\": { \"domain\": \"LINUX32\" }, \"memoryPolicy\": { "
			   "\"mode\": \"MPOL_INTERLEAVE\", \"nodes\": \"1,64\" } }";
	struct oci_linux oci_linux = { 0 };
	struct plan_process out = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(schema_parse(&oci_linux_schema, &arena, "x", json, strlen(json),
				      &oci_linux, NULL, &err),
			 0);
	assert_int_equal(plan_linux_process(&arena, &oci_linux, &out, &err), 0);
	assert_true(out.personality.set);
	assert_int_equal(out.personality.value, 8);
	assert_int_equal(out.memory_policy->mode, 3);
	assert_int_equal(out.memory_policy->nodes[0], 2);
	assert_int_equal(out.memory_policy->nodes[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_file),
		cmocka_unit_test(test_pointer_of_a_process_file),
		cmocka_unit_test(test_last_mapped_id),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_groups_are_denied_where_setgroups_is),
		cmocka_unit_test(test_capability_names),
		cmocka_unit_test(test_capabilities_that_we_lack),
		cmocka_unit_test(test_linux_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
