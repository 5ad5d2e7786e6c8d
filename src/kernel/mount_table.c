/* The table of mounts as procfs shows it, for the few decisions and the many hints that need it. */
#include <creel/mount_table.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>

#include "syscalls.h"

static char *read_table(struct arena *arena, int procfs, const char *name, struct error *err)
{
	auto_fd fd = procfs_open_file(procfs, name, O_RDONLY, err);

	if (fd < 0)
		return NULL;
	return file_read_fd(arena, fd, FILE_DOCUMENT_MAX, NULL, err);
}

char *mount_table_read(struct arena *arena, int procfs, struct error *err)
{
	return read_table(arena, procfs, "self/mountinfo", err);
}

char *mount_table_of(struct arena *arena, int procfs, pid_t pid, struct error *err)
{
	char name[32];

	snprintf(name, sizeof(name), "%d/mountinfo", pid);
	return read_table(arena, procfs, name, err);
}

/* The kernel writes blanks and backslashes as three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw" */
bool mount_table_next(char **text, struct mount_line *line)
{
	char *rest = strsep(text, "\n");

	if (!rest || !*rest)
		return false;

	const char *id = strsep(&rest, " ");
	const char *parent = strsep(&rest, " ");
	char *word;

	*line = (struct mount_line){ .id = atoi(id), .parent = parent ? atoi(parent) : 0 };
	line->device = strsep(&rest, " ");
	line->root = strsep(&rest, " ");
	line->point = strsep(&rest, " ");
	line->flags = strsep(&rest, " ");
	while ((word = strsep(&rest, " ")))
		if (word[0] == '-' && word[1] == '\0')
			break;
	line->type = strsep(&rest, " ");
	line->source = strsep(&rest, " ");
	line->options = strsep(&rest, " ");
	if (!line->type || !line->options)
		return false;
	unescape(line->root);
	unescape(line->point);
	return true;
}

bool mount_is_below(const char *path, const char *above)
{
	size_t length = strlen(above);

	if (length == 1 && above[0] == '/')
		return path[0] == '/';
	return strncmp(path, above, length) == 0 && (path[length] == '/' || path[length] == '\0');
}
