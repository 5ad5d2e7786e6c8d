/*
 * Golden tests of the pure half: plans every NAME.json of a directory and compares what comes out
 *with NAME.plan, or the error with NAME.error.  The member "test" of a document, which creel does
 *not know, says which host and which command line to plan for; hosts are facts-NAME.json.
 *
 *Documents that are called check-NAME.json are collected instead: check-NAME.findings is all that
 *is wrong with them.  And for every other one, collecting must find the error that planning stops
 *at, and no error where there is a plan.
 *
 *	golden DIRECTORY		compare
 *	golden --update DIRECTORY	write the golden files anew
 *	golden --accept DIRECTORY FILE...	print the plans of documents that must have one,
 *with the hosts of DIRECTORY
 */
#include <creel/error.h>
#include <creel/findings.h>
#include <creel/log.h>
#include <creel/plan.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host {
	struct optional_uint euid;
	struct optional_uint egid;
	bool in_userns;
	bool is_admin;
	bool can_set_groups;
	bool systemd;
	bool apparmor;
	bool selinux;
	struct optional_uint cap_last;
	struct optional_uint caps_bounding;
	char *cgroup_mount;
	char *cgroup_own;
	struct strings cgroup_controllers;
};

static const struct field host_fields[] = {
	F_UINT(struct host, euid, "euid", 0, UINT32_MAX),
	F_UINT(struct host, egid, "egid", 0, UINT32_MAX),
	F_BOOL(struct host, in_userns, "inUserns", 0),
	F_BOOL(struct host, is_admin, "isAdmin", 0),
	F_BOOL(struct host, can_set_groups, "canSetGroups", 0),
	F_BOOL(struct host, systemd, "systemd", 0),
	F_BOOL(struct host, apparmor, "apparmor", 0),
	F_BOOL(struct host, selinux, "selinux", 0),
	F_UINT(struct host, cap_last, "capLast", FIELD_REQUIRED, 63),
	F_UINT(struct host, caps_bounding, "capsBounding", FIELD_REQUIRED, UINT64_MAX),
	F_STRING(struct host, cgroup_mount, "cgroupMount", 0),
	F_STRING(struct host, cgroup_own, "cgroupOwn", 0),
	F_STRINGS(struct host, cgroup_controllers, "cgroupControllers", 0),
};

static const struct schema host_schema = SCHEMA(struct host, host_fields, NULL);

struct setup {
	char *host;
	struct optional manager;
	char *id;
	bool no_pivot;
	bool no_new_keyring;
	bool rootless_cgroups;
	struct optional_uint preserve_fds;
	struct optional_uint listen_fds;
	char *listen_names;
};

static const struct field setup_fields[] = {
	F_STRING(struct setup, host, "host", 0),
	F_ENUM(struct setup, manager, "manager", 0, cgroup_manager_names),
	F_STRING(struct setup, id, "id", 0),
	F_BOOL(struct setup, no_pivot, "noPivot", 0),
	F_BOOL(struct setup, no_new_keyring, "noNewKeyring", 0),
	F_BOOL(struct setup, rootless_cgroups, "rootlessCgroups", 0),
	F_UINT(struct setup, preserve_fds, "preserveFds", 0, 1000),
	F_UINT(struct setup, listen_fds, "listenFds", 0, 1000),
	F_STRING(struct setup, listen_names, "listenNames", 0),
};

static const struct schema setup_schema = SCHEMA(struct setup, setup_fields, NULL);

/* What planning one document says: the warnings, then the plan or the error. */
struct outcome {
	struct arena *arena;
	const char *warnings;
	const char *text;
	bool failed;
	bool agrees; /* collecting with planning */
};

static char *read_text(struct arena *arena, const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t n = 0;

	*size = 0;
	if (!file)
		return NULL;
	do {
		char *larger = arena_alloc(arena, *size + 65536 + 1);

		if (*size > 0)
			memcpy(larger, text, *size);
		text = larger;
		n = fread(text + *size, 1, 65536, file);
		*size += n;
	} while (n > 0);
	fclose(file);
	return text;
}

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	fputs(text, file);
	return fclose(file) == 0;
}

