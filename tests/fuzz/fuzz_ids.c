/*
 * Lines of /etc/passwd, of the host and of the image, and of /etc/subuid: the sections of the
 * input, between NUL bytes.  HOME is what a second reader finds, and nothing in these files breaks
 * a message.
 */
#include "fuzz.h"

#include <creel/become.h>
#include <creel/error.h>
#include <creel/probe.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/kernel/idmap_parts.h"
#include "fake_files.h"

/* Whose lines are looked for. */
#define UID 1000

int __wrap_inroot_try(int root, const char *path, uint64_t flags);

static int regular = -1;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	regular = memfd_create("passwd", MFD_CLOEXEC);
	must(regular >= 0);
	return 0;
}

/* The image's passwd: a regular file, whose content is read by file_read_open(). */
int __wrap_inroot_try(int root, const char *path, uint64_t flags)
{
	(void)root;
	(void)path;
	(void)flags;
	return fcntl(regular, F_DUPFD_CLOEXEC, 3);
}

/* The 6th field, when it begins with a slash, of the first line with the uid in decimal in the 3rd.
 */
static bool expected_home(const char *text, char *home, size_t size)
{
	while (*text) {
		size_t length = strcspn(text, "\n"), n = 0;
		const char *field[8];
		size_t width[8];
		const char *at = text;

		for (;;) {
			width[n] = strcspn(at, ":\n");
			field[n++] = at;
			at += width[n - 1];
			if (n == 7 || *at != ':')
				break;
			at++;
		}
		if (n >= 6 && width[2] > 0 && width[2] <= 20 &&
		    strspn(field[2], "0123456789") == width[2] &&
		    strtoull(field[2], NULL, 10) == UID && field[5][0] == '/') {
			snprintf(home, size, "HOME=%.*s", (int)width[5], field[5]);
			return true;
		}
		text += length;
		text += *text == '\n';
	}
	return false;
}

static void find_home(struct arena *arena, const char *text, size_t size)
{
	const struct plan_process process = { .needs_home = true, .uid = UID };
	struct become become = { .arena = arena, .process = &process, .root = -1 };
	char *home = arena_alloc(arena, size + 8);
	struct error err = { 0 };
	const char *found = NULL;

	fake_file("opened", text, size);
	must(become_find_home(&become, &err) == 0);
	for (size_t i = 0; i < become.env.n; i++)
		if (text_starts_with(become.env.items[i], "HOME="))
			found = become.env.items[i];
	must(found != NULL);
	must(strcmp(found, expected_home(text, home, size + 8) ? home : "HOME=/") == 0);
}

/* What `check` says of the same table: whole ranges of the user's own lines. */
static void find_ranges(struct arena *arena, const char *text, size_t size)
{
	struct probe_ranges ranges = probe_subids(arena, "/etc/subuid", UID);
	size_t lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	must(ranges.n <= lines);
	for (size_t i = 0; i < ranges.n; i++)
		must(ranges.items[i].first <= UINT32_MAX && ranges.items[i].count <= UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	size_t image_size, host_size, subids_size;
	const char *image = take_text(&arena, &bytes, '\0', &image_size);
	const char *host = take_text(&arena, &bytes, '\0', &host_size);
	const char *subids = take_rest(&arena, &bytes, &subids_size);
	char text[128];

	fake_clear();
	fake_file("/etc/passwd", host, host_size);
	fake_file("/etc/subuid", subids, subids_size);
	find_home(&arena, image, image_size);
	find_ranges(&arena, subids, subids_size);
	for (size_t room = sizeof(text); room > 16; room /= 2) {
		memset(text, 'x', sizeof(text));
		idmap_describe_subids("/etc/subuid", UID, text, room);
		must(strnlen(text, room) < room && text[0] != '\0');
	}
	return 0;
}
