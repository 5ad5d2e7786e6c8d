/* Descriptors: ownership, close-on-exec, sockets at paths of any length, passing one on, and
 * deadlines. */
#include "check.h"

#include <creel/error.h>
#include <creel/fd.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/creel-fd-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void test_close_and_take(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int copy = fd;
	int taken;

	(void)state;
	check(fd_is_open(fd));
	taken = take_fd(&fd);
	check(fd == -1 && taken == copy && fd_is_open(copy));
	errno = EXDEV;
	fd_close(&taken);
	check(taken == -1 && !fd_is_open(copy));
	fd_close(&taken);
	check(taken == -1);
}

static void test_close_keeps_errno(void **state)
{
	int bad = 9999;

	(void)state;
	errno = EXDEV;
	fd_close(&bad);
	check_int(errno, EXDEV);
}

static void test_auto_fd_closes_at_the_end_of_its_block(void **state)
{
	int number;

	(void)state;
	{
		auto_fd fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		number = fd;
		check(fd_is_open(number));
	}
	check(!fd_is_open(number));
}

/* Runs DO in a child, for what a test process must not do to itself; its exit status. */
static int in_child(int (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	check(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int close_and_ensure_standard(void)
{
	struct error err = { .kind = ERROR_NONE };
	struct stat null, st;

	close(0);
	close(2);
	if (fd_ensure_standard(&err) < 0 || stat("/dev/null", &null) < 0)
		return 1;
	if (fstat(0, &st) < 0 || st.st_rdev != null.st_rdev)
		return 2;
	if (fstat(2, &st) < 0 || st.st_rdev != null.st_rdev)
		return 3;
	/* They must survive an exec, as standard streams do. */
	return fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0 ? 0 : 4;
}

static void test_standard_descriptors(void **state)
{
	(void)state;
	check_int(in_child(close_and_ensure_standard), 0);
}

static int cloexec_from_10(void)
{
	struct error err = { .kind = ERROR_NONE };

	if (dup2(1, 9) < 0 || dup2(1, 10) < 0 || dup2(1, 200) < 0)
		return 1;
	if (fd_cloexec_from(10, &err) < 0)
		return 2;
	if (fcntl(9, F_GETFD) != 0 || fcntl(10, F_GETFD) != FD_CLOEXEC ||
	    fcntl(200, F_GETFD) != FD_CLOEXEC)
		return 3;
	if (fd_keep_on_exec(10, &err) < 0 || fcntl(10, F_GETFD) != 0)
		return 4;
	return fd_keep_on_exec(12345, &err) == -1 && err.errnum == EBADF ? 0 : 5;
}

static void test_close_on_exec(void **state)
{
	(void)state;
	check_int(in_child(cloexec_from_10), 0);
}

/* A stream socket such as engines make for the console. */
static int stream_listen(int dir, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir, name);
	check(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
	return fd;
}

static void test_sockets_at_a_long_path(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	char path[512];
	auto_fd dir = -1, listener = -1, stream = -1, by_path = -1, by_dir = -1, served = -1;
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/%0150d", directory, 1);
	check(mkdir(path, 0700) == 0);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	check(dir >= 0);
	listener = fd_listen(dir, "start.sock", &err);
	check_text(err.what, "");
	check(listener >= 0 && fcntl(listener, F_GETFD) == FD_CLOEXEC);
	check(fstatat(dir, "start.sock", &st, 0) == 0 && S_ISSOCK(st.st_mode));
	check_int(st.st_mode & 07777, 0600);
	by_dir = fd_connect_at(dir, "start.sock", &err);
	check_text(err.what, "");
	check(by_dir >= 0 && fcntl(by_dir, F_GETFD) == FD_CLOEXEC);
	served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(served >= 0);
	check(fd_write_all(by_dir, "hi", 2, &err) == 0);

	stream = stream_listen(dir, "console.sock");
	strcat(path, "/console.sock");
	check(strlen(path) > sizeof(((struct sockaddr_un *)NULL)->sun_path));
	by_path = fd_connect(path, &err);
	check_text(err.what, "");
	check(by_path >= 0 && fcntl(by_path, F_GETFD) == FD_CLOEXEC);

	check(fd_listen(dir, "start.sock", &err) == -1);
	check(err.errnum == EADDRINUSE);
	check_text(err.what, "cannot make the socket start.sock");
	check(unlinkat(dir, "start.sock", 0) == 0 && unlinkat(dir, "console.sock", 0) == 0);
	path[strlen(path) - strlen("/console.sock")] = '\0';
	check(rmdir(path) == 0);
}

static void test_sockets_that_are_not_there(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	char name[300];
	auto_fd dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	check(fd_connect_at(dir, "none.sock", &err) == -1 && err.errnum == ENOENT);
	check(fd_connect("/dev/null", &err) == -1 && err.errnum == ECONNREFUSED);
	check_text(err.what, "cannot connect to /dev/null");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	check(fd_listen(dir, name, &err) == -1 && err.errnum == ENAMETOOLONG);
}

static void test_passing_a_descriptor(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	int pair[2], pipe_fds[2];
	char data[8], control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec vector = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	int fd;

	(void)state;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	check(pipe2(pipe_fds, O_CLOEXEC) == 0);
	check(fd_send(pair[0], pipe_fds[1], "pts/1", 5, &err) == 0);
	check(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) == 5);
	check(memcmp(data, "pts/1", 5) == 0);
	header = CMSG_FIRSTHDR(&message);
	check(header && header->cmsg_type == SCM_RIGHTS);
	check(header->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	check(write(fd, "x", 1) == 1 && read(pipe_fds[0], data, 1) == 1);

	/* No SIGPIPE when the other side is gone. */
	close(pair[1]);
	check(fd_send(pair[0], pipe_fds[1], "x", 1, &err) == -1 && err.errnum == EPIPE);
	check_text(err.call, "sendmsg");
	close(fd);
	close(pair[0]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* Has a signal without SA_RESTART arrive every ten milliseconds. */
static void disturb(void)
{
	const struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerval every = { { 0, 10000 }, { 0, 10000 } };

	check(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &every, NULL) == 0);
}

static void leave_in_peace(void)
{
	check(setitimer(ITIMER_REAL, &(const struct itimerval){ { 0, 0 }, { 0, 0 } }, NULL) == 0);
}

static long elapsed_ms(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* In a child: what is open beyond the standard streams is the test's. */
/* Neighbours, one alone, the same twice, and none. */
static bool closes_all(void)
{
	int a = 30, b = 33, c = 31, d = 36, same = 31, none = -1;
	int *const fds[] = { &a, &b, &none, &c, &d, &same };
	bool good = true;

	for (int fd = 29; fd < 39; fd++)
		good &= dup2(STDERR_FILENO, fd) == fd;
	fd_close_all(fds, sizeof(fds) / sizeof(fds[0]));
	for (int fd = 29; fd < 39; fd++)
		good &= fd_is_open(fd) != (fd == 30 || fd == 31 || fd == 33 || fd == 36);
	return good && a == -1 && b == -1 && c == -1 && d == -1 && same == -1;
}

static void test_closing_others(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct error err = { 0 };
		int keep[] = { 40, -1, 20, 21 };
		bool good = true;

		for (int fd = 10; fd < 60; fd++)
			good &= dup2(STDERR_FILENO, fd) == fd;
		good &= fd_close_others(12, keep, 4, &err) == 0;
		for (int fd = 10; fd < 60; fd++)
			good &= fd_is_open(fd) == (fd < 12 || fd == 20 || fd == 21 || fd == 40);
		/* Its own first one is kept, and nothing but that. */
		good &= fd_close_others(20, (int[]){ 20 }, 1, &err) == 0;
		good &= fd_is_open(20) && !fd_is_open(21) && !fd_is_open(40);
		good &= fd_close_others(10, NULL, 0, &err) == 0 && !fd_is_open(10);
		good &= closes_all();
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_waiting(void **state)
{
	struct error err = { .kind = ERROR_NONE };
	struct timespec start;
	int fds[2];

	(void)state;
	check(pipe2(fds, O_CLOEXEC) == 0);
	check(fd_wait(fds[0], POLLIN, 0, &err) == 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	disturb();
	check(fd_wait(fds[0], POLLIN, 60, &err) == 0);
	leave_in_peace();
	check(elapsed_ms(&start) >= 59 && elapsed_ms(&start) < 30000);
	check(write(fds[1], "x", 1) == 1);
	check(fd_wait(fds[0], POLLIN, -1, &err) == 1);
	close(fds[0]);
	close(fds[1]);
}

/* Writes more than a pipe holds while a child reads slowly and signals arrive. */
static void test_writing_all(void **state)
{
	static char data[300000];
	struct error err = { .kind = ERROR_NONE };
	int fds[2], status = 0;
	pid_t pid;

	(void)state;
	check(pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		size_t total = 0;
		ssize_t got;

		close(fds[1]);
		usleep(30000);
		while ((got = read(fds[0], data, 50000)) > 0)
			total += (size_t)got;
		_exit(total == sizeof(data) ? 0 : 1);
	}
	close(fds[0]);
	disturb();
	check(fd_write_all(fds[1], data, sizeof(data), &err) == 0);
	leave_in_peace();
	close(fds[1]);
	check(waitpid(pid, &status, 0) == pid && status == 0);
	check(fd_write_all(fds[1], data, 1, &err) == -1 && err.errnum == EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close_and_take),
		cmocka_unit_test(test_close_keeps_errno),
		cmocka_unit_test(test_auto_fd_closes_at_the_end_of_its_block),
		cmocka_unit_test(test_standard_descriptors),
		cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_sockets_at_a_long_path),
		cmocka_unit_test(test_sockets_that_are_not_there),
		cmocka_unit_test(test_passing_a_descriptor),
		cmocka_unit_test(test_closing_others),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_writing_all),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
