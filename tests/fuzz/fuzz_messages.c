/*
 * What comes over sockets: records of the channel between the processes of creel, and a container's
 * sd_notify(3) messages. The first byte picks which.
 */
#include "fuzz.h"

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/log.h>
#include <creel/message.h>
#include <creel/notify.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int channel[2], inner[2], outer[2];

static void swallow(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	(void)level;
	must(strlen(text) < SIZE_MAX);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err = { 0 };

	(void)argc;
	(void)argv;
	must(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, &err) == 0);
	log_to_function(swallow, NULL);
	must(channel_pair(channel, &err) == 0);
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, inner) == 0);
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, outer) == 0);
	return 0;
}

/* All zero but for what the input changes, at a place that it says: most changes are to be
 * survived. */
static void patch(struct bytes *bytes, void *record, size_t size)
{
	while (bytes->left > 0) {
		size_t at = take_number(bytes, 2) % size;
		size_t n = take_byte(bytes) % 64;

		for (size_t i = 0; i < n && at + i < size && bytes->left > 0; i++)
			((uint8_t *)record)[at + i] = take_byte(bytes);
	}
}

static bool ends(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

static void receive_record(struct bytes *bytes, int change)
{
	uint8_t record[sizeof(struct message) + 8] = { 0 };
	size_t size = sizeof(struct message) + (size_t)(change % 3) - 1;
	struct message message;
	struct error err = { 0 };
	int fd = -1, got;

	if (change % 4 == 3)
		size = sizeof(struct message);
	patch(bytes, record, sizeof(record));
	must(channel_send(channel[0], record, size, change & 16 ? channel[0] : -1, &err) == 0);
	got = message_receive(channel[1], &message, &fd, 1000, &err);
	must(got == 1 || (got == -1 && err.errnum == EPROTO && fd == -1));
	must(got == -1 || size == sizeof(struct message));
	if (got < 0)
		return;
	must((fd >= 0) == ((change & 16) != 0));
	if (fd >= 0)
		close(fd);
	must((unsigned int)message.kind <= MESSAGE_ERROR);
	must(ends(message.error.what, sizeof(message.error.what)));
	must(ends(message.error.hint, sizeof(message.error.hint)));
	must(ends(message.error.where, sizeof(message.error.where)));
	must(ends(message.error.file, sizeof(message.error.file)));
	must(ends(message.error.call, sizeof(message.error.call)));
	log_error(&message.error);
	error_while(&message.error, "context");
}

/* Every line that reaches the service manager is one that a container may say. */
static void check_lines(char *text)
{
	static const char *const words[] = { "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1" };

	for (char *line = strsep(&text, "\n"); line && *line; line = strsep(&text, "\n")) {
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			known |= strcmp(line, words[i]) == 0;
		if (text_starts_with(line, "MONOTONIC_USEC=")) {
			const char *value = line + strlen("MONOTONIC_USEC=");

			known = value[0] && strspn(value, "0123456789") == strlen(value);
		}
		must(known);
	}
}

static void relay(const struct bytes *bytes)
{
	const struct notify notify = { .inner = inner[1], .outer = outer[0] };
	char text[512];
	ssize_t n;

	must(send(inner[0], bytes->at, bytes->left, 0) == (ssize_t)bytes->left);
	notify_relay(&notify);
	n = recv(outer[1], text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n <= 0)
		return;
	text[n] = '\0';
	check_lines(text);
	must(recv(outer[1], text, sizeof(text), MSG_DONTWAIT) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	uint8_t choice = take_byte(&bytes);

	if (choice & 128)
		receive_record(&bytes, choice);
	else if (bytes.left <= 8192)
		relay(&bytes);
	return 0;
}
