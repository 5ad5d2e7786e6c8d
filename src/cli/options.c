/* Parses a command line by table, the way of runc's users: long options with one dash or two, in
 * any order. */
#include <creel/options.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <creel/error.h>
#include <creel/text.h>

#define NAMES_MAX 96

/* One option as it was written. */
struct written {
	const char *dashes; /* "-" or "--", for messages */
	const char *name;
	int length;	   /* of the name */
	const char *value; /* behind '=', or NULL */
};

static bool is_written(const struct written *written, const char *name)
{
	return strlen(name) == (size_t)written->length &&
	       memcmp(name, written->name, (size_t)written->length) == 0;
}

static const struct option_row *find_row(const struct options *options,
					 const struct written *written)
{
	for (size_t t = 0; t < OPTION_TABLES_MAX; t++)
		for (size_t i = 0; i < options->tables[t].n; i++) {
			const struct option_row *row = &options->tables[t].rows[i];

			if (is_written(written, row->name))
				return row;
			if (row->letters && written->length == 1 &&
			    strchr(row->letters, written->name[0]))
				return row;
		}
	return NULL;
}

void options_each(const struct options *options,
		  void (*visit)(void *argument, const struct option_row *row), void *argument)
{
	for (size_t t = 0; t < OPTION_TABLES_MAX; t++)
		for (size_t i = 0; i < options->tables[t].n; i++)
			visit(argument, &options->tables[t].rows[i]);
}

struct name_list {
	const char *names[NAMES_MAX + 1];
	size_t n;
};

static void collect_name(void *argument, const struct option_row *row)
{
	struct name_list *list = argument;

	if (list->n < NAMES_MAX)
		list->names[list->n++] = row->name;
}

static int unknown_option(const struct options *options, const struct written *written,
			  struct error *err)
{
	struct name_list list = { .n = 0 };
	char name[64];
	const char *nearest;

	/* With one dash, as runc says it, however it was written. */
	error_coded(err, CRL_UNKNOWN_OPTION,
		    error_usage(err, "flag provided but not defined: -%.*s", written->length,
				written->name));
	snprintf(name, sizeof(name), "%.*s", written->length, written->name);
	options_each(options, collect_name, &list);
	nearest = text_nearest(name, list.names);
	return nearest ? error_hint(err, "did you mean --%s?", nearest) : -1;
}

static int wrong_value(const struct option_row *row, const char *value, const char *wanted,
		       struct error *err)
{
	return error_coded(err, CRL_OPTION_VALUE,
			   error_usage(err, "invalid value \"%s\" for flag --%s: expected %s",
				       value, row->name, wanted));
}

static bool parse_bool(const char *text, bool *value)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (text_equal(text, yes[i]) || text_equal(text, no[i])) {
			*value = text_equal(text, yes[i]);
			return true;
		}
	return false;
}

bool options_parse_bytes(const char *text, int64_t *bytes)
{
	static const char units[] = "kmgt";
	size_t digits = strspn(text, "0123456789");
	char number[24];
	uint64_t value;
	unsigned int shift = 0;

	if (text_equal(text, "-1")) {
		*bytes = -1;
		return true;
	}
	if (digits == 0 || digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	text += digits;
	if (*text && *text != 'b' && *text != 'B') {
		const char *unit = strchr(units, *text | 0x20);

		if (!unit)
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
		text++;
		if (*text == 'i')
			text++;
	}
	if (*text == 'b' || *text == 'B')
		text++;
	if (*text || !text_parse_uint(number, INT64_MAX >> shift, &value))
		return false;
	*bytes = (int64_t)(value << shift);
	return true;
}

/* Units of Go's durations, in microseconds; what is shorter counts as nothing. */
static const struct time_unit {
	const char *name;
	double us;
} time_units[] = {
	{ "ns", 0.001 }, { "us", 1 },	   { "\302\265s", 1 }, { "\316\274s", 1 },
	{ "ms", 1000 },	 { "s", 1000000 }, { "m", 60000000 },  { "h", 3600000000 },
};

static const struct time_unit *find_time_unit(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(time_units); i++)
		if (strlen(time_units[i].name) == length &&
		    strncmp(time_units[i].name, name, length) == 0)
			return &time_units[i];
	return NULL;
}

