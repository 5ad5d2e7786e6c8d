/* Files: read whole, write whole, replace atomically; always relative to a directory descriptor (or
 * AT_FDCWD). */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* A document of 16 MiB is the largest that creel reads (SECURITY H-54). */
#define FILE_DOCUMENT_MAX ((size_t)16 << 20)

/*
 * Reads the regular file NAME in DIR whole, NUL-terminated, in the arena.  More than MAX bytes, and
 * anything that is not a regular file, is an error; opening never blocks on a FIFO.  *SIZE may be
 * NULL.
 */
char *file_read(struct arena *arena, int dir, const char *name, size_t max, size_t *size,
		struct error *err) must_check;
/* The same of a regular file that is open, and had SIZE_NOW bytes a moment ago: one read(2). */
char *file_read_open(struct arena *arena, int fd, size_t size_now, size_t max, size_t *size,
		     struct error *err) must_check;
/* Reads what an open descriptor has left, up to MAX bytes (standard input, a pipe, /proc and /sys
 * files). */
char *file_read_fd(struct arena *arena, int fd, size_t max, size_t *size,
		   struct error *err) must_check;
/* Reads a small file of a kernel filesystem into BUFFER, strips the last newline; the length or -1
 * with errno set. */
ssize_t file_read_small(int dir, const char *name, char *buffer, size_t size);
/*
 * Whether a kernel file was read to its end, without the read(2) that returns 0: the last one got
 * GOT bytes of TEXT, which has LENGTH in all and room for SIZE.  seq_file of the kernel stops early
 * only when the next record has no room in a page, and no record that creel reads has half a page;
 * what is cut elsewhere does not end in a line feed.
 */
bool file_is_end(const char *text, size_t got, size_t length, size_t size);

/* Writes NAME in DIR, which must exist, with one write(2): for kernel files. */
int file_write_kernel(int dir, const char *name, const char *text, struct error *err) must_check;

/*
 * Makes or replaces NAME in DIR atomically: a reader sees the old or the new content, never a part.
 * The temporary name starts with a dot and is removed on failure.  SYNC makes it durable before the
 * rename.
 */
int file_replace(int dir, const char *name, const void *data, size_t size, mode_t mode, bool sync,
		 struct error *err) must_check;
/* Makes NAME in DIR, or makes it anew: for what nobody reads before another file tells of it. */
int file_make(int dir, const char *name, const void *data, size_t size, mode_t mode,
	      struct error *err) must_check;
/* file_replace() in two halves: the first takes nearly all of the time, the second is one rename.
 * Between them nobody sees the new content.  Only who has locked DIR may: there is one temporary
 * name. */
int file_prepare(int dir, const char *name, const void *data, size_t size, mode_t mode, bool sync,
		 struct error *err) must_check;
int file_commit(int dir, const char *name, struct error *err) must_check;
/* file_replace() for a path that a user gave (--pid-file): never follows a symbolic link in the
 * last component. */
int file_replace_path(const char *path, const void *data, size_t size, mode_t mode,
		      struct error *err) must_check;

/* Removes the tree NAME in DIR, without following links or crossing mounts; a missing one is fine.
 */
int file_remove_tree(int dir, const char *name, struct error *err) must_check;
