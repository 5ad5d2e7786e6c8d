/* The parts of `exec`: what it loads from the state directory and plans, apart from what it does.
 */
#pragma once

#include <creel/become.h>
#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/plan.h>
#include <creel/verbs.h>

struct exec {
	struct runtime *runtime;
	const struct exec_options *options;
	struct container container;
	struct exec_record record;
	uint64_t namespaces;	  /* CLONE_NEW* to join */
	const char *process_text; /* the file of --process, for the places of errors; or NULL */
	const struct json *process_tree;
	struct plan_process process;
	struct plan_seccomp seccomp;
	struct become become;
	int init_fd;
	int root;   /* of the init, where that is not the root of its mount namespace; or -1 */
	int cgroup; /* S and the process are born in it, or -1 */
	const char
	    *unit_sub; /* where only systemd may move a process: the path in its unit, else NULL */
	int channel, peer;
	int stage_fd;
	pid_t stage;
	pid_t *born; /* shared with S: the pid of the process inside, as soon as there is one */
	pid_t pid;
	int pidfd;
	int console;
	bool console_taken;
	/* P has nothing to do for the process once it is known to work: it executes its program
	 * without asking. */
	bool unattended;
};

/* Opens the container (locked shared), reads the record, plans the process. */
int exec_load(struct exec *exec, struct error *err) must_check;
/* Names the line of the process file that ERR is about; takes the place away where the command line
 * is to blame. */
void exec_locate_error(const struct exec *exec, struct error *err);
/* TEXT, "UID" or "UID:GID" in decimal, to USER; nothing else is taken. */
int exec_parse_user(const char *text, struct oci_user *user, struct arena *arena,
		    struct error *err) must_check;
/* Hands the seccomp listener of the new process to its agent, and tells the process to go on. */
int exec_pass_listener(struct exec *exec, int number, struct error *err) must_check;
