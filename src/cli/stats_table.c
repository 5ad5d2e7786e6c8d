/* What containers use as a table for people. */
#include "cmd_stats.h"

#include <inttypes.h>
#include <string.h>

#include <creel/json.h>
#include <creel/table.h>

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

	list_each (struct oci_io_entry, entry, &io->bytes)
		if (strcmp(entry->op, op) == 0)
			sum.value += entry->value.value;
	return sum;
}

static const char *pressure_text(const struct oci_pressure *psi)
{
	return psi && psi->some && psi->some->avg10 ? psi->some->avg10->text : "-";
}

static double nanoseconds(const struct timespec *at)
{
	return (double)at->tv_sec * 1e9 + (double)at->tv_nsec;
}

/* Percent of one CPU since BEFORE; "-" when the container is new. */
static const char *share_text(struct arena *arena, const struct samples *samples,
			      const struct sample *sample, const struct samples *before)
{
	double time = nanoseconds(&samples->at) - nanoseconds(&before->at);

	for (size_t i = 0; i < before->n && time > 0; i++) {
		uint64_t then = before->items[i].stats.cpu->usage->total.value;
		uint64_t now = sample->stats.cpu->usage->total.value;

		/* Another container of the same name may have used less. */
		if (strcmp(before->items[i].id, sample->id) == 0 && now >= then)
			return text_format(arena, "%.1f%%", 100 * (double)(now - then) / time);
	}
	return "-";
}

static void add_row(struct table *table, const struct samples *samples, const struct sample *sample,
		    const struct samples *before)
{
	const struct oci_stats *stats = &sample->stats;
	const struct oci_memory_entry *memory = stats->memory->usage;
	const struct optional_uint in = io_sum(stats->block_io, "Read");
	const struct optional_uint out = io_sum(stats->block_io, "Write");
	const struct optional_uint *pids = &stats->pids->current;
	struct arena *arena = table->arena;

	TABLE_ADD(table, sample->id, before ? share_text(arena, samples, sample, before) : NULL,
		  text_format(arena, "%.2fs", (double)stats->cpu->usage->total.value / 1e9),
		  size_text(arena, &memory->usage), size_text(arena, &memory->limit),
		  size_text(arena, &memory->max),
		  pids->set ? text_format(arena, "%" PRIu64, pids->value) : "-",
		  size_text(arena, &in), size_text(arena, &out), pressure_text(stats->cpu->psi),
		  pressure_text(stats->memory->psi), pressure_text(stats->block_io->psi));
}

const char *stats_table(struct arena *arena, const struct samples *samples,
			const struct samples *before)
{
	const struct table_column columns[] = {
		{ .head = "ID" },
		{ .head = before ? "CPU%" : NULL, .right = true, .least = before ? 8 : 0 },
		{ .head = "CPU", .right = true, .least = 11 },
		{ .head = "MEMORY", .right = true, .least = 8 },
		{ .head = "LIMIT", .right = true, .least = 8 },
		{ .head = "PEAK", .right = true, .least = 8 },
		{ .head = "PIDS", .right = true, .least = 7 },
		{ .head = "READ", .right = true, .least = 8 },
		{ .head = "WRITTEN", .right = true, .least = 8 },
		{ .head = "CPU-PSI", .right = true },
		{ .head = "MEM-PSI", .right = true },
		{ .head = "IO-PSI", .right = true },
	};
	struct table table = {
		.arena = arena,
		.columns = columns,
		.columns_n = ARRAY_SIZE(columns),
	};

	for (size_t i = 0; i < samples->n; i++)
		add_row(&table, samples, &samples->items[i], before);
	return table_text(&table);
}
