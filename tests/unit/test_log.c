/* The log: the shapes that engines parse, the one final error, and that a record is one whole line.
 */
#include "check.h"

#include <creel/error.h>
#include <creel/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/creel-log-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	return unsetenv("NO_COLOR");
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void open_log(const char *name, enum log_format format, enum log_level level)
{
	struct error err = { .kind = ERROR_NONE };

	if (name)
		unlink(name);
	check(log_open(name, format, level, &err) == 0);
}

static char *read_back(int fd)
{
	static char text[16384];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	check(n >= 0);
	text[n] = '\0';
	return text;
}

/* What is in the log file now. */
static char *logged(void)
{
	int fd = open(path, O_RDONLY);
	char *text = read_back(fd);

	close(fd);
	return text;
}

/* Points stderr at a temporary file; the returned number is what restore_stderr() needs. */
static int catch_stderr(void)
{
	char name[] = "/tmp/creel-stderr-XXXXXX";
	int saved = dup(STDERR_FILENO);
	int fd = mkstemp(name);

	unlink(name);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return saved;
}

static char *restore_stderr(int saved)
{
	char *text = read_back(STDERR_FILENO);

	dup2(saved, STDERR_FILENO);
	close(saved);
	return text;
}

/* Puts "<time>" where TEXT has a time of the last minute, so that it can be compared. */
static char *without_time(char *text)
{
	static char result[16384];
	char *out = result;

	while (*text) {
		struct tm tm = { .tm_year = 0 };
		const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
		time_t then = end ? timegm(&tm) : 0;

		if (then > time(NULL) - 60 && then <= time(NULL)) {
			out += sprintf(out, "<time>");
			text += end - text;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
	return result;
}

static struct error example(void)
{
	struct error err = { .kind = ERROR_NONE };

	error_system(&err, ENOENT, "cannot open %s", "/srv/\"data\"");
	error_while(&err, "mounting /data");
	error_at(&err, "/mounts/7/source");
	error_call(&err, "open_tree");
	error_hint(&err, "make it first");
	err.line = 12;
	err.column = 5;
	return err;
}

static void test_the_file_is_made_at_once(void **state)
{
	struct stat st;
	mode_t old = umask(0);

	(void)state;
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	umask(old);
	check(stat(path, &st) == 0 && st.st_size == 0 && (st.st_mode & 07777) == 0644);
	check(fcntl(log_fd(), F_GETFD) == FD_CLOEXEC);
	check(fcntl(log_fd(), F_GETFL) & O_APPEND);
}

static void test_a_log_that_cannot_be_opened(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	check(log_open("/nonexistent/log", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, &err) == -1);
	check(err.kind == ERROR_SYSTEM && err.errnum == ENOENT);
	check_text(err.what, "cannot open the log /nonexistent/log");
}

/* Who may write to the log's directory must not choose what is appended to. */
static void test_a_link_is_not_followed(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	unlink(path);
	check(symlink("/nonexistent", path) == 0);
	check(log_open(path, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, &err) == -1);
	check(err.errnum == ELOOP);
	unlink(path);
	open_log(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	check(log_open("/dev/stderr", LOG_FORMAT_TEXT, LOG_LEVEL_ERROR, &err) == 0);
}

static void test_text_records(void **state)
{
	(void)state;
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
	log_warning("a \"quoted\" %s", "word");
	log_info("two\nlines\tand \\ \033");
	log_debug("gr\xc3\xbc\xc3\x9f");
	check_text(without_time(logged()),
		   "time=\"<time>\" level=warning msg=\"a \\\"quoted\\\" word\"\n"
		   "time=\"<time>\" level=info msg=\"two\\nlines\\tand \\\\ \\u001b\"\n"
		   "time=\"<time>\" level=debug msg=\"gr\xc3\xbc\xc3\x9f\"\n");
}

static void test_json_records(void **state)
{
	(void)state;
	open_log(path, LOG_FORMAT_JSON, LOG_LEVEL_DEBUG);
	log_warning("a \"quoted\"\nword \xff \xc2\x9b");
	check_text(without_time(logged()),
		   "{\"level\":\"warning\",\"msg\":\"a \\\"quoted\\\"\\nword "
		   "\\ufffd \\u009b\",\"time\":\"<time>\"}\n");
}

static void test_levels(void **state)
{
	(void)state;
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	check(log_is_on(LOG_LEVEL_ERROR) && !log_is_on(LOG_LEVEL_WARNING));
	log_warning("no");
	log_debug("no");
	check_text(logged(), "");
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	log_warning("yes");
	log_info("no");
	check_has(logged(), "msg=\"yes\"");
	check_has_not(logged(), "no");
}

static void test_records_are_appended(void **state)
{
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	log_warning("first");
	check(log_open(path, LOG_FORMAT_JSON, LOG_LEVEL_WARNING, &err) == 0);
	log_warning("second");
	check_has(logged(),
		  "level=warning msg=\"first\"\n{\"level\":\"warning\",\"msg\":\"second\"");
}

static void test_a_long_record_is_one_whole_line(void **state)
{
	char text[5000];
	const char *line;

	(void)state;
	memset(text, '\001', sizeof(text) - 1); /* six bytes each when escaped */
	text[sizeof(text) - 1] = '\0';
	open_log(path, LOG_FORMAT_JSON, LOG_LEVEL_WARNING);
	log_warning("%s", text);
	line = without_time(logged());
	check(strlen(line) > 5000);
	check_text(strchr(line, '\n'), "\n");
	check_text(strstr(line, "\\u0001\",\"time\""), "\\u0001\",\"time\":\"<time>\"}\n");
}

static void test_final_error_as_json(void **state)
{
	struct error err = example();
	int saved = catch_stderr();

	(void)state;
	open_log(path, LOG_FORMAT_JSON, LOG_LEVEL_ERROR);
	log_error(&err);
	check_text(restore_stderr(saved),
		   "creel: mounting /data: cannot open /srv/\"data\": no such file or directory "
		   "[CRL-5000]\n"
		   "       config.json:12:5: /mounts/7/source\n"
		   "hint:  make it first\n");
	check_text(without_time(logged()),
		   "{\"level\":\"error\",\"msg\":\"mounting /data: cannot open /srv/\\\"data\\\": "
		   "no such file or directory (config.json:12 /mounts/7/source) [CRL-5000]\","
		   "\"time\":\"<time>\","
		   "\"code\":\"CRL-5000\",\"pointer\":\"/mounts/7/source\","
		   "\"file\":\"config.json\",\"line\":12,\"errno\":2,"
		   "\"syscall\":\"open_tree\",\"hint\":\"make it first\"}\n");
}

static void test_final_error_as_text(void **state)
{
	struct error err = example();
	int saved = catch_stderr();

	(void)state;
	error_code(&err, CRL_MOUNT_SOURCE);
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	log_error(&err);
	check_has(restore_stderr(saved), "creel: mounting /data");
	check_text(
	    without_time(logged()),
	    "time=\"<time>\" level=error msg=\"mounting /data: cannot open /srv/\\\"data\\\": "
	    "no such file or directory (config.json:12 /mounts/7/source) [CRL-5101]\"\n");
}

static void test_final_error_on_stderr(void **state)
{
	struct error err = example();
	int saved;

	(void)state;
	open_log(NULL, LOG_FORMAT_JSON, LOG_LEVEL_ERROR);
	check(log_fd() == -1);
	saved = catch_stderr();
	log_error(&err);
	check_has(restore_stderr(saved), "{\"level\":\"error\",\"msg\":\"mounting");

	open_log(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	saved = catch_stderr();
	error_state(&err, "container \"web\" does not exist");
	log_error(&err);
	check_text(restore_stderr(saved), "creel: container \"web\" does not exist [CRL-4000]\n");
}

static void test_the_place_with_what_is_known_of_it(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	int saved;

	(void)state;
	open_log(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	saved = catch_stderr();
	error_config_at(&err, "/process/cwd", "no");
	log_error(&err);
	check_text(restore_stderr(saved),
		   "creel: no [CRL-2000]\n       config.json: /process/cwd\n");

	saved = catch_stderr();
	error_config_at(&err, NULL, "this is not JSON");
	snprintf(err.file, sizeof(err.file), "process.json");
	err.line = 3;
	err.column = 4;
	log_error(&err);
	check_text(restore_stderr(saved),
		   "creel: this is not JSON [CRL-2000]\n       process.json:3:4\n");
}

static void test_records_for_people(void **state)
{
	int saved;

	(void)state;
	open_log(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	saved = catch_stderr();
	log_warning("odd \033[2J");
	check_text(restore_stderr(saved), "creel: warning: odd ?[2J\n");
}

/* Every field as long as it can be, all of it quotes, which are twice as long in the log. */
static void test_the_longest_error_is_whole(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	char quotes[3000];
	const char *line;
	int saved;

	(void)state;
	memset(quotes, '"', sizeof(quotes) - 1);
	quotes[sizeof(quotes) - 1] = '\0';
	error_system(&err, EPERM, "%s", quotes);
	error_hint(&err, "%s", quotes);
	error_at(&err, quotes);
	error_call(&err, quotes);
	error_clean_text(err.file, sizeof(err.file), quotes);
	err.line = UINT32_MAX;
	err.column = UINT32_MAX;
	open_log(path, LOG_FORMAT_JSON, LOG_LEVEL_ERROR);
	saved = catch_stderr();
	log_error(&err);
	check_has(restore_stderr(saved), "...: operation not permitted [CRL-5000]\n");
	line = logged();
	check_text(line + strlen(line) - 6, "...\"}\n");
	check_has(line, "\"line\":4294967295,\"errno\":1,\"syscall\":\"\\\"");
}

static char sent[64];

static void take_record(void *argument, enum log_level level, const char *text)
{
	snprintf(sent, sizeof(sent), "%s %d %s", (const char *)argument, (int)level, text);
}

static void test_a_function_takes_the_records(void **state)
{
	char argument[] = "init";
	struct error err = { .kind = ERROR_NONE };

	(void)state;
	open_log(path, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	log_to_function(take_record, argument);
	log_warning("x %d", 1);
	check_text(sent, "init 1 x 1");
	log_debug("not on");
	check_text(sent, "init 1 x 1");
	check(log_fd() == -1);
	error_system(&err, EPERM, "no");
	log_error(&err);
	check_text(sent, "init 0 no: operation not permitted [CRL-5000]");
	check_text(logged(), "");
	open_log(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_file_is_made_at_once),
		cmocka_unit_test(test_a_log_that_cannot_be_opened),
		cmocka_unit_test(test_a_link_is_not_followed),
		cmocka_unit_test(test_text_records),
		cmocka_unit_test(test_json_records),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_records_are_appended),
		cmocka_unit_test(test_a_long_record_is_one_whole_line),
		cmocka_unit_test(test_final_error_as_json),
		cmocka_unit_test(test_final_error_as_text),
		cmocka_unit_test(test_final_error_on_stderr),
		cmocka_unit_test(test_the_place_with_what_is_known_of_it),
		cmocka_unit_test(test_records_for_people),
		cmocka_unit_test(test_the_longest_error_is_whole),
		cmocka_unit_test(test_a_function_takes_the_records),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
