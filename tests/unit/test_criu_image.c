/* Images: the messages that decide what a restored process can reach are understood, damage is
 * named, and nothing is read outside of them. */
#include "check.h"

#include <creel/criu_image.h>
#include <creel/error.h>

static struct arena arena;
static struct error err;

static struct protobuf message(void)
{
	return (struct protobuf){ .arena = &arena };
}

static struct protobuf_reader read_back(const struct protobuf *written)
{
	return (struct protobuf_reader){ .data = written->data, .size = written->size };
}

static int parse(const char *bytes, size_t size, enum criu_magic magic,
		 struct criu_records *records)
{
	err = (struct error){ 0 };
	return criu_image_parse(&arena, "x.img", bytes, size, magic, records, &err);
}

#define PARSE(bytes, magic, records) parse(bytes, sizeof(bytes) - 1, magic, records)

static void test_records(void **state)
{
	struct criu_records records;

	(void)state;
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50\x02\0\0\0\x08\x01\x00\0\0\0",
			CRIU_MAGIC_PSTREE, &records),
		  0);
	check_int(records.n, 2);
	check_int(records.items[0].size, 2);
	check_int(records.items[1].size, 0);
	/* The inventory is of the oldest kind. */
	check_int(PARSE("\x16\x31\x31\x58\x02\0\0\0\x08\x01", CRIU_MAGIC_INVENTORY, &records), 0);
	check_int(records.n, 1);
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50", CRIU_MAGIC_PSTREE, &records), 0);
	check_int(records.n, 0);
}

static void test_damaged_records(void **state)
{
	struct criu_records records;

	(void)state;
	check_int(PARSE("", CRIU_MAGIC_PSTREE, &records), -1);
	check_has(err.what, "no image of CRIU");
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27", CRIU_MAGIC_PSTREE, &records), -1);
	check_has(err.what, "another kind");
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50", CRIU_MAGIC_CORE, &records), -1);
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50\x02\0\0", CRIU_MAGIC_PSTREE, &records),
		  -1);
	check_has(err.what, "damaged");
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50\x03\0\0\0\x08\x01", CRIU_MAGIC_PSTREE,
			&records),
		  -1);
	check_int(PARSE("\x19\x43\x56\x54\x30\x30\x27\x50\xff\xff\xff\xff\x08\x01",
			CRIU_MAGIC_PSTREE, &records),
		  -1);
}

static void test_namespaces(void **state)
{
	struct protobuf ids = message(), inventory = message();
	struct criu_namespaces namespaces;

	(void)state;
	protobuf_number(&ids, 1, 99);
	for (unsigned int i = 0; i < CRIU_NS_COUNT; i++)
		protobuf_number(&ids, 5 + i, 100 + i);
	protobuf_number(&inventory, 1, 1);
	protobuf_nested(&inventory, 3, &ids);
	check_int(criu_image_namespaces(read_back(&ids), &namespaces), 0);
	check(namespaces.ids[CRIU_NS_PID] == 100 && namespaces.ids[CRIU_NS_TIME] == 107);
	check_int(criu_image_inventory(read_back(&inventory), &namespaces), 0);
	check(namespaces.ids[CRIU_NS_MNT] == 104 && namespaces.ids[CRIU_NS_USER] == 105);
}

static void test_task(void **state)
{
	struct protobuf written = message(), wrong = message();
	struct criu_task task;

	(void)state;
	protobuf_number(&written, 1, 7);
	protobuf_number(&written, 2, 1);
	protobuf_number(&written, 5, 7);
	protobuf_number(&written, 5, 8);
	check_int(criu_image_task(&arena, read_back(&written), &task), 0);
	check(task.pid == 7 && task.parent == 1 && task.threads_n == 2 && task.threads[1] == 8);
	/* A zombie's. */
	protobuf_number(&written, 5, UINT32_MAX);
	check_int(criu_image_task(&arena, read_back(&written), &task), 0);
	check(task.threads_n == 3 && task.threads[2] < 0);
	protobuf_number(&written, 5, (uint64_t)UINT32_MAX + 1);
	check_int(criu_image_task(&arena, read_back(&written), &task), -1);
	protobuf_number(&wrong, 1, UINT32_MAX);
	check_int(criu_image_task(&arena, read_back(&wrong), &task), -1);
}

