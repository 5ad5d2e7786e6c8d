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

static void is_meant(const char *text, const char *expected)
{
	auto_arena arena = { 0 };
	const char *nearest = plan_mount_option_nearest(&arena, text);

	if (expected)
		assert_string_equal(nearest, expected);
	else
		assert_null(nearest);
}

static void test_what_may_have_been_meant(void **state)
{
	(void)state;
	is_meant("noexce", "noexec");
	is_meant("sise=1m", "size");
	is_meant("lowerdri=/a:/b", "lowerdir");
	/* A name that some filesystem has is no mistake: its value may be. */
	is_meant("size=much", NULL);
	is_meant("ro", NULL);
	is_meant("something-else=1", NULL);
	is_meant("", NULL);
	is_meant("=", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_option_of_the_spec),
		cmocka_unit_test(test_no_option_twice),
		cmocka_unit_test(test_what_may_have_been_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
