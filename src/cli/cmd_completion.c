/* `creel completion`: what a shell needs to complete our command lines, written from the tables of
 * commands and options. */
#include "completion.h"

#include <string.h>

#include <creel/error.h>
#include <creel/error_codes.h>
#include <creel/options.h>

enum completion completion_of_option(const struct option_row *row)
{
	if (!row->argument)
		return COMPLETION_NOTHING;
	if (row->kind == OPTION_CHOICE)
		return COMPLETION_WORDS;
	if (text_equal(row->argument, "DIR"))
		return COMPLETION_DIRECTORY;
	if (text_starts_with(row->argument, "FILE") || text_starts_with(row->argument, "SOCK"))
		return COMPLETION_FILE;
	return COMPLETION_NOTHING;
}

enum completion completion_of_argument(const struct command *command, size_t i)
{
	const char *words = i < ARRAY_SIZE(command->words) ? command->words[i] : NULL;

	if (!words)
		return COMPLETION_NOTHING;
	return text_equal(words, WORDS_IDS) ? COMPLETION_IDS : COMPLETION_WORDS;
}

size_t completion_arguments(const struct command *command)
{
	size_t n = 0;

	while (completion_of_argument(command, n) != COMPLETION_NOTHING)
		n++;
	return n;
}

void completion_print_names(const struct name_value *names, FILE *out)
{
	for (const struct name_value *name = names; name->name; name++)
		fprintf(out, "%s%s", name == names ? "" : " ", name->name);
}

void completion_print_argument(const struct command *command, size_t i, FILE *out)
{
	const struct error_page *page;

	if (!text_equal(command->words[i], WORDS_CODES)) {
		fputs(command->words[i], out);
		return;
	}
	for (size_t n = 0; (page = error_page_at(n)); n++)
		fprintf(out, "%sCRL-%d", n == 0 ? "" : " ", page->code);
}

static int run(struct cli *cli, struct error *err)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} shells[] = {
		{ "bash", completion_print_bash },
		{ "zsh", completion_print_zsh },
		{ "fish", completion_print_fish },
	};

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (text_equal(shells[i].name, cli->arguments.items[0])) {
			shells[i].print(stdout);
			return 0;
		}
	error_coded(err, CRL_OPTION_VALUE,
		    error_usage(err, "unknown shell \"%s\"", cli->arguments.items[0]));
	return error_hint(err, "it is one of bash, zsh and fish");
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "SHELL",
	.words = { "bash zsh fish" },
	.purpose = "Print what bash, zsh or fish need to complete command lines",
	.example = "source <(creel completion bash)\n"
		   "creel completion fish > ~/.config/fish/completions/creel.fish",
	.least = 1,
	.most = 1,
	.run = run,
};
