/* Who may map which ids: /etc/subuid and /etc/subgid as newuidmap(1) reads them, to explain why it
 * refused. */
#include "idmap_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <creel/arena.h>
#include <creel/error.h>
#include <creel/file.h>
#include <creel/text.h>

/* Our name in /etc/passwd.  getpwuid(3) would load NSS modules, which a static program cannot. */
static const char *own_name(struct arena *arena, const char *uid)
{
	struct error ignored = { 0 };
	char *lines = file_read(arena, AT_FDCWD, "/etc/passwd", (size_t)1 << 20, NULL, &ignored);
	char *rest = NULL;

	for (char *line = lines ? strtok_r(lines, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *name = strsep(&line, ":");

		strsep(&line, ":");
		if (text_equal(strsep(&line, ":"), uid))
			return name;
	}
	return uid;
}

/* Lines are "name-or-uid:first:count". */
void idmap_describe_subids(const char *table, uid_t uid, char *text, size_t size)
{
	auto_arena arena = { 0 };
	struct error ignored = { 0 };
	char *lines = file_read(&arena, AT_FDCWD, table, (size_t)1 << 20, NULL, &ignored);
	char number[16], *rest = NULL;

	snprintf(number, sizeof(number), "%u", uid);

	const char *name = own_name(&arena, number);

	if (lines)
		snprintf(text, size, "%s has no range for %.32s", table, name);
	else
		snprintf(text, size, "%s cannot be read", table);
	for (char *line = lines ? strtok_r(lines, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *owner = strsep(&line, ":");

		if (line && (text_equal(owner, number) || text_equal(owner, name)))
			snprintf(text, size, "%s gives %.32s the range %.32s", table, owner, line);
	}
}