/* "1.5": decimal, without sign or exponent. */
static bool parse_fraction(const char *text, size_t length, double *value)
{
	char number[24], *end;
	size_t digits = strspn(text, "0123456789");

	if (length == 0 || length >= sizeof(number) || strspn(text, "0123456789.") != length)
		return false;
	/* One point at most, and a digit beside it. */
	if (digits < length && strspn(text + digits + 1, "0123456789") != length - digits - 1)
		return false;
	if (digits == 0 && length == 1)
		return false;
	memcpy(number, text, length);
	number[length] = '\0';
	*value = strtod(number, &end);
	return *end == '\0';
}

bool options_parse_time(const char *text, int64_t *milliseconds)
{
	double total = 0;
	uint64_t seconds;

	if (text_parse_uint(text, INT_MAX / 1000, &seconds)) {
		*milliseconds = (int64_t)seconds * 1000;
		return true;
	}
	do {
		size_t digits = strspn(text, "0123456789.");
		size_t letters = strcspn(text + digits, "0123456789.");
		const struct time_unit *unit = find_time_unit(text + digits, letters);
		double value;

		if (!unit || !parse_fraction(text, digits, &value))
			return false;
		total += value * unit->us / 1000;
		if (total > INT_MAX)
			return false;
		text += digits + letters;
	} while (*text);
	/* Never 0 for a time that is not. */
	*milliseconds = (int64_t)total + (total > (double)(int64_t)total);
	return true;
}

static int hint_all(const struct name_list *list, struct error *err)
{
	char all[256] = "";

	for (size_t i = 0; i < list->n; i++) {
		size_t used = strlen(all);

		snprintf(all + used, sizeof(all) - used, "%s%s", i == 0 ? "" : ", ",
			 list->names[i]);
	}
	return error_hint(err, "it is one of: %s", all);
}

static int store_choice(const struct option_row *row, const char *value, struct optional *target,
			struct error *err)
{
	struct name_list list = { .n = 0 };
	const char *nearest;

	for (const struct name_value *name = row->names; name->name; name++) {
		if (text_equal(name->name, value)) {
			*target = (struct optional){ .set = true, .value = name->value };
			return 0;
		}
		if (list.n < NAMES_MAX)
			list.names[list.n++] = name->name;
	}
	error_coded(err, CRL_OPTION_VALUE, error_usage(err, "invalid %s: %s", row->name, value));
	nearest = text_nearest(value, list.names);
	if (nearest)
		return error_hint(err, "did you mean %s?", nearest);
	return hint_all(&list, err);
}

static int store_number(const struct option_row *row, const char *value, unsigned int *target,
			struct error *err)
{
	uint64_t number;

	if (!text_parse_uint(value, INT_MAX, &number))
		return wrong_value(row, value, "a decimal number", err);
	*target = (unsigned int)number;
	return 0;
}

static int store_optional(const struct option_row *row, const char *value, bool valid,
			  int64_t number, const char *wanted, struct optional *target,
			  struct error *err)
{
	if (!valid)
		return wrong_value(row, value, wanted, err);
	*target = (struct optional){ .set = true, .value = number };
	return 0;
}

/* A VALUE of NULL is "true". */
static int store_bool(const struct option_row *row, const char *value, void *target,
		      struct error *err)
{
	bool flag = true;

	if (value && !parse_bool(value, &flag))
		return wrong_value(row, value, "true or false", err);
	if (row->kind == OPTION_FLAG)
		*(bool *)target = flag;
	else
		*(struct optional *)target = (struct optional){ .set = true, .value = flag };
	return 0;
}

static int store(const struct option_row *row, struct arena *arena, const char *value, void *object,
		 struct error *err)
{
	void *target = (char *)object + row->offset;
	int64_t number = 0;
	bool valid;

