/* `creel check` of a bundle: the document by itself, then against this host; and where in the file
 * each finding is. */
#include "check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <creel/fd.h>
#include <creel/file.h>

#define CONFIG_NAME "config.json"
#define NOBODY	    65534

/* The document, for positions. */
struct document {
	const char *name;
	const char *text;
	size_t size;
	const struct json *tree;
};

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

static int read_document(struct runtime *runtime, const char *bundle, struct document *document,
			 struct error *err)
{
	auto_fd dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_system(err, errno, "cannot open the bundle %s", bundle);
	document->text =
	    file_read(runtime->arena, dir, document->name, FILE_DOCUMENT_MAX, &document->size, err);
	if (document->text)
		return 0;
	if (err->errnum == ENOENT)
		error_hint(err, "a bundle holds a config.json and a root filesystem; `creel spec` "
				"makes an example");
	return error_while(err, "JSON specification file %s not found in the bundle %s",
			   document->name, bundle);
}

static char *absolute(struct arena *arena, const char *path, struct error *err)
{
	char *resolved = realpath(path, NULL);
	char *copy;

	if (!resolved) {
		error_system(err, errno, "cannot find the bundle %s", path);
		return NULL;
	}
	copy = arena_strdup(arena, resolved);
	free(resolved);
	return copy;
}

/* Gives every finding its place in the file. */
static void locate(const struct document *document, struct findings *findings)
{
	for (size_t i = 0; i < findings->n; i++) {
		struct error *err = &findings->items[i].error;
		const struct json *at;

		if (!err->where[0] || err->line || err->file[0])
			continue;
		at = json_at(document->tree, err->where);
		if (at)
			json_position(document->text, at->offset, &err->line, &err->column);
		strncpy(err->file, document->name, sizeof(err->file) - 1);
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
			   const char *bundle, const struct document *document,
			   struct findings *findings)
{
	static const struct oci_linux no_linux;
	struct probe_user user = { 0 };
	struct facts facts = options->rootless
				 ? facts_without_privilege(&runtime->facts, bundle, &user)
				 : runtime->facts;
	const struct plan_request request = {
		.id = "ID",
		.bundle = bundle,
		.manager = options->manager,
		.rootless_cgroups = options->rootless_cgroups || options->rootless,
	};
	struct oci_config config = { 0 };
	struct plan plan;

	plan_collect(runtime->arena, document->tree, &request, &facts, &config, &plan, findings);

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
	struct document document = { .name = options->config ? options->config : CONFIG_NAME };
	char *bundle = absolute(runtime->arena, options->bundle, err);
	struct error broken = { 0 };

	if (!bundle || read_document(runtime, bundle, &document, err) < 0)
		return -1;
	document.tree =
	    json_parse(runtime->arena, document.name, document.text, document.size, &broken);
	if (!document.tree) {
		findings_add(findings, FINDING_ERROR, &broken);
		return 0;
	}
	check_document(runtime, options, bundle, &document, findings);
	locate(&document, findings);
	findings_sort(findings);
	return 0;
}
