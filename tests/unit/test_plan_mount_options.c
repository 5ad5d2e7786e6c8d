/* The table of mount options: everything that the spec lists is in it, once. */
#include <creel/plan.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* config.md "Linux mount options" and features.md. */
static const char *const spec_options[] = {
	"async",
	"atime",
	"bind",
	"defaults",
	"dev",
	"diratime",
	"dirsync",
	"exec",
	"iversion",
	"lazytime",
	"loud",
	"mand",
	"noatime",
	"nodev",
	"nodiratime",
	"noexec",
	"noiversion",
	"nolazytime",
	"nomand",
	"norelatime",
	"nostrictatime",
	"nosuid",
	"nosymfollow",
	"private",
	"ratime",
	"rbind",
	"rdev",
	"rdiratime",
	"relatime",
	"remount",
	"rexec",
	"rnoatime",
	"rnodiratime",
	"rnoexec",
	"rnodev",
	"rnorelatime",
	"rnostrictatime",
	"rnosuid",
	"rnosymfollow",
	"ro",
	"rprivate",
	"rrelatime",
	"rro",
	"rrw",
	"rshared",
	"rslave",
	"rstrictatime",
	"rsuid",
	"rsymfollow",
	"runbindable",
	"rw",
	"shared",
	"silent",
	"slave",
	"strictatime",
	"suid",
	"symfollow",
	"sync",
	"tmpcopyup",
	"unbindable",
	"idmap",
	"ridmap",
	"copy-symlink",
	"src-nofollow",
	"dest-nofollow",
};

static void test_every_option_of_the_spec(void **state)
{
	auto_arena arena = { 0 };
	struct strings known = plan_mount_options(&arena);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spec_options); i++)
		if (!strings_has(&known, spec_options[i]))
			fail_msg("%s is missing", spec_options[i]);
}

static void test_no_option_twice(void **state)
{
	auto_arena arena = { 0 };
	struct strings known = plan_mount_options(&arena);

	(void)state;
	for (size_t i = 0; i < known.n; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(known.items[i], known.items[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_option_of_the_spec),
		cmocka_unit_test(test_no_option_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
