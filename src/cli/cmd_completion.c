/* `creel completion`: what a shell needs to complete our command lines, written from the tables of
 * options. */
#include <creel/cli.h>

#include <string.h>

#include <creel/error.h>
#include <creel/options.h>

/* ---- bash ---- */

static void bash_option(void *argument, const struct option_row *row)
{
	FILE *out = argument;

	fprintf(out, " --%s", row->name);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(out, " -%c", *letter);
}

/* Options that take a value must not be taken for the command, nor their values. */
static void bash_valued(void *argument, const struct option_row *row)
{
	if (row->argument)
		fprintf(argument, "|--%s", row->name);
}

static void print_bash(FILE *out)
{
	fprintf(out, "# bash completion for creel, written by `creel completion bash`.\n"
		     "_creel()\n{\n"
		     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		     "\tlocal i word command= words=\n"
		     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		     "\t\tword=${COMP_WORDS[i]}\n"
		     "\t\tcase $word in\n"
		     "\t\t'' ");
	options_each(&global_options, bash_valued, out);
	fprintf(out, ") ((i++)) ;;\n"
		     "\t\t-*) ;;\n"
		     "\t\t*) command=$word; break ;;\n"
		     "\t\tesac\n"
		     "\tdone\n"
		     "\tcase $command in\n"
		     "\t'') words='");
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "%s ", commands[i]->name);
	fprintf(out, "help --help");
	options_each(&global_options, bash_option, out);
	fprintf(out, "' ;;\n");
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t%s) words='--help", commands[i]->name);
		options_each(&commands[i]->options, bash_option, out);
		fprintf(out, "' ;;\n");
	}
	fprintf(out,
		"\tesac\n"
		"\tif [[ $cur != -* && -n $command ]]; then\n"
		"\t\twords=\"$(creel list --quiet 2>/dev/null)\"\n"
		"\tfi\n"
		"\tcase $prev in\n"
		"\t--log-format) words='text json' ;;\n"
		"\t--format) words='table json' ;;\n"
		"\t--bundle|-b|--root|--cwd) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); "
		"return ;;\n"
		"\t--log|--pid-file|--process|-p|--resources|-r|--*-socket)\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
		"\tesac\n"
		"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		"}\n"
		"complete -F _creel creel\n");
}

/* ---- zsh ---- */

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

static void zsh_action(FILE *out, const struct option_row *row)
{
	if (!row->argument)
		return;
	fputc(':', out);
	print_plain(out, row->argument);
	if (row->kind == OPTION_CHOICE) {
		fputs(":(", out);
		for (const struct name_value *name = row->names; name->name; name++)
			fprintf(out, "%s%s", name == row->names ? "" : " ", name->name);
		fputc(')', out);
	} else if (text_equal(row->argument, "DIR")) {
		fputs(":_files -/", out);
	} else if (text_equal(row->argument, "FILE") || text_equal(row->argument, "SOCKET")) {
		fputs(":_files", out);
	} else {
		fputc(':', out);
	}
}

static void zsh_option(void *argument, const struct option_row *row)
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
		zsh_action(out, row);
		fputc('\'', out);
		if (!*letter)
			return;
	}
}

static void print_zsh(FILE *out)
{
	fprintf(out, "#compdef creel\n"
		     "# zsh completion for creel, written by `creel completion zsh`.\n"
		     "_creel_ids() {\n"
		     "\tlocal -a ids=(${(f)\"$(creel list --quiet 2>/dev/null)\"})\n"
		     "\tcompadd -a ids\n"
		     "}\n"
		     "_creel() {\n"
		     "\tlocal curcontext=$curcontext state line\n"
		     "\tlocal -a commands=(\n");
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t'%s:", commands[i]->name);
		print_plain(out, commands[i]->purpose);
		fprintf(out, "'\n");
	}
	fprintf(out, "\t)\n\t_arguments -C '--help[print the usage]'");
	options_each(&global_options, zsh_option, out);
	fprintf(out, " \\\n\t\t'1:command:->command' '*::argument:->argument'\n"
		     "\tcase $state in\n"
		     "\tcommand) _describe command commands ;;\n"
		     "\targument)\n"
		     "\t\tcase $line[1] in\n");
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t%s) _arguments '--help[print the usage]'", commands[i]->name);
		options_each(&commands[i]->options, zsh_option, out);
		fprintf(out, "%s ;;\n", commands[i]->most > 0 ? " '*:container:_creel_ids'" : "");
	}
	fprintf(out, "\t\tesac ;;\n\tesac\n}\n_creel \"$@\"\n");
}

/* ---- fish ---- */

struct fish {
	FILE *out;
	const char *command; /* NULL: before one */
};

static void print_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		fprintf(out, strchr("'\\", *text) ? "\\%c" : "%c", *text);
	fputc('\'', out);
}

static void fish_begin(const struct fish *fish)
{
	if (fish->command)
		fprintf(fish->out, "complete -c creel -n '__fish_seen_subcommand_from %s'",
			fish->command);
	else
		fprintf(fish->out, "complete -c creel -n __fish_use_subcommand");
}

static void fish_option(void *argument, const struct option_row *row)
{
	const struct fish *fish = argument;

	fish_begin(fish);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(fish->out, " -s %c", *letter);
	fprintf(fish->out, " -l %s", row->name);
	if (row->kind == OPTION_CHOICE) {
		fputs(" -x -a '", fish->out);
		for (const struct name_value *name = row->names; name->name; name++)
			fprintf(fish->out, "%s%s", name == row->names ? "" : " ", name->name);
		fputc('\'', fish->out);
	} else if (row->argument) {
		fputs(" -r -F", fish->out);
	}
	fputs(" -d ", fish->out);
	print_quoted(fish->out, row->help);
	fputc('\n', fish->out);
}

static void print_fish(FILE *out)
{
	struct fish fish = { .out = out };

	fprintf(out, "# fish completion for creel, written by `creel completion fish`.\n"
		     "complete -c creel -f\n");
	options_each(&global_options, fish_option, &fish);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "complete -c creel -n __fish_use_subcommand -a %s -d ",
			commands[i]->name);
		print_quoted(out, commands[i]->purpose);
		fputc('\n', out);
		fish.command = commands[i]->name;
		options_each(&commands[i]->options, fish_option, &fish);
		if (commands[i]->most == 0)
			continue;
		fish_begin(&fish);
		fprintf(out, " -a '(creel list --quiet 2>/dev/null)'\n");
	}
}

static int run(struct cli *cli, struct error *err)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} shells[] = {
		{ "bash", print_bash },
		{ "zsh", print_zsh },
		{ "fish", print_fish },
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
	.purpose = "Print what bash, zsh or fish need to complete command lines",
	.example = "source <(creel completion bash)",
	.least = 1,
	.most = 1,
	.run = run,
};
