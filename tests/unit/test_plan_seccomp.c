/*
 * The compiled system call filter against what its profile means: an interpreter of classic BPF
 * runs the program, and a reference that reads the profile directly says what the answer must be.
 */
#include <creel/error.h>
#include <creel/plan.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "seccomp_reference.h"

/* The profile under test, as JSON, and its program. */
struct filter {
	struct arena arena;
	struct oci_seccomp seccomp;
	struct plan_seccomp plan;
};

static void compile(struct filter *filter, const char *json)
{
	struct error err = { 0 };

	if (schema_parse(&oci_seccomp_schema, &filter->arena, "profile", json, strlen(json),
			 &filter->seccomp, NULL, &err) < 0 ||
	    plan_seccomp(&filter->arena, &filter->seccomp, "/linux/seccomp", &filter->plan, &err) <
		0)
		fail_msg("%s: %s", err.where, err.what);
}

static uint32_t ask(const struct filter *filter, uint32_t arch, uint32_t number, uint64_t arg0,
		    uint64_t arg1)
{
	const struct seccomp_data data = {
		.nr = (int)number,
		.arch = arch,
		.args = { arg0, arg1 },
	};

	return interpret(filter->plan.program.filter, filter->plan.program.length, &data);
}

/* Numbers of x86_64 and, after them, of x86. */
enum {
	NR_READ = 0,
	NR_MKDIR = 83,
	NR_SOCKET = 41,
	NR_CLONE3 = 435,
	NR_X86_SOCKETCALL = 102,
	NR_X86_IPC = 117,
	NR_X86_SOCKET = 359,
	NR_X86_CONNECT = 362,
	NR_X86_SHMAT = 397,
};

static void test_one_action(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(
	    &filter,
	    "{ \"defaultAction\": \"SCMP_ACT_LOG\", \"architectures\": [\"SCMP_ARCH_X86_64\"] }");
	assert_int_equal(ask(&filter, X86_64, NR_READ, 0, 0), SECCOMP_RET_LOG);
	assert_int_equal(ask(&filter, X86_64, UINT32_MAX, 0, 0), SECCOMP_RET_LOG);
	arena_free(&filter.arena);
}

static void test_other_architectures_kill(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(
	    &filter,
	    "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"] }");
	assert_int_equal(ask(&filter, X86, NR_READ, 0, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(ask(&filter, X86_64, NR_READ | X32_BIT, 0, 0), SECCOMP_RET_KILL_THREAD);
	arena_free(&filter.arena);
}

static void test_newer_calls_do_not_exist(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter, "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": "
			 "[\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X32\"],"
			 "\"syscalls\": [ { \"names\": [\"read\", \"clone3\"], \"action\": "
			 "\"SCMP_ACT_ALLOW\" } ] }");
	assert_int_equal(ask(&filter, X86_64, NR_CLONE3, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86_64, NR_CLONE3 - 1, 0, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86_64, NR_CLONE3 + 1, 0, 0), ERRNO(ENOSYS));
	assert_int_equal(ask(&filter, X86_64, X32_BIT | NR_CLONE3, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86_64, X32_BIT | (NR_CLONE3 + 1), 0, 0), ERRNO(ENOSYS));
	arena_free(&filter.arena);
}

static void test_newer_calls_of_an_open_profile(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(
	    &filter,
	    "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"],"
	    "\"syscalls\": [ { \"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ERRNO\", "
	    "\"errnoRet\": 13 } ] }");
	assert_int_equal(ask(&filter, X86_64, NR_MKDIR, 0, 0), ERRNO(EACCES));
	assert_int_equal(ask(&filter, X86_64, 9999, 0, 0), SECCOMP_RET_ALLOW);
	arena_free(&filter.arena);
}

/* A profile that refuses one address family by arguments must not leave socketcall(2) open behind
 * it. */
static void test_socketcall_stays_shut(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter, "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": "
			 "[\"SCMP_ARCH_X86\"], \"syscalls\": ["
			 "{ \"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [ { "
			 "\"index\": 0, \"value\": 38, \"op\": \"SCMP_CMP_NE\" } ] },"
			 "{ \"names\": [\"connect\"], \"action\": \"SCMP_ACT_ALLOW\" } ] }");
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKET, 2, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKET, 38, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 1, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 3, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_CONNECT, 0, 0), SECCOMP_RET_ALLOW);
	arena_free(&filter.arena);
}

