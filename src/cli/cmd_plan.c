/* `creel plan`: prints what `create` would do, and does nothing. */
#include <creel/cli.h>

#include <creel/create.h>
#include <creel/error.h>

struct plan_arguments {
	const char *bundle;
	const char *config;
	const char *id;
};

static const struct option_row plan_rows[] = {
	O_STRING(struct plan_arguments, bundle, "b", "bundle", "DIR",
		 "directory of config.json (default: the working directory)", .group = "Options"),
	O_STRING(struct plan_arguments, config, "f", "config", "FILE",
		 "name of the configuration in the bundle (default: config.json)"),
	O_STRING(struct plan_arguments, id, NULL, "id", "ID",
		 "plan for a container of this name (default: ID)"),
};

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
		fputs(plan_print(cli->runtime.arena, &create.plan), stdout);
	create_close(&create);
	return result;
}

const struct command command_plan = {
	.name = "plan",
	.arguments = "",
	.purpose = "Print what create would do with a bundle, and do nothing",
	.example = "creel plan --bundle /srv/web",
	.options = { .tables = { OPTION_TABLE(plan_rows) } },
	.options_size = sizeof(struct plan_arguments),
	.needs = NEEDS_HOST,
	.run = run,
};