static const char *error_text(struct arena *arena, const struct error *err)
{
	static const char *const kinds[] = { "none",	    "usage", "config",
					     "unsupported", "state", "system" };

	return text_format(arena, "%s %s\n%s\n%s%s%s", kinds[err->kind],
			   err->where[0] ? err->where : "/", err->what,
			   err->hint[0] ? "hint: " : "", err->hint, err->hint[0] ? "\n" : "");
}

static void keep_warning(void *argument, enum log_level level, const char *text)
{
	struct outcome *outcome = argument;

	if (level == LOG_LEVEL_WARNING)
		outcome->warnings =
		    text_format(outcome->arena, "%swarning: %s\n", outcome->warnings, text);
}

static int load_host(struct arena *arena, const char *directory, const char *name,
		     struct facts *facts, struct error *err)
{
	const char *path = text_format(arena, "%s/facts-%s.json", directory, name);
	struct host host = { 0 };
	size_t size = 0;
	char *text = read_text(arena, path, &size);

	if (!text)
		return error_usage(err, "cannot read %s", path);
	if (schema_parse(&host_schema, arena, path, text, size, &host, NULL, err) < 0)
		return -1;
	*facts = (struct facts){
		.euid = (uid_t)host.euid.value,
		.egid = (gid_t)host.egid.value,
		.in_userns = host.in_userns,
		.is_admin = host.is_admin,
		.can_set_groups = host.can_set_groups,
		.systemd = host.systemd,
		.apparmor = host.apparmor,
		.selinux = host.selinux,
		.cap_last = (int)host.cap_last.value,
		.caps_bounding = host.caps_bounding.value,
		.cgroup_mount = host.cgroup_mount,
		.cgroup_own = host.cgroup_own,
		.cgroup_controllers = host.cgroup_controllers,
	};
	return 0;
}

static int load_setup(struct arena *arena, const struct json *tree, const char *directory,
		      struct plan_request *request, struct facts *facts, struct error *err)
{
	const struct json *member = json_member(tree, "test");
	struct setup setup = { 0 };

	if (member &&
	    schema_decode(&setup_schema, arena, member, AT_KEY(NULL, "test"), &setup, err) < 0)
		return -1;
	*request = (struct plan_request){
		.id = setup.id ? setup.id : "web",
		.bundle = "/bundle",
		.manager = (enum cgroup_manager)setup.manager.value,
		.no_pivot = setup.no_pivot,
		.no_new_keyring = setup.no_new_keyring,
		.rootless_cgroups = setup.rootless_cgroups,
		.preserve_fds = (unsigned int)setup.preserve_fds.value,
		.listen_fds = (unsigned int)setup.listen_fds.value,
		.listen_names = setup.listen_names,
	};
	return load_host(arena, directory, setup.host ? setup.host : "root", facts, err);
}

/* Members of the JSON form whose own name says where they come from. */
static bool is_named_after_itself(const char *pointer)
{
	static const char *const pointers[] = { "/hostname",
						"/domainname",
						"/root/path",
						"/root/readonly",
						"/linux/rootfsPropagation",
						"/linux/namespaces",
						"/process/args" };

	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++)
		if (strcmp(pointer, pointers[i]) == 0)
			return true;
	return false;
}

/* The view for people and the JSON form leave out no place in the document that STEPS have. */
static int check_other_forms(struct arena *arena, const struct plan *plan,
			     const struct plan_seccomp *filter, const char *steps,
			     struct error *err)
{
	const char *view = plan_view(arena, plan, filter, false);
	const char *json = plan_json(arena, plan, filter);

