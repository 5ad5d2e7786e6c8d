/* The protocol between P, S and I: fixed records, so that no length of theirs is ever trusted. */
#include <creel/message.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include <creel/channel.h>
#include <creel/fd.h>
#include <creel/log.h>

#define SILENCE_MS 60000

int message_send(int channel, enum message_kind kind, int number, int fd, struct error *err)
{
	const struct message message = { .kind = kind, .number = number };

	return channel_send(channel, &message, sizeof(message), fd, err);
}

static int tell(int channel, enum message_kind kind, int number, int fd, struct error *err)
{
	if (message_send(channel, kind, number, fd, err) == 0)
		return 0;
	/* ECONNRESET: it did not read what we had told it before. */
	if (err->errnum != EPIPE && err->errnum != ECONNRESET)
		return -1;
	error_ignore(err, "it has ended, and its last words say why");
	/* One that waits all the same would do so forever: to it, it is we who have ended. */
	if (shutdown(channel, SHUT_WR) < 0)
		return error_system(err, errno, "cannot end what is said");
	return 0;
}

int message_tell(int channel, enum message_kind kind, int number, struct error *err)
{
	return tell(channel, kind, number, -1, err);
}

int message_pass(int channel, enum message_kind kind, int fd, struct error *err)
{
	return tell(channel, kind, 0, fd, err);
}

void message_send_error(int channel, const struct error *error)
{
	const struct message message = { .kind = MESSAGE_ERROR, .error = *error };
	struct error err = { 0 };

	if (channel_send(channel, &message, sizeof(message), -1, &err) < 0)
		error_ignore(&err, "there is nobody left to tell");
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* I shares a user and a pid namespace with what may be hostile: its words end, and its numbers are
 * those of the tables. */
static bool is_sound(const struct message *message)
{
	const struct error *error = &message->error;

	return (unsigned int)message->kind <= MESSAGE_ERROR &&
	       (unsigned int)error->kind <= ERROR_SYSTEM &&
	       ends(error->call, sizeof(error->call)) && ends(error->where, sizeof(error->where)) &&
	       ends(error->file, sizeof(error->file)) && ends(error->what, sizeof(error->what)) &&
	       ends(error->hint, sizeof(error->hint));
}

static void clean(char *text, size_t size)
{
	char raw[sizeof(((struct error *)NULL)->what)];

	if (text[0] == '\0')
		return;
	memcpy(raw, text, size);
	error_clean_text(text, size, raw);
}

/* The constructors of errors do it, but who sends may not have used them: nothing that is printed
 * shall steer a terminal. */
static void clean_words(struct error *error)
{
	clean(error->call, sizeof(error->call));
	clean(error->where, sizeof(error->where));
	clean(error->file, sizeof(error->file));
	clean(error->what, sizeof(error->what));
	clean(error->hint, sizeof(error->hint));
}

int message_receive(int channel, struct message *message, int *fd, int timeout_ms,
		    struct error *err)
{
	int got = channel_receive(channel, message, sizeof(*message), fd, timeout_ms, err);

	if (got <= 0)
		return got;
	if (is_sound(message)) {
		clean_words(&message->error);
		return got;
	}
	if (fd)
		fd_close(fd);
	return error_system(err, EPROTO, "the other process sent a message that is none");
}

static int expect(int channel, enum message_kind kind, int timeout_ms, int *number, int *fd,
		  struct error *err)
{
	struct message message;
	int got = message_receive(channel, &message, fd, timeout_ms, err);

	if (got < 0)
		return -1;
	if (got == 0)
		return error_system(err, ECONNRESET, "the other side is gone");
	if (message.kind != kind)
		return error_system(err, EPROTO, "message %d came instead of %d", message.kind,
				    kind);
	*number = message.number;
	return 0;
}

int message_expect_number(int channel, enum message_kind kind, int timeout_ms, int *number,
			  struct error *err)
{
	return expect(channel, kind, timeout_ms, number, NULL, err);
}

int message_expect_fd(int channel, enum message_kind kind, int timeout_ms, int *fd,
		      struct error *err)
{
	int number;

	if (expect(channel, kind, timeout_ms, &number, fd, err) < 0)
		return -1;
	if (*fd < 0)
		return error_system(err, EPROTO, "message %d came without its descriptor", kind);
	return 0;
}

int message_expect(int channel, enum message_kind kind, int timeout_ms, struct error *err)
{
	int number;

	return message_expect_number(channel, kind, timeout_ms, &number, err);
}

int message_patience(int timeout_ms, bool hooks)
{
	/* A thousand containers that start at once on two processors need seconds; a dead disk
	 * needs for ever. */
	return timeout_ms >= 0 ? timeout_ms : hooks ? -1 : SILENCE_MS;
}

static void send_log(void *argument, enum log_level level, const char *text)
{
	const int *channel = argument;
	struct message message = { .kind = MESSAGE_LOG, .number = (int)level };
	struct error err = { 0 };

	strncpy(message.error.what, text, sizeof(message.error.what) - 1);
	if (channel_send(*channel, &message, sizeof(message), -1, &err) < 0)
		err.kind = ERROR_NONE; /* A log record that nobody hears is no error, and cannot be
					  logged. */
}

void message_log_to(int *channel)
{
	log_to_function(send_log, channel);
}
