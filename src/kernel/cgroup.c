/*
 * A cgroup's directory: finding, making, opening, judging and giving it away.  Every lookup is
 * openat2(2) beneath the verified root of cgroup2, so that no mount or link in the way leads
 * elsewhere.
 */
#include <creel/cgroup.h>

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>

#include "syscalls.h"

enum {
	/* How often another process may remove a parent while we make its child. */
	MAKE_ATTEMPTS = 64,
	EVENTS_SIZE = 256,
	/* The largest file that is read for statistics: memory.numa_stat of a big machine stays far
	   below. */
	READ_MAX = 1 << 20,
};

int cgroup_root_known(const char *mount, struct error *err)
{
	int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return error_coded(
	    err, CRL_NO_CGROUP2,
	    error_coded(err, CRL_CGROUP,
			error_system(err, errno, "cannot open the cgroup hierarchy %s", mount)));
}

int cgroup_root(const char *mount, struct error *err)
{
	auto_fd fd = cgroup_root_known(mount, err);
	struct statfs fs;

	if (fd < 0)
		return -1;
	if (fstatfs(fd, &fs) < 0)
		return error_coded(
		    err, CRL_NO_CGROUP2,
		    error_system(err, errno, "cannot examine the cgroup hierarchy %s", mount));
	if (fs.f_type != CGROUP2_SUPER_MAGIC) {
		error_coded(
		    err, CRL_NO_CGROUP2,
		    error_unsupported(err, "%s is not a cgroup version 2 hierarchy", mount));
		return error_hint(err, "creel knows cgroup version 2 only; boot with "
				       "systemd.unified_cgroup_hierarchy=1");
	}
	return take_fd(&fd);
}

static bool is_plain_component(const char *name, size_t length)
{
	return length > 0 && length <= NAME_MAX && !(length == 1 && name[0] == '.') &&
	       !(length == 2 && name[0] == '.' && name[1] == '.');
}

/* A path is taken as it is or not at all: what is normalised can be made to mean something else. */
static int check_path(const char *path, struct error *err)
{
	if (path[0] != '/')
		return error_coded(
		    err, CRL_CGROUP_PATH,
		    error_config(err, NULL, "the cgroup path \"%s\" is not absolute", path));
	if (strlen(path) >= PATH_MAX)
		return error_coded(
		    err, CRL_CGROUP_PATH,
		    error_config(err, NULL, "the cgroup path is longer than %d bytes", PATH_MAX));

	for (const char *name = path + 1; path[1];) {
		size_t length = strcspn(name, "/");

		if (!is_plain_component(name, length)) {
			return error_coded(
			    err, CRL_CGROUP_PATH,
			    error_config(err, NULL,
					 "the cgroup path \"%s\" has the component \"%.*s\"", path,
					 (int)(length > 64 ? 64 : length), name));
		}
		if (!name[length])
			break;
		name += length + 1;
	}
	return 0;
}

static int open_any_beneath(int dir, const char *path, uint64_t flags)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | flags,
		.resolve =
		    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	return sys_openat2(dir, path, &how);
}

static int open_beneath(int dir, const char *path)
{
	return open_any_beneath(dir, path, O_DIRECTORY);
}

int cgroup_open(int root, const char *path, struct error *err)
{
	int fd;

	if (check_path(path, err) < 0)
		return -1;
	fd = open_beneath(root, path[1] ? path + 1 : ".");
	if (fd < 0)
		return error_coded(err, CRL_CGROUP,
				   error_system(err, errno, "cannot open the cgroup %s", path));
	return fd;
}

/* What one attempt to make a path has come to. */
struct making {
	int fd;	      /* the leaf */
	bool is_ours; /* we made the leaf */
	size_t first; /* offset in the path of the first component that we made in any attempt */
	const char *failed; /* "make" or "open" */
};

/*
 * The deepest parent of PATH ("a/b/c", without the leading slash) that exists, trying a/b, then a,
 * then ROOT: most often the first one is there.  What had to be opened for it is *OPENED.  Sets
 * *REST to the part of PATH that is below it.  PATH is as before afterwards.
 */
