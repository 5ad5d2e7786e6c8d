/* The error value: what its text looks like, how it is cut, and that nothing in it steers a
 * terminal. */
#include "check.h"

#include <creel/error.h>
#include <creel/log.h>
#include <errno.h>

static void test_constructors_return_minus_one_and_overwrite(void **state)
{
	struct error err = { .kind = ERROR_SYSTEM, .line = 7, .hint = "old" };

	(void)state;
	check(error_usage(&err, "option %s", "--x") == -1);
	check(err.kind == ERROR_USAGE);
	check_text(err.what, "option --x");
	check_text(err.hint, "");
	check_int(err.line, 0);
	check(error_unsupported(&err, "no") == -1 && err.kind == ERROR_UNSUPPORTED);
	check(error_state(&err, "no") == -1 && err.kind == ERROR_STATE);
	check(error_system(&err, ENOENT, "no") == -1 && err.kind == ERROR_SYSTEM);
	check_int(err.errnum, ENOENT);
	check(error_config(&err, NULL, "no") == -1 && err.kind == ERROR_CONFIG);
	check_text(err.where, "");
	check_int(err.errnum, 0);
}

static void test_arguments_may_point_into_the_old_error(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	error_state(&err, "first");
	error_config_at(&err, "/a", "second");
	error_config_at(&err, err.where, "%s and third", err.what);
	check_text(err.what, "second and third");
	check_text(err.where, "/a");
}

static void test_where_is_a_json_pointer(void **state)
{
	char text[64];

	(void)state;
	where_text(NULL, text, sizeof(text));
	check_text(text, "");
	where_text(AT_KEY(AT_INDEX(AT_KEY(NULL, "mounts"), 7), "source"), text, sizeof(text));
	check_text(text, "/mounts/7/source");
	where_text(AT_KEY(NULL, "a/b~c"), text, sizeof(text));
	check_text(text, "/a~1b~0c");
	where_text(AT_KEY(NULL, ""), text, sizeof(text));
	check_text(text, "/");
	where_text(AT_KEY(NULL, "a\033[31m"), text, sizeof(text));
	check_text(text, "/a?[31m");
}

static void test_a_long_pointer_is_cut_and_marked(void **state)
{
	char key[4096];
	char text[16];

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	where_text(AT_KEY(NULL, key), text, sizeof(text));
	check_text(text, "/kkkkkkkkkkk...");
}

static void test_while_prepends(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	error_system(&err, EPERM, "cannot open %s", "/x");
	check(error_while(&err, "mounting %s", "/data") == -1);
	check(error_while(&err, "creating web") == -1);
	check_text(err.what, "creating web: mounting /data: cannot open /x");
	check_int(err.errnum, EPERM);
	check(err.kind == ERROR_SYSTEM);
}

static void test_decorators_keep_what_is_there(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	error_system(&err, EPERM, "no");
	check(error_call(&err, "mount") == -1);
	check(error_call(&err, "openat") == -1);
	check_text(err.call, "mount");
	check(error_at(&err, NULL) == -1);
	check(error_at(&err, "/mounts/1") == -1);
	check(error_at(&err, "/mounts/2") == -1);
	check_text(err.where, "/mounts/1");
	check(error_hint(&err, "try %d", 1) == -1);
	check(error_hint(&err, "try %d", 2) == -1);
	check_text(err.hint, "try 2");
	check(error_code(&err, CRL_MOUNT) == -1);
	check(error_code(&err, CRL_LABEL) == -1);
	check_int(err.code, CRL_MOUNT);
	check_text(err.what, "no");
}

static void clean(const char *text, size_t size, const char *expected)
{
	char to[64];

	memset(to, 'X', sizeof(to));
	error_clean_text(to, size, text);
	check_text(to, expected);
	for (size_t i = size; i < sizeof(to); i++)
		check(to[i] == 'X');
}

static void test_clean_text_replaces_what_steers(void **state)
{
	(void)state;
	clean("plain", 64, "plain");
	clean("a\033[2Jb\nc\td\re\x7f", 64, "a?[2Jb?c?d?e?");
	clean("C1: \xc2\x9b"
	      "31m",
	      64, "C1: ?31m");
	clean("no-break: \xc2\xa0", 64, "no-break: \xc2\xa0");
	clean("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x9f", 64,
	      "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x9f");
	clean("bad: \xff\xc3", 64, "bad: ??");
	clean("overlong: \xc0\xaf", 64, "overlong: ??");
	clean("surrogate: \xed\xa0\x80", 64, "surrogate: ???");
}

static void test_clean_text_cuts_between_characters(void **state)
{
	(void)state;
	clean("1234567", 8, "1234567");
	clean("12345678", 8, "1234...");
	clean("123\xe2\x82\xac"
	      "45",
	      8, "123...");
	clean("1\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 8, "1\xe2\x82\xac...");
	clean("12345", 4, "...");
	clean("12345", 3, "12");
	clean("12345", 1, "");
	clean("", 1, "");
}

static void test_long_messages_are_cut_everywhere(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	char text[6000];

	(void)state;
	memset(text, 'm', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_config_at(&err, text, "%s", text);
	error_hint(&err, "%s", text);
	error_while(&err, "%s", text);
	check_int(strlen(err.what), sizeof(err.what) - 1);
	check_int(strlen(err.hint), sizeof(err.hint) - 1);
	check_int(strlen(err.where), sizeof(err.where) - 1);
	check_text(err.what + sizeof(err.what) - 4, "...");
	check_text(err.hint + sizeof(err.hint) - 4, "...");
	check_text(err.where + sizeof(err.where) - 4, "...");
}

static char ignored[256];

static void take_record(void *argument, enum log_level level, const char *text)
{
	*(enum log_level *)argument = level;
	snprintf(ignored, sizeof(ignored), "%s", text);
}

static void test_ignore_says_so_in_the_debug_log(void **state)
{
	enum log_level level = LOG_LEVEL_ERROR;
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, &err) == 0);
	log_to_function(take_record, &level);
	error_system(&err, EBUSY, "cannot remove x");
	error_ignore(&err, "somebody else did");
	check(err.kind == ERROR_NONE);
	check(level == LOG_LEVEL_DEBUG);
	check_text(ignored, "cannot remove x: ignored: somebody else did");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constructors_return_minus_one_and_overwrite),
		cmocka_unit_test(test_arguments_may_point_into_the_old_error),
		cmocka_unit_test(test_where_is_a_json_pointer),
		cmocka_unit_test(test_a_long_pointer_is_cut_and_marked),
		cmocka_unit_test(test_while_prepends),
		cmocka_unit_test(test_decorators_keep_what_is_there),
		cmocka_unit_test(test_clean_text_replaces_what_steers),
		cmocka_unit_test(test_clean_text_cuts_between_characters),
		cmocka_unit_test(test_long_messages_are_cut_everywhere),
		cmocka_unit_test(test_ignore_says_so_in_the_debug_log),
	};

	return check_all(tests);
}
