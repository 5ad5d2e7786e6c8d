/*
 * resctrl groups on a directory that stands in for the file system: mkdir(2) and rmdir(2) are
 * replaced, so that a new group has its files at once and goes with them, as resctrl does it.
 */
#include <creel/rdt.h>

#include "in_child.h"
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DEFAULT "    MB:0=100;1=100\n    L3:0=fff;1=fff\n"

static char mount_path[64];
static int refuse_mkdir;	/* an errno, or 0 */
static const char *refuse_name; /* only of this directory, or NULL */

static void put(int directory, const char *name, const char *text)
{
	auto_fd fd = openat(directory, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* In place of the C library's: this program's symbol comes first. */
int mkdirat(int directory, const char *name, mode_t mode)
{
	if (refuse_mkdir && (!refuse_name || strcmp(name, refuse_name) == 0)) {
		errno = refuse_mkdir;
		return -1;
	}
	if (syscall(SYS_mkdirat, directory, name, mode) < 0)
		return -1;

	auto_fd made = openat(directory, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	put(made, "tasks", "");
	put(made, "schemata", "");
	check(syscall(SYS_mkdirat, made, "mon_groups", 0755) == 0);
	return 0;
}

int unlinkat(int directory, const char *name, int flags)
{
	if (!(flags & AT_REMOVEDIR) || faccessat(directory, name, F_OK, 0) < 0)
		return (int)syscall(SYS_unlinkat, directory, name, flags);

	auto_fd gone = openat(directory, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	syscall(SYS_unlinkat, gone, "tasks", 0);
	syscall(SYS_unlinkat, gone, "schemata", 0);
	syscall(SYS_unlinkat, gone, "mon_groups", AT_REMOVEDIR);
	return (int)syscall(SYS_unlinkat, directory, name, flags);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(mount_path, sizeof(mount_path), "/tmp/test_rdt.XXXXXX");
	if (!mkdtemp(mount_path))
		return -1;

	auto_fd fd = open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	put(fd, "tasks", "");
	put(fd, "schemata", DEFAULT);
	check(syscall(SYS_mkdirat, fd, "mon_groups", 0755) == 0);
	check(syscall(SYS_mkdirat, fd, "info", 0755) == 0);
	put(fd, "info/last_cmd_status", "Mask out of range\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", mount_path);
	return system(command);
}

static void has(const char *name, const char *wanted)
{
	char text[512];
	auto_fd fd = open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(file_read_small(fd, name, text, sizeof(text)) >= 0);
	if (strcmp(text, wanted) != 0)
		fprintf(stderr, "%s: found \"%s\", wanted \"%s\"\n", name, text, wanted);
	check(strcmp(text, wanted) == 0);
}

static bool exists(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", mount_path, name);
	return access(path, F_OK) == 0;
}

static struct strings lines(struct arena *arena, const char *first, const char *second)
{
	struct strings list = { 0 };

	strings_add(arena, &list, arena_strdup(arena, first));
	if (second)
		strings_add(arena, &list, arena_strdup(arena, second));
	return list;
}

/* A group that somebody else made, with SCHEMATA. */
static void make_shared(const char *schemata)
{
	auto_fd fd = open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(mkdirat(fd, "shared", 0755) == 0);
	put(fd, "shared/schemata", schemata);
}

static void own_body(void)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct rdt_plan plan = { .group = "web", .id = "web", .own = true, .monitoring = true };
	bool made = false;

	plan.schemata = lines(&arena, "L3:0=f;1=f0", NULL);
	check_ok(rdt_join(mount_path, &plan, 4711, &made, &err), &err);
	check(made);
	has("web/schemata", "L3:0=f;1=f0");
	has("web/tasks", "4711");
	has("web/mon_groups/web/tasks", "4711");
	has("schemata", "    MB:0=100;1=100\n    L3:0=fff;1=fff");

	/* The same name again would be another container's. */
	check(rdt_join(mount_path, &plan, 4712, &made, &err) < 0);
	check(err.kind == ERROR_STATE && !made);
	has("web/tasks", "4711");

	check_ok(rdt_remove(mount_path, &plan, &err), &err);
	check(!exists("web"));
	check_ok(rdt_remove(mount_path, &plan, &err), &err);
}

static void test_own_group_is_made_and_removed(void **state)
{
	(void)state;
	in_child(own_body);
}

static void shared_body(void)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct rdt_plan plan = { .group = "shared", .id = "web", .monitoring = true };
	bool made = true;

	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0);
	check(!made && strcmp(err.where, "/linux/intelRdt/closID") == 0);
	check(!exists("shared"));

	make_shared("    MB:0= 50;1=100\n    L3:0=00f;1=fff\n");
	check_ok(rdt_join(mount_path, &plan, 4711, &made, &err), &err);
	check(!made);
	has("shared/tasks", "4711");

	check_ok(rdt_remove(mount_path, &plan, &err), &err);
	check(exists("shared") && !exists("shared/mon_groups/web"));
}

static void test_shared_group_must_exist_and_stays(void **state)
{
	(void)state;
	in_child(shared_body);
}

static void compare_body(void)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct rdt_plan plan = { .group = "shared", .id = "web" };
	bool made;

	make_shared("    MB:0= 50;1=100\n    L3:0=00f;1=fff\n");

	/* Order, blanks, zeros and case do not matter. */
	plan.schemata = lines(&arena, "L3: 1=FFF; 0=f", "MB:0=50;1=100");
	check_ok(rdt_join(mount_path, &plan, 1, &made, &err), &err);
	plan.schemata = lines(&arena, "L3:0=f", NULL);
	check_ok(rdt_join(mount_path, &plan, 2, &made, &err), &err);
	has("shared/tasks", "2");

	plan.schemata = lines(&arena, "MB:0=50;1=100", "L3:0=ff;1=fff");
	check(rdt_join(mount_path, &plan, 3, &made, &err) < 0);
	check(strstr(err.what, "L3:0=ff;1=fff"));
	plan.schemata = lines(&arena, "L2:0=f", NULL);
	check(rdt_join(mount_path, &plan, 3, &made, &err) < 0);
	plan.schemata = lines(&arena, "L3:7=f", NULL);
	check(rdt_join(mount_path, &plan, 3, &made, &err) < 0);
	plan.schemata = lines(&arena, "L3", NULL);
	check(rdt_join(mount_path, &plan, 3, &made, &err) < 0);
	has("shared/tasks", "2");
	has("shared/schemata", "    MB:0= 50;1=100\n    L3:0=00f;1=fff");
}

