/* The device program against the rules that it stands for: in an interpreter of our own, and in the
 * kernel. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/cgroup_bpf.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/process.h>

#include "device_interpreter.h"

#define ALLOW(t, major, minor, access)                                                             \
	{                                                                                          \
		true, t, major, minor, access                                                      \
	}
#define DENY(t, major, minor, access)                                                              \
	{                                                                                          \
		false, t, major, minor, access                                                     \
	}

/* What dockerd sends for a container without options, and what the runtime adds to every list. */
static const struct device_rule docker_rules[] = {
	DENY('a', -1, -1, DEVICE_ALL),	  ALLOW('c', 1, 5, DEVICE_ALL),
	ALLOW('c', 1, 3, DEVICE_ALL),	  ALLOW('c', 1, 9, DEVICE_ALL),
	ALLOW('c', 1, 8, DEVICE_ALL),	  ALLOW('c', 5, 0, DEVICE_ALL),
	ALLOW('c', 5, 1, DEVICE_ALL),	  DENY('c', 10, 229, DEVICE_ALL),
	DENY('a', -1, -1, DEVICE_ALL),	  ALLOW('c', 1, 5, DEVICE_ALL),
	ALLOW('c', 1, 3, DEVICE_ALL),	  ALLOW('c', 1, 9, DEVICE_ALL),
	ALLOW('c', 1, 8, DEVICE_ALL),	  ALLOW('c', 5, 0, DEVICE_ALL),
	ALLOW('c', 5, 1, DEVICE_ALL),	  DENY('c', 10, 229, DEVICE_ALL),
	ALLOW('c', -1, -1, DEVICE_MKNOD), ALLOW('b', -1, -1, DEVICE_MKNOD),
	ALLOW('c', 1, 3, DEVICE_ALL),	  ALLOW('c', 1, 5, DEVICE_ALL),
	ALLOW('c', 1, 7, DEVICE_ALL),	  ALLOW('c', 1, 8, DEVICE_ALL),
	ALLOW('c', 1, 9, DEVICE_ALL),	  ALLOW('c', 5, 0, DEVICE_ALL),
	ALLOW('c', 136, -1, DEVICE_ALL),  ALLOW('c', 5, 2, DEVICE_ALL),
	ALLOW('c', 10, 200, DEVICE_ALL),
};

static uint64_t seed = 88172645463325252ULL;

static unsigned int draw(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)((seed >> 11) % n);
}

/* Few numbers, so that rules meet each other; some at the ends of what a device number can be, and
 * beyond. */
static int64_t draw_number(int64_t last, bool any)
{
	switch (draw(any ? 8 : 5)) {
	case 0:
	case 1:
	case 2:
		return draw(3);
	case 3:
		return last;
	case 4:
		return last / 2 + 1;
	case 5:
		return last + 1;
	default:
		return -1;
	}
}

static struct device_rule draw_rule(void)
{
	if (draw(12) == 0)
		return (struct device_rule){ draw(2), 'a', -1, -1, DEVICE_ALL };
	return (struct device_rule){
		.allow = draw(2),
		.type = "abc"[draw(3)],
		.major = draw_number(4095, true),
		.minor = draw_number(1048575, true),
		.access = 1 + draw(DEVICE_ALL),
	};
}

static void test_program_says_what_the_rules_say(void **state)
{
	struct device_rule rules[24];
	long allowed = 0, asked = 0;

	(void)state;
	while (asked < 200000) {
		auto_arena arena = { 0 };
		size_t n = draw(ARRAY_SIZE(rules) + 1), length = 0;
		struct bpf_insn *program;

		for (size_t i = 0; i < n; i++)
			rules[i] = draw_rule();
		program = device_program(&arena, rules, n, &length);
		check(length > 1 && length < 16 + 2 * n * 5 + 12);
		for (int i = 0; i < 40; i++, asked++) {
			char type = draw(2) ? 'b' : 'c';
			int64_t major = draw_number(4095, false),
				minor = draw_number(1048575, false);
			unsigned int access = draw(DEVICE_ALL + 1);
			bool expected = device_rules_allow(rules, n, type, major, minor, access);

			check_int(
			    run(program, length, type, (uint32_t)major, (uint32_t)minor, access),
			    expected);
			allowed += expected;
		}
	}
	/* A comparison in which one answer hardly comes up proves little. */
	check(allowed > asked / 5 && allowed < asked * 4 / 5);
}

