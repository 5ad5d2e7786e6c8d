/*
 * The watcher of a foreground process: one loop over the process, the signals and the two
 * directions of the terminal.  A reader that stalls stops only its own direction, and no byte is
 * lost when the process ends first.
 */
#include <creel/monitor.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/notify.h>
#include <creel/process.h>
#include <creel/terminal.h>

#define RELAY_SIZE 65536
/* A terminal is ready for output while less than this waits in it: n_tty.c, WAKEUP_CHARS. */
#define TERMINAL_READY 256

/* One direction: bytes read and not yet written. */
struct relay {
	int from, to;
	size_t start, end;
	size_t at_once;	  /* so much may be written without waiting, when TO is ready */
	bool closed;	  /* nothing more will be read */
	bool broken;	  /* nobody reads any more */
	int errnum;	  /* why bytes were lost, unless their reader just went away */
	bool is_socket;	  /* TO */
	bool never_waits; /* FROM, when there is nothing */
	char *buffer;	  /* of RELAY_SIZE bytes */
};

static void watched(sigset_t *set)
{
	/* sigfillset(3) leaves out what the C library needs for threads, which is SIGRTMIN of
	 * another C library's callers. */
	memset(set, 0xff, sizeof(*set));
	/* Those that mean a bug of our own, and those that cannot be blocked, stay as they are. */
	sigdelset(set, SIGSEGV);
	sigdelset(set, SIGBUS);
	sigdelset(set, SIGFPE);
	sigdelset(set, SIGILL);
	sigdelset(set, SIGABRT);
	sigdelset(set, SIGTRAP);
	sigdelset(set, SIGTTIN);
	sigdelset(set, SIGTTOU);
	/* The pidfd says it too, of the one child that counts. */
	sigdelset(set, SIGCHLD);
}

