/* Tests of oci_linux.c: what `linux` may say. */
#include "oci_cases.h"

#include <creel/oci_linux.h>

static const struct oci_case namespace_cases[] = {
	ACCEPTED("{}"),
	ACCEPTED("{'namespaces':[{'type':'pid'},{'type':'network','path':'/proc/1/ns/net'}]}"),
	REFUSED("{'namespaces':[{'path':'/proc/1/ns/net'}]}", "/namespaces/0/type", ""),
	REFUSED("{'namespaces':[{'type':'net'}]}", "/namespaces/0/type", "net"),
	REFUSED("{'namespaces':[{'type':'pid','path':'ns/pid'}]}", "/namespaces/0/path",
		"\"ns/pid\" is not absolute"),
	REFUSED("{'namespaces':[{'type':'pid','path':''}]}", "/namespaces/0/path",
		"\"\" is not absolute"),
	REFUSED("{'namespaces':[{'type':'pid'},{'type':'ipc'},{'type':'pid','path':'/x'}]}",
		"/namespaces/2/type", "the pid namespace is listed twice"),
	ACCEPTED("{'rootfsPropagation':'rslave'}"),
	ACCEPTED("{'rootfsPropagation':'runbindable'}"),
	REFUSED("{'rootfsPropagation':'bind'}", "/rootfsPropagation", "bind"),
	ACCEPTED("{'timeOffsets':{'boottime':{'secs':-5,'nanosecs':999999999},'monotonic':{}}}"),
	REFUSED("{'timeOffsets':{'realtime':{'secs':1}}}", "/timeOffsets/realtime",
		"\"realtime\" is not a clock with an offset"),
	REFUSED("{'timeOffsets':{'boottime':{'nanosecs':1000000000}}}",
		"/timeOffsets/boottime/nanosecs", ""),
};

#define MAP(c, h, s) "{'containerID':" c ",'hostID':" h ",'size':" s "}"

static const struct oci_case mapping_cases[] = {
	ACCEPTED("{'uidMappings':[" MAP("0", "1000", "1") "," MAP("1", "100000", "65536") "]}"),
	ACCEPTED("{'uidMappings':[" MAP("0", "0", "4294967295") "]}"),
	REFUSED("{'uidMappings':[{'hostID':0,'size':1}]}", "/uidMappings/0/containerID", ""),
	REFUSED("{'uidMappings':[{'containerID':0,'size':1}]}", "/uidMappings/0/hostID", ""),
	REFUSED("{'gidMappings':[{'containerID':0,'hostID':0}]}", "/gidMappings/0/size", ""),
	REFUSED("{'uidMappings':[" MAP("0", "0", "0") "]}", "/uidMappings/0/size", "no ids"),
	REFUSED("{'uidMappings':[" MAP("1", "0", "4294967295") "]}", "/uidMappings/0/containerID",
		"beyond the last id"),
	REFUSED("{'gidMappings':[" MAP("0", "4294967295", "1") "]}", "/gidMappings/0/hostID",
		"beyond the last id"),
	REFUSED("{'uidMappings':[" MAP("0", "0", "4294967296") "]}", "/uidMappings/0/size", ""),
	REFUSED("{'uidMappings':[" MAP("0", "1000", "10") "," MAP("9", "2000", "10") "]}",
		"/uidMappings/1/containerID", "overlap those of mapping 0"),
	REFUSED("{'gidMappings':[" MAP("0", "1000", "10") "," MAP("50", "5000", "1") "," MAP(
		    "100", "991", "10") "]}",
		"/gidMappings/2/hostID", "overlap those of mapping 0"),
	ACCEPTED("{'gidMappings':[" MAP("0", "1000", "10") "," MAP("10", "990", "10") "]}"),
};

