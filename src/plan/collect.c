/*
 * All that is wrong with a document, and all that is suspicious: the same tables and rules that
 * `create` obeys, but none of them is the last.
 */
#include "parts.h"

/* A damaged list of namespaces or ids breaks rules all over the document, which says nothing. */
static bool is_damaged(const struct findings *findings)
{
	static const char *const roots[] = { "/linux/namespaces", "/linux/uidMappings",
					     "/linux/gidMappings" };

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++)
		if (findings_has_error(findings, roots[i]))
			return true;
	return false;
}

static void collect_filter(const struct input *input, struct findings *findings)
{
	const struct oci_seccomp *seccomp = input->linux->seccomp;
	struct plan_seccomp filter = { 0 };
	struct error err = { 0 };

	if (seccomp && !findings_has_error(findings, "/linux/seccomp") &&
	    plan_seccomp(input->arena, seccomp, "/linux/seccomp", &filter, &err) < 0)
		findings_add(findings, FINDING_ERROR, &err);
}

void plan_collect(struct arena *arena, const struct json *tree, const struct plan_request *request,
		  const struct facts *facts, struct oci_config *config, struct plan *plan,
		  struct findings *findings)
{
	static const struct oci_linux no_linux;
	struct plan_request collecting = *request;
	struct error err = { 0 };
	struct input input = {
		.arena = arena,
		.config = config,
		.request = &collecting,
		.facts = facts,
	};

	*plan = (struct plan){ 0 };
	collecting.findings = findings;
	schema_collect(&oci_config_schema, arena, tree, config, findings);
	if (tree->type != JSON_OBJECT)
		return;
	input.linux = config->linux ? config->linux : &no_linux;
	suspect_config(&input, findings);
	suspect_mounts(&input, findings);
	suspect_seccomp(&input, findings);
	collect_filter(&input, findings);
	if (is_damaged(findings)) {
		findings_say(findings, FINDING_NOTE, "/linux",
			     "what depends on namespaces and ids is not checked until their "
			     "errors are mended");
		return;
	}
	if (plan_make(arena, config, &collecting, facts, plan, &err) < 0)
		findings_add(findings, FINDING_ERROR, &err);
}
