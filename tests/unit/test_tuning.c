/* Each setting is in force afterwards, and each refusal says why. */
#include <creel/tuning.h>

#include "in_child.h"
#include <creel/fd.h>
#include <creel/procfs.h>
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void rlimit_body(void)
{
	struct tuning_rlimit limit = {
		.type = RLIMIT_NOFILE, .soft = 100, .hard = 200, .where = "/process/rlimits/0"
	};
	struct rlimit now;
	struct error err = { 0 };

	check_ok(tuning_set_rlimit(0, &limit, &err), &err);
	check(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 100 && now.rlim_max == 200);

	check(setuid(1000) == 0);
	limit.hard = 300;
	check(tuning_set_rlimit(0, &limit, &err) < 0);
	check(err.errnum == EPERM && strcmp(err.where, "/process/rlimits/0") == 0);
	check(strstr(err.what, "RLIMIT_NOFILE") && strstr(err.what, "300"));
	check(strstr(err.what, "the hard limit of the caller is 200"));
	check(strstr(err.hint, "CAP_SYS_RESOURCE") && err.code == CRL_RLIMIT_HARD);

	limit = (struct tuning_rlimit){ .type = RLIMIT_CORE, .soft = 1, .hard = 0 };
	check(tuning_set_rlimit(0, &limit, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.what, "the soft limit must not be above"));
	check(err.code == CRL_RLIMIT);
}

static void test_rlimits(void **state)
{
	(void)state;
	in_child(rlimit_body);
}

static void unlimited_body(void)
{
	struct tuning_rlimit limit = { .type = RLIMIT_CORE, .soft = 0, .hard = 0 };
	struct error err = { 0 };

	check_ok(tuning_set_rlimit(0, &limit, &err), &err);
	check(setuid(1000) == 0);
	limit.soft = limit.hard = UINT64_MAX;
	check(tuning_set_rlimit(0, &limit, &err) < 0);
	check(strstr(err.what, "unlimited"));
}

static void test_no_limit_is_called_unlimited(void **state)
{
	(void)state;
	in_child(unlimited_body);
}

static void oom_body(void)
{
	struct error err = { 0 };
	auto_fd procfs = procfs_open(&err);
	char text[16];

	check_ok(procfs, &err);
	check_ok(tuning_set_oom_score(procfs, 700, &err), &err);
	check(procfs_read(procfs, "self/oom_score_adj", text, sizeof(text)) == 3);
	check(strcmp(text, "700") == 0);
	check(tuning_set_oom_score(procfs, 1001, &err) < 0 && err.errnum == EINVAL);
	check(strcmp(err.where, "/process/oomScoreAdj") == 0);

	/* In a process that is still dumpable, so that the file stays its own. */
	check(setuid(1000) == 0);
	err = (struct error){ 0 };
	check(tuning_set_oom_score(procfs, -1000, &err) < 0);
	check(err.errnum == EACCES || err.errnum == EPERM);
	check(strstr(err.hint, "CAP_SYS_RESOURCE"));
}

static void test_oom_score(void **state)
{
	(void)state;
	in_child(oom_body);
}

static void scheduler_body(void)
{
	struct tuning_scheduler scheduler = { .policy = SCHED_BATCH, .nice = 5 };
	struct sched_attr attr = { 0 };
	struct error err = { 0 };

	check_ok(tuning_set_scheduler(0, &scheduler, &err), &err);
	check(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0);
	check(attr.sched_policy == SCHED_BATCH && attr.sched_nice == 5);

	scheduler = (struct tuning_scheduler){ .policy = SCHED_FIFO, .priority = 200 };
	check(tuning_set_scheduler(0, &scheduler, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.hint, "1 to 99"));
	check(strcmp(err.where, "/process/scheduler") == 0);

	scheduler = (struct tuning_scheduler){
		.policy = SCHED_DEADLINE, .runtime = 2000000, .deadline = 1000000, .period = 1000000
	};
	check(tuning_set_scheduler(0, &scheduler, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.hint, "runtime <= deadline"));

	check(setuid(1000) == 0);
	scheduler = (struct tuning_scheduler){ .policy = SCHED_FIFO, .priority = 1 };
	check(tuning_set_scheduler(0, &scheduler, &err) < 0);
	check(err.errnum == EPERM && strstr(err.hint, "CAP_SYS_NICE"));
}

static void test_scheduler(void **state)
{
	(void)state;
	in_child(scheduler_body);
}

