/* The completion of bash: one function that finds out where the cursor is, and says what may stand
 * there. */
#include "completion.h"

#include <creel/options.h>

/* Rows are visited with the command they belong to; NULL: the options before it. */
struct bash {
	FILE *out;
	const struct command *command;
	enum completion wanted;
	size_t n; /* patterns so far */
};

static const char *name_of_command(const struct bash *bash)
{
	return bash->command ? bash->command->name : "";
}

/* "run:--bundle|run:-b" */
static void print_pattern(struct bash *bash, const struct option_row *row)
{
	fprintf(bash->out, "%s%s:--%s", bash->n++ ? "|" : "", name_of_command(bash), row->name);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(bash->out, "|%s:-%c", name_of_command(bash), *letter);
}

static void valued(void *argument, const struct option_row *row)
{
	if (row->argument)
		print_pattern(argument, row);
}

static void of_one_kind(void *argument, const struct option_row *row)
{
	struct bash *bash = argument;

	if (row->argument && completion_of_option(row) == bash->wanted)
		print_pattern(bash, row);
}

static void choices(void *argument, const struct option_row *row)
{
	struct bash *bash = argument;

	if (completion_of_option(row) != COMPLETION_WORDS)
		return;
	bash->n = 0;
	fputs("\t", bash->out);
	print_pattern(bash, row);
	fputs(") words='", bash->out);
	completion_print_names(row->names, bash->out);
	fputs("' ;;\n", bash->out);
}

static void option(void *argument, const struct option_row *row)
{
	struct bash *bash = argument;

	fprintf(bash->out, " --%s", row->name);
	for (const char *letter = row->letters; letter && *letter; letter++)
		fprintf(bash->out, " -%c", *letter);
}

/* Calls VISIT for all options of all commands, those before the command first. */
static void all_options(struct bash *bash, void (*visit)(void *, const struct option_row *))
{
	bash->command = NULL;
	options_each(&global_options, visit, bash);
	for (size_t i = 0; commands[i]; i++) {
		bash->command = commands[i];
		options_each(&commands[i]->options, visit, bash);
	}
}

/* Skips the values of options, so that they are not taken for the command or its arguments; bash
 * takes "--name=value" for three words. */
static void print_search(FILE *out)
{
	struct bash bash = { .out = out };

	fputs("# bash completion for creel, written by `creel completion bash`.\n"
	      "_creel()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal i word command= words= root= n=0\n"
	      "\tif [[ $cur == = ]]; then\n"
	      "\t\tcur=\n"
	      "\telif [[ $prev == = ]]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\tfi\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tword=${COMP_WORDS[i]}\n"
	      "\t\tcase $command:$word in\n"
	      "\t\t",
	      out);
	all_options(&bash, valued);
	fputs(")\n"
	      "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
	      "\t\t\t((i++))\n"
	      "\t\t\t[[ $word == --root ]] && root=${COMP_WORDS[i]} ;;\n"
	      "\t\t*:-*|*:=) ;;\n"
	      "\t\t:*) command=$word ;;\n"
	      "\t\t*) ((n++)) ;;\n"
	      "\t\tesac\n"
	      "\tdone\n",
	      out);
}

static void print_values(FILE *out)
{
	struct bash bash = { .out = out };

	fputs("\tcase $command:$prev in\n", out);
	all_options(&bash, choices);
	fputs("\t", out);
	bash = (struct bash){ .out = out, .wanted = COMPLETION_DIRECTORY };
	all_options(&bash, of_one_kind);
	fputs(")\n\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n\t",
	      out);
	bash = (struct bash){ .out = out, .wanted = COMPLETION_FILE };
	all_options(&bash, of_one_kind);
	fputs(")\n\t\tcompopt -o filenames 2>/dev/null\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n\t",
	      out);
	bash = (struct bash){ .out = out, .wanted = COMPLETION_NOTHING };
	all_options(&bash, of_one_kind);
	fputs(")\n\t\treturn ;;\n\tesac\n", out);
}

static void print_options(FILE *out)
{
	struct bash bash = { .out = out };

	fputs("\tif [[ -z $words && $cur == -* ]]; then\n"
	      "\t\tcase $command in\n"
	      "\t\t'') words='--help",
	      out);
	options_each(&global_options, option, &bash);
	fputs("' ;;\n", out);
	for (size_t i = 0; commands[i]; i++) {
		fprintf(out, "\t\t%s) words='--help", commands[i]->name);
		options_each(&commands[i]->options, option, &bash);
		fputs("' ;;\n", out);
	}
	fputs("\t\tesac\n", out);
}

static void print_names(FILE *out)
{
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "%s ", commands[i]->name);
	fputs("help", out);
}

static void print_arguments(FILE *out)
{
	fputs("\telif [[ -z $words ]]; then\n"
	      "\t\tcase $command:$n in\n"
	      "\t\t:0|help:0) words='",
	      out);
	print_names(out);
	fputs("' ;;\n", out);
	for (size_t i = 0; commands[i]; i++)
		for (size_t j = 0; j < completion_arguments(commands[i]); j++) {
			bool repeats = commands[i]->words_repeat;

			fprintf(out, repeats ? "\t\t%s:*) words=" : "\t\t%s:%zu) words=",
				commands[i]->name, j);
			if (completion_of_argument(commands[i], j) == COMPLETION_IDS) {
				fputs("$(creel ${root:+--root \"$root\"} list --quiet "
				      "2>/dev/null)",
				      out);
			} else {
				fputc('\'', out);
				completion_print_argument(commands[i], j, out);
				fputc('\'', out);
			}
			fputs(" ;;\n", out);
		}
	fputs("\t\tesac\n\tfi\n", out);
}

void completion_print_bash(FILE *out)
{
	print_search(out);
	print_values(out);
	print_options(out);
	print_arguments(out);
	fputs("\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "}\n"
	      "complete -F _creel creel\n",
	      out);
}
