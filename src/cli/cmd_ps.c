/* `creel ps`: the processes of a container, as the host's ps shows them or as a JSON array of pids.
 */
#include <creel/cli.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/json.h>
#include <creel/process.h>
#include <creel/verbs.h>

#define BLANKS " \t"
/* Without --timeout; and of a ps that was killed. */
#define PS_TIMEOUT_MS 30000
#define PS_END_MS     1000

enum ps_format {
	PS_TABLE,
	PS_JSON,
};

struct ps_arguments {
	struct optional format;
};

static const struct name_value ps_format_names[] = {
	{ "table", PS_TABLE },
	{ "json", PS_JSON },
	{ NULL, 0 },
};

static const struct option_row ps_rows[] = {
	O_CHOICE(struct ps_arguments, format, "f", "format", "table|json", ps_format_names,
		 "how it looks (default: table)", .group = "Options"),
};

struct pids {
	pid_t *items;
	size_t n;
};

static void print_json(struct arena *arena, const struct pids *pids)
{
	struct json_writer *w = json_writer_new(arena, 0);

	json_write_array(w);
	for (size_t i = 0; i < pids->n; i++)
		json_write_int(w, pids->items[i]);
	json_write_end(w);
	puts(json_writer_text(w, NULL));
}

static bool has_pid(const struct pids *pids, uint64_t pid)
{
	for (size_t i = 0; i < pids->n; i++)
		if ((uint64_t)pids->items[i] == pid)
			return true;
	return false;
}

/* In fixed directories: engines call us without PATH, and it is not theirs to say what runs as
 * root. */
static const char *find_ps(struct error *err)
{
	static const char *const places[] = { "/usr/bin/ps", "/bin/ps", "/usr/local/bin/ps",
					      "/run/current-system/sw/bin/ps" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	error_coded(err, CRL_LIBRARY, error_unsupported(err, "this host has no ps"));
	error_hint(err, "install it, or use --format json");
	return NULL;
}

static void never_returns execute(const char *program, char *const *argv, int output)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8";
	char *const environment[] = { path, locale, NULL };

	process_reset_signals(UINT64_MAX);
	if (dup2(output, STDOUT_FILENO) >= 0)
		execve(program, argv, environment);
	_exit(127);
}

/* Waits for PS; nothing it reads in procfs may keep us longer than the user wants. */
static int wait_for_ps(const struct runtime *runtime, pid_t pid, int pidfd, int *status,
		       struct error *err)
{
	const int timeout_ms = runtime->timeout_ms >= 0 ? runtime->timeout_ms : PS_TIMEOUT_MS;
	struct error dropped = { 0 };
	char name[64];
	int ended = process_wait(pidfd, timeout_ms, status, err);

	if (ended != 0)
		return ended < 0 ? -1 : 0;
	process_describe(runtime->procfs, pid, name, sizeof(name));
	if (process_signal(pidfd, SIGKILL, &dropped) < 0 ||
	    process_wait(pidfd, PS_END_MS, status, &dropped) < 0)
		error_ignore(&dropped, "that it did not answer is what matters");
	return error_system(err, ETIMEDOUT, "process %d, %s, did not answer in %d ms", pid, name,
			    timeout_ms);
}

/* Runs ps with the caller's arguments; its output, or NULL. */
static char *run_ps(const struct runtime *runtime, const struct strings *arguments,
		    struct error *err)
{
	struct arena *arena = runtime->arena;
	const char *program = find_ps(err);
	struct strings argv = { 0 };
	int status = 0;
	pid_t pid;

	if (!program)
		return NULL;
	strings_add(arena, &argv, (char *)"ps");
	for (size_t i = 0; i < arguments->n; i++)
		strings_add(arena, &argv, arguments->items[i]);
	if (arguments->n == 0)
		strings_add(arena, &argv, (char *)"-ef");

	/* A file and not a pipe: it is read when ps has ended. */
	auto_fd output = memfd_create("ps", MFD_CLOEXEC);
	auto_fd pidfd = -1;

	if (output < 0) {
		error_system(err, errno, "cannot make a file for the output of ps");
		return NULL;
	}
	pid = process_spawn(&(struct spawn){ .cgroup = -1, .pidfd = &pidfd }, err);
	if (pid < 0)
		return NULL;
	if (pid == 0)
		execute(program, argv.items, output);
	if (wait_for_ps(runtime, pid, pidfd, &status, err) < 0)
		return NULL;
	if (status != 0) {
		error_unsupported(err, "%s failed with exit code %d", program,
				  process_exit_code(status));
		return NULL;
	}
	if (lseek(output, 0, SEEK_SET) < 0) {
		error_system(err, errno, "cannot read the output of ps");
		return NULL;
	}
	return file_read_fd(arena, output, FILE_DOCUMENT_MAX, NULL, err);
}

/* Which word of the heading is "PID"; false when none is. */
static bool find_column(const char *heading, size_t length, size_t *column)
{
	const char *word = heading, *end = heading + length;

	for (*column = 0; word < end; (*column)++) {
		size_t n;

		word += strspn(word, BLANKS);
		n = strcspn(word, BLANKS "\n");
		if (n == 3 && memcmp(word, "PID", 3) == 0)
			return true;
		word += n;
		if (n == 0)
			return false;
	}
	return false;
}

/* The number in word COLUMN of LINE. */
static bool read_column(const char *line, size_t column, uint64_t *value)
{
	char word[24];
	size_t n;

	for (size_t i = 0;; i++) {
		line += strspn(line, BLANKS);
		n = strcspn(line, BLANKS "\n");
		if (i == column || n == 0)
			break;
		line += n;
	}
	if (n == 0 || n >= sizeof(word))
		return false;
	memcpy(word, line, n);
	word[n] = '\0';
	return text_parse_uint(word, INT32_MAX, value);
}

static int print_table(const char *text, const struct pids *pids, struct error *err)
{
	size_t length = strcspn(text, "\n"), column;

	if (!find_column(text, length, &column)) {
		error_usage(err, "couldn't find PID field in ps output");
		return error_hint(err, "the arguments for ps must let it print that column");
	}
	printf("%.*s\n", (int)length, text);
	for (text += length; *text; text += length) {
		uint64_t pid;

		text += *text == '\n';
		length = strcspn(text, "\n");
		if (read_column(text, column, &pid) && has_pid(pids, pid))
			printf("%.*s\n", (int)length, text);
	}
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct ps_arguments *arguments = cli->options;
	const struct strings ps_arguments = {
		.items = cli->arguments.items + 1,
		.n = cli->arguments.n - 1,
	};
	struct pids pids = { 0 };
	char *text;

	if (verb_ps(&cli->runtime, cli->arguments.items[0], &pids.items, &pids.n, err) < 0)
		return -1;
	if (arguments->format.value == PS_JSON) {
		print_json(cli->runtime.arena, &pids);
		return 0;
	}
	text = run_ps(&cli->runtime, &ps_arguments, err);
	return text ? print_table(text, &pids, err) : -1;
}

const struct command command_ps = {
	.name = "ps",
	.arguments = "ID [PS-OPTION...]",
	.words = { WORDS_IDS },
	.purpose = "Show the processes of a container",
	.example = "creel ps web -o pid,user,args\ncreel ps --format json web",
	.options = { .tables = { OPTION_TABLE(ps_rows) }, .stops = true },
	.options_size = sizeof(struct ps_arguments),
	.least = 1,
	.most = MOST_ARGUMENTS,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
