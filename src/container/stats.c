/* The statistics of a cgroup as the document of `events`: version 2's files in version 1's words.
 */
#include <creel/stats.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/text.h>

/* As many CPUs and memory nodes as a list may name. */
#define SET_MAX 8192

struct source {
	struct arena *arena;
	int cgroup;
};

static char *read_text(const struct source *from, const char *file)
{
	return cgroup_read(from->arena, from->cgroup, file);
}

static struct optional_uint known(uint64_t value)
{
	return (struct optional_uint){ .set = true, .value = value };
}

/* What is 0 is left out, as its readers expect it. */
static struct optional_uint not_zero(uint64_t value)
{
	return (struct optional_uint){ .set = value != 0, .value = value };
}

bool stats_number(const char *text, const char *key, uint64_t *value)
{
	size_t length = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) != 0 || line[length] != ' ')
			continue;
		*value = strtoull(line + length + 1, NULL, 10);
		return true;
	}
	return false;
}

/* One number, or "max". */
static bool read_number(const struct source *from, const char *file, uint64_t *value)
{
	const char *text = read_text(from, file);

	if (!text)
		return false;
	if (strcmp(text, "max") == 0) {
		*value = OCI_STATS_UNLIMITED;
		return true;
	}
	return text_parse_uint(text, UINT64_MAX, value);
}

/* What JSON takes for one, of what the kernel writes: "12", "0.34". */
static bool is_number(const char *text, size_t length)
{
	size_t whole = strspn(text, "0123456789"), rest;

	if (whole == 0 || whole > length || (whole > 1 && text[0] == '0'))
		return false;
	if (whole == length)
		return true;
	rest = strspn(text + whole + 1, "0123456789");
	return text[whole] == '.' && rest > 0 && whole + 1 + rest == length;
}

/* NULL when it is none: then it is left out. */
static struct json *json_number(struct arena *arena, const char *text, size_t length)
{
	struct json *number = arena_alloc(arena, sizeof(*number));

	if (!is_number(text, length))
		return NULL;
	number->type = JSON_NUMBER;
	number->text = arena_strndup(arena, text, length);
	return number;
}

/* "avg10=" in "some avg10=0.12 avg60=...": its text. */
static const struct json *average(struct arena *arena, const char *line, const char *key)
{
	const char *at = strstr(line, key);

	if (!at)
		return NULL;
	at += strlen(key);
	return json_number(arena, at, strspn(at, "0123456789."));
}

static struct oci_pressure_line *pressure_line(struct arena *arena, const char *text,
					       const char *name)
{
	const char *at = strstr(text, name);
	struct oci_pressure_line *line;

	if (!at)
		return NULL;
	at = arena_strndup(arena, at, strcspn(at, "\n"));
	line = arena_alloc(arena, sizeof(*line));
	line->avg10 = average(arena, at, "avg10=");
	line->avg60 = average(arena, at, "avg60=");
	line->avg300 = average(arena, at, "avg300=");
	at = strstr(at, "total=");
	if (at)
		line->total = known(strtoull(at + strlen("total="), NULL, 10));
	return line;
}

static struct oci_pressure *read_pressure(const struct source *from, const char *file)
{
	const char *text = read_text(from, file);
	struct oci_pressure *psi;

	if (!text || !text[0])
		return NULL;
	psi = arena_alloc(from->arena, sizeof(*psi));
	psi->some = pressure_line(from->arena, text, "some ");
	psi->full = pressure_line(from->arena, text, "full ");
	return psi;
}

/* cpu.stat counts microseconds. */
static struct optional_uint nanoseconds(const char *text, const char *key)
{
	uint64_t value;

	return text && stats_number(text, key, &value) ? not_zero(value * 1000)
						       : (struct optional_uint){ 0 };
}

static struct optional_uint counted(const char *text, const char *key)
{
	uint64_t value;

	return text && stats_number(text, key, &value) ? not_zero(value)
						       : (struct optional_uint){ 0 };
}

static void read_cpu(const struct source *from, struct oci_stats *stats)
{
	const char *text = read_text(from, "cpu.stat");

	stats->cpu = arena_alloc(from->arena, sizeof(*stats->cpu));
	stats->cpu->usage = arena_alloc(from->arena, sizeof(*stats->cpu->usage));
	stats->cpu->throttling = arena_alloc(from->arena, sizeof(*stats->cpu->throttling));
	*stats->cpu->usage = (struct oci_cpu_usage){
		.total = nanoseconds(text, "usage_usec"),
		.kernel = nanoseconds(text, "system_usec"),
		.user = nanoseconds(text, "user_usec"),
	};
	*stats->cpu->throttling = (struct oci_throttling){
		.periods = counted(text, "nr_periods"),
		.throttled_periods = counted(text, "nr_throttled"),
		.throttled_time = nanoseconds(text, "throttled_usec"),
	};
	stats->cpu->psi = read_pressure(from, "cpu.pressure");
}

