/*
 * No container can write the binary: a copy of this program runs itself, and is then attacked as
 * CVE-2019-5736 did it, by a descriptor of its /proc/PID/exe that outlives it.
 */
#include <creel/sealed.h>

#include "in_child.h"
#include <creel/fd.h>
#include <creel/procfs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static char directory[64];
static char program[96];

/* A victim: the copy of this program, waiting for its standard input to end. */
struct victim {
	pid_t pid;
	int input;
	int output;
	char report[256]; /* what it says of itself */
};

/* What the copy does: it says "ready ARGV[2] COMM VARIABLE" and waits. */
static int be_the_victim(char **argv)
{
	struct error err = { 0 };
	char name[17] = "";
	char end;
	auto_fd clone = -1;
	auto_fd procfs = procfs_open(&err);

	if (strcmp(argv[1], "sealed") == 0 &&
	    (procfs < 0 || sealed_ensure(procfs, argv, &clone, &err) < 0)) {
		printf("failed: %s: %s\n", err.what, strerror(err.errnum));
		return 1;
	}
	prctl(PR_GET_NAME, name);
	printf("ready %s %s %s\n", argv[2], name, getenv("CREEL_TEST_VARIABLE"));
	fflush(stdout);
	return read(0, &end, 1) == 0 ? 0 : 1;
}

static void start(struct victim *victim, const char *mode, uid_t uid)
{
	int input[2];
	int output[2];
	ssize_t n;

	check(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0);
	victim->pid = fork();
	check(victim->pid >= 0);
	if (victim->pid == 0) {
		char *argv[] = { (char *)"creel", (char *)mode, (char *)"argument", NULL };
		char *env[] = { (char *)"CREEL_TEST_VARIABLE=kept", NULL };

		if (dup2(input[0], 0) < 0 || dup2(output[1], 1) < 0 || (uid && setuid(uid) < 0))
			_exit(1);
		execve(program, argv, env);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	victim->input = input[1];
	victim->output = output[0];
	n = read(victim->output, victim->report, sizeof(victim->report) - 1);
	check(n > 0);
	victim->report[n] = '\0';
}

/* Its program file, by a descriptor that stays when it is gone. */
static int exe_of(const struct victim *victim)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)victim->pid);
	fd = open(path, O_PATH | O_CLOEXEC);
	check(fd >= 0);
	return fd;
}

static void target_of(const struct victim *victim, char *text, size_t size)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)victim->pid);
	n = readlink(path, text, size - 1);
	check(n >= 0);
	text[n] = '\0';
}

static void finish(struct victim *victim)
{
	int status;

	close(victim->input);
	check(waitpid(victim->pid, &status, 0) == victim->pid);
	check(status == 0);
	close(victim->output);
}

static off_t size_of_program(void)
{
	struct stat status;

	check(stat(program, &status) == 0);
	return status.st_size;
}

/*
 * Tries all that changes a file, as root with every capability: clearing the mount's read-only
 * flag, writing, truncating, changing the mode.  Returns whether anything of it succeeded.
 */
static bool attack(int exe)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };
	bool hurt = false;
	char path[64];

	hurt |= mount_setattr(exe, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;

	auto_fd clone = open_tree(exe, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", clone >= 0 ? clone : exe);
	hurt |= clone >= 0 && mount_setattr(clone, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;

	auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);

	hurt |= fd >= 0 && pwrite(fd, "X", 1, 0) == 1;
	hurt |= fd >= 0 && ftruncate(fd, 1) == 0;
	hurt |= truncate(path, 2) == 0;
	return hurt;
}

/* Without protection the attack works, so that the other tests mean something. */
static void unprotected_body(void)
{
	struct victim victim;
	off_t size = size_of_program();
	int exe;

	start(&victim, "bare", 0);
	check(strncmp(victim.report, "ready", 5) == 0);
	exe = exe_of(&victim);
	finish(&victim);
	check(attack(exe));
	check(size_of_program() < size);
}

static void test_unprotected_program_can_be_overwritten(void **state)
{
	(void)state;
	in_child(unprotected_body);
}

static void clone_body(void)
{
	struct victim victim;
	off_t size = size_of_program();
	char target[256];
	int exe;

	start(&victim, "sealed", 0);
	/* argv and the environment are kept, and it is called by its name. */
	check(strcmp(victim.report, "ready argument creel kept\n") == 0);
	target_of(&victim, target, sizeof(target));
	check(!strstr(target, "memfd"));
	check(strcmp(target, program) != 0);
	exe = exe_of(&victim);
	finish(&victim);
	check(!attack(exe));
	check(size_of_program() == size);
}

static void test_clone_cannot_be_written(void **state)
{
	(void)state;
	in_child(clone_body);
}

/* While it runs, nobody holds a descriptor of the clone, which could make it writable. */
static void descriptors_body(void)
{
	struct victim victim;
	char path[64];
	DIR *list;

	start(&victim, "sealed", 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)victim.pid);
	list = opendir(path);
	check(list);
	for (struct dirent *entry; (entry = readdir(list));) {
		char link[128] = "";

		if (entry->d_name[0] == '.')
			continue;
		check(readlinkat(dirfd(list), entry->d_name, link, sizeof(link) - 1) > 0);
		check(!strstr(link, "test_sealed") && !strstr(link, "memfd"));
	}
	closedir(list);
	finish(&victim);
}

