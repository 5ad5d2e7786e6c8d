/* The table of mounts as procfs shows it: /proc/PID/mountinfo.  Source: proc_pid_mountinfo(5). */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;

struct mount_line {
	int id;
	int parent;
	char *device; /* "major:minor" of the filesystem */
	char *root;   /* the directory of the filesystem that is mounted */
	char *point;  /* where, seen from the process's root */
	char *flags;  /* of the mount: "ro,nosuid" */
	char *type;
	char *source;
	char *options; /* of the filesystem: "rw,size=64k" */
};

/* Our own table. */
char *mount_table_read(struct arena *arena, int procfs, struct error *err) must_check;
/* That of the process PID. */
char *mount_table_of(struct arena *arena, int procfs, pid_t pid, struct error *err) must_check;
/* Takes the next line out of *TEXT, unescaped in place; false at the end. */
bool mount_table_next(char **text, struct mount_line *line);
/* Is PATH the directory ABOVE or below it? */
bool mount_is_below(const char *path, const char *above);
