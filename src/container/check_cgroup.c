/* The limits of the plan against the hierarchy as it is: controllers, delegation, and what a limit
 * names (page sizes, devices). */
#include "check_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/fd.h>
#include <creel/file.h>

#define PATH_SIZE 4200

/* One cgroup on the way down. */
struct level {
	const char *path; /* in the hierarchy */
	int fd;
	bool is_root;
	bool will_have; /* the controller: it will be enabled in the parent */
};

static bool has_word(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = strstr(list, name); at; at = strstr(at + 1, name))
		if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
			return true;
	return false;
}

/* As the user that is judged for, without becoming him. */
static bool may_write(const struct checker *check, int dir, const char *name)
{
	struct stat st;

	if (!check->user.set)
		return faccessat(dir, name, W_OK, AT_EACCESS) == 0;
	if (fstatat(dir, name, &st, 0) < 0)
		return false;
	if (st.st_uid == check->user.uid)
		return st.st_mode & 0200;
	return st.st_mode & (st.st_gid == check->user.gid ? 0020 : 0002);
}

static void say_no_controller(const struct checker *check, const struct cgroup_write *write,
			      const char *path, const char *offered)
{
	struct error err = { 0 };

	error_unsupported(&err, "the cgroup controller %s is not available in the cgroup %s",
			  write->controller, path);
	if (text_equal(path, "/"))
		error_hint(&err,
			   "the hierarchy offers: %s; a controller may be in use by cgroup version "
			   "1, or disabled in this kernel (cgroup_disable=)",
			   offered[0] ? offered : "none");
	else
		error_hint(&err,
			   "enable it in the cgroup.subtree_control of every parent, or have it "
			   "delegated (systemd: Delegate=%s)",
			   write->controller);
	checker_error(check, &err, write->where, CRL_NO_CONTROLLER);
}

/* Whether the controller of WRITE can be had in the children of LEVEL; false when it was said why
 * not.  Sets will_have for the next level when it must be enabled in this one. */
static bool can_enable(const struct checker *check, struct level *level,
		       const struct cgroup_write *write)
{
	char offered[1024] = "", enabled[1024] = "", procs[32] = "";
	struct error err = { 0 };

	if (file_read_small(level->fd, "cgroup.controllers", offered, sizeof(offered)) < 0)
		return true;
	if (!level->will_have && !has_word(offered, write->controller)) {
		say_no_controller(check, write, level->path, offered);
		return false;
	}
	if (file_read_small(level->fd, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0 ||
	    has_word(enabled, write->controller))
		return true;
	level->will_have = true;
	if (!may_write(check, level->fd, "cgroup.subtree_control")) {
		error_system(&err, EACCES,
			     "cannot enable the cgroup controller %s in the cgroup %s",
			     write->controller, level->path);
		error_hint(&err, "the cgroup is not delegated to this user (systemd: Delegate=%s)",
			   write->controller);
		checker_error(check, &err, write->where, CRL_CGROUP_DELEGATION);
		return false;
	}
	/* One byte of it is enough: a page full of pids does not fit, and says the same. */
	if (!level->is_root &&
	    (file_read_small(level->fd, "cgroup.procs", procs, sizeof(procs)) > 0 ||
	     errno == EOVERFLOW)) {
		error_system(&err, EBUSY, "cannot enable the cgroup controller %s in the cgroup %s",
			     write->controller, level->path);
		error_hint(&err, "a cgroup that holds processes cannot have children with "
				 "controllers: move them away first");
		checker_error(check, &err, write->where, CRL_CGROUP_CONTROL);
		return false;
	}
	return true;
}

/* Every cgroup from the root down to the last one that exists above PATH. */
static void check_controller(const struct checker *check, const char *path,
			     const struct cgroup_write *write)
{
	bool will_have = false;

	for (const char *end = path; end; end = strchr(end + 1, '/')) {
		const char *parent = text_format(check->runtime->arena, "%.*s",
						 end == path ? 1 : (int)(end - path), path);
		struct error ignored = { 0 };
		auto_fd fd = cgroup_open(check->runtime->cgroup_root, parent, &ignored);
		struct level level = {
			.path = parent,
			.fd = fd,
			.is_root = end == path,
			.will_have = will_have,
		};

		if (fd < 0 || !can_enable(check, &level, write))
			return;
		will_have = level.will_have;
	}
}

/* The first write that needs the same controller as the one with number N. */
static bool is_first(const struct cgroup_writes *writes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(writes->items[i].flags & CGROUP_MISSING_IS_FINE) &&
		    text_equal(writes->items[i].controller, writes->items[n].controller))
			return false;
	return true;
}

