/* `creel pause`: freezes the container's cgroup. */
#include <creel/cli.h>

#include <creel/error.h>
#include <creel/verbs.h>

static int run(struct cli *cli, struct error *err)
{
	return verb_pause(&cli->runtime, cli->arguments.items[0], err);
}

const struct command command_pause = {
	.name = "pause",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Freeze all processes of a container",
	.example = "creel pause web\ncreel resume web",
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
