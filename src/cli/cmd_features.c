/* `creel features`: prints what this creel understands, from the same tables that decode it. */
#include <creel/cli.h>

#include <linux/seccomp.h>
#include <string.h>

#include <creel/criu.h>
#include <creel/error.h>
#include <creel/json.h>
#include <creel/oci_config.h>
#include <creel/oci_features.h>
#include <creel/seccomp.h>
#include <creel/table.h>

#define WORDS_PER_LINE 80 /* characters */

enum features_format {
	FEATURES_JSON,
	FEATURES_TABLE,
};

struct features_arguments {
	struct optional format;
};

static const struct name_value features_format_names[] = {
	{ "json", FEATURES_JSON },
	{ "table", FEATURES_TABLE },
	{ NULL, 0 },
};

/* JSON is the default: it is what engines read. */
static const struct option_row features_rows[] = {
	O_CHOICE(struct features_arguments, format, "f", "format", "json|table",
		 features_format_names, "how it looks (default: json)", .group = "Options"),
};

#define YES                                                                                        \
	{                                                                                          \
		.set = true, .value = 1                                                            \
	}
#define NO                                                                                         \
	{                                                                                          \
		.set = true, .value = 0                                                            \
	}

/* An annotation that changes what creel does must not come from the user of an engine. */
static const char *const unsafe_annotations[] = {
	"org.criu.config",
	"org.systemd.property.",
	"run.creel.memory.oom.group",
	"run.oci.keep_original_groups",
	"run.oci.mount_context_type",
};

static struct strings list_of(struct arena *arena, const char *const *texts, size_t n)
{
	struct strings list = { 0 };

	for (size_t i = 0; i < n; i++)
		strings_add(arena, &list, arena_strdup(arena, texts[i]));
	return list;
}

/* Those that both creel and this kernel know. */
static struct strings supported_flags(struct arena *arena)
{
	static const struct {
		enum oci_seccomp_flag flag;
		unsigned int kernel;
	} flags[] = {
		{ OCI_SECCOMP_FLAG_TSYNC, SECCOMP_FILTER_FLAG_TSYNC },
		{ OCI_SECCOMP_FLAG_LOG, SECCOMP_FILTER_FLAG_LOG },
		{ OCI_SECCOMP_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	};
	struct strings list = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (seccomp_has_flag(flags[i].kernel))
			strings_add(arena, &list,
				    (char *)name_of(oci_seccomp_flag_names, (int)flags[i].flag));
	return list;
}

static struct oci_features_seccomp seccomp_features(struct arena *arena)
{
	return (struct oci_features_seccomp){
		.enabled = YES,
		.actions = names_list(arena, oci_seccomp_action_names),
		.operators = names_list(arena, oci_seccomp_operator_names),
		.archs = names_list(arena, oci_seccomp_architecture_names),
		.known_flags = names_list(arena, oci_seccomp_flag_names),
		.supported_flags = supported_flags(arena),
	};
}

static struct string_map annotations(struct arena *arena)
{
	struct string_pair *pairs = arena_array(arena, 4, sizeof(*pairs));