	if (!json_parse(arena, "the JSON form", json, strlen(json), err))
		return -1;
	for (const char *at = strstr(steps, "  [/"); at; at = strstr(at + 1, "  [/")) {
		const char *pointer = arena_strndup(arena, at + 3, strcspn(at + 3, "]"));

		if (!strstr(view, pointer))
			return error_config(err, NULL, "the view lacks %s", pointer);
		if (!is_named_after_itself(pointer) &&
		    !strstr(json, text_format(arena, "\"where\": \"%s\"", pointer)))
			return error_config(err, NULL, "the JSON form lacks %s", pointer);
	}
	return 0;
}

/* Everything that creel does before its first side effect, the filter included. */
static int plan_text(struct arena *arena, const char *directory, const char *text, size_t size,
		     const char **out, struct error *err)
{
	struct plan_request request;
	struct facts facts = { 0 };
	struct oci_config config = { 0 };
	struct plan_seccomp seccomp = { 0 };
	struct plan plan;
	const struct json *tree = NULL;

	if (schema_parse(&oci_config_schema, arena, "config.json", text, size, &config, &tree,
			 err) < 0)
		return -1;
	if (load_setup(arena, tree, directory, &request, &facts, err) < 0)
		return -1;
	if (plan_make(arena, &config, &request, &facts, &plan, err) < 0)
		return -1;
	if (config.linux && config.linux->seccomp &&
	    plan_seccomp(arena, config.linux->seccomp, "/linux/seccomp", &seccomp, err) < 0)
		return -1;
	*out = plan_print(arena, &plan);
	return check_other_forms(arena, &plan, &seccomp, *out, err);
}

/* All that is wrong with the document; false when it is no JSON. */
static bool collect(struct arena *arena, const char *directory, const char *path,
		    struct findings *findings, struct error *err)
{
	struct plan_request request;
	struct facts facts = { 0 };
	struct oci_config config = { 0 };
	struct plan plan;
	size_t size = 0;
	char *text = read_text(arena, path, &size);
	struct json *tree = json_parse(arena, "config.json", text, size, err);

	*findings = (struct findings){ .arena = arena };
	if (!tree || load_setup(arena, tree, directory, &request, &facts, err) < 0)
		return false;
	plan_collect(arena, tree, &request, &facts, &config, &plan, findings);
	return true;
}

static const char *findings_text(struct arena *arena, const struct findings *findings)
{
	static const char *const severities[] = { "error", "warning", "note" };
	const char *text = "";

	for (size_t i = 0; i < findings->n; i++)
		text = text_format(arena, "%s%s %s", text, severities[findings->items[i].severity],
				   error_text(arena, &findings->items[i].error));
	return text;
}

/* Whether collecting says the same as planning, which gave ERR or, when that is none, a plan. */
static bool agrees(struct arena *arena, const char *directory, const char *path,
		   const struct error *err)
{
	struct findings findings;
	struct error ignored = { 0 };

	if (!collect(arena, directory, path, &findings, &ignored))
		return err->kind == ERROR_CONFIG;
	for (size_t i = 0; i < findings.n; i++) {
		const struct finding *finding = &findings.items[i];

		if (finding->severity != FINDING_ERROR)
			continue;
		if (err->kind == finding->error.kind &&
		    strcmp(err->where, finding->error.where) == 0 &&
		    strcmp(err->what, finding->error.what) == 0)
			return true;
	}
	if (err->kind == ERROR_NONE && findings_count(&findings, FINDING_ERROR) == 0)
		return true;
	fprintf(stderr, "%s: planning says:\n%s\nbut collecting:\n%s\n", path,
		err->kind ? error_text(arena, err) : "(nothing)", findings_text(arena, &findings));
	return false;
}

static bool plan_file(const char *directory, const char *path, struct outcome *outcome)
{
	struct error err = { 0 };
	size_t size = 0;
	char *text = read_text(outcome->arena, path, &size);

	outcome->warnings = "";
	if (!text) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return false;
	}
	log_to_function(keep_warning, outcome);
	outcome->failed =
	    plan_text(outcome->arena, directory, text, size, &outcome->text, &err) < 0;
	outcome->agrees = agrees(outcome->arena, directory, path, &err);
	if (outcome->failed)
		outcome->text = error_text(outcome->arena, &err);
	outcome->text = text_format(outcome->arena, "%s%s", outcome->warnings, outcome->text);
	return true;
}

