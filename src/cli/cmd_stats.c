/* `creel stats`: what containers use, as a table for people, as JSON, or in the format that
 * Prometheus reads. */
#include <creel/cli.h>

#include <inttypes.h>
#include <string.h>

#include <creel/error.h>
#include <creel/events.h>
#include <creel/json.h>
#include <creel/log.h>
#include <creel/oci_stats.h>

enum stats_format {
	STATS_TABLE,
	STATS_JSON,
	STATS_OPENMETRICS,
};

struct stats_arguments {
	struct optional format;
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
};

struct sample {
	char *id;
	struct oci_stats stats;
};

struct samples {
	struct sample *items;
	size_t n;
};

/* ---- numbers, by table ---- */

enum metric_scale {
	METRIC_PLAIN,
	METRIC_NANOSECONDS, /* said in seconds */
	METRIC_MICROSECONDS,
};

/* The way from struct oci_stats to a number: every step but the last is a pointer. */
#define METRIC_DEPTH	   4
#define STEP(type, member) (offsetof(type, member) + 1)
#define LAST(type, member) (MEMBER_OF_TYPE(type, member, struct optional_uint) + 1)

struct metric {
	const char *name; /* of the family */
	const char *type;
	const char *unit; /* or NULL */
	const char *help;
	enum metric_scale scale;
	size_t path[METRIC_DEPTH]; /* offset + 1; 0 ends */
};

#define CPU(member)    STEP(struct oci_stats, cpu), STEP(struct oci_cpu_stats, member)
#define MEMORY(member) STEP(struct oci_stats, memory), STEP(struct oci_memory_stats, member)
#define PSI(object, type, line)                                                                    \
	STEP(struct oci_stats, object), STEP(type, psi), STEP(struct oci_pressure, line),          \
	    LAST(struct oci_pressure_line, total)

static const struct metric metrics[] = {
	{ "creel_cpu_usage_seconds",
	  "counter",
	  "seconds",
	  "CPU time used",
	  METRIC_NANOSECONDS,
	  { CPU(usage), LAST(struct oci_cpu_usage, total) } },
	{ "creel_cpu_user_seconds",
	  "counter",
	  "seconds",
	  "CPU time used by programs",
	  METRIC_NANOSECONDS,
	  { CPU(usage), LAST(struct oci_cpu_usage, user) } },
	{ "creel_cpu_system_seconds",
	  "counter",
	  "seconds",
	  "CPU time used in the kernel",
	  METRIC_NANOSECONDS,
	  { CPU(usage), LAST(struct oci_cpu_usage, kernel) } },
	{ "creel_cpu_periods",
	  "counter",
	  NULL,
	  "Periods of the CPU limit",
	  METRIC_PLAIN,
	  { CPU(throttling), LAST(struct oci_throttling, periods) } },
	{ "creel_cpu_throttled_periods",
	  "counter",
	  NULL,
	  "Periods in which the CPU limit was hit",
	  METRIC_PLAIN,
	  { CPU(throttling), LAST(struct oci_throttling, throttled_periods) } },
	{ "creel_cpu_throttled_seconds",
	  "counter",
	  "seconds",
	  "Time lost to the CPU limit",
	  METRIC_NANOSECONDS,
	  { CPU(throttling), LAST(struct oci_throttling, throttled_time) } },
	{ "creel_memory_usage_bytes",
	  "gauge",
	  "bytes",
	  "Memory in use",
	  METRIC_PLAIN,
	  { MEMORY(usage), LAST(struct oci_memory_entry, usage) } },
	{ "creel_memory_limit_bytes",
	  "gauge",
	  "bytes",
	  "Memory limit",
	  METRIC_PLAIN,
	  { MEMORY(usage), LAST(struct oci_memory_entry, limit) } },
	{ "creel_memory_peak_bytes",
	  "gauge",
	  "bytes",
	  "The most memory that was in use",
	  METRIC_PLAIN,
	  { MEMORY(usage), LAST(struct oci_memory_entry, max) } },
	{ "creel_memory_limit_hits",
	  "counter",
	  NULL,
	  "Times that the memory limit was hit",
	  METRIC_PLAIN,
	  { MEMORY(usage), LAST(struct oci_memory_entry, failcnt) } },
	{ "creel_memory_oom_kills",
	  "counter",
	  NULL,
	  "Processes killed for want of memory",
	  METRIC_PLAIN,
	  { STEP(struct oci_stats, memory), LAST(struct oci_memory_stats, oom_kill) } },
	{ "creel_memory_cache_bytes",
	  "gauge",
	  "bytes",
	  "Memory that holds files",
	  METRIC_PLAIN,
	  { STEP(struct oci_stats, memory), LAST(struct oci_memory_stats, cache) } },
	{ "creel_memory_swap_usage_bytes",
	  "gauge",
	  "bytes",
	  "Memory and swap in use",
	  METRIC_PLAIN,
	  { MEMORY(swap), LAST(struct oci_memory_entry, usage) } },
	{ "creel_pids",
	  "gauge",
	  NULL,
	  "Processes and threads",
	  METRIC_PLAIN,
	  { STEP(struct oci_stats, pids), LAST(struct oci_pids_stats, current) } },
	{ "creel_pids_limit",
	  "gauge",
	  NULL,
	  "Limit of processes and threads",
	  METRIC_PLAIN,
	  { STEP(struct oci_stats, pids), LAST(struct oci_pids_stats, limit) } },
	{ "creel_pressure_cpu_waiting_seconds",
	  "counter",
	  "seconds",
	  "Time in which some task waited for a CPU",
	  METRIC_MICROSECONDS,
	  { PSI(cpu, struct oci_cpu_stats, some) } },
	{ "creel_pressure_memory_waiting_seconds",
	  "counter",
	  "seconds",
	  "Time in which some task waited for memory",
	  METRIC_MICROSECONDS,
	  { PSI(memory, struct oci_memory_stats, some) } },
	{ "creel_pressure_memory_stalled_seconds",
	  "counter",
	  "seconds",
	  "Time in which all tasks waited for memory",
	  METRIC_MICROSECONDS,
	  { PSI(memory, struct oci_memory_stats, full) } },
	{ "creel_pressure_io_waiting_seconds",
	  "counter",
	  "seconds",
	  "Time in which some task waited for a disk",
	  METRIC_MICROSECONDS,
	  { PSI(block_io, struct oci_io_stats, some) } },
	{ "creel_pressure_io_stalled_seconds",
	  "counter",
	  "seconds",
	  "Time in which all tasks waited for a disk",
	  METRIC_MICROSECONDS,
	  { PSI(block_io, struct oci_io_stats, full) } },
};

