/* `creel check` on every golden document, whatever this host is: it always comes to an end, each
 * finding can be read, and what planning refuses is an error. */
#include "check.h"

#include <creel/cgroup.h>
#include <creel/check_bundle.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
	struct arena arena;
	struct runtime runtime;
	char bundle[64];
	int dir;
	int documents; /* tests/plan */
};

static struct world *make_world(void)
{
	static struct world world;
	struct error err = { 0 };
	const char *root = getenv("SOURCE_ROOT");

	world = (struct world){ .bundle = "/tmp/creel-check-XXXXXX" };
	world.runtime = (struct runtime){ .arena = &world.arena, .root = -1, .trace = -1 };
	check(mkdtemp(world.bundle) != NULL);
	world.dir = open(world.bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(world.dir >= 0 && mkdirat(world.dir, "rootfs", 0755) == 0);
	world.documents = open(text_format(&world.arena, "%s/tests/plan", root ? root : "."),
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(world.documents >= 0);
	world.runtime.procfs = procfs_open(&err);
	check(world.runtime.procfs >= 0);
	check(facts_ask(&world.arena, world.runtime.procfs, &world.runtime.facts, &err) == 0);
	world.runtime.cgroup_root = -1;
	if (world.runtime.facts.cgroup_mount)
		world.runtime.cgroup_root = cgroup_root(world.runtime.facts.cgroup_mount, &err);
	return &world;
}

static void free_world(struct world *world)
{
	unlinkat(world->dir, "config.json", 0);
	check(unlinkat(world->dir, "rootfs", AT_REMOVEDIR) == 0);
	check(rmdir(world->bundle) == 0);
	fd_close(&world->dir);
	fd_close(&world->documents);
	fd_close(&world->runtime.procfs);
	fd_close(&world->runtime.cgroup_root);
	arena_free(&world->arena);
}

static struct findings check_text_of(struct world *world, const char *text, size_t size,
				     enum cgroup_manager manager, bool rootless)
{
	const struct check_options options = {
		.bundle = world->bundle,
		.manager = manager,
		.rootless = rootless,
	};
	struct findings findings = { .arena = &world->arena };
	struct error err = { 0 };

	check(file_replace(world->dir, "config.json", text, size, 0644, false, &err) == 0);
	check(check_bundle(&world->runtime, &options, &findings, &err) == 0);
	for (size_t i = 0; i < findings.n; i++) {
		const struct error *found = &findings.items[i].error;

		check(found->what[0] != '\0');
		check(!found->where[0] || found->line > 0);
	}
	return findings;
}

/* The number picks who makes the cgroup, and for whom it is judged. */
static void check_document(struct world *world, const char *name, int number)
{
	struct error err = { 0 };
	struct findings findings;
	size_t size = 0;
	char *text =
	    file_read(&world->arena, world->documents, name, FILE_DOCUMENT_MAX, &size, &err);

	check(text != NULL);
	findings =
	    check_text_of(world, text, size, (enum cgroup_manager)(number % 3), number % 2 != 0);
	/* What others are called depends on the host. */
	if (text_starts_with(name, "check-decode") || text_starts_with(name, "bad-uid"))
		check(findings_count(&findings, FINDING_ERROR) > 0);
}

static void test_every_golden_document(void **state)
{
	struct world *world = make_world();
	DIR *dir = fdopendir(dup(world->documents));
	int n = 0;

	(void)state;
	check(dir != NULL);
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		if (!text_ends_with(entry->d_name, ".json") ||
		    text_starts_with(entry->d_name, "facts-"))
			continue;
		check_document(world, entry->d_name, n++);
	}
	closedir(dir);
	check(n > 200);
	free_world(world);
}

static void test_nothing_at_all(void **state)
{
	static const char *const texts[] = { "{}", "[]", "null", "7", "", "{", "\"\"" };
	struct world *world = make_world();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct findings findings = check_text_of(world, texts[i], strlen(texts[i]),
							 CGROUP_MANAGER_CGROUPFS, false);

		check(findings_count(&findings, FINDING_ERROR) > 0);
	}
	free_world(world);
}

static void test_the_host(void **state)
{
	struct world *world = make_world();
	struct host_rows rows = check_host(&world->runtime);

	(void)state;
	check(rows.n > 10);
	for (size_t i = 0; i < rows.n; i++) {
		check(rows.items[i].group && rows.items[i].name && rows.items[i].value);
		check((rows.items[i].advice == NULL) == (rows.items[i].status == HOST_WORKS));
	}
	free_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_golden_document),
		cmocka_unit_test(test_nothing_at_all),
		cmocka_unit_test(test_the_host),
	};

	return check_all(tests);
}
