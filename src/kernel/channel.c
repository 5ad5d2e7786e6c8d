/* The socket pair over which the processes of creel talk: a message is one record and at most one
 * descriptor. */
#include <creel/channel.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <creel/error.h>
#include <creel/fd.h>

int channel_pair(int ends[2], struct error *err)
{
	/* SEQPACKET keeps the bounds of records, and unlike DGRAM tells when the other side is
	 * gone. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		error_system(err, errno, "cannot make a channel between two processes");
		return error_call(err, "socketpair");
	}
	return 0;
}

/* Room for one descriptor; the union aligns it. */
union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

int channel_send(int channel, const void *record, size_t size, int fd, struct error *err)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)record, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd >= 0) {
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
	}
	do
		sent = sendmsg(channel, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0) {
		error_system(err, errno, "cannot send a message to the other process");
		return error_call(err, "sendmsg");
	}
	return 0;
}

/* The descriptor that came with MESSAGE, or -1. */
static int received_fd(struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int channel_receive(int channel, void *record, size_t size, int *fd, int timeout_ms,
		    struct error *err)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = record, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		/* Not CMSG_SPACE(): its padding is room for a second descriptor. */
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	int resets = 0;
	ssize_t got;

	if (fd)
		*fd = -1;
	if (timeout_ms >= 0) {
		int ready = fd_wait(channel, POLLIN, timeout_ms, err);

		if (ready < 0)
			return -1;
		if (ready == 0)
			return error_coded(err, CRL_SETUP_TIMEOUT,
					   error_system(err, ETIMEDOUT,
							"the other process did not answer in %d ms",
							timeout_ms));
	}
	/* MSG_TRUNC: the true size of a record that is too long. */
	do
		got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	/* The other side went away without reading what we had sent: it is gone all the same, but
	 * the kernel says so once before it hands out the last words that wait to be read. */
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return 0;
	if (got < 0) {
		error_system(err, errno, "cannot receive a message from the other process");
		return error_call(err, "recvmsg");
	}

	auto_fd came = received_fd(&message);

	if ((size_t)got != size || (message.msg_flags & MSG_CTRUNC)) {
		memset(record, 0, size);
		return error_system(err, EPROTO,
				    "the other process sent a message of %zd bytes instead of %zu",
				    got, size);
	}
	if (fd)
		*fd = take_fd(&came);
	return 1;
}
