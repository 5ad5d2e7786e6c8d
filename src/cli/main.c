/* The program: reads the command line, opens what the command needs, calls it, and is the one place
 * that prints an error. */
#include <creel/cli.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/procfs.h>
#include <creel/sealed.h>
#include <creel/trace.h>

/* The command line, understood. */
struct call {
	struct global_options global;
	const struct command *command; /* NULL: help or version */
	void *options;
	struct strings arguments;
	bool help;
};

/*
 * What of the environment means something to creel or to what it calls; the rest is dropped, so
 * that no library and no helper can be steered by a variable that nobody thought of.
 */
static bool is_known_variable(const char *variable)
{
	static const char *const names[] = {
		"XDG_RUNTIME_DIR=", "NOTIFY_SOCKET=",  "LISTEN_FDS=",
		"LISTEN_PID=",	    "LISTEN_FDNAMES=", "DBUS_SESSION_BUS_ADDRESS=",
		"NO_COLOR=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (text_starts_with(variable, names[i]))
			return true;
	return false;
}

static void clean_environment(void)
{
	char **kept = environ;

	/* Also out of memory: /proc/PID/environ of our children shows it in the container to who
	 * has CAP_PERFMON, though they are not dumpable. */
	for (char **variable = environ; variable && *variable; variable++)
		if (is_known_variable(*variable))
			*kept++ = *variable;
		else
			memset(*variable, 0, strlen(*variable));
	if (kept)
		*kept = NULL;
}

static int parse_command(struct call *call, struct arena *arena, char *const *argv,
			 struct error *err)
{
	call->command = command_find(argv[0], err);
	if (!call->command)
		return -1;
	call->options = arena_alloc(arena, call->command->options_size);
	switch (options_parse(&call->command->options, arena, argv + 1, call->options,
			      &call->arguments, err)) {
	case OPTIONS_ERROR:
		return -1;
	case OPTIONS_HELP:
		call->help = true;
		return 0;
	case OPTIONS_PARSED:
		break;
	}
	return command_check_arguments(call->command, call->arguments.n, err);
}

/* "help" and "help COMMAND". */
static int parse_help(struct call *call, const struct strings *words, struct error *err)
{
	call->help = true;
	if (words->n < 2)
		return 0;
	call->command = command_find(words->items[1], err);
	return call->command ? 0 : -1;
}

static int parse(struct call *call, struct arena *arena, char *const *argv, struct error *err)
{
	struct strings words = { 0 };

	switch (options_parse(&global_options, arena, argv, &call->global, &words, err)) {
	case OPTIONS_ERROR:
		return -1;
	case OPTIONS_HELP:
		call->help = true;
		return 0;
	case OPTIONS_PARSED:
		break;
	}
	if (call->global.version)
		return 0;
	if (words.n == 0 || text_equal(words.items[0], "help"))
		return parse_help(call, &words, err);
	return parse_command(call, arena, words.items, err);
}

/* A directory of the host, or a descriptor of its place alone, would be a way out of the container
 * (CVE-2024-21626). */
static int check_passed_fd(int fd, unsigned int i, unsigned int n, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_coded(
		    err, CRL_PASSED_FD,
		    error_usage(err, "unable to stat preserved-fd %u (of %u)", i, n));
	if (S_ISDIR(st.st_mode))
		return error_coded(
		    err, CRL_PASSED_FD,
		    error_usage(err,
				"preserved-fd %u is a directory: it would lead out of "
				"the container",
				i));
	if (fcntl(fd, F_GETFL) & O_PATH)
		return error_coded(
		    err, CRL_PASSED_FD,
		    error_usage(err, "preserved-fd %u names a file and does not open it", i));
	return 0;
}

/*
 * Everything from 3 on that is not passed to the container is closed when it begins.  What is
 * passed must be open before we open anything ourselves: else our own descriptor would get the
 * number, and with it into the container.
 */
static int keep_passed_fds(const struct call *call, struct error *err)
{
	unsigned int n = 0;

	if (call->command && call->command->passed_fds && !call->help)
		n = call->command->passed_fds(call->options);
	if (n > INT_MAX - 3)
		return error_coded(err, CRL_PASSED_FD,
				   error_usage(err, "there are no %u descriptors to preserve", n));
	for (unsigned int i = 0; i < n; i++)
		if (check_passed_fd(3 + (int)i, i + 1, n, err) < 0)
			return -1;
	return fd_cloexec_from(3 + (int)n, err);
}

static int open_log(const struct global_options *global, struct error *err)
{
	/* Podman reads the file as one JSON value, so by default nothing but the final error is
	 * written to it. */
	enum log_level level = global->log ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;

	if (global->log_level.set)
		level = (enum log_level)global->log_level.value;
	if (global->debug)
		level = LOG_LEVEL_DEBUG;
	return log_open(global->log,
			global->log_format.set ? (enum log_format)global->log_format.value
					       : LOG_FORMAT_TEXT,
			level, err);
}

/* Absolute, since hooks and later commands have other working directories; the state must not
 * litter "/". */
static int find_root(struct runtime *runtime, const char *given, struct error *err)
{
	char *path, here[PATH_MAX];

	if (!given) {
		runtime->root_path = container_default_root(runtime->arena, &runtime->facts);
		return 0;
	}
	if (given[0] == '/')
		path = arena_strdup(runtime->arena, given);
	else if (getcwd(here, sizeof(here)))
		path = text_format(runtime->arena, "%s/%s", here, given);
	else
		return error_system(err, errno, "cannot find the working directory");
	for (size_t n = strlen(path); n > 0 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	if (path[0] == '\0' || given[0] == '\0')
		return error_usage(err, "\"%s\" cannot be the root of the state", given);
	runtime->root_path = path;
	return 0;
}

static int open_host(struct runtime *runtime, char **argv, unsigned int needs, struct error *err)
{
	runtime->procfs = procfs_open(err);
	if (runtime->procfs < 0)
		return -1;
	/* Before anything that costs: it may start the program once more. */
	if ((needs & NEEDS_SEALED) &&
	    sealed_ensure(runtime->procfs, argv, &runtime->clone, err) < 0)
		return -1;
	if (facts_ask_place(runtime->arena, runtime->procfs, &runtime->facts, err) < 0)
		return -1;
	if ((needs & NEEDS_HOST) &&
	    facts_ask_rest(runtime->arena, runtime->procfs, &runtime->facts, err) < 0)
		return -1;
	if ((needs & NEEDS_RIGHTS) &&
	    facts_ask_rights(runtime->arena, runtime->procfs, &runtime->facts, err) < 0)
		return -1;
	if (needs & NEEDS_MODULES)
		facts_ask_modules(&runtime->facts);
	if (!runtime->facts.cgroup_mount)
		return 0;
	runtime->cgroup_root = cgroup_root_known(runtime->facts.cgroup_mount, err);
	if (runtime->cgroup_root >= 0)
		return 0;
	/* In a container, the directory may be closed to its root. */
	if (err->errnum != EACCES)
		return -1;
	error_ignore(err, "a hierarchy that we may not look into is none for us");
	*err = (struct error){ 0 };
	runtime->facts.cgroup_mount = NULL;
	return 0;
}

static int open_runtime(struct cli *cli, char **argv, unsigned int needs, struct error *err)
{
	struct runtime *runtime = &cli->runtime;

	if (needs == 0)
		return 0;
	if (open_host(runtime, argv, needs, err) < 0)
		return -1;
	if (cli->global->trace) {
		runtime->trace = trace_open(cli->global->trace, err);
		if (runtime->trace < 0)
			return -1;
	}
	if (!(needs & (NEEDS_ROOT | NEEDS_MADE_ROOT)))
		return 0;
	if (find_root(runtime, cli->global->root, err) < 0)
		return -1;
	return container_root_open(runtime, needs & NEEDS_MADE_ROOT, err);
}

static int call_command(const struct call *call, struct arena *arena, char **argv, int *exit_code,
			struct error *err)
{
	struct cli cli = {
		.runtime = {
			.arena = arena,
			.root = -1,
			.procfs = -1,
			.cgroup_root = -1,
			.clone = -1,
			.trace = -1,
			.timeout_ms = call->global.timeout.value > 0 ? (int)call->global.timeout.value : -1,
		},
		.global = &call->global,
		.options = call->options,
		.arguments = call->arguments,
	};
	int result = open_runtime(&cli, argv, call->command->needs, err);

	if (result == 0) {
		result = call->command->run(&cli, err);
		*exit_code = cli.exit_code;
		if (result < 0 && call->command->failure)
			*exit_code = call->command->failure;
	}
	/* What the runtime has open is closed when the process ends. */
	return result;
}

static int serve(const struct call *call, struct arena *arena, char **argv, int *exit_code,
		 struct error *err)
{
	if (call->global.version)
		version_print(arena, stdout);
	else if (call->help && call->command)
		command_print_usage(call->command, stdout);
	else if (call->help)
		global_print_usage(stdout);
	else if (call_command(call, arena, argv, exit_code, err) < 0)
		return -1;
	/* Data that nobody got is no success. */
	if (fflush(stdout) != 0)
		return error_system(err, errno, "cannot write to standard output");
	if (ferror(stdout))
		return error_system(err, EIO, "cannot write to standard output");
	return 0;
}

/* The log is opened whatever the command line says, since engines look for a wrong one there too.
 */
static int run(struct arena *arena, char **argv, int *exit_code, struct error *err)
{
	struct call call = { 0 };
	struct error log_err = { 0 };
	int result = parse(&call, arena, argv[0] ? argv + 1 : argv, err);

	if (result == 0)
		result = keep_passed_fds(&call, err);
	if (open_log(&call.global, &log_err) < 0 && result == 0) {
		*err = log_err;
		return -1;
	}
	/* For all files of our own; the log is read by whoever may read logs. */
	umask(0077);
	if (result < 0)
		return -1;
	return serve(&call, arena, argv, exit_code, err);
}

int main(int argc, char **argv)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	int exit_code = 0;

	(void)argc;
	/* A caller may have closed 0, 1 or 2, and set modes and signals as it likes (SECURITY H-01
	 * to H-03). */
	if (fd_ensure_standard(&err) < 0) {
		log_error(&err);
		return 1;
	}
	clean_environment();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if (run(&arena, argv, &exit_code, &err) == 0)
		return exit_code;
	log_error(&err);
	return exit_code ? exit_code : 1;
}