static const struct optional_uint *metric_value(const struct metric *metric,
						const struct oci_stats *stats)
{
	const char *at = (const char *)stats;

	for (size_t i = 0;; i++) {
		at += metric->path[i] - 1;
		if (i + 1 == METRIC_DEPTH || metric->path[i + 1] == 0)
			return (const struct optional_uint *)at;
		at = *(const char *const *)at;
		if (!at)
			return NULL;
	}
}

/* ---- OpenMetrics ---- */

static void print_scaled(const struct metric *metric, uint64_t value)
{
	switch (metric->scale) {
	case METRIC_PLAIN:
		if (value == OCI_STATS_UNLIMITED)
			printf("+Inf\n");
		else
			printf("%" PRIu64 "\n", value);
		return;
	case METRIC_NANOSECONDS:
		printf("%" PRIu64 ".%09" PRIu64 "\n", value / 1000000000, value % 1000000000);
		return;
	case METRIC_MICROSECONDS:
		printf("%" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000);
		return;
	}
}

static void print_family(const char *name, const char *type, const char *unit, const char *help)
{
	printf("# TYPE %s %s\n", name, type);
	if (unit)
		printf("# UNIT %s %s\n", name, unit);
	printf("# HELP %s %s\n", name, help);
}

/* An id has no character that a label would have to escape. */
static void print_metric(const struct metric *metric, const struct samples *samples)
{
	bool counter = strcmp(metric->type, "counter") == 0;

	print_family(metric->name, metric->type, metric->unit, metric->help);
	for (size_t i = 0; i < samples->n; i++) {
		const struct optional_uint *value = metric_value(metric, &samples->items[i].stats);
		bool counts = strcmp(metric->name, "creel_pids_limit") != 0;

		/* A counter that is left out is 0; a limit that is left out is none. */
		if (!value || (!value->set && !counter && counts))
			continue;
		printf("%s%s{id=\"%s\"} ", metric->name, counter ? "_total" : "",
		       samples->items[i].id);
		print_scaled(metric, value->set || counts ? value->value : OCI_STATS_UNLIMITED);
	}
}

static void print_io(const char *id, const char *name, const struct oci_io_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s_total{id=\"%s\",device=\"%" PRIu64 ":%" PRIu64 "\",operation=\"%s\"} "
		       "%" PRIu64 "\n",
		       name, id, entries[i].major.value, entries[i].minor.value,
		       strcmp(entries[i].op, "Read") == 0 ? "read" : "write",
		       entries[i].value.value);
}

