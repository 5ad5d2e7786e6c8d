/* `creel explain`: what a code such as CRL-2002 means, where it comes from and what to do. */
#include <creel/cli.h>

#include <string.h>

#include <creel/error.h>
#include <creel/json.h>

enum explain_format {
	EXPLAIN_TEXT,
	EXPLAIN_JSON,
};

struct explain_arguments {
	struct optional format;
};

static const struct name_value explain_format_names[] = {
	{ "text", EXPLAIN_TEXT },
	{ "json", EXPLAIN_JSON },
	{ NULL, 0 },
};

static const struct option_row explain_rows[] = {
	O_CHOICE(struct explain_arguments, format, "f", "format", "text|json", explain_format_names,
		 "how it looks (default: text)", .group = "Options"),
};

#define WIDTH 78

/* TEXT in lines of WIDTH; the first one stands behind FIRST, the others behind as many blanks. */
static void print_filled(const char *first, const char *text, size_t n)
{
	int indent = (int)strlen(first);
	int column = indent;

	fputs(first, stdout);
	for (const char *end = text + n; text < end;) {
		size_t word = strcspn(text, " \n");

		if (word > (size_t)(end - text))
			word = (size_t)(end - text);
		if (column > indent && column + 1 + (int)word > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		}
		column += printf("%s%.*s", column > indent ? " " : "", (int)word, text);
		text += word;
		while (text < end && *text == ' ')
			text++;
	}
	putchar('\n');
}

static void print_list(const char *heading, const char *items)
{
	printf("\n%s:\n", heading);
	while (*items) {
		size_t n = strcspn(items, "\n");

		print_filled("  - ", items, n);
		items += n + (items[n] == '\n');
	}
}

static void print_page(const struct error_page *page)
{
	printf("CRL-%d: %s\n\n", page->code, page->title);
	print_filled("", page->meaning, strlen(page->meaning));
	print_list("Likely causes", page->causes);
	print_list("What to do", page->action);
	printf("\nExample:\n  creel: %s\n", page->example);
}

static void print_titles(void)
{
	const struct error_page *page = error_page_at(0);

	for (size_t t = 0, i = 0; t < error_themes_n; t++) {
		printf("%s%s:\n", t > 0 ? "\n" : "", error_themes[t].title);
		for (; page && (int)page->code <= error_themes[t].last; page = error_page_at(++i))
			printf("  CRL-%d  %s\n", page->code, page->title);
	}
	printf("\ncreel explain CODE says more about one of them.\n");
}

static void write_list(struct json_writer *w, struct arena *arena, const char *key,
		       const char *items)
{
	json_write_key(w, key);
	json_write_array(w);
	while (*items) {
		size_t n = strcspn(items, "\n");

		json_write_string(w, arena_strndup(arena, items, n));
		items += n + (items[n] == '\n');
	}
	json_write_end(w);
}

static void write_page(struct json_writer *w, struct arena *arena, const struct error_page *page)
{
	json_write_object(w);
	json_write_key(w, "code");
	json_write_string(w, text_format(arena, "CRL-%d", page->code));
	json_write_key(w, "title");
	json_write_string(w, page->title);
	json_write_key(w, "meaning");
	json_write_string(w, page->meaning);
	write_list(w, arena, "causes", page->causes);
	write_list(w, arena, "actions", page->action);
	json_write_key(w, "example");
	json_write_string(w, page->example);
	json_write_end(w);
}

/* One page is an object, all of them are an array. */
static void print_json(struct arena *arena, const struct error_page *page)
{
	struct json_writer *w = json_writer_new(arena, 2);

	if (page) {
		write_page(w, arena, page);
	} else {
		json_write_array(w);
		for (size_t i = 0; (page = error_page_at(i)); i++)
			write_page(w, arena, page);
		json_write_end(w);
	}
	puts(json_writer_text(w, NULL));
}

static const struct error_page *find_page(const char *text, struct error *err)
{
	const struct error_page *page = NULL;
	int code;

	if (error_code_parse(text, &code))
		page = error_page_find(code);
	if (!page) {
		error_usage(err, "there is no error code \"%s\"", text);
		error_hint(err, "codes look like CRL-2002; creel explain lists them");
		error_code(err, CRL_OPTION_VALUE);
	}
	return page;
}

static int run(struct cli *cli, struct error *err)
{
	const struct explain_arguments *arguments = cli->options;
	const struct error_page *page = NULL;

	if (cli->arguments.n > 0) {
		page = find_page(cli->arguments.items[0], err);
		if (!page)
			return -1;
	}
	if (arguments->format.value == EXPLAIN_JSON)
		print_json(cli->runtime.arena, page);
	else if (page)
		print_page(page);
	else
		print_titles();
	return 0;
}

const struct command command_explain = {
	.name = "explain",
	.arguments = "[CODE]",
	.words = { WORDS_CODES },
	.purpose = "Explain an error code, or list them all",
	.example = "creel explain CRL-5006\ncreel explain --format json 2002",
	.options = { .tables = { OPTION_TABLE(explain_rows) } },
	.options_size = sizeof(struct explain_arguments),
	.most = 1,
	.run = run,
};
