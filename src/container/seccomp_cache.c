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

/* Everything that the filter depends on: our own way of reading and compiling with libseccomp's
 * version, and the profile as it is written. */
struct key {
	const char *version;
	size_t version_size; /* with its NUL */
	const char *text;
	size_t text_size;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

static uint64_t digest(uint64_t hash, const char *data, size_t size)
{
	uint64_t word;

	for (; size >= sizeof(word); data += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, data, size);
	return mix(hash, word);
}

/* Says only where to look: what is found there is compared. */
static const char *entry_name(struct arena *arena, const struct key *key)
{
	uint64_t hash = digest(0, key->version, key->version_size);

	return text_format(arena, "%016" PRIx64, digest(hash, key->text, key->text_size));
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

static bool load(struct arena *arena, int cache, const char *name, const struct key *key,
		 struct plan_seccomp *plan)
{
	size_t key_size = key->version_size + key->text_size;
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
	    memcmp(entry + sizeof(head), key->version, key->version_size) != 0 ||
	    memcmp(entry + sizeof(head) + key->version_size, key->text, key->text_size) != 0)
		return false;
	plan->program = (struct seccomp_program){
		.filter = arena_copy(arena, entry + sizeof(head) + key_size,
				     head.instructions * sizeof(struct sock_filter)),
		.length = head.instructions,
		.flags = head.flags,
		.notify = head.notify,
	};
	return true;
}

static void store(struct arena *arena, int cache, const char *name, const struct key *key,
		  const struct plan_seccomp *plan)
{
	size_t key_size = key->version_size + key->text_size;
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
	memcpy(entry + sizeof(head), key->version, key->version_size);
	memcpy(entry + sizeof(head) + key->version_size, key->text, key->text_size);
	memcpy(entry + sizeof(head) + key_size, plan->program.filter, code_size);
	if (file_replace(cache, name, entry, size, 0600, false, &err) < 0)
		error_ignore(&err, "the next start compiles the filter again");
}

int seccomp_cache_get(struct arena *arena, int root, const struct oci_seccomp *seccomp,
		      const char *text, size_t size, struct plan_seccomp *plan, struct error *err)
{
	const char *version = plan_seccomp_version(arena);
	const struct key key = { version, strlen(version) + 1, text, size };
	const char *name = entry_name(arena, &key);
	auto_fd cache = open_cache(root);

	*plan = (struct plan_seccomp){ 0 };
	if (cache >= 0 && load(arena, cache, name, &key, plan)) {
		plan->listener_path = plan->program.notify ? seccomp->listener_path : NULL;
		plan->listener_metadata = seccomp->listener_metadata;
		return 0;
	}
	if (plan_seccomp(arena, seccomp, "/linux/seccomp", plan, err) < 0)
		return -1;
	if (cache >= 0 && plan->program.length > 0)
		store(arena, cache, name, &key, plan);
	return 0;
}
