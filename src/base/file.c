/*
 * Files: read whole, write whole, replace atomically, remove; always beneath a directory
 * descriptor.
 */
#include <creel/file.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a first read of something of unknown size asks for. */
#define UNKNOWN_SIZE ((size_t)4096)
/* Half of the page that the kernel fills before it gives it out: see file_is_end(). */
#define PIECE_MAX 2048

/*
 * Reads FD to its end.  When fstat() said that it has EXPECTED bytes one more is asked for: a file
 * that has not changed is read with one call.
 */
static char *read_rest(struct arena *arena, int fd, size_t expected, bool said, size_t max,
		       size_t *size, struct error *err)
{
	size_t room = expected + 2; /* one to see the end, one for the NUL */
	char *text = arena_alloc(arena, room);
	size_t length = 0;

	for (;;) {
		ssize_t got = read(fd, text + length, room - 1 - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			error_system(err, errno, "cannot read");
			error_call(err, "read");
			return NULL;
		}
		if (got == 0)
			break;
		length += (size_t)got;
		if (length > max) {
			error_config_at(err, NULL, "more than %zu bytes", max);
			return NULL;
		}
		if (said && length == expected)
			break;
		if (length == room - 1) {
			char *larger = arena_alloc(arena, room * 2);

			memcpy(larger, text, length);
			text = larger;
			room *= 2;
		}
	}
	text[length] = '\0';
	if (size)
		*size = length;
	return text;
}

char *file_read_fd(struct arena *arena, int fd, size_t max, size_t *size, struct error *err)
{
	return read_rest(arena, fd, max < UNKNOWN_SIZE ? max : UNKNOWN_SIZE, false, max, size, err);
}

char *file_read_open(struct arena *arena, int fd, size_t size_now, size_t max, size_t *size,
		     struct error *err)
{
	return read_rest(arena, fd, size_now, size_now > 0, max, size, err);
}

char *file_read(struct arena *arena, int dir, const char *name, size_t max, size_t *size,
		struct error *err)
{
	/* A FIFO would block and a terminal would become ours: NAME may be anybody's. */
	auto_fd fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	char *text;

	if (fd < 0) {
		error_system(err, errno, "cannot open %s", name);
		return NULL;
	}
	if (fstat(fd, &st) < 0) {
		error_system(err, errno, "cannot read %s", name);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		error_config_at(err, NULL, "%s is not a regular file", name);
		return NULL;
	}
	if ((uint64_t)st.st_size > max) {
		error_config_at(err, NULL, "%s is larger than %zu bytes", name, max);
		return NULL;
	}
	text = file_read_open(arena, fd, (size_t)st.st_size, max, size, err);
	if (!text)
		error_while(err, "%s", name);
	return text;
}

bool file_is_end(const char *text, size_t got, size_t length, size_t size)
{
	return got == 0 || (length < size && length <= PIECE_MAX && text[length - 1] == '\n');
}

