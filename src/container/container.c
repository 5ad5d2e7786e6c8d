/* The state directory of one container: its name, its lock, its making and removing; and the root
 * that holds them all. */
#include <creel/container.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/process.h>
#include <creel/text.h>

#define ID_MAX		    1024
#define LOCK_TIMEOUT_MS	    10000
#define LOCK_FIRST_PAUSE_US 200
#define LOCK_LAST_PAUSE_US  20000

char *container_default_root(struct arena *arena, const struct facts *facts)
{
	/* Only the uid decides, not USER or HOME: engines call `create` and `kill` with different
	 * environments. */
	if (facts->xdg_runtime_dir && (facts->euid != 0 || facts->in_userns))
		return text_format(arena, "%s/creel", facts->xdg_runtime_dir);
	if (facts->euid != 0)
		return text_format(arena, "/tmp/creel-%u", (unsigned int)facts->euid);
	return arena_strdup(arena, "/run/creel");
}

/* mkdir -p: whoever made the parents already has decided about them. */
static int make_path(const char *path, struct error *err)
{
	char part[4096];
	size_t length = strlen(path);

	if (length >= sizeof(part))
		return error_coded(err, CRL_STATE_ROOT,
				   error_usage(err, "the path of the state root is too long"));
	memcpy(part, path, length + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0711) < 0 && errno != EEXIST)
			return error_coded(
			    err, CRL_STATE_ROOT,
			    error_system(err, errno, "cannot make the directory %s", part));
		*slash = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return error_coded(err, CRL_STATE_ROOT,
				   error_system(err, errno, "cannot make the state root %s", part));
	return 0;
}

int container_root_open(struct runtime *runtime, bool make, struct error *err)
{
	struct stat st;

	runtime->root = open(runtime->root_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (runtime->root < 0 && errno == ENOENT) {
		if (!make)
			return 0;
		if (make_path(runtime->root_path, err) < 0)
			return -1;
		runtime->root =
		    open(runtime->root_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (runtime->root < 0)
		return error_coded(
		    err, CRL_STATE_ROOT,
		    error_system(err, errno, "cannot open the state root %s", runtime->root_path));
	if (fstat(runtime->root, &st) < 0)
		return error_coded(err, CRL_STATE_ROOT,
				   error_system(err, errno, "cannot examine the state root %s",
						runtime->root_path));
	if (st.st_uid != runtime->facts.euid || (st.st_mode & (S_IWGRP | S_IWOTH))) {
		fd_close(&runtime->root);
		error_coded(
		    err, CRL_STATE_ROOT,
		    error_state(err, "the state root %s is not ours alone", runtime->root_path));
		return error_hint(err, "it must belong to uid %u and be writable by nobody else",
				  (unsigned int)runtime->facts.euid);
	}
	return 0;
}

int container_check_id(const char *id, struct error *err)
{
	static const char others[] = "_+-.";
	size_t n = strlen(id);

	if (n == 0)
		return error_coded(err, CRL_CONTAINER_ID,
				   error_usage(err, "container id cannot be empty"));
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)id[i];

		if (c < 128 && (isalnum(c) || strchr(others, c)))
			continue;
		error_coded(err, CRL_CONTAINER_ID,
			    error_usage(err, "invalid container ID format: \"%s\"", id));
		return error_hint(err, "an id is made of letters, digits and _ + - .");
	}
	if (id[0] == '.' || n > ID_MAX)
		return error_coded(err, CRL_CONTAINER_ID,
				   error_usage(err, "invalid container ID format: \"%s\"", id));
	return 0;
}

/* Whether LINE of that list is of a lock on PLACE; those that wait for one have "->" before the
 * kind. */
static bool is_lock_on(char *line, const char *place, uint64_t *pid)
{
	/* "1:", "FLOCK", "ADVISORY", "WRITE", pid, device and inode */
	char *words[6], *rest = line;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		do
			words[i] = strsep(&rest, " ");
		while (words[i] && !*words[i]);
		if (!words[i])
			return false;
	}
	return text_equal(words[1], "FLOCK") && text_equal(words[5], place) &&
	       text_parse_uint(words[4], INT_MAX, pid);
}

/* Who has locked the open DIR, by the kernel's list of locks (proc_locks(5)): a pid, or 0. */
static pid_t lock_holder(int procfs, int dir)
{
	auto_arena arena = { 0 };
	struct error err = { 0 };
	struct stat st;
	char *rest = file_read(&arena, procfs, "locks", FILE_DOCUMENT_MAX, NULL, &err);
	char place[64];
	uint64_t pid;

	if (!rest || fstat(dir, &st) < 0) {
		error_ignore(&err, "the holder is only for the message");
		return 0;
	}
	snprintf(place, sizeof(place), "%02x:%02x:%lu", major(st.st_dev), minor(st.st_dev),
		 (unsigned long)st.st_ino);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
		if (is_lock_on(line, place, &pid))
			return (pid_t)pid;
	return 0;
}

