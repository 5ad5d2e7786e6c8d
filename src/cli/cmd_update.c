/* `creel update`: new limits for a container that lives. */
#include <creel/cli.h>

#include <fcntl.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/file.h>
#include <creel/json.h>
#include <creel/log.h>
#include <creel/verbs.h>

struct update_arguments {
	const char *resources;
	struct optional memory, memory_reservation, memory_swap, kernel_memory, kernel_memory_tcp;
	struct optional cpu_period, cpu_quota, cpu_burst, cpu_share, cpu_idle;
	struct optional cpu_rt_period, cpu_rt_runtime;
	const char *cpuset_cpus;
	const char *cpuset_mems;
	struct optional pids_limit;
	struct optional blkio_weight;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	bool memory_safe;
};

#define ARGUMENTS struct update_arguments

static const struct option_row update_rows[] = {
	O_STRING(ARGUMENTS, resources, "r", "resources", "FILE",
		 "take them from the JSON in FILE, or - for standard input", .group = "All limits"),
	O_BYTES(ARGUMENTS, memory, NULL, "memory", "BYTES", "most memory; -1 is no limit",
		.group = "Memory (k, m and g are understood)"),
	O_BYTES(ARGUMENTS, memory_reservation, NULL, "memory-reservation", "BYTES",
		"memory that is protected from reclaim"),
	O_BYTES(ARGUMENTS, memory_swap, NULL, "memory-swap", "BYTES",
		"most memory and swap together; -1 is no limit"),
	O_FLAG(ARGUMENTS, memory_safe, NULL, "memory-safe",
	       "reclaim before a lower limit is set; refuse it rather than kill"),
	O_BYTES(ARGUMENTS, kernel_memory, NULL, "kernel-memory", "BYTES",
		"ignored: the kernel has no such limit any more"),
	O_BYTES(ARGUMENTS, kernel_memory_tcp, NULL, "kernel-memory-tcp", "BYTES",
		"ignored: cgroup v2 has no such limit"),
	O_INT(ARGUMENTS, cpu_quota, NULL, "cpu-quota", "US", "most CPU time in a period",
	      .group = "CPU (times in microseconds)"),
	O_INT(ARGUMENTS, cpu_period, NULL, "cpu-period", "US", "length of a period"),
	O_INT(ARGUMENTS, cpu_burst, NULL, "cpu-burst", "US", "unused time that may be saved up"),
	O_INT(ARGUMENTS, cpu_share, NULL, "cpu-share", "N", "weight against other cgroups"),
	O_INT(ARGUMENTS, cpu_idle, NULL, "cpu-idle", "0|1", "run only when nobody else wants to"),
	O_INT(ARGUMENTS, cpu_rt_period, NULL, "cpu-rt-period", "US", "period of real-time tasks"),
	O_INT(ARGUMENTS, cpu_rt_runtime, NULL, "cpu-rt-runtime", "US", "time of real-time tasks"),
	O_STRING(ARGUMENTS, cpuset_cpus, NULL, "cpuset-cpus", "LIST", "CPUs that may be used"),
	O_STRING(ARGUMENTS, cpuset_mems, NULL, "cpuset-mems", "LIST", "memory nodes to be used"),
	O_INT(ARGUMENTS, pids_limit, NULL, "pids-limit", "N", "most tasks; -1 is no limit",
	      .group = "Other"),
	O_INT(ARGUMENTS, blkio_weight, NULL, "blkio-weight", "N",
	      "weight of block I/O, from 10 to 1000"),
	O_STRING(ARGUMENTS, l3_cache_schema, NULL, "l3-cache-schema", "SCHEMA",
		 "schema of the L3 cache, for intelRdt"),
	O_STRING(ARGUMENTS, mem_bw_schema, NULL, "mem-bw-schema", "SCHEMA",
		 "schema of the memory bandwidth, for intelRdt"),
};

/* Where the limits were read from. */
struct document {
	const char *name;
	const char *text; /* NULL: the command line */
	const struct json *tree;
};

static int read_document(struct cli *cli, const char *name, struct document *document,
			 struct oci_resources *resources, struct error *err)
{
	struct arena *arena = cli->runtime.arena;
	bool standard = text_equal(name, "-");
	size_t size;
	char *text = standard ? file_read_fd(arena, STDIN_FILENO, FILE_DOCUMENT_MAX, &size, err)
			      : file_read(arena, AT_FDCWD, name, FILE_DOCUMENT_MAX, &size, err);