static void print_openmetrics(const struct samples *samples)
{
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		print_metric(&metrics[i], samples);
	print_family("creel_io_bytes", "counter", "bytes", "Bytes read and written");
	for (size_t i = 0; i < samples->n; i++)
		print_io(samples->items[i].id, "creel_io_bytes",
			 samples->items[i].stats.block_io->bytes.items,
			 samples->items[i].stats.block_io->bytes.n);
	print_family("creel_io_operations", "counter", NULL, "Reads and writes");
	for (size_t i = 0; i < samples->n; i++)
		print_io(samples->items[i].id, "creel_io_operations",
			 samples->items[i].stats.block_io->operations.items,
			 samples->items[i].stats.block_io->operations.n);
	printf("# EOF\n");
}

/* ---- the others ---- */

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

/* "12.3M": three digits are enough for a glance. */
static const char *size_text(struct arena *arena, const struct optional_uint *size)
{
	static const char units[] = "BKMGTPE";
	double value = (double)size->value;
	size_t unit = 0;

	if (!size->set)
		return "-";
	if (size->value == OCI_STATS_UNLIMITED)
		return "max";
	for (; value >= 1000 && units[unit + 1]; unit++)
		value /= 1024;
	return text_format(arena, unit == 0 || value >= 100 ? "%.0f%c" : "%.1f%c", value,
			   units[unit]);
}

static struct optional_uint io_sum(const struct oci_io_stats *io, const char *op)
{
	struct optional_uint sum = { .set = true };

	for (size_t i = 0; i < io->bytes.n; i++)
		if (strcmp(io->bytes.items[i].op, op) == 0)
			sum.value += io->bytes.items[i].value.value;
	return sum;
}

static const char *pressure_text(const struct oci_pressure *psi)
{
	return psi && psi->some && psi->some->avg10 ? psi->some->avg10->text : "-";
}

static void print_table(struct arena *arena, const struct samples *samples)
{
	static const char format[] = "%-*s %10s %9s %9s %9s %7s %8s %8s %8s %8s %8s\n";
	int width = (int)strlen("ID");

	for (size_t i = 0; i < samples->n; i++)
		if ((int)strlen(samples->items[i].id) > width)
			width = (int)strlen(samples->items[i].id);
	printf(format, width, "ID", "CPU", "MEMORY", "LIMIT", "PEAK", "PIDS", "READ", "WRITTEN",
	       "CPU-PSI", "MEM-PSI", "IO-PSI");
	for (size_t i = 0; i < samples->n; i++) {
		const struct oci_stats *stats = &samples->items[i].stats;
		const struct oci_memory_entry *memory = stats->memory->usage;
		struct optional_uint in = io_sum(stats->block_io, "Read");
		struct optional_uint out = io_sum(stats->block_io, "Write");
		const struct optional_uint *pids = &stats->pids->current;

		printf(format, width, samples->items[i].id,
		       text_format(arena, "%.2fs", (double)stats->cpu->usage->total.value / 1e9),
		       size_text(arena, &memory->usage), size_text(arena, &memory->limit),
		       size_text(arena, &memory->max),
		       pids->set ? text_format(arena, "%" PRIu64, pids->value) : "-",
		       size_text(arena, &in), size_text(arena, &out),
		       pressure_text(stats->cpu->psi), pressure_text(stats->memory->psi),
		       pressure_text(stats->block_io->psi));
	}
}

/* ---- which ---- */

static int collect(struct cli *cli, struct samples *samples, struct error *err)
{
	struct arena *arena = cli->runtime.arena;
	struct strings ids = cli->arguments;
	bool all = ids.n == 0;

	if (all && container_list(&cli->runtime, &ids, err) < 0)
		return -1;
	samples->items = arena_array(arena, ids.n, sizeof(*samples->items));
	for (size_t i = 0; i < ids.n; i++) {
		struct sample *sample = &samples->items[samples->n];

		sample->id = ids.items[i];
		if (verb_stats(&cli->runtime, arena, sample->id, &sample->stats, err) == 0)
			samples->n++;
		else if (!all)
			return -1;
		else
			error_ignore(err, "of all containers those that live are shown");
	}
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct stats_arguments *arguments = cli->options;
	struct samples samples = { 0 };

	if (collect(cli, &samples, err) < 0)
		return -1;
	switch ((enum stats_format)arguments->format.value) {
	case STATS_TABLE:
		print_table(cli->runtime.arena, &samples);
		break;
	case STATS_JSON:
		print_json(cli->runtime.arena, &samples);
		break;
	case STATS_OPENMETRICS:
		print_openmetrics(&samples);
		break;
	}
	return 0;
}

const struct command command_stats = {
	.name = "stats",
	.arguments = "[ID...]",
	.purpose = "Show what containers use",
	.example = "creel stats\ncreel stats --format openmetrics web",
	.options = { .tables = { OPTION_TABLE(stats_rows) } },
	.options_size = sizeof(struct stats_arguments),
	.most = MOST_ARGUMENTS,
	.needs = NEEDS_HOST | NEEDS_ROOT,
	.run = run,
};