	pairs[0] =
	    (struct string_pair){ arena_strdup(arena, "io.github.seccomp.libseccomp.version"),
				  arena_strdup(arena, version_of_libseccomp(arena)) };
	/* The name that engines look for. */
	pairs[1] =
	    (struct string_pair){ arena_strdup(arena, "org.opencontainers.runc.checkpoint.enabled"),
				  arena_strdup(arena, criu_is_there() ? "true" : "false") };
	pairs[2] = (struct string_pair){ arena_strdup(arena, "run.creel.commit"),
					 arena_strdup(arena, CREEL_COMMIT) };
	pairs[3] = (struct string_pair){ arena_strdup(arena, "run.creel.version"),
					 arena_strdup(arena, CREEL_VERSION) };
	return (struct string_map){ .items = pairs, .n = 4 };
}

static const char *document(struct arena *arena, struct oci_features_linux *linux_part)
{
	struct json_writer *w = json_writer_new(arena, 2);
	struct oci_features features = {
		.oci_version_min = arena_strdup(arena, OCI_VERSION_MIN),
		.oci_version_max = arena_strdup(arena, OCI_VERSION),
		.hooks = names_list(arena, oci_hook_names),
		.mount_options = plan_mount_options(arena),
		.linux = linux_part,
		.annotations = annotations(arena),
		.potentially_unsafe_config_annotations =
		    list_of(arena, unsafe_annotations, ARRAY_SIZE(unsafe_annotations)),
	};

	schema_encode(&oci_features_schema, &features, w);
	return json_writer_text(w, NULL);
}

/* All of LIST behind NAME, on as many lines as that takes. */
static void add_list(struct table *table, const char *name, const struct json *list)
{
	const char *line = "";

	json_each (item, list) {
		if (line[0] && strlen(line) + strlen(item->text) >= WORDS_PER_LINE) {
			TABLE_ADD(table, name, line);
			name = line = "";
		}
		line = text_format(table->arena, "%s%s%s", line, line[0] ? " " : "", item->text);
	}
	TABLE_ADD(table, name, line);
}

/* The leaves of the document, each with the names that lead to it. */
static void add_member(struct table *table, const char *name, const struct json *value)
{
	switch (value->type) {
	case JSON_OBJECT:
		json_each (member, value)
			add_member(table,
				   name[0] ? text_format(table->arena, "%s.%s", name, member->key)
					   : member->key,
				   member);
		return;
	case JSON_ARRAY:
		add_list(table, name, value);
		return;
	case JSON_BOOL:
		TABLE_ADD(table, name, value->text[0] == 't' ? "yes" : "no");
		return;
	case JSON_NULL:
	case JSON_NUMBER:
	case JSON_STRING:
		TABLE_ADD(table, name, value->text);
		return;
	}
}

static int print_table(struct arena *arena, const char *text, struct error *err)
{
	static const struct table_column columns[] = { { .head = "FEATURE" }, { .head = "VALUE" } };
	const struct json *tree = json_parse(arena, "the features", text, strlen(text), err);
	struct table table = {
		.arena = arena,
		.columns = columns,
		.columns_n = ARRAY_SIZE(columns),
		.colour = cli_has_colour(stdout),
	};

	if (!tree)
		return -1;
	add_member(&table, "", tree);
	fputs(table_text(&table), stdout);
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct features_arguments *arguments = cli->options;
	struct arena *arena = cli->runtime.arena;
	struct oci_features_enabled enabled = { YES };
	struct oci_features_mount_extensions extensions = { .idmap = &enabled };
	struct oci_features_intel_rdt rdt = { YES, YES, YES };
	struct oci_features_seccomp seccomp = seccomp_features(arena);
	struct oci_features_cgroup cgroup = {
		.v1 = NO,
		.v2 = YES,
		.systemd = { .set = true, .value = CREEL_SYSTEMD },
		.systemd_user = { .set = true, .value = CREEL_SYSTEMD },
		.rdma = YES,
	};
	struct oci_features_memory_policy memory_policy = {
		.modes = names_list(arena, oci_memory_policy_mode_names),
		.flags = names_list(arena, oci_memory_policy_flag_names),
	};
	struct oci_features_linux linux_part = {
		.namespaces = names_list(arena, oci_namespace_names),
		.capabilities = plan_capabilities(arena),
		.cgroup = &cgroup,
		.seccomp = &seccomp,
		.apparmor = &enabled,
		.selinux = &enabled,
		.intel_rdt = &rdt,
		.memory_policy = &memory_policy,
		.mount_extensions = &extensions,
		.net_devices = &enabled,
	};

	if (arguments->format.value == FEATURES_TABLE)
		return print_table(arena, document(arena, &linux_part), err);
	puts(document(arena, &linux_part));
	return 0;
}

const struct command command_features = {
	.name = "features",
	.arguments = "",
	.purpose = "Print what creel understands",
	.example = "creel features | jq .mountOptions\ncreel features --format table",
	.options = { .tables = { OPTION_TABLE(features_rows) } },
	.options_size = sizeof(struct features_arguments),
	.run = run,
};
