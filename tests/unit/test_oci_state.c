/* Tests of oci_state.c: what `state` prints and what hooks and seccomp agents read. */
#include "oci_cases.h"

#include <creel/oci_state.h>

static char version[] = "1.3.0";
static char id[] = "web";
static char bundle[] = "/b";
static char rootfs[] = "/b/rootfs";
static char created[] = "2026-01-02T03:04:05.000000006Z";
static char nobody[] = "";
static char metadata[] = "m";

static struct oci_state stopped(void)
{
	return (struct oci_state){
		.oci_version = version,
		.id = id,
		.pid = { .set = true, .value = 0 },
		.status = { .set = true, .value = OCI_STATUS_STOPPED },
		.bundle = bundle,
		.rootfs = rootfs,
		.created = created,
		.owner = nobody,
	};
}

static void check_encoded(const struct schema *schema, const void *object, const char *wanted)
{
	auto_arena arena = { 0 };
	const char *text = quoted(&arena, wanted);

	assert_string_equal(encoded(schema, &arena, object), text);
	check_round_trip(schema, text);
}

/* Engines read pid 0 as "stopped" and want the owner even when it is empty. */
static void test_state_of_a_stopped_container(void **state)
{
	const struct oci_state object = stopped();

	(void)state;
	check_encoded(&oci_state_schema, &object,
		      "{'ociVersion':'1.3.0','id':'web','pid':0,'status':'stopped','bundle':'/b',"
		      "'rootfs':'/b/rootfs','created':'2026-01-02T03:04:05.000000006Z',"
		      "'owner':''}");
}

static void test_state_with_annotations(void **state)
{
	struct string_pair pair = { .key = id, .value = nobody };
	struct oci_state object = stopped();

	(void)state;
	object.annotations = (struct string_map){ .items = &pair, .n = 1 };
	object.status.value = OCI_STATUS_PAUSED;
	object.pid.value = 7;
	check_encoded(&oci_state_schema, &object,
		      "{'ociVersion':'1.3.0','id':'web','pid':7,'status':'paused','bundle':'/b',"
		      "'rootfs':'/b/rootfs','created':'2026-01-02T03:04:05.000000006Z',"
		      "'annotations':{'web':''},'owner':''}");
}

static void test_state_of_a_hook(void **state)
{
	struct oci_state object = stopped();

	(void)state;
	object.status.value = OCI_STATUS_CREATING;
	object.pid.value = 7;
	check_encoded(&oci_hook_state_schema, &object,
		      "{'ociVersion':'1.3.0','id':'web','status':'creating','pid':7,'bundle':'/b',"
		      "'annotations':{},'root':'/b/rootfs'}");
}

static void test_state_for_a_seccomp_agent(void **state)
{
	auto_arena arena = { 0 };
	struct oci_state inner = stopped();
	struct oci_container_process_state object = {
		.oci_version = version,
		.pid = { .set = true, .value = 9 },
		.metadata = metadata,
		.state = &inner,
	};

	(void)state;
	strings_add(&arena, &object.fds, arena_strdup(&arena, "seccompFd"));
	inner.status.value = OCI_STATUS_RUNNING;
	inner.pid.value = 7;
	check_encoded(&oci_container_process_state_schema, &object,
		      "{'ociVersion':'1.3.0','fds':['seccompFd'],'pid':9,'metadata':'m',"
		      "'state':{'ociVersion':'1.3.0','id':'web','status':'running','pid':7,"
		      "'bundle':'/b','annotations':{},'root':'/b/rootfs'}}");
}

static const struct oci_case cases[] = {
	ACCEPTED("{'ociVersion':'1.3.0','id':'a','status':'created','bundle':'/b'}"),
	REFUSED("{'id':'a','status':'created','bundle':'/b'}", "/ociVersion", ""),
	REFUSED("{'ociVersion':'1.3.0','status':'created','bundle':'/b'}", "/id", ""),
	REFUSED("{'ociVersion':'1.3.0','id':'a','bundle':'/b'}", "/status", ""),
	REFUSED("{'ociVersion':'1.3.0','id':'a','status':'created'}", "/bundle", ""),
	REFUSED("{'ociVersion':'1.3.0','id':'a','status':'asleep','bundle':'/b'}", "/status",
		"asleep"),
	REFUSED("{'ociVersion':'1.3.0','id':'a','status':'created','bundle':'/b','pid':2147483648}",
		"/pid", ""),
};

static void test_required_members(void **state)
{
	(void)state;
	check_cases(&oci_state_schema, cases, ARRAY_SIZE(cases));
	check_cases(&oci_hook_state_schema, cases, ARRAY_SIZE(cases));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_of_a_stopped_container),
		cmocka_unit_test(test_state_with_annotations),
		cmocka_unit_test(test_state_of_a_hook),
		cmocka_unit_test(test_state_for_a_seccomp_agent),
		cmocka_unit_test(test_required_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