static void test_mount(void **state)
{
	struct protobuf written = message(), wrong = message();
	struct criu_mount mount;

	(void)state;
	protobuf_number(&written, 1, CRIU_FS_TMPFS);
	protobuf_number(&written, 3, 44);
	protobuf_text(&written, 6, "/");
	protobuf_text(&written, 7, "/dev");
	protobuf_text(&written, 9, "size=64k");
	check_int(criu_image_mount(&arena, read_back(&written), &mount), 0);
	check(mount.filesystem == CRIU_FS_TMPFS && mount.device == 44 && !mount.key);
	check_text(mount.point, "/dev");
	check_text(mount.root, "/");
	check_text(mount.options, "size=64k");
	protobuf_text(&written, 18, "creel-null");
	check_int(criu_image_mount(&arena, read_back(&written), &mount), 0);
	check_text(mount.key, "creel-null");
	/* What is missing or cut must not look like what is harmless. */
	protobuf_text(&wrong, 6, "/");
	check_int(criu_image_mount(&arena, read_back(&wrong), &mount), -1);
	protobuf_number(&written, 18, 1);
	check_int(criu_image_mount(&arena, read_back(&written), &mount), -1);
}

static struct protobuf credentials(void)
{
	struct protobuf written = message();

	for (unsigned int id = 1; id <= 8; id++)
		protobuf_number(&written, id, 1000 + id);
	protobuf_number(&written, 12, 0x20000420);
	protobuf_number(&written, 12, 0x1);
	protobuf_number(&written, 10, 0x400);
	protobuf_number(&written, 18, 1);
	protobuf_text(&written, 15, "profile");
	return written;
}

static void test_rights(void **state)
{
	struct protobuf creds = credentials(), thread = message(), core = message();
	struct criu_rights rights;

	(void)state;
	protobuf_nested(&thread, 10, &creds);
	protobuf_number(&thread, 11, 2);
	protobuf_number(&thread, 12, 3);
	protobuf_nested(&core, 5, &thread);
	check_int(criu_image_rights(&arena, read_back(&core), &rights), 0);
	check(rights.has_credentials && rights.no_new_privs && !rights.is_dead);
	check(rights.uid == 1001 && rights.gid == 1002 && rights.euid == 1003);
	check(rights.egid == 1004 && rights.suid == 1005 && rights.sgid == 1006);
	check(rights.bounding == 0x120000420 && rights.permitted == 0x400 && !rights.effective);
	check(rights.seccomp_mode == 2 && rights.seccomp_filter == 3);
	check_text(rights.label, "profile");
	/* Twice, and CRIU could believe the other one. */
	protobuf_nested(&thread, 10, &creds);
	core = message();
	protobuf_nested(&core, 5, &thread);
	check_int(criu_image_rights(&arena, read_back(&core), &rights), -1);
}

static void test_wide_capabilities(void **state)
{
	struct protobuf creds = credentials(), thread = message(), core = message();
	struct criu_rights rights;

	(void)state;
	protobuf_number(&creds, 12, 1);
	protobuf_nested(&thread, 10, &creds);
	protobuf_nested(&core, 5, &thread);
	check_int(criu_image_rights(&arena, read_back(&core), &rights), -1);
}

static void test_zombie(void **state)
{
	struct protobuf task = message(), core = message();
	struct criu_rights rights;

	(void)state;
	protobuf_number(&task, 1, 2);
	protobuf_nested(&core, 3, &task);
	check_int(criu_image_rights(&arena, read_back(&core), &rights), 0);
	check(rights.is_dead && !rights.has_credentials);
}