static int is_busy(const struct runtime *runtime, int dir, const char *id, struct error *err)
{
	pid_t pid = lock_holder(runtime->procfs, dir);
	char holder[160] = "", name[64];

	if (pid > 0) {
		process_describe(runtime->procfs, pid, name, sizeof(name));
		snprintf(holder, sizeof(holder), ", process %d, %s", pid, name);
	}
	error_coded(
	    err, CRL_BUSY,
	    error_state(err, "container %s is busy: another command works on it%s", id, holder));
	return error_hint(err, "waited %d seconds for its lock", LOCK_TIMEOUT_MS / 1000);
}

/* flock(2) with a deadline: whoever holds the lock may be a hung command that waits for us in turn.
 */
static int lock(const struct runtime *runtime, int dir, enum container_lock kind, const char *id,
		struct error *err)
{
	int operation = (kind == CONTAINER_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB;
	long pause_us = LOCK_FIRST_PAUSE_US;

	for (long waited_us = 0; flock(dir, operation) < 0; waited_us += pause_us) {
		int errnum = errno;

		if (errnum != EWOULDBLOCK && errnum != EINTR)
			return error_system(err, errnum, "cannot lock container %s", id);
		if (waited_us > LOCK_TIMEOUT_MS * 1000L)
			return is_busy(runtime, dir, id, err);
		nanosleep(&(struct timespec){ .tv_nsec = pause_us * 1000 }, NULL);
		if (pause_us < LOCK_LAST_PAUSE_US)
			pause_us *= 2;
	}
	return 0;
}

/* A delete may have removed the directory while we waited for its lock, and a create made a new
 * one: 1 no, 0 yes.  It is never renamed, and one that was removed has no links (but where it came
 * from a lower layer of overlayfs: an image that has containers in it). */
static int is_still(const char *id, int dir, struct error *err)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return error_system(err, errno, "cannot examine the state directory of %s", id);
	return st.st_nlink > 0;
}

static int does_not_exist(struct error *err, const char *id)
{
	return error_coded(err, CRL_NO_CONTAINER,
			   error_state(err, "container does not exist: %s", id));
}

static int was_deleted(const char *id, struct error *err)
{
	return error_coded(
	    err, CRL_NO_CONTAINER,
	    error_state(err, "container %s was deleted while it was being created", id));
}

int container_make(struct runtime *runtime, const char *id, struct container *container,
		   struct error *err)
{
	*container = (struct container){ .dir = -1, .id = id, .status = OCI_STATUS_CREATING };