static const struct oci_case device_cases[] = {
	ACCEPTED(
	    "{'devices':[{'type':'c','path':'/dev/x','major':4095,'minor':1048575,'fileMode':438,"
	    "'uid':0,'gid':4294967294}]}"),
	ACCEPTED("{'devices':[{'type':'u','path':'/dev/x','major':1,'minor':3,'fileMode':8630}]}"),
	ACCEPTED("{'devices':[{'type':'p','path':'/dev/fifo'}]}"),
	REFUSED("{'devices':[{'path':'/dev/x','major':1,'minor':3}]}", "/devices/0/type", ""),
	REFUSED("{'devices':[{'type':'a','path':'/dev/x','major':1,'minor':3}]}", "/devices/0/type",
		"\"a\" is not a type of device"),
	REFUSED("{'devices':[{'type':'','path':'/dev/x','major':1,'minor':3}]}", "/devices/0/type",
		"\"\" is not a type of device"),
	REFUSED("{'devices':[{'type':'cb','path':'/dev/x','major':1,'minor':3}]}",
		"/devices/0/type", "\"cb\" is not a type of device"),
	REFUSED("{'devices':[{'type':'c','major':1,'minor':3}]}", "/devices/0/path", ""),
	REFUSED("{'devices':[{'type':'c','path':'dev/x','major':1,'minor':3}]}", "/devices/0/path",
		"\"dev/x\" is not absolute"),
	REFUSED("{'devices':[{'type':'c','path':'/dev/x','minor':3}]}", "/devices/0/major",
		"needs a major number"),
	REFUSED("{'devices':[{'type':'b','path':'/dev/x','major':3}]}", "/devices/0/minor",
		"needs a minor number"),
	REFUSED("{'devices':[{'type':'c','path':'/dev/x','major':4096,'minor':0}]}",
		"/devices/0/major", ""),
	REFUSED("{'devices':[{'type':'c','path':'/dev/x','major':1,'minor':-1}]}",
		"/devices/0/minor", ""),
	REFUSED("{'devices':[{'type':'p','path':'/dev/x','uid':4294967295}]}", "/devices/0/uid",
		""),
	ACCEPTED("{'netDevices':{'eth0':{},'ens3':{'name':'ctr%d'}}}"),
	REFUSED("{'netDevices':{'a123456789012345':{}}}", "/netDevices/a123456789012345",
		"is not the name of a network device"),
	REFUSED("{'netDevices':{'':{}}}", "/netDevices/", "is not the name of a network device"),
	REFUSED("{'netDevices':{'..':{}}}", "/netDevices/..",
		"is not the name of a network device"),
	REFUSED("{'netDevices':{'eth0':{'name':'.'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':''}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':'a/b'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':'a:b'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':'a b'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':'a%s'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'eth0':{'name':'a%dx'}}}", "/netDevices/eth0/name", "not a name"),
	REFUSED("{'netDevices':{'a%s':{}}}", "/netDevices/a%s",
		"cannot be the name in the container"),
	ACCEPTED("{'netDevices':{'a%s':{'name':'eth0'}}}"),
};

static const struct oci_case path_cases[] = {
	ACCEPTED("{'maskedPaths':['/proc/acpi'],'readonlyPaths':['/proc/bus']}"),
	REFUSED("{'maskedPaths':['/proc/acpi','proc/kcore']}", "/maskedPaths/1",
		"\"proc/kcore\" is not absolute"),
	REFUSED("{'readonlyPaths':['']}", "/readonlyPaths/0", "\"\" is not absolute"),
	ACCEPTED("{'sysctl':{'net.ipv4.ip_forward':'1','net/ipv4/conf/eth0.1/rp_filter':'1',"
		 "'kernel.shm_rmid_forced':'','net.ipv4.conf.eth-0.X':'1'}}"),
	REFUSED("{'sysctl':{'':'1'}}", "/sysctl/", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net..ip':'1'}}", "/sysctl/net..ip", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net.ipv4.':'1'}}", "/sysctl/net.ipv4.", "is not a sysctl key"),
	REFUSED("{'sysctl':{'.net':'1'}}", "/sysctl/.net", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net/../kernel/x':'1'}}", "/sysctl/net~1..~1kernel~1x",
		"is not a sysctl key"),
	REFUSED("{'sysctl':{'/net':'1'}}", "/sysctl/~1net", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net ipv4':'1'}}", "/sysctl/net ipv4", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net.ipv4\\n':'1'}}", "/sysctl/net.ipv4?", "is not a sysctl key"),
	REFUSED("{'sysctl':{'net.x':1}}", "/sysctl/net.x", ""),
};

