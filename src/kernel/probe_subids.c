/* Which ids /etc/subuid and /etc/subgid give a user, and the programs that hand them out. */
#include <creel/probe.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/file.h>

#define TABLE_MAX ((size_t)1 << 20)

/* getpwuid(3) would load NSS modules, which a static program cannot. */
static const char *user_name(struct arena *arena, uid_t uid)
{
	struct error ignored = { 0 };
	char *rest = file_read(arena, AT_FDCWD, "/etc/passwd", TABLE_MAX, NULL, &ignored);

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *name = strsep(&line, ":");
		uint64_t number;

		strsep(&line, ":");
		if (line && text_parse_uint(strsep(&line, ":"), UINT32_MAX, &number) &&
		    number == uid)
			return name;
	}
	return NULL;
}

static bool parse_range(char *text, struct probe_range *range)
{
	char *first = strsep(&text, ":");

	return text && text_parse_uint(first, UINT32_MAX, &range->first) &&
	       text_parse_uint(text, UINT32_MAX, &range->count);
}

struct probe_ranges probe_subids(struct arena *arena, const char *table, uid_t uid)
{
	struct error ignored = { 0 };
	const char *name = user_name(arena, uid);
	const char *number = text_format(arena, "%u", uid);
	char *rest = file_read(arena, AT_FDCWD, table, TABLE_MAX, NULL, &ignored);
	struct probe_ranges ranges = { 0 };
	size_t lines = 1;

	for (const char *c = rest; c && *c; c++)
		lines += *c == '\n';
	ranges.items = arena_array(arena, lines, sizeof(*ranges.items));
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		char *owner = strsep(&line, ":");

		if (line && (text_equal(owner, number) || (name && text_equal(owner, name))) &&
		    parse_range(line, &ranges.items[ranges.n]))
			ranges.n++;
	}
	return ranges;
}

char *probe_program(struct arena *arena, const char *name)
{
	static const char *const directories[] = { "/usr/bin",	       "/bin",	"/usr/local/bin",
						   "/usr/sbin",	       "/sbin", "/usr/local/sbin",
						   "/run/wrappers/bin" };

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		char *path = text_format(arena, "%s/%s", directories[i], name);

		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}
