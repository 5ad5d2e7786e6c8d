/* The channel: whole records, one descriptor, and never a wait for somebody who is gone. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>

struct record {
	int number;
	char text[60];
};

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fd_is_open(fd);
	return n;
}

static void test_records_arrive_whole_and_in_order(void **state)
{
	struct record sent = { 1, "first" }, got = { 0 };
	struct error err = { 0 };
	int ends[2], fd = 7;

	(void)state;
	check_int(channel_pair(ends, &err), 0);
	check(fcntl(ends[0], F_GETFD) & FD_CLOEXEC && fcntl(ends[1], F_GETFD) & FD_CLOEXEC);
	check_int(channel_send(ends[0], &sent, sizeof(sent), -1, &err), 0);
	sent.number = 2;
	check_int(channel_send(ends[0], &sent, sizeof(sent), -1, &err), 0);
	for (int i = 1; i <= 2; i++) {
		check_int(channel_receive(ends[1], &got, sizeof(got), &fd, -1, &err), 1);
		check_int(got.number, i);
		check_text(got.text, "first");
		check_int(fd, -1);
	}
	/* Both ways. */
	check_int(channel_send(ends[1], &sent, sizeof(sent), -1, &err), 0);
	check_int(channel_receive(ends[0], &got, sizeof(got), NULL, 30000, &err), 1);
	close(ends[0]);
	close(ends[1]);
}

/* What the other side said last is not lost because it did not read what it was sent. */
static void test_last_words_of_one_who_did_not_listen(void **state)
{
	struct record sent = { 1, "unread" }, got = { 0 };
	struct error err = { 0 };
	int ends[2];

	(void)state;
	check_int(channel_pair(ends, &err), 0);
	check_int(channel_send(ends[0], &sent, sizeof(sent), -1, &err), 0);
	sent.number = 2;
	check_int(channel_send(ends[1], &sent, sizeof(sent), -1, &err), 0);
	close(ends[1]);
	check_int(channel_receive(ends[0], &got, sizeof(got), NULL, 30000, &err), 1);
	check_int(got.number, 2);
	check_int(channel_receive(ends[0], &got, sizeof(got), NULL, 30000, &err), 0);
	close(ends[0]);
}

static void test_a_descriptor_comes_along(void **state)
{
	struct record record = { 1, "with a pipe" };
	struct error err = { 0 };
	int ends[2], pipes[2], fd = -1, before;
	char byte = 0;

	(void)state;
	before = count_fds();
	check_int(channel_pair(ends, &err), 0);
	check_int(pipe(pipes), 0);
	check_int(channel_send(ends[0], &record, sizeof(record), pipes[1], &err), 0);
	close(pipes[1]);
	check_int(channel_receive(ends[1], &record, sizeof(record), &fd, -1, &err), 1);
	check(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	check_int(write(fd, "x", 1), 1);
	check_int(read(pipes[0], &byte, 1), 1);
	check_int(byte, 'x');
	/* Nobody wants it: it is closed. */
	check_int(channel_send(ends[0], &record, sizeof(record), fd, &err), 0);
	close(fd);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, -1, &err), 1);
	check_int(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	close(ends[0]);
	close(ends[1]);
	check_int(count_fds(), before);
}

static void test_more_than_one_descriptor_is_refused_and_closed(void **state)
{
	char room[CMSG_SPACE(3 * sizeof(int))] __attribute__((aligned(16))) = { 0 };
	struct record record = { 1, "" };
	struct iovec part = { &record, sizeof(record) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room };
	struct error err = { 0 };
	int ends[2], fds[3] = { 0, 1, 2 }, fd = 5, before;

	(void)state;
	check_int(channel_pair(ends, &err), 0);
	before = count_fds();
	for (size_t n = 2; n <= 3; n++) {
		struct cmsghdr *header = (struct cmsghdr *)(void *)room;

		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*header = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(header), fds, n * sizeof(int));
		check_int(sendmsg(ends[0], &message, 0), sizeof(record));
		check_int(channel_receive(ends[1], &record, sizeof(record), &fd, -1, &err), -1);
		check_int(err.errnum, EPROTO);
		check_int(fd, -1);
		check_int(count_fds(), before);
	}
	close(ends[0]);
	close(ends[1]);
}

static void test_another_size_is_an_error(void **state)
{
	struct record record = { 1, "" };
	char big[200] = "";
	struct error err = { 0 };
	int ends[2], fd;

	(void)state;
	check_int(channel_pair(ends, &err), 0);
	check_int(channel_send(ends[0], big, sizeof(big), 0, &err), 0);
	check_int(channel_send(ends[0], big, 3, -1, &err), 0);
	for (int i = 0; i < 2; i++) {
		check_int(channel_receive(ends[1], &record, sizeof(record), &fd, -1, &err), -1);
		check_int(err.errnum, EPROTO);
		check_int(fd, -1);
	}
	check_has(err.what, "a message of 3 bytes instead of 64");
	close(ends[0]);
	close(ends[1]);
}

static void test_who_is_gone_is_noticed(void **state)
{
	struct record record = { 1, "" };
	struct error err = { 0 };
	int ends[2];

	(void)state;
	check_int(channel_pair(ends, &err), 0);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 20, &err), -1);
	check_int(err.errnum, ETIMEDOUT);
	/* What was sent before is read first; what the other side did not read does not matter. */
	check_int(channel_send(ends[0], &record, sizeof(record), -1, &err), 0);
	close(ends[0]);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 30000, &err), 1);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 30000, &err), 0);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, -1, &err), 0);
	/* No SIGPIPE. */
	check_int(channel_send(ends[1], &record, sizeof(record), -1, &err), -1);
	check_int(err.errnum, EPIPE);
	close(ends[1]);

	check_int(channel_pair(ends, &err), 0);
	check_int(channel_send(ends[1], &record, sizeof(record), -1, &err), 0);
	close(ends[0]);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 30000, &err), 0);
	close(ends[1]);

	/* Its last words are not lost when it has not read ours: both at once. */
	check_int(channel_pair(ends, &err), 0);
	check_int(channel_send(ends[1], &record, sizeof(record), -1, &err), 0);
	check_int(channel_send(ends[0], &record, sizeof(record), -1, &err), 0);
	close(ends[0]);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 30000, &err), 1);
	check_int(channel_receive(ends[1], &record, sizeof(record), NULL, 30000, &err), 0);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_arrive_whole_and_in_order),
		cmocka_unit_test(test_last_words_of_one_who_did_not_listen),
		cmocka_unit_test(test_a_descriptor_comes_along),
		cmocka_unit_test(test_more_than_one_descriptor_is_refused_and_closed),
		cmocka_unit_test(test_another_size_is_an_error),
		cmocka_unit_test(test_who_is_gone_is_noticed),
	};

	return check_all(tests);
}
