/*
 * Tables for people: columns as wide as what stands in them, for a terminal or a file.  Everything
 * that a cell holds is printable when it comes out: what names a file may hold an escape sequence,
 * and a terminal must not obey it.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 12

enum table_paint {
	TABLE_PLAIN,
	TABLE_DIM, /* of less interest than the rest */
};

struct table_column {
	const char *head; /* of any column: the first line holds them; else there is no such line */
	bool right;	  /* numbers */
	size_t least;	  /* characters, the gap included, that it has at least; 0: as needed */
	enum table_paint paint;
};

struct table_row;

struct table {
	struct arena *arena;
	const struct table_column *columns;
	size_t columns_n;
	size_t indent; /* blanks before each line */
	size_t gap;    /* blanks between columns; 0 means 2 */
	size_t most;   /* a longer cell does not widen its column for all others; 0: no limit */
	bool colour;
	struct table_row *rows;
	size_t n, room;
};

/* Adds a row of columns_n cells; they are not copied, and NULL is an empty one. */
void table_add(struct table *table, const char *const *cells);
#define TABLE_ADD(table_, ...)                                                                     \
	table_add((table_), (const char *const[TABLE_COLUMNS_MAX]){ __VA_ARGS__ })

/* All lines, each with its newline; nothing stands behind the last cell of a line. */
const char *table_text(const struct table *table);

/* TEXT with control characters, and bytes that are no UTF-8, written as "\n" or "\x1b". */
const char *table_printable(struct arena *arena, const char *text);

/* Escape sequences of ECMA-48, for those who paint something beside a table. */
#define TABLE_BOLD   "\033[1m"
#define TABLE_FAINT  "\033[2m"
#define TABLE_NORMAL "\033[0m"
