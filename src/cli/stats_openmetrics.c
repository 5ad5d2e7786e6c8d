/* What containers use in the OpenMetrics text format, which Prometheus reads.  Source: OpenMetrics
 * 1.0, "Text format". */
#include "cmd_stats.h"

#include <inttypes.h>
#include <string.h>

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
	{ "creel_pressure_cpu_stalled_seconds",
	  "counter",
	  "seconds",
	  "Time in which all tasks waited for a CPU",
	  METRIC_MICROSECONDS,
	  { PSI(cpu, struct oci_cpu_stats, full) } },
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

static void print_hugetlb(const struct samples *samples)
{
	print_family("creel_hugetlb_usage_bytes", "gauge", "bytes", "Huge pages in use");
	for (size_t i = 0; i < samples->n; i++)
		list_each (struct oci_hugetlb_stats, entry, &samples->items[i].stats.hugetlb)
			printf("creel_hugetlb_usage_bytes{id=\"%s\",pagesize=\"%s\"} %" PRIu64 "\n",
			       samples->items[i].id, entry->key, entry->usage.value);
}

void stats_print_openmetrics(const struct samples *samples)
{
	print_family("creel_build", "info", NULL, "The program that says all this");
	printf("creel_build_info{version=\"%s\"} 1\n", CREEL_VERSION);
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
	print_hugetlb(samples);
	printf("# EOF\n");
}
