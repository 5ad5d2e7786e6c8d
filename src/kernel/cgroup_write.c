/* Writing limits into the files of a cgroup, all or none, and saying why the kernel refuses one. */
#include <creel/cgroup.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>

/* Why the kernel refuses FILE; source: cgroup-v2.rst and the handlers of each file. */
static const struct cause {
	const char *file;
	int errnum;
	const char *hint;
} causes[] = {
	{ "cpu.max.burst", EINVAL, "the burst must not be larger than the quota" },
	{ "cpu.max", EINVAL,
	  "the period is 1000 to 1000000 microseconds, the quota at least 1000, and "
	  "not larger than what a parent allows for realtime" },
	{ "cpu.weight", EINVAL, "a cgroup with cpu.idle 1 takes no weight" },
	{ "cpuset.cpus", EINVAL, "this host does not have all of these CPUs" },
	{ "cpuset.cpus", ERANGE, "this host does not have all of these CPUs" },
	{ "cpuset.cpus", EACCES, "a parent's cpuset does not have all of these CPUs" },
	{ "cpuset.mems", EINVAL, "this host does not have all of these memory nodes" },
	{ "cpuset.mems", ERANGE, "this host does not have all of these memory nodes" },
	{ "io.max", ENODEV,
	  "there is no such block device; a partition cannot be limited, its disk can" },
	{ "io.max", ERANGE, "the kernel does not take 0 as a rate" },
	{ "io.max", EINVAL,
	  "the line is \"MAJOR:MINOR KEY=VALUE...\" with rbps, wbps, riops, wiops" },
	{ "io.weight", EOPNOTSUPP,
	  "iocost is off for the device: see io.cost.qos of the root cgroup, or use BFQ" },
	{ "io.weight", ENODEV, "there is no such block device" },
	{ "io.bfq.weight", ENODEV, "there is no such block device" },
	{ "io.bfq.weight", EOPNOTSUPP, "the device does not use the BFQ scheduler" },
	{ "rdma.max", ENODEV, "there is no such RDMA device" },
	{ "memory.max", EBUSY, "more memory is in use and cannot be reclaimed" },
};

static bool has_controller(char *rest, const char *controller)
{
	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " ")) {
		if (text_equal(name, controller))
			return true;
	}
	return false;
}

static int explain_missing(int fd, const struct cgroup_write *write, struct error *err)
{
	auto_arena arena = { 0 };
	char *controllers = cgroup_read(&arena, fd, "cgroup.controllers");

	if (!controllers) {
		error_coded(
		    err, CRL_CGROUP,
		    error_system(err, ENOENT, "cannot set %s: the cgroup is gone", write->file));
		return error_at(err, write->where);
	}
	if (write->controller && !has_controller(controllers, write->controller)) {
		error_coded(err, CRL_NO_CONTROLLER,
			    error_unsupported(err,
					      "%s can't be set: controller \"%s\" not available",
					      write->file, write->controller));
		error_hint(err,
			   "enable it in the cgroup.subtree_control of every parent of the cgroup");
		return error_at(err, write->where);
	}
	if (write->unless) {
		error_coded(err, CRL_NO_CGROUP_FILE,
			    error_unsupported(
				err, "neither %s nor %s can be set: no cgroup has these files",
				write->unless, write->file));
		error_hint(err, "load the module bfq and make it the disk's scheduler, or boot a "
				"kernel with CONFIG_BLK_CGROUP_IOCOST");
		return error_at(err, write->where);
	}
	error_coded(err, CRL_NO_CGROUP_FILE,
		    error_unsupported(err,
				      "%s can't be set: this kernel has no such file in a cgroup",
				      write->file));
	return error_at(err, write->where);
}

