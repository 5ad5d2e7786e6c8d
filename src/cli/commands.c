/* The table of the commands, the options before them, and what is said about them: usage and
 * version. */
#include <creel/cli.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/log.h>
#include <creel/oci_config.h>

static const struct name_value log_format_names[] = {
	{ "text", LOG_FORMAT_TEXT },
	{ "json", LOG_FORMAT_JSON },
	{ NULL, 0 },
};

static const struct name_value log_level_names[] = {
	{ "error", LOG_LEVEL_ERROR },  { "warning", LOG_LEVEL_WARNING },
	{ "warn", LOG_LEVEL_WARNING }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },  { NULL, 0 },
};

static const struct name_value rootless_names[] = {
	{ "auto", ROOTLESS_AUTO },
	{ "true", ROOTLESS_TRUE },
	{ "false", ROOTLESS_FALSE },
	{ NULL, 0 },
};

#define GLOBAL struct global_options

static const struct option_row global_rows[] = {
	O_STRING(GLOBAL, root, NULL, "root", "DIR", "where the state of containers is kept",
		 .group = "State"),
	O_FLAG(GLOBAL, systemd_cgroup, NULL, "systemd-cgroup", "let systemd make the cgroup",
	       .group = "Cgroups"),
	O_CHOICE(GLOBAL, cgroup_manager, NULL, "cgroup-manager", "cgroupfs|systemd|disabled",
		 cgroup_manager_names, "who makes the cgroup (default: cgroupfs)"),
	O_CHOICE(GLOBAL, rootless, NULL, "rootless", "true|false|auto", rootless_names,
		 "go on without a cgroup where none may be made"),
	O_STRING(GLOBAL, log, NULL, "log", "FILE", "append the log to FILE instead of stderr",
		 .group = "Log"),
	O_CHOICE(GLOBAL, log_format, NULL, "log-format", "text|json", log_format_names,
		 "how a record looks (default: text)"),
	O_CHOICE(GLOBAL, log_level, NULL, "log-level", "LEVEL", log_level_names,
		 "error, warning (the default; in a file error), info or debug"),
	O_FLAG(GLOBAL, debug, NULL, "debug", "log everything: --log-level debug"),
	O_TIME(GLOBAL, timeout, NULL, "timeout", "TIME",
	       "give up when a container's setup is silent for so long", .group = "Other"),
	O_STRING(GLOBAL, trace, NULL, "trace", "FILE", "write a timeline of every step to FILE"),
	O_FLAG(GLOBAL, version, "vV", "version", "print the version"),
};

const struct options global_options = {
	.tables = { OPTION_TABLE(global_rows) },
	.stops = true,
};

/* One a line, so that a new command is a new line. */
/* clang-format off */
const struct command *const commands[] = {
	&command_check,
	&command_checkpoint,
	&command_completion,
	&command_create,
	&command_delete,
	&command_events,
	&command_exec,
	&command_explain,
	&command_features,
	&command_kill,
	&command_list,
	&command_pause,
	&command_plan,
	&command_ps,
	&command_restore,
	&command_resume,
	&command_run,
	&command_spec,
	&command_start,
	&command_state,
	&command_stats,
	&command_update,
	NULL,
};
/* clang-format on */

const struct command *command_find(const char *name, struct error *err)
{
	const char *names[ARRAY_SIZE(commands)] = { NULL };
	const char *nearest = NULL;

	for (size_t i = 0; commands[i]; i++) {
		if (text_equal(commands[i]->name, name))
			return commands[i];
		names[i] = commands[i]->name;
		/* Typing stopped too early: likelier than a wrong letter. */
		if (!nearest && strlen(name) > 2 && text_starts_with(names[i], name))
			nearest = names[i];
	}
	error_coded(err, CRL_UNKNOWN_COMMAND, error_usage(err, "unknown command \"%s\"", name));
	if (!nearest)
		nearest = text_nearest(name, names);
	if (nearest)
		error_hint(err, "did you mean %s?", nearest);
	else
		error_hint(err, "creel --help lists the commands");
	return NULL;
}

