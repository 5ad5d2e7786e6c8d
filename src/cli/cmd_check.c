/* `creel check`: all that `create` would refuse and all that is suspicious, at once; with --host
 * what this host can do. */
#include <creel/cli.h>

#include <string.h>

#include <creel/check_bundle.h>
#include <creel/error.h>
#include <creel/error_codes.h>
#include <creel/table.h>

enum check_format {
	CHECK_TEXT,
	CHECK_JSON,
};

static const struct name_value check_format_names[] = {
	{ "text", CHECK_TEXT },
	{ "json", CHECK_JSON },
	{ NULL, 0 },
};

static const struct name_value severity_names[] = {
	{ "error", FINDING_ERROR },
	{ "warning", FINDING_WARNING },
	{ "note", FINDING_NOTE },
	{ NULL, 0 },
};

struct check_arguments {
	const char *bundle;
	const char *config;
	bool host;
	bool rootless;
	struct optional format;
};

static const struct option_row check_rows[] = {
	O_STRING(struct check_arguments, bundle, "b", "bundle", "DIR",
		 "directory of config.json (default: the working directory)", .group = "Options"),
	O_STRING(struct check_arguments, config, "f", "config", "FILE",
		 "name of the configuration in the bundle (default: config.json)"),
	O_FLAG(struct check_arguments, host, NULL, "host",
	       "check no bundle: report what this host can do"),
	O_FLAG(struct check_arguments, rootless, NULL, "rootless",
	       "judge as for the owner of the bundle, without privileges"),
	O_CHOICE(struct check_arguments, format, NULL, "format", "text|json", check_format_names,
		 "how it looks (default: text)"),
};

/* ---- findings ---- */

static size_t count(const struct findings *findings, enum finding_severity severity)
{
	return findings_count(findings, severity);
}

/* 2: it would be refused, or hardly anything runs here; 1: something is suspicious or limited. */
static int exit_code(size_t errors, size_t warnings)
{
	if (errors > 0)
		return 2;
	return warnings > 0 ? 1 : 0;
}

static const char *paint(bool colour, enum finding_severity severity)
{
	if (!colour)
		return "";
	switch (severity) {
	case FINDING_ERROR:
		return "\033[1;31m";
	case FINDING_WARNING:
		return "\033[1;33m";
	case FINDING_NOTE:
		return TABLE_BOLD;
	}
	return "";
}

/* "/srv/web/config.json:41:17: ", as compilers write it and editors understand it. */
static void print_place(const struct error *err, const char *path)
{
	fputs(path, stdout);
	if (err->line)
		printf(":%u:%u", err->line, err->column);
	fputs(": ", stdout);
}

static void print_finding(const struct finding *finding, const char *path, bool colour)
{
	const struct error *err = &finding->error;

	print_place(err, path);
	printf("%s%s:%s ", paint(colour, finding->severity),
	       name_of(severity_names, finding->severity), colour ? TABLE_NORMAL : "");
	if (err->where[0])
		printf("%s: ", err->where);
	fputs(err->what, stdout);
	if (err->errnum)
		printf(": %s", strerror(err->errnum));
	if (finding->severity == FINDING_ERROR || err->code)
		printf(" [CRL-%04d]", error_code_of(err));
	putchar('\n');
	if (err->hint[0])
		printf("    hint: %s\n", err->hint);
}

static void print_number(size_t n, const char *what, const char *before)
{
	printf("%s%zu %s%s", before, n, what, n == 1 ? "" : "s");
}

static void print_text(const struct findings *findings, const char *path, bool colour)
{
	for (size_t i = 0; i < findings->n; i++)
		print_finding(&findings->items[i], path, colour);
	if (findings->left_out > 0)
		printf("%s: note: %zu more are left out\n", path, findings->left_out);
	printf("%s: ", path);
	if (findings->n == 0)
		printf("nothing found");
	else {
		print_number(count(findings, FINDING_ERROR), "error", "");
		print_number(count(findings, FINDING_WARNING), "warning", ", ");
		print_number(count(findings, FINDING_NOTE), "note", ", ");
	}
	putchar('\n');
}

static void write_text(struct json_writer *w, const char *key, const char *text)
{
	if (!text || !text[0])
		return;
	json_write_key(w, key);
	json_write_string(w, text);
}

static void write_uint(struct json_writer *w, const char *key, uint64_t value)
{
	json_write_key(w, key);
	json_write_uint(w, value);
}

static void write_finding(struct arena *arena, struct json_writer *w, const struct finding *finding)
{
	const struct error *err = &finding->error;

	json_write_object(w);
	write_text(w, "severity", name_of(severity_names, finding->severity));
	if (finding->severity == FINDING_ERROR || err->code)
		write_text(w, "code", text_format(arena, "CRL-%04d", error_code_of(err)));
	write_text(w, "pointer", err->where);
	write_text(w, "file", err->file);
	if (err->line) {
		write_uint(w, "line", err->line);
		write_uint(w, "column", err->column);
	}
	write_text(w, "message", err->what);
	if (err->errnum) {
		write_text(w, "errno", strerrorname_np(err->errnum));
		write_text(w, "reason", strerror(err->errnum));
	}
	write_text(w, "hint", err->hint);
	json_write_end(w);
}

