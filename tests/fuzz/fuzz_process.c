/*
 * A process file of `exec` to the process that it means.  The first byte picks the host and what
 * the container is; the ids, words and rights of the plan are those of the document and no others.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/exec.h>
#include <creel/plan.h>

static bool same_strings(const struct strings *a, const struct strings *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static uint64_t mask_of(const struct strings *names)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < names->n; i++)
		mask |= plan_capability(names->items[i]);
	return mask;
}

/* No right that the document does not name. */
static void check_rights(const struct oci_process *process, const struct plan_process *plan)
{
	static const struct oci_capabilities none;
	const struct oci_capabilities *caps = process->capabilities ? process->capabilities : &none;

	must((plan->caps.bounding & ~mask_of(&caps->bounding)) == 0);
	must((plan->caps.effective & ~mask_of(&caps->effective)) == 0);
	must((plan->caps.permitted & ~mask_of(&caps->permitted)) == 0);
	must((plan->caps.inheritable & ~mask_of(&caps->inheritable)) == 0);
	must((plan->caps.ambient & ~mask_of(&caps->ambient)) == 0);
	must(plan->no_new_privileges == process->no_new_privileges);
}

static void check_user(const struct oci_process *process, const struct plan_process *plan)
{
	must(plan->uid == process->user->uid.value && plan->gid == process->user->gid.value);
	must(plan->uid != (uid_t)-1 && plan->gid != (gid_t)-1);
	for (size_t i = 0; i < process->user->additional_gids.n; i++)
		must(process->user->additional_gids.items[i] < UINT32_MAX);
}

/* ^[0-9]+(:[0-9]+)?$, and each is an id. */
static bool is_user(const char *text)
{
	for (int part = 0; part < 2; part++) {
		size_t n = strspn(text, "0123456789");
		uint64_t value = 0;

		if (n == 0 || n > 20)
			return false;
		for (size_t i = 0; i < n; i++) {
			value = value * 10 + (uint64_t)(text[i] - '0');
			if (value > UINT32_MAX - 1)
				return false;
		}
		text += n;
		if (*text == '\0')
			return true;
		if (*text++ != ':')
			return false;
	}
	return false;
}

static void check_user_text(struct arena *arena, const char *text)
{
	struct oci_user user = { 0 };
	struct error err = { 0 };

	must((exec_parse_user(text, &user, arena, &err) == 0) == is_user(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct idmap_range range = { .inside = 0, .outside = 100000, .size = 65536 };
	static const struct idmap map = {
		.uids = &range, .uids_n = 1, .gids = &range, .gids_n = 1
	};
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct error err = { 0 };
	uint8_t choice = size > 0 && data[0] != '{' ? take_byte(&bytes) : 0;
	char *text = take_rest(&arena, &bytes, &size);
	struct oci_process process = { 0 };
	struct plan_process plan = { 0 };
	const struct facts facts = {
		.euid = choice & 1 ? 1000 : 0,
		.egid = choice & 1 ? 1000 : 0,
		.is_admin = !(choice & 1),
		.in_userns = choice & 2,
		.can_set_groups = !(choice & 4),
		.apparmor = choice & 8,
		.selinux = choice & 8,
		.cap_last = 40,
		.caps_bounding = choice & 64 ? 0xff : UINT64_MAX,
	};
	const struct plan_process_context context = {
		.facts = &facts,
		.maps = choice & 16 ? &map : NULL,
		.new_user_namespace = choice & 16,
		.keep_groups = choice & 32,
		.where = "",
	};

	check_user_text(&arena, text);
	if (schema_parse(&oci_process_schema, &arena, "process.json", text, size, &process, NULL,
			 &err) < 0)
		return 0;
	check_round_trip(&oci_process_schema, &arena, &process);
	if (plan_process(&arena, &process, &context, &plan, &err) < 0) {
		must(err.kind != ERROR_NONE && err.what[0]);
		return 0;
	}
	must(same_strings(&plan.args, &process.args));
	check_user(&process, &plan);
	check_rights(&process, &plan);
	for (size_t i = 0; i < plan.env.n; i++)
		must(strchr(plan.env.items[i], '='));
	return 0;
}