static bool is_needed(const struct cgroup_write *write)
{
	return write->controller && write->file && !(write->flags & CGROUP_MISSING_IS_FINE);
}

/* Below which the controllers must be there: our own cgroup's place, or that of systemd. */
static const char *place_of(const struct checker *check)
{
	const struct facts *facts = check->facts;

	if (check->plan->cgroup.manager == CGROUP_MANAGER_CGROUPFS)
		return check->plan->cgroup.path;
	if (facts->euid == 0 && !facts->in_userns)
		return "/system.slice";
	return text_format(check->runtime->arena, "/user.slice/user-%u.slice/user@%u.service/x",
			   facts->euid, facts->euid);
}

static void check_controllers(const struct checker *check)
{
	const struct cgroup_writes *writes = &check->plan->cgroup.writes;
	const char *path = place_of(check);

	for (size_t i = 0; path && i < writes->n; i++)
		if (is_needed(&writes->items[i]) && is_first(writes, i))
			check_controller(check, path, &writes->items[i]);
}

static void check_existing(const struct checker *check, const char *path)
{
	struct error err = { 0 };
	auto_fd fd = cgroup_open(check->runtime->cgroup_root, path, &err);

	if (fd < 0 || cgroup_is_populated(fd) != 1)
		return;
	error_state(&err, "the cgroup %s holds processes already", path);
	error_hint(&err, "it belongs to another container, or to what one left behind");
	checker_error(check, &err, check->plan->cgroup.where, CRL_CGROUP_NOT_EMPTY);
}

/* Where the container's cgroup will be made. */
static void check_place(const struct checker *check)
{
	const struct plan_cgroup *plan = &check->plan->cgroup;
	struct error err = { 0 };
	char parent[PATH_SIZE];
	size_t missing = 0;

	if (plan->manager != CGROUP_MANAGER_CGROUPFS || !plan->path ||
	    strlen(plan->path) >= sizeof(parent) ||
	    cgroup_missing(check->runtime->cgroup_root, plan->path, &missing, &err) < 0)
		return;
	if (missing == 0) {
		check_existing(check, plan->path);
		return;
	}
	snprintf(parent, sizeof(parent), "%s", plan->path);
	for (; missing > 0; missing--)
		*strrchr(parent, '/') = '\0';

	auto_fd fd = cgroup_open(check->runtime->cgroup_root, parent[0] ? parent : "/", &err);

	if (fd < 0 || may_write(check, fd, "."))
		return;
	if (plan->best_effort) {
		findings_say(check->findings, FINDING_NOTE, plan->where,
			     "no cgroup can be made in %s: the container will run without one",
			     parent[0] ? parent : "/");
		return;
	}
	error_system(&err, EACCES, "cannot make a cgroup in %s", parent[0] ? parent : "/");
	error_hint(&err, "it is not delegated to this user");
	checker_error(check, &err, plan->where, CRL_CGROUP_DELEGATION);
}

/* "hugetlb.2MB.max": the kernel has a file for each page size that it has. */
static void check_page_size(const struct checker *check, const struct cgroup_write *write)
{
	static const char prefix[] = "hugetlb.";
	const char *size;
	char digits[24] = "";
	uint64_t number = 0;
	struct error err = { 0 };
	size_t n;

	if (!text_starts_with(write->file, prefix))
		return;
	size = write->file + strlen(prefix);
	n = strspn(size, "0123456789");
	if (n == 0 || n >= sizeof(digits))
		return;
	memcpy(digits, size, n);
	if (!text_parse_uint(digits, 1 << 20, &number))
		return;
	number <<= size[n] == 'G' ? 20 : size[n] == 'M' ? 10 : 0;
	if (access(text_format(check->runtime->arena, "/sys/kernel/mm/hugepages/hugepages-%llukB",
			       (unsigned long long)number),
		   F_OK) == 0)
		return;
	error_unsupported(&err, "this kernel has no huge pages of %.*s", (int)strcspn(size, "."),
			  size);
	error_hint(&err, "/sys/kernel/mm/hugepages has a directory for each size there is");
	checker_error(check, &err, write->where, CRL_NO_CGROUP_FILE);
}

