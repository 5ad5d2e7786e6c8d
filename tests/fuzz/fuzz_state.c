/*
 * What a state directory holds: state.json, exec.json and the notes of a create that died. Whatever
 * lies there is read as what it says, or refused; and what can be read can be shown.
 */
#include "fuzz.h"

#include <creel/container.h>
#include <creel/error.h>
#include <creel/state.h>

#include "fake_files.h"

static void read_state(struct arena *arena, const char *text, size_t size, uint8_t choice)
{
	struct error err = { 0 };
	struct oci_state shown;
	struct state state;
	const char *json;

	fake_file(STATE_FILE, text, size);
	if (state_read(arena, -1, &state, &err) < 0) {
		must(err.kind != ERROR_NONE && err.what[0]);
		return;
	}
	must(state.version.set && state.version.value <= 1);
	must(state.id && state.bundle && state.rootfs && state.created && state.owner.set);
	must(!state.pid.set || state.pid.value <= INT32_MAX);
	check_round_trip(&state_schema, arena, &state);
	state_describe(&state, (enum oci_status)(choice % 5), &shown);
	for (int indent = 0; indent < 3; indent += 2) {
		json = state_json(arena, &shown, &oci_state_schema, indent);
		must(json_parse(arena, "state", json, strlen(json), &err));
		json = state_json(arena, &shown, &oci_hook_state_schema, indent);
		must(json_parse(arena, "state", json, strlen(json), &err));
	}
}

static void read_record(struct arena *arena, const char *text, size_t size)
{
	struct exec_record record;
	struct error err = { 0 };

	fake_file(STATE_EXEC_FILE, text, size);
	if (exec_record_read(arena, -1, &record, &err) < 0) {
		must(err.kind != ERROR_NONE && err.what[0]);
		return;
	}
	must(record.process && record.namespaces.set);
	check_round_trip(&exec_record_schema, arena, &record);
}

/* ^[A-Za-z0-9_+-][A-Za-z0-9_+.-]{0,1023}$ */
static bool is_id(const char *id)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.";
	size_t n = strlen(id);

	return n >= 1 && n <= 1024 && id[0] != '.' && strspn(id, letters) == n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct error err = { 0 };
	uint8_t choice = size > 0 && data[0] != '{' ? take_byte(&bytes) : 0;
	char *text = take_rest(&arena, &bytes, &size);

	fake_clear();
	read_state(&arena, text, size, choice);
	read_record(&arena, text, size);
	must((container_check_id(text, &err) == 0) == is_id(text));
	return 0;
}
