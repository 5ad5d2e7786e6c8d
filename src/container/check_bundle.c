/* `creel check` of a bundle: the document by itself, then against this host; and where in the file
 * each finding is. */
#include "check_parts.h"

#include <string.h>
#include <sys/stat.h>

#include <creel/create.h>
#include <creel/fd.h>

#define CONFIG_NAME "config.json"
#define ID	    "ID" /* the document says nothing about the id */
#define NOBODY	    65534

void checker_error(const struct checker *check, struct error *err, const char *pointer, int code)
{
	error_at(err, pointer);
	if (code)
		error_code(err, code);
	findings_add(check->findings, FINDING_ERROR, err);
	*err = (struct error){ 0 };
}

const char *checker_key(const struct checker *check, const char *pointer, const char *key)
{
	return pointer ? text_format(check->runtime->arena, "%s/%s", pointer, key) : NULL;
}

const char *checker_index(const struct checker *check, const char *pointer, size_t index)
{
	return text_format(check->runtime->arena, "%s/%zu", pointer, index);
}

/* Gives every finding its place in the file. */
static void locate(const struct create *create, const char *name, struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		struct error *err = &findings->items[i].error;
		const struct json *at;

		if (!err->where[0] || err->line || err->file[0])
			continue;
		at = json_at(create->config_tree, err->where);
		if (at)
			json_position(create->config_text, at->offset, &err->line, &err->column);
		strncpy(err->file, name, sizeof(err->file) - 1);
	}
}

/* The owner of the bundle, as he is without any privilege. */
static struct facts facts_without_privilege(const struct facts *facts, const char *bundle,
					    struct probe_user *user)
{
	struct facts lesser = *facts;
	struct stat st;

	lesser.is_admin = false;
	if (facts->euid != 0)
		return lesser;
	if (stat(bundle, &st) < 0 || st.st_uid == 0)
		st = (struct stat){ .st_uid = NOBODY, .st_gid = NOBODY };
	*user = (struct probe_user){ .set = true, .uid = st.st_uid, .gid = st.st_gid };
	lesser.euid = st.st_uid;
	lesser.egid = st.st_gid;
	return lesser;
}

static void check_host_side(struct checker *check)
{
	check_files(check);
	check_program(check);
	check_mounts(check);
	check_users(check);
	check_cgroup(check);
	check_rights(check);
	fd_close(&check->root);
}

static void check_document(struct runtime *runtime, const struct check_options *options,
			   const struct create *create, struct findings *findings)
{
	const char *bundle = create->plan.bundle;
	static const struct oci_linux no_linux;
	struct probe_user user = { 0 };
	struct facts facts = options->rootless
				 ? facts_without_privilege(&runtime->facts, bundle, &user)
				 : runtime->facts;
	const struct plan_request request = {
		.id = ID,
		.bundle = bundle,
		.manager = options->manager,
		.rootless_cgroups = options->rootless_cgroups || options->rootless,
	};
	struct oci_config config = { 0 };
	struct plan plan;

	plan_collect(runtime->arena, create->config_tree, &request, &facts, &config, &plan,
		     findings);

	struct checker check = {
		.runtime = runtime,
		.facts = &facts,
		.config = &config,
		.oci_linux = config.linux ? config.linux : &no_linux,
		.plan = &plan,
		.user = user,
		.findings = findings,
		.root = -1,
	};

	check_host_side(&check);
}

int check_bundle(struct runtime *runtime, const struct check_options *options,
		 struct findings *findings, struct error *err)
{
	const struct create_options create_options = {
		.id = ID,
		.bundle = options->bundle,
		.config = options->config,
	};
	const char *name = options->config ? options->config : CONFIG_NAME;
	struct error broken = { 0 };
	struct create create;
	int result = create_read_text(&create, runtime, &create_options, err);

	if (result == 0) {
		create.config_tree = json_parse(runtime->arena, name, create.config_text,
						create.config_size, &broken);
		if (create.config_tree)
			check_document(runtime, options, &create, findings);
		else
			findings_add(findings, FINDING_ERROR, &broken);
	}
	if (create.config_tree)
		locate(&create, name, findings);
	findings_sort(findings);
	create_close(&create);
	return result;
}
