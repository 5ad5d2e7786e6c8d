/* Rows of the create table that have a file of their own; see create.c for the table. */
#pragma once

#include <creel/oci_config.h>
#include <stdbool.h>

struct arena;
struct create;
struct error;
struct strings;

bool create_has_hooks(const struct oci_hooks *hooks, enum oci_hook_kind kind);

/* Also the rows of the restore table. */
int create_make_filter(struct create *create, struct error *err);
int create_make_state(struct create *create, struct error *err);
/* Our own streams, which the container gets: a checkpoint has to know them from its files. */
void create_note_streams(struct create *create);
int create_make_record(struct create *create, struct error *err);
int create_make_published(struct create *create, struct error *err);
int create_undo_published(struct create *create, struct error *err);
/* Sends the terminal's master to who waits for it, or keeps it for the relay. */
int create_take_console(struct create *create, int *fd, struct error *err);

int create_make_network(struct create *create, struct error *err);
int create_make_inside(struct create *create, struct error *err);
int create_make_cgroup(struct create *create, struct error *err);
int create_undo_cgroup(struct create *create, struct error *err);
int create_make_notify(struct create *create, struct error *err);
int create_make_limits(struct create *create, struct error *err);
/* Only what devices may be used, and whose the cgroup is. */
int create_equip_cgroup(struct create *create, struct error *err);
/* Those that would stop the set-up itself, when S is gone. */
int create_make_late_limits(struct create *create, struct error *err);
/* S has done all that it is for, and ends. */
int create_reap_stage(struct create *create, struct error *err);
/* Puts into the state what tells the process create->init from all others. */
int create_know_init(struct create *create, struct error *err);
int create_make_adoption(struct create *create, struct error *err);
int create_undo_adoption(struct create *create, struct error *err);

struct notify;

/* The end of `run`, and of `restore`: returns when the container is left to itself; watches it to
 * its end, without the lock; deletes what has ended. */
int run_leave(struct create *create, const struct notify *notify, struct error *err);
int run_watch(struct create *create, const struct notify *notify, int *exit_code,
	      struct error *err);
int run_end(struct create *create, struct error *err);

/* The properties of the unit that had to wait until S is gone. */
int create_make_unit_limits(struct create *create, struct error *err);
int create_save_exec_record(struct create *create, struct error *err);