static const struct oci_case personality_cases[] = {
	ACCEPTED("{'personality':{'domain':'LINUX32','flags':[]}}"),
	REFUSED("{'personality':{}}", "/personality/domain", ""),
	REFUSED("{'personality':{'domain':'BSD'}}", "/personality/domain", "BSD"),
	REFUSED("{'personality':{'domain':'LINUX','flags':['X']}}", "/personality/flags/0",
		"defines no flags"),
	ACCEPTED("{'memoryPolicy':{'mode':'MPOL_DEFAULT'}}"),
	ACCEPTED("{'memoryPolicy':{'mode':'MPOL_LOCAL','nodes':''}}"),
	ACCEPTED("{'memoryPolicy':{'mode':'MPOL_PREFERRED'}}"),
	ACCEPTED("{'memoryPolicy':{'mode':'MPOL_PREFERRED','nodes':'1'}}"),
	ACCEPTED("{'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0-1,3','flags':['MPOL_F_STATIC_"
		 "NODES']}}"),
	REFUSED("{'memoryPolicy':{'nodes':'0'}}", "/memoryPolicy/mode", ""),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_X'}}", "/memoryPolicy/mode", "MPOL_X"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['X']}}",
		"/memoryPolicy/flags/0", "X"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_DEFAULT','nodes':'0'}}", "/memoryPolicy/nodes",
		"MPOL_DEFAULT takes no nodes"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_LOCAL','nodes':'0'}}", "/memoryPolicy/nodes",
		"MPOL_LOCAL takes no nodes"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_INTERLEAVE'}}", "/memoryPolicy/nodes",
		"MPOL_INTERLEAVE needs nodes"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_WEIGHTED_INTERLEAVE','nodes':''}}",
		"/memoryPolicy/nodes", "MPOL_WEIGHTED_INTERLEAVE needs nodes"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_BIND','nodes':'all'}}", "/memoryPolicy/nodes",
		"\"all\" is not a list of nodes"),
	REFUSED("{'memoryPolicy':{'mode':'MPOL_BIND','nodes':'0','flags':['MPOL_F_STATIC_NODES',"
		"'MPOL_F_RELATIVE_NODES']}}",
		"/memoryPolicy/flags", "exclude each other"),
};

static const struct oci_case rdt_cases[] = {
	ACCEPTED("{'intelRdt':{}}"),
	ACCEPTED("{'intelRdt':{'closID':'/'}}"),
	ACCEPTED("{'intelRdt':{'closID':'a.b','schemata':['L3:0=f'],'l3CacheSchema':'L3:0=f',"
		 "'memBwSchema':'MB:0=20','enableMonitoring':true}}"),
	REFUSED("{'intelRdt':{'closID':''}}", "/intelRdt/closID", "cannot be the name"),
	REFUSED("{'intelRdt':{'closID':'.'}}", "/intelRdt/closID", "cannot be the name"),
	REFUSED("{'intelRdt':{'closID':'..'}}", "/intelRdt/closID", "cannot be the name"),
	REFUSED("{'intelRdt':{'closID':'a/b'}}", "/intelRdt/closID", "cannot be the name"),
	REFUSED("{'intelRdt':{'closID':'//'}}", "/intelRdt/closID", "cannot be the name"),
	REFUSED("{'intelRdt':{'schemata':['L3:0=f','MB:0=1\\nL3:0=1']}}", "/intelRdt/schemata/1",
		"without a line feed"),
	REFUSED("{'intelRdt':{'l3CacheSchema':'L3:0=f\\n'}}", "/intelRdt/l3CacheSchema",
		"without a line feed"),
	REFUSED("{'intelRdt':{'memBwSchema':'L3:0=f'}}", "/intelRdt/memBwSchema",
		"begins with MB:"),
	REFUSED("{'intelRdt':{'memBwSchema':'MB:0=1\\n'}}", "/intelRdt/memBwSchema",
		"without a line feed"),
};

