/* Each rule of how a command line is read; and that the tables of the commands agree with them. */
#include "check.h"

#include <stdlib.h>

#include <creel/cli.h>
#include <creel/error.h>
#include <creel/options.h>

enum colour {
	COLOUR_RED,
	COLOUR_BLUE,
};

static const struct name_value colour_names[] = {
	{ "red", COLOUR_RED },
	{ "blue", COLOUR_BLUE },
	{ NULL, 0 },
};

struct target {
	bool force;
	struct optional tty;
	const char *bundle;
	struct strings env;
	unsigned int count;
	struct optional quota;
	struct optional memory;
	struct optional colour;
	struct optional timeout;
	bool shared;
};

static const struct option_row rows[] = {
	O_FLAG(struct target, force, "fF", "force", "do it", .group = "First"),
	O_SWITCH(struct target, tty, "t", "tty", "a terminal"),
	O_STRING(struct target, bundle, "b", "bundle", "DIR", "where"),
	O_LIST(struct target, env, "e", "env", "K=V", "variables"),
	O_NUMBER(struct target, count, NULL, "count", "N", "how many", .group = "Second"),
	O_INT(struct target, quota, NULL, "quota", "US", "how long"),
	O_BYTES(struct target, memory, "m", "memory", "BYTES", "how much"),
	O_CHOICE(struct target, colour, NULL, "colour", "red|blue", colour_names, "which"),
	O_TIME(struct target, timeout, NULL, "timeout", "TIME", "when"),
};

static const struct option_row shared_rows[] = {
	O_FLAG(struct target, shared, NULL, "no-subreaper", "of another table"),
};

static const struct options options = {
	.tables = { OPTION_TABLE(rows), OPTION_TABLE(shared_rows) },
};

static const struct options stopping = {
	.tables = { OPTION_TABLE(rows) },
	.stops = true,
};

/* One parsed command line; freed by the next. */
static struct arena arena;
static struct target target;
static struct strings positional;
static struct error err;

static enum options_result parse_by(const struct options *by, const char *const *argv)
{
	arena_free(&arena);
	target = (struct target){ 0 };
	positional = (struct strings){ 0 };
	err = (struct error){ 0 };
	return options_parse(by, &arena, (char *const *)argv, &target, &positional, &err);
}

#define parse(...)	    parse_by(&options, (const char *const[]){ __VA_ARGS__, NULL })
#define parse_stopping(...) parse_by(&stopping, (const char *const[]){ __VA_ARGS__, NULL })

static void check_positional(const char *const *expected)
{
	size_t n = 0;

	for (; expected[n]; n++) {
		check(n < positional.n);
		check_text(positional.items[n], expected[n]);
	}
	check_int(positional.n, n);
}

#define check_words(...) check_positional((const char *const[]){ __VA_ARGS__, NULL })

static void test_value_behind_a_blank_or_an_equals_sign(void **state)
{
	(void)state;
	check(parse("--bundle", "/b", "id") == OPTIONS_PARSED);
	check_text(target.bundle, "/b");
	check_words("id");
	check(parse("--bundle=/c", "id") == OPTIONS_PARSED);
	check_text(target.bundle, "/c");
	check(parse("--bundle=", "id") == OPTIONS_PARSED);
	check_text(target.bundle, "");
	check(parse("--env=A=B=C") == OPTIONS_PARSED);
	check_text(target.env.items[0], "A=B=C");
}

static void test_one_dash_is_as_good_as_two(void **state)
{
	(void)state;
	check(parse("-bundle", "/b", "-no-subreaper", "-force", "id") == OPTIONS_PARSED);
	check_text(target.bundle, "/b");
	check(target.shared);
	check(target.force);
	check(parse("-bundle=/b") == OPTIONS_PARSED);
	check_text(target.bundle, "/b");
}

static void test_letters(void **state)
{
	(void)state;
	check(parse("-f", "-b", "/b", "id") == OPTIONS_PARSED);
	check(target.force);
	check_text(target.bundle, "/b");
	check(parse("-F", "-b=/c") == OPTIONS_PARSED);
	check(target.force);
	check_text(target.bundle, "/c");
	/* Letters are not joined: it would be another option's long name. */
	check(parse("-ft") == OPTIONS_ERROR);
	check_text(err.what, "flag provided but not defined: -ft");
}

