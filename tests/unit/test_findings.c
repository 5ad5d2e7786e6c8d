/* The list of findings: what is kept, and what only follows from something else. */
#include "check.h"

#include <creel/findings.h>
#include <creel/log.h>
#include <creel/text.h>

static void add(struct findings *findings, enum finding_severity severity, const char *pointer,
		const char *text)
{
	struct error err = { 0 };

	error_config_at(&err, pointer, "%s", text);
	findings_add(findings, severity, &err);
}

static void test_keep_takes_the_error_or_leaves_it(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct findings findings = { .arena = &arena };
	struct error err = { 0 };

	(void)state;
	error_config_at(&err, "/a", "one");
	check(findings_keep(NULL, &err) == -1);
	check(err.kind == ERROR_CONFIG);
	check(findings_keep(&findings, &err) == 0);
	check(err.kind == ERROR_NONE);
	check_int(findings.n, 1);
	check_text(findings.items[0].error.where, "/a");
	check_text(findings.items[0].error.what, "one");
}

static void test_errors_that_follow_are_left_out(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct findings findings = { .arena = &arena };

	(void)state;
	add(&findings, FINDING_ERROR, "/a/b", "first");
	add(&findings, FINDING_ERROR, "/a/b", "the same place");
	add(&findings, FINDING_ERROR, "/a/b/c", "below it");
	add(&findings, FINDING_ERROR, "/a", "above it");
	check_int(findings.n, 1);
	add(&findings, FINDING_ERROR, "/a/bc", "a name that only begins alike");
	add(&findings, FINDING_WARNING, "/a/b", "a warning about what is wrong anyway");
	add(&findings, FINDING_WARNING, "/a", "a warning about something larger");
	add(&findings, FINDING_ERROR, "", "no place");
	add(&findings, FINDING_ERROR, NULL, "no place either");
	check_int(findings.n, 5);
	check_int(findings_count(&findings, FINDING_ERROR), 4);
	check_int(findings_count(&findings, FINDING_WARNING), 1);
	check(findings_has_error(&findings, "/a"));
	check(findings_has_error(&findings, "/a/b"));
	check(!findings_has_error(&findings, "/a/b/c"));
	check(!findings_has_error(&findings, "/x"));
}

static void test_a_million_places(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct findings findings = { .arena = &arena };

	(void)state;
	for (int i = 0; i < FINDINGS_MAX + 5; i++)
		add(&findings, FINDING_WARNING, text_format(&arena, "/%d", i), "wrong");
	check_int(findings.n, FINDINGS_MAX);
	check_int(findings.left_out, 5);
	check_text(findings.items[FINDINGS_MAX - 1].error.where, "/999");
}

static char logged[200];

static void keep_log(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	snprintf(logged, sizeof(logged), "%d %s", level, text);
}

static void test_without_a_list_it_is_logged(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct findings findings = { .arena = &arena };

	struct error err = { 0 };

	(void)state;
	check(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, &err) == 0);
	log_to_function(keep_log, NULL);
	check(!findings_say(NULL, FINDING_WARNING, "/a", "%d is odd", 1));
	check_text(logged, "1 /a: 1 is odd");
	check(!findings_say(NULL, FINDING_WARNING, NULL, "plain"));
	check_text(logged, "1 plain");
	logged[0] = '\0';
	check(findings_say(&findings, FINDING_NOTE, "/a", "kept"));
	check_text(logged, "");
	check(findings.items[0].severity == FINDING_NOTE);
}

static void test_order_of_the_document(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct findings findings = { .arena = &arena };
	const struct {
		unsigned int line, column;
		const char *text;
	} rows[] = { { 0, 0, "z" }, { 7, 2, "d" }, { 3, 9, "b" }, { 7, 1, "c" }, { 3, 9, "a" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error *error =
		    findings_say(&findings, FINDING_WARNING, "/x", "%s", rows[i].text);

		error->line = rows[i].line;
		error->column = rows[i].column;
	}
	findings_sort(&findings);
	check_text(findings.items[0].error.what, "a");
	check_text(findings.items[1].error.what, "b");
	check_text(findings.items[2].error.what, "c");
	check_text(findings.items[3].error.what, "d");
	check_text(findings.items[4].error.what, "z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_takes_the_error_or_leaves_it),
		cmocka_unit_test(test_errors_that_follow_are_left_out),
		cmocka_unit_test(test_a_million_places),
		cmocka_unit_test(test_without_a_list_it_is_logged),
		cmocka_unit_test(test_order_of_the_document),
	};

	return check_all(tests);
}
