/* Tests of oci_process.c: what `process` may say. */
#include "oci_cases.h"

#include <creel/oci_process.h>
#include <linux/sched.h>
#include <sys/resource.h>

#define PROCESS(more) "{'cwd':'/','args':['sh'],'user':{'uid':0,'gid':0}" more "}"
#define USER(user)    "{'cwd':'/','args':['sh'],'user':" user "}"

static const struct oci_case process_cases[] = {
	ACCEPTED(PROCESS("")),
	REFUSED("{'args':['sh'],'user':{'uid':0,'gid':0}}", "/cwd", ""),
	REFUSED("{'cwd':'','args':['sh'],'user':{'uid':0,'gid':0}}", "/cwd",
		"cwd must not be empty"),
	REFUSED("{'cwd':'tmp','args':['sh'],'user':{'uid':0,'gid':0}}", "/cwd",
		"must be an absolute path, \"tmp\" is not"),
	REFUSED("{'cwd':'/','args':['sh']}", "/user", ""),
	REFUSED("{'cwd':'/','user':{'uid':0,'gid':0}}", "/args", "args must not be empty"),
	REFUSED("{'cwd':'/','args':[],'user':{'uid':0,'gid':0}}", "/args",
		"args must not be empty"),
	ACCEPTED(PROCESS(",'env':['A=1','B=','C==']")),
	REFUSED(PROCESS(",'env':['A=1','B']"), "/env/1",
		"invalid environment variable: missing '='"),
	REFUSED(PROCESS(",'env':['=1']"), "/env/0",
		"invalid environment variable: name cannot be empty"),
	ACCEPTED(PROCESS(",'oomScoreAdj':-1000")),
	ACCEPTED(PROCESS(",'oomScoreAdj':0")),
	REFUSED(PROCESS(",'oomScoreAdj':1001"), "/oomScoreAdj", ""),
	REFUSED(PROCESS(",'oomScoreAdj':-1001"), "/oomScoreAdj", ""),
	ACCEPTED(PROCESS(",'consoleSize':{'height':24,'width':80}")),
	REFUSED(PROCESS(",'consoleSize':{'height':24}"), "/consoleSize/width", ""),
	REFUSED(PROCESS(",'consoleSize':{'width':80}"), "/consoleSize/height", ""),
	REFUSED(PROCESS(",'consoleSize':{'height':65536,'width':80}"), "/consoleSize/height", ""),
	ACCEPTED(PROCESS(",'capabilities':{'bounding':['CAP_NO_SUCH']}")),
	ACCEPTED(PROCESS(",'commandLine':'x','apparmorProfile':'p','selinuxLabel':'l'")),
};

static const struct oci_case user_cases[] = {
	ACCEPTED(USER("{'uid':4294967294,'gid':4294967294,'umask':511,'additionalGids':[0,7]}")),
	REFUSED(USER("{'gid':0}"), "/user/uid", ""),
	REFUSED(USER("{'uid':0}"), "/user/gid", ""),
	REFUSED(USER("{'uid':'0','gid':0}"), "/user/uid", ""),
	REFUSED(USER("{'uid':-1,'gid':0}"), "/user/uid", ""),
	REFUSED(USER("{'uid':4294967295,'gid':0}"), "/user/uid", ""),
	REFUSED(USER("{'uid':0,'gid':4294967295}"), "/user/gid", ""),
	REFUSED(USER("{'uid':0,'gid':0,'umask':512}"), "/user/umask", ""),
	REFUSED(USER("{'uid':0,'gid':0,'additionalGids':[1,4294967295]}"), "/user/additionalGids/1",
		""),
};

#define RLIMITS(list) PROCESS(",'rlimits':[" list "]")

