/* Namespaces: opened with their kind checked, joined around a user namespace, and failures that say
 * why. */
#include "mount_world.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <creel/namespace.h>
#include <creel/procfs.h>

static struct error err;

static void test_the_table(void **state)
{
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < NAMESPACE_COUNT; i++) {
		char path[64];
		auto_fd fd = -1;

		all |= namespace_rows[i].flag;
		assert_ptr_equal(namespace_of(namespace_rows[i].flag), &namespace_rows[i]);
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespace_rows[i].link);
		must_work(fd = namespace_open(path, namespace_rows[i].flag, &err));
	}
	assert_int_equal(__builtin_popcountll(all), NAMESPACE_COUNT);
}

static void test_open_checks_the_kind(void **state)
{
	(void)state;
	assert_int_equal(namespace_open("/proc/self/ns/net", CLONE_NEWUTS, &err), -1);
	assert_int_equal(err.kind, ERROR_CONFIG);
	assert_string_equal(err.what,
			    "/proc/self/ns/net is a network namespace, not a uts namespace");

	auto_fd procfs = procfs_open(&err);
	auto_fd own = namespace_open_own(procfs, CLONE_NEWNET, &err);
	auto_fd named = namespace_open("/proc/self/ns/net", CLONE_NEWNET, &err);
	struct stat a, b;

	assert_true(own >= 0 && named >= 0 && fstat(own, &a) == 0 && fstat(named, &b) == 0);
	assert_true(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
	must_fail(namespace_open_own(-1, CLONE_NEWNET, &err), EBADF);
	assert_int_equal(namespace_open("/etc/passwd", CLONE_NEWUTS, &err), -1);
	assert_int_equal(err.kind, ERROR_CONFIG);
	must_fail(namespace_open("/nowhere", CLONE_NEWNS, &err), ENOENT);
}

/* A process in new namespaces FLAGS, owned by uid 1000 if USER; it waits to be killed. */
static pid_t start_other(int flags, bool user)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		return -1;

	pid_t pid = fork();

	if (pid != 0) {
		close(ends[1]);
		byte = (char)(read(ends[0], &byte, 1) == 1);
		close(ends[0]);
		return byte ? pid : -1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (user && (setgroups(0, NULL) < 0 || setresgid(1000, 1000, 1000) < 0 ||
		     setresuid(1000, 1000, 1000) < 0))
		_exit(1);
	if (unshare(flags) < 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
	if (write(ends[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void stop_other(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static ino_t inode_of(const char *pid, const char *link)
{
	char path[64];
	struct stat status;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, link);
	return stat(path, &status) < 0 ? 0 : status.st_ino;
}

static bool joins(pid_t other, const uint64_t *flags, size_t n)
{
	int fds[8];
	ino_t wanted[8];
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", other);
	for (size_t i = 0; i < n; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/ns/%s", other, namespace_of(flags[i])->link);
		fds[i] = namespace_open(path, flags[i], &err);
		expect(fds[i] >= 0);
		wanted[i] = inode_of(pid, namespace_of(flags[i])->link);
	}
	expect(namespace_join(fds, flags, n, &err) == 0);
	for (size_t i = 0; i < n; i++)
		expect(inode_of("self", namespace_of(flags[i])->link) == wanted[i]);
	return true;
}

static bool joins_as_root(void)
{
	const uint64_t flags[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET, CLONE_NEWIPC,
				   CLONE_NEWCGROUP };
	pid_t other = start_other(
	    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWCGROUP, false);

	expect(other > 0);

	bool good = joins(other, flags, 5);

	stop_other(other);
	return good;
}

/* Only the user namespace gives the right to join the others: the second pass. */
static bool joins_as_user(void)
{
	const uint64_t flags[] = { CLONE_NEWUTS, CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWIPC };
	pid_t other = start_other(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS, true);

	expect(other > 0);
	expect(setgroups(0, NULL) == 0 && setresgid(1000, 1000, 1000) == 0);
	expect(setresuid(1000, 1000, 1000) == 0);
	prctl(PR_SET_DUMPABLE, 1);

	bool good = joins(other, flags, 4);

	kill(other, SIGKILL);
	return good;
}

static bool cannot_join_without_rights(void)
{
	const uint64_t flag = CLONE_NEWUTS;
	int fd = namespace_open("/proc/self/ns/uts", flag, &err);

	expect(fd >= 0 && setresuid(1000, 1000, 1000) == 0);
	expect(namespace_join(&fd, &flag, 1, &err) == -1 && err.errnum == EPERM);
	expect(strcmp(err.what, "cannot join the uts namespace") == 0);
	expect(strstr(err.hint, "CAP_SYS_ADMIN") != NULL);
	return true;
}

static bool joins_by_pidfd(void)
{
	pid_t other = start_other(CLONE_NEWUTS | CLONE_NEWNET, false);
	int pidfd = (int)syscall(SYS_pidfd_open, other, 0);
	char pid[16];

	expect(other > 0 && pidfd >= 0);
	snprintf(pid, sizeof(pid), "%d", other);
	expect(namespace_join_process(pidfd, CLONE_NEWUTS | CLONE_NEWNET, &err) == 0);
	expect(inode_of("self", "uts") == inode_of(pid, "uts"));
	stop_other(other);
	expect(namespace_join_process(pidfd, CLONE_NEWUTS, &err) == -1 && err.errnum == ESRCH);
	return true;
}

static void test_joining(void **state)
{
	(void)state;
	in_child(joins_as_root);
	in_child(joins_as_user);
	in_child(cannot_join_without_rights);
	in_child(joins_by_pidfd);
}

/* The limits are those of a user namespace of our own: the host's stay as they are. */
static bool names_the_limit(void)
{
	auto_fd procfs = procfs_open(&err);

	expect(procfs >= 0 && unshare(CLONE_NEWUSER) == 0);
	expect(procfs_write(procfs, "self/uid_map", "0 0 1", &err) == 0);
	expect(procfs_write(procfs, "sys/user/max_uts_namespaces", "0", &err) == 0);
	expect(namespace_unshare(CLONE_NEWUTS | CLONE_NEWIPC, &err) == -1 && err.errnum == ENOSPC);
	expect(strcmp(err.what, "cannot make a new uts namespace, user.max_uts_namespaces is 0") ==
	       0);
	expect(err.code == CRL_NAMESPACE_LIMIT);
	expect(namespace_find_refused(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) == CLONE_NEWUTS);
	expect(namespace_find_refused(CLONE_NEWIPC | CLONE_NEWNET) == 0);
	return true;
}

static bool names_the_right(void)
{
	expect(setresuid(1000, 1000, 1000) == 0);
	expect(namespace_unshare(CLONE_NEWNET, &err) == -1 && err.errnum == EPERM);
	expect(strstr(err.what, "network") != NULL && strstr(err.hint, "CAP_SYS_ADMIN") != NULL);
	/* As a user namespace in a chroot would fail. */
	expect(namespace_explain(CLONE_NEWUSER, EPERM, &err) == -1);
	expect(strstr(err.hint, "user.max_user_namespaces is ") != NULL);
	return true;
}

static bool sets_time_offsets(void)
{
	auto_fd procfs = procfs_open(&err);
	char text[256];

	expect(procfs >= 0 && namespace_unshare(CLONE_NEWTIME, &err) == 0);
	expect(namespace_set_time_offsets(procfs, "boottime 86400 0\nmonotonic 5 7\n", &err) == 0);
	expect(procfs_read(procfs, "self/timens_offsets", text, sizeof(text)) > 0);
	expect(strstr(text, "86400") != NULL);
	expect(namespace_set_time_offsets(procfs, "boottime -999999999 0\n", &err) == -1);
	expect(err.errnum == ERANGE && strstr(err.hint, "negative") != NULL);
	return true;
}

/*
 * A sysctl that this kernel need not have: another file of the real /proc takes its place, since
 * nothing else is believed.  Those of a user namespace of our own hold what is written to them.
 */
static bool fake_sysctl(int procfs, const char *name, const char *value)
{
	const char *real =
	    value[0] == '0' ? "sys/user/max_uts_namespaces" : "sys/user/max_ipc_namespaces";
	char from[64], to[96];

	snprintf(from, sizeof(from), "/proc/%s", real);
	snprintf(to, sizeof(to), "/mnt/root/sys/kernel/%s", name);

	auto_fd file = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return file >= 0 && procfs_write(procfs, real, value, &err) == 0 &&
	       mount(from, to, NULL, MS_BIND, NULL) == 0;
}

static bool hint_is(void (*hint)(int, struct error *), int procfs, const char *wanted)
{
	err = (struct error){ 0 };
	hint(procfs, &err);
	if (strncmp(err.hint, wanted, strlen(wanted)) == 0 && (wanted[0] || !err.hint[0]))
		return true;
	fprintf(stderr, "hint: %s\n", err.hint);
	return false;
}

/* As Ubuntu's kernel and Debian's have them. */
static bool names_the_sysctls(void)
{
	auto_fd procfs = procfs_open(&err);

	expect(procfs >= 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	expect(procfs_write(procfs, "self/uid_map", "0 0 1", &err) == 0 &&
	       procfs_write(procfs, "self/setgroups", "deny", &err) == 0 &&
	       procfs_write(procfs, "self/gid_map", "0 0 1", &err) == 0);
	expect(mount("fake", "/mnt", "tmpfs", 0, "mode=755") == 0);
	expect(mkdir("/mnt/root", 0755) == 0 && mkdir("/mnt/root/sys", 0755) == 0 &&
	       mkdir("/mnt/root/sys/kernel", 0755) == 0);

	auto_fd fake = open("/mnt/root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	expect(hint_is(namespace_hint_forbidden, fake, "in a chroot it is never allowed"));
	expect(hint_is(namespace_hint_restricted, fake, ""));
	expect(fake_sysctl(procfs, "unprivileged_userns_clone", "0"));
	expect(hint_is(namespace_hint_forbidden, fake, "kernel.unprivileged_userns_clone is 0; "));
	expect(fake_sysctl(procfs, "apparmor_restrict_unprivileged_userns", "1"));
	expect(hint_is(namespace_hint_forbidden, fake,
		       "kernel.apparmor_restrict_unprivileged_userns is 1, "
		       "kernel.unprivileged_userns_clone is 0; "));
	expect(hint_is(namespace_hint_restricted, fake,
		       "kernel.apparmor_restrict_unprivileged_userns is 1: an ordinary user"));
	expect(strstr(err.hint, "share/apparmor/creel") != NULL);
	/* Switched off. */
	expect(procfs_write(procfs, "sys/user/max_ipc_namespaces", "0", &err) == 0);
	expect(hint_is(namespace_hint_restricted, fake, ""));
	/* Anybody can put a file of another filesystem there. */
	auto_fd foreign = open("/mnt/foreign", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	expect(foreign >= 0 && write(foreign, "0\n", 2) == 2 &&
	       mount("/mnt/foreign", "/mnt/root/sys/kernel/unprivileged_userns_clone", NULL,
		     MS_BIND, NULL) == 0);
	expect(hint_is(namespace_hint_forbidden, fake,
		       "kernel.apparmor_restrict_unprivileged_userns is 0; "));
	return true;
}

static void test_making(void **state)
{
	(void)state;
	in_child(names_the_limit);
	in_child(names_the_right);
	in_child(names_the_sysctls);
	in_child(sets_time_offsets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_table),
		cmocka_unit_test(test_open_checks_the_kind),
		cmocka_unit_test(test_joining),
		cmocka_unit_test(test_making),
	};

	world_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
