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
