/* `creel stats`: what containers use, as a table for people, which lives on a terminal, as JSON, or
 * in the format that Prometheus reads. */
#include "cmd_stats.h"

#include <unistd.h>

#include <creel/error.h>
#include <creel/events.h>
#include <creel/json.h>
#include <creel/log.h>

#define INTERVAL_MS 1000

enum stats_format {
	STATS_TABLE,
	STATS_JSON,
	STATS_OPENMETRICS,
};

struct stats_arguments {
	struct optional format;
	struct optional interval;
	bool no_stream;
};

static const struct name_value stats_format_names[] = {
	{ "table", STATS_TABLE },
	{ "json", STATS_JSON },
	{ "openmetrics", STATS_OPENMETRICS },
	{ NULL, 0 },
};

static const struct option_row stats_rows[] = {
	O_CHOICE(struct stats_arguments, format, "f", "format", "table|json|openmetrics",
		 stats_format_names, "how it looks (default: table)", .group = "Options"),
	O_TIME(struct stats_arguments, interval, NULL, "interval", "TIME",
	       "between two looks of the live table (default: 1s)"),
	O_FLAG(struct stats_arguments, no_stream, NULL, "no-stream",
	       "show the table once, on a terminal too"),
};

static void print_json(struct arena *arena, const struct samples *samples)
{
	struct json_writer *w = json_writer_new(arena, 0);

	json_write_object(w);
	for (size_t i = 0; i < samples->n; i++) {
		json_write_key(w, samples->items[i].id);
		schema_encode(&oci_stats_schema, &samples->items[i].stats, w);
	}
	json_write_end(w);
	puts(json_writer_text(w, NULL));
}

int stats_collect(struct cli *cli, struct arena *arena, bool gone_is_fine, struct samples *samples,
		  struct error *err)
{
	struct strings ids = cli->arguments;
	bool all = ids.n == 0;

	*samples = (struct samples){ 0 };
	/* The first container may be made while the live table waits for it. */
	if (cli->runtime.root < 0 && container_root_open(&cli->runtime, false, err) < 0)
		return -1;

	struct runtime runtime = cli->runtime;

	runtime.arena = arena;
	if (all && container_list(&runtime, &ids, err) < 0)
		return -1;
	samples->items = arena_array(arena, ids.n, sizeof(*samples->items));
	clock_gettime(CLOCK_MONOTONIC, &samples->at);
	for (size_t i = 0; i < ids.n; i++) {
		struct sample *sample = &samples->items[samples->n];

		sample->id = ids.items[i];
		if (verb_stats(&runtime, arena, sample->id, &sample->stats, err) == 0)
			samples->n++;
		else if (!all && !gone_is_fine)
			return -1;
		else
			error_ignore(err, "of all containers those that live are shown");
	}
	return 0;
}

/* Once, for a file, a pipe and whoever asks for it. */
static int show(struct cli *cli, enum stats_format format, struct error *err)
{
	struct arena *arena = cli->runtime.arena;
	struct samples samples;

	if (stats_collect(cli, arena, false, &samples, err) < 0)
		return -1;
	switch (format) {
	case STATS_TABLE:
		fputs(stats_table(arena, &samples, NULL), stdout);
		break;
	case STATS_JSON:
		print_json(arena, &samples);
		break;
	case STATS_OPENMETRICS:
		stats_print_openmetrics(&samples);
		break;
	}
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct stats_arguments *arguments = cli->options;
	enum stats_format format = (enum stats_format)arguments->format.value;
	int interval_ms = arguments->interval.set ? (int)arguments->interval.value : INTERVAL_MS;

	if (interval_ms <= 0)
		return error_usage(err, "duration interval must be greater than 0");
	if (format == STATS_TABLE && !arguments->no_stream && isatty(STDOUT_FILENO))
		return stats_watch(cli, interval_ms, err);
	return show(cli, format, err);
}

const struct command command_stats = {
	.name = "stats",
	.arguments = "[ID...]",
	.words = { WORDS_IDS },
	.words_repeat = true,
	.purpose = "Show what containers use",
	.example = "creel stats\ncreel stats --format openmetrics web",
	.options = { .tables = { OPTION_TABLE(stats_rows) } },
	.options_size = sizeof(struct stats_arguments),
	.most = MOST_ARGUMENTS,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
