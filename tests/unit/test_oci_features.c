/* Tests of oci_features.c: the document that `features` prints. */
#include "oci_cases.h"

#include <creel/oci_features.h>

static const struct oci_case cases[] = {
	ACCEPTED("{'ociVersionMin':'1.0.0','ociVersionMax':'1.3.0'}"),
	REFUSED("{'ociVersionMax':'1.3.0'}", "/ociVersionMin", ""),
	REFUSED("{'ociVersionMin':'1.0.0'}", "/ociVersionMax", ""),
	REFUSED("{'ociVersionMin':'','ociVersionMax':'1.3.0'}", "/ociVersionMin", ""),
	REFUSED("{'ociVersionMin':'1.0.0','ociVersionMax':''}", "/ociVersionMax", ""),
	REFUSED("{'ociVersionMin':'1.0.0','ociVersionMax':'1.3.0','hooks':'prestart'}", "/hooks",
		""),
};

static void test_versions_are_required(void **state)
{
	(void)state;
	check_cases(&oci_features_schema, cases, ARRAY_SIZE(cases));
}

/* false says "known to be absent", so it is written; unknown is left out. */
static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(&oci_features_schema,
		    "{'ociVersionMin':'1.0.0','ociVersionMax':'1.3.0','hooks':['prestart'],"
		    "'mountOptions':['rro'],'linux':{'namespaces':['user'],"
		    "'capabilities':['CAP_KILL'],'cgroup':{'v1':false,'v2':true,'systemd':false,"
		    "'systemdUser':true,'rdma':false},'seccomp':{'enabled':true,"
		    "'actions':['SCMP_ACT_LOG'],'operators':['SCMP_CMP_NE'],"
		    "'archs':['SCMP_ARCH_X86'],'knownFlags':['SECCOMP_FILTER_FLAG_LOG'],"
		    "'supportedFlags':['SECCOMP_FILTER_FLAG_LOG']},'apparmor':{'enabled':false},"
		    "'selinux':{'enabled':true},'intelRdt':{'enabled':true,'schemata':false,"
		    "'monitoring':true},'memoryPolicy':{'modes':['MPOL_BIND'],"
		    "'flags':['MPOL_F_STATIC_NODES']},'mountExtensions':{'idmap':{'enabled':true}},"
		    "'netDevices':{'enabled':false}},'annotations':{'a':'b'},"
		    "'potentiallyUnsafeConfigAnnotations':['bundle']}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_required),
		cmocka_unit_test(test_every_member_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