static int find_parent(int root, char *path, char **rest, int *opened)
{
	char *end = strrchr(path, '/');

	for (;; end = memrchr(path, '/', (size_t)(end - path))) {
		int errnum;

		if (!end) {
			*rest = path;
			return root;
		}
		*end = '\0';
		*opened = open_beneath(root, path);
		errnum = errno;
		*end = '/';
		*rest = end + 1;
		if (*opened >= 0 || errnum != ENOENT) {
			errno = errnum;
			return *opened;
		}
	}
}

/* Makes PATH once; the errno of the failure, or 0.  ENOENT means that a parent was removed under
 * us. */
static int make_once(int root, char *path, struct making *making)
{
	char *name = NULL;

	making->failed = "open";
	auto_fd opened = -1;
	int dir = find_parent(root, path, &name, &opened);

	if (dir < 0)
		return errno;
	for (;;) {
		char *slash = strchr(name, '/');
		int child, errnum;

		if (slash)
			*slash = '\0';
		making->is_ours = mkdirat(dir, name, 0755) == 0;
		errnum = making->is_ours ? 0 : errno;
		if (errnum && errnum != EEXIST) {
			making->failed = "make";
			return errnum;
		}
		if (making->is_ours && (size_t)(name - path) < making->first)
			making->first = (size_t)(name - path);
		child = open_beneath(dir, name);
		if (child < 0)
			return errno;
		/* Everybody may look, whatever our umask is: the container reads its own limits, as
		 * a user that is nobody out here. */
		if (making->is_ours && fchmod(child, 0755) < 0) {
			errnum = errno;
			close(child);
			return errnum;
		}
		fd_close(&opened);
		dir = opened = child;
		if (!slash)
			break;
		*slash = '/';
		name = slash + 1;
	}
	making->fd = take_fd(&opened);
	return 0;
}