static bool compare(const char *path, const char *wanted, const char *found)
{
	if (wanted && strcmp(wanted, found) == 0)
		return true;
	fprintf(stderr, "%s: expected:\n%s\nfound:\n%s\n", path, wanted ? wanted : "(nothing)\n",
		found);
	return false;
}

/* A document whose findings are wanted; true when they are as they should be. */
static bool check_findings(const char *directory, const char *name, bool update)
{
	auto_arena arena = { 0 };
	const char *stem = text_format(&arena, "%s/%.*s", directory, (int)strlen(name) - 5, name);
	const char *golden = text_format(&arena, "%s.findings", stem);
	struct outcome outcome = { .arena = &arena, .warnings = "" };
	struct findings findings;
	struct error err = { 0 };
	const char *text;
	size_t size = 0;

	log_to_function(keep_warning, &outcome);
	if (!collect(&arena, directory, text_format(&arena, "%s.json", stem), &findings, &err))
		text = error_text(&arena, &err);
	else
		text =
		    text_format(&arena, "%s%s", outcome.warnings, findings_text(&arena, &findings));
	if (update)
		return write_text(golden, text);
	return compare(golden, read_text(&arena, golden, &size), text);
}

/* One document; true when it is as it should be. */
static bool check_one(const char *directory, const char *name, bool update)
{
	auto_arena arena = { 0 };
	struct outcome outcome = { .arena = &arena };
	const char *stem = text_format(&arena, "%s/%.*s", directory, (int)strlen(name) - 5, name);
	const char *golden;
	size_t size = 0;

	if (!plan_file(directory, text_format(&arena, "%s.json", stem), &outcome))
		return false;
	golden = text_format(&arena, "%s.%s", stem, outcome.failed ? "error" : "plan");
	if (!update)
		return compare(golden, read_text(&arena, golden, &size), outcome.text) &&
		       outcome.agrees;
	remove(text_format(&arena, "%s.%s", stem, outcome.failed ? "plan" : "error"));
	return write_text(golden, outcome.text);
}

static int is_case(const struct dirent *entry)
{
	return text_ends_with(entry->d_name, ".json") && !text_starts_with(entry->d_name, "facts-");
}

static int check_all(const char *directory, bool update)
{
	struct dirent **entries = NULL;
	int n = scandir(directory, &entries, is_case, alphasort);
	int failed = 0;

	for (int i = 0; i < n; i++) {
		bool findings = text_starts_with(entries[i]->d_name, "check-");

		failed +=
		    !(findings ? check_findings : check_one)(directory, entries[i]->d_name, update);
		free(entries[i]);
	}
	free(entries);
	printf("%d documents, %d not as expected\n", n, failed);
	return n > 0 && failed == 0 ? 0 : 1;
}

static int accept_all(const char *directory, char **paths)
{
	int failed = 0;

	for (; *paths; paths++) {
		auto_arena arena = { 0 };
		struct outcome outcome = { .arena = &arena };

		if (plan_file(directory, *paths, &outcome) && !outcome.failed) {
			printf("# %s\n%s", *paths, outcome.text);
			continue;
		}
		fprintf(stderr, "%s: %s\n", *paths, outcome.text);
		failed++;
	}
	return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct error err = { 0 };

	if (log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, &err) < 0)
		return 2;
	if (argc == 2)
		return check_all(argv[1], false);
	if (argc == 3 && strcmp(argv[1], "--update") == 0)
		return check_all(argv[2], true);
	if (argc > 3 && strcmp(argv[1], "--accept") == 0)
		return accept_all(argv[2], argv + 3);
	fprintf(stderr,
		"usage: golden [--update] DIRECTORY\n       golden --accept DIRECTORY FILE...\n");
	return 2;
}
