/* `creel restore`: makes a container from its bundle and from what a checkpoint has saved. */
#include "cmd_checkpoint.h"

#include <creel/error.h>

struct restore_arguments {
	struct restore_options restore; /* first: its shared rows are used as they are */
	bool no_subreaper, no_pivot, no_new_keyring;
};

#define ARGUMENTS struct restore_arguments

static const struct option_row restore_rows[] = {
	O_STRING(ARGUMENTS, restore.create.bundle, "b", "bundle", "DIR",
		 "directory of config.json (default: the working directory)", .group = "Container"),
	O_FLAG(ARGUMENTS, restore.create.detach, "d", "detach", "return when the container runs"),
	O_STRING(ARGUMENTS, restore.create.pid_file, NULL, "pid-file", "FILE",
		 "write the pid of the container's init to FILE"),
	O_STRING(ARGUMENTS, restore.create.console_socket, NULL, "console-socket", "SOCKET",
		 "send the terminal to the listener on SOCKET"),
	O_STRING(ARGUMENTS, restore.create.pidfd_socket, NULL, "pidfd-socket", "SOCKET",
		 "send a pidfd of the init to the listener on SOCKET"),
	O_STRING(ARGUMENTS, restore.lsm_profile, NULL, "lsm-profile", "TYPE:NAME",
		 "label of the processes, instead of that of config.json"),
	O_STRING(ARGUMENTS, restore.lsm_mount_context, NULL, "lsm-mount-context", "CONTEXT",
		 "label of mounts, instead of that of config.json"),
	O_FLAG(ARGUMENTS, restore.criu.lazy_pages, NULL, "lazy-pages",
	       "fetch memory when it is used, from `criu lazy-pages`"),
	O_FLAG(ARGUMENTS, restore.criu.auto_dedup, NULL, "auto-dedup",
	       "drop from the images what has been restored"),
	O_FLAG(ARGUMENTS, no_subreaper, NULL, "no-subreaper", "accepted and ignored",
	       .group = "Ignored"),
	O_FLAG(ARGUMENTS, no_pivot, NULL, "no-pivot", "accepted and ignored"),
	O_FLAG(ARGUMENTS, no_new_keyring, NULL, "no-new-keyring", "accepted and ignored"),
};

static int run(struct cli *cli, struct error *err)
{
	const struct restore_arguments *arguments = cli->options;
	struct restore_options options = arguments->restore;
	struct create_options *create = &options.create;

	create->id = cli->arguments.items[0];
	if (!create->bundle)
		create->bundle = ".";
	create->manager = cli_cgroup_manager(cli->global);
	create->rootless_cgroups = cli_rootless_cgroups(cli);
	create->start_now = true;
	create->had_notify = true;
	return verb_restore(&cli->runtime, &options, &cli->exit_code, err);
}

const struct command command_restore = {
	.name = "restore",
	.arguments = "ID",
	.purpose = "Make a container from its bundle and from what a checkpoint has saved",
	.example = "creel restore --image-path /var/tmp/web --bundle /srv/web --detach web",
	.options = { .tables = { { .rows = criu_rows, .n = CRIU_ROWS_N },
				 OPTION_TABLE(restore_rows) } },
	.options_size = sizeof(ARGUMENTS),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_MADE_ROOT,
	.run = run,
};
