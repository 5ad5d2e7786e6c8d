/*
 * The commands of the probe: one small action each, for a test that wants to see whether the
 * container lets it happen.  A command that fails prints why on stderr and exits with 1.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* Prints "probe: WHAT: strerror (errno N)"; the number is for tests, the text for people. */
static int fail(const char *what)
{
	int error = errno;

	fflush(stdout);
	fprintf(stderr, "probe: %s: %s (errno %d)\n", what, strerror(error), error);
	return 1;
}

/* Reads a number, or ends the program: no command can go on with half of its arguments. */
static long long number(const char *text)
{
	char *end = NULL;

	errno = 0;
	long long value = strtoll(text, &end, 0);

	if (errno != 0 || end == text || *end != '\0') {
		fprintf(stderr, "probe: \"%s\" is not a number\n", text);
		exit(2);
	}
	return value;
}

static void sleep_seconds(double seconds)
{
	struct timespec left = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

static void leave(int signal)
{
	(void)signal;
	_exit(0);
}

/* A process that is the first of its pid namespace ignores TERM unless it handles it. */
static void leave_on_term(void)
{
	struct sigaction action = { .sa_handler = leave };

	sigaction(SIGTERM, &action, NULL);
}

static int run_true(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}

static int run_false(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 1;
}

static int run_exit(int argc, char **argv)
{
	(void)argc;
	return (int)(number(argv[0]) & 0xff);
}

static int run_sleep(int argc, char **argv)
{
	leave_on_term();
	if (argc == 1) {
		sleep_seconds(strtod(argv[0], NULL));
		return 0;
	}
	while (true)
		pause();
}

/* The first process of a pid namespace cannot kill itself; an exit status says that it lives. */
static int run_kill(int argc, char **argv)
{
	int signal = (int)number(argv[0]);

	(void)argc;
	if (kill(getpid(), signal) < 0)
		return fail("cannot send the signal");
	fprintf(stderr, "probe: signal %d did not end this process\n", signal);
	return 1;
}

static int copy(int from, int to)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0, m; done < n; done += m)
			if ((m = write(to, buffer + done, n - done)) < 0)
				return -1;
	return n < 0 ? -1 : 0;
}

static int run_cat(int argc, char **argv)
{
	(void)argc, (void)argv;
	return copy(0, 1) < 0 ? fail("cannot copy stdin to stdout") : 0;
}

static int run_echo(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("%s%s", i > 0 ? " " : "", argv[i]);
	putchar('\n');
	return fflush(stdout) != 0 ? fail("cannot write to stdout") : 0;
}

static int run_write(int argc, char **argv)
{
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	(void)argc;
	if (fd < 0)
		return fail(argv[0]);
	if (write(fd, argv[1], strlen(argv[1])) < 0 || close(fd) < 0)
		return fail(argv[0]);
	return 0;
}

static int run_read(int argc, char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	(void)argc;
	if (fd < 0 || copy(fd, 1) < 0)
		return fail(argv[0]);
	close(fd);
	return 0;
}

static int run_stat(int argc, char **argv)
{
	(void)argc;
	if (write_stat(NULL, AT_FDCWD, argv[0]) < 0)
		return fail(argv[0]);
	json_end();
	return 0;
}

static int run_ls(int argc, char **argv)
{
	(void)argc;
	if (write_directory(NULL, argv[0], 0) < 0)
		return fail(argv[0]);
	json_end();
	return 0;
}

static int run_open(int argc, char **argv)
{
	static const struct {
		const char *name;
		int flags;
	} modes[] = {
		{ "r", O_RDONLY },
		{ "w", O_WRONLY },
		{ "rw", O_RDWR },
		{ "append", O_WRONLY | O_APPEND },
		{ "create", O_WRONLY | O_CREAT | O_EXCL },
		{ "directory", O_RDONLY | O_DIRECTORY },
		{ "path", O_PATH },
	};

	(void)argc;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(argv[1], modes[i].name) != 0)
			continue;

		int fd = open(argv[0], modes[i].flags | O_CLOEXEC | O_NONBLOCK, 0666);

		return fd < 0 ? fail(argv[0]) : close(fd);
	}
	fprintf(stderr, "probe: \"%s\" is none of r, w, rw, append, create, directory, path\n",
		argv[1]);
	return 2;
}