static void test_nobody_holds_the_clone(void **state)
{
	(void)state;
	in_child(descriptors_body);
}

static void memfd_body(void)
{
	struct victim victim;
	off_t size = size_of_program();
	char target[256];
	int exe;

	start(&victim, "sealed", 1000);
	check(strcmp(victim.report, "ready argument creel kept\n") == 0);
	target_of(&victim, target, sizeof(target));
	check(strstr(target, "memfd:creel"));
	exe = exe_of(&victim);
	finish(&victim);
	check(!attack(exe));
	check(size_of_program() == size);
}

static void test_unprivileged_runs_from_a_sealed_copy(void **state)
{
	(void)state;
	in_child(memfd_body);
}

static void read_only_body(void)
{
	struct victim victim;
	off_t size = size_of_program();
	char target[256];
	int exe;

	if (unshare(CLONE_NEWNS) < 0)
		SKIP_BODY("no mount namespaces here");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	check(mount(directory, directory, NULL, MS_BIND, NULL) == 0);
	check(mount(NULL, directory, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	start(&victim, "sealed", 0);
	target_of(&victim, target, sizeof(target));
	check(strcmp(target, program) == 0);
	exe = exe_of(&victim);
	finish(&victim);

	/* A container with all capabilities has a mount namespace of its own, where this mount is
	 * not. */
	check(unshare(CLONE_NEWNS) == 0);
	check(!attack(exe));
	check(size_of_program() == size);
}

static void test_read_only_mount_needs_nothing(void **state)
{
	(void)state;
	in_child(read_only_body);
}

/* A mount over /proc/self/exe would show us another file than the one we run from. */
static void covered_body(void)
{
	struct error err = { 0 };
	char *argv[] = { (char *)"creel", NULL };
	char path[64];
	int clone = 0;
	auto_fd procfs = procfs_open(&err);

	check_ok(procfs, &err);
	if (unshare(CLONE_NEWNS) < 0)
		SKIP_BODY("no mount namespaces here");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	close(procfs);
	procfs = procfs_open(&err);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)getpid());
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		SKIP_BODY("this kernel refuses mounts over /proc/PID/exe");
	check(sealed_ensure(procfs, argv, &clone, &err) < 0 && clone == -1);
}

static void test_covered_exe_is_an_error(void **state)
{
	(void)state;
	in_child(covered_body);
}

static int set_up(void **state)
{
	auto_fd from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat status;
	int to;

	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test_sealed.XXXXXX");
	if (!mkdtemp(directory) || chmod(directory, 0755) < 0)
		return -1;
	snprintf(program, sizeof(program), "%s/creel", directory);
	to = open(program, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
	if (to < 0 || fstat(from, &status) < 0 ||
	    sendfile(to, from, NULL, (size_t)status.st_size) != status.st_size)
		return -1;
	fchmod(to, 0755);
	return close(to);
}

static int tear_down(void **state)
{
	(void)state;
	unlink(program);
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unprotected_program_can_be_overwritten),
		TEST(test_clone_cannot_be_written),
		TEST(test_nobody_holds_the_clone),
		TEST(test_unprivileged_runs_from_a_sealed_copy),
		TEST(test_read_only_mount_needs_nothing),
		TEST(test_covered_exe_is_an_error),
	};

	if (argc > 2)
		return be_the_victim(argv);
	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