static void test_the_reference_itself(void **state)
{
	static const struct device_rule hole[] = {
		ALLOW('c', 1, -1, DEVICE_ALL),
		DENY('c', 1, 3, DEVICE_WRITE),
		ALLOW('b', -1, 7, DEVICE_READ),
	};
	static const struct device_rule reset[] = {
		ALLOW('c', 1, 3, DEVICE_ALL),
		DENY('a', -1, -1, DEVICE_ALL),
		ALLOW('c', 1, 5, DEVICE_READ),
	};

	(void)state;
	check(!device_rules_allow(NULL, 0, 'c', 1, 3, DEVICE_READ));
	check(device_rules_allow(hole, 3, 'c', 1, 5, DEVICE_ALL));
	check(device_rules_allow(hole, 3, 'c', 1, 3, DEVICE_READ | DEVICE_MKNOD));
	check(!device_rules_allow(hole, 3, 'c', 1, 3, DEVICE_READ | DEVICE_WRITE));
	check(!device_rules_allow(hole, 3, 'b', 1, 3, DEVICE_READ));
	check(device_rules_allow(hole, 3, 'b', 200, 7, DEVICE_READ));
	check(!device_rules_allow(hole, 3, 'b', 200, 7, DEVICE_READ | DEVICE_WRITE));
	check(!device_rules_allow(reset, 3, 'c', 1, 3, DEVICE_READ));
	check(device_rules_allow(reset, 3, 'c', 1, 5, DEVICE_READ));
	check(device_rules_allow(docker_rules, ARRAY_SIZE(docker_rules), 'c', 136, 9, DEVICE_ALL));
	check(device_rules_allow(docker_rules, ARRAY_SIZE(docker_rules), 'b', 8, 0, DEVICE_MKNOD));
	check(!device_rules_allow(docker_rules, ARRAY_SIZE(docker_rules), 'b', 8, 0, DEVICE_READ));
	check(
	    !device_rules_allow(docker_rules, ARRAY_SIZE(docker_rules), 'c', 10, 229, DEVICE_READ));
}

static size_t length_of(const struct device_rule *rules, size_t n)
{
	auto_arena arena = { 0 };
	size_t length = 0;

	(void)device_program(&arena, rules, n, &length);
	return length;
}

static void test_rules_that_change_nothing_cost_nothing(void **state)
{
	static const struct device_rule all[] = {
		DENY('c', 1, 3, DEVICE_ALL),
		ALLOW('a', -1, -1, DEVICE_ALL),
		ALLOW('c', 1, 3, DEVICE_READ),
	};
	static const struct device_rule once[] = { ALLOW('c', 1, 3, DEVICE_ALL) };
	static const struct device_rule twice[] = {
		DENY('b', 8, -1, DEVICE_READ), DENY('a', -1, -1, DEVICE_ALL),
		DENY('c', 4, 4, DEVICE_ALL),   ALLOW('c', 1, 3, DEVICE_ALL),
		ALLOW('c', 1, 3, DEVICE_READ), ALLOW('c', 1, 3, DEVICE_ALL),
	};

	(void)state;
	check_int(length_of(all, ARRAY_SIZE(all)), 2);
	check_int(length_of(twice, ARRAY_SIZE(twice)), length_of(once, ARRAY_SIZE(once)));
	/* Nine devices and a pattern, twelve instructions at the head, four for mknod, six for
	 * three answers. */
	check(length_of(docker_rules, ARRAY_SIZE(docker_rules)) <= 36);
}

/* N rules of which no two speak of the same device. */
static struct device_rule *many_rules(struct arena *arena, size_t n, unsigned int access)
{
	struct device_rule *rules = arena_array(arena, n, sizeof(*rules));

	for (size_t i = 0; i < n; i++)
		rules[i] = (struct device_rule){ true, i % 3 ? 'c' : 'b', (int64_t)i % 4096,
						 (int64_t)i / 4096, access };
	return rules;
}

