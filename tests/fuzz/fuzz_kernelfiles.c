/*
 * /proc/PID/stat and the files of a cgroup.  The first section of the input is the name of a
 * process, which may hold anything: what stands behind it is read right all the same.  The second
 * is a raw stat line, the others are the cgroup's files; what `events` makes of them is JSON
 * whatever they hold.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/oci_stats.h>
#include <creel/oom.h>
#include <creel/process.h>
#include <creel/stats.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_files.h"

static const char *const names[] = { "cgroup.events", "hugetlb.2MB.current" };
static char path[] = "/tmp/fuzz-kernelfiles-XXXXXX";
static int directory = -1;

static void tidy(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(directory, names[i], 0);
	rmdir(path);
}

/* A directory with the files that are looked for by name. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(mkdtemp(path) != NULL);
	atexit(tidy);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(directory >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		close(openat(directory, names[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return 0;
}

static void check_stat(struct arena *arena, const char *name, uint64_t start, bool zombie)
{
	const char *line = text_format(
	    arena,
	    "42 (%s) %c 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 %d 0 %llu 2195456 200 "
	    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
	    name, zombie ? 'Z' : 'S', 1 + (int)(start & 1), (unsigned long long)start);
	struct error err = { 0 };
	uint64_t found;
	bool dead;

	fake_clear();
	fake_file("42/stat", line, strlen(line));
	must(process_start_time(-1, 42, &found, &dead, &err) == 0);
	must(found == start && dead == (zombie && !(start & 1)));
	must(!process_died_unexecuted(-1, 42, -1, -1));
}

static void check_raw_stat(const char *text, size_t size)
{
	struct error err = { 0 };
	char described[64];
	uint64_t found;
	bool dead;

	fake_clear();
	fake_file("42/stat", text, size);
	fake_file("42/comm", text, size);
	fake_file("42/wchan", text, size);
	must(process_start_time(-1, 42, &found, &dead, &err) == 0 || err.what[0]);
	(void)process_died_unexecuted(-1, 42, -1, -1);
	process_describe(-1, 42, described, sizeof(described));
	for (const char *at = described; *at; at++)
		must((unsigned char)*at >= 0x20 && *at != 0x7f);
}

static void check_stats(struct arena *arena, struct bytes *bytes)
{
	static const char *const files[] = {
		"cpu.stat",
		"cpu.pressure",
		"cpuset.cpus.effective",
		"memory.stat",
		"memory.events",
		"memory.current",
		"memory.max",
		"memory.peak",
		"memory.swap.current",
		"memory.swap.max",
		"pids.current",
		"pids.max",
		"io.stat",
		"io.pressure",
		"hugetlb.2MB.current",
		"hugetlb.2MB.events",
	};
	struct json_writer *w = json_writer_new(arena, 0);
	struct oci_stats stats;
	struct error err = { 0 };
	const char *text;

	fake_clear();
	for (size_t i = 0; i < ARRAY_SIZE(files) && bytes->left > 0; i++) {
		size_t length;
		const char *content = take_text(arena, bytes, '\0', &length);

		fake_file(files[i], content, length);
	}
	must(stats_read(arena, directory, &stats, &err) == 0);
	schema_encode(&oci_stats_schema, &stats, w);
	text = json_writer_text(w, NULL);
	/* The kernel names no statistic twice, and what we read is stricter than JSON there. */
	if (!json_parse(arena, "stats", text, strlen(text), &err) &&
	    !strstr(err.what, "there twice")) {
		fprintf(stderr, "%s: %s\n", err.what, text);
		abort();
	}
	(void)oom_kills(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	uint64_t start = take_number(&bytes, 4);
	const char *name = take_text(&arena, &bytes, '\0', NULL);
	size_t raw_size;
	const char *raw;

	/* As long as the kernel lets names of workers be. */
	check_stat(&arena, strlen(name) > 64 ? "long" : name, start, start & 2);
	raw = take_text(&arena, &bytes, '\0', &raw_size);
	check_raw_stat(raw, raw_size);
	check_stats(&arena, &bytes);
	return 0;
}