static void test_flags_take_a_truth_value_only_with_an_equals_sign(void **state)
{
	(void)state;
	check(parse("--force=false") == OPTIONS_PARSED);
	check(!target.force);
	check(parse("--force=1") == OPTIONS_PARSED);
	check(target.force);
	check(parse("--force", "--force=F") == OPTIONS_PARSED);
	check(!target.force);
	check(parse("--force", "false") == OPTIONS_PARSED);
	check(target.force);
	check_words("false");
	check(parse("--force=maybe") == OPTIONS_ERROR);
	check_int(err.kind, ERROR_USAGE);
	check_has(err.what, "invalid value \"maybe\" for flag --force");
}

static void test_a_switch_knows_whether_it_was_given(void **state)
{
	(void)state;
	check(parse("id") == OPTIONS_PARSED);
	check(!target.tty.set);
	check(parse("--tty=false") == OPTIONS_PARSED);
	check(target.tty.set && target.tty.value == 0);
	check(parse("-t") == OPTIONS_PARSED);
	check(target.tty.set && target.tty.value == 1);
}

static void test_options_may_come_after_the_positional_arguments(void **state)
{
	(void)state;
	check(parse("id", "--force", "more", "--bundle", "/b") == OPTIONS_PARSED);
	check(target.force);
	check_text(target.bundle, "/b");
	check_words("id", "more");
}

static void test_stops_at_the_first_positional_argument(void **state)
{
	(void)state;
	check(parse_stopping("--force", "id", "ls", "--tty", "-b", "--", "x") == OPTIONS_PARSED);
	check(target.force);
	check(!target.tty.set);
	check_words("id", "ls", "--tty", "-b", "--", "x");
	check(parse_stopping("id", "--help") == OPTIONS_PARSED);
	check_words("id", "--help");
}

static void test_two_dashes_end_the_options(void **state)
{
	(void)state;
	check(parse("--force", "--", "--bundle", "-x") == OPTIONS_PARSED);
	check_words("--bundle", "-x");
	check(parse("--", "--", "--help") == OPTIONS_PARSED);
	check_words("--", "--help");
}

static void test_a_single_dash_is_an_argument(void **state)
{
	(void)state;
	check(parse("-", "--bundle", "-") == OPTIONS_PARSED);
	check_words("-");
	check_text(target.bundle, "-");
}

static void test_values_may_begin_with_a_dash(void **state)
{
	(void)state;
	check(parse("--quota", "-1", "--bundle", "--force") == OPTIONS_PARSED);
	check_int(target.quota.value, -1);
	check_text(target.bundle, "--force");
	check(!target.force);
}

static void test_the_last_one_wins_but_lists_grow(void **state)
{
	(void)state;
	check(parse("--bundle", "/a", "-e", "A=1", "--bundle=/b", "--env", "B=2", "-e=C=3") ==
	      OPTIONS_PARSED);
	check_text(target.bundle, "/b");
	check_int(target.env.n, 3);
	check_text(target.env.items[0], "A=1");
	check_text(target.env.items[1], "B=2");
	check_text(target.env.items[2], "C=3");
	check(target.env.items[3] == NULL);
}

static void test_a_missing_value_is_called_as_engines_look_for_it(void **state)
{
	(void)state;
	check(parse("id", "--bundle") == OPTIONS_ERROR);
	check_int(err.kind, ERROR_USAGE);
	check_text(err.what, "flag needs an argument: --bundle");
	check(parse("-b") == OPTIONS_ERROR);
	check_text(err.what, "flag needs an argument: -b");
}

static void test_an_unknown_option_gets_a_suggestion(void **state)
{
	(void)state;
	check(parse("--bundel", "x") == OPTIONS_ERROR);
	check_int(err.kind, ERROR_USAGE);
	check_text(err.what, "flag provided but not defined: -bundel");
	check_text(err.hint, "did you mean --bundle?");
	check(parse("--no-subreeper") == OPTIONS_ERROR);
	check_text(err.hint, "did you mean --no-subreaper?");
	check(parse("--xyzzy=1") == OPTIONS_ERROR);
	check_text(err.what, "flag provided but not defined: -xyzzy");
	check_text(err.hint, "");
	check(parse("-x") == OPTIONS_ERROR);
	check_text(err.what, "flag provided but not defined: -x");
	/* Neither a beginning of a name nor an empty one is a name. */
	check(parse("--bund", "x") == OPTIONS_ERROR);
	check(parse("--=x") == OPTIONS_ERROR);
}