struct set {
	struct arena *arena;
	struct uints *list;
};

static void add_range(void *argument, unsigned int first, unsigned int last)
{
	struct set *set = argument;

	if (!set->list->items)
		set->list->items = arena_array(set->arena, SET_MAX, sizeof(uint64_t));
	for (unsigned int i = first; i <= last && set->list->n < SET_MAX; i++)
		set->list->items[set->list->n++] = i;
}

static void read_set(const struct source *from, const char *file, struct uints *list)
{
	const char *text = read_text(from, file);
	struct set set = { from->arena, list };

	if (text && text[0] && !text_parse_ranges(text, SET_MAX - 1, add_range, &set))
		*list = (struct uints){ 0 };
}

static void read_cpuset(const struct source *from, struct oci_stats *stats)
{
	stats->cpuset = arena_alloc(from->arena, sizeof(*stats->cpuset));
	read_set(from, "cpuset.cpus.effective", &stats->cpuset->cpus);
	read_set(from, "cpuset.mems.effective", &stats->cpuset->mems);
}

/* memory.stat as an object of numbers. */
static const struct json *read_raw(const struct source *from, const char *text)
{
	struct json *object = arena_alloc(from->arena, sizeof(*object));
	struct json **end = &object->first;

	object->type = JSON_OBJECT;
	while (text && *text) {
		size_t key = strcspn(text, " \n"), length = strcspn(text, "\n");
		struct json *member = NULL;

		if (text[key] == ' ')
			member = json_number(from->arena, text + key + 1, length - key - 1);
		if (member) {
			member->key = arena_strndup(from->arena, text, key);
			*end = member;
			end = &member->next;
			object->n++;
		}
		text += length + (text[length] == '\n');
	}
	return object->n > 0 ? object : NULL;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > OCI_STATS_UNLIMITED - b ? OCI_STATS_UNLIMITED : a + b;
}

/* Version 1 counted memory and swap together. */
static void fill_swap(const struct source *from, const struct oci_memory_entry *memory,
		      struct oci_memory_entry *both)
{
	uint64_t usage, limit, events;
	const char *text = read_text(from, "memory.swap.events");

	if (!read_number(from, "memory.swap.current", &usage))
		return;
	both->usage = known(sum(usage, memory->usage.value));
	if (read_number(from, "memory.swap.max", &limit))
		both->limit = known(sum(limit, memory->limit.value));
	if (text && stats_number(text, "max", &events))
		both->failcnt = known(events);
}

static void read_memory(const struct source *from, struct oci_stats *stats)
{
	struct oci_memory_stats *memory = arena_alloc(from->arena, sizeof(*memory));
	const char *text = read_text(from, "memory.stat");
	const char *events = read_text(from, "memory.events");
	uint64_t value;

	stats->memory = memory;
	memory->usage = arena_alloc(from->arena, sizeof(*memory->usage));
	memory->swap = arena_alloc(from->arena, sizeof(*memory->swap));
	memory->kernel = arena_alloc(from->arena, sizeof(*memory->kernel));
	memory->kernel_tcp = arena_alloc(from->arena, sizeof(*memory->kernel_tcp));
	memory->psi = read_pressure(from, "memory.pressure");
	memory->cache = counted(text, "file");
	memory->raw = read_raw(from, text);
	if (read_number(from, "memory.current", &value))
		memory->usage->usage = known(value);
	if (read_number(from, "memory.max", &value))
		memory->usage->limit = known(value);
	/* Since Linux 5.19. */
	if (read_number(from, "memory.peak", &value))
		memory->usage->max = known(value);
	if (events && stats_number(events, "max", &value))
		memory->usage->failcnt = known(value);
	if (events && stats_number(events, "oom_kill", &value))
		memory->oom_kill = known(value);
	fill_swap(from, memory->usage, memory->swap);
}