static void print_json(struct arena *arena, const struct findings *findings, const char *path)
{
	struct json_writer *w = json_writer_new(arena, 2);

	json_write_object(w);
	write_text(w, "document", path);
	write_uint(w, "errors", count(findings, FINDING_ERROR));
	write_uint(w, "warnings", count(findings, FINDING_WARNING));
	write_uint(w, "notes", count(findings, FINDING_NOTE));
	if (findings->left_out > 0)
		write_uint(w, "leftOut", findings->left_out);
	json_write_key(w, "findings");
	json_write_array(w);
	for (size_t i = 0; i < findings->n; i++)
		write_finding(arena, w, &findings->items[i]);
	json_write_end(w);
	json_write_end(w);
	puts(json_writer_text(w, NULL));
}

static int run_bundle(struct cli *cli, const struct check_arguments *arguments, struct error *err)
{
	struct arena *arena = cli->runtime.arena;
	struct findings findings = { .arena = arena };
	const char *name = arguments->config ? arguments->config : "config.json";
	const char *path =
	    arguments->bundle ? text_format(arena, "%s/%s", arguments->bundle, name) : name;
	const struct check_options options = {
		.bundle = arguments->bundle ? arguments->bundle : ".",
		.config = arguments->config,
		.manager = cli_cgroup_manager(cli->global),
		.rootless_cgroups = cli_rootless_cgroups(cli),
		.rootless = arguments->rootless,
	};

	if (check_bundle(&cli->runtime, &options, &findings, err) < 0)
		return -1;
	path = table_printable(arena, path);
	if (arguments->format.value == CHECK_JSON)
		print_json(arena, &findings, path);
	else
		print_text(&findings, path, cli_has_colour(stdout));
	cli->exit_code =
	    exit_code(count(&findings, FINDING_ERROR), count(&findings, FINDING_WARNING));
	return 0;
}

/* ---- the host ---- */

static void print_host_text(struct arena *arena, const struct host_rows *rows, bool colour)
{
	static const struct table_column columns[] = {
		{ .head = "" },
		{ .head = "WHAT" },
		{ .head = "STATUS" },
		{ .head = "FOUND" },
	};
	struct table table = {
		.arena = arena,
		.columns = columns,
		.columns_n = ARRAY_SIZE(columns),
		.most = 24,
		.colour = colour,
	};
	const char *group = "";

	for (size_t i = 0; i < rows->n; i++) {
		const struct host_row *row = &rows->items[i];

		TABLE_ADD(&table, text_equal(group, row->group) ? "" : row->group, row->name,
			  name_of(host_status_names, row->status), row->value);
		group = row->group;
	}
	fputs(table_text(&table), stdout);
	for (size_t i = 0, n = 0; i < rows->n; i++)
		if (rows->items[i].advice)
			printf("%s%s %s: %s\n", n++ == 0 ? "\n" : "", rows->items[i].group,
			       rows->items[i].name, rows->items[i].advice);
}

static void print_host_json(struct arena *arena, const struct host_rows *rows)
{
	struct json_writer *w = json_writer_new(arena, 2);

	json_write_array(w);
	for (size_t i = 0; i < rows->n; i++) {
		const struct host_row *row = &rows->items[i];

		json_write_object(w);
		write_text(w, "group", row->group);
		write_text(w, "name", row->name);
		write_text(w, "status", name_of(host_status_names, row->status));
		write_text(w, "value", row->value);
		write_text(w, "advice", row->advice);
		json_write_end(w);
	}
	json_write_end(w);
	puts(json_writer_text(w, NULL));
}

static int run_host(struct cli *cli, const struct check_arguments *arguments)
{
	const struct host_rows rows = check_host(&cli->runtime);
	size_t fails = 0, limited = 0;

	for (size_t i = 0; i < rows.n; i++) {
		fails += rows.items[i].status == HOST_FAILS;
		limited += rows.items[i].status == HOST_LIMITED;
	}
	if (arguments->format.value == CHECK_JSON)
		print_host_json(cli->runtime.arena, &rows);
	else
		print_host_text(cli->runtime.arena, &rows, cli_has_colour(stdout));
	cli->exit_code = exit_code(fails, limited);
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct check_arguments *arguments = cli->options;

	if (arguments->host && (arguments->bundle || arguments->config || arguments->rootless))
		return error_usage(err, "--host reports the host alone, and takes no bundle");
	return arguments->host ? run_host(cli, arguments) : run_bundle(cli, arguments, err);
}

const struct command command_check = {
	.name = "check",
	.arguments = "",
	.purpose = "Say all that create would refuse and why, and make nothing",
	.example = "creel check --bundle /srv/web\ncreel check --host",
	.options = { .tables = { OPTION_TABLE(check_rows) } },
	.options_size = sizeof(struct check_arguments),
	.needs = NEEDS_HOST | NEEDS_MODULES,
	.failure = 2,
	.run = run,
};
