/* `creel start`: lets the init of a created container execute its program. */
#include <creel/cli.h>

#include <creel/error.h>
#include <creel/verbs.h>

static int run(struct cli *cli, struct error *err)
{
	return verb_start(&cli->runtime, cli->arguments.items[0], err);
}

const struct command command_start = {
	.name = "start",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Start the program of a container that was created",
	.example = "creel create --bundle /srv/web web\ncreel start web",
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