/* The rule on socketcall says what the default says: it counts all the same. */
static void test_explicit_refusal_of_a_multiplexer(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(
	    &filter,
	    "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": [\"SCMP_ARCH_X86\"], "
	    "\"syscalls\": ["
	    "{ \"names\": [\"socket\", \"connect\", \"shmat\"], \"action\": \"SCMP_ACT_ALLOW\" },"
	    "{ \"names\": [\"socketcall\"], \"action\": \"SCMP_ACT_ERRNO\" } ] }");
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 1, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 3, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKET, 2, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_IPC, 21, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_IPC, 22, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_SHMAT, 0, 0), SECCOMP_RET_ALLOW);
	arena_free(&filter.arena);
}

static void test_explicit_permission_of_a_multiplexer(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter,
		"{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, "
		"\"architectures\": [\"SCMP_ARCH_X86\"], \"syscalls\": ["
		"{ \"names\": [\"socketcall\"], \"action\": \"SCMP_ACT_ALLOW\" },"
		"{ \"names\": [\"socket\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 22, "
		"\"args\": [ { \"index\": 0, \"value\": 16, \"op\": \"SCMP_CMP_EQ\" } ] } ] }");
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 1, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKET, 16, 0), ERRNO(EINVAL));
	arena_free(&filter.arena);
}

/* ipc(2) reads 16 bits of its first argument and socketcall(2) 32: the others must not lead around
 * a refusal. */
static void test_multiplexers_ignore_what_the_kernel_ignores(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter,
		"{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86\"], "
		"\"syscalls\": ["
		"{ \"names\": [\"shmat\", \"socket\"], \"action\": \"SCMP_ACT_ERRNO\" } ] }");
	assert_int_equal(ask(&filter, X86, NR_X86_IPC, 0x10015, 0), ERRNO(EPERM));
	assert_int_equal(ask(&filter, X86, NR_X86_IPC, 22, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86, NR_X86_SOCKETCALL, 0x100000001, 0), ERRNO(EPERM));
	arena_free(&filter.arena);
}

static void test_most_restrictive_rule_decides(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter,
		"{ \"defaultAction\": \"SCMP_ACT_KILL_PROCESS\", \"architectures\": "
		"[\"SCMP_ARCH_X86_64\"], \"syscalls\": ["
		"{ \"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ALLOW\" },"
		"{ \"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 5, "
		"\"args\": [ { \"index\": 1, \"value\": 511, \"op\": \"SCMP_CMP_GT\" } ] } ] }");
	assert_int_equal(ask(&filter, X86_64, NR_MKDIR, 0, 511), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86_64, NR_MKDIR, 0, 512), ERRNO(EIO));
	assert_int_equal(ask(&filter, X86_64, NR_MKDIR, 0, 1ULL << 32), ERRNO(EIO));
	arena_free(&filter.arena);
}

