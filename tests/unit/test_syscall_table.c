/* The table of system calls says what libseccomp says, for every name and every architecture. */
#include "../../src/plan/syscall_table.h"

#include <creel/compiler.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <seccomp.h>

static const char *name_at(size_t row)
{
	return &syscall_names[syscall_starts[row]];
}

static void test_names_are_sorted(void **state)
{
	(void)state;
	assert_true(syscall_names_n > 400);
	for (size_t i = 1; i < syscall_names_n; i++)
		assert_true(strcmp(name_at(i - 1), name_at(i)) < 0);
}

static void test_archs(void **state)
{
	(void)state;
	assert_true(syscall_archs_n > 15);
	for (size_t a = 0; a < syscall_archs_n; a++) {
		uint32_t token = seccomp_arch_resolve_name(syscall_archs[a].name);

		assert_int_not_equal(token, 0);
		assert_int_equal(syscall_arch_token(syscall_archs[a].name), token);
	}
	assert_int_equal(syscall_arch_native(), seccomp_arch_native());
	assert_int_equal(syscall_arch_token("x32"), SCMP_ARCH_X32);
	assert_int_equal(SYSCALL_ARCH_X32, SCMP_ARCH_X32);
	assert_int_equal(syscall_arch_token("z80"), 0);
}

/* libseccomp prefers the number behind a multiplexer; the direct one it knows by number only. */
static void check_number(uint32_t token, const char *name)
{
	int theirs = seccomp_syscall_resolve_name_arch(token, name);
	int64_t ours = syscall_number(token, name);

	if (ours >= 0) {
		char *again = seccomp_syscall_resolve_num_arch(token, (int)ours);

		assert_string_equal(again, name);
		free(again);
	}
	if (theirs >= 0)
		assert_int_equal(ours, theirs);
	else if (theirs > -300)
		assert_int_equal(syscall_behind(name), -theirs);
	else
		assert_int_equal(ours, -1);
}

static void test_numbers(void **state)
{
	(void)state;
	for (size_t a = 0; a < syscall_archs_n; a++)
		for (size_t i = 0; i < syscall_names_n; i++)
			check_number(syscall_archs[a].token, name_at(i));
}

/* Every number up to far beyond the newest call of any architecture.  (To libseccomp a number of
 * MIPS has its name with and without the base of its ABI.) */
static void test_no_call_is_missing(void **state)
{
	(void)state;
	for (size_t a = 0; a < syscall_archs_n; a++)
		for (int n = 0; n < 10000; n++) {
			int number = (int)syscall_archs[a].base + n;
			uint32_t token = syscall_archs[a].token;
			char *name = seccomp_syscall_resolve_num_arch(token, number);

			if (name)
				assert_true(syscall_number(token, name) >= number);
			free(name);
		}
}

static void test_special_numbers(void **state)
{
	(void)state;
	assert_int_equal(syscall_number(SCMP_ARCH_ARM, "breakpoint"), 0xf0001);
	assert_int_equal(syscall_number(SCMP_ARCH_X32, "read"), 0x40000000);
	assert_int_equal(syscall_behind("socket"), 101);
	assert_int_equal(syscall_behind("read"), 0);
	assert_int_equal(syscall_number(SCMP_ARCH_X86_64, "socketcall"), -1);
	assert_int_equal(syscall_number(1, "read"), -1);
}

static void test_known(void **state)
{
	(void)state;
	assert_true(syscall_is_known("read"));
	assert_true(syscall_is_known("socketcall"));
	assert_false(syscall_is_known("raed"));
	assert_false(syscall_is_known(""));
	assert_int_equal(syscall_number(SCMP_ARCH_X86_64, "raed"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_sorted), cmocka_unit_test(test_archs),
		cmocka_unit_test(test_numbers),		 cmocka_unit_test(test_no_call_is_missing),
		cmocka_unit_test(test_special_numbers),	 cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
