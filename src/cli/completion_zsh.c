/* The completion of zsh: specifications for _arguments. */
#include "completion.h"

#include <string.h>

#include <creel/options.h>

/* A text between single quotes, without what means something in _arguments. */
static void print_plain(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:\\", *text))
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
}

static void print_action(FILE *out, const struct option_row *row)
{
	if (!row->argument)
		return;
	fputc(':', out);
	print_plain(out, row->argument);
	switch (completion_of_option(row)) {
	case COMPLETION_WORDS:
		fputs(":(", out);
		completion_print_names(row->names, out);
		fputc(')', out);
		return;
	case COMPLETION_DIRECTORY:
		fputs(":_files -/", out);
		return;
	case COMPLETION_FILE:
		fputs(":_files", out);
		return;
	case COMPLETION_IDS:
	case COMPLETION_NOTHING:
		/* A blank action: the value is known to nobody. */
		fputs(": ", out);
		return;
	}
}

static void print_option(void *argument, const struct option_row *row)
{
	const char *letters = row->letters ? row->letters : "";
	FILE *out = argument;

	for (const char *letter = letters;; letter++) {
		fputs(" \\\n\t\t'", out);
		if (row->kind == OPTION_LIST)
			fputc('*', out);
		if (*letter)
			fprintf(out, "-%c[", *letter);
		else
			fprintf(out, "--%s%s[", row->name, row->argument ? "=" : "");
		print_plain(out, row->help);
		fputc(']', out);
		print_action(out, row);
		fputc('\'', out);
		if (!*letter)
			return;
	}
}

static void print_arguments(FILE *out, const struct command *command)
{
	for (size_t i = 0; i < completion_arguments(command); i++) {
		if (command->words_repeat)
			fputs(" '*", out);
		else
			fprintf(out, " '%zu", i + 1);
		if (completion_of_argument(command, i) == COMPLETION_IDS) {
			fputs(":container:_creel_ids'", out);
			continue;
		}
		fputs(":word:(", out);
		completion_print_argument(command, i, out);
		fputs(")'", out);
	}
	/* What belongs to a program that is run, or to ps. */
	if (command->options.stops)
		fputs(" '*::: :_normal'", out);
}

static void print_commands(FILE *out)
{
	fputs("\tlocal -a commands=(\n", out);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t'%s:", commands[i]->name);
		print_plain(out, commands[i]->purpose);
		fputs("'\n", out);
	}
	fputs("\t\t'help:Print the usage'\n\t)\n", out);
}

void completion_print_zsh(FILE *out)
{
	fputs("#compdef creel\n"
	      "# zsh completion for creel, written by `creel completion zsh`.\n"
	      "_creel_ids() {\n"
	      "\tlocal -a ids=(${(f)\"$(creel ${root:+--root} ${root:+$root} list --quiet "
	      "2>/dev/null)\"})\n"
	      "\tcompadd -a ids\n"
	      "}\n"
	      "_creel() {\n"
	      "\tlocal curcontext=$curcontext state line root\n"
	      "\tlocal -A opt_args\n",
	      out);
	print_commands(out);
	fputs("\t_arguments -C '--help[print the usage]'", out);
	options_each(&global_options, print_option, out);
	fputs(" \\\n\t\t'1:command:->command' '*::argument:->argument'\n"
	      "\troot=${opt_args[--root]}\n"
	      "\tcase $state in\n"
	      "\tcommand) _describe command commands ;;\n"
	      "\targument)\n"
	      "\t\tcase $line[1] in\n"
	      "\t\thelp) _describe command commands ;;\n",
	      out);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t%s) _arguments '--help[print the usage]'", commands[i]->name);
		options_each(&commands[i]->options, print_option, out);
		print_arguments(out, commands[i]);
		fputs(" ;;\n", out);
	}
	fputs("\t\tesac ;;\n\tesac\n}\n"
	      "if [ \"$funcstack[1]\" = _creel ]; then\n\t_creel \"$@\"\n"
	      "else\n\tcompdef _creel creel\nfi\n",
	      out);
}