static void test_help_wins_over_what_follows(void **state)
{
	(void)state;
	check(parse("--help") == OPTIONS_HELP);
	check(parse("id", "-h", "--nonsense") == OPTIONS_HELP);
	check(parse("-help") == OPTIONS_HELP);
	check(parse("--bundle", "--help") == OPTIONS_PARSED);
	check_text(target.bundle, "--help");
}

static void test_numbers_are_decimal_and_nothing_else(void **state)
{
	static const char *const wrong[] = {
		"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "2147483648"
	};

	(void)state;
	check(parse("--count", "2147483647") == OPTIONS_PARSED);
	check_int(target.count, 2147483647);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		check(parse("--count", wrong[i]) == OPTIONS_ERROR);
		check_has(err.what, "for flag --count: expected a decimal number");
	}
	check(parse("--quota=-5") == OPTIONS_PARSED);
	check(target.quota.set);
	check_int(target.quota.value, -5);
	check(parse("--quota=5ms") == OPTIONS_ERROR);
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} right[] = {
		{ "0", 0 },
		{ "1000", 1000 },
		{ "-1", -1 },
		{ "1k", 1024 },
		{ "2K", 2048 },
		{ "512m", 512 << 20 },
		{ "1MiB", 1 << 20 },
		{ "1mb", 1 << 20 },
		{ "7b", 7 },
		{ "3g", (int64_t)3 << 30 },
		{ "2T", (int64_t)2 << 40 },
		{ "9223372036854775807", INT64_MAX },
	};
	static const char *const wrong[] = { "",
					     "k",
					     "-2",
					     "1.5g",
					     "1x",
					     "1kk",
					     "1 k",
					     "9223372036854775808",
					     "9007199254740992k",
					     "8388608t",
					     "1kib2" };
	int64_t bytes;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		check(options_parse_bytes(right[i].text, &bytes));
		check_int(bytes, right[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		check(!options_parse_bytes(wrong[i], &bytes));
	check(parse("-m", "1g") == OPTIONS_PARSED);
	check(target.memory.set);
	check_int(target.memory.value, 1 << 30);
	check(parse("-m", "lots") == OPTIONS_ERROR);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} right[] = {
		{ "0", 0 },	    { "5", 5000 },     { "5s", 5000 },	    { "250ms", 250 },
		{ "1m30s", 90000 }, { "1h", 3600000 }, { "1s500ms", 1500 }, { "1.5s", 1500 },
		{ ".5m", 30000 },   { "1500us", 2 },   { "20ns", 1 },	    { "3\302\265s", 1 },
	};
	static const char *const wrong[] = { "",   "s",	  "-1",	 "1.5",	   "1.5.1s", ".s",
					     "1d", "1sm", "5 s", "10000h", "1s5" };
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
		check(options_parse_time(right[i].text, &ms));
		check_int(ms, right[i].ms);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		check(!options_parse_time(wrong[i], &ms));
	check(parse("--timeout=2s") == OPTIONS_PARSED);
	check_int(target.timeout.value, 2000);
}

static void test_choices(void **state)
{
	(void)state;
	check(parse("--colour", "blue") == OPTIONS_PARSED);
	check(target.colour.set);
	check_int(target.colour.value, COLOUR_BLUE);
	check(parse("--colour=blu") == OPTIONS_ERROR);
	check_text(err.what, "invalid colour: blu");
	check_text(err.hint, "did you mean blue?");
	check(parse("--colour=ultraviolet") == OPTIONS_ERROR);
	check_text(err.hint, "it is one of: red, blue");
}

/* The whole text that FILE receives from PRINT; the caller frees it. */
static char *usage_of(const struct options *printed)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	check(out != NULL);
	options_print(printed, out);
	fclose(out);
	return text;
}

static void test_usage_is_grouped_and_aligned(void **state)
{
	char *text = usage_of(&options);

	(void)state;
	check_has(text, "\nFirst:\n"
			"  -f, -F, --force        do it\n"
			"  -t, --tty              a terminal\n");
	check_has(text, "\nSecond:\n"
			"      --count N          how many\n");
	check_has(text, "      --no-subreaper     of another table\n");
	free(text);
}