int monitor_block_signals(struct error *err)
{
	sigset_t set;

	watched(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_system(err, errno, "cannot block signals");
	return 0;
}

/* All but those that are about us or our terminal. */
static bool is_forwarded(int signal)
{
	return signal != SIGWINCH && signal != SIGURG && signal != SIGPIPE;
}

/* The first of our standard streams that is a terminal, or -1. */
static int own_terminal(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

void monitor_own_size(uint16_t *height, uint16_t *width)
{
	struct winsize size;

	if (ioctl(own_terminal(), TIOCGWINSZ, &size) < 0)
		return;
	*height = size.ws_row;
	*width = size.ws_col;
}

static void copy_size(const struct monitor *monitor)
{
	int own = own_terminal();

	if (own >= 0 && monitor->console >= 0)
		terminal_copy_size(own, monitor->console);
}

/* The shell has given us the terminal back: in its own mode, and perhaps in another size. */
static void come_back(const struct monitor *monitor, bool raw)
{
	struct error err = { 0 };
	struct termios now;

	if (raw && terminal_raw(STDIN_FILENO, &now, &err) < 0)
		error_ignore(&err, "without raw mode the terminal still works");
	copy_size(monitor);
}

/*
 * ^Z without a terminal of the process's own: the shell waits for us to stop, and the process,
 * which leads a session of its own, heeds SIGSTOP alone.  SIGCONT comes to us and is forwarded.
 */
static void stop_job(const struct monitor *monitor)
{
	struct error err = { 0 };

	if (process_signal(monitor->pidfd, SIGSTOP, &err) < 0)
		error_ignore(&err, "the process ended before the signal came");
	raise(SIGSTOP);
}

static void take_signals(const struct monitor *monitor, bool raw)
{
	struct signalfd_siginfo info;

	while (read(monitor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		struct error err = { 0 };
		int signal = (int)info.ssi_signo;

		if (signal == SIGCONT)
			come_back(monitor, raw);
		if (signal == SIGWINCH && monitor->console >= 0)
			copy_size(monitor);
		else if (is_forwarded(signal) && process_signal(monitor->pidfd, signal, &err) < 0)
			error_ignore(&err, "the process ended before the signal came");
		if (signal == SIGTSTP && info.ssi_code == SI_KERNEL)
			stop_job(monitor);
	}
}

/* What is there, up to a full buffer: a pty gives a page at a time. */
static void relay_read(struct relay *relay)
{
	do {
		ssize_t n = read(relay->from, relay->buffer + relay->end, RELAY_SIZE - relay->end);

		if (n <= 0) {
			int errnum = n < 0 ? errno : 0;

			if (errnum == EINTR || errnum == EAGAIN)
				return;
			/* EIO: the last process of the terminal closed it. */
			relay->errnum = errnum == EIO ? 0 : errnum;
			relay->closed = true;
			return;
		}
		relay->end += (size_t)n;
	} while (relay->never_waits && relay->end < RELAY_SIZE);
}

/* What is taken without waiting. */
static void relay_write(struct relay *relay)
{
	do {
		const char *bytes = relay->buffer + relay->start;
		size_t left = relay->end - relay->start;
		size_t most = left < relay->at_once ? left : relay->at_once;
		ssize_t n = relay->is_socket
				? send(relay->to, bytes, most, MSG_DONTWAIT | MSG_NOSIGNAL)
				: write(relay->to, bytes, most);

		if (n < 0) {
			int errnum = errno;

			if (errnum == EINTR || errnum == EAGAIN)
				return;
			/* A pipe or a terminal without another side; a file that takes no more is
			 * another matter. */
			if (errnum != EPIPE && errnum != ECONNRESET && !isatty(relay->to))
				relay->errnum = errnum;
			relay->closed = relay->broken = true;
			relay->start = relay->end;
		} else {
			relay->start += (size_t)n;
		}
	} while (relay->at_once == RELAY_SIZE && relay->start < relay->end);
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
	if (out->revents) {
		relay_write(relay);
	} else if (in->revents) {
		relay_read(relay);
		/* Mostly there is room; where there may be none, poll(2) says when. */
		if (relay->never_waits && relay->at_once == RELAY_SIZE && has_bytes(relay))
			relay_write(relay);
	}
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

/* Whether somebody wants us to end: there is no process any more that could be told. */
static bool is_told_to_end(const struct monitor *monitor)
{
	struct signalfd_siginfo info;
	bool told = false;

	while (read(monitor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		told |= info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM ||
			info.ssi_signo == SIGHUP || info.ssi_signo == SIGQUIT;
	return told;
}

/* After the process ended its output is still in the pty: it is read until that is empty or nobody
 * takes it any more. */
static void drain(const struct monitor *monitor, struct relay *down)
{
	while (!down->closed || has_bytes(down)) {
		struct pollfd fds[3] = { [2] = { .fd = monitor->signals, .events = POLLIN } };

		relay_watch(down, &fds[0], &fds[1]);

		int ready = poll(fds, 3, has_bytes(down) ? -1 : 0);

		if (ready < 0 && errno == EINTR)
			continue;
		/* 0: other processes of the container still hold the terminal open, but nothing is
		 * in it. */
		if (ready <= 0 || (fds[2].revents && is_told_to_end(monitor)))
			return;
		relay_move(down, &fds[0], &fds[1]);
	}
}

/*
 * Nobody reads what the process writes: its terminal hangs up, as it does when a window is closed,
 * or the process would wait in its next write for ever.  In place, since the number belongs to our
 * caller.
 */
static void hang_up(const struct monitor *monitor)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing < 0)
		return;
	dup3(nothing, monitor->console, O_CLOEXEC);
	close(nothing);
}

static int loop(struct monitor *monitor, struct relay *up, struct relay *down, bool raw,
		struct error *err)
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
			take_signals(monitor, raw);
		if (fds[POLL_NOTIFY].revents)
			notify_relay(monitor->notify);
		relay_move(up, &fds[POLL_UP_IN], &fds[POLL_UP_OUT]);
		relay_move(down, &fds[POLL_DOWN_IN], &fds[POLL_DOWN_OUT]);
		if (fds[POLL_PROCESS].revents) {
			drain(monitor, down);
			return 0;
		}
		if (down->broken) {
			down->broken = false;
			hang_up(monitor);
		}
	}
}

static int watch_plain(struct monitor *monitor, struct error *err)
{
	struct relay up = { .closed = true }, down = { .closed = true };

	return loop(monitor, &up, &down, false, err);
}

/*
 * A write to a pipe or terminal whose reader stalls would stop everything, signals too.  Others
 * share the description of our standard output, and would see it change: so the same file is opened
 * once more, without waiting.  Where that is not allowed, a pipe that is ready takes a page, and a
 * terminal a little, without waiting.  Files and their offset stay as they are.
 */
static int open_output(const struct monitor *monitor, struct relay *down)
{
	struct stat status;
	char name[32];
	int fd;

	down->to = STDOUT_FILENO;
	down->at_once = RELAY_SIZE;
	if (fstat(STDOUT_FILENO, &status) < 0)
		return -1;
	down->is_socket = S_ISSOCK(status.st_mode);
	if (!S_ISFIFO(status.st_mode) && !isatty(STDOUT_FILENO))
		return -1;
	snprintf(name, sizeof(name), "self/fd/%d", STDOUT_FILENO);
	fd = openat(monitor->procfs, name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		down->to = fd;
	else
		down->at_once = S_ISFIFO(status.st_mode) ? PIPE_BUF : TERMINAL_READY;
	return fd;
}

static int watch_terminal(struct monitor *monitor, struct error *err)
{
	char up_buffer[RELAY_SIZE], down_buffer[RELAY_SIZE];
	struct relay up = { .from = STDIN_FILENO,
			    .to = monitor->console,
			    .at_once = RELAY_SIZE,
			    .buffer = up_buffer };
	struct relay down = { .from = monitor->console,
			      .never_waits = true,
			      .buffer = down_buffer };
	auto_fd output = open_output(monitor, &down);
	struct termios saved;
	struct error no_terminal = { 0 };
	bool raw = false;
	int result;

	if (fcntl(monitor->console, F_SETFL, O_NONBLOCK) < 0)
		return error_system(err, errno, "cannot prepare the terminal for relaying");
	/* It may have changed since the terminal was made. */
	copy_size(monitor);
	/* In the background this stops us until we are brought to the foreground. */
	if (isatty(STDIN_FILENO)) {
		raw = terminal_raw(STDIN_FILENO, &saved, &no_terminal) == 0;
		if (!raw)
			error_ignore(&no_terminal, "without raw mode the terminal still works");
	}
	result = loop(monitor, &up, &down, raw, err);
	if (raw)
		terminal_restore(STDIN_FILENO, &saved);
	if (result == 0 && down.errnum)
		return error_system(err, down.errnum, "cannot pass on what the container wrote");
	return result;
}

int monitor_run(struct monitor *monitor, int *exit_code, struct error *err)
{
	int status = 0, result;
	sigset_t set;

	watched(&set);
	/* The command ends with the process, and this with the command. */
	monitor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signals < 0)
		return error_system(err, errno, "cannot make a descriptor for signals");
	result = monitor->console >= 0 ? watch_terminal(monitor, err) : watch_plain(monitor, err);
	if (result < 0 || process_wait(monitor->pidfd, -1, &status, err) < 0)
		return -1;
	*exit_code = process_exit_code(status);
	return 0;
}
