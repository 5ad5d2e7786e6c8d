/*
 * The bytes of a document to all that is wrong with it: what planning refuses has an error, what it
 * plans has none, and whatever is damaged, the rest can be judged.  The first byte picks the host.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/findings.h>
#include <creel/log.h>
#include <creel/plan.h>

static void drop(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	(void)level;
	must(strlen(text) < SIZE_MAX);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err = { 0 };

	(void)argc;
	(void)argv;
	must(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, &err) == 0);
	log_to_function(drop, NULL);
	return 0;
}

static bool is_planned(struct arena *arena, const char *text, size_t size,
		       const struct plan_request *request, const struct facts *facts)
{
	struct oci_config config = { 0 };
	struct plan_seccomp seccomp = { 0 };
	struct plan plan;
	struct error err = { 0 };

	if (schema_parse(&oci_config_schema, arena, "config.json", text, size, &config, NULL,
			 &err) < 0 ||
	    plan_make(arena, &config, request, facts, &plan, &err) < 0)
		return false;
	return !config.linux || !config.linux->seccomp ||
	       plan_seccomp(arena, config.linux->seccomp, "/linux/seccomp", &seccomp, &err) == 0;
}

static void check_document(struct arena *arena, const char *text, size_t size, uint8_t choice)
{
	const struct plan_request request = {
		.id = "fuzz",
		.bundle = "/bundle",
		.manager = (enum cgroup_manager)(choice % 3),
	};
	struct facts facts = {
		.euid = choice & 8 ? 1000 : 0,
		.egid = choice & 8 ? 1000 : 0,
		.is_admin = !(choice & 8),
		.can_set_groups = !(choice & 32),
		.systemd = true,
		.apparmor = choice & 64,
		.cap_last = 40,
		.caps_bounding = choice & 16 ? 1 : UINT64_MAX,
		.cgroup_mount = choice & 128 ? NULL : arena_strdup(arena, "/sys/fs/cgroup"),
	};
	struct findings findings = { .arena = arena };
	struct error err = { 0 };
	const struct json *tree = json_parse(arena, "config.json", text, size, &err);
	struct oci_config config = { 0 };
	struct plan plan;
	bool planned;

	if (!tree)
		return;
	plan_collect(arena, tree, &request, &facts, &config, &plan, &findings);
	planned = is_planned(arena, text, size, &request, &facts);
	must(planned == (findings_count(&findings, FINDING_ERROR) == 0));
	for (size_t i = 0; i < findings.n; i++)
		must(findings.items[i].error.what[0] != '\0');
	if (planned)
		must(strlen(plan_print(arena, &plan)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	/* Golden documents are seeds: for them the usual host is meant. */
	uint8_t choice = size > 0 && data[0] != '{' ? take_byte(&bytes) : 0;
	const char *text;

	text = take_rest(&arena, &bytes, &size);
	check_document(&arena, text, size, choice);
	return 0;
}