static void test_many_rules_are_in_reach_of_jumps(void **state)
{
	const size_t n = 65536;
	auto_arena arena = { 0 };
	struct device_rule *rules = many_rules(&arena, n, DEVICE_ALL);
	size_t length = 0;
	struct bpf_insn *program;

	(void)state;
	/* Some of each kind, all over the list. */
	for (size_t i = 0; i < n; i += 97)
		rules[i].access = DEVICE_READ | DEVICE_WRITE;
	program = device_program(&arena, rules, n, &length);
	for (int i = 0; i < 3000; i++) {
		size_t which = draw((unsigned int)n);
		char type = draw(8) ? rules[which].type : 'b';
		unsigned int access = 1 + draw(DEVICE_ALL);
		int64_t major = rules[which].major, minor = rules[which].minor + (draw(9) ? 0 : 64);

		check_int(run(program, length, type, (uint32_t)major, (uint32_t)minor, access),
			  device_rules_allow(rules, n, type, major, minor, access));
	}
}

struct fixture {
	int root;
	char path[64];
	struct cgroup cgroup;
};

/* Runs ASK in the cgroup; what it returns, up to 255. */
static int ask_inside(const struct fixture *fixture, int (*ask)(void))
{
	const struct spawn spawn = { .cgroup = fixture->cgroup.fd };
	struct error err = { 0 };
	int status = 0;
	pid_t pid = process_spawn(&spawn, &err);

	check(pid >= 0);
	if (pid == 0)
		_exit(ask());
	check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	int errnum = fd < 0 ? errno : 0;

	close(fd);
	return errnum;
}

static int ask_read_zero(void)
{
	return open_errno("/dev/zero", O_RDONLY);
}

static int ask_write_zero(void)
{
	return open_errno("/dev/zero", O_RDWR);
}

static int ask_read_full(void)
{
	return open_errno("/dev/full", O_RDONLY);
}

static int mknod_errno(mode_t type, dev_t device)
{
	char path[64];
	int errnum;

	snprintf(path, sizeof(path), "/tmp/creel-test-node-%d", getpid());
	errnum = mknod(path, type | 0600, device) < 0 ? errno : 0;
	unlink(path);
	return errnum;
}

static int ask_make_block(void)
{
	return mknod_errno(S_IFBLK, makedev(7, 99));
}

static int ask_make_null(void)
{
	return mknod_errno(S_IFCHR, makedev(1, 3));
}

/* How many device programs are on the cgroup, by asking the kernel. */
static int count_attached(int cgroup)
{
	union {
		char room[256];
		union bpf_attr bpf;
	} attributes = { .room = { 0 } };

	attributes.bpf.query.target_fd = (uint32_t)cgroup;
	attributes.bpf.query.attach_type = BPF_CGROUP_DEVICE;
	check_int(syscall(SYS_bpf, BPF_PROG_QUERY, &attributes, sizeof(attributes)), 0);
	return (int)attributes.bpf.query.prog_cnt;
}

static void apply(const struct fixture *fixture, const struct device_rule *rules, size_t n)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	size_t length = 0;
	struct bpf_insn *program = device_program(&arena, rules, n, &length);
	int result = device_program_attach(fixture->cgroup.fd, program, length,
					   count_attached(fixture->cgroup.fd) == 0, &err);

	if (result < 0)
		print_error("%s (%s) %s\n", err.what, strerror(err.errnum), err.hint);
	check_int(result, 0);
}

