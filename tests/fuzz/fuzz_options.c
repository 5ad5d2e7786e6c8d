/*
 * A command line, an argument a line, and the words that stand in it: signals, sizes, times,
 * numbers, lists of processors.  Each word is taken by creel when its grammar has it, and by
 * nothing else.
 */
#include "fuzz.h"

#include <creel/cli.h>
#include <creel/error.h>
#include <creel/options.h>
#include <creel/process.h>

struct arguments {
	struct strings all;
};

static bool is_argument(const struct arguments *arguments, const char *text)
{
	for (size_t i = 0; i < arguments->all.n; i++) {
		const char *start = arguments->all.items[i];

		if (text >= start && text <= start + strlen(start))
			return true;
	}
	return false;
}

static void check_positional(const struct arguments *arguments, const struct strings *words)
{
	for (size_t i = 0; i < words->n; i++)
		must(is_argument(arguments, words->items[i]));
}

/* What a row points to is a piece of the command line, and as many as are said. */
struct check {
	const struct arguments *arguments;
	const char *object;
};

static void check_row(void *argument, const struct option_row *row)
{
	const struct check *check = argument;
	const void *target = check->object + row->offset;

	if (row->kind == OPTION_STRING) {
		const char *const *text = target;

		must(!*text || is_argument(check->arguments, *text));
	}
	if (row->kind == OPTION_LIST)
		check_positional(check->arguments, target);
	if (row->kind == OPTION_TIME || row->kind == OPTION_BYTES) {
		const struct optional *number = target;

		must(!number->set || number->value >= -1);
	}
}

static void parse_command(struct arena *arena, const struct arguments *arguments,
			  const struct strings *words)
{
	struct error err = { 0 };
	const struct command *command = command_find(words->items[0], &err);
	struct strings positional = { 0 };
	char *object;

	if (!command) {
		must(err.kind == ERROR_USAGE);
		return;
	}
	object = arena_alloc(arena, command->options_size);
	switch (
	    options_parse(&command->options, arena, words->items + 1, object, &positional, &err)) {
	case OPTIONS_ERROR:
		must(err.kind == ERROR_USAGE && err.what[0]);
		return;
	case OPTIONS_HELP:
		return;
	case OPTIONS_PARSED:
		break;
	}
	check_positional(arguments, &positional);
	options_each(&command->options, check_row, &(struct check){ arguments, object });
	if (command_check_arguments(command, positional.n, &err) == 0)
		must(positional.n >= command->least && positional.n <= command->most);
	if (command->passed_fds)
		(void)command->passed_fds(object);
}

static void parse_line(struct arena *arena, const struct arguments *arguments)
{
	struct global_options global = { 0 };
	struct strings words = { 0 };
	struct error err = { 0 };

	if (options_parse(&global_options, arena, arguments->all.items, &global, &words, &err) !=
	    OPTIONS_PARSED)
		return;
	check_positional(arguments, &words);
	if (words.n > 0)
		parse_command(arena, arguments, &words);
}

/* Decimal, no more than 20 digits, at most MAX. */
static bool is_number(const char *text, uint64_t max, uint64_t *value)
{
	size_t n = strspn(text, "0123456789");
	unsigned __int128 number = 0;

	if (n == 0 || n > 20 || text[n])
		return false;
	for (size_t i = 0; i < n; i++)
		number = number * 10 + (unsigned int)(text[i] - '0');
	*value = (uint64_t)number;
	return number <= max;
}

static void check_numbers(const char *text)
{
	uint64_t found = 0, wanted = 0;
	int64_t found_int = 0;
	bool negative = text[0] == '-';

	must(text_parse_uint(text, UINT64_MAX, &found) == is_number(text, UINT64_MAX, &wanted));
	must(!is_number(text, UINT64_MAX, &wanted) || found == wanted);
	must(text_parse_uint(text, 1000, &found) == is_number(text, 1000, &wanted));
	if (text_parse_int(text, INT64_MIN, INT64_MAX, &found_int)) {
		must(is_number(text + negative, (uint64_t)INT64_MAX + negative, &wanted));
		must((uint64_t)found_int == (negative ? -wanted : wanted));
	} else {
		must(!is_number(text + negative, (uint64_t)INT64_MAX + negative, &wanted));
	}
}

/* [0-9]+[kmgtKMGT]?i?[bB]? or -1. */
static bool is_size(const char *text, int64_t *bytes)
{
	size_t n = strspn(text, "0123456789");
	uint64_t value = 0;
	char digits[24];
	unsigned int shift = 0;

	*bytes = -1;
	if (strcmp(text, "-1") == 0)
		return true;
	if (n == 0 || n > 20)
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)n, text);
	text += n;
	if (*text && strchr("kKmMgGtT", *text)) {
		shift = strchr("kK", *text)   ? 10
			: strchr("mM", *text) ? 20
			: strchr("gG", *text) ? 30
					      : 40;
		text++;
		text += *text == 'i';
	}
	text += *text == 'b' || *text == 'B';
	if (*text || !is_number(digits, (uint64_t)INT64_MAX >> shift, &value))
		return false;
	*bytes = (int64_t)(value << shift);
	return true;
}

static void check_words(const char *text)
{
	struct error err = { 0 };
	int64_t found = 0, wanted = 0;
	char name[32];
	int number, again;

	check_numbers(text);
	must(options_parse_bytes(text, &found) == is_size(text, &wanted));
	must(!is_size(text, &wanted) || found == wanted);
	if (options_parse_time(text, &found))
		must(found >= 0 && found <= INT32_MAX && text[0] != '-');
	if (process_signal_number(text, &number, &err) < 0) {
		must(err.kind == ERROR_USAGE);
		return;
	}
	must(number >= 0 && number <= 64);
	process_signal_name(number, name, sizeof(name));
	must(strncmp(name, "SIG", 3) != 0 ||
	     (process_signal_number(name, &again, &err) == 0 && again == number));
}

struct ranges {
	unsigned int last;
	size_t n;
};

static void visit(void *argument, unsigned int first, unsigned int last)
{
	struct ranges *ranges = argument;

	must(first <= last && last <= 4095);
	ranges->n++;
}

/* [0-9]+(-[0-9]+)?(,...)* */
static void check_list(const char *text)
{
	struct ranges ranges = { 0 };

	if (!text_parse_ranges(text, 4095, visit, &ranges))
		return;
	must(strspn(text, "0123456789,-\n") == strlen(text));
	must(ranges.n > 0 || strlen(text) == 0);
	must(!strstr(text, "--") && !strstr(text, ",,"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct arguments arguments = { 0 };

	while (bytes.left > 0)
		strings_add(&arena, &arguments.all, take_text(&arena, &bytes, '\n', NULL));
	if (arguments.all.n == 0)
		return 0;
	for (size_t i = 0; i < arguments.all.n && i < 4; i++) {
		check_words(arguments.all.items[i]);
		check_list(arguments.all.items[i]);
	}
	parse_line(&arena, &arguments);
	return 0;
}
