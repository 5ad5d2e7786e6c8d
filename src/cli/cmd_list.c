/* `creel list`: all containers under one state root, as a table or as JSON. */
#include <creel/cli.h>

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <creel/error.h>
#include <creel/file.h>
#include <creel/json.h>
#include <creel/log.h>
#include <creel/table.h>

enum list_format {
	LIST_TABLE,
	LIST_JSON,
};

struct list_arguments {
	struct optional format;
	bool quiet;
};

static const struct name_value list_format_names[] = {
	{ "table", LIST_TABLE },
	{ "json", LIST_JSON },
	{ NULL, 0 },
};

static const struct option_row list_rows[] = {
	O_CHOICE(struct list_arguments, format, "f", "format", "table|json", list_format_names,
		 "how it looks (default: table)", .group = "Options"),
	O_FLAG(struct list_arguments, quiet, "q", "quiet", "the ids alone, one a line"),
};

/* What is shown of one container. */
struct row {
	struct oci_state state;
	bool broken; /* its state cannot be read: only the id is known */
};

/* Read from the file itself: a static program cannot load the modules that name services are made
 * of. */
static char *user_name(struct arena *arena, const char *passwd, uint64_t uid)
{
	char wanted[32];

	snprintf(wanted, sizeof(wanted), ":%" PRIu64 ":", uid);
	for (const char *line = passwd; line && *line;) {
		const char *end = strchr(line, '\n');
		const char *name_end = strchr(line, ':');
		/* name:password:uid:... */
		const char *uid_colon = name_end ? strchr(name_end + 1, ':') : NULL;

		if (uid_colon && (!end || uid_colon < end) && text_starts_with(uid_colon, wanted))
			return arena_strndup(arena, line, (size_t)(name_end - line));
		line = end ? end + 1 : NULL;
	}
	return text_format(arena, "#%" PRIu64, uid);
}

static const char *read_passwd(struct arena *arena)
{
	struct error err = { 0 };
	const char *passwd =
	    file_read(arena, AT_FDCWD, "/etc/passwd", FILE_DOCUMENT_MAX, NULL, &err);

	if (!passwd)
		error_ignore(&err, "owners are shown by number");
	return passwd;
}

/* False when the container went away meanwhile. */
static bool describe(struct cli *cli, char *id, const char *passwd, struct row *row)
{
	auto_container container = { .dir = -1 };
	struct error err = { 0 };

	*row = (struct row){ .state = { .id = id } };
	if (container_open(&cli->runtime, id, CONTAINER_NO_LOCK, &container, &err) < 0) {
		if (err.kind == ERROR_STATE)
			return false;
		log_warning("cannot read the state of container %s: %s", id, err.what);
		row->broken = true;
		return true;
	}
	state_describe(&container.state, container.status, &row->state);
	/* What was cut short by a crash may not know whose it was. */
	if (container.state.owner.set)
		row->state.owner =
		    user_name(cli->runtime.arena, passwd, container.state.owner.value);
	return true;
}

static void print_json(struct arena *arena, const struct row *rows, size_t n)
{
	struct json_writer *w = json_writer_new(arena, 0);

	json_write_array(w);
	for (size_t i = 0; i < n; i++)
		if (!rows[i].broken)
			schema_encode(&oci_state_schema, &rows[i].state, w);
	json_write_end(w);
	puts(json_writer_text(w, NULL));
}

static void add_line(struct table *table, const struct row *row)
{
	const struct oci_state *state = &row->state;
	const char *status =
	    row->broken ? "broken" : name_of(oci_status_names, (int)state->status.value);

	TABLE_ADD(table, state->id, text_format(table->arena, "%" PRIu64, state->pid.value), status,
		  state->bundle, state->created, state->owner);
}

/* As runc's table: columns at least 12 wide, 3 blanks apart. */
static void print_table(struct arena *arena, const struct row *rows, size_t n)
{
	static const struct table_column columns[] = {
		{ .head = "ID", .least = 12 },	    { .head = "PID", .least = 12 },
		{ .head = "STATUS", .least = 12 },  { .head = "BUNDLE", .least = 12 },
		{ .head = "CREATED", .least = 12 }, { .head = "OWNER" },
	};
	struct table table = {
		.arena = arena,
		.columns = columns,
		.columns_n = ARRAY_SIZE(columns),
		.gap = 3,
		.colour = cli_has_colour(stdout),
	};

	for (size_t i = 0; i < n; i++)
		add_line(&table, &rows[i]);
	fputs(table_text(&table), stdout);
}

static int run(struct cli *cli, struct error *err)
{
	const struct list_arguments *arguments = cli->options;
	struct arena *arena = cli->runtime.arena;
	const char *passwd = read_passwd(arena);
	struct strings ids = { 0 };
	struct row *rows;
	size_t n = 0;

	if (container_list(&cli->runtime, &ids, err) < 0)
		return -1;
	if (arguments->quiet) {
		for (size_t i = 0; i < ids.n; i++)
			puts(ids.items[i]);
		return 0;
	}
	rows = arena_array(arena, ids.n, sizeof(*rows));
	for (size_t i = 0; i < ids.n; i++)
		if (describe(cli, ids.items[i], passwd, &rows[n]))
			n++;
	if (arguments->format.value == LIST_JSON)
		print_json(arena, rows, n);
	else
		print_table(arena, rows, n);
	return 0;
}

const struct command command_list = {
	.name = "list",
	.arguments = "",
	.purpose = "List the containers",
	.example = "creel list\ncreel list --format json\ncreel list -q | xargs -n1 creel state",
	.options = { .tables = { OPTION_TABLE(list_rows) } },
	.options_size = sizeof(struct list_arguments),
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
