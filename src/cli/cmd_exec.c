/* `creel exec`: one more process in a container. */
#include <creel/cli.h>

#include <stdlib.h>

#include <creel/error.h>
#include <creel/verbs.h>

struct exec_arguments {
	struct exec_options exec;
	struct optional terminal;
	bool no_subreaper;
};

#define ARGUMENTS struct exec_arguments

static const struct option_row exec_rows[] = {
	O_STRING(ARGUMENTS, exec.process_file, "p", "process", "FILE",
		 "take the whole process from the JSON in FILE", .group = "Process"),
	O_STRING(ARGUMENTS, exec.cwd, NULL, "cwd", "DIR", "working directory in the container"),
	O_LIST(ARGUMENTS, exec.env, "e", "env", "NAME=VALUE",
	       "add to the environment (repeatable)"),
	O_SWITCH(ARGUMENTS, terminal, "t", "tty", "give it a terminal"),
	O_STRING(ARGUMENTS, exec.user, "u", "user", "UID[:GID]", "numeric ids in the container"),
	O_LIST(ARGUMENTS, exec.additional_gids, "g", "additional-gids", "GID",
	       "add a group (repeatable)"),
	O_LIST(ARGUMENTS, exec.caps, "c", "cap", "CAPABILITY", "add a capability (repeatable)",
	       .group = "Rights"),
	O_FLAG(ARGUMENTS, exec.no_new_privileges, NULL, "no-new-privs",
	       "no program may raise its privileges"),
	O_STRING(ARGUMENTS, exec.apparmor_profile, NULL, "apparmor", "PROFILE", "AppArmor profile"),
	O_STRING(ARGUMENTS, exec.process_label, NULL, "process-label", "LABEL", "SELinux label"),
	O_LIST(ARGUMENTS, exec.cgroups, NULL, "cgroup", "[CONTROLLER,...:]PATH",
	       "a cgroup below that of the container"),
	O_FLAG(ARGUMENTS, exec.ignore_paused, NULL, "ignore-paused",
	       "do it in a paused container too: it waits there", .group = "Running it"),
	O_FLAG(ARGUMENTS, exec.detach, "d", "detach", "return when the process runs"),
	O_STRING(ARGUMENTS, exec.pid_file, NULL, "pid-file", "FILE", "write its pid to FILE",
		 .group = "Files and sockets"),
	O_STRING(ARGUMENTS, exec.console_socket, NULL, "console-socket", "SOCKET",
		 "send the terminal to the listener on SOCKET"),
	O_STRING(ARGUMENTS, exec.pidfd_socket, NULL, "pidfd-socket", "SOCKET",
		 "send a pidfd of it to the listener on SOCKET"),
	O_NUMBER(ARGUMENTS, exec.preserve_fds, NULL, "preserve-fds", "N",
		 "pass N more descriptors, from 3 on"),
	O_FLAG(ARGUMENTS, no_subreaper, NULL, "no-subreaper", "accepted and ignored"),
};

static unsigned int passed_fds(const void *options)
{
	const struct exec_arguments *arguments = options;

	return arguments->exec.preserve_fds + cli_listen_fds();
}

static int run(struct cli *cli, struct error *err)
{
	const struct exec_arguments *arguments = cli->options;
	struct exec_options options = arguments->exec;

	options.id = cli->arguments.items[0];
	options.args = (struct strings){
		.items = cli->arguments.items + 1,
		.n = cli->arguments.n - 1,
	};
	options.listen_fds = cli_listen_fds();
	options.listen_names = getenv("LISTEN_FDNAMES");
	options.terminal = arguments->terminal.value;
	options.terminal_set = arguments->terminal.set;
	if (options.args.n == 0 && !options.process_file) {
		error_coded(err, CRL_ARGUMENTS, error_usage(err, "exec args cannot be empty"));
		return error_hint(err, "name a program behind the container, or use --process");
	}
	return verb_exec(&cli->runtime, &options, &cli->exit_code, err);
}

const struct command command_exec = {
	.name = "exec",
	.arguments = "ID [COMMAND [ARGUMENT...]]",
	.words = { WORDS_IDS },
	.purpose = "Run one more process in a container",
	.example =
	    "creel exec --tty --user 1000:1000 web /bin/sh\ncreel exec --env LANG=C web /bin/date",
	.options = { .tables = { OPTION_TABLE(exec_rows) }, .stops = true },
	.options_size = sizeof(struct exec_arguments),
	.least = 1,
	.most = MOST_ARGUMENTS,
	.needs = NEEDS_PLACE | NEEDS_RIGHTS | NEEDS_ROOT | NEEDS_SEALED,
	.failure = 255,
	.passed_fds = passed_fds,
	.run = run,
};
