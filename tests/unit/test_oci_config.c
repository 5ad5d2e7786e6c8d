/* Tests of oci_config.c: what the top level may say, and that real documents decode. */
#include "oci_cases.h"

#include <creel/oci_config.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFIG(more) "{'ociVersion':'1.2.0'" more "}"
#define NAME_OF_64   "0123456789012345678901234567890123456789012345678901234567890123"

static const struct oci_case version_cases[] = {
	ACCEPTED("{'ociVersion':'1.0.0'}"),
	ACCEPTED("{'ociVersion':'1.0.0-rc5-dev'}"),
	ACCEPTED("{'ociVersion':'1.0.2-dev'}"),
	ACCEPTED("{'ociVersion':'1.3.0+dev'}"),
	ACCEPTED("{'ociVersion':'1.2.0-rc.1+a.01'}"),
	ACCEPTED("{'ociVersion':'1.99.0'}"),
	REFUSED("{}", "/ociVersion", ""),
	REFUSED("{'ociVersion':null}", "/ociVersion", ""),
	REFUSED("{'ociVersion':1.2}", "/ociVersion", ""),
	REFUSED("{'ociVersion':''}", "/ociVersion", "\"\" is not a semantic version"),
	REFUSED("{'ociVersion':'1'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.x'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.02.0'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'v1.2.0'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.0-'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.0-a..b'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.0-01'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.0+'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.0 '}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.2.3.4'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'1.4294967296000.0'}", "/ociVersion", "is not a semantic version"),
	REFUSED("{'ociVersion':'0.9.0'}", "/ociVersion",
		"version 0.9.0 of the specification is not"),
	REFUSED("{'ociVersion':'2.0.0'}", "/ociVersion",
		"version 2.0.0 of the specification is not"),
};

static const struct oci_case config_cases[] = {
	ACCEPTED(CONFIG(",'hostname':'" NAME_OF_64 "','domainname':'" NAME_OF_64 "'")),
	REFUSED(CONFIG(",'hostname':'" NAME_OF_64 "x'"), "/hostname", "the name has 65 bytes"),
	REFUSED(CONFIG(",'domainname':'" NAME_OF_64 "x'"), "/domainname", "the name has 65 bytes"),
	ACCEPTED(CONFIG(",'root':{'path':'rootfs','readonly':true}")),
	REFUSED(CONFIG(",'root':{}"), "/root/path", ""),
	REFUSED(CONFIG(",'root':{'path':''}"), "/root/path", ""),
	ACCEPTED(CONFIG(",'annotations':{'a':''}")),
	REFUSED(CONFIG(",'annotations':{'':'a'}"), "/annotations", "must not be empty"),
	REFUSED(CONFIG(",'annotations':{'a':1}"), "/annotations/a", ""),
	ACCEPTED(CONFIG(",'vm':{'x':[1]},'windows':{},'unknown':[]")),
	REFUSED(CONFIG(",'process':{'cwd':'/','args':['a'],'user':{'uid':'1','gid':0}}"),
		"/process/user/uid", ""),
	REFUSED(CONFIG(",'linux':{'resources':{'cpu':{'idle':2}}}"), "/linux/resources/cpu/idle",
		""),
};

#define MAPPING "[{'containerID':0,'hostID':1,'size':1}]"

static const struct oci_case mount_cases[] = {
	ACCEPTED(CONFIG(
	    ",'mounts':[{'destination':'/a','type':'bind','source':'b','options':['ro','']}]")),
	ACCEPTED(CONFIG(",'mounts':[{'destination':'relative'}]")),
	REFUSED(CONFIG(",'mounts':[{'destination':'/a'},{}]"), "/mounts/1/destination", ""),
	REFUSED(CONFIG(",'mounts':[{'destination':''}]"), "/mounts/0/destination", ""),
	ACCEPTED(CONFIG(",'mounts':[{'destination':'/a','uidMappings':" MAPPING
			",'gidMappings':" MAPPING "}]")),
	REFUSED(CONFIG(",'mounts':[{'destination':'/a','uidMappings':" MAPPING "}]"),
		"/mounts/0/uidMappings", "need gidMappings"),
	REFUSED(CONFIG(",'mounts':[{'destination':'/a','gidMappings':" MAPPING "}]"),
		"/mounts/0/gidMappings", "need uidMappings"),
	REFUSED(CONFIG(",'mounts':[{'destination':'/a','uidMappings':" MAPPING
		       ",'gidMappings':[{'containerID':0,'hostID':1,'size':2},"
		       "{'containerID':5,'hostID':2,'size':1}]}]"),
		"/mounts/0/gidMappings/1/hostID", "overlap"),
	REFUSED(CONFIG(",'mounts':[{'destination':'/a','gidMappings':" MAPPING
		       ",'uidMappings':[{'containerID':0,'hostID':1,'size':2},"
		       "{'containerID':1,'hostID':8,'size':1}]}]"),
		"/mounts/0/uidMappings/1/containerID", "overlap"),
};

