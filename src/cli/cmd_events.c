/* `creel events`: what a container uses and when it runs out of memory, one JSON record a line. */
#include <creel/cli.h>

#include <unistd.h>

#include <creel/error.h>
#include <creel/events.h>

#define INTERVAL_MS 5000

struct events_arguments {
	struct optional interval;
	bool stats;
};

static const struct option_row events_rows[] = {
	O_TIME(struct events_arguments, interval, NULL, "interval", "TIME",
	       "between two records of statistics (default: 5s)", .group = "Options"),
	O_FLAG(struct events_arguments, stats, NULL, "stats", "one record of statistics, then end"),
};

static int run(struct cli *cli, struct error *err)
{
	const struct events_arguments *arguments = cli->options;
	const struct events_options options = {
		.interval_ms =
		    arguments->interval.set ? (int)arguments->interval.value : INTERVAL_MS,
		.once = arguments->stats,
		.output = STDOUT_FILENO,
	};

	if (options.interval_ms <= 0)
		return error_coded(err, CRL_OPTION_VALUE,
				   error_usage(err, "duration interval must be greater than 0"));
	return verb_events(&cli->runtime, cli->arguments.items[0], &options, err);
}

const struct command command_events = {
	.name = "events",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Report what a container uses and when it runs out of memory",
	.example = "creel events --stats web | jq .data.memory\ncreel events --interval 1s web",
	.options = { .tables = { OPTION_TABLE(events_rows) } },
	.options_size = sizeof(struct events_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