	if (container_check_id(id, err) < 0)
		return -1;
	if (mkdirat(runtime->root, id, 0700) < 0) {
		if (errno == EEXIST)
			return error_coded(
			    err, CRL_CONTAINER_EXISTS,
			    error_state(err, "container with given ID already exists: %s", id));
		return error_system(err, errno, "cannot make the state directory %s/%s",
				    runtime->root_path, id);
	}
	/* Until it is locked a `delete` may take it for the remains of a crash. */
	container->dir = openat(runtime->root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (container->dir < 0 && errno == ENOENT)
		return was_deleted(id, err);
	if (container->dir < 0) {
		error_system(err, errno, "cannot open the state directory %s/%s",
			     runtime->root_path, id);
		unlinkat(runtime->root, id, AT_REMOVEDIR);
		return -1;
	}
	int still = lock(runtime, container->dir, CONTAINER_EXCLUSIVE, id, err) < 0
			? -1
			: is_still(id, container->dir, err);

	if (still > 0)
		return 0;
	fd_close(&container->dir);
	if (still == 0)
		return was_deleted(id, err);
	/* Empty as yet; were it somebody else's by now, they would notice and say so. */
	unlinkat(runtime->root, id, AT_REMOVEDIR);
	return -1;
}

/* What the links tell where there is no state.json, or none that can be read. */
static void take_remains(struct runtime *runtime, struct container *container)
{
	container->state = (struct state){ .id = arena_strdup(runtime->arena, container->id) };
	state_read_remains(runtime->arena, container->dir, &container->state);
	container->status = OCI_STATUS_CREATING;
}

/*
 * Without a lock, and without a state to be read: whether a delete is at its last files, or was
 * faster.  What a killed one has left is a container still, so that another one finds it.
 */
static bool is_being_removed(const struct container *container)
{
	struct error err = { 0 };
	struct stat st;

	if (fstat(container->dir, &st) < 0 || !(st.st_mode & S_ISVTX))
		return false;
	if (flock(container->dir, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(container->dir, LOCK_UN);
	switch (is_still(container->id, container->dir, &err)) {
	case 0:
		return true;
	case 1:
		return false;
	default:
		error_ignore(&err, "what is there is shown as half-made");
		return false;
	}
}

static int read_state(struct runtime *runtime, enum container_lock kind,
		      struct container *container, struct error *err)
{
	struct error missing = { 0 };

	if (state_read(runtime->arena, container->dir, &container->state, &missing) < 0) {
		if (missing.kind != ERROR_STATE) {
			*err = missing;
			return -1;
		}
		if (kind == CONTAINER_NO_LOCK && is_being_removed(container))
			return does_not_exist(err, container->id);
		/* Its create died before the first write. */
		error_ignore(&missing, "a half-made container has no state yet");
		take_remains(runtime, container);
		return 0;
	}
	return state_status(runtime->procfs, &runtime->boot, runtime->cgroup_root, container->dir,
			    &container->state, &container->status, &container->init, err);
}

/* Opens ROOT/ID and takes the lock. */
static int open_directory(struct runtime *runtime, const char *id, enum container_lock kind,
			  struct container *container, struct error *err)
{
	*container = (struct container){ .dir = -1, .id = id };

	if (container_check_id(id, err) < 0)
		return -1;
	if (runtime->root < 0)
		return does_not_exist(err, id);

	for (;;) {
		container->dir =
		    openat(runtime->root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (container->dir < 0) {
			if (errno == ENOENT)
				return does_not_exist(err, id);
			return error_system(err, errno, "cannot open the state directory %s/%s",
					    runtime->root_path, id);
		}
		if (kind == CONTAINER_NO_LOCK)
			return 0;
		if (lock(runtime, container->dir, kind, id, err) < 0) {
			container_close(container);
			return -1;
		}

		int still = is_still(id, container->dir, err);

		if (still > 0)
			return 0;
		container_close(container);
		if (still < 0)
			return -1;
	}
}

int container_open(struct runtime *runtime, const char *id, enum container_lock kind,
		   struct container *container, struct error *err)
{
	if (open_directory(runtime, id, kind, container, err) < 0)
		return -1;
	if (read_state(runtime, kind, container, err) == 0)
		return 0;
	container_close(container);
	return -1;
}

int container_open_remains(struct runtime *runtime, const char *id, struct container *container,
			   struct error *err)
{
	if (open_directory(runtime, id, CONTAINER_EXCLUSIVE, container, err) < 0)
		return -1;
	take_remains(runtime, container);
	return 0;
}

void container_unlock(const struct container *container)
{
	flock(container->dir, LOCK_UN);
}

int container_lock_again(struct runtime *runtime, const struct container *container,
			 struct error *err)
{
	if (lock(runtime, container->dir, CONTAINER_EXCLUSIVE, container->id, err) < 0)
		return -1;
	return is_still(container->id, container->dir, err);
}

void container_close(struct container *container)
{
	fd_close(&container->dir);
	if (container->init > 0)
		fd_close(&container->init);
	container->init = 0;
}

int container_remove(struct runtime *runtime, const struct container *container, bool unfiltered,
		     struct error *err)
{
	/* What mostly lies there, without a look at the directory; whatever else there may be is
	 * found below. */
	static const char *const files[] = { STATE_EXEC_FILE, STATE_SECCOMP_FILE, STATE_CGROUP_MARK,
					     STATE_CGROUP_NOTE, STATE_FILE };

	/* For `state`, which takes no lock: without its files it looks like a container that is
	 * being made.  That may fail. */
	if (container->dir >= 0)
		(void)fchmod(container->dir, 0700 | S_ISVTX);
	for (size_t i = 0; i < ARRAY_SIZE(files) && container->dir >= 0; i++)
		if (!unfiltered || !text_equal(files[i], STATE_SECCOMP_FILE))
			(void)unlinkat(container->dir, files[i], 0);
	if (unlinkat(runtime->root, container->id, AT_REMOVEDIR) == 0)
		return 0;
	return file_remove_tree(runtime->root, container->id, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int container_list(struct runtime *runtime, struct strings *ids, struct error *err)
{
	*ids = (struct strings){ 0 };
	if (runtime->root < 0)
		return 0;

	int copy = openat(runtime->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir) {
		error_system(err, errno, "cannot list the state root %s", runtime->root_path);
		fd_close(&copy);
		return -1;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (entry->d_name[0] != '.' && entry->d_type != DT_REG)
			strings_add(runtime->arena, ids,
				    arena_strdup(runtime->arena, entry->d_name));
	closedir(dir);
	if (ids->n > 1)
		qsort(ids->items, ids->n, sizeof(*ids->items), compare_names);
	return 0;
}

int container_init_open(struct runtime *runtime, struct container *container, struct error *err)
{
	int init = container->init;

	container->init = 0;
	if (init == 0 && container->state.pid.set &&
	    state_find_init(runtime->procfs, &runtime->boot, &container->state, &init, err) < 0)
		return -1;
	if (init > 0)
		return init;
	return error_coded(err, CRL_NOT_RUNNING,
			   error_state(err, "container not running: %s", container->id));
}

int container_cgroup(struct runtime *runtime, const struct container *container, struct error *err)
{
	int fd;

	if (!container->state.cgroup || runtime->cgroup_root < 0)
		return -1;
	fd = cgroup_open(runtime->cgroup_root, container->state.cgroup, err);
	if (fd < 0 && err->errnum == ENOENT)
		error_ignore(err, "the container's cgroup is gone");
	return fd;
}