static size_t count_components(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

static rarely_called int explain_make(const char *path, int errnum, const char *failed,
				      struct error *err)
{
	error_system(err, errnum, "cannot %s the cgroup %s", failed, path);
	error_call(err, failed[0] == 'm' ? "mkdirat" : "openat2");
	if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
		error_code(err, CRL_CGROUP_DELEGATION);
	else
		error_code(err,
			   errnum == EAGAIN || errnum == ENOSPC ? CRL_CGROUP_FULL : CRL_CGROUP);
	if (errnum == EACCES || errnum == EPERM)
		return error_hint(err,
				  "the parent cgroup is not delegated to this user; run below a "
				  "delegated one (systemd-run --user --scope -p Delegate=yes), "
				  "or with --systemd-cgroup");
	if (errnum == EAGAIN)
		return error_hint(err, "no further cgroup may be made below a parent: raise its "
				       "limit, or delete containers");
	if (errnum == EROFS)
		return error_hint(err, "the cgroup hierarchy is mounted read-only; inside of a "
				       "container, mount it writable there, or do without limits "
				       "and cgroupsPath");
	if (errnum == EXDEV || errnum == ELOOP)
		return error_hint(err,
				  "something else is mounted over a part of the cgroup hierarchy");
	return -1;
}

/* Says which parent of PATH has no room for more cgroups, and what fills it. */
static rarely_called void explain_full(int root, const char *path, int errnum, struct error *err)
{
	static const char *const files[] = { "cgroup.max.descendants", "cgroup.max.depth" };
	char part[PATH_MAX], text[EVENTS_SIZE];
	const char *dying;

	snprintf(part, sizeof(part), "%s", path);
	while (errnum == EAGAIN && strrchr(part, '/') > part) {
		*strrchr(part, '/') = '\0';

		auto_fd at = open_beneath(root, part + 1);

		for (size_t i = 0; at >= 0 && i < ARRAY_SIZE(files); i++)
			if (file_read_small(at, files[i], text, sizeof(text)) >= 0 &&
			    strcmp(text, "max") != 0)
				error_while(err, "%s of the cgroup %s is %s", files[i], part, text);
	}
	if (errnum != ENOSPC || file_read_small(root, "cgroup.stat", text, sizeof(text)) < 0)
		return;
	dying = strstr(text, "nr_dying_descendants ");
	if (dying)
		error_hint(err,
			   "the kernel has no id left for a memory cgroup; %.*s removed ones still "
			   "hold theirs: echo 3 > /proc/sys/vm/drop_caches lets them go",
			   (int)strcspn(dying + 21, "\n"), dying + 21);
}

static int make_path(int root, const char *path, struct making *making, struct error *err)
{
	char copy[PATH_MAX];
	int errnum = ENOENT;

	*making = (struct making){ .fd = -1, .first = SIZE_MAX };
	for (int i = 0; i < MAKE_ATTEMPTS && errnum == ENOENT; i++) {
		snprintf(copy, sizeof(copy), "%s", path + 1);
		errnum = make_once(root, copy, making);
	}
	if (!errnum)
		return 0;
	explain_make(path, errnum, making->failed, err);
	explain_full(root, path, errnum, err);
	return -1;
}

/* The value of KEY in cgroup.events, -1 with errno when it cannot be read. */
static int read_event(int fd, const char *key)
{
	char text[EVENTS_SIZE];
	const char *at;

	if (file_read_small(fd, "cgroup.events", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at && at[strlen(key)] == ' ' && at[strlen(key) + 1] == '1';
}

int cgroup_is_populated(int fd)
{
	return read_event(fd, "populated");
}

int cgroup_is_frozen(int fd)
{
	char text[EVENTS_SIZE];

	if (file_read_small(fd, "cgroup.freeze", text, sizeof(text)) < 0)
		return -1;
	return text[0] == '1';
}

int cgroup_is_paused(int root, const char *path, struct error *err)
{
	char file[PATH_MAX + 16], first;

	if (check_path(path, err) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s%scgroup.freeze", path + 1, path[1] ? "/" : "");

	auto_fd fd = open_any_beneath(root, file, O_NOCTTY);
	ssize_t got = fd < 0 ? -1 : read(fd, &first, 1);

	if (got == 1)
		return first == '1';
	return error_system(err, got < 0 ? errno : ENODATA,
			    "cannot find out whether the cgroup %s is frozen", path);
}

static int refuse_populated(int fd, struct error *err)
{
	auto_arena arena = { 0 };
	struct error dropped = { 0 };
	char text[256];
	pid_t *pids;
	size_t n = 0;

	if (cgroup_pids(&arena, fd, &pids, &n, &dropped) < 0)
		error_ignore(&dropped, "the list of pids only helps a message");
	cgroup_describe(fd, text, sizeof(text));
	error_coded(err, CRL_CGROUP_NOT_EMPTY,
		    error_state(err, "container's cgroup is not empty: %zu process(es) found", n));
	return error_hint(err, "it is used by: %s; choose another linux.cgroupsPath",
			  text[0] ? text : "processes outside our pid namespace");
}

/*
 * A container may only be born in a cgroup that nobody else uses and that lets it run: the limits
 * of a shared one would hit others, cgroup.kill would kill them, and in a frozen one the child
 * would never answer (runtime-spec, cgroups path).
 */
static int check_fit(int fd, bool is_ours, struct error *err)
{
	char type[64];

	if (file_read_small(fd, "cgroup.type", type, sizeof(type)) < 0)
		return error_system(err, errno, "cannot read cgroup.type");
	if (!text_starts_with(type, "domain") || text_equal(type, "domain invalid")) {
		error_coded(
		    err, CRL_CGROUP,
		    error_unsupported(
			err, "the cgroup is of the type \"%s\", which takes no processes", type));
		return error_hint(
		    err, "a parent or sibling of it is threaded; a container needs a domain "
			 "cgroup, so choose another linux.cgroupsPath");
	}
	if (!is_ours && cgroup_is_populated(fd) == 1)
		return refuse_populated(fd, err);
	/* cgroup.events, not cgroup.freeze: it may be a parent that is frozen. */
	if (read_event(fd, "frozen") == 1) {
		error_coded(err, CRL_CGROUP_ENTER,
			    error_state(err, "container's cgroup unexpectedly frozen"));
		return error_hint(err, "write 0 to its cgroup.freeze or to that of its parent");
	}
	return 0;
}

int cgroup_missing(int root, const char *path, size_t *missing, struct error *err)
{
	char copy[PATH_MAX];
	char *rest = NULL;

	*missing = 0;
	if (check_path(path, err) < 0)
		return -1;
	snprintf(copy, sizeof(copy), "%s", path + 1);

	auto_fd opened = -1;
	int parent = find_parent(root, copy, &rest, &opened);

	if (parent < 0)
		return error_coded(
		    err, CRL_CGROUP,
		    error_system(err, errno, "cannot open the parents of the cgroup %s", path));
	*missing = count_components(rest);
	if (*missing == 1 && faccessat(parent, rest, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		*missing = 0;
	return 0;
}

int cgroup_make(int root, const char *path, const struct cgroup_writes *writes,
		struct cgroup *cgroup, struct error *err)
{
	struct error dropped = { 0 };
	struct making making;
	int result;

	*cgroup = (struct cgroup){ .fd = -1, .path = path };
	if (check_path(path, err) < 0)
		return -1;
	if (!path[1])
		return error_config(err, NULL, "the root cgroup cannot be a container's cgroup");

	result = make_path(root, path, &making, err);
	auto_fd fd = making.fd;
	if (making.first != SIZE_MAX)
		cgroup->made = count_components(path + 1 + making.first);

	/* A new child of the root is never threaded or frozen, so the common case reads nothing. */
	if (result == 0 && (!making.is_ours || strchr(path + 1, '/'))) {
		result = check_fit(fd, making.is_ours, err);
		if (result < 0)
			error_while(err, "cannot use the cgroup %s", path);
	}
	if (result == 0)
		result = cgroup_enable(root, path, writes, err);
	if (result == 0) {
		cgroup->fd = take_fd(&fd);
		return 0;
	}
	if (cgroup->made > 0 && cgroup_remove(root, path, cgroup->made, 0, &dropped) < 0)
		error_ignore(&dropped, "the first failure is the one to report");
	cgroup->made = 0;
	return -1;
}

static int delegate_file(int fd, const char *file, uid_t uid, gid_t gid, struct error *err)
{
	if (strchr(file, '/') || file[0] == '.')
		return 0;
	if (fchownat(fd, file, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;

	int errnum = errno;

	/* The list names files of controllers that are not enabled here. */
	if (errnum == ENOENT)
		return 0;
	return error_system(err, errnum, "cannot give %s of the cgroup to %u:%u", file, uid, gid);
}

int cgroup_delegate(int fd, uid_t uid, gid_t gid, struct error *err)
{
	char list[4096] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control";
	char kernels[sizeof(list)];
	char *rest = list;

	if (file_read_small(AT_FDCWD, "/sys/kernel/cgroup/delegate", kernels, sizeof(kernels)) > 0)
		memcpy(list, kernels, sizeof(list));
	if (fchown(fd, uid, gid) < 0)
		return error_system(err, errno, "cannot give the cgroup to %u:%u", uid, gid);
	for (char *file = strsep(&rest, "\n"); file; file = strsep(&rest, "\n")) {
		if (delegate_file(fd, file, uid, gid, err) < 0)
			return -1;
	}
	return 0;
}

char *cgroup_read(struct arena *arena, int fd, const char *file)
{
	struct error dropped = { 0 };
	auto_fd opened = openat(fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t size = 0;
	char *text;

	if (opened < 0)
		return NULL;
	text = file_read_fd(arena, opened, READ_MAX, &size, &dropped);
	if (!text) {
		error_ignore(&dropped, "a statistic that cannot be read is left out");
		return NULL;
	}
	if (size > 0 && text[size - 1] == '\n')
		text[size - 1] = '\0';
	return text;
}
