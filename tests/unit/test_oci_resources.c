/* Tests of oci_resources.c: what `linux.resources` and the body of `update` may say. */
#include "oci_cases.h"

#include <creel/oci_resources.h>

static const struct oci_case device_cases[] = {
	ACCEPTED("{}"),
	ACCEPTED("{'devices':[{'allow':false,'access':'rwm'},{'allow':true}]}"),
	ACCEPTED("{'devices':[{'allow':true,'type':'c','major':136,'minor':-1,'access':'mr'}]}"),
	ACCEPTED("{'devices':[{'allow':true,'type':''}]}"),
	REFUSED("{'devices':[{'access':'rwm'}]}", "/devices/0/allow", ""),
	REFUSED("{'devices':[{'allow':1}]}", "/devices/0/allow", ""),
	REFUSED("{'devices':[{'allow':true,'type':'p'}]}", "/devices/0/type",
		"\"p\" is not a type of device rule"),
	REFUSED("{'devices':[{'allow':true,'type':'ab'}]}", "/devices/0/type",
		"\"ab\" is not a type of device rule"),
	REFUSED("{'devices':[{'allow':true,'access':'rwx'}]}", "/devices/0/access",
		"\"rwx\" is not made of r, w and m"),
	REFUSED("{'devices':[{'allow':true,'access':''}]}", "/devices/0/access", "cannot be empty"),
	REFUSED("{'devices':[{'allow':true,'major':-2}]}", "/devices/0/major", ""),
	REFUSED("{'devices':[{'allow':true,'minor':4294967296}]}", "/devices/0/minor", ""),
};

static const struct oci_case memory_cases[] = {
	ACCEPTED("{'memory':{'limit':-1,'reservation':-1,'swap':-1,'kernel':-1,'kernelTCP':-1}}"),
	ACCEPTED("{'memory':{'limit':9223372036854775807}}"),
	ACCEPTED("{'memory':{'limit':0,'disableOOMKiller':false,'checkBeforeUpdate':true}}"),
	REFUSED("{'memory':{'limit':-2}}", "/memory/limit", ""),
	REFUSED("{'memory':{'limit':9223372036854775808}}", "/memory/limit", ""),
	REFUSED("{'memory':{'limit':1.5}}", "/memory/limit", ""),
	REFUSED("{'memory':{'swap':'1'}}", "/memory/swap", ""),
	ACCEPTED("{'memory':{'swappiness':100}}"),
	REFUSED("{'memory':{'swappiness':101}}", "/memory/swappiness", ""),
};

static const struct oci_case cpu_cases[] = {
	ACCEPTED("{'cpu':{'shares':0,'quota':0,'period':0}}"),
	ACCEPTED("{'cpu':{'quota':-1,'period':100000,'burst':5}}"),
	ACCEPTED("{'cpu':{'burst':5}}"),
	ACCEPTED("{'cpu':{'quota':5,'burst':5}}"),
	REFUSED("{'cpu':{'quota':5,'burst':6}}", "/cpu/burst",
		"the burst of 6 us is above the quota of 5 us"),
	ACCEPTED("{'cpu':{'idle':1}}"),
	REFUSED("{'cpu':{'idle':2}}", "/cpu/idle", ""),
	REFUSED("{'cpu':{'idle':-1}}", "/cpu/idle", ""),
	ACCEPTED("{'pids':{'limit':-1}}"),
	ACCEPTED("{'pids':{'limit':0}}"),
	ACCEPTED("{'pids':{}}"),
	REFUSED("{'pids':{'limit':-2}}", "/pids/limit", ""),
};

#define IO(members) "{'blockIO':{" members "}}"

