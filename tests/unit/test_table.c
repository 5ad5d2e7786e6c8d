/* Tables: columns line up, nothing in a cell can move the cursor. */
#include "check.h"

#include <creel/table.h>

static const struct table_column columns[] = {
	{ .head = "ID", .least = 12 },
	{ .head = "SIZE", .right = true },
	{ .head = "NOTE", .paint = TABLE_DIM },
};

static void test_columns_line_up(void **state)
{
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = columns, .columns_n = 3, .gap = 3 };

	(void)state;
	TABLE_ADD(&table, "web", "12", "first");
	TABLE_ADD(&table, "database", "123456", NULL);
	check_text(table_text(&table), "ID            SIZE   NOTE\n"
				       "web             12   first\n"
				       "database    123456\n");
}

static void test_an_empty_table_is_its_head(void **state)
{
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = columns, .columns_n = 3 };

	(void)state;
	check_text(table_text(&table), "ID          SIZE  NOTE\n");
}

static void test_an_empty_column_takes_no_place(void **state)
{
	static const struct table_column plain[3] = { 0 };
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = plain, .columns_n = 3, .indent = 2 };

	(void)state;
	TABLE_ADD(&table, "a", NULL, "c");
	TABLE_ADD(&table, "aa", "", "c");
	check_text(table_text(&table), "  a   c\n  aa  c\n");
}

static void test_a_long_cell_widens_nothing(void **state)
{
	static const struct table_column plain[3] = { 0 };
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = plain, .columns_n = 3, .most = 5 };

	(void)state;
	TABLE_ADD(&table, "abcdefg", "1", "x");
	TABLE_ADD(&table, "abc", "12345", "y");
	check_text(table_text(&table), "abcdefg  1  x\n"
				       "abc  12345  y\n");
}

static void test_characters_count_not_bytes(void **state)
{
	static const struct table_column plain[2] = { 0 };
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = plain, .columns_n = 2 };

	(void)state;
	TABLE_ADD(&table, "\303\244\303\266", "1");
	TABLE_ADD(&table, "ab", "2");
	check_text(table_text(&table), "\303\244\303\266  1\nab  2\n");
}

static void test_colours(void **state)
{
	auto_arena arena = { 0 };
	struct table table = {
		.arena = &arena, .columns = columns, .columns_n = 3, .colour = true
	};

	(void)state;
	TABLE_ADD(&table, "a", "1", "x");
	check_text(table_text(&table), "\033[1mID\033[0m          \033[1mSIZE\033[0m  "
				       "\033[1mNOTE\033[0m\n"
				       "a              1  \033[2mx\033[0m\n");
}

static void test_terminals_obey_no_cell(void **state)
{
	auto_arena arena = { 0 };

	(void)state;
	check_text(table_printable(&arena, "plain \342\202\254"), "plain \342\202\254");
	check_text(table_printable(&arena, "a\033]0;x\007b"), "a\\x1b]0;x\\x07b");
	check_text(table_printable(&arena, "a\nb\tc\rd\177"), "a\\nb\\tc\\rd\\x7f");
	check_text(table_printable(&arena, "\302\233"), "\\xc2\\x9b");
	check_text(table_printable(&arena, "\377"), "\\xff");
	check_text(table_printable(&arena, ""), "");
}

static void test_many_rows(void **state)
{
	static const struct table_column plain[1] = { 0 };
	auto_arena arena = { 0 };
	struct table table = { .arena = &arena, .columns = plain, .columns_n = 1 };

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		TABLE_ADD(&table, "row");
	check_int(strlen(table_text(&table)), 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_line_up),
		cmocka_unit_test(test_an_empty_table_is_its_head),
		cmocka_unit_test(test_an_empty_column_takes_no_place),
		cmocka_unit_test(test_a_long_cell_widens_nothing),
		cmocka_unit_test(test_characters_count_not_bytes),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_terminals_obey_no_cell),
		cmocka_unit_test(test_many_rows),
	};

	return check_all(tests);
}