static void test_repeated_argument_is_either(void **state)
{
	struct filter filter = { 0 };

	(void)state;
	compile(&filter, "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": "
			 "[\"SCMP_ARCH_X86_64\"], \"syscalls\": ["
			 "{ \"names\": [\"socket\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": ["
			 "{ \"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\" }, { \"index\": 0, "
			 "\"value\": 2, \"op\": \"SCMP_CMP_EQ\" } ] } ] }");
	assert_int_equal(ask(&filter, X86_64, NR_SOCKET, 1, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86_64, NR_SOCKET, 2, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(ask(&filter, X86_64, NR_SOCKET, 3, 0), ERRNO(EPERM));
	arena_free(&filter.arena);
}

static void test_flags(void **state)
{
	struct filter absent = { 0 };
	struct filter none = { 0 };
	struct filter some = { 0 };

	(void)state;
	compile(&absent, "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }");
	assert_int_equal(absent.plan.program.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	compile(&none, "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [] }");
	assert_int_equal(none.plan.program.flags, 0);
	compile(&some, "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/a\", "
		       "\"listenerMetadata\": \"m\", \"flags\": ["
		       "\"SECCOMP_FILTER_FLAG_LOG\", \"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\" ], "
		       "\"syscalls\": ["
		       "{ \"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_NOTIFY\" } ] }");
	assert_int_equal(some.plan.program.flags,
			 SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	assert_true(some.plan.program.notify);
	assert_string_equal(some.plan.listener_path, "/a");
	assert_string_equal(some.plan.listener_metadata, "m");
	arena_free(&absent.arena);
	arena_free(&none.arena);
	arena_free(&some.arena);
}

static void test_filter_too_large(void **state)
{
	struct filter filter = { 0 };
	struct error err = { 0 };
	const char *json = "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": "
			   "[\"SCMP_ARCH_X86_64\"], \"syscalls\": [";

	(void)state;
	for (int i = 0; i < 2000; i++)
		json = text_format(
		    &filter.arena,
		    "%s%s{ \"names\": [\"read\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [ { "
		    "\"index\": 0, \"value\": %d, \"op\": \"SCMP_CMP_EQ\" } ] }",
		    json, i ? "," : "", i);
	json = text_format(&filter.arena, "%s] }", json);
	assert_int_equal(schema_parse(&oci_seccomp_schema, &filter.arena, "profile", json,
				      strlen(json), &filter.seccomp, NULL, &err),
			 0);
	assert_int_equal(
	    plan_seccomp(&filter.arena, &filter.seccomp, "/linux/seccomp", &filter.plan, &err), -1);
	assert_string_equal(err.where, "/linux/seccomp");
	arena_free(&filter.arena);
}

static const uint64_t values[] = { 0,	       1,	    2,		 3,
				   5,	       19,	    21,		 22,
				   38,	       0xffff,	    0x10001,	 0x10015,
				   0xffffffff, 0x100000000, 0x100000001, 0x7fffffff00000000,
				   UINT64_MAX };

static uint64_t any_value(void)
{
	return values[(size_t)rand() % ARRAY_SIZE(values)];
}

static const char *random_arguments(struct arena *arena)
{
	static const char *const operators[] = { "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ" };
	const char *text = "";
	int n = rand() % 4;

	for (int i = 0; i < n; i++)
		text = text_format(arena,
				   "%s%s{ \"index\": %d, \"value\": %llu, \"valueTwo\": %llu, "
				   "\"op\": \"SCMP_CMP_%s\" }",
				   text, i ? ", " : "", rand() % 3, (unsigned long long)any_value(),
				   (unsigned long long)any_value(), operators[rand() % 7]);
	return text;
}

static const char *random_errno(struct arena *arena, const struct action *action,
				const char *member)
{
	if ((action->action != OCI_SECCOMP_ERRNO && action->action != OCI_SECCOMP_TRACE) ||
	    rand() % 2)
		return "";
	return text_format(arena, ", \"%s\": %d", member, rand() % 3);
}

static const char *random_profile(struct arena *arena)
{
	const struct action *standard = &actions[(size_t)rand() % ARRAY_SIZE(actions)];
	const char *text =
	    text_format(arena,
			"{ \"defaultAction\": \"%s\"%s, \"architectures\": [\"SCMP_ARCH_X86_64\", "
			"\"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"], \"syscalls\": [",
			standard->name, random_errno(arena, standard, "defaultErrnoRet"));
	int n = rand() % 12;

	for (int i = 0; i < n; i++) {
		const struct action *action =
		    rand() % 3 ? &actions[(size_t)rand() % ARRAY_SIZE(actions)] : standard;

		text = text_format(
		    arena,
		    "%s%s{ \"names\": [\"%s\", \"%s\"], \"action\": \"%s\"%s, \"args\": [%s] }",
		    text, i ? ", " : "", calls[(size_t)rand() % ARRAY_SIZE(calls)].name,
		    calls[(size_t)rand() % ARRAY_SIZE(calls)].name, action->name,
		    random_errno(arena, action, "errnoRet"), random_arguments(arena));
	}
	return text_format(arena, "%s] }", text);
}

static void ask_all(const struct filter *filter, const char *profile, struct question *question)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls) + 2; i++) {
		const uint64_t args[6] = { any_value(), any_value(), any_value() };
		int number = i < ARRAY_SIZE(calls) ? number_on(&calls[i], question) : rand() % 600;
		struct seccomp_data data = { .arch = question->x86 ? X86 : X86_64 };
		uint32_t found;
		uint32_t wanted;

		if (number < 0)
			continue;
		question->number = (uint32_t)number;
		question->args = args;
		memcpy(data.args, args, sizeof(args));
		data.nr = (int)(question->number | question->base);
		found = interpret(filter->plan.program.filter, filter->plan.program.length, &data);
		wanted = refer(&filter->seccomp, question);
		if (found != wanted)
			fail_msg("call %d of %s with %llx %llx %llx: 0x%x, not 0x%x\n%s", number,
				 question->x86	  ? "x86"
				 : question->base ? "x32"
						  : "x86_64",
				 (unsigned long long)args[0], (unsigned long long)args[1],
				 (unsigned long long)args[2], found, wanted, profile);
	}
}

static void test_random_profiles(void **state)
{
	(void)state;
	srand(46);
	for (int i = 0; i < 4000; i++) {
		struct filter filter = { 0 };
		const char *profile = random_profile(&filter.arena);

		compile(&filter, profile);
		for (int round = 0; round < 3; round++) {
			ask_all(&filter, profile, &(struct question){ .x86 = false });
			ask_all(&filter, profile, &(struct question){ .x86 = true });
			ask_all(&filter, profile, &(struct question){ .base = X32_BIT });
		}
		arena_free(&filter.arena);
	}
}

/* Where profiles do not contradict themselves libseccomp means the same. */
static size_t libseccomp_program(const struct oci_seccomp *profile, struct sock_filter *out,
				 size_t room)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t size;

	assert_non_null(context);
	assert_true(fd >= 0);
	list_each (const struct oci_seccomp_rule, rule, &profile->syscalls) {
		struct scmp_arg_cmp args[6];

		for (size_t i = 0; i < rule->args.n; i++)
			args[i] = (struct scmp_arg_cmp){
				(unsigned int)rule->args.items[i].index.value,
				(enum scmp_compare)(rule->args.items[i].op.value + 1),
				rule->args.items[i].value.value, rule->args.items[i].value_two.value
			};
		for (size_t i = 0; i < rule->names.n; i++)
			assert_int_equal(seccomp_rule_add_array(
					     context, SCMP_ACT_ALLOW,
					     seccomp_syscall_resolve_name(rule->names.items[i]),
					     (unsigned int)rule->args.n, args),
					 0);
	}
	assert_int_equal(seccomp_export_bpf(context, fd), 0);
	size = pread(fd, out, room * sizeof(*out), 0);
	assert_true(size > 0);
	close(fd);
	seccomp_release(context);
	return (size_t)size / sizeof(*out);
}