/* "8:0 rbps=1000" */
static void check_block_device(const struct checker *check, const struct cgroup_write *write)
{
	size_t n = write->value ? strspn(write->value, "0123456789:") : 0;
	struct error err = { 0 };

	if (!text_starts_with(write->file, "io.") || n == 0 || write->value[n] != ' ' ||
	    !memchr(write->value, ':', n))
		return;
	if (access(text_format(check->runtime->arena, "/sys/dev/block/%.*s", (int)n, write->value),
		   F_OK) == 0)
		return;
	error_system(&err, ENODEV, "there is no block device %.*s", (int)n, write->value);
	checker_error(check, &err, write->where, CRL_CGROUP_REFUSED);
}

static bool offers(int fd, const char *controller)
{
	char list[1024];

	return file_read_small(fd, "cgroup.controllers", list, sizeof(list)) >= 0 &&
	       has_word(list, controller);
}

static void close_directory(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Some cgroup that has the files of CONTROLLER: those that the root does not have, too; or -1. */
static int find_example(const struct checker *check, const char *controller)
{
	int copy = openat(check->runtime->cgroup_root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_with(close_directory) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		auto_fd fd = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		fd = openat(check->runtime->cgroup_root, entry->d_name,
			    O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && offers(fd, controller))
			return take_fd(&fd);
	}
	return -1;
}

/* "memory.hihg": the controller is there, and has no such file. */
static void check_file(const struct checker *check, const struct cgroup_write *write)
{
	struct error err = { 0 };
	auto_fd fd = write->unless ? -1 : find_example(check, write->controller);

	if (fd < 0 || faccessat(fd, write->file, F_OK, 0) == 0 || errno != ENOENT)
		return;
	error_unsupported(&err, "the cgroup controller %s of this kernel has no file %s",
			  write->controller, write->file);
	checker_error(check, &err, write->where, CRL_NO_CGROUP_FILE);
}

static void check_systemd(const struct checker *check)
{
	const char *run = check->facts->xdg_runtime_dir;
	const bool system = check->facts->euid == 0 && !check->facts->in_userns;
	struct error err = { 0 };
	const char *socket =
	    system ? "/run/systemd/private"
		   : text_format(check->runtime->arena, "%s/systemd/private",
				 run ? run
				     : text_format(check->runtime->arena, "/run/user/%u",
						   check->facts->euid));

	if (check->plan->cgroup.manager != CGROUP_MANAGER_SYSTEMD || access(socket, F_OK) == 0 ||
	    (system && access("/run/dbus/system_bus_socket", F_OK) == 0))
		return;
	error_unsupported(&err, "systemd cannot be reached: there is no %s", socket);
	if (!system)
		error_hint(&err, "the user needs a session, or `loginctl enable-linger`");
	checker_error(check, &err, "/linux/cgroupsPath", CRL_NO_SYSTEMD);
}

void check_cgroup(const struct checker *check)
{
	const struct plan_cgroup *plan = &check->plan->cgroup;

	check_systemd(check);
	if (check->runtime->cgroup_root < 0 || plan->manager == CGROUP_MANAGER_DISABLED)
		return;
	check_controllers(check);
	check_place(check);
	for (size_t i = 0; i < plan->writes.n; i++) {
		if (!is_needed(&plan->writes.items[i]))
			continue;
		check_page_size(check, &plan->writes.items[i]);
		check_file(check, &plan->writes.items[i]);
		check_block_device(check, &plan->writes.items[i]);
	}
}