static const struct oci_case block_io_cases[] = {
	ACCEPTED(IO("")),
	ACCEPTED(IO("'weight':10,'leafWeight':1000")),
	ACCEPTED(IO("'weight':0,'leafWeight':0")),
	REFUSED(IO("'weight':9"), "/blockIO/weight", "a weight is from 10 to 1000"),
	REFUSED(IO("'weight':1001"), "/blockIO/weight", ""),
	REFUSED(IO("'leafWeight':9"), "/blockIO/leafWeight", "a weight is from 10 to 1000"),
	ACCEPTED(IO("'weightDevice':[{'major':8,'minor':0,'weight':500}]")),
	ACCEPTED(IO("'weightDevice':[{'major':8,'minor':0,'leafWeight':500}]")),
	REFUSED(IO("'weightDevice':[{'major':8,'minor':0}]"), "/blockIO/weightDevice/0",
		"needs a weight or a leafWeight"),
	REFUSED(IO("'weightDevice':[{'major':8,'weight':500}]"), "/blockIO/weightDevice/0/minor",
		""),
	REFUSED(IO("'weightDevice':[{'minor':8,'weight':500}]"), "/blockIO/weightDevice/0/major",
		""),
	REFUSED(IO("'weightDevice':[{'major':8,'minor':0,'weight':1}]"),
		"/blockIO/weightDevice/0/weight", "a weight is from 10 to 1000"),
	REFUSED(IO("'weightDevice':[{'major':8,'minor':0,'leafWeight':1}]"),
		"/blockIO/weightDevice/0/leafWeight", "a weight is from 10 to 1000"),
	ACCEPTED(IO("'throttleReadBpsDevice':[{'major':8,'minor':0,'rate':18446744073709551615}]")),
	REFUSED(IO("'throttleWriteIOPSDevice':[{'major':8,'minor':0}]"),
		"/blockIO/throttleWriteIOPSDevice/0/rate", ""),
	REFUSED(IO("'throttleReadIOPSDevice':[{'minor':0,'rate':1}]"),
		"/blockIO/throttleReadIOPSDevice/0/major", ""),
	REFUSED(IO("'throttleWriteBpsDevice':[{'major':4096,'minor':0,'rate':1}]"),
		"/blockIO/throttleWriteBpsDevice/0/major", ""),
};

#define HUGE_PAGE(size) "{'hugepageLimits':[{'pageSize':'" size "','limit':1}]}"

static const struct oci_case other_cases[] = {
	ACCEPTED(HUGE_PAGE("2MB")),
	ACCEPTED(HUGE_PAGE("16GB")),
	ACCEPTED(HUGE_PAGE("64KB")),
	REFUSED(HUGE_PAGE("02MB"), "/hugepageLimits/0/pageSize",
		"\"02MB\" is not the size of a page"),
	REFUSED(HUGE_PAGE("MB"), "/hugepageLimits/0/pageSize", "is not the size of a page"),
	REFUSED(HUGE_PAGE("2M"), "/hugepageLimits/0/pageSize", "is not the size of a page"),
	REFUSED(HUGE_PAGE("2"), "/hugepageLimits/0/pageSize", "is not the size of a page"),
	REFUSED(HUGE_PAGE("2TB"), "/hugepageLimits/0/pageSize", "is not the size of a page"),
	REFUSED(HUGE_PAGE("2MB/../x"), "/hugepageLimits/0/pageSize", "is not the size of a page"),
	REFUSED("{'hugepageLimits':[{'limit':1}]}", "/hugepageLimits/0/pageSize", ""),
	REFUSED("{'hugepageLimits':[{'pageSize':'2MB'}]}", "/hugepageLimits/0/limit", ""),
	ACCEPTED("{'network':{'classID':1,'priorities':[{'name':'eth0','priority':5}]}}"),
	REFUSED("{'network':{'classID':4294967296}}", "/network/classID", ""),
	REFUSED("{'network':{'priorities':[{'name':'eth0'}]}}", "/network/priorities/0/priority",
		""),
	REFUSED("{'network':{'priorities':[{'priority':5}]}}", "/network/priorities/0/name", ""),
	REFUSED("{'network':{'priorities':[{'name':'','priority':5}]}}",
		"/network/priorities/0/name", ""),
	ACCEPTED("{'rdma':{'mlx5_1':{'hcaHandles':3},'mlx5_2':{'hcaObjects':0}}}"),
	REFUSED("{'rdma':{'mlx5_1':{}}}", "/rdma/mlx5_1", "needs hcaHandles or hcaObjects"),
	REFUSED("{'rdma':{'a b':{'hcaHandles':3}}}", "/rdma/a b",
		"is not the name of an RDMA device"),
	REFUSED("{'rdma':{'':{'hcaHandles':3}}}", "/rdma/", "is not the name of an RDMA device"),
	ACCEPTED("{'unified':{'memory.high':'1','hugetlb.2MB.max':'2'}}"),
	REFUSED("{'unified':{'a/b.c':'1'}}", "/unified/a~1b.c", "must be a file name (no slashes)"),
	REFUSED("{'unified':{'memory':'1'}}", "/unified/memory",
		"must be in the form CONTROLLER.PARAMETER"),
	REFUSED("{'unified':{'.high':'1'}}", "/unified/.high",
		"must be in the form CONTROLLER.PARAMETER"),
	REFUSED("{'unified':{'':'1'}}", "/unified/", "must be in the form CONTROLLER.PARAMETER"),
	REFUSED("{'unified':{'cgroup.procs':'1'}}", "/unified/cgroup.procs",
		"belong to the runtime"),
	REFUSED("{'unified':{'memory.high':1}}", "/unified/memory.high", ""),
};

