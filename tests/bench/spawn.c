/*
 * Runs commands in turn, round after round (A B C A B C ...), and measures each run: wall time,
 * and what wait4() says it used.  Interleaving is the point: what disturbs the machine disturbs
 * all of them alike.  A small static program, because the peak memory of a child that was born
 * by vfork() counts from its parent's size.
 *
 *	spawn [--count TRACEPOINT] ROUNDS < PLAN
 *
 * --count also counts the instructions in user mode and the system calls of the step, in all its
 * processes (and five calls of our own); TRACEPOINT is the number of raw_syscalls:sys_enter.
 *
 * PLAN has one line for each step, its words separated by tabs:
 *
 *	command NAME [PARALLEL [UID]]	begins a command; the timed step runs PARALLEL times at once
 *	setup ARG...			once, before the first round
 *	before ARG...			in each round, not timed
 *	timed ARG...
 *	pause MILLISECONDS		instead of a program, in setup and before
 *	after ARG...			in each round, not timed
 *	teardown ARG...			once, after the last round
 *
 * "{}" in an ARG is the number of the round, with PARALLEL and the number of the copy.  Prints one
 * JSON object a line.  A command whose step fails is undone and dropped; its output is reported.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS    64
#define MAX_STEPS    12
#define MAX_COMMANDS 32
#define MAX_PARALLEL 64

enum phase { PHASE_SETUP, PHASE_BEFORE, PHASE_TIMED, PHASE_AFTER, PHASE_TEARDOWN };

static const char *const phase_names[] = { "setup", "before", "timed", "after", "teardown" };

struct step {
	enum phase phase;
	long pause_ms; /* instead of a program when positive */
	char *words[MAX_WORDS + 1];
};

struct command {
	char *name;
	int parallel;
	uid_t uid;
	bool failed;
	size_t n;
	struct step steps[MAX_STEPS];
};

static struct command commands[MAX_COMMANDS];
static int output = -1; /* what the commands say on stderr */

