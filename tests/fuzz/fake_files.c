/* See the header. */
#include "fake_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <creel/text.h>

#define FILES_MAX 32

struct file {
	const char *name;
	const char *text;
	size_t size;
};

static struct file files[FILES_MAX];
static size_t files_n;
/* Of the last that was opened: there is never more than one open. */
static const struct file *opened;

void fake_file(const char *name, const char *text, size_t size)
{
	if (files_n < FILES_MAX)
		files[files_n++] = (struct file){ name, text, size };
}

void fake_clear(void)
{
	files_n = 0;
	opened = NULL;
}

static const struct file *find(const char *path)
{
	for (size_t i = 0; i < files_n; i++)
		if (text_ends_with(path, files[i].name))
			return &files[i];
	return NULL;
}

/* With the NUL bytes that it may hold, and one more. */
static char *copy(struct arena *arena, const struct file *file)
{
	char *text = arena_alloc(arena, file->size + 1);

	if (file->size > 0)
		memcpy(text, file->text, file->size);
	return text;
}

static char *content(struct arena *arena, const struct file *file, const char *name, size_t max,
		     size_t *size, struct error *err)
{
	if (!file) {
		error_system(err, ENOENT, "cannot open %s", name);
		return NULL;
	}
	if (file->size > max) {
		error_system(err, EFBIG, "cannot read %s", name);
		return NULL;
	}
	if (size)
		*size = file->size;
	return copy(arena, file);
}

char *__wrap_file_read(struct arena *arena, int dir, const char *name, size_t max, size_t *size,
		       struct error *err)
{
	(void)dir;
	return content(arena, find(name), name, max, size, err);
}

char *__wrap_file_read_fd(struct arena *arena, int fd, size_t max, size_t *size, struct error *err)
{
	(void)fd;
	return content(arena, opened ? opened : find("opened"), "the file", max, size, err);
}

char *__wrap_file_read_open(struct arena *arena, int fd, size_t size_now, size_t max, size_t *size,
			    struct error *err)
{
	(void)size_now;
	return __wrap_file_read_fd(arena, fd, max, size, err);
}

/* As the real one: without the last newline, and never cut. */
static ssize_t small(const struct file *file, char *buffer, size_t size)
{
	size_t length;

	if (!file) {
		errno = ENOENT;
		return -1;
	}
	length = file->size;
	if (length >= size) {
		errno = EOVERFLOW;
		return -1;
	}
	memcpy(buffer, file->text, length);
	if (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return (ssize_t)length;
}

ssize_t __wrap_file_read_small(int dir, const char *name, char *buffer, size_t size)
{
	(void)dir;
	return small(find(name), buffer, size);
}

ssize_t __wrap_procfs_read(int procfs, const char *name, char *buffer, size_t size)
{
	(void)procfs;
	return small(find(name), buffer, size);
}

int __wrap_procfs_open_file(int procfs, const char *name, uint64_t flags, struct error *err)
{
	(void)procfs;
	(void)flags;
	opened = find(name);
	if (!opened)
		return error_system(err, ENOENT, "cannot open /proc/%s", name);
	/* Something to close. */
	return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
}

char *__wrap_cgroup_read(struct arena *arena, int fd, const char *file)
{
	const struct file *found = find(file);
	char *text;

	(void)fd;
	if (!found)
		return NULL;
	text = copy(arena, found);
	if (found->size > 0 && text[found->size - 1] == '\n')
		text[found->size - 1] = '\0';
	return text;
}
