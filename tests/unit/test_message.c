/* The protocol: what is said arrives as it is, what is out of turn is refused, and nobody waits for
 * the dead. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/channel.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/message.h>
#include <creel/process.h>

static void make_pair(int ends[2])
{
	struct error err = { 0 };

	check_int(channel_pair(ends, &err), 0);
}

static void test_kind_number_and_descriptor_arrive(void **state)
{
	struct error err = { 0 };
	struct message message;
	auto_fd came = -1;
	int ends[2];

	(void)state;
	make_pair(ends);
	check_int(message_send(ends[0], MESSAGE_CONSOLE, 42, STDERR_FILENO, &err), 0);
	check_int(message_receive(ends[1], &message, &came, 30000, &err), 1);
	check_int(message.kind, MESSAGE_CONSOLE);
	check_int(message.number, 42);
	check(fd_is_open(came));
	close(ends[0]);
	check_int(message_receive(ends[1], &message, &came, 30000, &err), 0);
	close(ends[1]);
}

static void test_an_error_crosses_as_it_is(void **state)
{
	struct error sent = { 0 }, err = { 0 };
	struct message message;
	int ends[2];

	(void)state;
	make_pair(ends);
	error_system(&sent, ENOSPC, "cannot do it");
	error_at(&sent, "/mounts/7");
	error_hint(&sent, "make room");
	message_send_error(ends[0], &sent);
	check_int(message_receive(ends[1], &message, NULL, 30000, &err), 1);
	check_int(message.kind, MESSAGE_ERROR);
	check(memcmp(&message.error, &sent, sizeof(sent)) == 0);
	close(ends[1]);
	/* Nobody listens: no signal, no failure. */
	message_send_error(ends[0], &sent);
	close(ends[0]);
}

static void test_last_words_are_heard_by_who_tells(void **state)
{
	struct error said = { .kind = ERROR_NONE }, err = { .kind = ERROR_NONE };
	struct message message;
	int ends[2];

	(void)state;
	make_pair(ends);
	/* This one it does not hear. */
	check_int(message_pass(ends[1], MESSAGE_NETWORK, ends[1], &err), 0);
	error_state(&said, "why");
	message_send_error(ends[0], &said);
	close(ends[0]);
	check_int(message_tell(ends[1], MESSAGE_START, 0, &err), 0);
	check_int(message_tell(ends[1], MESSAGE_START, 0, &err), 0);
	check_int(err.kind, ERROR_NONE);
	check_int(message_receive(ends[1], &message, NULL, 30000, &err), 1);
	check_text(message.error.what, "why");
	close(ends[1]);
}

static void test_expect_takes_only_what_it_expects(void **state)
{
	struct error err = { 0 };
	int ends[2], number = 0;

	(void)state;
	make_pair(ends);
	check_int(message_send(ends[0], MESSAGE_GO, 0, -1, &err), 0);
	check_int(message_expect(ends[1], MESSAGE_GO, 30000, &err), 0);
	check_int(message_tell(ends[0], MESSAGE_COMMIT, 1, &err), 0);
	check_int(message_expect_number(ends[1], MESSAGE_COMMIT, 30000, &number, &err), 0);
	check_int(number, 1);
	check_int(message_send(ends[0], MESSAGE_READY, 0, -1, &err), 0);
	check_int(message_expect(ends[1], MESSAGE_GO, 1000, &err), -1);
	check_int(err.errnum, EPROTO);
	check_int(message_expect(ends[1], MESSAGE_GO, 20, &err), -1);
	check_int(err.errnum, ETIMEDOUT);
	close(ends[0]);
	check_int(message_expect(ends[1], MESSAGE_GO, 1000, &err), -1);
	check_int(err.errnum, ECONNRESET);
	close(ends[1]);
}

