/*
 * The log and its one sink.  Nothing here allocates, so that it works in every process of creel at
 * any time, and each record is one write(2).
 */
#include <creel/log.h>

#include <assert.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/text.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_SIZE 2048
#define LINE_SIZE    6144

static struct {
	int fd; /* of the file, or -1: stderr */
	enum log_format format;
	enum log_level level;
	void (*send)(void *argument, enum log_level level, const char *text);
	void *argument;
} sink = { .fd = -1 };

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "error";
}

/* A log lies in directories that others may write to: a link there would make us append to what it
 * names (CVE-2026-53489).  /dev/stderr is a link by nature. */
static int nofollow(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0 ? 0 : O_NOFOLLOW;
}

int log_open(const char *path, enum log_format format, enum log_level level, struct error *err)
{
	int fd = -1;

	if (path) {
		fd = open(path,
			  O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC | nofollow(path),
			  0644);
		if (fd < 0)
			return error_system(err, errno, "cannot open the log %s", path);
	}
	fd_close(&sink.fd);
	sink.fd = fd;
	sink.format = format;
	sink.level = level;
	sink.send = NULL;
	sink.argument = NULL;
	return 0;
}

void log_to_function(void (*send)(void *argument, enum log_level level, const char *text),
		     void *argument)
{
	sink.send = send;
	sink.argument = argument;
}

bool log_is_on(enum log_level level)
{
	return level <= sink.level;
}

int log_fd(void)
{
	return sink.send ? -1 : sink.fd;
}

/* A string of an error grows to twice its size when it is quoted (it holds no control bytes), and
 * stands twice in a record: in the message and on its own.  So only the message of log_record() can
 * be cut. */
static_assert(LINE_SIZE >= 4 * sizeof(struct error) + 512, "the final record always fits");

/* A line in the making.  What does not fit is left out; the end is always kept free for the
 * closing. */
struct line {
	char text[LINE_SIZE];
	size_t length;
};

/* Room for what closes a record, whatever came before: quote, time, brace and newline. */
#define LINE_END 64

static void line_add(struct line *line, const char *text, size_t n)
{
	if (n > sizeof(line->text) - LINE_END - line->length)
		return;
	memcpy(line->text + line->length, text, n);
	line->length += n;
}

static void line_text(struct line *line, const char *text)
{
	line_add(line, text, strlen(text));
}

/* Uses the room that is kept free. */
static void line_close(struct line *line, const char *text)
{
	size_t n = strlen(text);

	memcpy(line->text + line->length, text, n);
	line->length += n;
}

/* Adds TEXT between quotes, escaped as JSON wants it; logfmt's quoted strings agree with that. */
static void line_quoted(struct line *line, const char *text)
{
	line_text(line, "\"");
	while (*text) {
		size_t bytes = text_utf8(text);
		char escape[8];

		if (bytes == 0) {
			line_text(line, "\\ufffd");
			text++;
			continue;
		}
		if (*text == '"' || *text == '\\')
			snprintf(escape, sizeof(escape), "\\%c", *text);
		else if (*text == '\n')
			snprintf(escape, sizeof(escape), "\\n");
		else if (*text == '\t')
			snprintf(escape, sizeof(escape), "\\t");
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)*text);
		else if ((unsigned char)*text == 0xc2 && (unsigned char)text[1] < 0xa0)
			snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)text[1]);
		else
			escape[0] = '\0';
		if (escape[0])
			line_text(line, escape);
		else
			line_add(line, text, bytes);
		text += bytes;
	}
	line_close(line, "\"");
}

/*
 * The present as RFC 3339 in UTC.  gmtime_r() would read /etc/localtime, which inside a container
 * is a file that somebody else made.
 */
static void now_text(char *text, size_t size)
{
	struct timespec now;
	int64_t days, seconds, era, of_era, year, of_year, month;

	clock_gettime(CLOCK_REALTIME, &now);
	days = (int64_t)now.tv_sec / 86400;
	seconds = (int64_t)now.tv_sec % 86400;

	/* Days since 0000-03-01, in eras of 400 years, so that the leap day ends a year. */
	days += 719468;
	era = days / 146097;
	of_era = days % 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02dZ",
		 (int)(year + era * 400 + (month >= 10)), (int)(month < 10 ? month + 3 : month - 9),
		 (int)(of_year - (153 * month + 2) / 5 + 1), (int)(seconds / 3600),
		 (int)(seconds / 60 % 60), (int)(seconds % 60));
}

/* There is nobody to tell that the log is broken. */
static void write_line(int fd, const struct line *line)
{
	ssize_t written;

	do
		written = write(fd, line->text, line->length);
	while (written < 0 && errno == EINTR);
}

/* For each extra member of a JSON record. */
static void json_text(struct line *line, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	line_text(line, ",\"");
	line_text(line, key);
	line_text(line, "\":");
	line_quoted(line, value);
}

static void json_number(struct line *line, const char *key, long long value)
{
	char text[64];

	if (value == 0)
		return;
	snprintf(text, sizeof(text), ",\"%s\":%lld", key, value);
	line_text(line, text);
}

static const char *document(const struct error *err)
{
	return err->file[0] ? err->file : "config.json";
}

static bool has_place(const struct error *err)
{
	return err->where[0] || err->file[0] || err->line > 0;
}