static const struct oci_case rlimit_cases[] = {
	ACCEPTED(RLIMITS("{'type':'RLIMIT_NOFILE','soft':1024,'hard':18446744073709551615}")),
	ACCEPTED(RLIMITS(
	    "{'type':'RLIMIT_NOFILE','soft':0,'hard':0},{'type':'RLIMIT_AS','soft':1,'hard':1}")),
	REFUSED(RLIMITS("{'type':'RLIMIT_X','soft':1,'hard':1}"), "/rlimits/0/type", "RLIMIT_X"),
	REFUSED(RLIMITS("{'soft':1,'hard':1}"), "/rlimits/0/type", ""),
	REFUSED(RLIMITS("{'type':'RLIMIT_AS','hard':1}"), "/rlimits/0/soft", ""),
	REFUSED(RLIMITS("{'type':'RLIMIT_AS','soft':1}"), "/rlimits/0/hard", ""),
	REFUSED(RLIMITS("{'type':'RLIMIT_AS','soft':2,'hard':1}"), "/rlimits/0/soft",
		"the soft limit 2 is above the hard limit 1"),
	REFUSED(
	    RLIMITS(
		"{'type':'RLIMIT_AS','soft':1,'hard':1},{'type':'RLIMIT_AS','soft':1,'hard':1}"),
	    "/rlimits/1/type", "RLIMIT_AS is limited twice"),
};

#define SCHEDULER(members) PROCESS(",'scheduler':{" members "}")

static const struct oci_case scheduler_cases[] = {
	ACCEPTED(SCHEDULER("'policy':'SCHED_OTHER','nice':-20,'priority':0,'runtime':0")),
	ACCEPTED(
	    SCHEDULER("'policy':'SCHED_BATCH','nice':19,'flags':['SCHED_FLAG_RESET_ON_FORK']")),
	REFUSED(SCHEDULER("'nice':0"), "/scheduler/policy", ""),
	REFUSED(SCHEDULER("'policy':'SCHED_X'"), "/scheduler/policy", "SCHED_X"),
	REFUSED(SCHEDULER("'policy':'SCHED_OTHER','flags':['X']"), "/scheduler/flags/0", "X"),
	REFUSED(SCHEDULER("'policy':'SCHED_OTHER','nice':-21"), "/scheduler/nice", ""),
	REFUSED(SCHEDULER("'policy':'SCHED_BATCH','nice':20"), "/scheduler/nice", ""),
	ACCEPTED(SCHEDULER("'policy':'SCHED_FIFO','priority':1")),
	ACCEPTED(SCHEDULER("'policy':'SCHED_RR','priority':99")),
	REFUSED(SCHEDULER("'policy':'SCHED_RR','priority':100"), "/scheduler/priority", ""),
	REFUSED(SCHEDULER("'policy':'SCHED_FIFO'"), "/scheduler/priority",
		"SCHED_FIFO needs a priority from 1 to 99"),
	REFUSED(SCHEDULER("'policy':'SCHED_OTHER','priority':1"), "/scheduler/priority",
		"only SCHED_FIFO and SCHED_RR take a priority"),
	REFUSED(SCHEDULER("'policy':'SCHED_IDLE','runtime':1"), "/scheduler/runtime",
		"only SCHED_DEADLINE takes a runtime"),
	REFUSED(SCHEDULER("'policy':'SCHED_FIFO','priority':1,'deadline':1"), "/scheduler/deadline",
		"only SCHED_DEADLINE takes a deadline"),
	REFUSED(SCHEDULER("'policy':'SCHED_ISO','period':1"), "/scheduler/period",
		"only SCHED_DEADLINE takes a period"),
	ACCEPTED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':1,'deadline':2,'period':3")),
	ACCEPTED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':2,'deadline':2")),
	REFUSED(SCHEDULER("'policy':'SCHED_DEADLINE','deadline':2"), "/scheduler/policy",
		"needs a runtime and a deadline"),
	REFUSED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':2"), "/scheduler/policy",
		"needs a runtime and a deadline"),
	REFUSED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':3,'deadline':2"),
		"/scheduler/runtime", "longer than the deadline"),
	REFUSED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':1,'deadline':3,'period':2"),
		"/scheduler/deadline", "longer than the period"),
	REFUSED(SCHEDULER("'policy':'SCHED_DEADLINE','runtime':1,'deadline':3,'priority':1"),
		"/scheduler/priority", "only SCHED_FIFO"),
};

