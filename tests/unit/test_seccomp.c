/* A filter takes effect, its listener works, and refusals are explained. */
#include <creel/seccomp.h>

#include "in_child.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* getppid(2) does ACTION, everything else is allowed. */
#define FILTER(action)                                                                             \
	{                                                                                          \
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),             \
		    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),                        \
		    BPF_STMT(BPF_RET | BPF_K, (action)),                                           \
		    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),                                  \
	}

static void filter_body(void)
{
	struct sock_filter filter[] = FILTER(SECCOMP_RET_ERRNO | EXDEV);
	const struct seccomp_program program = { .filter = filter, .length = 4 };
	struct error err = { 0 };
	int listener;

	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	check_ok(seccomp_install(&program, &listener, &err), &err);
	check(listener == -1);
	check(syscall(SYS_getppid) == -1 && errno == EXDEV);
}

static void test_filter_takes_effect(void **state)
{
	(void)state;
	in_child(filter_body);
}

static bool lets(struct sock_filter *filter, size_t length, long number, uint64_t argument)
{
	const struct seccomp_program program = { .filter = filter, .length = length };

	return seccomp_lets(&program, number, argument);
}

/* What a filter says is known before it is in force: as the kernel will say it. */
static void test_verdicts_without_the_kernel(void **state)
{
	static const struct {
		uint32_t action;
		bool lets;
	} rows[] = {
		{ SECCOMP_RET_ALLOW, true },	      { SECCOMP_RET_LOG, true },
		{ SECCOMP_RET_ERRNO | EXDEV, false }, { SECCOMP_RET_KILL_PROCESS, false },
		{ SECCOMP_RET_USER_NOTIF, false },    { SECCOMP_RET_TRACE, false },
	};

	(void)state;
	check(lets(NULL, 0, SYS_getppid, 0));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sock_filter filter[] = FILTER(rows[i].action);

		check(lets(filter, 4, SYS_getppid, 0) == rows[i].lets);
		check(lets(filter, 4, SYS_getpid, 0));
	}
}

/* The first argument counts, and so does every jump; what cannot be understood is not let pass. */
static void test_verdicts_by_argument(void **state)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0x40, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x20, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x10, 1, 0),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter odd[] = { BPF_STMT(BPF_MISC | BPF_TAX, 0),
				     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_filter far[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4096),
				     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_filter open[] = { BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX) };

	(void)state;
	check(lets(filter, ARRAY_SIZE(filter), 1, 0x0f));
	check(!lets(filter, ARRAY_SIZE(filter), 1, 0x1f));
	check(lets(filter, ARRAY_SIZE(filter), 1, 0x20));
	check(lets(filter, ARRAY_SIZE(filter), 1, 0x40));
	check(!lets(filter, ARRAY_SIZE(filter), 1, 0x50));
	check(!lets(odd, 2, 1, 0));
	check(!lets(far, 2, 1, 0));
	check(!lets(open, 1, 1, 0));
}

static void none_body(void)
{
	const struct seccomp_program program = { .length = 0, .notify = true };
	struct error err = { 0 };
	int listener = 7;

	check_ok(seccomp_install(&program, &listener, &err), &err);
	check(listener == -1);
	check(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
}

static void test_no_filter_installs_none(void **state)
{
	(void)state;
	in_child(none_body);
}

static void unprivileged_body(void)
{
	struct sock_filter filter[] = FILTER(SECCOMP_RET_ALLOW);
	const struct seccomp_program program = { .filter = filter, .length = 4 };
	struct error err = { 0 };
	int listener;

	check(setuid(1000) == 0);
	check(seccomp_install(&program, &listener, &err) < 0);
	check(err.errnum == EACCES);
	check(strstr(err.hint, "noNewPrivileges"));
}

static void test_without_privilege_it_names_the_way_out(void **state)
{
	(void)state;
	in_child(unprivileged_body);
}

static void limits_body(void)
{
	struct sock_filter filter[] = FILTER(SECCOMP_RET_ALLOW);
	struct seccomp_program program = { .filter = filter, .length = 5000 };
	struct error err = { 0 };
	int listener;

	check(seccomp_install(&program, &listener, &err) < 0);
	check(err.kind == ERROR_UNSUPPORTED);
	check(strstr(err.what, "5000") && strstr(err.what, "4096"));

	program = (struct seccomp_program){ .filter = filter, .length = 4, .flags = 1u << 30 };
	check(seccomp_install(&program, &listener, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.hint, "0x40000000"));

	/* A filter must end in a return. */
	program = (struct seccomp_program){ .filter = filter, .length = 1 };
	check(seccomp_install(&program, &listener, &err) < 0);
	check(err.errnum == EINVAL);
}

static void test_limits_are_explained(void **state)
{
	(void)state;
	in_child(limits_body);
}

static void wait_killable_body(void)
{
	struct sock_filter filter[] = FILTER(SECCOMP_RET_ALLOW);
	const struct seccomp_program program = {
		.filter = filter,
		.length = 4,
		.flags = SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_LOG,
	};
	struct error err = { 0 };
	int listener;

	check_ok(seccomp_install(&program, &listener, &err), &err);
}

static void test_wait_killable_without_a_listener_is_harmless(void **state)
{
	(void)state;
	in_child(wait_killable_body);
}

static void notify_body(void)
{
	struct sock_filter filter[] = FILTER(SECCOMP_RET_USER_NOTIF);
	const struct seccomp_program program = { .filter = filter, .length = 4, .notify = true };
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp response = { 0 };
	struct error err = { 0 };
	int listener;
	int second;
	int status;
	pid_t pid;

	check_ok(seccomp_install(&program, &listener, &err), &err);
	check(listener >= 0);
	check(fcntl(listener, F_GETFD) & FD_CLOEXEC);

	pid = fork();
	check(pid >= 0);
	if (pid == 0)
		_exit(syscall(SYS_getppid) == 42 ? 0 : 1);
	check(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0);
	check(request.data.nr == SYS_getppid);
	response.id = request.id;
	response.val = 42;
	check(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0);
	check(waitpid(pid, &status, 0) == pid && status == 0);

	check(seccomp_install(&program, &second, &err) < 0);
	check(second == -1);
	check(err.errnum == EBUSY && strstr(err.hint, "listener"));
}

static void test_listener_receives_and_there_is_one(void **state)
{
	(void)state;
	in_child(notify_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter_takes_effect),
		cmocka_unit_test(test_verdicts_without_the_kernel),
		cmocka_unit_test(test_verdicts_by_argument),
		cmocka_unit_test(test_no_filter_installs_none),
		cmocka_unit_test(test_without_privilege_it_names_the_way_out),
		cmocka_unit_test(test_limits_are_explained),
		cmocka_unit_test(test_wait_killable_without_a_listener_is_harmless),
		cmocka_unit_test(test_listener_receives_and_there_is_one),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