static void test_argument_counts(void **state)
{
	static const struct command exact = {
		.name = "start", .arguments = "ID", .least = 1, .most = 1
	};
	static const struct command range = {
		.name = "kill", .arguments = "ID", .least = 1, .most = 2
	};

	(void)state;
	check(command_check_arguments(&exact, 1, &err) == 0);
	check(command_check_arguments(&exact, 0, &err) == -1);
	check_int(err.kind, ERROR_USAGE);
	check_text(err.what, "\"start\" requires exactly 1 argument(s)");
	check(command_check_arguments(&exact, 2, &err) == -1);
	check(command_check_arguments(&range, 2, &err) == 0);
	check(command_check_arguments(&range, 0, &err) == -1);
	check_text(err.what, "\"kill\" requires a minimum of 1 argument(s)");
	check(command_check_arguments(&range, 3, &err) == -1);
	check_text(err.what, "\"kill\" requires a maximum of 2 argument(s)");
}

static void test_commands_are_found_by_their_whole_name(void **state)
{
	(void)state;
	check(command_find("create", &err) == &command_create);
	check(command_find("creat", &err) == NULL);
	check_text(err.what, "unknown command \"creat\"");
	check_text(err.hint, "did you mean create?");
	check(command_find("stat", &err) == NULL);
	check_text(err.hint, "did you mean state?");
	check(command_find("", &err) == NULL);
}

/* What a row must have, whichever command it belongs to; ARGUMENT counts the rows. */
static void check_row(void *argument, const struct option_row *row)
{
	bool flag = row->kind == OPTION_FLAG || row->kind == OPTION_SWITCH;

	++*(size_t *)argument;
	check(row->name && strlen(row->name) > 1);
	check(row->help && row->help[0]);
	check(flag == (row->argument == NULL));
	check((row->kind == OPTION_CHOICE) == (row->names != NULL));
}

struct seen {
	const struct option_row *rows[64];
	size_t n;
};

/* No two rows of one command may answer to one name. */
static void check_unique(void *argument, const struct option_row *row)
{
	struct seen *seen = argument;

	for (size_t i = 0; i < seen->n; i++) {
		check(strcmp(seen->rows[i]->name, row->name) != 0);
		for (const char *letter = row->letters; letter && *letter; letter++)
			check(!seen->rows[i]->letters || !strchr(seen->rows[i]->letters, *letter));
	}
	check(seen->n < ARRAY_SIZE(seen->rows));
	seen->rows[seen->n++] = row;
}

static void test_the_tables_of_all_commands_are_whole(void **state)
{
	size_t rows_n = 0, commands_n = 0;

	(void)state;
	for (; commands[commands_n]; commands_n++) {
		const struct command *command = commands[commands_n];
		struct seen seen = { .n = 0 };

		check(command->name && command->purpose && command->example && command->run);
		check(command->arguments != NULL);
		check(command->least <= command->most);
		if (commands_n > 0)
			check(strcmp(commands[commands_n - 1]->name, command->name) < 0);
		options_each(&command->options, check_row, &rows_n);
		options_each(&command->options, check_unique, &seen);
		if (seen.n > 0)
			check(seen.rows[0]->group != NULL);
	}
	check(commands_n >= 16);
	check(rows_n > 50);
	options_each(&global_options, check_row, &rows_n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_behind_a_blank_or_an_equals_sign),
		cmocka_unit_test(test_one_dash_is_as_good_as_two),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_flags_take_a_truth_value_only_with_an_equals_sign),
		cmocka_unit_test(test_a_switch_knows_whether_it_was_given),
		cmocka_unit_test(test_options_may_come_after_the_positional_arguments),
		cmocka_unit_test(test_stops_at_the_first_positional_argument),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_a_single_dash_is_an_argument),
		cmocka_unit_test(test_values_may_begin_with_a_dash),
		cmocka_unit_test(test_the_last_one_wins_but_lists_grow),
		cmocka_unit_test(test_a_missing_value_is_called_as_engines_look_for_it),
		cmocka_unit_test(test_an_unknown_option_gets_a_suggestion),
		cmocka_unit_test(test_help_wins_over_what_follows),
		cmocka_unit_test(test_numbers_are_decimal_and_nothing_else),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_usage_is_grouped_and_aligned),
		cmocka_unit_test(test_argument_counts),
		cmocka_unit_test(test_commands_are_found_by_their_whole_name),
		cmocka_unit_test(test_the_tables_of_all_commands_are_whole),
	};

	return check_all(tests);
}
