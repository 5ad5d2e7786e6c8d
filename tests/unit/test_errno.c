/* The static program's sentences about errors are glibc's. */
#include "check.h"

#include <string.h>

/* The same functions beside those of this program's own C library. */
#define strerrorname_np musl_strerrorname
#define strerror	musl_strerror
const char *musl_strerrorname(int errnum);
char *musl_strerror(int errnum);
#include "../../src/musl/errno.c"
#undef strerrorname_np
#undef strerror

static void test_names_and_sentences_are_those_of_glibc(void **state)
{
	(void)state;
	for (int errnum = 0; errnum < 200; errnum++) {
		const char *name = strerrorname_np(errnum);

		if (name)
			check_text(musl_strerrorname(errnum), name);
		else
			check(musl_strerrorname(errnum) == NULL);
		check_text(musl_strerror(errnum), strerror(errnum));
	}
	check(musl_strerrorname(-1) == NULL);
	check_text(musl_strerror(-1), strerror(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_sentences_are_those_of_glibc),
	};

	return check_all(tests);
}