static void io_priority_body(void)
{
	struct error err = { 0 };

	check(setsid() > 0);
	check_ok(tuning_set_io_priority(2, 6, &err), &err);
	check(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
	check(tuning_set_io_priority(7, 0, &err) < 0 && err.errnum == EINVAL);
	check(setuid(1000) == 0);
	check(tuning_set_io_priority(1, 0, &err) < 0 && err.errnum == EPERM);
	check(strstr(err.hint, "IOPRIO_CLASS_RT"));
}

static void test_io_priority(void **state)
{
	(void)state;
	in_child(io_priority_body);
}

static void affinity_body(void)
{
	unsigned long before[TUNING_CPUS_MAX / (8 * sizeof(unsigned long))] = { 0 };
	unsigned long now[TUNING_CPUS_MAX / (8 * sizeof(unsigned long))] = { 0 };
	struct tuning_cpus cpus = { { 0 } };
	struct error err = { 0 };

	check_ok(tuning_reset_affinity(&err), &err);
	check(syscall(SYS_sched_getaffinity, 0, sizeof(before), before) > 0);
	cpus.bits[0] = before[0] & -before[0]; /* the lowest one */
	check(cpus.bits[0]);
	check_ok(tuning_set_affinity(&cpus, &err), &err);
	check(syscall(SYS_sched_getaffinity, 0, sizeof(now), now) > 0);
	check(now[0] == cpus.bits[0]);
	check_ok(tuning_reset_affinity(&err), &err);
	check(syscall(SYS_sched_getaffinity, 0, sizeof(now), now) > 0);
	check(memcmp(now, before, sizeof(now)) == 0);

	memset(&cpus, 0, sizeof(cpus));
	check(tuning_set_affinity(&cpus, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.hint, "cpuset"));
}

static void test_affinity(void **state)
{
	(void)state;
	in_child(affinity_body);
}

static void memory_policy_body(void)
{
	struct tuning_memory_policy policy = { .mode = MPOL_BIND, .nodes = { 1 } };
	unsigned long nodes[16] = { 0 };
	struct error err = { 0 };
	int mode;

	if (tuning_set_memory_policy(&policy, &err) < 0 && err.kind == ERROR_UNSUPPORTED)
		SKIP_BODY("needs CONFIG_NUMA");
	check(syscall(SYS_get_mempolicy, &mode, nodes, sizeof(nodes) * 8, NULL, 0) == 0);
	check(mode == MPOL_BIND && nodes[0] == 1);

	policy = (struct tuning_memory_policy){ .mode = MPOL_DEFAULT };
	check_ok(tuning_set_memory_policy(&policy, &err), &err);
	check(syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 && mode == MPOL_DEFAULT);

	/* The last bit of the mask counts, whatever set_mempolicy(2) says of its length. */
	policy = (struct tuning_memory_policy){ .mode = MPOL_BIND };
	policy.nodes[15] = 1ul << 63;
	check(tuning_set_memory_policy(&policy, &err) < 0);
	check(err.errnum == EINVAL && strstr(err.hint, "online"));
	check(strcmp(err.where, "/linux/memoryPolicy") == 0);
}

static void test_memory_policy(void **state)
{
	(void)state;
	in_child(memory_policy_body);
}

static void personality_body(void)
{
	struct error err = { 0 };

	check_ok(tuning_set_personality(PER_LINUX | ADDR_NO_RANDOMIZE, &err), &err);
	check(personality(0xffffffff) == (PER_LINUX | ADDR_NO_RANDOMIZE));
}

static void test_personality(void **state)
{
	(void)state;
	in_child(personality_body);
}

static long session_keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

static void keyring_body(void)
{
	struct error err = { 0 };
	char name[64];
	char text[256] = "";
	long before = session_keyring();
	long first;
	pid_t holder;

	if (before < 0 && errno == ENOSYS)
		SKIP_BODY("needs CONFIG_KEYS");
	snprintf(name, sizeof(name), "_ses.creel-test-%d", (int)getpid());
	check_ok(tuning_new_session_keyring(name, &err), &err);
	first = session_keyring();
	check(first > 0 && first != before);
	check(syscall(SYS_keyctl, KEYCTL_DESCRIBE, first, text, sizeof(text)) > 0);
	check(strstr(text, name));
	check(strstr(text, ";3f1b0000;")); /* the owner: view, read, search, link */

	/* What exec does: the keyring of a living container is found again by its name. */
	holder = fork();
	check(holder >= 0);
	if (holder == 0) {
		pause();
		_exit(0);
	}
	check(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) > 0);
	check(session_keyring() != first);
	check_ok(tuning_new_session_keyring(name, &err), &err);
	kill(holder, SIGKILL);
	check(waitpid(holder, NULL, 0) == holder);
	check(session_keyring() == first);
}

static void test_session_keyring_is_new_and_found_again(void **state)
{
	(void)state;
	in_child(keyring_body);
}

static void quota_body(void)
{
	struct warnings warnings = { "" };
	struct error err = { 0 };
	char name[32];
	int made = 0;

	collect_warnings(&warnings);
	check(setresuid(54321, 54321, 54321) == 0);
	for (; made < 5000; made++) {
		snprintf(name, sizeof(name), "creel:%d", made);
		if (syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0)
			break;
	}
	if (errno == ENOSYS)
		SKIP_BODY("needs CONFIG_KEYS");
	check(errno == EDQUOT);
	check_ok(tuning_new_session_keyring("_ses.creel-test-quota", &err), &err);
	check(strstr(warnings.text, "54321"));
	check(strstr(warnings.text, "kernel.keys.maxkeys"));
	check(strstr(warnings.text, " keys)"));
}

static void test_used_up_key_quota_is_a_warning(void **state)
{
	(void)state;
	in_child(quota_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_no_limit_is_called_unlimited),
		cmocka_unit_test(test_oom_score),
		cmocka_unit_test(test_scheduler),
		cmocka_unit_test(test_io_priority),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_memory_policy),
		cmocka_unit_test(test_personality),
		cmocka_unit_test(test_session_keyring_is_new_and_found_again),
		cmocka_unit_test(test_used_up_key_quota_is_a_warning),
	};

	if (needs_root())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
