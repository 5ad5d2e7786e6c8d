/*
 * The watcher of a foreground process: one loop over the process, the signals and the two
 * directions of the terminal.  A reader that stalls stops only its own direction, and no byte is
 * lost when the process ends first.
 */
#include <creel/monitor.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/notify.h>
#include <creel/process.h>
#include <creel/terminal.h>

#define RELAY_SIZE 65536

/* One direction: bytes read and not yet written. */
struct relay {
	int from, to;
	size_t start, end;
	bool closed;  /* nothing more will be read */
	char *buffer; /* of RELAY_SIZE bytes */
};

int monitor_block_signals(struct error *err)
{
	sigset_t set;
	int fd;

	sigfillset(&set);
	/* Those that mean a bug of our own, and those that cannot be blocked, stay as they are. */
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGTRAP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_system(err, errno, "cannot block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_system(err, errno, "cannot make a descriptor for signals");
	return fd;
}

/* All but those that are about us or our terminal. */
static bool is_forwarded(int signal)
{
	return signal != SIGCHLD && signal != SIGWINCH && signal != SIGURG && signal != SIGPIPE &&
	       signal != SIGTTIN && signal != SIGTTOU;
}

static void take_signals(const struct monitor *monitor)
{
	struct signalfd_siginfo info;

	while (read(monitor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		struct error err = { 0 };
		int signal = (int)info.ssi_signo;

		if (signal == SIGWINCH && monitor->console >= 0)
			terminal_copy_size(STDIN_FILENO, monitor->console);
		else if (is_forwarded(signal) && process_signal(monitor->pidfd, signal, &err) < 0)
			error_ignore(&err, "the process ended before the signal came");
	}
}

static void relay_read(struct relay *relay)
{
	ssize_t n = read(relay->from, relay->buffer, RELAY_SIZE);

	if (n > 0) {
		relay->start = 0;
		relay->end = (size_t)n;
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		relay->closed = true; /* EIO: the last process of the terminal closed it. */
	}
}

static void relay_write(struct relay *relay)
{
	ssize_t n = write(relay->to, relay->buffer + relay->start, relay->end - relay->start);

	if (n > 0)
		relay->start += (size_t)n;
	else if (n < 0 && errno != EINTR && errno != EAGAIN)
		relay->start = relay->end = 0, relay->closed = true; /* Nobody reads any more. */
	if (relay->start == relay->end)
		relay->start = relay->end = 0;
}

static bool has_bytes(const struct relay *relay)
{
	return relay->end > relay->start;
}

/* What POLL should watch for this direction: either its reader or its writer is the next to move.
 */
static void relay_watch(const struct relay *relay, struct pollfd *in, struct pollfd *out)
{
	*in = (struct pollfd){ .fd = -1 };
	*out = (struct pollfd){ .fd = -1 };
	if (has_bytes(relay))
		*out = (struct pollfd){ .fd = relay->to, .events = POLLOUT };
	else if (!relay->closed)
		*in = (struct pollfd){ .fd = relay->from, .events = POLLIN };
}

static void relay_move(struct relay *relay, const struct pollfd *in, const struct pollfd *out)
{
	if (out->revents)
		relay_write(relay);
	else if (in->revents)
		relay_read(relay);
}

enum {
	POLL_PROCESS,
	POLL_SIGNALS,
	POLL_NOTIFY,
	POLL_UP_IN,
	POLL_UP_OUT,
	POLL_DOWN_IN,
	POLL_DOWN_OUT,
	POLL_COUNT
};

/* After the process ended its output is still in the pty: it is read until that is empty or nobody
 * takes it any more. */
static void drain(struct relay *down)
{
	while (!down->closed || has_bytes(down)) {
		struct pollfd in, out;

		relay_watch(down, &in, &out);

		struct pollfd fds[] = { in, out };

		/* 0: other processes of the container still hold the terminal open, but nothing is
		 * in it. */
		if (poll(fds, 2, has_bytes(down) ? 1000 : 0) <= 0)
			return;
		relay_move(down, &fds[0], &fds[1]);
	}
}

static int loop(struct monitor *monitor, struct relay *up, struct relay *down, struct error *err)
{
	for (;;) {
		struct pollfd fds[POLL_COUNT] = {
			[POLL_PROCESS] = { .fd = monitor->pidfd, .events = POLLIN },
			[POLL_SIGNALS] = { .fd = monitor->signals, .events = POLLIN },
			[POLL_NOTIFY] = { .fd = monitor->notify ? monitor->notify->inner : -1,
					  .events = POLLIN },
		};

		relay_watch(up, &fds[POLL_UP_IN], &fds[POLL_UP_OUT]);
		relay_watch(down, &fds[POLL_DOWN_IN], &fds[POLL_DOWN_OUT]);
		if (poll(fds, POLL_COUNT, -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_system(err, errno, "cannot watch the container");
		}
		if (fds[POLL_SIGNALS].revents)
			take_signals(monitor);
		if (fds[POLL_NOTIFY].revents)
			notify_relay(monitor->notify);
		relay_move(up, &fds[POLL_UP_IN], &fds[POLL_UP_OUT]);
		relay_move(down, &fds[POLL_DOWN_IN], &fds[POLL_DOWN_OUT]);
		if (fds[POLL_PROCESS].revents) {
			drain(down);
			return 0;
		}
	}
}

static int watch_plain(struct monitor *monitor, struct error *err)
{
	struct relay up = { .closed = true }, down = { .closed = true };

	return loop(monitor, &up, &down, err);
}

static int watch_terminal(struct monitor *monitor, struct error *err)
{
	char up_buffer[RELAY_SIZE], down_buffer[RELAY_SIZE];
	struct relay up = { .from = STDIN_FILENO, .to = monitor->console, .buffer = up_buffer };
	struct relay down = { .from = monitor->console,
			      .to = STDOUT_FILENO,
			      .buffer = down_buffer };
	struct termios saved;
	struct error no_terminal = { 0 };
	bool raw = false;
	int result;

	if (fcntl(monitor->console, F_SETFL, O_NONBLOCK) < 0)
		return error_system(err, errno, "cannot prepare the terminal for relaying");
	if (isatty(STDIN_FILENO)) {
		terminal_copy_size(STDIN_FILENO, monitor->console);
		raw = terminal_raw(STDIN_FILENO, &saved, &no_terminal) == 0;
		if (!raw)
			error_ignore(&no_terminal, "without raw mode the terminal still works");
	}
	result = loop(monitor, &up, &down, err);
	if (raw)
		terminal_restore(STDIN_FILENO, &saved);
	return result;
}

int monitor_run(struct monitor *monitor, int *exit_code, struct error *err)
{
	int status = 0;
	int result =
	    monitor->console >= 0 ? watch_terminal(monitor, err) : watch_plain(monitor, err);

	if (result < 0 || process_wait(monitor->pidfd, -1, &status, err) < 0)
		return -1;
	*exit_code = process_exit_code(status);
	return 0;
}