/* Every page is written, so that it is charged to the cgroup. */
static int run_hog(int argc, char **argv)
{
	size_t size = (size_t)number(argv[0]);
	volatile char *memory =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argc;
	if (memory == MAP_FAILED)
		return fail("cannot map the memory");
	for (size_t at = 0; at < size; at += 4096)
		memory[at] = 1;
	printf("%zu\n", size);
	return 0;
}

static int run_forks(int argc, char **argv)
{
	long long wanted = number(argv[0]);
	pid_t *children = calloc((size_t)wanted, sizeof(*children));
	long long n = 0;

	(void)argc;
	if (!children)
		return fail("cannot remember so many children");
	while (n < wanted && (children[n] = fork()) >= 0) {
		if (children[n] == 0)
			while (true)
				pause();
		n++;
	}
	printf("%lld\n", n);
	for (long long i = 0; i < n; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		continue;
	return 0;
}

static int run_spin(int argc, char **argv)
{
	double seconds = strtod(argv[0], NULL);
	struct timespec start, now, used;
	double elapsed = 0;

	(void)argc;
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (elapsed < seconds) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		elapsed = (double)(now.tv_sec - start.tv_sec) +
			  (double)(now.tv_nsec - start.tv_nsec) / 1e9;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	json_open(NULL, '{');
	json_format("elapsed", "%.3f", elapsed);
	json_seconds("cpu", used.tv_sec, used.tv_nsec);
	json_close('}');
	json_end();
	return 0;
}

/* sd_notify(3); BARRIER=1 takes one end of a pipe along, and waits until that is closed. */
static int run_notify(int argc, char **argv)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), ends[2];
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct cmsghdr *header = (struct cmsghdr *)control;
	bool barrier = strcmp(argv[0], "BARRIER=1") == 0;
	struct iovec data = { .iov_base = argv[0], .iov_len = strlen(argv[0]) };
	struct msghdr message = { .msg_name = &address,
				  .msg_namelen = sizeof(address),
				  .msg_iov = &data,
				  .msg_iovlen = 1 };

	(void)argc;
	if (!path || fd < 0 || pipe(ends) < 0)
		return fail("nobody is to be notified");
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (barrier) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		*header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
					    .cmsg_level = SOL_SOCKET,
					    .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
	}
	if (sendmsg(fd, &message, 0) < 0)
		return fail("cannot notify");
	close(ends[1]);
	if (barrier && poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, 5000) != 1)
		return fail("nobody has read it");
	return 0;
}

static int run_socket(int argc, char **argv)
{
	static const struct {
		const char *name;
		int family, type;
	} families[] = {
		{ "unix", AF_UNIX, SOCK_STREAM },   { "inet", AF_INET, SOCK_STREAM },
		{ "inet6", AF_INET6, SOCK_STREAM }, { "netlink", AF_NETLINK, SOCK_RAW },
		{ "packet", AF_PACKET, SOCK_RAW },  { "vsock", AF_VSOCK, SOCK_STREAM },
		{ "alg", AF_ALG, SOCK_SEQPACKET },
	};

	(void)argc;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (strcmp(argv[0], families[i].name) != 0)
			continue;
		return socket(families[i].family, families[i].type | SOCK_CLOEXEC, 0) < 0
			   ? fail(argv[0])
			   : 0;
	}

	int family = (int)number(argv[0]);

	return socket(family, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 ? fail(argv[0]) : 0;
}

/* Succeeds whatever the call says: the result is what the test asks for. */
static int run_syscall(int argc, char **argv)
{
	long word[7] = { 0 };

	for (int i = 0; i < argc; i++)
		word[i] = (long)number(argv[i]);
	errno = 0;

	long result = syscall(word[0], word[1], word[2], word[3], word[4], word[5], word[6]);
	int error = result < 0 ? errno : 0;

	json_open(NULL, '{');
	json_number("result", result);
	json_number("errno", error);
	json_string("error", error ? strerror(error) : NULL);
	json_close('}');
	json_end();
	return 0;
}

static int run_tty(int argc, char **argv)
{
	(void)argc, (void)argv;
	write_tty(NULL);
	json_end();
	return 0;
}