	switch (row->kind) {
	case OPTION_STRING:
		*(const char **)target = value;
		return 0;
	case OPTION_LIST:
		strings_add(arena, target, (char *)value);
		return 0;
	case OPTION_NUMBER:
		return store_number(row, value, target, err);
	case OPTION_INT:
		valid = text_parse_int(value, INT64_MIN, INT64_MAX, &number);
		return store_optional(row, value, valid, number, "a decimal number", target, err);
	case OPTION_BYTES:
		valid = options_parse_bytes(value, &number);
		return store_optional(row, value, valid, number, "bytes, such as 512m, or -1",
				      target, err);
	case OPTION_TIME:
		valid = options_parse_time(value, &number);
		return store_optional(row, value, valid, number, "a time, such as 10s", target,
				      err);
	case OPTION_CHOICE:
		return store_choice(row, value, target, err);
	case OPTION_FLAG:
	case OPTION_SWITCH:
		break;
	}
	return store_bool(row, value, target, err);
}

static bool takes_value(const struct option_row *row)
{
	return row->kind != OPTION_FLAG && row->kind != OPTION_SWITCH;
}

/* Splits "--name=value". */
static struct written split(const char *text)
{
	const char *name = text + (text[1] == '-' ? 2 : 1);
	const char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);

	return (struct written){
		.dashes = text[1] == '-' ? "--" : "-",
		.name = name,
		.length = length > INT_MAX ? INT_MAX : (int)length,
		.value = equals ? equals + 1 : NULL,
	};
}

enum options_result options_parse(const struct options *options, struct arena *arena,
				  char *const *argv, void *object, struct strings *positional,
				  struct error *err)
{
	bool ended = false;

	for (; *argv; argv++) {
		const struct option_row *row;
		struct written written;

		if (ended || (*argv)[0] != '-' || (*argv)[1] == '\0') {
			strings_add(arena, positional, *argv);
			ended = ended || options->stops;
			continue;
		}
		if (text_equal(*argv, "--")) {
			ended = true;
			continue;
		}
		written = split(*argv);
		if (is_written(&written, "help") || is_written(&written, "h"))
			return OPTIONS_HELP;
		row = find_row(options, &written);
		if (!row)
			return unknown_option(options, &written, err);
		if (!takes_value(row)) {
			if (store_bool(row, written.value, (char *)object + row->offset, err) < 0)
				return OPTIONS_ERROR;
			continue;
		}
		if (!written.value)
			written.value = *++argv;
		if (!written.value)
			return error_coded(err, CRL_OPTION_VALUE,
					   error_usage(err, "flag needs an argument: %s%.*s",
						       written.dashes, written.length,
						       written.name));
		if (store(row, arena, written.value, object, err) < 0)
			return OPTIONS_ERROR;
	}
	return OPTIONS_PARSED;
}

/* "-b, --bundle DIR" into TEXT. */
static void format_row(const struct option_row *row, char *text, size_t size)
{
	size_t used = 0;

	for (const char *letter = row->letters; letter && *letter; letter++)
		used += (size_t)snprintf(text + used, size - used, "-%c, ", *letter);
	snprintf(text + used, size - used, "%s--%s%s%s", row->letters ? "" : "    ", row->name,
		 row->argument ? " " : "", row->argument ? row->argument : "");
}

static void measure_row(void *argument, const struct option_row *row)
{
	int *width = argument;
	char text[96];

	format_row(row, text, sizeof(text));
	if ((int)strlen(text) > *width)
		*width = (int)strlen(text);
}

struct printer {
	FILE *out;
	int width;
};

static void print_row(void *argument, const struct option_row *row)
{
	const struct printer *printer = argument;
	char text[96];

	format_row(row, text, sizeof(text));
	if (row->group)
		fprintf(printer->out, "\n%s:\n", row->group);
	fprintf(printer->out, "  %-*s  %s\n", printer->width, text, row->help);
}

void options_print(const struct options *options, FILE *out)
{
	struct printer printer = { .out = out };

	options_each(options, measure_row, &printer.width);
	options_each(options, print_row, &printer);
}