static void test_filters(void **state)
{
	struct protobuf one = message(), two = message(), all = message();
	struct criu_filters filters;

	(void)state;
	protobuf_text(&one, 1, "12345678");
	protobuf_text(&two, 1, "1234567812345678");
	protobuf_number(&two, 2, 0);
	protobuf_nested(&all, 1, &one);
	protobuf_nested(&all, 1, &two);
	check_int(criu_image_filters(&arena, read_back(&all), &filters), 0);
	check_int(filters.n, 2);
	check(filters.items[0].size == 8 && !filters.items[0].has_previous);
	check(filters.items[1].size == 16 && filters.items[1].has_previous &&
	      filters.items[1].previous == 0);
}

/* Directories in directories, to the depth that is still read. */
static struct protobuf nested_directories(int depth)
{
	struct protobuf directory = message();

	protobuf_text(&directory, 1, "x");
	while (depth-- > 0) {
		struct protobuf above = message();

		protobuf_nested(&above, 2, &directory);
		directory = above;
	}
	return directory;
}

static int read_directories(int depth, struct criu_cgroup_names *names)
{
	const struct protobuf directory = nested_directories(depth);
	struct protobuf hierarchy = message(), all = message();

	protobuf_text(&hierarchy, 1, "");
	protobuf_nested(&hierarchy, 2, &directory);
	protobuf_nested(&all, 2, &hierarchy);
	return criu_image_cgroups(&arena, read_back(&all), names);
}

static void test_cgroups(void **state)
{
	struct protobuf owner = message(), property = message(), directory = message();
	struct protobuf hierarchy = message(), place = message(), set = message(), all = message();
	struct criu_cgroup_names names;

	(void)state;
	protobuf_number(&owner, 2, 7);
	protobuf_number(&owner, 3, 8);
	protobuf_text(&property, 1, "pids.max");
	protobuf_nested(&property, 3, &owner);
	protobuf_text(&directory, 1, "one");
	protobuf_nested(&directory, 3, &property);
	protobuf_nested(&directory, 4, &owner);
	protobuf_text(&hierarchy, 1, "");
	protobuf_nested(&hierarchy, 2, &directory);
	protobuf_text(&place, 1, "");
	protobuf_text(&place, 2, "/one");
	protobuf_nested(&set, 2, &place);
	protobuf_nested(&all, 1, &set);
	protobuf_nested(&all, 2, &hierarchy);
	check_int(criu_image_cgroups(&arena, read_back(&all), &names), 0);
	check_int(names.controllers.n, 2);
	check_text(names.controllers.items[0], "");
	check_int(names.paths.n, 2);
	check_text(names.paths.items[0], "/one");
	check_text(names.paths.items[1], "one");
	check_int(names.files.n, 1);
	check_text(names.files.items[0], "pids.max");
	check_int(names.owners_n, 2);
	check(names.owners[1].uid == 7 && names.owners[1].gid == 8);
	check_int(read_directories(64, &names), 0);
	check_int(names.paths.n, 1);
	check_int(read_directories(65, &names), -1);
	/* A name that is a number. */
	hierarchy = all = message();
	protobuf_number(&hierarchy, 1, 1);
	protobuf_nested(&all, 2, &hierarchy);
	check_int(criu_image_cgroups(&arena, read_back(&all), &names), -1);
}

static int clean(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_records, clean),
		cmocka_unit_test_teardown(test_damaged_records, clean),
		cmocka_unit_test_teardown(test_namespaces, clean),
		cmocka_unit_test_teardown(test_task, clean),
		cmocka_unit_test_teardown(test_mount, clean),
		cmocka_unit_test_teardown(test_rights, clean),
		cmocka_unit_test_teardown(test_wide_capabilities, clean),
		cmocka_unit_test_teardown(test_zombie, clean),
		cmocka_unit_test_teardown(test_filters, clean),
		cmocka_unit_test_teardown(test_cgroups, clean),
	};

	return check_all(tests);
}