static void test_device_rules(void **state)
{
	(void)state;
	check_cases(&oci_resources_schema, device_cases, ARRAY_SIZE(device_cases));
}

static void test_memory(void **state)
{
	(void)state;
	check_cases(&oci_resources_schema, memory_cases, ARRAY_SIZE(memory_cases));
}

static void test_cpu_and_pids(void **state)
{
	(void)state;
	check_cases(&oci_resources_schema, cpu_cases, ARRAY_SIZE(cpu_cases));
}

static void test_block_io(void **state)
{
	(void)state;
	check_cases(&oci_resources_schema, block_io_cases, ARRAY_SIZE(block_io_cases));
}

static void test_hugepages_network_rdma_and_unified(void **state)
{
	(void)state;
	check_cases(&oci_resources_schema, other_cases, ARRAY_SIZE(other_cases));
}

static void test_zero_is_not_absent(void **state)
{
	auto_arena arena = { 0 };
	const char *text = quoted(&arena, "{'memory':{'limit':0,'useHierarchy':false},'cpu':{}}");
	const struct oci_resources *resources = decoded(&oci_resources_schema, &arena, text);

	(void)state;
	assert_true(resources->memory->limit.set);
	assert_int_equal(resources->memory->limit.value, 0);
	assert_true(resources->memory->use_hierarchy.set);
	assert_false(resources->memory->swap.set);
	assert_non_null(resources->cpu);
	assert_false(resources->cpu->quota.set);
	assert_null(resources->pids);
	assert_string_equal(encoded(&oci_resources_schema, &arena, resources), text);
}

static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(&oci_resources_schema,
		    "{'devices':[{'allow':false,'type':'a','major':-1,'minor':0,'access':'m'}],"
		    "'memory':{'limit':1,'reservation':2,'swap':3,'kernel':4,'kernelTCP':5,"
		    "'swappiness':6,'disableOOMKiller':true,'useHierarchy':false,"
		    "'checkBeforeUpdate':true},"
		    "'cpu':{'shares':1,'quota':9,'burst':2,'period':3,'realtimeRuntime':4,"
		    "'realtimePeriod':5,'cpus':'0-1','mems':'0','idle':0},'pids':{'limit':0},"
		    "'blockIO':{'weight':10,'leafWeight':11,"
		    "'weightDevice':[{'major':1,'minor':2,'weight':12,'leafWeight':13}],"
		    "'throttleReadBpsDevice':[{'major':1,'minor':2,'rate':3}],"
		    "'throttleWriteBpsDevice':[{'major':1,'minor':2,'rate':4}],"
		    "'throttleReadIOPSDevice':[{'major':1,'minor':2,'rate':5}],"
		    "'throttleWriteIOPSDevice':[{'major':1,'minor':2,'rate':6}]},"
		    "'hugepageLimits':[{'pageSize':'2MB','limit':0}],"
		    "'network':{'classID':1,'priorities':[{'name':'e','priority':2}]},"
		    "'rdma':{'r':{'hcaHandles':1,'hcaObjects':2}},'unified':{'pids.max':'max'}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device_rules),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cpu_and_pids),
		cmocka_unit_test(test_block_io),
		cmocka_unit_test(test_hugepages_network_rdma_and_unified),
		cmocka_unit_test(test_zero_is_not_absent),
		cmocka_unit_test(test_every_member_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
