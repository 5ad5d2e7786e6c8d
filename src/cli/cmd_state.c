/* `creel state`: prints the state of one container. */
#include <creel/cli.h>

#include <creel/error.h>

static int run(struct cli *cli, struct error *err)
{
	auto_container container = { .dir = -1 };
	struct oci_state state;

	if (container_open(&cli->runtime, cli->arguments.items[0], CONTAINER_NO_LOCK, &container,
			   err) < 0)
		return -1;
	state_describe(&container.state, container.status, &state);
	puts(state_json(cli->runtime.arena, &state, &oci_state_schema, 2));
	return 0;
}

const struct command command_state = {
	.name = "state",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Print the state of a container as JSON",
	.example = "creel state web\ncreel state web | jq -r .status",
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
