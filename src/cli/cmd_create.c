/* `creel create`: makes a container that waits for `start`. */
#include "cmd_create.h"

#include <creel/error.h>
#include <creel/verbs.h>

#define ARGUMENTS struct create_arguments

const struct option_row create_rows[] = {
	O_STRING(ARGUMENTS, create.bundle, "b", "bundle", "DIR",
		 "directory of config.json (default: the working directory)", .group = "Container"),
	O_STRING(ARGUMENTS, create.config, "f", "config", "FILE",
		 "name of the configuration in the bundle (default: config.json)"),
	O_STRING(ARGUMENTS, create.pid_file, NULL, "pid-file", "FILE",
		 "write the pid of the container's init to FILE", .group = "Files and sockets"),
	O_STRING(ARGUMENTS, create.console_socket, NULL, "console-socket", "SOCKET",
		 "send the terminal to the listener on SOCKET"),
	O_STRING(ARGUMENTS, create.pidfd_socket, NULL, "pidfd-socket", "SOCKET",
		 "send a pidfd of the init to the listener on SOCKET"),
	O_NUMBER(ARGUMENTS, create.preserve_fds, NULL, "preserve-fds", "N",
		 "pass N more descriptors, from 3 on"),
	O_FLAG(ARGUMENTS, create.no_pivot, NULL, "no-pivot",
	       "move the root instead of pivot_root(2), on a ramdisk", .group = "Setup"),
	O_FLAG(ARGUMENTS, create.no_new_keyring, NULL, "no-new-keyring",
	       "keep the caller's session keyring"),
	O_FLAG(ARGUMENTS, no_subreaper, NULL, "no-subreaper", "accepted and ignored"),
};

_Static_assert(ARRAY_SIZE(create_rows) == CREATE_ROWS_N, "the header counts the rows");

unsigned int create_passed_fds(const void *options)
{
	const struct create_arguments *arguments = options;

	/* Socket activation reaches through us: the plan counts both. */
	return arguments->create.preserve_fds + cli_listen_fds();
}

struct create_options create_complete(const struct cli *cli, const struct create_options *options)
{
	struct create_options complete = *options;

	complete.id = cli->arguments.items[0];
	if (!complete.bundle)
		complete.bundle = ".";
	complete.manager = cli_cgroup_manager(cli->global);
	complete.rootless_cgroups = cli_rootless_cgroups(cli);
	return complete;
}

static int run(struct cli *cli, struct error *err)
{
	const struct create_arguments *arguments = cli->options;
	const struct create_options options = create_complete(cli, &arguments->create);

	return verb_create(&cli->runtime, &options, err);
}

const struct command command_create = {
	.name = "create",
	.arguments = "ID",
	.purpose = "Make a container from a bundle, ready to be started",
	.example = "creel create --bundle /srv/web web\ncreel start web",
	.options = { .tables = { { .rows = create_rows, .n = CREATE_ROWS_N } } },
	.options_size = sizeof(struct create_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_MADE_ROOT | NEEDS_SEALED,
	.passed_fds = create_passed_fds,
	.run = run,
};
