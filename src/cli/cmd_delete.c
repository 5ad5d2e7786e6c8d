/* `creel delete`: removes what create made. */
#include <creel/cli.h>

#include <creel/error.h>
#include <creel/log.h>
#include <creel/verbs.h>

struct delete_arguments {
	bool force;
};

static const struct option_row delete_rows[] = {
	O_FLAG(struct delete_arguments, force, "f", "force",
	       "kill it first when it lives; no error when there is none", .group = "Options"),
};

static int run(struct cli *cli, struct error *err)
{
	const struct delete_arguments *arguments = cli->options;

	return verb_delete(&cli->runtime, cli->arguments.items[0], arguments->force, err);
}

const struct command command_delete = {
	.name = "delete",
	.arguments = "ID",
	.purpose = "Remove a container that is stopped or was never started",
	.example = "creel delete --force web",
	.options = { .tables = { OPTION_TABLE(delete_rows) } },
	.options_size = sizeof(struct delete_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_ROOT,
	.run = run,
};
