/*
 * The program that the tests run as the container: it prints what it sees as one JSON object, or
 * does one small thing that a container may or may not be allowed to do.  Build it with
 * `gcc -static -O2 -s -o probe tests/probe*.c`; it needs no library, no /proc and no shell.
 */
#include "probe.h"

#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

int probe_argc;
char **probe_argv;

static const struct section sections[] = {
	{ "argv", "the arguments", write_argv },
	{ "env", "the environment, in order", write_env },
	{ "cwd", "the working directory, as the kernel says it", write_cwd },
	{ "uid", "real, effective, saved and file system user", write_uid },
	{ "gid", "the same of the group", write_gid },
	{ "groups", "the additional groups", write_groups },
	{ "umask", "the file mode creation mask, octal", write_umask },
	{ "capabilities", "the five sets, hexadecimal", write_capabilities },
	{ "noNewPrivs", "whether exec can no longer gain privileges", write_no_new_privs },
	{ "seccomp", "mode and number of filters", write_seccomp },
	{ "dumpable", "PR_GET_DUMPABLE", write_dumpable },
	{ "securebits", "PR_GET_SECUREBITS", write_securebits },
	{ "rlimits", "all soft and hard limits, \"unlimited\" or a number", write_rlimits },
	{ "oomScoreAdj", "/proc/self/oom_score_adj", write_oom_score_adj },
	{ "personality", "the execution domain, hexadecimal", write_personality },
	{ "process", "pid, ppid, session, group, death signal, subreaper", write_process },
	{ "signals", "blocked, ignored and caught signals", write_signals },
	{ "scheduler", "all of sched_getattr", write_scheduler },
	{ "nice", "the nice value", write_nice },
	{ "ioPriority", "class and priority", write_ioprio },
	{ "affinity", "the processors it may run on", write_affinity },
	{ "memoryPolicy", "mode, flags and nodes", write_mempolicy },
	{ "keyring", "the session keyring", write_keyring },
	{ "label", "LSM label, of now and of the next exec", write_label },
	{ "hostname", "the host name", write_hostname },
	{ "domainname", "the NIS domain name", write_domainname },
	{ "namespaces", "the inode of each namespace", write_namespaces },
	{ "timeOffsets", "the offsets of the time namespace", write_time_offsets },
	{ "clocks", "what three clocks say, in seconds", write_clocks },
	{ "cgroup", "/proc/self/cgroup", write_cgroup },
	{ "mounts", "/proc/self/mountinfo", write_mounts },
	{ "fds", "open file descriptors", write_fds },
	{ "dev", "what lies in /dev, two levels deep", write_dev },
	{ "tty", "terminals of 0, 1, 2, the controlling one, its size", write_tty },
	{ "network", "interfaces with flags and addresses", write_network },
};

static void print_help(FILE *out)
{
	fprintf(out, "Usage: probe                      print every section as one JSON object\n"
		     "       probe sections NAME,...    print these sections; a prefix will do\n"
		     "       probe COMMAND [ARG...]     do one thing\n\n"
		     "Sections (null where the container does not let the probe know):\n");
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		fprintf(out, "  %-24s  %s\n", sections[i].name, sections[i].about);
	fprintf(out, "\nCommands (exit status 1 when it fails, 2 when it is called wrongly):\n");
	for (size_t i = 0; i < probe_commands_n; i++)
		fprintf(out, "  %-10s %-13s  %s\n", probe_commands[i].name, probe_commands[i].usage,
			probe_commands[i].about);
}

/* Finds the section NAME, or the only one that starts so. */
static const struct section *section_find(const char *name, size_t length)
{
	const struct section *found = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (strncmp(sections[i].name, name, length) != 0)
			continue;
		if (sections[i].name[length] == '\0')
			return &sections[i];
		if (found)
			return NULL;
		found = &sections[i];
	}
	return found;
}

static int print_sections(const char *names)
{
	for (const char *at = names; *at; at += strcspn(at, ","), at += *at == ',')
		if (!section_find(at, strcspn(at, ","))) {
			fprintf(stderr, "probe: no section, or more than one, is called \"%.*s\"\n",
				(int)strcspn(at, ","), at);
			return 2;
		}

	json_open(NULL, '{');
	for (const char *at = names; *at; at += strcspn(at, ","), at += *at == ',') {
		const struct section *section = section_find(at, strcspn(at, ","));

		section->write(section->name);
	}
	json_close('}');
	json_end();
	return 0;
}

static int print_all(void)
{
	json_open(NULL, '{');
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		sections[i].write(sections[i].name);
	json_close('}');
	json_end();
	return 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	if (argc < command->minimum || (command->maximum >= 0 && argc > command->maximum)) {
		fprintf(stderr, "Usage: probe %s %s\n", command->name, command->usage);
		return 2;
	}
	return command->run(argc, argv);
}

int main(int argc, char **argv)
{
	probe_argc = argc;
	probe_argv = argv;

	if (argc < 2)
		return print_all();
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "sections") == 0 && argc == 3)
		return print_sections(argv[2]);
	for (size_t i = 0; i < probe_commands_n; i++)
		if (strcmp(argv[1], probe_commands[i].name) == 0)
			return run_command(&probe_commands[i], argc - 2, argv + 2);

	print_help(stderr);
	return 2;
}
