/* What the scripts of the three shells are made from. */
#pragma once

#include <creel/cli.h>

/* What stands behind an option or is an argument. */
enum completion {
	COMPLETION_NOTHING, /* nobody but the user knows */
	COMPLETION_WORDS,   /* one of a few */
	COMPLETION_DIRECTORY,
	COMPLETION_FILE,
	COMPLETION_IDS, /* of containers */
};

/* What the value of an option is; NOTHING for a flag, too. */
enum completion completion_of_option(const struct option_row *row);
/* What argument I of COMMAND is. */
enum completion completion_of_argument(const struct command *command, size_t i);
/* The words of them, a blank between each two. */
void completion_print_names(const struct name_value *names, FILE *out);
void completion_print_argument(const struct command *command, size_t i, FILE *out);
/* How many arguments have something to complete; one that repeats counts once. */
size_t completion_arguments(const struct command *command);

void completion_print_bash(FILE *out);
void completion_print_zsh(FILE *out);
void completion_print_fish(FILE *out);