static const struct oci_case hook_cases[] = {
	ACCEPTED(CONFIG(",'hooks':{'poststop':[{'path':'/bin/true','args':['true'],'env':['A=1'],"
			"'timeout':1}]}")),
	REFUSED(CONFIG(",'hooks':{'prestart':[{'args':['true']}]}"), "/hooks/prestart/0/path", ""),
	REFUSED(CONFIG(",'hooks':{'createRuntime':[{'path':'/a'},{'path':'true'}]}"),
		"/hooks/createRuntime/1/path", "\"true\" is not absolute"),
	REFUSED(CONFIG(",'hooks':{'createContainer':[{'path':''}]}"),
		"/hooks/createContainer/0/path", "\"\" is not absolute"),
	REFUSED(CONFIG(",'hooks':{'startContainer':[{'path':'/a','timeout':0}]}"),
		"/hooks/startContainer/0/timeout", ""),
	REFUSED(CONFIG(",'hooks':{'poststart':[{'path':'/a','timeout':-1}]}"),
		"/hooks/poststart/0/timeout", ""),
};

static void test_version(void **state)
{
	(void)state;
	check_cases(&oci_config_schema, version_cases, ARRAY_SIZE(version_cases));
}

static void test_top_level(void **state)
{
	(void)state;
	check_cases(&oci_config_schema, config_cases, ARRAY_SIZE(config_cases));
}

static void test_mounts(void **state)
{
	(void)state;
	check_cases(&oci_config_schema, mount_cases, ARRAY_SIZE(mount_cases));
}

static void test_hooks(void **state)
{
	(void)state;
	check_cases(&oci_config_schema, hook_cases, ARRAY_SIZE(hook_cases));
}

static void test_hook_lists_have_the_numbers_of_their_kinds(void **state)
{
	(void)state;
	for (const struct name_value *name = oci_hook_names; name->name; name++) {
		auto_arena arena = { 0 };
		const char *text = text_format(&arena, "{\"%s\":[{\"path\":\"/x\"}]}", name->name);
		const struct oci_hooks *hooks = decoded(&oci_hooks_schema, &arena, text);

		for (int kind = 0; kind < OCI_HOOK_COUNT; kind++)
			assert_int_equal(hooks->lists[kind].n, kind == name->value ? 1 : 0);
	}
}

static void test_every_member_comes_back(void **state)
{
	(void)state;
	check_whole(&oci_config_schema,
		    "{'ociVersion':'1.2.0','root':{'path':'r','readonly':true},"
		    "'process':{'cwd':'/','args':['a'],'user':{'uid':0,'gid':0}},"
		    "'hostname':'h','domainname':'d','mounts':[{'destination':'/m','type':'t',"
		    "'source':'s','options':['ro'],'uidMappings':" MAPPING ",'gidMappings':" MAPPING
		    "}],'hooks':{"
		    "'prestart':[{'path':'/1','args':['a'],'env':['b'],'timeout':2}],"
		    "'createRuntime':[{'path':'/2'}],'createContainer':[{'path':'/3'}],"
		    "'startContainer':[{'path':'/4'}],'poststart':[{'path':'/5'}],"
		    "'poststop':[{'path':'/6'}]},'annotations':{'a':'b'},"
		    "'linux':{'cgroupsPath':'/c'},'vm':{'a':[1,true,null]},'windows':{},"
		    "'solaris':{},'zos':{},'freebsd':{}}");
}

/* Reads the whole of DIRECTORY/NAME into the arena. */
static char *document(struct arena *arena, const char *directory, const char *name)
{
	FILE *file = fopen(text_format(arena, "%s/%s", directory, name), "re");
	char *text = NULL;
	size_t size = 0;
	char *copy;

	assert_non_null(file);
	assert_true(getdelim(&text, &size, '\0', file) > 0);
	fclose(file);
	copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

/* Documents that engines wrote are not part of the project; they lie beside the checkout. */
static const char *real_documents(struct arena *arena)
{
	const char *directory = getenv("CREEL_CONFIGS");
	const char *root = getenv("SOURCE_ROOT");

	if (directory)
		return directory;
	return root ? text_format(arena, "%s/../shared/configs", root) : NULL;
}

static void test_real_documents_decode(void **state)
{
	auto_arena arena = { 0 };
	const char *directory = real_documents(&arena);
	DIR *dir = directory ? opendir(directory) : NULL;
	int n = 0;

	(void)state;
	if (!dir) {
		print_message("skipped: %s is absent\n", directory ? directory : "CREEL_CONFIGS");
		arena_free(&arena); /* skip() jumps */
		skip();
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (!text_ends_with(entry->d_name, ".json"))
			continue;
		print_message("%s\n", entry->d_name);
		if (text_ends_with(entry->d_name, "process.json"))
			check_round_trip(&oci_process_schema,
					 document(&arena, directory, entry->d_name));
		else
			check_round_trip(&oci_config_schema,
					 document(&arena, directory, entry->d_name));
		n++;
	}
	closedir(dir);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_top_level),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_hook_lists_have_the_numbers_of_their_kinds),
		cmocka_unit_test(test_every_member_comes_back),
		cmocka_unit_test(test_real_documents_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
