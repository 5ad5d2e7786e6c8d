/* A pty is the container's own, its console cannot lead elsewhere, and it arrives whole on the
 * other side. */
#include <creel/terminal.h>

#include "in_child.h"
#include <creel/fd.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* A root of our own in a mount namespace of our own: a tmpfs on /mnt with dev/ and, if asked for, a
 * devpts. */
static int make_root(bool devpts)
{
	int root;

	if (unshare(CLONE_NEWNS) < 0)
		SKIP_BODY("no mount namespaces here");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	check(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	check(mkdir("/mnt/dev", 0755) == 0 && mkdir("/mnt/dev/pts", 0755) == 0);
	if (devpts)
		check(mount("devpts", "/mnt/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
			    "newinstance,ptmxmode=0666,mode=0620") == 0);
	root = open("/mnt", O_PATH | O_DIRECTORY | O_CLOEXEC);
	check(root >= 0);
	return root;
}

static void open_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	struct winsize size;
	struct stat status;
	struct stat named;
	auto_fd root = make_root(true);

	check_ok(terminal_open(root, 25, 132, &terminal, &err), &err);
	check(ioctl(terminal.slave, TIOCGWINSZ, &size) == 0);
	check(size.ws_row == 25 && size.ws_col == 132);
	check(fcntl(terminal.master, F_GETFD) & FD_CLOEXEC);
	check(fcntl(terminal.slave, F_GETFD) & FD_CLOEXEC);
	/* The first of a new instance, seen by its name in it. */
	check(fstat(terminal.slave, &status) == 0 && stat("/mnt/dev/pts/0", &named) == 0);
	check(status.st_ino == named.st_ino && status.st_dev == named.st_dev);
	/* Not taken as controlling terminal by opening it. */
	check(tcgetsid(terminal.slave) == -1);
}

static void test_open_is_in_the_containers_devpts(void **state)
{
	(void)state;
	in_child(open_body);
}

static void no_devpts_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	auto_fd root = make_root(false);

	check(mknod("/mnt/dev/pts/ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
	check(terminal_open(root, 0, 0, &terminal, &err) < 0);
	check(strcmp(err.where, "/process/terminal") == 0);
	check(strstr(err.what, "devpts"));
}

static void test_open_without_a_devpts_says_so(void **state)
{
	(void)state;
	in_child(no_devpts_body);
}

static void linked_devpts_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	auto_fd root = make_root(false);

	/* The host's devpts by a link. */
	check(rmdir("/mnt/dev/pts") == 0 && mkdir("/mnt/host", 0755) == 0);
	check(mount("devpts", "/mnt/host", "devpts", 0, "newinstance,ptmxmode=0666") == 0);
	check(symlink("/host", "/mnt/dev/pts") == 0);
	check(terminal_open(root, 0, 0, &terminal, &err) < 0);
}

static void test_devpts_behind_a_link_is_refused(void **state)
{
	(void)state;
	in_child(linked_devpts_body);
}

static void covered_multiplexer_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	auto_fd root = make_root(true);

	check(mount("/dev/null", "/mnt/dev/pts/ptmx", NULL, MS_BIND, NULL) == 0);
	check(terminal_open(root, 0, 0, &terminal, &err) < 0);
	check(strstr(err.what, "ptmx"));
}

static void test_covered_multiplexer_is_refused(void **state)
{
	(void)state;
	in_child(covered_multiplexer_body);
}

static void console_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	struct stat slave;
	struct stat console;
	auto_fd root = make_root(true);
	auto_fd seen = -1;

	check_ok(terminal_open(root, 0, 0, &terminal, &err), &err);
	check_ok(terminal_bind_console(root, terminal.slave, &err), &err);
	check(stat("/mnt/dev/console", &console) == 0 && fstat(terminal.slave, &slave) == 0);
	check(console.st_rdev == slave.st_rdev && S_ISCHR(console.st_mode));

	/* The same terminal, not only the same numbers. */
	seen = open("/mnt/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	check(seen >= 0 && write(seen, "x", 1) == 1);
	check(fd_wait(terminal.master, 1 /* POLLIN */, 1000, &err) == 1);
}

static void test_console_is_the_terminal(void **state)
{
	(void)state;
	in_child(console_body);
}

static void console_link_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	auto_fd root = make_root(true);

	check_ok(terminal_open(root, 0, 0, &terminal, &err), &err);
	check(symlink("/mnt/made-by-link", "/mnt/dev/console") == 0);
	check(terminal_bind_console(root, terminal.slave, &err) < 0);
	check(err.errnum == ELOOP && strstr(err.what, "/dev/console"));
	check(access("/mnt/made-by-link", F_OK) < 0);
	check(access("/mnt/mnt/made-by-link", F_OK) < 0);

	check(unlink("/mnt/dev/console") == 0 && mkdir("/mnt/dev/console", 0755) == 0);
	check(terminal_bind_console(root, terminal.slave, &err) < 0 && err.errnum == EISDIR);
}

static void test_console_is_never_a_link(void **state)
{
	(void)state;
	in_child(console_link_body);
}

