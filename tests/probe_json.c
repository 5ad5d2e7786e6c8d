/*
 * The JSON writer of the probe.  It keeps no tree: a value is on its way to stdout as soon as it is
 * known, so that a probe that dies half-way still shows how far it came.
 */
#include "probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool first = true; /* nothing was written yet in the innermost object or list */

static void put_escaped(unsigned char c)
{
	static const char *const short_form[] = {
		['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",	 ['\f'] = "\\f",
		['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
	};

	if (c < sizeof(short_form) / sizeof(*short_form) && short_form[c])
		fputs(short_form[c], stdout);
	else if (c < 0x20 || c == 0x7f)
		printf("\\u%04x", c);
	else if (c >= 0x80)
		printf("\\udc%02x", c); /* no UTF-8: Python's "surrogateescape" */
	else
		putchar(c);
}

/* Returns the length of the UTF-8 sequence at TEXT, or 0 when there is none. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	size_t n = text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
		   : text[0] >= 0xe0		      ? 3
		   : text[0] >= 0xc2		      ? 2
						      : 0;

	if (text[0] > 0xf4 || n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and beyond U+10FFFF. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

static void put_text(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	const unsigned char *end = at + length;

	putchar('"');
	while (at < end) {
		size_t n = *at < 0x80 ? 0 : utf8_length(at, end - at);

		if (n > 0)
			fwrite(at, 1, n, stdout);
		else
			put_escaped(*at);
		at += n > 0 ? n : 1;
	}
	putchar('"');
}

static void put_key(const char *key)
{
	if (!first)
		putchar(',');
	first = false;
	if (key) {
		put_text(key, strlen(key));
		putchar(':');
	}
}

void json_open(const char *key, char bracket)
{
	put_key(key);
	putchar(bracket);
	first = true;
}

void json_close(char bracket)
{
	putchar(bracket);
	first = false;
}

void json_text(const char *key, const char *text, size_t length)
{
	put_key(key);
	put_text(text, length);
}

void json_string(const char *key, const char *text)
{
	if (!text)
		json_null(key);
	else
		json_text(key, text, strlen(text));
}

void json_number(const char *key, long long number)
{
	put_key(key);
	printf("%lld", number);
}

void json_unsigned(const char *key, unsigned long long number)
{
	put_key(key);
	printf("%llu", number);
}

void json_bool(const char *key, bool value)
{
	put_key(key);
	fputs(value ? "true" : "false", stdout);
}

void json_null(const char *key)
{
	put_key(key);
	fputs("null", stdout);
}

void json_format(const char *key, const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_string(key, text);
}

void json_seconds(const char *key, int64_t seconds, long nanoseconds)
{
	put_key(key);
	printf("%lld.%09ld", (long long)seconds, nanoseconds);
}

void json_end(void)
{
	putchar('\n');
	first = true;
	if (fflush(stdout) != 0)
		_Exit(1);
}