	if (!text)
		return error_while(err, "cannot read the resources");
	document->name = standard ? "standard input" : name;
	document->text = text;
	return schema_parse(&oci_resources_schema, arena, document->name, text, size, resources,
			    &document->tree, err);
}

/* A limit that cannot be set has a pointer; it leads into the document, or nowhere. */
static void locate(const struct document *document, struct error *err)
{
	const struct json *at;

	if (!document->text) {
		err->where[0] = '\0';
		return;
	}
	if (!err->where[0] || err->file[0] || !document->tree)
		return;
	at = json_at(document->tree, err->where);
	if (at)
		json_position(document->text, at->offset, &err->line, &err->column);
	snprintf(err->file, sizeof(err->file), "%s", document->name);
}

static int to_unsigned(const char *option, const struct optional *from, struct optional_uint *to,
		       struct error *err)
{
	if (from->set && from->value < 0)
		return error_coded(err, CRL_OPTION_VALUE,
				   error_usage(err, "--%s cannot be negative", option));
	*to = (struct optional_uint){ .set = from->set, .value = (uint64_t)from->value };
	return 0;
}

static int fill_cpu(const struct update_arguments *arguments, struct oci_cpu *cpu,
		    struct error *err)
{
	if (arguments->cpu_idle.set && arguments->cpu_idle.value != 0 &&
	    arguments->cpu_idle.value != 1)
		return error_coded(err, CRL_OPTION_VALUE, error_usage(err, "--cpu-idle is 0 or 1"));
	*cpu = (struct oci_cpu){
		.quota = arguments->cpu_quota,
		.idle = arguments->cpu_idle,
		.realtime_runtime = arguments->cpu_rt_runtime,
		.cpus = (char *)arguments->cpuset_cpus,
		.mems = (char *)arguments->cpuset_mems,
	};
	if (to_unsigned("cpu-period", &arguments->cpu_period, &cpu->period, err) < 0 ||
	    to_unsigned("cpu-burst", &arguments->cpu_burst, &cpu->burst, err) < 0 ||
	    to_unsigned("cpu-share", &arguments->cpu_share, &cpu->shares, err) < 0)
		return -1;
	return to_unsigned("cpu-rt-period", &arguments->cpu_rt_period, &cpu->realtime_period, err);
}

static void add_schema(struct arena *arena, const char *schema, struct strings *list)
{
	if (schema && schema[0])
		strings_add(arena, list, (char *)schema);
}

static int run(struct cli *cli, struct error *err)
{
	const struct update_arguments *arguments = cli->options;
	struct oci_memory memory = {
		.limit = arguments->memory,
		.reservation = arguments->memory_reservation,
		.swap = arguments->memory_swap,
	};
	struct oci_pids pids = { .limit = arguments->pids_limit };
	struct oci_block_io block_io = { 0 };
	struct oci_cpu cpu = { 0 };
	struct document document = { 0 };
	struct oci_resources resources = {
		.memory = &memory,
		.cpu = &cpu,
		.pids = &pids,
		.block_io = &block_io,
	};
	struct update_options options = { .resources = &resources,
					  .memory_safe = arguments->memory_safe };

	if (arguments->kernel_memory.set || arguments->kernel_memory_tcp.set)
		log_warning("--kernel-memory and --kernel-memory-tcp are ignored");
	if (arguments->resources) {
		/* The document says all: runc ignores the other options as well. */
		resources = (struct oci_resources){ 0 };
		if (read_document(cli, arguments->resources, &document, &resources, err) < 0)
			return -1;
	} else if (fill_cpu(arguments, &cpu, err) < 0 ||
		   to_unsigned("blkio-weight", &arguments->blkio_weight, &block_io.weight, err) < 0)
		return -1;
	add_schema(cli->runtime.arena, arguments->l3_cache_schema, &options.rdt);
	add_schema(cli->runtime.arena, arguments->mem_bw_schema, &options.rdt);
	if (verb_update(&cli->runtime, cli->arguments.items[0], &options, err) == 0)
		return 0;
	locate(&document, err);
	return -1;
}

const struct command command_update = {
	.name = "update",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Change the limits of a container",
	.example = "creel update --memory 512m --pids-limit 100 web\ncreel update --resources - "
		   "web < resources.json",
	.options = { .tables = { OPTION_TABLE(update_rows) } },
	.options_size = sizeof(struct update_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_ROOT,
	.run = run,
};
