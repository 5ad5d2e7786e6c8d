/* `creel kill`: sends a signal to the init, or to all. */
#include <creel/cli.h>

#include <signal.h>

#include <creel/error.h>
#include <creel/process.h>
#include <creel/verbs.h>

struct kill_arguments {
	bool all, regex, wait;
};

static const struct option_row kill_rows[] = {
	O_FLAG(struct kill_arguments, all, "a", "all",
	       "every process of the container, even after its init ended", .group = "Options"),
	O_FLAG(struct kill_arguments, regex, "r", "regex",
	       "ID is a regular expression: every running container that it matches"),
	O_FLAG(struct kill_arguments, wait, "w", "wait",
	       "return when the init has ended; --timeout says how long that may take"),
};

static int kill_one(struct cli *cli, const char *id, struct error *err)
{
	const struct kill_arguments *arguments = cli->options;
	int signal = SIGTERM;

	if (cli->arguments.n > 1 &&
	    process_signal_number(cli->arguments.items[1], &signal, err) < 0)
		return -1;
	return arguments->wait ? verb_kill_and_wait(&cli->runtime, id, signal, arguments->all, err)
			       : verb_kill(&cli->runtime, id, signal, arguments->all, err);
}

static int kill_running(struct cli *cli, const char *id, struct error *err)
{
	if (kill_one(cli, id, err) == 0)
		return 0;
	if (err->kind != ERROR_STATE)
		return -1;
	error_ignore(err, "what does not run, or is gone by now, was not meant");
	*err = (struct error){ 0 };
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct kill_arguments *arguments = cli->options;
	const char *id = cli->arguments.items[0];

	return arguments->regex ? cli_each_matching(cli, id, kill_running, err)
				: kill_one(cli, id, err);
}

const struct command command_kill = {
	.name = "kill",
	.arguments = "ID [SIGNAL]",
	.words = { WORDS_IDS, "HUP INT QUIT ABRT KILL USR1 USR2 TERM CONT STOP WINCH" },
	.purpose = "Send a signal (default: SIGTERM) to the init of a container",
	.example = "creel kill web\ncreel kill web KILL",
	.options = { .tables = { OPTION_TABLE(kill_rows) }, .stops = true },
	.options_size = sizeof(struct kill_arguments),
	.least = 1,
	.most = 2,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
