/*
 * The live table of `creel stats`: on the terminal's other screen, so that what was there comes
 * back, and by signalfd, so that no way to end it leaves the terminal without echo or cursor.
 */
#include "cmd_stats.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>

/* Sequences of xterm, which every terminal of today knows. */
#define SCREEN_OTHER  "\033[?1049h\033[?25l"
#define SCREEN_USUAL  "\033[?25h\033[?1049l"
#define SCREEN_HOME   "\033[H"
#define SCREEN_BELOW  "\033[J"
#define LINE_BOLD     "\033[1m"
#define LINE_END      "\033[0m\033[K\r\n"
#define ROWS_FALLBACK 24

struct watch {
	struct cli *cli;
	int signals;	      /* signalfd */
	int keyboard;	      /* standard input, when it is our terminal; else -1 */
	struct termios saved; /* of the keyboard */
	struct arena arenas[2];
	struct samples looks[2]; /* the last one and the one before */
	size_t n;		 /* looks so far; the last one is looks[(n - 1) % 2] */
};

static const struct samples *last_look(const struct watch *watch)
{
	return &watch->looks[(watch->n - 1) % 2];
}

static int look(struct watch *watch, struct error *err)
{
	size_t i = watch->n % 2;

	arena_free(&watch->arenas[i]);
	if (stats_collect(watch->cli, &watch->arenas[i], watch->n > 0, &watch->looks[i], err) < 0)
		return -1;
	watch->n++;
	return 0;
}

static const char *table_of(struct watch *watch)
{
	static const struct samples nothing = { 0 };

	return stats_table(&watch->arenas[(watch->n - 1) % 2], last_look(watch),
			   watch->n > 1 ? &watch->looks[watch->n % 2] : &nothing);
}

/* ---- the terminal ---- */

/* Keys come one by one and are not shown.  A job in the background leaves the terminal alone: it
 * would be stopped. */
static void take_keyboard(struct watch *watch)
{
	struct termios keys;

	watch->keyboard = -1;
	if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &watch->saved) < 0)
		return;
	keys = watch->saved;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0)
		watch->keyboard = STDIN_FILENO;
}

static void give_keyboard_back(struct watch *watch)
{
	if (watch->keyboard >= 0)
		tcsetattr(watch->keyboard, TCSANOW, &watch->saved);
	watch->keyboard = -1;
}

static int say(const char *text, struct error *err)
{
	if (fd_write_all(STDOUT_FILENO, text, strlen(text), err) < 0)
		return error_while(err, "cannot write to the terminal");
	return 0;
}

/* The first characters of TEXT; the table has none but ASCII. */
static const char *cut_line(struct arena *arena, const char **text, size_t width)
{
	const char *start = *text;
	size_t length = strcspn(start, "\n");

	*text += length + (start[length] == '\n');
	return arena_strndup(arena, start, length < width ? length : width);
}

/* As much of the table as the terminal has place for. */
static int draw(struct watch *watch, struct error *err)
{
	struct arena *arena = &watch->arenas[(watch->n - 1) % 2];
	struct winsize size = { .ws_row = ROWS_FALLBACK };
	const char *table = table_of(watch);
	struct strings lines = { 0 };
	const char *screen = SCREEN_HOME LINE_BOLD;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2)
		size.ws_row = ROWS_FALLBACK;
	while (*table)
		strings_add(arena, &lines,
			    (char *)cut_line(arena, &table, size.ws_col ? size.ws_col : SIZE_MAX));
	for (size_t i = 0; i < lines.n && i + 2 < size.ws_row; i++)
		screen = text_format(arena, "%s%s%s", screen, lines.items[i], LINE_END);
	if (lines.n + 2 > size.ws_row)
		screen = text_format(arena, "%s... %zu more", screen, lines.n + 2 - size.ws_row);
	return say(text_format(arena, "%s%s", screen, SCREEN_BELOW), err);
}

/* ---- what ends it ---- */

static int block_signals(struct error *err)
{
	static const int wanted[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH, SIGCONT
	};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_system(err, errno, "cannot block signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_system(err, errno, "cannot receive signals");
	return fd;
}

/* ^Z: the shell gets its terminal as it was; what follows runs after `fg`. */
static int stop(struct watch *watch, struct error *err)
{
	give_keyboard_back(watch);
	if (say(SCREEN_USUAL, err) < 0)
		return -1;
	kill(getpid(), SIGSTOP);
	take_keyboard(watch);
	return say(SCREEN_OTHER, err);
}

/* Takes the signals that wait; *END is set when one of them ends the program. */
static int take_signals(struct watch *watch, bool *end, struct error *err)
{
	struct signalfd_siginfo info;

	while (read(watch->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch ((int)info.ssi_signo) {
		case SIGTSTP:
			if (stop(watch, err) < 0)
				return -1;
			break;
		case SIGWINCH:
		case SIGCONT:
			break;
		case SIGINT:
			*end = true;
			break;
		default:
			*end = true;
			watch->cli->exit_code = 128 + (int)info.ssi_signo;
			break;
		}
	}
	return 0;
}

static bool is_quit(int keyboard)
{
	char key = 0;
	ssize_t n = read(keyboard, &key, 1);

	/* A terminal that is gone has no other way to say so. */
	return n <= 0 || key == 'q' || key == 'Q';
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until DEADLINE, or until there is something to draw anew, or the end. */
static int wait_for_more(struct watch *watch, int64_t deadline, bool *end, struct error *err)
{
	struct pollfd fds[] = {
		{ .fd = watch->signals, .events = POLLIN },
		{ .fd = watch->keyboard, .events = POLLIN },
	};
	int64_t left = deadline - now_ms();
	int n = poll(fds, ARRAY_SIZE(fds), left > 0 ? (int)left : 0);

	if (n < 0 && errno != EINTR)
		return error_system(err, errno, "cannot wait for the terminal");
	if (n <= 0)
		return 0;
	if (fds[0].revents && take_signals(watch, end, err) < 0)
		return -1;
	if (fds[1].revents && is_quit(watch->keyboard))
		*end = true;
	return 0;
}

/* Those that were asked for by name are gone, so nothing will change any more. */
static bool is_over(const struct watch *watch)
{
	return watch->cli->arguments.n > 0 && last_look(watch)->n == 0;
}

static int loop(struct watch *watch, int interval_ms, struct error *err)
{
	int64_t deadline = now_ms() + interval_ms;
	bool end = false;

	for (;;) {
		if (draw(watch, err) < 0 || wait_for_more(watch, deadline, &end, err) < 0)
			return -1;
		if (end)
			return 0;
		if (now_ms() < deadline)
			continue;
		if (look(watch, err) < 0)
			return -1;
		if (is_over(watch))
			return 0;
		deadline = now_ms() + interval_ms;
	}
}

int stats_watch(struct cli *cli, int interval_ms, struct error *err)
{
	struct watch watch = { .cli = cli };
	struct error ignored = { 0 };
	int result;

	/* What is wrong at once is said on the usual screen. */
	if (look(&watch, err) < 0)
		return -1;

	auto_fd signals = block_signals(err);

	if (signals < 0)
		return -1;
	watch.signals = signals;
	take_keyboard(&watch);
	result = say(SCREEN_OTHER, err) < 0 ? -1 : loop(&watch, interval_ms, err);
	give_keyboard_back(&watch);
	if (say(SCREEN_USUAL, &ignored) < 0 || say(table_of(&watch), &ignored) < 0)
		error_ignore(&ignored, "the terminal is gone");
	arena_free(&watch.arenas[0]);
	arena_free(&watch.arenas[1]);
	return result;
}