int command_check_arguments(const struct command *command, size_t n, struct error *err)
{
	const char *how = "exactly";
	size_t wanted = command->least;

	if (n >= command->least && n <= command->most)
		return 0;
	if (command->least != command->most) {
		how = n < command->least ? "a minimum of" : "a maximum of";
		wanted = n < command->least ? command->least : command->most;
	}
	error_coded(
	    err, CRL_ARGUMENTS,
	    error_usage(err, "\"%s\" requires %s %zu argument(s)", command->name, how, wanted));
	return error_hint(err, "usage: creel %s%s%s%s", command->name,
			  command->options.tables[0].n ? " [options]" : "",
			  command->arguments[0] ? " " : "", command->arguments);
}

void command_print_usage(const struct command *command, FILE *out)
{
	const char *line = command->example;

	fprintf(out, "Usage: creel %s%s%s%s\n\n%s.\n", command->name,
		command->options.tables[0].n ? " [options]" : "", command->arguments[0] ? " " : "",
		command->arguments, command->purpose);
	options_print(&command->options, out);
	fprintf(out, "\nExample:\n");
	while (line) {
		const char *end = strchr(line, '\n');

		fprintf(out, "  %.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
		line = end ? end + 1 : NULL;
	}
	fprintf(out, "\nMore in creel-%s(8).\n", command->name);
}

void global_print_usage(FILE *out)
{
	fprintf(out, "Usage: creel [options] COMMAND [options] [arguments]\n\n"
		     "Runs containers as the OCI runtime specification describes them.\n\n"
		     "Commands:\n");
	for (size_t i = 0; commands[i]; i++)
		fprintf(out, "  %-12s  %s\n", commands[i]->name, commands[i]->purpose);
	fprintf(out, "  %-12s  %s\n", "help", "Print this, or the usage of a command");
	options_print(&global_options, out);
	fprintf(out, "\nExample:\n"
		     "  creel run --bundle /srv/web web\n"
		     "\nMore in creel(8); creel COMMAND --help describes one command.\n");
}

const char *version_of_libseccomp(struct arena *arena)
{
	static const char mark[] = "libseccomp-";
	const char *found = strstr(plan_seccomp_version(arena), mark);

	if (!found)
		return "unknown";
	found += strlen(mark);
	return arena_strndup(arena, found, strcspn(found, " "));
}

void version_print(struct arena *arena, FILE *out)
{
	/* Engines take the first line, and the last one that holds the word "version": there is
	 * only one. */
	fprintf(out, "creel version %s\ncommit: %s\nspec: %s\nlibseccomp: %s\n", CREEL_VERSION,
		CREEL_COMMIT, OCI_VERSION, version_of_libseccomp(arena));
}

enum cgroup_manager cli_cgroup_manager(const struct global_options *global)
{
	/* The option that says more wins: conmon gives both to run without cgroups. */
	if (global->cgroup_manager.set)
		return (enum cgroup_manager)global->cgroup_manager.value;
	return global->systemd_cgroup ? CGROUP_MANAGER_SYSTEMD : CGROUP_MANAGER_CGROUPFS;
}

bool cli_rootless_cgroups(const struct cli *cli)
{
	const struct optional *rootless = &cli->global->rootless;
	const struct facts *facts = &cli->runtime.facts;

	if (rootless->set && rootless->value != ROOTLESS_AUTO)
		return rootless->value == ROOTLESS_TRUE;
	return facts->euid != 0 || facts->in_userns || !facts->is_admin;
}

bool cli_has_colour(FILE *out)
{
	return isatty(fileno(out)) && !getenv("NO_COLOR");
}

unsigned int cli_listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	uint64_t value;

	if (!pid || !n || !text_parse_uint(pid, INT32_MAX, &value) || (pid_t)value != getpid())
		return 0;
	return text_parse_uint(n, 4096, &value) ? (unsigned int)value : 0;
}
