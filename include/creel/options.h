/*
 * Options by table: one row an option, from which follow parsing, the usage text and the completion
 * of shells; a lint test compares them with the man pages.
 *
 * Accepted are `--name value`, `--name=value`, the same with one dash, `-n`, `--flag` and
 * `--flag=false`.  `--` ends the options, and -h and --help are always understood.  The last one of
 * a repeated option wins, unless it is a list.  Values are never copied or changed: they point into
 * argv, which must outlive the object.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/schema.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct error;

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_SWITCH, /* struct optional: 0 or 1, unset when it was not given */
	OPTION_STRING, /* const char *: NULL when it was not given */
	OPTION_LIST,   /* struct strings: one item each time it is given */
	OPTION_NUMBER, /* unsigned int, up to 2^31-1 */
	OPTION_INT,    /* struct optional: any decimal */
	OPTION_BYTES,  /* struct optional: decimal with k, m, g or t; -1 */
	OPTION_CHOICE, /* struct optional: the value of one of `names` */
	OPTION_TIME,   /* struct optional: "90", "90s", "1m30s", "500ms", in milliseconds */
};

struct option_row {
	const char *name;    /* long, without dashes */
	const char *letters; /* each one a short name of it; NULL: none */
	enum option_kind kind;
	const char *argument; /* what usage calls its value: "FILE"; NULL for flags */
	const char *group;    /* the heading it stands under; NULL: that of the row before */
	const char *help;     /* half a sentence */
	size_t offset;	      /* of its target */
	const struct name_value *names;
};

/* All rows of one command; a second table serves those that two commands share. */
struct option_table {
	const struct option_row *rows;
	size_t n;
};

#define OPTION_TABLES_MAX 2

struct options {
	struct option_table tables[OPTION_TABLES_MAX];
	bool stops; /* at the first positional argument: what follows belongs to somebody else */
};

#define OPTION_TARGET(type, member, wanted) .offset = MEMBER_OF_TYPE(type, member, wanted)

/* Rows; what stands behind the help is more of the row: `.group = "Heading"` opens a group. */
#define O_FLAG(type, member, letters_, name_, help_, ...)                                          \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_FLAG, .help = (help_),      \
		OPTION_TARGET(type, member, bool), __VA_ARGS__                                     \
	}
#define O_SWITCH(type, member, letters_, name_, help_, ...)                                        \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_SWITCH, .help = (help_),    \
		OPTION_TARGET(type, member, struct optional), __VA_ARGS__                          \
	}
#define O_STRING(type, member, letters_, name_, argument_, help_, ...)                             \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_STRING, .help = (help_),    \
		.argument = (argument_), OPTION_TARGET(type, member, const char *), __VA_ARGS__    \
	}
#define O_LIST(type, member, letters_, name_, argument_, help_, ...)                               \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_LIST, .help = (help_),      \
		.argument = (argument_), OPTION_TARGET(type, member, struct strings), __VA_ARGS__  \
	}
#define O_NUMBER(type, member, letters_, name_, argument_, help_, ...)                             \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_NUMBER, .help = (help_),    \
		.argument = (argument_), OPTION_TARGET(type, member, unsigned int), __VA_ARGS__    \
	}
#define O_INT(type, member, letters_, name_, argument_, help_, ...)                                \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_INT, .help = (help_),       \
		.argument = (argument_), OPTION_TARGET(type, member, struct optional), __VA_ARGS__ \
	}
#define O_BYTES(type, member, letters_, name_, argument_, help_, ...)                              \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_BYTES, .help = (help_),     \
		.argument = (argument_), OPTION_TARGET(type, member, struct optional), __VA_ARGS__ \
	}
#define O_TIME(type, member, letters_, name_, argument_, help_, ...)                               \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_TIME, .help = (help_),      \
		.argument = (argument_), OPTION_TARGET(type, member, struct optional), __VA_ARGS__ \
	}
#define O_CHOICE(type, member, letters_, name_, argument_, names_, help_, ...)                     \
	{                                                                                          \
		.name = (name_), .letters = (letters_), .kind = OPTION_CHOICE, .help = (help_),    \
		.argument = (argument_), .names = (names_),                                        \
		OPTION_TARGET(type, member, struct optional), __VA_ARGS__                          \
	}

#define OPTION_TABLE(rows_)                                                                        \
	{                                                                                          \
		.rows = (rows_), .n = ARRAY_SIZE(rows_)                                            \
	}

enum options_result {
	OPTIONS_ERROR = -1,
	OPTIONS_PARSED,
	OPTIONS_HELP, /* -h or --help was among them; nothing after it was looked at */
};

/*
 * Parses ARGV, which ends with NULL and begins with the first argument, into OBJECT, which the
 * caller zeroed.  What is no option goes to POSITIONAL.  Every error is ERROR_USAGE.
 */
enum options_result options_parse(const struct options *options, struct arena *arena,
				  char *const *argv, void *object, struct strings *positional,
				  struct error *err) must_check;

/* The options as people read them, grouped and aligned. */
void options_print(const struct options *options, FILE *out);

/* Calls VISIT for every row. */
void options_each(const struct options *options,
		  void (*visit)(void *argument, const struct option_row *row), void *argument);

/* "512m" and the like: bytes; -1 is "no limit". */
bool options_parse_bytes(const char *text, int64_t *bytes);
/* "1m30s", "250ms", "1.5s" (as Go writes durations), "5" (seconds): milliseconds, rounded up. */
bool options_parse_time(const char *text, int64_t *milliseconds);