ssize_t file_read_small(int dir, const char *name, char *buffer, size_t size)
{
	auto_fd fd = openat(dir, name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	size_t length = 0;

	if (fd < 0)
		return -1;
	for (;;) {
		ssize_t got = read(fd, buffer + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		length += (size_t)got;
		if (file_is_end(buffer, (size_t)got, length, size))
			break;
		/* No room for the NUL: half a value is none. */
		if (length == size) {
			errno = EFBIG;
			return -1;
		}
	}
	if (length > 0 && buffer[length - 1] == '\n')
		length--;
	buffer[length] = '\0';
	return (ssize_t)length;
}

int file_write_kernel(int dir, const char *name, const char *text, struct error *err)
{
	auto_fd fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	size_t size = strlen(text);
	ssize_t written;

	if (fd < 0) {
		error_system(err, errno, "cannot open %s for writing", name);
		return error_call(err, "openat");
	}
	do
		written = write(fd, text, size);
	while (written < 0 && errno == EINTR);
	if (written < 0) {
		error_system(err, errno, "cannot write \"%s\" to %s", text, name);
		return error_call(err, "write");
	}
	if ((size_t)written != size)
		return error_system(err, EIO, "cannot write \"%s\" to %s", text, name);
	return 0;
}

/* Writes the new content under its temporary name. */
static int write_new(int dir, const char *name, const void *data, size_t size, mode_t mode,
		     bool sync, struct error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	auto_fd fd = openat(dir, name, flags, mode);

	/* What lies there was left by a process long dead: its name has our process id in it, or we
	 * hold the lock. */
	if (fd < 0 && errno == EEXIST && unlinkat(dir, name, 0) == 0)
		fd = openat(dir, name, flags, mode);
	if (fd < 0)
		return error_system(err, errno, "cannot make %s", name);
	/* The umask is for others; what they may do is ours to say. */
	if ((mode & 0077) && fchmod(fd, mode) < 0)
		return error_system(err, errno, "cannot set the mode of %s", name);
	if (fd_write_all(fd, data, size, err) < 0)
		return -1;
	if (sync && fsync(fd) < 0)
		return error_system(err, errno, "cannot sync %s", name);
	return 0;
}

/* Half a file is none.  NAME is for the message. */
static int write_or_remove(int dir, const char *path, const char *name, const void *data,
			   size_t size, mode_t mode, bool sync, struct error *err)
{
	if (write_new(dir, path, data, size, mode, sync, err) == 0)
		return 0;
	unlinkat(dir, path, 0);
	return error_while(err, "cannot write %s", name);
}

int file_make(int dir, const char *name, const void *data, size_t size, mode_t mode,
	      struct error *err)
{
	return write_or_remove(dir, name, name, data, size, mode, false, err);
}

/* NUMBER is 0 where nobody else can be at it. */
static int temporary_name(char temporary[NAME_MAX + 1], const char *name, int number,
			  struct error *err)
{
	if (snprintf(temporary, NAME_MAX + 1, ".%s.%d", name, number) > NAME_MAX)
		return error_system(err, ENAMETOOLONG, "cannot write %s", name);
	return 0;
}

static int move_over(int dir, const char *temporary, const char *name, struct error *err)
{
	if (renameat(dir, temporary, dir, name) == 0)
		return 0;
	error_system(err, errno, "cannot replace %s", name);
	unlinkat(dir, temporary, 0);
	return error_call(err, "renameat");
}

int file_prepare(int dir, const char *name, const void *data, size_t size, mode_t mode, bool sync,
		 struct error *err)
{
	char temporary[NAME_MAX + 1];

	if (temporary_name(temporary, name, 0, err) < 0)
		return -1;
	return write_or_remove(dir, temporary, name, data, size, mode, sync, err);
}

int file_commit(int dir, const char *name, struct error *err)
{
	char temporary[NAME_MAX + 1];

	if (temporary_name(temporary, name, 0, err) < 0)
		return -1;
	return move_over(dir, temporary, name, err);
}

int file_replace(int dir, const char *name, const void *data, size_t size, mode_t mode, bool sync,
		 struct error *err)
{
	char temporary[NAME_MAX + 1];

	if (temporary_name(temporary, name, (int)getpid(), err) < 0 ||
	    write_or_remove(dir, temporary, name, data, size, mode, sync, err) < 0)
		return -1;
	return move_over(dir, temporary, name, err);
}

int file_replace_path(const char *path, const void *data, size_t size, mode_t mode,
		      struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char directory[PATH_MAX];
	auto_fd dir = -1;
	struct stat st;

	if (*name == '\0')
		return error_system(err, EISDIR, "cannot write %s", path);
	if (strlen(path) >= sizeof(directory))
		return error_system(err, ENAMETOOLONG, "cannot write %s", path);
	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(name - path) : 1,
		 slash ? path : ".");
	dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_system(err, errno, "cannot open the directory of %s", path);
	/* A device or a FIFO (/dev/null) would be gone for everybody after the rename. */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode))
		return error_system(err, EEXIST, "cannot replace %s by a file", path);
	if (file_replace(dir, name, data, size, mode, false, err) < 0)
		return error_while(err, "cannot write %s", path);
	return 0;
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

#define auto_directory cleanup_with(close_directory) DIR *

/* Trees of ours are shallow; each level holds a descriptor. */
#define TREE_DEPTH_MAX 64

static int remove_tree(int dir, const char *name, unsigned int depth, struct error *err);

static int remove_entries(DIR *directory, unsigned int depth, struct error *err)
{
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(directory);
		if (!entry && errno != 0)
			return error_system(err, errno, "cannot list a directory");
		if (!entry)
			return 0;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_tree(dirfd(directory), entry->d_name, depth, err) < 0)
			return -1;
	}
}

static int remove_directory(int dir, const char *name, unsigned int depth, struct error *err)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	auto_fd fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	auto_directory directory = NULL;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_system(err, errno, "cannot open %s to remove it", name);
	if (depth == TREE_DEPTH_MAX)
		return error_system(err, ELOOP, "cannot remove %s", name);
	directory = fdopendir(fd);
	if (!directory)
		return error_system(err, errno, "cannot list %s", name);
	fd = -1; /* the stream owns it */
	if (remove_entries(directory, depth + 1, err) < 0)
		return error_while(err, "%s", name);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_system(err, errno, "cannot remove the directory %s", name);
	return 0;
}

static int remove_tree(int dir, const char *name, unsigned int depth, struct error *err)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return error_system(err, errno, "cannot remove %s", name);
	return remove_directory(dir, name, depth, err);
}

int file_remove_tree(int dir, const char *name, struct error *err)
{
	return remove_tree(dir, name, 0, err);
}