static const char *allowing_profile(struct arena *arena)
{
	static const char *const operators[] = { "NE", "LT", "LE", "EQ", "GE", "GT" };
	const char *text = "{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [ { \"names\": "
			   "[\"clone3\"], \"action\": \"SCMP_ACT_ALLOW\" }";

	for (size_t i = 0; i < 12; i++) {
		if (calls[i].x86_64 < 0 || rand() % 2 || strcmp(calls[i].name, "clone3") == 0)
			continue;
		text = text_format(
		    arena,
		    "%s, { \"names\": [\"%s\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": ["
		    "{ \"index\": 0, \"value\": %llu, \"op\": \"SCMP_CMP_%s\" }, { \"index\": 1, "
		    "\"value\": %llu, \"op\": \"SCMP_CMP_%s\" } ] }",
		    text, calls[i].name, (unsigned long long)any_value(), operators[rand() % 6],
		    (unsigned long long)any_value(), operators[rand() % 6]);
	}
	return text_format(arena, "%s] }", text);
}

static void test_same_as_libseccomp(void **state)
{
	(void)state;
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	srand(47);
	for (int i = 0; i < 300; i++) {
		struct filter filter = { 0 };
		struct sock_filter theirs[4096];
		const char *profile = allowing_profile(&filter.arena);
		size_t n;

		compile(&filter, profile);
		n = libseccomp_program(&filter.seccomp, theirs, ARRAY_SIZE(theirs));
		for (int round = 0; round < 200; round++) {
			const struct seccomp_data data = {
				.nr = rand() % (NR_CLONE3 + 1),
				.arch = X86_64,
				.args = { any_value(), any_value(), any_value() },
			};

			assert_int_equal(interpret(theirs, n, &data),
					 interpret(filter.plan.program.filter,
						   filter.plan.program.length, &data));
		}
		arena_free(&filter.arena);
	}
}

static void test_version_names_the_compiler(void **state)
{
	auto_arena arena = { 0 };

	(void)state;
	assert_true(text_starts_with(plan_seccomp_version(&arena), "creel-"));
	assert_non_null(strstr(plan_seccomp_version(&arena), " libseccomp-"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_action),
		cmocka_unit_test(test_other_architectures_kill),
		cmocka_unit_test(test_newer_calls_do_not_exist),
		cmocka_unit_test(test_newer_calls_of_an_open_profile),
		cmocka_unit_test(test_socketcall_stays_shut),
		cmocka_unit_test(test_explicit_refusal_of_a_multiplexer),
		cmocka_unit_test(test_explicit_permission_of_a_multiplexer),
		cmocka_unit_test(test_multiplexers_ignore_what_the_kernel_ignores),
		cmocka_unit_test(test_most_restrictive_rule_decides),
		cmocka_unit_test(test_repeated_argument_is_either),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_filter_too_large),
		cmocka_unit_test(test_random_profiles),
		cmocka_unit_test(test_same_as_libseccomp),
		cmocka_unit_test(test_version_names_the_compiler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
