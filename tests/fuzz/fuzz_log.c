/*
 * The log: whatever bytes come in, a record is one line; JSON is JSON with the message in it, text
 * holds nothing that would steer a terminal.  The first byte picks the format and whether it is the
 * final error.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/json.h>
#include <creel/log.h>
#include <creel/table.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_MAX 65536

static int file = -1;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	file = memfd_create("log", MFD_CLOEXEC);
	must(file >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return 0;
}

static size_t logged(char *text)
{
	ssize_t n = pread(file, text, LOG_MAX - 1, 0);

	must(n > 0 && n < LOG_MAX - 1);
	text[n] = '\0';
	return (size_t)n;
}

static void check_line(const char *text, size_t size)
{
	must(strlen(text) == size && text[size - 1] == '\n');
	for (size_t i = 0; i + 1 < size; i++)
		must((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
	for (const char *at = text; *at;) {
		size_t n = text_utf8(at);

		must(n > 0);
		/* The C1 controls. */
		must(n != 2 || (unsigned char)at[0] != 0xc2 || (unsigned char)at[1] >= 0xa0);
		at += n;
	}
}

static void check_json(struct arena *arena, const char *text, size_t size, const char *message)
{
	struct error err = { 0 };
	const struct json *tree = json_parse(arena, "log", text, size, &err);
	const struct json *found;

	if (!tree) {
		fprintf(stderr, "%s: %s\n", err.what, text);
		abort();
	}
	found = json_member(tree, "msg");
	must(found && found->type == JSON_STRING);
	must(json_member(tree, "level") && json_member(tree, "time"));
	/* Plain text comes through as it is. */
	for (const char *at = message; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
			return;
	must(strlen(message) > 500 || strncmp(found->text, message, strlen(message)) == 0);
}

static void fill(struct bytes *bytes, char *text, size_t size)
{
	for (size_t i = 0; i + 1 < size && bytes->left > 0; i++) {
		text[i] = (char)take_byte(bytes);
		if (text[i] == '\0')
			return;
	}
}

static void log_final(struct arena *arena, struct bytes *bytes, bool json)
{
	static char text[LOG_MAX];
	struct error err = { .kind = ERROR_SYSTEM };
	char message[600] = "";

	err.errnum = take_byte(bytes) % 134;
	err.line = take_byte(bytes);
	fill(bytes, message, sizeof(message));
	/* Through the constructors, as everything comes. */
	error_system(&err, err.errnum, "%s", message);
	fill(bytes, err.where, sizeof(err.where));
	fill(bytes, err.file, sizeof(err.file));
	fill(bytes, err.call, sizeof(err.call));
	error_hint(&err, "%s", bytes->left ? take_text(arena, bytes, '\0', NULL) : "hint");
	log_error(&err);
	if (json)
		check_json(arena, text, logged(text), "");
	else
		check_line(text, logged(text));
}

/* The tables of `list`, `ps` and `stats`. */
static void check_table(struct arena *arena, const char *text)
{
	static const struct table_column columns[] = { { .head = "A" },
						       { .head = "B", .right = true } };
	struct table table = { .arena = arena, .columns = columns, .columns_n = 2 };
	const char *printed;
	size_t lines = 0;

	TABLE_ADD(&table, text, "1");
	TABLE_ADD(&table, "2", text);
	printed = table_text(&table);
	for (const char *at = printed; *at;) {
		size_t n = text_utf8(at);

		must(n > 0 && (*at == '\n' || ((unsigned char)*at >= 0x20 && *at != 0x7f)));
		must(n != 2 || (unsigned char)at[0] != 0xc2 || (unsigned char)at[1] >= 0xa0);
		lines += *at == '\n';
		at += n;
	}
	must(lines == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[LOG_MAX];
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct error err = { 0 };
	uint8_t choice = take_byte(&bytes);
	enum log_format format = choice & 1 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	const char *message;

	must(ftruncate(file, 0) == 0);
	must(log_open(path, format, LOG_LEVEL_DEBUG, &err) == 0);
	if (choice & 2) {
		log_final(&arena, &bytes, choice & 1);
		return 0;
	}
	message = take_rest(&arena, &bytes, &size);
	check_table(&arena, message);
	log_record((enum log_level)(choice >> 2 & 3), "%s", message);
	size = logged(text);
	check_line(text, size);
	if (format == LOG_FORMAT_JSON)
		check_json(&arena, text, size, message);
	return 0;
}
