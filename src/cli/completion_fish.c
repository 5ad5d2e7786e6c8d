/* The completion of fish: one `complete` for each option and argument, with the place it is for. */
#include "completion.h"

#include <string.h>

#include <creel/options.h>

struct fish {
	FILE *out;
	const char *command; /* "": before one */
};

static void print_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		fprintf(out, strchr("'\\", *text) ? "\\%c" : "%c", *text);
	fputc('\'', out);
}

static void print_option(void *argument, const struct option_row *row)
{
	const struct fish *fish = argument;
	FILE *out = fish->out;

	fprintf(out, "complete -c creel -n '__creel_in \"%s\"'", fish->command);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(out, " -s %c", *letter);
	fprintf(out, " -l %s", row->name);
	switch (completion_of_option(row)) {
	case COMPLETION_WORDS:
		fputs(" -x -a '", out);
		completion_print_names(row->names, out);
		fputc('\'', out);
		break;
	case COMPLETION_DIRECTORY:
		fputs(" -x -a '(__fish_complete_directories)'", out);
		break;
	case COMPLETION_FILE:
		fputs(" -r -F", out);
		break;
	case COMPLETION_IDS:
	case COMPLETION_NOTHING:
		fputs(row->argument ? " -x" : "", out);
		break;
	}
	fputs(" -d ", out);
	print_quoted(out, row->help);
	fputc('\n', out);
}

static void print_valued(void *argument, const struct option_row *row)
{
	const struct fish *fish = argument;

	if (!row->argument)
		return;
	fprintf(fish->out, " %s:--%s", fish->command, row->name);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(fish->out, " %s:-%c", fish->command, *letter);
}

/* Where the cursor is: "command:n", n arguments behind the command; values of options are none. */
static void print_functions(FILE *out)
{
	struct fish fish = { .out = out, .command = "" };

	fputs("# fish completion for creel, written by `creel completion fish`.\n"
	      "function __creel_place\n"
	      "\tset -l valued",
	      out);
	options_each(&global_options, print_valued, &fish);
	for (size_t i = 0; commands[i]; i++) {
		fish.command = commands[i]->name;
		options_each(&commands[i]->options, print_valued, &fish);
	}
	fputs("\n"
	      "\tset -l words (commandline -opc)\n"
	      "\tset -l command ''\n"
	      "\tset -l n 0\n"
	      "\tset -l skip no\n"
	      "\tfor word in $words[2..-1]\n"
	      "\t\tif test $skip = yes\n"
	      "\t\t\tset skip no\n"
	      "\t\telse if contains -- \"$command:$word\" $valued\n"
	      "\t\t\tset skip yes\n"
	      "\t\telse if string match -q -- '-*' $word\n"
	      "\t\t\tcontinue\n"
	      "\t\telse if test -z \"$command\"\n"
	      "\t\t\tset command $word\n"
	      "\t\telse\n"
	      "\t\t\tset n (math $n + 1)\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\techo \"$command:$n\"\n"
	      "end\n"
	      "function __creel_at\n"
	      "\tcontains -- (__creel_place) $argv\n"
	      "end\n"
	      "function __creel_in\n"
	      "\tstring match -q -- \"$argv[1]:*\" (__creel_place)\n"
	      "end\n"
	      "function __creel_ids\n"
	      "\tset -l words (commandline -opc)\n"
	      "\tset -l root (string replace -f -- --root= '' $words)\n"
	      "\tif set -l i (contains -i -- --root $words)\n"
	      "\t\tset root $words[(math $i + 1)]\n"
	      "\tend\n"
	      "\tif test -n \"$root\"\n"
	      "\t\tcreel --root $root list --quiet 2>/dev/null\n"
	      "\telse\n"
	      "\t\tcreel list --quiet 2>/dev/null\n"
	      "\tend\n"
	      "end\n"
	      "complete -c creel -f\n",
	      out);
}

static void print_arguments(FILE *out, const struct command *command)
{
	for (size_t i = 0; i < completion_arguments(command); i++) {
		if (command->words_repeat)
			fprintf(out, "complete -c creel -n '__creel_in %s' -a '", command->name);
		else
			fprintf(out, "complete -c creel -n '__creel_at %s:%zu' -a '", command->name,
				i);
		if (completion_of_argument(command, i) == COMPLETION_IDS)
			fputs("(__creel_ids)", out);
		else
			completion_print_argument(command, i, out);
		fputs("'\n", out);
	}
}

void completion_print_fish(FILE *out)
{
	struct fish fish = { .out = out, .command = "" };

	print_functions(out);
	options_each(&global_options, print_option, &fish);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "complete -c creel -n '__creel_at :0 help:0' -a %s -d ",
			commands[i]->name);
		print_quoted(out, commands[i]->purpose);
		fputc('\n', out);
		fish.command = commands[i]->name;
		options_each(&commands[i]->options, print_option, &fish);
		print_arguments(out, commands[i]);
	}
	fputs("complete -c creel -n '__creel_at :0' -a help -d 'Print the usage'\n", out);
}