static void test_a_descriptor_comes_with_its_message(void **state)
{
	struct error err = { 0 };
	int ends[2], fd = -1;

	(void)state;
	make_pair(ends);
	check_int(message_pass(ends[0], MESSAGE_NETWORK, ends[0], &err), 0);
	check_int(message_expect_fd(ends[1], MESSAGE_NETWORK, 30000, &fd, &err), 0);
	check(fd >= 0 && fd != ends[0]);
	close(fd);
	check_int(message_send(ends[0], MESSAGE_NETWORK, 0, -1, &err), 0);
	check_int(message_expect_fd(ends[1], MESSAGE_NETWORK, 30000, &fd, &err), -1);
	check_int(err.errnum, EPROTO);
	/* Nobody is there any more: that is for who waits for its last words. */
	err = (struct error){ 0 };
	close(ends[1]);
	check_int(message_pass(ends[0], MESSAGE_NETWORK, ends[0], &err), 0);
	check_int(err.kind, ERROR_NONE);
	close(ends[0]);
}

/* A record of another size is not ours, whoever sent it. */
static void test_foreign_records_are_refused(void **state)
{
	struct error err = { 0 };
	struct message message;
	int ends[2];

	(void)state;
	make_pair(ends);
	check(send(ends[0], "x", 1, 0) == 1);
	check_int(message_receive(ends[1], &message, NULL, 1000, &err), -1);
	check_int(err.errnum, EPROTO);
	close(ends[0]);
	close(ends[1]);
}

/* The other side may be in the hands of somebody who would like to type into our terminal. */
static void test_no_word_steers_a_terminal(void **state)
{
	const struct message forged = {
		.kind = MESSAGE_ERROR,
		.error = { .kind = ERROR_STATE,
			   .call = "\033c",
			   .where = "/\033[2J",
			   .file = "a\nb",
			   .what = "x\033]0;title\007y",
			   .hint = "\302\233m" },
	};
	struct error err = { 0 };
	struct message message;
	int ends[2];

	(void)state;
	make_pair(ends);
	check_int(channel_send(ends[0], &forged, sizeof(forged), -1, &err), 0);
	check_int(message_receive(ends[1], &message, NULL, 30000, &err), 1);
	check_text(message.error.call, "?c");
	check_text(message.error.where, "/?[2J");
	check_text(message.error.file, "a?b");
	check_text(message.error.what, "x?]0;title?y");
	check_text(message.error.hint, "?m");
	close(ends[0]);
	close(ends[1]);
}

static void test_patience(void **state)
{
	(void)state;
	check_int(message_patience(300, false), 300);
	check_int(message_patience(300, true), 300);
	check_int(message_patience(0, false), 0);
	check_int(message_patience(-1, true), -1);
	check(message_patience(-1, false) >= 10000);
}

static void test_log_records_become_messages(void **state)
{
	struct error err = { 0 };
	struct message message;
	char longer[1000];
	int ends[2];

	(void)state;
	make_pair(ends);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	check_int(log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING, &err), 0);
	message_log_to(&ends[0]);
	log_warning("beware of %d", 7);
	log_warning("%s", longer);
	check_int(message_receive(ends[1], &message, NULL, 30000, &err), 1);
	check_int(message.kind, MESSAGE_LOG);
	check_int(message.number, LOG_LEVEL_WARNING);
	check_text(message.error.what, "beware of 7");
	check_int(message_receive(ends[1], &message, NULL, 30000, &err), 1);
	check_int(strlen(message.error.what), sizeof(message.error.what) - 1);
	close(ends[1]);
	/* A dead listener is no reason to stop. */
	log_warning("nobody hears this");
	log_to_function(NULL, NULL);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kind_number_and_descriptor_arrive),
		cmocka_unit_test(test_an_error_crosses_as_it_is),
		cmocka_unit_test(test_last_words_are_heard_by_who_tells),
		cmocka_unit_test(test_expect_takes_only_what_it_expects),
		cmocka_unit_test(test_a_descriptor_comes_with_its_message),
		cmocka_unit_test(test_foreign_records_are_refused),
		cmocka_unit_test(test_no_word_steers_a_terminal),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_log_records_become_messages),
	};

	return check_all(tests);
}