/* Counters of us and of our children, or -1. */
static int instructions = -1;
static int calls = -1;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Children inherit the counter at birth; reading it adds theirs to ours. */
static int open_counter(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = type,
		.config = config,
		.inherit = 1,
		.exclude_kernel = type == PERF_TYPE_HARDWARE,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static long long read_counter(int counter)
{
	uint64_t value = 0;

	return counter >= 0 && read(counter, &value, sizeof(value)) == sizeof(value)
		   ? (long long)value
		   : -1;
}

/* Copies WORD to OUT with "{}" replaced by TAG, and returns the end of the copy. */
static char *expand(const char *word, const char *tag, char *out, const char *end)
{
	while (*word && out < end - 1) {
		if (word[0] == '{' && word[1] == '}') {
			for (const char *at = tag; *at && out < end - 1; at++)
				*out++ = *at;
			word += 2;
		} else {
			*out++ = *word++;
		}
	}
	*out++ = '\0';
	return out;
}

/* Starts one copy of STEP.  Between vfork() and exec only system calls are made. */
static pid_t start(const struct command *command, const struct step *step, const char *tag)
{
	static char text[16384];
	char *words[MAX_WORDS + 1] = { NULL };
	char *at = text;

	for (size_t i = 0; step->words[i]; i++) {
		words[i] = at;
		at = expand(step->words[i], tag, at, text + sizeof(text));
	}

	pid_t pid = vfork();

	if (pid != 0)
		return pid;
	dup2(output, 2);
	if (command->uid != 0) {
		syscall(SYS_setgroups, 0, NULL);
		syscall(SYS_setresgid, command->uid, command->uid, command->uid);
		syscall(SYS_setresuid, command->uid, command->uid, command->uid);
	}
	execv(words[0], words);
	_exit(127);
}

/*
 * Waits for the N children of PIDS, and reaps the orphans that come by: a runtime that waits for a
 * container's end would otherwise see a zombie for ever.  Returns the worst status.
 */
static int wait_all(const pid_t *pids, int n, struct rusage *usage)
{
	int left = n, worst = 0, status;
	struct rusage one;

	while (left > 0) {
		pid_t pid = wait4(-1, &status, 0, &one);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			die("wait4");
		for (int i = 0; i < n; i++) {
			if (pids[i] != pid)
				continue;
			left--;
			*usage = one;
			if (status != 0)
				worst = WIFEXITED(status) ? WEXITSTATUS(status)
							  : 128 + WTERMSIG(status);
		}
	}
	return worst;
}

static void put_output(void)
{
	char text[4096];
	ssize_t n = pread(output, text, sizeof(text), 0);

	putchar('"');
	for (ssize_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void report_time(const struct command *command, int round, int64_t ns, long long executed,
			long long called, const struct rusage *usage)
{
	printf("{\"name\":\"%s\",\"round\":%d,\"ns\":%lld,\"user_us\":%lld,\"system_us\":%lld,"
	       "\"rss_kb\":%ld,\"faults\":%ld,\"switches\":%ld,"
	       "\"instructions\":%lld,\"calls\":%lld}\n",
	       command->name, round, (long long)ns,
	       (long long)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec,
	       (long long)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec,
	       usage->ru_maxrss, usage->ru_minflt + usage->ru_majflt,
	       usage->ru_nvcsw + usage->ru_nivcsw, executed, called);
}

static void report_failure(const struct command *command, const struct step *step, int round,
			   int status)
{
	printf("{\"name\":\"%s\",\"round\":%d,\"failed\":\"%s\",\"status\":%d,\"stderr\":",
	       command->name, round, phase_names[step->phase], status);
	put_output();
	printf("}\n");
}

/* Returns 0, or the status of the step, which it then has reported. */
static int run_step(const struct command *command, const struct step *step, int round)
{
	int copies =
	    step->phase == PHASE_SETUP || step->phase == PHASE_TEARDOWN ? 1 : command->parallel;
	pid_t pids[MAX_PARALLEL];
	struct rusage usage = { 0 };
	char tag[32];

	if (step->pause_ms > 0)
		return usleep((useconds_t)step->pause_ms * 1000);
	if (ftruncate(output, 0) < 0)
		die("ftruncate");

	long long executed = read_counter(instructions), called = read_counter(calls);
	int64_t begin = now_ns();

	for (int i = 0; i < copies; i++) {
		if (copies > 1)
			snprintf(tag, sizeof(tag), "%d-%d", round, i);
		else
			snprintf(tag, sizeof(tag), "%d", round);
		pids[i] = start(command, step, tag);
		if (pids[i] < 0)
			die("vfork");
	}

	int status = wait_all(pids, copies, &usage);
	int64_t end = now_ns();

	if (status != 0)
		report_failure(command, step, round, status);
	else if (step->phase == PHASE_TIMED)
		report_time(command, round, end - begin,
			    executed < 0 ? -1 : read_counter(instructions) - executed,
			    called < 0 ? -1 : read_counter(calls) - called, &usage);
	return status;
}

/* Runs the steps of one phase.  Undoing goes on after a failure, all else stops. */
static void run_phase(struct command *command, enum phase phase, int round)
{
	for (size_t i = 0; i < command->n; i++) {
		const struct step *step = &command->steps[i];

		if (step->phase != phase)
			continue;
		if (command->failed && phase < PHASE_AFTER)
			return;
		if (run_step(command, step, round) != 0)
			command->failed = true;
	}
}

static void run_round(struct command *command, int round)
{
	if (command->failed)
		return;
	run_phase(command, PHASE_BEFORE, round);
	run_phase(command, PHASE_TIMED, round);
	run_phase(command, PHASE_AFTER, round);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

static _Noreturn void bad_plan(const char *why)
{
	fprintf(stderr, "spawn: %s\n", why);
	exit(2);
}

static void parse_step(struct command *command, char *line)
{
	static enum phase last = PHASE_BEFORE; /* a pause belongs to the steps before it */

	if (command->n == MAX_STEPS)
		bad_plan("too many steps");

	struct step *step = &command->steps[command->n++];
	char *kind = strsep(&line, "\t");

	if (strcmp(kind, "pause") == 0 && line) {
		step->phase = last;
		step->pause_ms = atol(line);
		return;
	}
	for (size_t n = 0; line && n < MAX_WORDS; n++)
		step->words[n] = strsep(&line, "\t");
	for (size_t i = 0; i < sizeof(phase_names) / sizeof(*phase_names); i++) {
		if (strcmp(kind, phase_names[i]) != 0)
			continue;
		last = step->phase = (enum phase)i;
		if (!step->words[0] || line)
			bad_plan("a step without words, or with too many");
		return;
	}
	bad_plan(kind);
}

static int parse_plan(FILE *plan)
{
	char *line = NULL;
	size_t size = 0;
	int n = 0;

	while (getline(&line, &size, plan) > 0) {
		char *copy = strdup(line), *rest;

		copy[strcspn(copy, "\n")] = '\0';
		rest = copy;
		if (strncmp(copy, "command\t", 8) != 0) {
			if (n == 0)
				bad_plan("a step before the first command");
			parse_step(&commands[n - 1], copy);
			continue;
		}
		if (n == MAX_COMMANDS)
			bad_plan("too many commands");
		strsep(&rest, "\t");
		commands[n].name = strsep(&rest, "\t");
		commands[n].parallel = rest ? atoi(strsep(&rest, "\t")) : 1;
		commands[n].uid = rest ? (uid_t)atoi(rest) : 0;
		if (commands[n].parallel < 1 || commands[n].parallel > MAX_PARALLEL)
			bad_plan("too many at once");
		n++;
	}
	free(line);
	return n;
}

int main(int argc, char **argv)
{
	bool count = argc == 4 && strcmp(argv[1], "--count") == 0;

	if (argc != 2 && !count) {
		fputs("Usage: spawn [--count TRACEPOINT] ROUNDS < PLAN\n", stderr);
		return 2;
	}
	if (count) {
		instructions = open_counter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
		calls = open_counter(PERF_TYPE_TRACEPOINT, (uint64_t)atoi(argv[2]));
	}

	int rounds = atoi(argv[argc - 1]);
	int n = parse_plan(stdin);
	int null = open("/dev/null", O_RDWR);
	int out = dup(1); /* the report; the commands' stdout goes nowhere */

	output = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (null < 0 || output < 0 || out < 0)
		die("cannot open the files");
	fcntl(out, F_SETFD, FD_CLOEXEC);
	dup2(null, 0);
	dup2(null, 1);
	close(null);
	stdout = fdopen(out, "w");
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

	for (int i = 0; i < n; i++)
		run_phase(&commands[i], PHASE_SETUP, 0);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < n; i++)
			run_round(&commands[i], round);
	for (int i = 0; i < n; i++)
		run_phase(&commands[i], PHASE_TEARDOWN, rounds);
	return fflush(stdout) == 0 ? 0 : 1;
}
