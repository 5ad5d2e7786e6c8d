/* The go-between of a container's sd_notify(3) and the service manager that started us. */
#include <creel/notify.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <creel/create.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/text.h>

#include "create_parts.h"

#define BARRIER_TIMEOUT_MS 5000

/* The container's words that may reach the service manager; MAINPID, FDSTORE and the like are not
 * its to say. */
static bool is_allowed(const char *line)
{
	static const char *const words[] = { "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1" };
	static const char time[] = "MONOTONIC_USEC=";
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (text_equal(line, words[i]))
			return true;
	return text_starts_with(line, time) &&
	       text_parse_uint(line + strlen(time), UINT64_MAX, &value);
}

int create_make_notify(struct create *create, struct error *err)
{
	int dir = create->container.dir;

	if (!create->plan.notify)
		return 0;
	if (mkdirat(dir, NOTIFY_DIRECTORY, 0755) < 0)
		return error_system(err, errno, "cannot make the directory of the notify socket");
	/* Whatever our umask is: the container's user looks the socket up in it. */
	if (fchmodat(dir, NOTIFY_DIRECTORY, 0755, 0) < 0)
		return error_system(err, errno, "cannot open the directory of the notify socket");
	return 0;
}

static int new_socket(struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_system(err, errno, "cannot make a notify socket") : fd;
}

/* "@name" is in the abstract namespace. */
static int connect_host(int fd, const char *host, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(host);

	if ((host[0] != '/' && host[0] != '@') || length >= sizeof(address.sun_path))
		return error_unsupported(err, "NOTIFY_SOCKET is not a path or abstract name");
	memcpy(address.sun_path, host, length);
	if (host[0] == '@')
		address.sun_path[0] = '\0';
	if (connect(fd, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		return error_system(err, errno, "cannot connect to the notify socket %s", host);
	return 0;
}

/* By the directory's descriptor: a path of any length. */
static int bind_inner(int dir, int fd, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	auto_fd directory =
	    openat(dir, NOTIFY_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (directory < 0)
		return error_system(err, errno, "cannot open the directory of the notify socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory,
		 NOTIFY_NAME);
	if (unlinkat(directory, NOTIFY_NAME, 0) < 0 && errno != ENOENT)
		return error_system(err, errno, "cannot remove an old notify socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_system(err, errno, "cannot bind the notify socket");
	/* Any user of the container may notify; the mount is all that leads there. */
	if (fchmodat(directory, NOTIFY_NAME, 0777, 0) < 0)
		return error_system(err, errno, "cannot open the notify socket to the container");
	return 0;
}

int notify_open(int dir, const char *host, struct notify *notify, struct error *err)
{
	struct error unreachable = { 0 };
	auto_fd outer = -1, inner = -1;

	*notify = (struct notify){ -1, -1 };
	if (!host || faccessat(dir, NOTIFY_DIRECTORY, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	outer = new_socket(err);
	if (outer < 0)
		return -1;
	if (connect_host(outer, host, &unreachable) < 0) {
		log_warning("nobody will be notified: %s", unreachable.what);
		return 0;
	}
	inner = new_socket(err);
	if (inner < 0 || bind_inner(dir, inner, err) < 0)
		return -1;
	*notify = (struct notify){ take_fd(&inner), take_fd(&outer) };
	return 0;
}

void notify_close(struct notify *notify)
{
	fd_close(&notify->inner);
	fd_close(&notify->outer);
}

/*
 * One datagram's allowed lines; false when none is there.  A descriptor that came along (a barrier)
 * is closed by the kernel since we make no room for it, which is what its sender waits for.
 */
static bool receive(int fd, char *lines, size_t size)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	char *rest = text;
	size_t length = 0;

	if (n < 0)
		return false;
	text[n] = '\0';
	lines[0] = '\0';
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (is_allowed(line) && length + strlen(line) + 2 < size)
			length += (size_t)snprintf(lines + length, size - length, "%s\n", line);
	return true;
}

static int tell(int fd, const char *text, struct error *err)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		return error_system(err, errno, "cannot notify the service manager");
	return 0;
}

/* sd_notify_barrier(3): the manager closes the pipe when it has read all that came before. */
static int barrier(int fd, struct error *err)
{
	static const char text[] = "BARRIER=1";
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_system(err, errno, "cannot make a pipe for the service manager");

	auto_fd reader = ends[0];
	auto_fd writer = ends[1];

	if (fd_send(fd, writer, text, strlen(text), err) < 0)
		return -1;
	fd_close(&writer);
	switch (fd_wait(reader, POLLIN, BARRIER_TIMEOUT_MS, err)) {
	case -1:
		return -1;
	case 0:
		log_warning("the service manager did not take the notification in %d ms",
			    BARRIER_TIMEOUT_MS);
		break;
	}
	return 0;
}

static int tell_ready(const struct notify *notify, pid_t pid, struct error *err)
{
	char text[64];

	snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", pid);
	if (tell(notify->outer, text, err) < 0)
		return -1;
	return barrier(notify->outer, err);
}

int notify_wait(const struct notify *notify, int pidfd, pid_t pid, struct error *err)
{
	char lines[256];

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = notify->inner, .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN },
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return error_system(err, errno,
					    "cannot wait for the container's notification");
		while (receive(notify->inner, lines, sizeof(lines)))
			if (strstr(lines, "READY=1\n"))
				return tell_ready(notify, pid, err);
		if (fds[1].revents)
			return 0;
	}
}

void notify_relay(const struct notify *notify)
{
	char lines[256];

	while (receive(notify->inner, lines, sizeof(lines))) {
		struct error err = { 0 };

		if (lines[0] && tell(notify->outer, lines, &err) < 0)
			log_warning("%s", err.what);
	}
}
