/* Hooks: exactly their environment and input, an end to every wait, and errors that name the
 * culprit. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <creel/arena.h>
#include <creel/error.h>
#include <creel/hooks.h>

static char directory[] = "/tmp/creel-hooks-XXXXXX";

/* A hook that is a line of shell; it writes to files in its working directory. */
struct hooks {
	struct oci_hook hook;
	struct oci_hook_list list;
	char *args[4];
	char *env[4];
	struct hook_run run;
	struct arena arena;
};

static void script(struct hooks *hooks, const char *line)
{
	*hooks = (struct hooks){ .args = { (char *)"sh", (char *)"-c", (char *)line, NULL } };
	hooks->hook = (struct oci_hook){
		.path = (char *)"/bin/sh",
		.args = { .items = hooks->args, .n = 3 },
	};
	hooks->list = (struct oci_hook_list){ .items = &hooks->hook, .n = 1 };
	hooks->run = (struct hook_run){
		.kind = OCI_HOOK_CREATE_RUNTIME,
		.list = &hooks->list,
		.state = "{\"id\":\"web\"}",
		.directory = directory,
		.timeout_ms = -1,
	};
}

static int run(struct hooks *hooks, struct error *err)
{
	int result = hooks_run(&hooks->arena, &hooks->run, err);

	arena_free(&hooks->arena);
	return result;
}

static const char *written(const char *name)
{
	static char text[4096];
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? NULL : text;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_state_is_standard_input(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;

	(void)state;
	script(&hooks, "/bin/cat > input");
	check_int(run(&hooks, &err), 0);
	check_text(written("input"), "{\"id\":\"web\"}");
}

/* A hook need not read what it is given, however large that is. */
static void test_input_need_not_be_read(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	size_t size = (size_t)1 << 20;
	char *large = malloc(size + 1);

	(void)state;
	memset(large, 'x', size);
	large[size] = '\0';
	script(&hooks, "exit 0");
	hooks.run.state = large;
	check_int(run(&hooks, &err), 0);
	free(large);
}

static void test_environment_is_exactly_the_documents(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;

	(void)state;
	setenv("SECRET_OF_THE_ENGINE", "1", 1);
	script(&hooks, "/bin/cat /proc/self/environ | /usr/bin/tr '\\0' ';' > environment");
	hooks.env[0] = (char *)"A=1";
	hooks.env[1] = (char *)"B=two words";
	hooks.hook.env = (struct strings){ .items = hooks.env, .n = 2 };
	check_int(run(&hooks, &err), 0);
	check_has(written("environment"), "A=1;");
	check_has(written("environment"), "B=two words;");
	check_has_not(written("environment"), "SECRET");
	check_has_not(written("environment"), "HOME");
}

static void test_only_the_standard_descriptors_are_open(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	int leaked = fcntl(0, F_DUPFD, 50); /* not close-on-exec */

	(void)state;
	/* 3 is what the listing itself opens. */
	script(&hooks, "echo $(/bin/ls /proc/self/fd) > descriptors");
	check_int(run(&hooks, &err), 0);
	check_text(written("descriptors"), "0 1 2 3\n");
	close(leaked);
}

static void test_signals_are_reset(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	sigset_t all, old;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	script(&hooks, "/bin/grep -E 'Sig(Blk|Ign)' /proc/self/status > signals");
	check_int(run(&hooks, &err), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	check_text(written("signals"), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void test_a_failure_names_hook_and_output(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;

	(void)state;
	script(&hooks, "echo no such network >&2; exit 3");
	check_int(run(&hooks, &err), -1);
	check_has(err.what, "createRuntime");
	check_has(err.what, "#0");
	check_has(err.what, "/bin/sh");
	check_has(err.what, "exit status 3 after ");
	check_has(err.what, " ms, output: no such network");
	check_int(err.code, CRL_HOOK_FAILED);
	check_text(err.where, "/hooks/createRuntime/0");

	script(&hooks, "kill -SEGV $$");
	check_int(run(&hooks, &err), -1);
	check_has(err.what, "SIGSEGV");
	check_int(err.code, CRL_HOOK_FAILED);

	/* A hook that is there and says 127 itself has failed, and is not missing. */
	script(&hooks, "exit 127");
	check_int(run(&hooks, &err), -1);
	check_int(err.code, CRL_HOOK_FAILED);

	script(&hooks, "");
	hooks.hook.path = (char *)"/nonexistent/hook";
	check_int(run(&hooks, &err), -1);
	check_has(err.what, "cannot execute `/nonexistent/hook`");
	check_int(err.errnum, ENOENT);
	check_int(err.code, CRL_HOOK_MISSING);
	check_text(err.where, "/hooks/createRuntime/0/path");
}

static void test_the_first_failure_ends_the_list(void **state)
{
	struct oci_hook list[2];
	struct error err = { 0 };
	struct hooks hooks, second;

	(void)state;
	script(&hooks, "exit 1");
	script(&second, "echo > second");
	list[0] = hooks.hook;
	list[1] = second.hook;
	hooks.list = (struct oci_hook_list){ .items = list, .n = 2 };
	check_int(run(&hooks, &err), -1);
	check(written("second") == NULL);
}

/* Its children are in its group and die with it. */
static void test_the_timeout_kills_the_group(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	long start = now_ms();
	pid_t child;

	(void)state;
	script(&hooks, "/bin/sleep 60 & echo $! > child; wait");
	hooks.hook.timeout = (struct optional){ .set = true, .value = 3 };
	check_int(run(&hooks, &err), -1);
	check(now_ms() - start < 50000);
	check_has(err.what, "timeout of 3 s");
	child = (pid_t)atoi(written("child"));
	check(child > 1);
	for (int i = 0; i < 3000 && kill(child, 0) == 0; i++) {
		char path[64], name[64] = "";
		FILE *file;

		/* A zombie whose new parent has not looked yet is dead, too. */
		snprintf(path, sizeof(path), "/proc/%d/stat", child);
		file = fopen(path, "re");
		if (!file || fscanf(file, "%*d %*s %60s", name) != 1 || name[0] == 'Z')
			i = 3000;
		if (file)
			fclose(file);
		if (i < 3000)
			usleep(10000);
		else
			return;
	}
	check(kill(child, 0) < 0 && errno == ESRCH);
}

/* A daemon that keeps the output open must not keep us. */
static void test_a_daemon_does_not_keep_us(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	long start = now_ms();

	(void)state;
	script(&hooks, "/bin/sleep 60 & echo $! > daemon");
	check_int(run(&hooks, &err), 0);
	check(now_ms() - start < 50000);
	kill((pid_t)atoi(written("daemon")), SIGKILL);
}

static void test_endless_output_is_cut(void **state)
{
	struct error err = { 0 };
	struct hooks hooks;
	long start = now_ms();

	(void)state;
	script(&hooks, "while :; do echo abcdefghijklmnopqrstuvwxyz || exit 9; done");
	check_int(run(&hooks, &err), -1);
	check(now_ms() - start < 200000);
	check(strlen(err.what) < sizeof(err.what));
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_is_standard_input),
		cmocka_unit_test(test_input_need_not_be_read),
		cmocka_unit_test(test_environment_is_exactly_the_documents),
		cmocka_unit_test(test_only_the_standard_descriptors_are_open),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_a_failure_names_hook_and_output),
		cmocka_unit_test(test_the_first_failure_ends_the_list),
		cmocka_unit_test(test_the_timeout_kills_the_group),
		cmocka_unit_test(test_a_daemon_does_not_keep_us),
		cmocka_unit_test(test_endless_output_is_cut),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