static int explain(int fd, const struct cgroup_write *write, const char *value, struct error *err)
{
	int errnum = err->errnum;
	char call[sizeof(err->call)];

	/* error_system() starts a new error. */
	memcpy(call, err->call, sizeof(call));
	if (errnum == ENOENT)
		return explain_missing(fd, write, err);
	error_system(err, errnum, "cannot write \"%.128s\" to the cgroup's %s", value, write->file);
	error_call(err, call);
	error_at(err, write->where);
	error_code(err, errnum == EPERM ? CRL_CGROUP_DELEGATION : CRL_CGROUP_REFUSED);
	for (size_t i = 0; i < ARRAY_SIZE(causes); i++) {
		if (errnum == causes[i].errnum && text_equal(write->file, causes[i].file))
			return error_hint(err, "%s", causes[i].hint);
	}
	if (errnum == EACCES || errnum == EPERM)
		return error_hint(err,
				  "the cgroup is not delegated to this user, or its hierarchy is "
				  "read-only for this user namespace");
	if (errnum == EINVAL)
		return error_hint(err, "the kernel does not understand the value");
	if (errnum == ENODEV)
		return error_hint(err, "the cgroup was removed meanwhile");
	return -1;
}

/* The kernel takes one line with each write(2) of a file like io.max. */
static int write_lines(int fd, const struct cgroup_write *write, const char *value,
		       struct error *err)
{
	auto_arena arena = { 0 };
	char *rest = arena_strdup(&arena, value);

	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (line[0] && file_write_kernel(fd, write->file, line, err) < 0)
			return explain(fd, write, line, err);
	}
	return 0;
}

static int write_one(int fd, const struct cgroup_write *write, const char *value, struct error *err)
{
	if (write->flags & CGROUP_LINES)
		return write_lines(fd, write, value, err);
	/* An empty value (cpuset.cpus: all of the parent's) needs a byte, or there is no write at
	 * all. */
	if (file_write_kernel(fd, write->file, value[0] ? value : "\n", err) < 0)
		return explain(fd, write, value, err);
	return 0;
}

/* The device or page of a line ("8:0 rbps=1"): its first word. */
static bool has_line_of(const char *lines, const char *line)
{
	size_t length = strcspn(line, " \n");

	for (const char *at = lines; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, line, length) && (at[length] == ' ' || at[length] == '\0'))
			return true;
	}
	return false;
}

/* What takes the limit off a device that had none before. */
static const char *without_limit(const char *file)
{
	if (text_equal(file, "io.max"))
		return "rbps=max wbps=max riops=max wiops=max";
	if (text_equal(file, "rdma.max"))
		return "hca_handle=max hca_object=max";
	return "default";
}

static void restore_one(int fd, const struct cgroup_write *write, const char *old)
{
	struct error err = { 0 };
	auto_arena arena = { 0 };
	char *rest = arena_strdup(&arena, write->value);

	if (write->flags & CGROUP_LINES) {
		for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
			if (!line[0] || has_line_of(old, line))
				continue;
			line = text_format(&arena, "%.*s %s", (int)strcspn(line, " "), line,
					   without_limit(write->file));
			if (file_write_kernel(fd, write->file, line, &err) < 0)
				error_ignore(
				    &err, "the failure that made us restore is the one to report");
		}
	}
	if (write_one(fd, write, old, &err) < 0)
		error_ignore(&err, "the failure that made us restore is the one to report");
}

bool cgroup_has(int fd, const char *file)
{
	return file && faccessat(fd, file, F_OK, 0) == 0;
}

int cgroup_write_all(int fd, const struct cgroup_writes *writes, bool restore, struct error *err)
{
	auto_arena arena = { 0 };
	char **old = restore ? arena_array(&arena, writes->n, sizeof(*old)) : NULL;

	for (size_t i = 0; i < writes->n; i++) {
		const struct cgroup_write *write = &writes->items[i];

		if (!write->file || cgroup_has(fd, write->unless))
			continue;
		/* A file that cannot be read (memory.reclaim) is an order, not a setting. */
		if (restore)
			old[i] = cgroup_read(&arena, fd, write->file);
		if (write_one(fd, write, write->value, err) == 0)
			continue;
		/* ERROR_UNSUPPORTED is a file that does not exist, and nothing else. */
		if ((write->flags & CGROUP_MISSING_IS_FINE) && err->kind == ERROR_UNSUPPORTED) {
			error_ignore(err, "the file may be missing");
			continue;
		}
		/* The one that failed too: some of its lines may have been taken. */
		for (size_t j = i + 1; restore && j-- > 0;) {
			if (old[j])
				restore_one(fd, &writes->items[j], old[j]);
		}
		return -1;
	}
	return 0;
}
