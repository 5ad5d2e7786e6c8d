/*
 * An entry of the cache of compiled filters: whatever lies there, the filter is the profile's or
 * byte for byte what a whole entry with the profile's own key says.  An even first byte puts a
 * right head and key before the rest.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/seccomp_cache.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/stat.h>
#include <unistd.h>

static const char profile_text[] =
    "{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"], "
    "\"syscalls\": [ { \"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ERRNO\" } ] }";

static struct arena forever;
static struct oci_seccomp profile;
static struct plan_seccomp compiled;
/* The entry as creel itself wrote it: head, key, instructions. */
static char *entry;
static size_t entry_size, front_size;

static char path[] = "/tmp/fuzz-saved-XXXXXX";
static char name[64];
static int root = -1, cache = -1, file = -1;

int __wrap_file_replace(int dir, const char *target, const void *data, size_t size, mode_t mode,
			bool sync, struct error *err);

/* Keeps what would be written the first time; the name it has is that of the file to read. */
int __wrap_file_replace(int dir, const char *target, const void *data, size_t size, mode_t mode,
			bool sync, struct error *err)
{
	(void)mode;
	(void)sync;
	(void)err;
	if (entry)
		return 0;
	entry = arena_copy(&forever, data, size);
	entry_size = size;
	snprintf(name, sizeof(name), "%s", target);
	file = openat(dir, target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	return 0;
}

static void tidy(void)
{
	close(file);
	unlinkat(cache, name, 0);
	unlinkat(root, ".cache/seccomp", AT_REMOVEDIR);
	unlinkat(root, ".cache", AT_REMOVEDIR);
	rmdir(path);
	arena_free(&forever);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err = { 0 };

	(void)argc;
	(void)argv;
	must(mkdtemp(path) != NULL);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(root >= 0);
	atexit(tidy);
	must(schema_parse(&oci_seccomp_schema, &forever, "profile", profile_text,
			  strlen(profile_text), &profile, NULL, &err) == 0);
	must(seccomp_cache_get(&forever, root, &profile, profile_text, strlen(profile_text),
			       &compiled, &err) == 0);
	must(entry && file >= 0 && compiled.program.length > 0);
	cache = openat(root, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(cache >= 0);
	front_size = entry_size - compiled.program.length * sizeof(struct sock_filter);
	return 0;
}

static bool is_compiled(const struct seccomp_program *program)
{
	return program->length == compiled.program.length &&
	       memcmp(program->filter, compiled.program.filter,
		      program->length * sizeof(*program->filter)) == 0 &&
	       program->flags == compiled.program.flags &&
	       program->notify == compiled.program.notify;
}

/* The magic, the size of the key and the key are right, and nothing is missing or left over. */
static bool is_whole(const char *text, size_t size, size_t *instructions)
{
	uint32_t count;

	if (size < front_size || memcmp(text, entry, 12) != 0 ||
	    memcmp(text + 24, entry + 24, front_size - 24) != 0)
		return false;
	memcpy(&count, text + 12, sizeof(count));
	*instructions = count;
	return size == front_size + count * sizeof(struct sock_filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct plan_seccomp plan;
	struct error err = { 0 };
	bool front = !(take_byte(&bytes) & 1);
	size_t rest, instructions = 0;
	const char *text = take_rest(&arena, &bytes, &rest);
	char *all = arena_alloc(&arena, front_size + rest + 1);

	if (front) {
		uint32_t count = (uint32_t)(rest / sizeof(struct sock_filter));

		memcpy(all, entry, front_size);
		memcpy(all + 12, &count, sizeof(count));
	}
	memcpy(all + (front ? front_size : 0), text, rest);
	rest += front ? front_size : 0;
	must(ftruncate(file, 0) == 0 && pwrite(file, all, rest, 0) == (ssize_t)rest);
	must(seccomp_cache_get(&arena, root, &profile, profile_text, strlen(profile_text), &plan,
			       &err) == 0);
	if (!is_whole(all, rest, &instructions) || is_compiled(&plan.program)) {
		must(is_compiled(&plan.program));
		return 0;
	}
	must(plan.program.length == instructions);
	must(memcmp(plan.program.filter, all + front_size,
		    instructions * sizeof(struct sock_filter)) == 0);
	return 0;
}
