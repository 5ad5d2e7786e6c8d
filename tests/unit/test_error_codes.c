/* The table of codes: in order, without gaps in what is said, and found by what people type. */
#include "check.h"

#include <creel/compiler.h>
#include <creel/error.h>
#include <creel/error_codes.h>
#include <errno.h>

static const struct error_page *page_of(size_t i)
{
	const struct error_page *page = error_page_at(i);

	if (page)
		check(error_page_find((int)page->code) == page);
	return page;
}

static void test_codes_ascend_and_belong_to_a_theme(void **state)
{
	const struct error_page *page;
	int last = 0;
	size_t i, theme = 0;

	(void)state;
	for (i = 0; (page = page_of(i)); i++) {
		check((int)page->code > last);
		last = (int)page->code;
		while (theme < error_themes_n && last > error_themes[theme].last)
			theme++;
		check(theme < error_themes_n && last >= error_themes[theme].first);
	}
	check(i >= 60);
	check(theme == error_themes_n - 1);
}

/* Whole sentences, lists without empty items, and nothing that mdoc or a terminal would not show.
 */
static void check_sentences(const char *text)
{
	size_t n = strlen(text);

	check(n > 10 && text[0] != ' ');
	check(text[n - 1] == '.');
	check(!strchr(text, '\n'));
}

static void check_list(const char *text)
{
	check(text[0] && text[0] != '\n' && text[strlen(text) - 1] != '\n');
	check(!strstr(text, "\n\n"));
	check_has_not(text, " \n");
	check_has_not(text, "\t");
}

static void test_every_page_is_complete(void **state)
{
	const struct error_page *page;

	(void)state;
	for (size_t i = 0; (page = page_of(i)); i++) {
		char mark[16];
		const char *end = page->example;

		check(strlen(page->title) > 5 && strlen(page->title) < 60);
		check(page->title[strlen(page->title) - 1] != '.');
		check_sentences(page->meaning);
		check_list(page->causes);
		check_list(page->action);
		snprintf(mark, sizeof(mark), " [CRL-%d]", page->code);
		check(strlen(end) > strlen(mark));
		check_text(end + strlen(end) - strlen(mark), mark);
	}
}

static void test_each_kind_has_a_page(void **state)
{
	static const enum error_kind kinds[] = { ERROR_USAGE, ERROR_CONFIG, ERROR_UNSUPPORTED,
						 ERROR_STATE, ERROR_SYSTEM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct error err = { .kind = kinds[i] };

		check(error_page_find(error_code_of(&err)) != NULL);
	}
}

static void test_the_code_of_an_error(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	error_system(&err, EPERM, "no");
	check_int(error_code_of(&err), CRL_SYSTEM);
	check(error_code(&err, CRL_RLIMIT_HARD) == -1);
	check_int(error_code_of(&err), CRL_RLIMIT_HARD);
	/* A new error forgets the code of the old one. */
	error_state(&err, "no");
	check_int(error_code_of(&err), CRL_STATE);
}

static void test_codes_are_found_as_people_write_them(void **state)
{
	static const char *const bad[] = { "",	"CRL-",	 "CRL-20022", "CRL-abcd",
					   "2", "-2002", "20 2",      "XRL-2002" };
	int code = 0;

	(void)state;
	check(error_code_parse("CRL-2002", &code));
	check_int(code, 2002);
	check(error_code_parse("crl-5006", &code));
	check_int(code, 5006);
	check(error_code_parse("1000", &code));
	check_int(code, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check(!error_code_parse(bad[i], &code));
	check(error_page_find(0) == NULL);
	check(error_page_find(9999) == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes_ascend_and_belong_to_a_theme),
		cmocka_unit_test(test_every_page_is_complete),
		cmocka_unit_test(test_each_kind_has_a_page),
		cmocka_unit_test(test_the_code_of_an_error),
		cmocka_unit_test(test_codes_are_found_as_people_write_them),
	};

	return check_all(tests);
}