/* Prints the daemon's pid, then leaves it alone with no terminal and no open file. */
static int run_daemon(int argc, char **argv)
{
	pid_t pid = fork();

	(void)argc;
	if (pid < 0)
		return fail("cannot fork");
	if (pid == 0) {
		setsid();
		leave_on_term();
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		sleep_seconds(strtod(argv[0], NULL));
		_exit(0);
	}
	printf("%d\n", pid);
	return 0;
}

/* Prints the capabilities that the process has, or hasn't, four a line. */
static void greet_list(bool wanted)
{
	int column = 0;

	for (int i = 0; capability_name(i); i++) {
		if (has_capability("effective", i) != wanted)
			continue;
		if (column > 0)
			printf(column % 4 == 0 ? ",\n            " : ", ");
		fputs(capability_name(i), stdout);
		column++;
	}
}

static void greet_capabilities(void)
{
	int has = 0, all = 0;

	for (; capability_name(all); all++)
		has += has_capability("effective", all);
	printf("  I may     ");
	if (has == 0) {
		printf("nothing that needs a capability");
	} else if (has == all) {
		printf("everything: I have all %d capabilities", all);
	} else if (has > all / 2) {
		printf("nearly everything, but not ");
		greet_list(false);
	} else {
		greet_list(true);
	}
	putchar('\n');
}

static int run_hello(int argc, char **argv)
{
	char cgroup[4096] = "";
	struct utsname name;

	(void)argc, (void)argv;
	uname(&name);
	printf("Hello from inside a container!\n\n");
	printf("  I am      process %d of %s, user %u, group %u\n", getpid(), name.nodename,
	       getuid(), getgid());
	printf("  kernel    %s %s (%s)\n", name.sysname, name.release, name.machine);
	if (read_file("/proc/self/cgroup", cgroup, sizeof(cgroup)) > 0) {
		char *unified = strstr(cgroup, "0::");

		cgroup[strcspn(unified ? unified : cgroup, "\n") +
		       (size_t)(unified ? unified - cgroup : 0)] = '\0';
		printf("  cgroup    %s\n", unified ? unified + 3 : cgroup);
	} else {
		printf("  cgroup    I cannot tell, there is no /proc here\n");
	}
	greet_capabilities();
	printf("\nTry \"probe --help\" for what else I can tell.\n");
	return 0;
}

const struct command probe_commands[] = {
	{ "true", "", "exit with 0", 0, -1, run_true },
	{ "false", "", "exit with 1", 0, -1, run_false },
	{ "exit", "STATUS", "exit with STATUS", 1, 1, run_exit },
	{ "sleep", "[SECONDS]", "wait, for ever or so long; SIGTERM ends it with 0", 0, 1,
	  run_sleep },
	{ "kill", "SIGNAL", "send SIGNAL to itself", 1, 1, run_kill },
	{ "cat", "", "copy stdin to stdout", 0, 0, run_cat },
	{ "echo", "[WORD...]", "print the words", 0, -1, run_echo },
	{ "write", "PATH TEXT", "make the file PATH hold TEXT", 2, 2, run_write },
	{ "read", "PATH", "print the file PATH", 1, 1, run_read },
	{ "stat", "PATH", "print what lstat says of PATH", 1, 1, run_stat },
	{ "ls", "PATH", "print the entries of a directory", 1, 1, run_ls },
	{ "open", "PATH MODE", "open PATH: r w rw append create directory path", 2, 2, run_open },
	{ "hog", "BYTES", "take so much memory and touch all of it", 1, 1, run_hog },
	{ "forks", "N", "make up to N sleeping children, print how many", 1, 1, run_forks },
	{ "spin", "SECONDS", "burn the processor, print the time it got", 1, 1, run_spin },
	{ "notify", "TEXT", "tell $NOTIFY_SOCKET; BARRIER=1 waits until it is read", 1, 1,
	  run_notify },
	{ "socket", "FAMILY", "open a socket: unix inet inet6 netlink packet vsock alg N", 1, 1,
	  run_socket },
	{ "syscall", "NR [ARG...]", "make a system call, print its result and errno", 1, 7,
	  run_syscall },
	{ "tty", "", "print what the section tty says", 0, 0, run_tty },
	{ "daemon", "SECONDS", "leave a child behind that sleeps, print its pid", 1, 1,
	  run_daemon },
	{ "hello", "", "greet a person", 0, 0, run_hello },
};

const size_t probe_commands_n = ARRAY_SIZE(probe_commands);
