/*
 * The document of `update` to what is written into a cgroup.  Behind the first NUL byte stand lines
 * that say what the cgroup's files hold now.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/plan.h>

#include "../../src/container/update_parts.h"
#include "fake_files.h"

static void check_writes(const struct plan_cgroup *plan)
{
	for (size_t i = 0; i < plan->writes.n; i++) {
		const struct cgroup_write *write = &plan->writes.items[i];

		/* Unified names files; none leads out of the cgroup, or moves somebody in it. */
		must(!write->file ||
		     (!strchr(write->file, '/') && write->file[0] != '.' && write->file[0]));
		must(!write->file || strcmp(write->file, "cgroup.procs") != 0);
		must(!write->file || write->value);
		must(write->where && (write->where[0] == '/' || write->where[0] == '\0'));
	}
	for (size_t i = 0; i < plan->devices_n; i++)
		must(strchr("abc", plan->devices[i].type) && plan->devices[i].access <= DEVICE_ALL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "cpu.max", "memory.max", "memory.current",
					     "memory.swap.current" };
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct error err = { 0 };
	uint8_t choice = size > 0 && data[0] != '{' ? take_byte(&bytes) : 0;
	char *text = take_text(&arena, &bytes, '\0', &size);
	struct oci_resources resources = { 0 }, complete;
	struct plan_cgroup plan = { .manager = (enum cgroup_manager)(choice % 3) };
	const struct facts facts = { .euid = choice & 8 ? 1000 : 0,
				     .cgroup_mount =
					 choice & 16 ? NULL : (char *)(uintptr_t) "/cgroup" };

	fake_clear();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		size_t length;
		const char *line = take_text(&arena, &bytes, '\n', &length);

		if (length > 0)
			fake_file(files[i], line, length);
	}
	if (schema_parse(&oci_resources_schema, &arena, "resources.json", text, size, &resources,
			 NULL, &err) < 0)
		return 0;
	check_round_trip(&oci_resources_schema, &arena, &resources);
	if (update_complete(&arena, -1, &resources, &complete, &err) < 0 ||
	    plan_resources(&arena, &complete, "", &facts, &plan, &err) < 0) {
		must(err.kind != ERROR_NONE && err.what[0]);
		return 0;
	}
	check_writes(&plan);
	return 0;
}
