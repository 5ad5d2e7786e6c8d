/* `creel plan`: prints what `create` would do, and does nothing. */
#include <creel/cli.h>

#include <creel/create.h>
#include <creel/error.h>

enum plan_format {
	PLAN_TABLE,
	PLAN_STEPS,
	PLAN_JSON,
};

static const struct name_value plan_format_names[] = {
	{ "table", PLAN_TABLE },
	{ "steps", PLAN_STEPS },
	{ "json", PLAN_JSON },
	{ NULL, 0 },
};

struct plan_arguments {
	struct optional format;
	const char *bundle;
	const char *config;
	const char *id;
};

static const struct option_row plan_rows[] = {
	O_STRING(struct plan_arguments, bundle, "b", "bundle", "DIR",
		 "directory of config.json (default: the working directory)", .group = "Options"),
	O_STRING(struct plan_arguments, config, "f", "config", "FILE",
		 "name of the configuration in the bundle (default: config.json)"),
	O_CHOICE(struct plan_arguments, format, NULL, "format", "table|steps|json",
		 plan_format_names, "how it looks (default: table)"),
	O_STRING(struct plan_arguments, id, NULL, "id", "ID",
		 "plan for a container of this name (default: ID)"),
};

/* The filter too: that libseccomp refuses a profile is an error of `create`. */
static int make_filter(struct cli *cli, struct create *create, struct error *err)
{
	const struct oci_linux *oci_linux = create->config.linux;

	if (!oci_linux || !oci_linux->seccomp)
		return 0;
	if (plan_seccomp(cli->runtime.arena, oci_linux->seccomp, "/linux/seccomp", &create->seccomp,
			 err) == 0)
		return 0;
	create_locate_error(create, err);
	return -1;
}

static void print(struct cli *cli, const struct create *create, enum plan_format format)
{
	const struct oci_linux *oci_linux = create->config.linux;
	const struct plan_seccomp *filter =
	    oci_linux && oci_linux->seccomp ? &create->seccomp : NULL;
	struct arena *arena = cli->runtime.arena;

	switch (format) {
	case PLAN_TABLE:
		fputs(plan_view(arena, &create->plan, filter, cli_has_colour(stdout)), stdout);
		return;
	case PLAN_STEPS:
		fputs(plan_print(arena, &create->plan), stdout);
		return;
	case PLAN_JSON:
		puts(plan_json(arena, &create->plan, filter));
		return;
	}
}

static int run(struct cli *cli, struct error *err)
{
	const struct plan_arguments *arguments = cli->options;
	const struct create_options options = {
		.id = arguments->id ? arguments->id : "ID",
		.bundle = arguments->bundle ? arguments->bundle : ".",
		.config = arguments->config,
		.manager = cli_cgroup_manager(cli->global),
		.rootless_cgroups = cli_rootless_cgroups(cli),
		/* As `run` in the foreground, which needs no console socket for a terminal. */
		.start_now = true,
	};
	struct create create;
	int result = container_check_id(options.id, err);

	if (result < 0)
		return -1;
	result = create_load(&create, &cli->runtime, &options, err);
	if (result == 0)
		result = make_filter(cli, &create, err);
	if (result == 0)
		print(cli, &create, (enum plan_format)arguments->format.value);
	create_close(&create);
	return result;
}

const struct command command_plan = {
	.name = "plan",
	.arguments = "",
	.purpose = "Print what create would do with a bundle, and do nothing",
	.example = "creel plan --bundle /srv/web\ncreel plan --format json | jq .mounts",
	.options = { .tables = { OPTION_TABLE(plan_rows) } },
	.options_size = sizeof(struct plan_arguments),
	.needs = NEEDS_HOST,
	.run = run,
};
