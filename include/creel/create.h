/*
 * P's side of the life of a container: the create table.  `create` makes its steps in order; a
 * failure undoes what was made; `delete` undoes all of them on a struct create rebuilt from
 * state.json.  There is no second clean-up path.
 */
#pragma once

#include <creel/cgroup.h>
#include <creel/container.h>
#include <creel/json.h>
#include <creel/message.h>
#include <creel/oom.h>
#include <creel/plan.h>
#include <sys/stat.h>

struct error;

struct create_options {
	const char *id;
	const char *bundle;	    /* as given; made absolute */
	const char *config;	    /* file name in the bundle; NULL: config.json */
	const char *pid_file;	    /* or NULL */
	const char *console_socket; /* or NULL */
	const char *pidfd_socket;   /* or NULL */
	enum cgroup_manager manager;
	bool no_pivot;
	bool no_new_keyring;
	unsigned int preserve_fds;
	bool rootless_cgroups;
	bool start_now;	 /* `run`: the init waits on the channel, not on start.sock */
	bool detach;	 /* `run --detach` */
	bool had_notify; /* it was created with a notify socket, whatever the caller has now */
};

struct create {
	struct runtime *runtime;
	const struct create_options *options;
	struct oci_config config;
	const char *config_text; /* for the digest and for line numbers in errors */
	size_t config_size;
	const struct json *config_tree;
	struct plan plan;
	struct plan_seccomp seccomp;
	struct container container;
	struct cgroup cgroup;
	int start_socket; /* listening, or -1 */
	int channel;	  /* P's end, or -1 */
	int peer;	  /* S's and I's end, until they have it */
	pid_t stage;	  /* 0: none */
	int stage_fd;
	pid_t
	    *born;  /* shared with S: the pid of I, as soon as there is one; NULL without a stage */
	int pid_ns; /* S: the pid namespace that is joined only when I is born, or -1 */
	pid_t init; /* until I is born, S */
	int init_fd;
	int init_stat; /* /proc/INIT/stat */
	int console;   /* the pty's master for a foreground `run`, or -1 */
	bool console_taken;
	bool pid_written; /* the pid file is there, and still ours to undo */
	bool hooks_begun; /* some runtime hook ran: poststop hooks are owed */
	bool made_rdt;
	bool restores;		  /* CRIU makes the container */
	uint64_t more_namespaces; /* that a restored container has, whatever the document says */
	bool unit_asked;	  /* systemd was asked for the unit: it may exist */
	bool unit_silent;	  /* and did not answer in time */
	struct statx streams[3];  /* our own standard streams, which the container gets */
	bool streams_known;	  /* not where it gets a terminal */
	bool early;		  /* create_starts_early(), asked before the fork */
	bool limits_left;	  /* to I, by become_set_limits() */
	bool started;		  /* by START that was sent early: I has said EXEC */
	bool hung_up;		  /* the channel has ended: what it said is there */
	struct oom_mark oom;	  /* of a foreground `run`, before the program */
	bool dead;     /* delete: the init is gone, so a namespace need not be killed twice */
	bool leftover; /* an undo failed: the state directory stays, so that delete can try again */
	struct error leftover_error;
};

/* The bytes of the document alone, and the absolute path of the bundle. */
int create_read_text(struct create *create, struct runtime *runtime,
		     const struct create_options *options, struct error *err) must_check;
/* The document alone: read, parsed, decoded. */
int create_read_config(struct create *create, struct runtime *runtime,
		       const struct create_options *options, struct error *err) must_check;
/* Reads and checks config.json, makes the plan; touches nothing. */
int create_load(struct create *create, struct runtime *runtime,
		const struct create_options *options, struct error *err) must_check;
/* Puts file, line and column of config.json into ERR, if it has a pointer. */
void create_locate_error(const struct create *create, struct error *err);

/* Runs the table.  After 0 the container is created: its init waits for START. */
int create_run(struct create *create, struct error *err) must_check;
/* Undoes all of the table (delete), on what create_from_state() rebuilt. */
int create_undo(struct create *create, struct error *err) must_check;
void create_from_state(struct create *create, struct runtime *runtime, struct container *container);
void create_close(struct create *create);
/* What S and I do first: closes everything that is P's alone. */
void create_close_in_child(struct create *create);

/* Serves messages of S and I until END comes; the error is the peer's own, or says how it died. */
int create_serve(struct create *create, enum message_kind end, struct error *err) must_check;
/* Runs one kind of hooks in the runtime namespaces, with the state of STATUS. */
int create_hooks(struct create *create, enum oci_hook_kind kind, enum oci_status status,
		 struct error *err) must_check;
/* Whether S is needed: else P clones I itself. */
bool create_needs_stage(const struct create *create);
/*
 * Whether I comes last: S sets up all of the container, and I is born in a pid namespace that is
 * there already with nothing but what it may keep (CVE-2016-9962).
 */
bool create_is_born_late(const struct create *create);
/* Whether START is sent while I is still at work: I then says nothing before EXEC. */
bool create_starts_early(const struct create *create);
/* The clone3(2) flags that I is born with. */
uint64_t create_clone_flags(const struct create *create);
/* Where there is no S: the namespaces that I makes itself, and the network namespace, which P makes
 * meanwhile. */
uint64_t create_late_flags(const struct create *create);
/* I: joins the one that P has made, or will have; nothing where I was born in it. */
int create_join_network(const struct create *create, int channel, struct error *err) must_check;
/* Says which namespace it was when process_spawn() with FLAGS failed, and where it is asked for;
 * returns -1. */
int create_explain_spawn(const struct create *create, uint64_t flags, struct error *err);
/* Names the entry of linux.namespaces that asks for FLAG; returns -1. */
int create_explain_namespace(const struct create *create, uint64_t flag, struct error *err);
/* OOM score and affinity, in P's first child: all others inherit them. */
int create_tune(struct create *create, struct error *err) must_check;

/* stage.c, init.c: the main functions of the children; they do not return. */
void stage_main(struct create *create) never_returns;
void init_main(struct create *create) never_returns;
