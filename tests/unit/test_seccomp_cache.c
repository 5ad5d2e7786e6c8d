/* The cache of filters: what is not certainly our own answer to this very profile is not used. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include <creel/file.h>
#include <creel/seccomp_cache.h>

#include "room.h"

/* Everything is allowed but for one call; BLANK stands between the members. */
static struct plan_seccomp get_from(struct room *room, int root, const char *call,
				    const char *blank)
{
	const char *text = text_format(&room->arena,
				       "{\"defaultAction\":\"SCMP_ACT_ALLOW\",%s\"syscalls\":[{"
				       "\"names\":[\"%s\"],\"action\":\"SCMP_ACT_ERRNO\"}]}",
				       blank, call);
	struct oci_seccomp seccomp = { 0 };
	struct error err = { 0 };
	struct plan_seccomp plan;

	check_int(schema_parse(&oci_seccomp_schema, &room->arena, "profile", text, strlen(text),
			       &seccomp, NULL, &err),
		  0);
	check_int(seccomp_cache_get(&room->arena, root, &seccomp, text, strlen(text), &plan, &err),
		  0);
	check(plan.program.length > 0);
	return plan;
}

static struct plan_seccomp get(struct room *room, const char *call)
{
	return get_from(room, room->runtime.root, call, "");
}

static bool is_same(const struct plan_seccomp *a, const struct plan_seccomp *b)
{
	return a->program.length == b->program.length && a->program.flags == b->program.flags &&
	       memcmp(a->program.filter, b->program.filter,
		      a->program.length * sizeof(struct sock_filter)) == 0;
}

static int cache_directory(struct room *room)
{
	return openat(room->runtime.root, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The one entry's name. */
static char *entry_of(struct room *room, int cache)
{
	DIR *dir = fdopendir(dup(cache));
	char *name = NULL;

	rewinddir(dir);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (entry->d_name[0] != '.')
			name = arena_strdup(&room->arena, entry->d_name);
	closedir(dir);
	check(name != NULL);
	return name;
}

static void test_the_second_time_it_is_the_same(void **state)
{
	struct plan_seccomp first, second, other;
	struct room room;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");
	second = get(&room, "mount");
	other = get(&room, "reboot");
	check(is_same(&first, &second));
	check(!is_same(&first, &other));
	room_close(&room);
}

/* What is written otherwise is asked anew, and means the same. */
static void test_the_text_counts_not_its_meaning(void **state)
{
	struct plan_seccomp first, second, again;
	struct room room;
	auto_fd cache = -1;
	char *name;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");
	cache = cache_directory(&room);
	name = entry_of(&room, cache);
	second = get_from(&room, room.runtime.root, "mount", " ");
	check(is_same(&first, &second));
	check_int(unlinkat(cache, name, 0), 0);
	check(strcmp(entry_of(&room, cache), name) != 0);
	again = get_from(&room, room.runtime.root, "mount", " ");
	check(is_same(&first, &again));
	room_close(&room);
}

/* It is really read: an entry of ours is believed, with the instruction that we change in it. */
static void test_an_entry_is_used(void **state)
{
	struct plan_seccomp first, second;
	struct error err = { 0 };
	struct room room;
	size_t size;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");

	auto_fd cache = cache_directory(&room);
	char *name = entry_of(&room, cache);
	char *entry = file_read(&room.arena, cache, name, 1 << 20, &size, &err);

	entry[size - 1] ^= 1; /* the constant of the last instruction */
	check_int(file_replace(cache, name, entry, size, 0600, false, &err), 0);
	second = get(&room, "mount");
	check(!is_same(&first, &second));
	room_close(&room);
}

static void test_every_prefix_of_an_entry_is_ignored(void **state)
{
	struct plan_seccomp first, second;
	struct error err = { 0 };
	struct room room;
	size_t size;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");

	auto_fd cache = cache_directory(&room);
	char *name = entry_of(&room, cache);
	char *entry = file_read(&room.arena, cache, name, 1 << 20, &size, &err);

	for (size_t n = 0; n < size; n += n < 64 ? 1 : 13) {
		check_int(file_replace(cache, name, entry, n, 0600, false, &err), 0);
		second = get(&room, "mount");
		check(is_same(&first, &second));
	}
	room_close(&room);
}

/* A byte of the head or of the key that is not ours: another profile, another version, another
 * size. */
static void test_a_poisoned_head_or_key_is_ignored(void **state)
{
	struct plan_seccomp first, second;
	struct error err = { 0 };
	struct room room;
	size_t size, code;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");
	code = first.program.length * sizeof(struct sock_filter);

	auto_fd cache = cache_directory(&room);
	char *name = entry_of(&room, cache);
	char *entry = file_read(&room.arena, cache, name, 1 << 20, &size, &err);

	for (size_t i = 0; i < size - code; i++) {
		/* Flags and notification are the program's, not the key's. */
		if (i >= 16 && i < 24)
			continue;
		entry[i] ^= 0x41;
		check_int(file_replace(cache, name, entry, size, 0600, false, &err), 0);
		second = get(&room, "mount");
		check(is_same(&first, &second));
		entry[i] ^= 0x41;
	}
	room_close(&room);
}

static void test_an_entry_that_others_may_write_is_ignored(void **state)
{
	struct plan_seccomp first, second;
	struct error err = { 0 };
	struct room room;
	size_t size;

	(void)state;
	room_open(&room);
	first = get(&room, "mount");

	auto_fd cache = cache_directory(&room);
	char *name = entry_of(&room, cache);
	char *entry = file_read(&room.arena, cache, name, 1 << 20, &size, &err);

	entry[size - 1] ^= 1;
	check_int(file_replace(cache, name, entry, size, 0622, false, &err), 0);
	check_int(fchmodat(cache, name, 0622, 0), 0);
	second = get(&room, "mount");
	check(is_same(&first, &second));

	if (geteuid() == 0) {
		check_int(file_replace(cache, name, entry, size, 0600, false, &err), 0);
		check_int(fchownat(cache, name, 12345, 0, 0), 0);
		second = get(&room, "mount");
		check(is_same(&first, &second));
	}
	/* A link to an entry that would be believed. */
	check_int(file_replace(cache, "poison", entry, size, 0600, false, &err), 0);
	check_int(unlinkat(cache, name, 0), 0);
	check_int(symlinkat("poison", cache, name), 0);
	second = get(&room, "mount");
	check(is_same(&first, &second));
	room_close(&room);
}

static void test_no_cache_costs_time_only(void **state)
{
	struct plan_seccomp plan, again;
	struct room room;

	(void)state;
	room_open(&room);
	plan = get_from(&room, -1, "mount", "");
	/* A directory of others. */
	check_int(mkdirat(room.runtime.root, ".cache", 0700), 0);
	check_int(fchmodat(room.runtime.root, ".cache", 0777, 0), 0);
	again = get(&room, "mount");
	check(is_same(&plan, &again));
	check_int(faccessat(room.runtime.root, ".cache/seccomp", F_OK, 0), -1);
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_second_time_it_is_the_same),
		cmocka_unit_test(test_the_text_counts_not_its_meaning),
		cmocka_unit_test(test_an_entry_is_used),
		cmocka_unit_test(test_every_prefix_of_an_entry_is_ignored),
		cmocka_unit_test(test_a_poisoned_head_or_key_is_ignored),
		cmocka_unit_test(test_an_entry_that_others_may_write_is_ignored),
		cmocka_unit_test(test_no_cache_costs_time_only),
	};

	return check_all(tests);
}