static const struct oci_case other_cases[] = {
	ACCEPTED(PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_IDLE'}")),
	ACCEPTED(PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_RT','priority':7}")),
	REFUSED(PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':8}"),
		"/ioPriority/priority", ""),
	REFUSED(PROCESS(",'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':-1}"),
		"/ioPriority/priority", ""),
	REFUSED(PROCESS(",'ioPriority':{'class':'RT'}"), "/ioPriority/class", "RT"),
	REFUSED(PROCESS(",'ioPriority':{'priority':1}"), "/ioPriority/class", ""),
	ACCEPTED(PROCESS(",'execCPUAffinity':{'initial':'0-3, 7','final':''}")),
	REFUSED(PROCESS(",'execCPUAffinity':{'initial':'all'}"), "/execCPUAffinity/initial",
		"\"all\" is not a list of CPUs"),
	REFUSED(PROCESS(",'execCPUAffinity':{'final':'1;2'}"), "/execCPUAffinity/final",
		"\"1;2\" is not a list of CPUs"),
};

static void test_process(void **state)
{
	(void)state;
	check_cases(&oci_process_schema, process_cases, ARRAY_SIZE(process_cases));
}

static void test_user(void **state)
{
	(void)state;
	check_cases(&oci_process_schema, user_cases, ARRAY_SIZE(user_cases));
}

static void test_rlimits(void **state)
{
	(void)state;
	check_cases(&oci_process_schema, rlimit_cases, ARRAY_SIZE(rlimit_cases));
}

static void test_scheduler(void **state)
{
	(void)state;
	check_cases(&oci_process_schema, scheduler_cases, ARRAY_SIZE(scheduler_cases));
}

static void test_io_priority_and_affinity(void **state)
{
	(void)state;
	check_cases(&oci_process_schema, other_cases, ARRAY_SIZE(other_cases));
}

static void test_names_are_the_kernels_numbers(void **state)
{
	(void)state;
	assert_int_equal(value_of(oci_rlimit_names, "RLIMIT_NOFILE"), RLIMIT_NOFILE);
	assert_int_equal(value_of(oci_scheduler_policy_names, "SCHED_ISO"), 4);
	assert_int_equal(value_of(oci_scheduler_policy_names, "SCHED_DEADLINE"), SCHED_DEADLINE);
	assert_int_equal(value_of(oci_scheduler_flag_names, "SCHED_FLAG_UTIL_CLAMP_MAX"), 0x40);
	assert_int_equal(value_of(oci_io_priority_class_names, "IOPRIO_CLASS_IDLE"), 3);
}

static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(&oci_process_schema,
		    "{'terminal':true,'consoleSize':{'height':24,'width':80},'cwd':'/',"
		    "'env':['A=1'],'args':['sh'],'commandLine':'c',"
		    "'user':{'uid':1,'gid':2,'umask':18,'additionalGids':[3],'username':'u'},"
		    "'capabilities':{'bounding':['CAP_KILL'],'effective':['CAP_KILL'],"
		    "'inheritable':['CAP_KILL'],'permitted':['CAP_KILL'],'ambient':['CAP_KILL']},"
		    "'rlimits':[{'type':'RLIMIT_CORE','soft':0,'hard':18446744073709551615}],"
		    "'noNewPrivileges':true,'oomScoreAdj':0,'apparmorProfile':'p',"
		    "'selinuxLabel':'l','scheduler':{'policy':'SCHED_DEADLINE','nice':1,"
		    "'priority':0,'flags':['SCHED_FLAG_RECLAIM'],'runtime':1,'deadline':2,"
		    "'period':3},'ioPriority':{'class':'IOPRIO_CLASS_BE','priority':4},"
		    "'execCPUAffinity':{'initial':'0','final':'0-1'}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_scheduler),
		cmocka_unit_test(test_io_priority_and_affinity),
		cmocka_unit_test(test_names_are_the_kernels_numbers),
		cmocka_unit_test(test_every_member_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
