/*
 * The parts of the probe: a writer of JSON, the sections of the report and the commands.  The
 * probe is the program that the tests run as the container; it links nothing but a static libc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The JSON writer (probe_json.c): each call writes one value to stdout.  KEY is the member's name
 * inside an object and NULL inside a list or at the top.  Bytes that are not UTF-8 come out as
 * lone surrogates, the way os.fsdecode() of Python reads them.
 */
void json_open(const char *key, char bracket); /* '{' or '[' */
void json_close(char bracket);		       /* '}' or ']' */
void json_string(const char *key, const char *text);
void json_text(const char *key, const char *text, size_t length);
void json_number(const char *key, long long number);
void json_unsigned(const char *key, unsigned long long number);
void json_bool(const char *key, bool value);
void json_null(const char *key);
void json_format(const char *key, const char *format, ...)
    __attribute__((format(printf, 2, 3)));			       /* as a string */
void json_seconds(const char *key, int64_t seconds, long nanoseconds); /* as a number */
void json_end(void);						       /* a newline, and flush */

/* One member of the report.  WRITE writes exactly one value under KEY, null when it cannot know. */
struct section {
	const char *name;
	const char *about;
	void (*write)(const char *key);
};

/* What main() was given, for the sections "argv" and "env" and for the commands. */
extern int probe_argc;
extern char **probe_argv;

/*
 * Sections: about the process itself (probe_process.c), and about what lies around it
 * (probe_world.c).  They are listed in the table of probe.c.
 */
void write_argv(const char *key);
void write_env(const char *key);
void write_cwd(const char *key);
void write_uid(const char *key);
void write_gid(const char *key);
void write_groups(const char *key);
void write_umask(const char *key);
void write_capabilities(const char *key);
void write_no_new_privs(const char *key);
void write_seccomp(const char *key);
void write_dumpable(const char *key);
void write_securebits(const char *key);
void write_rlimits(const char *key);
void write_oom_score_adj(const char *key);
void write_personality(const char *key);
void write_process(const char *key);
void write_signals(const char *key);
void write_scheduler(const char *key);
void write_nice(const char *key);
void write_ioprio(const char *key);
void write_affinity(const char *key);
void write_mempolicy(const char *key);
void write_keyring(const char *key);
void write_label(const char *key);

void write_hostname(const char *key);
void write_domainname(const char *key);
void write_namespaces(const char *key);
void write_time_offsets(const char *key);
void write_clocks(const char *key);
void write_cgroup(const char *key);
void write_mounts(const char *key);
void write_fds(const char *key);
void write_dev(const char *key);
void write_tty(const char *key);
void write_network(const char *key);

/* Shared by sections and commands. */
const char *capability_name(int capability); /* "CAP_CHOWN"; NULL when this probe knows none */
bool has_capability(const char *set, int capability);
ssize_t read_file(const char *path, char *buffer, size_t size); /* NUL-terminated; -1 with errno */
int write_stat(const char *key, int dir, const char *name);	/* an lstat as an object */
int write_directory(const char *key, const char *path, int depth); /* a list of write_stat */

/* One command.  ARGC counts the words after the command's name; the result is the exit status. */
struct command {
	const char *name;
	const char *usage; /* of its arguments */
	const char *about;
	int minimum; /* words it needs */
	int maximum; /* and takes; -1 means any number */
	int (*run)(int argc, char **argv);
};

extern const struct command probe_commands[];
extern const size_t probe_commands_n;
