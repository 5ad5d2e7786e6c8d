/*
 * The log: where warnings and debug messages go, and the one final error that engines read.
 *
 * The sink is the only mutable file-scope variable of the program.  In P it is stderr or the file
 * of
 * --log; S and I have no voice of their own: their sink is a function that sends the record to P
 * (log_to_function), so that a JSON log is always whole.
 *
 * Records in a file are written with one write(2) each, on a descriptor opened with O_APPEND,
 * because engines share one file between containers.  The file is created when the log is opened,
 * even if nothing is ever logged.  The text and JSON shapes are those that engines parse (SPEC 3.5,
 * USERS 2.0).
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>

struct error;

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

/* Opens PATH (created 0644, appended to); NULL means stderr.  Records above LEVEL are dropped. */
int log_open(const char *path, enum log_format format, enum log_level level,
	     struct error *err) must_check;

/* Sends all further records to SEND instead, with SEND's own ARGUMENT; used by S and I. */
void log_to_function(void (*send)(void *argument, enum log_level level, const char *text),
		     void *argument);

bool log_is_on(enum log_level level);
/* The descriptor of the log file that must stay open, or -1 (stderr or a function). */
int log_fd(void);

void log_record(enum log_level level, const char *format, ...) printf_like(2, 3);
#define log_warning(...) log_record(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_record(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_is_on(LOG_LEVEL_DEBUG))                                                    \
			log_record(LOG_LEVEL_DEBUG, __VA_ARGS__);                                  \
	} while (0)

/*
 * Writes the one final error record: to the log file as "level=error" / {"level":"error", "msg",
 * "time", "code", "pointer", "file", "line", "errno", "syscall", "hint"}, and to stderr for people.
 * MSG is self-contained: sentence, errno text, file:line.  Called by main() only.
 */
void log_error(const struct error *err);