static void test_the_kernel_obeys(void **state)
{
	const struct fixture *fixture = *state;
	static const struct device_rule read_zero[] = { ALLOW('c', 1, 5, DEVICE_READ) };
	static const struct device_rule all[] = { ALLOW('a', -1, -1, DEVICE_ALL) };
	static const struct device_rule make_null[] = {
		ALLOW('a', -1, -1, DEVICE_ALL),
		DENY('b', -1, -1, DEVICE_MKNOD),
		DENY('c', 1, 7, DEVICE_READ),
	};

	check_int(ask_inside(fixture, ask_read_full), 0);
	apply(fixture, NULL, 0);
	check_int(count_attached(fixture->cgroup.fd), 1);
	check_int(ask_inside(fixture, ask_read_zero), EPERM);
	check_int(ask_inside(fixture, ask_make_null), EPERM);

	apply(fixture, read_zero, ARRAY_SIZE(read_zero));
	check_int(count_attached(fixture->cgroup.fd), 1);
	check_int(ask_inside(fixture, ask_read_zero), 0);
	check_int(ask_inside(fixture, ask_write_zero), EPERM);
	check_int(ask_inside(fixture, ask_read_full), EPERM);

	apply(fixture, docker_rules, ARRAY_SIZE(docker_rules));
	check_int(count_attached(fixture->cgroup.fd), 1);
	check_int(ask_inside(fixture, ask_write_zero), 0);
	check_int(ask_inside(fixture, ask_read_full), 0);
	check_int(ask_inside(fixture, ask_make_block), 0);

	apply(fixture, make_null, ARRAY_SIZE(make_null));
	check_int(ask_inside(fixture, ask_make_null), 0);
	check_int(ask_inside(fixture, ask_make_block), EPERM);
	check_int(ask_inside(fixture, ask_read_full), EPERM);
	check_int(ask_inside(fixture, ask_write_zero), 0);

	apply(fixture, all, ARRAY_SIZE(all));
	check_int(count_attached(fixture->cgroup.fd), 1);
	check_int(ask_inside(fixture, ask_make_block), 0);
}

/* Random programs go through the verifier, and so do long ones. */
static void test_the_verifier_takes_them(void **state)
{
	const struct fixture *fixture = *state;
	struct device_rule rules[40];

	for (int round = 0; round < 300; round++) {
		size_t n = draw(ARRAY_SIZE(rules) + 1);

		for (size_t i = 0; i < n; i++)
			rules[i] = draw_rule();
		apply(fixture, rules, n);
	}
	for (size_t n = 4000; n <= 64000; n += 60000) {
		auto_arena arena = { 0 };

		/* /dev/full is 1:7, which is rule 1 + 7 * 4096. */
		apply(fixture, many_rules(&arena, n, DEVICE_ALL), n);
		check_int(ask_inside(fixture, ask_read_full), n > 1 + 7 * 4096 ? 0 : EPERM);
	}
	for (size_t n = 1000; n <= 3000; n += 1000) {
		auto_arena arena = { 0 };

		apply(fixture, many_rules(&arena, n, DEVICE_READ), n);
	}
	check_int(count_attached(fixture->cgroup.fd), 1);
}

static int set_up(void **state)
{
	static struct fixture fixture;
	static const struct cgroup_writes no_writes;
	struct error err = { 0 };

	fixture.root = cgroup_root("/sys/fs/cgroup", &err);
	if (fixture.root < 0)
		fixture.root = cgroup_root("/sys/fs/cgroup/unified", &err);
	if (fixture.root < 0)
		return -1;
	snprintf(fixture.path, sizeof(fixture.path), "/creel-test-bpf-%d", getpid());
	*state = &fixture;
	return cgroup_make(fixture.root, fixture.path, &no_writes, &fixture.cgroup, &err);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	struct error err = { 0 };

	close(fixture->cgroup.fd);
	return cgroup_remove(fixture->root, fixture->path, 1, 30000, &err);
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(test_the_reference_itself),
		cmocka_unit_test(test_program_says_what_the_rules_say),
		cmocka_unit_test(test_rules_that_change_nothing_cost_nothing),
		cmocka_unit_test(test_many_rules_are_in_reach_of_jumps),
	};
	const struct CMUnitTest kernel[] = {
		cmocka_unit_test(test_the_kernel_obeys),
		cmocka_unit_test(test_the_verifier_takes_them),
	};
	int failed = cmocka_run_group_tests_name("pure", pure, NULL, NULL);

	if (geteuid() != 0) {
		puts("skipped: needs root");
		return failed ? failed : 77;
	}
	return failed + cmocka_run_group_tests_name("kernel", kernel, set_up, tear_down);
}
