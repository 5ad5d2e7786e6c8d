/* What a command of the command line is, and what main() hands to it. */
#pragma once

#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/options.h>
#include <creel/plan.h>
#include <stdio.h>

struct error;

struct global_options {
	bool debug;
	const char *log;
	struct optional log_format;
	struct optional log_level;
	const char *root;
	bool systemd_cgroup;
	struct optional cgroup_manager;
	struct optional rootless; /* enum rootless */
	struct optional timeout;  /* ms */
	const char *trace;
	bool version;
};

enum rootless {
	ROOTLESS_FALSE,
	ROOTLESS_TRUE,
	ROOTLESS_AUTO,
};

/* What main() opens before it calls the command. */
enum command_needs {
	NEEDS_HOST = 1,	     /* procfs, the cgroup mount, the facts that every plan is made of */
	NEEDS_PLACE = 16,    /* the same without the facts that only plans take */
	NEEDS_ROOT = 2,	     /* the state root, if it exists; with one of these two */
	NEEDS_MADE_ROOT = 4, /* the state root, which is made when it does not exist */
	NEEDS_SEALED = 8,    /* it puts a process into a container: self-protection first */
	NEEDS_RIGHTS = 64,   /* with NEEDS_PLACE: what we may do, and the controllers */
	NEEDS_MODULES = 32,  /* also the facts that few documents ask for */
};

struct cli {
	struct runtime runtime;
	const struct global_options *global;
	const void *options;	  /* the command's own */
	struct strings arguments; /* positional, as many as the command wants */
	int exit_code;		  /* of the program when the command returns 0 */
};

struct command {
	const char *name;
	const char *arguments; /* "ID [SIGNAL]" */
	/* What its first and its second argument are chosen from, a blank between each two, or one
	 * of WORDS_*: for the completion of shells. */
	const char *words[2];
	bool words_repeat;   /* the first holds for all arguments */
	const char *purpose; /* one line */
	const char *example; /* lines, each one a command */
	struct options options;
	size_t options_size;
	size_t least, most; /* positional arguments */
	unsigned int needs; /* enum command_needs */
	int failure;	    /* the exit code when RUN fails; 0 means 1 */
	/* How many descriptors from 3 on are passed to the container; NULL: none. */
	unsigned int (*passed_fds)(const void *options);
	int (*run)(struct cli *cli, struct error *err);
};

#define MOST_ARGUMENTS ((size_t)-1)

#define WORDS_IDS   "@ids"   /* the containers that there are */
#define WORDS_CODES "@codes" /* of errors */

/* All commands in alphabetical order, and the options before them; the list ends with NULL. */
extern const struct command *const commands[];
extern const struct options global_options;

/* The command called NAME; else an ERROR_USAGE with the nearest name. */
const struct command *command_find(const char *name, struct error *err) must_check;
/* "start" requires exactly 1 argument(s). */
int command_check_arguments(const struct command *command, size_t n, struct error *err) must_check;
void command_print_usage(const struct command *command, FILE *out);
void global_print_usage(FILE *out);
void version_print(struct arena *arena, FILE *out);
/* "2.5.4": of the libseccomp that creel was linked with. */
const char *version_of_libseccomp(struct arena *arena);

enum cgroup_manager cli_cgroup_manager(const struct global_options *global);
bool cli_rootless_cgroups(const struct cli *cli);
/* Whether what goes to OUT may have colours: it is a terminal, and nobody set NO_COLOR. */
bool cli_has_colour(FILE *out);
/* LISTEN_FDS of the caller, when LISTEN_PID is us (sd_listen_fds(3)). */
unsigned int cli_listen_fds(void);

/*
 * ACTION on every container whose id matches PATTERN, an extended regular expression that may match
 * any part of it.  All are tried; the first failure is *ERR, the others are warnings.  No match is
 * no error.
 */
int cli_each_matching(struct cli *cli, const char *pattern,
		      int (*action)(struct cli *cli, const char *id, struct error *err),
		      struct error *err) must_check;

extern const struct command command_checkpoint, command_restore;
extern const struct command command_check, command_completion, command_create, command_delete,
    command_events, command_exec, command_explain, command_features, command_kill, command_list,
    command_pause, command_plan, command_ps, command_resume, command_run, command_spec,
    command_start, command_state, command_stats, command_update;