static void console_read_only_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	struct stat console;
	auto_fd root = make_root(true);

	check_ok(terminal_open(root, 0, 0, &terminal, &err), &err);
	check(mknod("/mnt/dev/console", S_IFREG | 0600, 0) == 0);
	check(mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	check_ok(terminal_bind_console(root, terminal.slave, &err), &err);
	check(stat("/mnt/dev/console", &console) == 0 && S_ISCHR(console.st_mode));
}

static void test_console_of_a_read_only_root(void **state)
{
	(void)state;
	in_child(console_read_only_body);
}

static void take_body(void)
{
	struct terminal terminal;
	struct error err = { 0 };
	struct stat status;
	auto_fd root = make_root(true);
	int report = fcntl(2, F_DUPFD_CLOEXEC, 10);

	check(report >= 0);
	check_ok(terminal_open(root, 0, 0, &terminal, &err), &err);
	if (terminal_control(terminal.slave, &err) < 0 ||
	    terminal_take(terminal.slave, 1234, &err) < 0) {
		dprintf(report, "%s\n", err.what);
		_exit(1);
	}
	if (tcgetsid(0) != getpid())
		_exit(2);
	if (!isatty(0) || !isatty(1) || !isatty(2))
		_exit(3);
	if (fstat(0, &status) < 0 || status.st_uid != 1234 || status.st_gid != 0)
		_exit(4);
}

static void test_take_makes_it_the_controlling_terminal(void **state)
{
	(void)state;
	in_child(take_body);
}

/* Receives one message with one descriptor; the length of the payload in NAME. */
static ssize_t receive(int connection, char *name, size_t size, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { name, size };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	check(n >= 0 && header && header->cmsg_type == SCM_RIGHTS);
	check(header->cmsg_len == CMSG_LEN(sizeof(int)));
	memcpy(fd, CMSG_DATA(header), sizeof(int));
	return n;
}

static void send_body(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/mnt/socket" };
	struct terminal terminal;
	struct error err = { 0 };
	char name[4096] = "";
	char text[8];
	int master = -1;
	auto_fd root = make_root(true);
	auto_fd listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	check(listen(listener, 1) == 0);
	check_ok(terminal_open(root, 0, 0, &terminal, &err), &err);
	check_ok(terminal_send("/mnt/socket", terminal.master, &err), &err);

	auto_fd connection = accept(listener, NULL, NULL);

	check(receive(connection, name, sizeof(name) - 1, &master) > 0);
	check(strcmp(name, "/dev/pts/0") == 0);
	check(read(connection, text, sizeof(text)) == 0); /* one message, then the end */
	check(write(terminal.slave, "hello", 5) == 5);
	check(read(master, text, sizeof(text)) == 5 && memcmp(text, "hello", 5) == 0);

	check(terminal_send("/mnt/nobody", terminal.master, &err) < 0);
	check(strstr(err.what, "console socket"));
}

static void test_send_passes_the_master(void **state)
{
	(void)state;
	in_child(send_body);
}

static void raw_body(void)
{
	struct terminal terminal;
	struct terminal other;
	struct termios before;
	struct termios saved;
	struct termios now;
	struct winsize size;
	struct error err = { 0 };
	auto_fd root = make_root(true);

	check_ok(terminal_open(root, 40, 90, &terminal, &err), &err);
	check(tcgetattr(terminal.slave, &before) == 0 && (before.c_lflag & ECHO));
	check_ok(terminal_raw(terminal.slave, &saved, &err), &err);
	check(tcgetattr(terminal.slave, &now) == 0);
	check(!(now.c_lflag & (ECHO | ICANON | ISIG)));
	terminal_restore(terminal.slave, &saved);
	check(tcgetattr(terminal.slave, &now) == 0);
	check(now.c_lflag == before.c_lflag && now.c_iflag == before.c_iflag);
	check(terminal_raw(root, &saved, &err) < 0);

	check_ok(terminal_open(root, 1, 1, &other, &err), &err);
	terminal_copy_size(terminal.slave, other.master);
	check(ioctl(other.slave, TIOCGWINSZ, &size) == 0);
	check(size.ws_row == 40 && size.ws_col == 90);
	terminal_copy_size(root, other.master);
	check(ioctl(other.slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 40);
}

static void test_raw_mode_and_size(void **state)
{
	(void)state;
	in_child(raw_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_is_in_the_containers_devpts),
		cmocka_unit_test(test_open_without_a_devpts_says_so),
		cmocka_unit_test(test_devpts_behind_a_link_is_refused),
		cmocka_unit_test(test_covered_multiplexer_is_refused),
		cmocka_unit_test(test_console_is_the_terminal),
		cmocka_unit_test(test_console_is_never_a_link),
		cmocka_unit_test(test_console_of_a_read_only_root),
		cmocka_unit_test(test_take_makes_it_the_controlling_terminal),
		cmocka_unit_test(test_send_passes_the_master),
		cmocka_unit_test(test_raw_mode_and_size),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