static void test_namespaces(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, namespace_cases, ARRAY_SIZE(namespace_cases));
}

static void test_mappings(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, mapping_cases, ARRAY_SIZE(mapping_cases));
}

/* A document with N mappings of one id each. */
static char *many_mappings(struct arena *arena, unsigned int n)
{
	char *text = arena_strdup(arena, "{'uidMappings':[");

	for (unsigned int i = 0; i < n; i++)
		text = text_format(arena, "%s%s{'containerID':%u,'hostID':%u,'size':1}", text,
				   i ? "," : "", i, i);
	return text_format(arena, "%s]}", text);
}

static void test_at_most_340_mappings(void **state)
{
	auto_arena arena = { 0 };
	const struct oci_case cases[] = {
		ACCEPTED(many_mappings(&arena, 340)),
		REFUSED(many_mappings(&arena, 341), "/uidMappings",
			"341 mappings are more than the 340"),
	};

	(void)state;
	check_cases(&oci_linux_schema, cases, ARRAY_SIZE(cases));
}

static void test_devices(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, device_cases, ARRAY_SIZE(device_cases));
}

static void test_paths_and_sysctl(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, path_cases, ARRAY_SIZE(path_cases));
}

static void test_personality_and_memory_policy(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, personality_cases, ARRAY_SIZE(personality_cases));
}

static void test_intel_rdt(void **state)
{
	(void)state;
	check_cases(&oci_linux_schema, rdt_cases, ARRAY_SIZE(rdt_cases));
}

static void test_names_are_the_kernels_numbers(void **state)
{
	(void)state;
	assert_int_equal(value_of(oci_memory_policy_mode_names, "MPOL_WEIGHTED_INTERLEAVE"), 6);
	assert_int_equal(value_of(oci_memory_policy_mode_names, "MPOL_BIND"), 2);
	assert_int_equal(value_of(oci_memory_policy_flag_names, "MPOL_F_STATIC_NODES"), 1 << 15);
	assert_int_equal(value_of(oci_personality_names, "LINUX32"), 8);
	assert_int_equal(value_of(oci_namespace_names, "time"), OCI_NAMESPACE_TIME);
}

static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(
	    &oci_linux_schema,
	    "{'namespaces':[{'type':'user'},{'type':'time','path':'/t'}],"
	    "'uidMappings':[" MAP("0", "1", "2") "],'gidMappings':[" MAP(
		"3", "4",
		"5") "],"
		     "'devices':[{'type':'b','path':'/d','major':0,'minor':0,'fileMode':0,'uid':0,"
		     "'gid':0}],'netDevices':{'e0':{'name':'e1'},'e2':{}},'cgroupsPath':'/c',"
		     "'resources':{'pids':{'limit':0}},'intelRdt':{'closID':'c','schemata':['L3:0="
		     "f'],"
		     "'l3CacheSchema':'L3:0=f','memBwSchema':'MB:0=1','enableMonitoring':true},"
		     "'memoryPolicy':{'mode':'MPOL_DEFAULT','nodes':'',"
		     "'flags':['MPOL_F_NUMA_BALANCING']},'sysctl':{'net.x':''},"
		     "'seccomp':{'defaultAction':'SCMP_ACT_ALLOW'},'rootfsPropagation':'private',"
		     "'maskedPaths':['/m'],'readonlyPaths':['/r'],'mountLabel':'l',"
		     "'personality':{'domain':'LINUX'},"
		     "'timeOffsets':{'monotonic':{'secs':0,'nanosecs':0},'boottime':{'secs':-1}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_mappings),
		cmocka_unit_test(test_at_most_340_mappings),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_paths_and_sysctl),
		cmocka_unit_test(test_personality_and_memory_policy),
		cmocka_unit_test(test_intel_rdt),
		cmocka_unit_test(test_names_are_the_kernels_numbers),
		cmocka_unit_test(test_every_member_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
