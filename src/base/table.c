/* Tables for people: aligned columns of printable text. */
#include <creel/table.h>

#include <string.h>

#include <creel/text.h>

struct table_row {
	const char *cells[TABLE_COLUMNS_MAX];
};

/* C1 controls (U+0080 to U+009F) are escape sequences to some terminals. */
static bool is_printable(const char *at, size_t length)
{
	const unsigned char *byte = (const unsigned char *)at;

	if (length == 1)
		return byte[0] >= ' ' && byte[0] != 0x7f;
	return length > 0 && !(byte[0] == 0xc2 && byte[1] < 0xa0);
}

static bool is_all_printable(const char *text)
{
	while (*text) {
		size_t length = text_utf8(text);

		if (!is_printable(text, length))
			return false;
		text += length;
	}
	return true;
}

/* One byte that may not be shown, at TO; at most four characters. */
static size_t escape(char *to, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\n\t\r";
	static const char letters[] = "ntr";
	const char *found = strchr(named, byte);

	to[0] = '\\';
	if (found) {
		to[1] = letters[found - named];
		return 2;
	}
	to[1] = 'x';
	to[2] = hex[byte >> 4];
	to[3] = hex[byte & 15];
	return 4;
}

const char *table_printable(struct arena *arena, const char *text)
{
	char *result, *to;

	if (is_all_printable(text))
		return text;
	result = to = arena_alloc(arena, 4 * strlen(text) + 1);
	while (*text) {
		size_t length = text_utf8(text);

		if (is_printable(text, length)) {
			memcpy(to, text, length);
			to += length;
			text += length;
		} else {
			to += escape(to, (unsigned char)*text++);
		}
	}
	return result;
}

void table_add(struct table *table, const char *const *cells)
{
	struct table_row *row;

	if (table->n == table->room) {
		struct table_row *larger;

		table->room = table->room ? 2 * table->room : 16;
		larger = arena_array(table->arena, table->room, sizeof(*larger));
		if (table->n > 0)
			memcpy(larger, table->rows, table->n * sizeof(*larger));
		table->rows = larger;
	}
	row = &table->rows[table->n++];
	for (size_t i = 0; i < table->columns_n; i++)
		row->cells[i] = cells[i] ? table_printable(table->arena, cells[i]) : "";
}

/* Characters, not bytes; all are taken for one cell wide. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; width++)
		text += text_utf8(text);
	return width;
}

static bool has_heads(const struct table *table)
{
	for (size_t i = 0; i < table->columns_n; i++)
		if (table->columns[i].head)
			return true;
	return false;
}

static void measure(const struct table *table, size_t *widths)
{
	size_t gap = table->gap ? table->gap : 2;

	for (size_t c = 0; c < table->columns_n; c++) {
		const struct table_column *column = &table->columns[c];

		widths[c] = column->head ? width_of(column->head) : 0;
		for (size_t r = 0; r < table->n; r++) {
			size_t width = width_of(table->rows[r].cells[c]);

			if (width > widths[c] && (!table->most || width <= table->most))
				widths[c] = width;
		}
		/* An empty column takes no place. */
		if (widths[c] > 0)
			widths[c] += gap;
		if (widths[c] < column->least)
			widths[c] = column->least;
	}
}

struct line {
	char *to;
	size_t at; /* characters so far */
};

/* TEXT from the column PLACE on; behind what is there already, when that reaches so far. */
static void line_put(struct line *line, size_t place, size_t gap, const char *text,
		     const char *paint)
{
	size_t least = line->at > 0 ? line->at + gap : 0;
	size_t blanks = (place > least ? place : least) - line->at;
	size_t length = strlen(text);

	if (length == 0)
		return;
	memset(line->to, ' ', blanks);
	line->to += blanks;
	line->at += blanks + width_of(text);
	if (paint)
		line->to = stpcpy(line->to, paint);
	memcpy(line->to, text, length);
	line->to += length;
	if (paint)
		line->to = stpcpy(line->to, TABLE_NORMAL);
}

static const char *paint_of(const struct table *table, size_t column, bool head)
{
	if (!table->colour)
		return NULL;
	if (head)
		return TABLE_BOLD;
	return table->columns[column].paint == TABLE_DIM ? TABLE_FAINT : NULL;
}

static char *put_row(const struct table *table, const size_t *widths, const char *const *cells,
		     bool head, char *to)
{
	size_t gap = table->gap ? table->gap : 2, place = table->indent;
	struct line line = { .to = to };

	for (size_t c = 0; c < table->columns_n; c++) {
		size_t width = width_of(cells[c]), free = 0;

		if (table->columns[c].right && widths[c] > width + gap)
			free = widths[c] - width - gap;
		line_put(&line, place + free, gap, cells[c], paint_of(table, c, head));
		place += widths[c];
	}
	*line.to = '\n';
	return line.to + 1;
}

/* More than any row takes: its bytes, and each column's place and paint. */
static size_t room_for(const struct table *table, const size_t *widths)
{
	size_t blanks = table->indent + 1, room = 1;

	for (size_t c = 0; c < table->columns_n; c++) {
		blanks +=
		    widths[c] + (table->gap ? table->gap : 2) + sizeof(TABLE_BOLD TABLE_NORMAL);
		room += table->columns[c].head ? strlen(table->columns[c].head) : 0;
		for (size_t r = 0; r < table->n; r++)
			room += strlen(table->rows[r].cells[c]);
	}
	return room + (table->n + 1) * blanks;
}

const char *table_text(const struct table *table)
{
	size_t widths[TABLE_COLUMNS_MAX];
	char *text, *to;

	measure(table, widths);
	text = to = arena_alloc(table->arena, room_for(table, widths));
	if (has_heads(table)) {
		const char *heads[TABLE_COLUMNS_MAX];

		for (size_t c = 0; c < table->columns_n; c++)
			heads[c] = table->columns[c].head ? table->columns[c].head : "";
		to = put_row(table, widths, heads, true, to);
	}
	for (size_t r = 0; r < table->n; r++)
		to = put_row(table, widths, table->rows[r].cells, false, to);
	return text;
}
