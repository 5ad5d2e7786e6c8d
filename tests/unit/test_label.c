/*
 * Labels are written where they belong and read back.  A directory stands in for /proc where no LSM
 * is there: what is tested then is which file is written, with what, and what is made of the
 * answer.
 */
#include <creel/label.h>

#include "in_child.h"
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LABEL "system_u:system_r:container_t:s0:c5,c1"

static char directory[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test_label.XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct error err = { 0 };
	auto_fd tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	return file_remove_tree(tmp, directory + strlen("/tmp/"), &err);
}

static int fake_procfs(void)
{
	int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	check(fd >= 0);
	check(mkdirat(fd, "self", 0755) == 0 || errno == EEXIST);
	check(mkdirat(fd, "self/attr", 0755) == 0 || errno == EEXIST);
	return fd;
}

static void put(int procfs, const char *name, const char *text)
{
	auto_fd fd = openat(procfs, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void has(int procfs, const char *name, const char *wanted)
{
	char text[256];

	check(procfs_read(procfs, name, text, sizeof(text)) >= 0);
	if (strcmp(text, wanted) != 0)
		fprintf(stderr, "found \"%s\", wanted \"%s\"\n", text, wanted);
	check(strcmp(text, wanted) == 0);
}

static void selinux_body(void)
{
	struct error err = { 0 };
	auto_fd procfs = fake_procfs();

	put(procfs, "self/attr/exec", "");
	put(procfs, "self/attr/keycreate", "");
	check_ok(label_selinux_exec(procfs, LABEL, &err), &err);
	has(procfs, "self/attr/exec", LABEL);
	check_ok(label_selinux_key(procfs, LABEL, &err), &err);
	has(procfs, "self/attr/keycreate", LABEL);

	put(procfs, "self/attr/keycreate", "");
	check_ok(label_selinux_key(procfs, NULL, &err), &err);
	has(procfs, "self/attr/keycreate", "");
}

static void test_selinux_labels_go_to_their_files(void **state)
{
	(void)state;
	in_child(selinux_body);
}

static void changed_body(void)
{
	struct error err = { 0 };
	auto_fd procfs = fake_procfs();

	/* Longer than what is written: the rest makes it another type. */
	put(procfs, "self/attr/exec", "u:r:container_t_and_more");
	check(label_selinux_exec(procfs, "u:r:container_t", &err) < 0);
	check(strstr(err.what, "`/proc/self/attr/exec`"));
	check(strcmp(err.where, "/process/selinuxLabel") == 0);

	/* A level may be shown in another way. */
	put(procfs, "self/attr/exec", "u:r:container_t:s0:c1,c5");
	check_ok(label_selinux_exec(procfs, "u:r:container_t:s0", &err), &err);
}

static void test_selinux_type_must_be_the_one_asked_for(void **state)
{
	(void)state;
	in_child(changed_body);
}

static void apparmor_body(void)
{
	struct error err = { 0 };
	auto_fd procfs = fake_procfs();

	put(procfs, "self/attr/exec", "");
	check(mkdirat(procfs, "self/attr/apparmor", 0755) == 0);
	put(procfs, "self/attr/apparmor/exec", "");

	/* The file shows the command instead of a profile, and that is noticed. */
	check(label_apparmor_exec(procfs, "docker-default", false, &err) < 0);
	check(strstr(err.what, "`/proc/self/attr/apparmor/exec`"));
	check(strcmp(err.where, "/process/apparmorProfile") == 0);
	has(procfs, "self/attr/apparmor/exec", "exec docker-default");
	has(procfs, "self/attr/exec", "");

	put(procfs, "self/attr/apparmor/exec", "");
	check_ok(label_apparmor_exec(procfs, "docker-default", true, &err), &err);
	has(procfs, "self/attr/apparmor/exec", "stack docker-default");

	/* The kernels before 5.8, and those without it. */
	check(unlinkat(procfs, "self/attr/apparmor/exec", 0) == 0);
	check(unlinkat(procfs, "self/attr/apparmor", AT_REMOVEDIR) == 0);
	check_ok(label_apparmor_exec(procfs, "docker-default", true, &err), &err);
	has(procfs, "self/attr/exec", "stack docker-default");
}

static void test_apparmor_prefers_its_own_file(void **state)
{
	(void)state;
	in_child(apparmor_body);
}

static void long_body(void)
{
	struct error err = { 0 };
	char name[5000];
	auto_fd procfs = fake_procfs();

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	check(label_apparmor_exec(procfs, name, false, &err) < 0);
	check(err.kind == ERROR_CONFIG);
}

static void test_too_long_a_profile_is_refused(void **state)
{
	(void)state;
	in_child(long_body);
}

/* On the real /proc, whatever LSM is there: a label that no policy has fails, and the message names
 * the file. */
static void real_body(void)
{
	struct error err = { 0 };
	auto_fd procfs = procfs_open(&err);

	check_ok(procfs, &err);
	check(label_selinux_exec(procfs, "no:such:label_t:s0", &err) < 0);
	check(strstr(err.what, "`/proc/self/attr/exec`"));
	err = (struct error){ 0 };
	check(label_apparmor_exec(procfs, "creel-test-no-such-profile", false, &err) < 0);
	check(strstr(err.what, "/exec`"));
}

static void test_unknown_labels_fail_on_this_kernel(void **state)
{
	(void)state;
	in_child(real_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_selinux_labels_go_to_their_files, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_selinux_type_must_be_the_one_asked_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_apparmor_prefers_its_own_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_too_long_a_profile_is_refused, set_up,
						tear_down),
		cmocka_unit_test(test_unknown_labels_fail_on_this_kernel),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
