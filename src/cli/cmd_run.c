/* `creel run`: create, start, wait, delete. */
#include "cmd_create.h"

#include <creel/error.h>
#include <creel/verbs.h>

struct run_arguments {
	struct create_arguments shared; /* first: its rows are used as they are */
	bool keep;
};

static const struct option_row run_rows[] = {
	O_FLAG(struct run_arguments, shared.create.detach, "d", "detach",
	       "return when the container runs", .group = "Life"),
	O_FLAG(struct run_arguments, keep, NULL, "keep",
	       "do not delete the container when it ends"),
};

static int run(struct cli *cli, struct error *err)
{
	const struct run_arguments *arguments = cli->options;
	struct run_options options = {
		.create = create_complete(cli, &arguments->shared.create),
		.keep = arguments->keep,
	};

	options.create.start_now = true;
	return verb_run(&cli->runtime, &options, &cli->exit_code, err);
}

const struct command command_run = {
	.name = "run",
	.arguments = "ID",
	.purpose = "Create and start a container, wait for its end, and delete it",
	.example = "creel run --bundle /srv/web web\ncreel run --detach --bundle /srv/web "
		   "--pid-file web.pid web",
	.options = { .tables = { { .rows = create_rows, .n = CREATE_ROWS_N },
				 OPTION_TABLE(run_rows) } },
	.options_size = sizeof(struct run_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_MADE_ROOT | NEEDS_SEALED,
	.passed_fds = create_passed_fds,
	.run = run,
};
