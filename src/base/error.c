/*
 * Fills the error value.  Whatever text comes in - a path of the user, a member of a document,
 * words of a container - goes through error_clean_text(), so that no message can steer a terminal.
 */
#include <creel/error.h>

#include <creel/log.h>
#include <creel/text.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Room for any message and its context before it is cleaned and cut. */
#define RAW_SIZE 2048

static const char cut_mark[] = "...";

/* True for the C1 controls U+0080 to U+009F, which some terminals obey as they obey ESC. */
static bool is_c1(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;

	return byte[0] == 0xc2 && byte[1] < 0xa0;
}

void error_clean_text(char *to, size_t size, const char *text)
{
	size_t length = 0; /* of what is written */
	size_t fits = 0;   /* the longest start of it that leaves room for the mark */

	if (size == 0)
		return;
	while (*text) {
		size_t bytes = text_utf8(text);
		bool bad =
		    bytes == 0 || (unsigned char)*text < 0x20 || *text == 0x7f || is_c1(text);
		size_t written = bad ? 1 : bytes;

		if (length + written >= size) {
			if (sizeof(cut_mark) <= size) {
				memcpy(to + fits, cut_mark, sizeof(cut_mark));
				return;
			}
			break;
		}
		if (bad)
			to[length] = '?';
		else
			memcpy(to + length, text, bytes);
		length += written;
		if (length + sizeof(cut_mark) <= size)
			fits = length;
		text += bytes ? bytes : 1;
	}
	to[length] = '\0';
}

struct raw {
	char text[RAW_SIZE];
	size_t length;
};

static void raw_add(struct raw *raw, char byte)
{
	if (raw->length < sizeof(raw->text) - 1)
		raw->text[raw->length++] = byte;
}

static void raw_where(struct raw *raw, const struct where *at)
{
	char number[24];
	const char *part = at->key;

	if (at->up)
		raw_where(raw, at->up);
	if (!part) {
		snprintf(number, sizeof(number), "%zu", at->index);
		part = number;
	}
	raw_add(raw, '/');
	for (; *part; part++) {
		/* RFC 6901: "~" is the escape, "/" separates. */
		if (*part == '~' || *part == '/')
			raw_add(raw, '~');
		raw_add(raw, (char)(*part == '~' ? '0' : *part == '/' ? '1' : *part));
	}
}

void where_text(const struct where *at, char *text, size_t size)
{
	struct raw raw = { .length = 0 };

	if (at)
		raw_where(&raw, at);
	raw.text[raw.length] = '\0';
	error_clean_text(text, size, raw.text);
}

/* Starts *ERR anew.  The text is made first: the arguments may point into the old *ERR. */
static void set(struct error *err, enum error_kind kind, int errnum, const char *format,
		va_list args) printf_like(4, 0);

static void set(struct error *err, enum error_kind kind, int errnum, const char *format,
		va_list args)
{
	char raw[RAW_SIZE];

	vsnprintf(raw, sizeof(raw), format, args);
	*err = (struct error){ .kind = kind, .errnum = errnum };
	error_clean_text(err->what, sizeof(err->what), raw);
}

int error_usage(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_USAGE, 0, format, args);
	va_end(args);
	return -1;
}

int error_config(struct error *err, const struct where *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_CONFIG, 0, format, args);
	va_end(args);
	where_text(at, err->where, sizeof(err->where));
	return -1;
}

int error_config_at(struct error *err, const char *pointer, const char *format, ...)
{
	char where[sizeof(err->where)];
	va_list args;

	error_clean_text(where, sizeof(where), pointer ? pointer : "");
	va_start(args, format);
	set(err, ERROR_CONFIG, 0, format, args);
	va_end(args);
	memcpy(err->where, where, sizeof(where));
	return -1;
}

int error_unsupported(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_UNSUPPORTED, 0, format, args);
	va_end(args);
	return -1;
}

int error_state(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_STATE, 0, format, args);
	va_end(args);
	return -1;
}

int error_system(struct error *err, int errnum, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, ERROR_SYSTEM, errnum, format, args);
	va_end(args);
	return -1;
}

int error_while(struct error *err, const char *format, ...)
{
	char raw[RAW_SIZE];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (length < 0)
		return -1;
	if ((size_t)length < sizeof(raw))
		snprintf(raw + length, sizeof(raw) - (size_t)length, ": %s", err->what);
	error_clean_text(err->what, sizeof(err->what), raw);
	return -1;
}

int error_hint(struct error *err, const char *format, ...)
{
	char raw[RAW_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	error_clean_text(err->hint, sizeof(err->hint), raw);
	return -1;
}

int error_call(struct error *err, const char *call)
{
	if (err->call[0] == '\0')
		error_clean_text(err->call, sizeof(err->call), call);
	return -1;
}

int error_at(struct error *err, const char *pointer)
{
	if (pointer && err->where[0] == '\0')
		error_clean_text(err->where, sizeof(err->where), pointer);
	return -1;
}

int error_code(struct error *err, enum crl code)
{
	if (err->code == 0)
		err->code = (int)code;
	return -1;
}

void error_ignore(struct error *err, const char *reason)
{
	log_debug("%s: ignored: %s", err->what, reason);
	*err = (struct error){ .kind = ERROR_NONE };
}
