/* Rows of the create table that have a file of their own; see create.c for the table. */
#pragma once

struct create;
struct error;

int create_make_cgroup(struct create *create, struct error *err);
int create_undo_cgroup(struct create *create, struct error *err);
int create_make_notify(struct create *create, struct error *err);
int create_make_limits(struct create *create, struct error *err);
int create_make_adoption(struct create *create, struct error *err);
int create_undo_adoption(struct create *create, struct error *err);
/* The properties of the unit that had to wait until S is gone. */
int create_make_unit_limits(struct create *create, struct error *err);
int create_save_exec_record(struct create *create, struct error *err);