static void test_existing_schemata_are_compared(void **state)
{
	(void)state;
	in_child(compare_body);
}

static void root_body(void)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct rdt_plan plan = { .group = "/", .id = "web", .monitoring = true };
	bool made;

	check_ok(rdt_join(mount_path, &plan, 4711, &made, &err), &err);
	check(!made);
	has("tasks", "4711");
	has("mon_groups/web/tasks", "4711");
	check_ok(rdt_remove(mount_path, &plan, &err), &err);
	check(!exists("mon_groups/web") && exists("tasks"));

	plan = (struct rdt_plan){ .group = "../etc", .id = "web", .own = true };
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0 && err.kind == ERROR_CONFIG);
	plan.group = "..";
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0 && err.kind == ERROR_CONFIG);
}

static void test_root_group_and_names(void **state)
{
	(void)state;
	in_child(root_body);
}

static void failure_body(void)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct rdt_plan plan = { .group = "shared", .id = "a/b", .monitoring = true };
	bool made;

	plan.schemata = lines(&arena, "L3:0=f", NULL);
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0);
	check(!exists("shared"));

	/* The monitoring group cannot be made: the group that was made for it goes again. */
	plan.id = "web";
	refuse_name = "web";
	refuse_mkdir = ENOSPC;
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0);
	check(strcmp(err.where, "/linux/intelRdt/enableMonitoring") == 0);
	check(!made && !exists("shared"));

	refuse_name = NULL;
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0);
	check(err.errnum == ENOSPC && strstr(err.hint, "class of service"));
	refuse_mkdir = EINVAL;
	check(rdt_join(mount_path, &plan, 1, &made, &err) < 0);
	check(strstr(err.hint, "Mask out of range"));
	check(rdt_join("/nonexistent", &plan, 1, &made, &err) < 0);
	check(strcmp(err.where, "/linux/intelRdt") == 0);
}

static void test_failures_leave_nothing_and_say_why(void **state)
{
	(void)state;
	in_child(failure_body);
}

static void mount_body(void)
{
	static const char table[] =
	    "22 1 0:20 / /sys rw - sysfs sysfs rw\n"
	    "40 22 0:37 / /sys/fs/res\\040ctrl rw,relatime shared:5 - resctrl resctrl rw\n";
	auto_arena arena = { 0 };
	auto_fd fd = open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *found;

	check(syscall(SYS_mkdirat, fd, "self", 0755) == 0);
	put(fd, "self/mountinfo", table);
	found = rdt_mount(&arena, fd);
	check(found && strcmp(found, "/sys/fs/res ctrl") == 0);
	put(fd, "self/mountinfo", "22 1 0:20 / /sys rw - sysfs resctrl rw\n");
	check(rdt_mount(&arena, fd) == NULL);
}

static void test_mount_is_found_by_its_type(void **state)
{
	(void)state;
	in_child(mount_body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own_group_is_made_and_removed),
		TEST(test_shared_group_must_exist_and_stays),
		TEST(test_existing_schemata_are_compared),
		TEST(test_root_group_and_names),
		TEST(test_failures_leave_nothing_and_say_why),
		TEST(test_mount_is_found_by_its_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
