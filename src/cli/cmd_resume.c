/* `creel resume`: thaws the container's cgroup. */
#include <creel/cli.h>

#include <creel/error.h>
#include <creel/verbs.h>

static int run(struct cli *cli, struct error *err)
{
	return verb_resume(&cli->runtime, cli->arguments.items[0], err);
}

const struct command command_resume = {
	.name = "resume",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Thaw the processes of a paused container",
	.example = "creel resume web",
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