static void json_error(struct line *line, const struct error *err)
{
	char code[24];

	snprintf(code, sizeof(code), "CRL-%04d", error_code_of(err));
	json_text(line, "code", code);
	json_text(line, "pointer", err->where);
	json_text(line, "file", has_place(err) ? document(err) : "");
	json_number(line, "line", err->line);
	json_number(line, "errno", err->errnum);
	json_text(line, "syscall", err->call);
	json_text(line, "hint", err->hint);
}

/* One record as machines read it; ERR gives the extra members of the final error, or is NULL. */
static void write_record(int fd, enum log_level level, const char *message, const struct error *err)
{
	struct line line;
	char time[32];

	line.length = 0;
	now_text(time, sizeof(time));
	if (sink.format == LOG_FORMAT_JSON) {
		line_text(&line, "{\"level\":\"");
		line_text(&line, level_name(level));
		line_text(&line, "\",\"msg\":");
		line_quoted(&line, message);
		line_close(&line, ",\"time\":\"");
		line_close(&line, time);
		line_close(&line, "\"");
		if (err)
			json_error(&line, err);
		line_close(&line, "}\n");
	} else {
		line_text(&line, "time=\"");
		line_text(&line, time);
		line_text(&line, "\" level=");
		line_text(&line, level_name(level));
		line_text(&line, " msg=");
		line_quoted(&line, message);
		line_close(&line, "\n");
	}
	write_line(fd, &line);
}

void log_record(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	if (!log_is_on(level))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);

	if (sink.send) {
		sink.send(sink.argument, level, message);
	} else if (sink.fd >= 0 || sink.format == LOG_FORMAT_JSON) {
		write_record(sink.fd >= 0 ? sink.fd : STDERR_FILENO, level, message, NULL);
	} else {
		struct line line;

		line.length = 0;
		line_text(&line, "creel: ");
		line_text(&line, level_name(level));
		line_text(&line, ": ");
		error_clean_text(line.text + line.length, MESSAGE_SIZE, message);
		line.length += strlen(line.text + line.length);
		line_close(&line, "\n");
		write_line(STDERR_FILENO, &line);
	}
}

/*
 * The sentence with its cause.  The cause is in lower case because that is what engines look for
 * ("no such file or directory"); it is taken as it is when its first word is a name ("RPC ...").
 */
static void sentence(const struct error *err, char *text, size_t size)
{
	int length = snprintf(text, size, "%s", err->what);

	if (err->errnum == 0 || length < 0 || (size_t)length >= size)
		return;
	snprintf(text + length, size - (size_t)length, ": %s", strerror(err->errnum));
	length += 2;
	if ((size_t)length + 1 < size && isupper((unsigned char)text[length]) &&
	    !isupper((unsigned char)text[length + 1]))
		text[length] = (char)tolower((unsigned char)text[length]);
}

/*
 * Everything in one line, which is all that engines keep: the code is for whoever has nothing but
 * their output.  Hints stay out: engines match phrases, and a hint may well quote one.
 */
static void one_line(const struct error *err, char *text, size_t size)
{
	size_t length;

	sentence(err, text, size);
	length = strlen(text);
	if (has_place(err) && err->line > 0)
		snprintf(text + length, size - length, " (%s:%u%s%s)", document(err), err->line,
			 err->where[0] ? " " : "", err->where);
	else if (has_place(err))
		snprintf(text + length, size - length, " (%s%s%s)", document(err),
			 err->where[0] ? " " : "", err->where);
	length = strlen(text);
	snprintf(text + length, size - length, " [CRL-%04d]", error_code_of(err));
}

static void write_for_people(const struct error *err)
{
	bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	char text[MESSAGE_SIZE];
	struct line line;

	line.length = 0;
	sentence(err, text, sizeof(text));
	line_text(&line, colour ? "\033[1;31mcreel:\033[0m " : "creel: ");
	line_text(&line, text);
	snprintf(text, sizeof(text), " [CRL-%04d]\n", error_code_of(err));
	line_text(&line, text);
	if (has_place(err)) {
		snprintf(text, sizeof(text), "       %s", document(err));
		line_text(&line, text);
		if (err->line > 0) {
			snprintf(text, sizeof(text), ":%u:%u", err->line, err->column);
			line_text(&line, text);
		}
		line_text(&line, err->where[0] ? ": " : "");
		line_text(&line, err->where);
		line_text(&line, "\n");
	}
	if (err->hint[0]) {
		line_text(&line, colour ? "\033[1mhint:\033[0m  " : "hint:  ");
		line_text(&line, err->hint);
		line_text(&line, "\n");
	}
	write_line(STDERR_FILENO, &line);
}

void log_error(const struct error *err)
{
	char message[MESSAGE_SIZE];

	one_line(err, message, sizeof(message));
	if (sink.send) {
		sink.send(sink.argument, LOG_LEVEL_ERROR, message);
		return;
	}
	if (sink.fd >= 0)
		write_record(sink.fd, LOG_LEVEL_ERROR, message, err);
	if (sink.fd < 0 && sink.format == LOG_FORMAT_JSON)
		write_record(STDERR_FILENO, LOG_LEVEL_ERROR, message, err);
	else
		write_for_people(err);
}
