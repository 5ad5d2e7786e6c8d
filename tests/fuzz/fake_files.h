/*
 * Files that are not there.  The linker puts these in the place of the functions by which the rooms
 * read files
 * (`-Wl,--wrap`), so that a parser of the kernel's or the host's files is fed bytes, and nothing of
 * it is changed for that.
 */
#pragma once

#include <creel/arena.h>
#include <creel/error.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* From now on a file whose path ends with NAME holds the SIZE bytes at TEXT, which must stay. */
void fake_file(const char *name, const char *text, size_t size);
/* None is there any more. */
void fake_clear(void);

char *__wrap_file_read(struct arena *arena, int dir, const char *name, size_t max, size_t *size,
		       struct error *err);
char *__wrap_file_read_fd(struct arena *arena, int fd, size_t max, size_t *size, struct error *err);
char *__wrap_file_read_open(struct arena *arena, int fd, size_t size_now, size_t max, size_t *size,
			    struct error *err);
ssize_t __wrap_file_read_small(int dir, const char *name, char *buffer, size_t size);
int __wrap_procfs_open_file(int procfs, const char *name, uint64_t flags, struct error *err);
ssize_t __wrap_procfs_read(int procfs, const char *name, char *buffer, size_t size);
char *__wrap_cgroup_read(struct arena *arena, int fd, const char *file);
