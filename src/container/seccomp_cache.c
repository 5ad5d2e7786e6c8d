/* Compiled filters by the text that they were made from; see the header for why no digest is
 * trusted. */
#include <creel/seccomp_cache.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>

#define CACHE_DIRECTORY ".cache"
#define CACHE_SECCOMP	"seccomp"
#define ENTRY_MAX	((off_t)4 << 20)

/* An entry is this, then the key, then the instructions. */
struct entry_head {
	char magic[8];
	uint32_t key_size;
	uint32_t instructions;
	uint32_t flags;
	uint32_t notify;
};

static const char magic[8] = "creelbpf";

/*
 * Everything that the filter depends on: our own way of reading and compiling, libseccomp's
 * version, and the profile as it is written.  Zeros behind it make whole words, so that the
 * instructions of an entry can be used where they lie.
 */
static const char *make_key(struct arena *arena, const char *text, size_t text_size, size_t *size)
{
	const char *version = plan_seccomp_version(arena);
	size_t version_size = strlen(version) + 1;
	char *key;

	*size = (version_size + text_size + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
	key = arena_alloc(arena, *size);
	memcpy(key, version, version_size);
	memcpy(key + version_size, text, text_size);
	return key;
}

/* Says only where to look: what is found there is compared. */
static const char *entry_name(struct arena *arena, const char *key, size_t size)
{
	uint64_t word, hash = 0;

	for (size_t at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, key + at, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return text_format(arena, "%016" PRIx64, hash);
}

static bool is_ours_alone(int fd, struct stat *st)
{
	return fstat(fd, st) == 0 && st->st_uid == geteuid() &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_directory(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT && mkdirat(parent, name, 0700) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && !is_ours_alone(fd, &st))
		fd_close(&fd);
	return fd;
}

static int open_cache(int root)
{
	auto_fd cache = root < 0 ? -1 : open_directory(root, CACHE_DIRECTORY);

	return cache < 0 ? -1 : open_directory(cache, CACHE_SECCOMP);
}

static bool load(struct arena *arena, int cache, const char *name, const char *key, size_t key_size,
		 struct plan_seccomp *plan)
{
	struct entry_head head;
	struct stat st;
	size_t size;
	auto_fd fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *entry;

	if (fd < 0 || !is_ours_alone(fd, &st) || !S_ISREG(st.st_mode) ||
	    st.st_size < (off_t)sizeof(head) || st.st_size > ENTRY_MAX)
		return false;
	size = (size_t)st.st_size;
	entry = arena_alloc(arena, size);
	if (read(fd, entry, size) != st.st_size)
		return false;
	memcpy(&head, entry, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.key_size != key_size ||
	    size != sizeof(head) + key_size + head.instructions * sizeof(struct sock_filter) ||
	    memcmp(entry + sizeof(head), key, key_size) != 0)
		return false;
	plan->program = (struct seccomp_program){
		.filter = (struct sock_filter *)(entry + sizeof(head) + key_size),
		.length = head.instructions,
		.flags = head.flags,
		.notify = head.notify,
	};
	return true;
}

static void store(struct arena *arena, int cache, const char *name, const char *key,
		  size_t key_size, const struct plan_seccomp *plan)
{
	size_t code_size = plan->program.length * sizeof(struct sock_filter);
	size_t size = sizeof(struct entry_head) + key_size + code_size;
	char *entry = arena_alloc(arena, size);
	struct entry_head head = {
		.key_size = (uint32_t)key_size,
		.instructions = (uint32_t)plan->program.length,
		.flags = plan->program.flags,
		.notify = plan->program.notify,
	};
	struct error err = { 0 };

	memcpy(head.magic, magic, sizeof(magic));
	memcpy(entry, &head, sizeof(head));
	memcpy(entry + sizeof(head), key, key_size);
	memcpy(entry + sizeof(head) + key_size, plan->program.filter, code_size);
	if (file_replace(cache, name, entry, size, 0600, false, &err) < 0)
		error_ignore(&err, "the next start compiles the filter again");
}

int seccomp_cache_get(struct arena *arena, int root, const struct oci_seccomp *seccomp,
		      const char *text, size_t size, struct plan_seccomp *plan, struct error *err)
{
	size_t key_size;
	const char *key = make_key(arena, text, size, &key_size);
	const char *name = entry_name(arena, key, key_size);
	auto_fd cache = open_cache(root);

	*plan = (struct plan_seccomp){ 0 };
	if (cache >= 0 && load(arena, cache, name, key, key_size, plan)) {
		plan->listener_path = plan->program.notify ? seccomp->listener_path : NULL;
		plan->listener_metadata = seccomp->listener_metadata;
		return 0;
	}
	if (plan_seccomp(arena, seccomp, "/linux/seccomp", plan, err) < 0)
		return -1;
	if (cache >= 0 && plan->program.length > 0)
		store(arena, cache, name, key, key_size, plan);
	return 0;
}
