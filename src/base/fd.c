/*
 * File descriptors: who owns them, moving them, passing them over a socket.
 */
#include <creel/fd.h>

#include <creel/error.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* An engine that does not take what it asked for hangs its own container, not us. */
#define PEER_TIMEOUT_S 10
/* A process begins with room for so many; more would make the kernel move the table. */
#define FEW 64

void fd_close(int *fd)
{
	int saved = errno;

	/* EINTR is no reason to try again: Linux has released the number by then. */
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void fd_leave(int *fd)
{
	if (*fd >= FEW)
		fd_close(fd);
	*fd = -1;
}

int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int fd_ensure_standard(struct error *err)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO },
				{ .fd = STDOUT_FILENO },
				{ .fd = STDERR_FILENO } };

	/* It is asked for no event, and so waits for none; what it says of all three is enough. */
	if (poll(fds, ARRAY_SIZE(fds), 0) >= 0 &&
	    !((fds[0].revents | fds[1].revents | fds[2].revents) & POLLNVAL))
		return 0;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int flags = fcntl(fd, F_GETFL);

		/* O_PATH makes one that nobody can read or write, only go on from. */
		if (flags >= 0 && !(flags & O_PATH))
			continue;
		close(fd);
		/* The lowest free number is FD itself, as all below it are open. */
		if (open("/dev/null", O_RDWR) < 0)
			return error_system(err, errno, "cannot open /dev/null");
	}
	return 0;
}

int fd_cloexec_from(int first, struct error *err)
{
	if (syscall(SYS_close_range, (unsigned int)first, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0) {
		error_system(err, errno, "cannot set close-on-exec from descriptor %d on", first);
		return error_call(err, "close_range");
	}
	return 0;
}

static int close_from_to(unsigned int first, unsigned int last, struct error *err)
{
	if (first <= last && syscall(SYS_close_range, first, last, 0) < 0) {
		error_system(err, errno, "cannot close descriptors");
		return error_call(err, "close_range");
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int fd_close_others(int first, int *keep, size_t n, struct error *err)
{
	unsigned int next = (unsigned int)first;

	if (n > 1)
		qsort(keep, n, sizeof(*keep), compare);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < (int)next)
			continue;
		if (keep[i] > (int)next && close_from_to(next, (unsigned int)keep[i] - 1, err) < 0)
			return -1;
		next = (unsigned int)keep[i] + 1;
	}
	return close_from_to(next, UINT_MAX, err);
}

void fd_close_all(int *const *fds, size_t n)
{
	int numbers[16] = { 0 };
	size_t open = 0;

	for (size_t i = 0; i < n; i++) {
		if (*fds[i] >= 0 && open < ARRAY_SIZE(numbers))
			numbers[open++] = take_fd(fds[i]);
		fd_close(fds[i]);
	}
	qsort(numbers, open, sizeof(*numbers), compare);
	for (size_t i = 0, end; i < open; i = end) {
		for (end = i + 1; end < open && numbers[end] <= numbers[end - 1] + 1; end++)
			continue;
		if (syscall(SYS_close_range, numbers[i], numbers[end - 1], 0) < 0)
			for (; i < end; i++)
				close(numbers[i]);
	}
}

int fd_keep_on_exec(int fd, struct error *err)
{
	if (fcntl(fd, F_SETFD, 0) < 0)
		return error_system(err, errno, "cannot pass on descriptor %d", fd);
	return 0;
}

static int socket_open(int type, struct error *err)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_system(err, errno, "cannot make a socket");
	return fd;
}

static int connect_at(int dir, const char *name, int type, struct error *err)
{
	const struct timeval patience = { .tv_sec = PEER_TIMEOUT_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* sun_path holds 108 bytes; /proc/self/fd/N stands for a name of any length. */
	auto_fd place = openat(dir, name, O_PATH | O_CLOEXEC);
	auto_fd connection = -1;

	if (place < 0)
		return error_system(err, errno, "cannot find the socket %s", name);
	connection = socket_open(type, err);
	if (connection < 0)
		return -1;
	/* Also of connect(2), where too many wait already that the listener should accept. */
	if (setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_system(err, errno, "cannot set a deadline for the socket %s", name);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error_system(err, errno, "cannot connect to %s", name);
		return error_call(err, "connect");
	}
	return take_fd(&connection);
}

int fd_connect(const char *path, struct error *err)
{
	return connect_at(AT_FDCWD, path, SOCK_STREAM, err);
}

int fd_connect_at(int dir, const char *name, struct error *err)
{
	return connect_at(dir, name, SOCK_SEQPACKET, err);
}

int fd_listen(int dir, const char *name, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	auto_fd listener = socket_open(SOCK_SEQPACKET, err);
	int length;

	if (listener < 0)
		return -1;
	if (dir == AT_FDCWD)
		length = snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	else
		length = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
				  dir, name);
	if ((size_t)length >= sizeof(address.sun_path))
		return error_system(err, ENAMETOOLONG, "cannot make the socket %s", name);

	/* The socket's own mode becomes that of its file, so it is never open to others, not even
	 * for a moment, and the umask, which all threads share, stays as it is. */
	if (fchmod(listener, 0600) < 0)
		return error_system(err, errno, "cannot protect the socket %s", name);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error_system(err, errno, "cannot make the socket %s", name);
		return error_call(err, "bind");
	}
	if (listen(listener, 8) < 0) {
		error_system(err, errno, "cannot listen on the socket %s", name);
		return error_call(err, "listen");
	}
	return take_fd(&listener);
}

int fd_send(int socket, int fd, const void *data, size_t size, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec vector = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	ssize_t sent;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));

	do
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		error_system(err, errno, "cannot pass on descriptor %d", fd);
		return error_call(err, "sendmsg");
	}
	if ((size_t)sent != size)
		return error_system(err, EMSGSIZE, "cannot pass on descriptor %d", fd);
	return 0;
}

int fd_write_all(int fd, const void *data, size_t size, struct error *err)
{
	const char *next = data;

	while (size > 0) {
		ssize_t written = write(fd, next, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			error_system(err, errno, "cannot write");
			return error_call(err, "write");
		}
		next += written;
		size -= (size_t)written;
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int fd_wait(int fd, short events, int timeout_ms, struct error *err)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int64_t deadline = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
	int left = timeout_ms;

	for (;;) {
		int ready = poll(&poll_fd, 1, left);

		if (ready >= 0)
			return ready;
		if (errno != EINTR)
			return error_system(err, errno, "cannot wait for descriptor %d", fd);
		if (timeout_ms > 0) {
			int64_t rest = deadline - now_ms();

			left = rest > 0 ? (int)rest : 0;
		}
	}
}
