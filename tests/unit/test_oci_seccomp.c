/* Tests of oci_seccomp.c: what `linux.seccomp` may say. */
#include "oci_cases.h"

#include <creel/oci_seccomp.h>

#define ALLOW(more)   "{'defaultAction':'SCMP_ACT_ALLOW'" more "}"
#define RULE(members) ALLOW(",'syscalls':[{" members "}]")
#define ARG(members)  RULE("'names':['read'],'action':'SCMP_ACT_KILL','args':[{" members "}]")

static const struct oci_case filter_cases[] = {
	ACCEPTED(ALLOW("")),
	REFUSED("{}", "/defaultAction", ""),
	REFUSED("{'defaultAction':'ALLOW'}", "/defaultAction", "ALLOW"),
	REFUSED("{'defaultAction':'SCMP_ACT_NOTIFY'}", "/defaultAction",
		"cannot be the default action"),
	ACCEPTED("{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':38}"),
	ACCEPTED("{'defaultAction':'SCMP_ACT_TRACE','defaultErrnoRet':0}"),
	REFUSED(ALLOW(",'defaultErrnoRet':1"), "/defaultErrnoRet", "SCMP_ACT_ALLOW takes no errno"),
	REFUSED("{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':65536}", "/defaultErrnoRet",
		""),
	ACCEPTED(ALLOW(",'architectures':['SCMP_ARCH_X86_64','SCMP_ARCH_SHEB']")),
	REFUSED(ALLOW(",'architectures':['SCMP_ARCH_X86','x86']"), "/architectures/1",
		"unknown architecture \"x86\""),
	ACCEPTED(ALLOW(",'flags':['SECCOMP_FILTER_FLAG_LOG']")),
	REFUSED(ALLOW(",'flags':['X']"), "/flags/0", "X"),
	ACCEPTED(ALLOW(",'listenerPath':'/run/agent','listenerMetadata':'m'")),
	REFUSED(ALLOW(",'listenerPath':'agent'"), "/listenerPath", "\"agent\" is not absolute"),
	REFUSED(ALLOW(",'listenerMetadata':'m'"), "/listenerMetadata", "needs a listenerPath"),
};

static const struct oci_case rule_cases[] = {
	ACCEPTED(RULE("'names':['no_such_call','write'],'action':'SCMP_ACT_ERRNO','errnoRet':0")),
	ACCEPTED(RULE("'names':['read'],'action':'SCMP_ACT_NOTIFY'")),
	REFUSED(RULE("'action':'SCMP_ACT_KILL'"), "/syscalls/0/names", ""),
	REFUSED(RULE("'names':[],'action':'SCMP_ACT_KILL'"), "/syscalls/0/names", ""),
	REFUSED(RULE("'names':['read',''],'action':'SCMP_ACT_KILL'"), "/syscalls/0/names/1",
		"is empty"),
	REFUSED(RULE("'names':['read']"), "/syscalls/0/action", ""),
	REFUSED(RULE("'names':['read'],'action':'KILL'"), "/syscalls/0/action", "KILL"),
	REFUSED(RULE("'names':['read','write'],'action':'SCMP_ACT_NOTIFY'"), "/syscalls/0/names/1",
		"SCMP_ACT_NOTIFY cannot be used for write"),
	REFUSED(RULE("'names':['read'],'action':'SCMP_ACT_ALLOW','errnoRet':1"),
		"/syscalls/0/errnoRet", "SCMP_ACT_ALLOW takes no errno"),
	REFUSED(RULE("'names':['read'],'action':'SCMP_ACT_TRACE','errnoRet':65536"),
		"/syscalls/0/errnoRet", ""),
	ACCEPTED(
	    ARG("'index':5,'value':18446744073709551615,'valueTwo':1,'op':'SCMP_CMP_MASKED_EQ'")),
	REFUSED(ARG("'index':6,'value':1,'op':'SCMP_CMP_EQ'"), "/syscalls/0/args/0/index", ""),
	REFUSED(ARG("'value':1,'op':'SCMP_CMP_EQ'"), "/syscalls/0/args/0/index", ""),
	REFUSED(ARG("'index':0,'op':'SCMP_CMP_EQ'"), "/syscalls/0/args/0/value", ""),
	REFUSED(ARG("'index':0,'value':1"), "/syscalls/0/args/0/op", ""),
	REFUSED(ARG("'index':0,'value':1,'op':'EQ'"), "/syscalls/0/args/0/op", "EQ"),
};

static void test_filter(void **state)
{
	(void)state;
	check_cases(&oci_seccomp_schema, filter_cases, ARRAY_SIZE(filter_cases));
}

static void test_rules(void **state)
{
	(void)state;
	check_cases(&oci_seccomp_schema, rule_cases, ARRAY_SIZE(rule_cases));
}

/* Without flags the filter gets SPEC_ALLOW, with an empty list it gets none. */
static void test_no_flags_are_not_absent_flags(void **state)
{
	auto_arena arena = { 0 };
	const char *text = quoted(&arena, ALLOW(",'flags':[]"));
	const struct oci_seccomp *empty = decoded(&oci_seccomp_schema, &arena, text);
	const struct oci_seccomp *absent =
	    decoded(&oci_seccomp_schema, &arena, quoted(&arena, ALLOW("")));

	(void)state;
	assert_non_null(empty->flags.items);
	assert_int_equal(empty->flags.n, 0);
	assert_null(absent->flags.items);
	assert_string_equal(encoded(&oci_seccomp_schema, &arena, empty), text);
}

static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(&oci_seccomp_schema,
		    "{'defaultAction':'SCMP_ACT_ERRNO','defaultErrnoRet':38,"
		    "'architectures':['SCMP_ARCH_X86_64'],'flags':['SECCOMP_FILTER_FLAG_TSYNC'],"
		    "'listenerPath':'/l','listenerMetadata':'m','syscalls':[{'names':['read'],"
		    "'action':'SCMP_ACT_TRACE','errnoRet':0,'args':[{'index':0,'value':0,"
		    "'valueTwo':18446744073709551615,'op':'SCMP_CMP_NE'}]}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_no_flags_are_not_absent_flags),
		cmocka_unit_test(test_every_member_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
