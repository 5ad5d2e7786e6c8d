/* For tests that change the process for good: each body runs in a child of its own, and says where
 * it failed. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <creel/error.h>
#include <creel/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka's assertions leave by longjmp(), which would run the rest of the tests in the child as
 * well. */
#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);    \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* For calls that must succeed: shows their error. */
#define check_ok(call, err)                                                                        \
	do {                                                                                       \
		if ((call) < 0) {                                                                  \
			fprintf(stderr, "%s:%d: failed: %s: %s: %s (%s)\n", __FILE__, __LINE__,    \
				#call, (err)->what, strerror((err)->errnum), (err)->hint);         \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static inline int status_of_child(void (*body)(void))
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs BODY in a child; 77 from there skips the test. */
static inline void in_child(void (*body)(void))
{
	int status = status_of_child(body);

	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

#define SKIP_BODY(reason)                                                                          \
	do {                                                                                       \
		fprintf(stderr, "skipped: %s\n", reason);                                          \
		_exit(77);                                                                         \
	} while (0)

static inline int needs_root(void)
{
	if (geteuid() == 0)
		return 0;
	puts("skipped: needs root");
	return 77;
}

/* Collects what is logged into the text that ARGUMENT points to. */
struct warnings {
	char text[1024];
};

static inline void collect_warning(void *argument, enum log_level level, const char *text)
{
	struct warnings *warnings = argument;

	(void)level;
	snprintf(warnings->text, sizeof(warnings->text), "%s", text);
}

static inline void collect_warnings(struct warnings *warnings)
{
	struct error err = { 0 };

	check_ok(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, &err), &err);
	log_to_function(collect_warning, warnings);
}