static void read_pids(const struct source *from, struct oci_stats *stats)
{
	uint64_t value;

	stats->pids = arena_alloc(from->arena, sizeof(*stats->pids));
	if (read_number(from, "pids.current", &value))
		stats->pids->current = not_zero(value);
	if (read_number(from, "pids.max", &value) && value != OCI_STATS_UNLIMITED)
		stats->pids->limit = not_zero(value);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." */
static const struct io_row {
	const char *key;
	char *op;
	bool operations;
} io_rows[] = {
	{ " rbytes=", (char *)"Read", false },
	{ " wbytes=", (char *)"Write", false },
	{ " rios=", (char *)"Read", true },
	{ " wios=", (char *)"Write", true },
};

static void add_device(struct oci_io_stats *io, const char *line)
{
	const char *rest = line;
	uint64_t device[2];

	if (text_take_uints(&rest, ":", device, 2) != 2)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(io_rows); i++) {
		const char *at = strstr(line, io_rows[i].key);
		struct oci_io_entry entry = { not_zero(device[0]), not_zero(device[1]),
					      io_rows[i].op };

		if (!at)
			continue;
		entry.value = not_zero(strtoull(at + strlen(io_rows[i].key), NULL, 10));
		if (io_rows[i].operations)
			io->operations.items[io->operations.n++] = entry;
		else
			io->bytes.items[io->bytes.n++] = entry;
	}
}

static void read_io(const struct source *from, struct oci_stats *stats)
{
	struct oci_io_stats *io = arena_alloc(from->arena, sizeof(*io));
	char *text = read_text(from, "io.stat");
	size_t lines = 1;

	stats->block_io = io;
	io->psi = read_pressure(from, "io.pressure");
	if (!text || !text[0])
		return;
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	/* A device has two entries in each list. */
	io->bytes.items = arena_array(from->arena, 2 * lines, sizeof(*io->bytes.items));
	io->operations.items = arena_array(from->arena, 2 * lines, sizeof(*io->operations.items));
	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n"))
		add_device(io, line);
}

static uint64_t hugetlb_number(const struct source *from, const char *format, const char *size)
{
	uint64_t value = 0;

	return read_number(from, text_format(from->arena, "hugetlb.%s.%s", size, format), &value)
		   ? value
		   : 0;
}

/* Reservations are what version 2 limits; what has none yet is not counted there. */
static void fill_hugetlb(const struct source *from, struct oci_hugetlb_stats *entry)
{
	const char *events =
	    read_text(from, text_format(from->arena, "hugetlb.%s.events", entry->key));
	uint64_t value;

	entry->usage = not_zero(hugetlb_number(from, "rsvd.current", entry->key));
	if (!entry->usage.set)
		entry->usage = not_zero(hugetlb_number(from, "current", entry->key));
	if (events && stats_number(events, "max", &value))
		entry->failcnt = known(value);
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

/* The sizes are in the names of the files: "hugetlb.2MB.current". */
static void read_hugetlb(const struct source *from, struct oci_stats *stats)
{
	static const char prefix[] = "hugetlb.", suffix[] = ".current";
	auto_fd copy = openat(from->cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_with(close_directory) DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	/* No machine has more sizes of pages than bits in an address. */
	struct oci_hugetlb_stats *items = arena_array(from->arena, 64, sizeof(*items));

	if (!directory)
		return;
	copy = -1; /* the stream owns it now */
	for (const struct dirent *entry = readdir(directory); entry && stats->hugetlb.n < 64;
	     entry = readdir(directory)) {
		const char *size = entry->d_name + strlen(prefix);
		size_t length = strcspn(size, ".");

		if (!text_starts_with(entry->d_name, prefix) || !text_equal(size + length, suffix))
			continue;
		items[stats->hugetlb.n].key = arena_strndup(from->arena, size, length);
		fill_hugetlb(from, &items[stats->hugetlb.n++]);
	}
	if (stats->hugetlb.n > 0)
		stats->hugetlb.items = items;
}

int stats_read(struct arena *arena, int cgroup, struct oci_stats *stats, struct error *err)
{
	const struct source from = { arena, cgroup };
	struct json *null = arena_alloc(arena, sizeof(*null));
	struct json *empty = arena_alloc(arena, sizeof(*empty));

	empty->type = JSON_OBJECT;
	*stats = (struct oci_stats){ .network_interfaces = null, .intel_rdt = empty };
	if (faccessat(cgroup, "cgroup.events", F_OK, 0) < 0)
		return error_state(err, "the container's cgroup is gone");
	read_cpu(&from, stats);
	read_cpuset(&from, stats);
	read_memory(&from, stats);
	read_pids(&from, stats);
	read_io(&from, stats);
	read_hugetlb(&from, stats);
	return 0;
}
