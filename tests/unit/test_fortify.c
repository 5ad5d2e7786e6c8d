/* A length that is larger than the object ends the static program too, and any other does not. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* Beside those of this program's own C library. */
#define __memcpy_chk	musl_memcpy
#define __memmove_chk	musl_memmove
#define __memset_chk	musl_memset
#define __snprintf_chk	musl_snprintf
#define __vsnprintf_chk musl_vsnprintf
#include "../../src/musl/fortify.c"

static char room[16];

static void copy(size_t n)
{
	musl_memcpy(room, "0123456789abcdef", n, 8);
}

static void move(size_t n)
{
	musl_memmove(room, room + 2, n, 8);
}

static void set(size_t n)
{
	musl_memset(room, 'x', n, 8);
}

static void print(size_t n)
{
	musl_snprintf(room, n, 0, 8, "%s", "hello");
}

static void read_zeros(size_t n)
{
	check_int(checked_read(STDIN_FILENO, room, n, 8), n);
}

static void read_at(size_t n)
{
	check_int(checked_pread(STDIN_FILENO, room, n, 0, 8), n);
}

static void receive(size_t n)
{
	(void)checked_recv(STDIN_FILENO, room, n, 0, 8);
}

static void read_link(size_t n)
{
	(void)checked_readlinkat(AT_FDCWD, "/proc/self/exe", room, n, 8);
}

/* The signal that ends a child which calls FUNCTION with N; 0 when it goes on. */
static int signal_of(void (*function)(size_t n), size_t n)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int zeros = open("/dev/zero", O_RDONLY);

		/* cmocka has a handler. */
		signal(SIGILL, SIG_DFL);
		close(STDERR_FILENO);
		dup2(zeros, STDIN_FILENO);
		function(n);
		_exit(0);
	}
	check_int(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_too_long_is_the_end(void **state)
{
	static void (*const functions[])(size_t n) = { copy,	   move,    set,     print,
						       read_zeros, read_at, receive, read_link };

	(void)state;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		check_int(signal_of(functions[i], 8), 0);
		check(signal_of(functions[i], 9) != 0);
	}
}

static void test_they_do_what_they_are_named_after(void **state)
{
	(void)state;
	copy(8);
	check(memcmp(room, "01234567", 8) == 0);
	move(3);
	check(memcmp(room, "23434567", 8) == 0);
	set(2);
	check(memcmp(room, "xx434567", 8) == 0);
	print(4);
	check_text(room, "hel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_long_is_the_end),
		cmocka_unit_test(test_they_do_what_they_are_named_after),
	};

	return check_all(tests);
}
