/* resctrl groups: find or make one, give it its schemata, put the container into it. */
#include <creel/rdt.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>

#define MOUNTINFO_MAX ((size_t)16 << 20)
#define SCHEMATA_MAX  ((size_t)64 << 10)

/* Replaces the "\040" escapes of mountinfo. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && isdigit((unsigned char)from[1]) &&
		    isdigit((unsigned char)from[2]) && isdigit((unsigned char)from[3])) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* Field 5 of a line of mountinfo, cut off where it stands. */
static char *mount_point(char *line)
{
	char *rest = line;
	char *field = NULL;

	for (int i = 0; i < 5; i++)
		field = strsep(&rest, " ");
	if (field)
		unescape(field);
	return field;
}

char *rdt_mount(struct arena *arena, int procfs)
{
	struct error err = { 0 };
	auto_fd fd = procfs_open_file(procfs, "self/mountinfo", O_RDONLY, &err);
	char *rest = fd < 0 ? NULL : file_read_fd(arena, fd, MOUNTINFO_MAX, NULL, &err);

	if (!rest) {
		error_ignore(&err, "without the mount table there is no resctrl");
		return NULL;
	}
	for (char *line; (line = strsep(&rest, "\n"));)
		if (strstr(line, " - resctrl "))
			return mount_point(line);
	return NULL;
}

/* What resctrl says about the last refusal; the errno alone is nearly always EINVAL. */
static int explain(int mount, struct error *err)
{
	char status[200];
	char clean[200];

	if (file_read_small(mount, "info/last_cmd_status", status, sizeof(status)) <= 0)
		return -1;
	if (strcmp(status, "ok") == 0)
		return -1;
	error_clean_text(clean, sizeof(clean), status);
	return error_hint(err, "resctrl says: %s", clean);
}

static bool is_root_group(const struct rdt_plan *plan)
{
	return strcmp(plan->group, "/") == 0;
}

static int check_name(const char *name, struct error *err)
{
	if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return error_config_at(err, "/linux/intelRdt/closID",
				       "\"%s\" cannot be the name of a resctrl group", name);
	return 0;
}

static int open_mount(const char *mount, struct error *err)
{
	int fd = open(mount, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		error_coded(
		    err, CRL_NO_RESCTRL,
		    error_system(err, errno, "cannot open the resctrl file system at %s", mount));
		return error_at(err, "/linux/intelRdt");
	}
	return fd;
}

static int open_group(int mount, const struct rdt_plan *plan, struct error *err)
{
	const char *name = is_root_group(plan) ? "." : plan->group;
	int fd = openat(mount, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		int errnum = errno;

		error_system(err, errnum, "cannot open the resctrl group %s", plan->group);
		if (errnum == ENOENT)
			error_hint(err,
				   "a closID without schemata names a group that exists already");
		return error_at(err, "/linux/intelRdt/closID");
	}
	return fd;
}

/* Makes the group, unless it is one that must or may exist.  *MADE says whether it did. */
static int make_group(int mount, const struct rdt_plan *plan, bool *made, struct error *err)
{
	if (is_root_group(plan) || (!plan->own && plan->schemata.n == 0))
		return 0;
	if (mkdirat(mount, plan->group, 0755) == 0) {
		*made = true;
		return 0;
	}

	int errnum = errno;

	if (errnum == EEXIST && !plan->own)
		return 0;
	if (errnum == EEXIST) {
		error_state(err, "the resctrl group %s exists already", plan->group);
		error_hint(
		    err, "it is not this container's; remove it, or name it in closID to share it");
		return error_at(err, "/linux/intelRdt");
	}
	error_system(err, errnum, "cannot make the resctrl group %s", plan->group);
	explain(mount, err);
	if (errnum == ENOSPC)
		error_hint(err, "the processor has no class of service left");
	return error_at(err, "/linux/intelRdt");
}

static int write_schemata(int mount, int group, const struct rdt_plan *plan, struct error *err)
{
	for (size_t i = 0; i < plan->schemata.n; i++) {
		const char *line = plan->schemata.items[i];
		size_t length = strlen(line);
		auto_fd fd = openat(group, "schemata", O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			return error_system(err, errno, "cannot open the schemata of %s",
					    plan->group);

		/* A line ends in a newline and arrives in one write(2), else resctrl refuses it. */
		auto_arena scratch = { 0 };
		const char *text = text_format(&scratch, "%s\n", line);
		ssize_t n = write(fd, text, length + 1);

		if (n != (ssize_t)length + 1) {
			error_system(err, n < 0 ? errno : EIO,
				     "cannot write \"%s\" to the schemata of %s", line,
				     plan->group);
			explain(mount, err);
			return error_at(err, "/linux/intelRdt");
		}
	}
	return 0;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* The value of DOMAIN ("0") in the list "0=ff;1=f0", without blanks around; NULL when it has none.
 */
static char *domain_value(char *list, const char *domain)
{
	for (char *item; (item = strsep(&list, ";"));) {
		char *value = item;
		char *name = strsep(&value, "=");

		if (value && strcmp(trim(name), domain) == 0)
			return trim(value);
	}
	return NULL;
}

/* Hexadecimal masks may have leading zeros: resctrl pads what it shows to the width of the widest.
 */
static bool is_same_value(const char *a, const char *b)
{
	while (*a == '0' && a[1])
		a++;
	while (*b == '0' && b[1])
		b++;
	return strcasecmp(a, b) == 0;
}

/*
 * Whether the group's SCHEMATA say what LINE ("L3:0=ff;1=f0") says: the same resource, and the same
 * value for each domain that LINE names, in any order and with any blanks.  Domains that LINE
 * leaves out are free.
 */
static bool has_line(struct arena *arena, const char *schemata, const char *line)
{
	char *wanted = arena_strdup(arena, line);
	char *resource = trim(strsep(&wanted, ":"));
	char *rest = arena_strdup(arena, schemata);

	for (char *shown; wanted && (shown = strsep(&rest, "\n"));) {
		bool same = true;
		char *name = trim(strsep(&shown, ":"));

		if (!shown || strcmp(name, resource) != 0)
			continue;
		for (char *item; same && (item = strsep(&wanted, ";"));) {
			char *value = item;
			char *domain = trim(strsep(&value, "="));
			char *now = domain_value(arena_strdup(arena, shown), domain);

			if (!value && *domain == '\0') /* a ';' at the end */
				continue;
			same = value && now && is_same_value(trim(value), now);
		}
		return same;
	}
	return false;
}

/* A group that others use already is joined only when it is what the config asks for
 * (config-linux.md, "Intel RDT"). */
static int compare_schemata(int group, const struct rdt_plan *plan, struct error *err)
{
	auto_arena scratch = { 0 };
	auto_fd fd = openat(group, "schemata", O_RDONLY | O_CLOEXEC);
	char *schemata;

	if (fd < 0)
		return error_system(err, errno, "cannot open the schemata of %s", plan->group);
	schemata = file_read_fd(&scratch, fd, SCHEMATA_MAX, NULL, err);
	if (!schemata)
		return error_while(err, "comparing the schemata of %s", plan->group);
	for (size_t i = 0; i < plan->schemata.n; i++) {
		if (has_line(&scratch, schemata, plan->schemata.items[i]))
			continue;
		error_config_at(err, "/linux/intelRdt",
				"the resctrl group %s exists, and its schemata do not say \"%s\"",
				plan->group, plan->schemata.items[i]);
		return error_hint(err, "leave the schemata out to join the group as it is");
	}
	return 0;
}

/* Only a group that we made may be changed: the root group and a shared one are others' too. */
static int settle_schemata(int mount, int group, const struct rdt_plan *plan, bool made,
			   struct error *err)
{
	if (made)
		return write_schemata(mount, group, plan, err);
	return compare_schemata(group, plan, err);
}

static int add_task(int directory, const char *what, pid_t pid, struct error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	if (file_write_kernel(directory, "tasks", text, err) < 0) {
		error_at(err, "/linux/intelRdt");
		return error_while(err, "putting the container into the resctrl group %s", what);
	}
	return 0;
}

static int open_monitors(int group, struct error *err)
{
	int fd = openat(group, "mon_groups", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		error_coded(
		    err, CRL_NO_RESCTRL,
		    error_unsupported(err, "this processor or kernel has no resctrl monitoring"));
		return error_at(err, "/linux/intelRdt/enableMonitoring");
	}
	return fd;
}

/* *MADE says whether the monitoring group was made, also on failure. */
static int join_monitor(int mount, int group, const struct rdt_plan *plan, pid_t pid, bool *made,
			struct error *err)
{
	auto_fd monitors = open_monitors(group, err);

	if (monitors < 0)
		return -1;
	if (mkdirat(monitors, plan->id, 0755) < 0) {
		error_system(err, errno, "cannot make the monitoring group %s", plan->id);
		explain(mount, err);
		return error_at(err, "/linux/intelRdt/enableMonitoring");
	}
	*made = true;

	auto_fd monitor = openat(monitors, plan->id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (monitor < 0)
		return error_system(err, errno, "cannot open the monitoring group %s", plan->id);
	return add_task(monitor, plan->id, pid, err);
}

static int join(int mount, const struct rdt_plan *plan, pid_t pid, bool made, bool *monitored,
		struct error *err)
{
	auto_fd group = open_group(mount, plan, err);

	if (group < 0)
		return -1;
	if (settle_schemata(mount, group, plan, made, err) < 0)
		return -1;
	/* The control group first: a task can only be in a monitoring group of its own control
	 * group. */
	if (add_task(group, plan->group, pid, err) < 0)
		return -1;
	return plan->monitoring ? join_monitor(mount, group, plan, pid, monitored, err) : 0;
}

/* Removing a group gives its tasks back to the one above it. */
static int remove_directory(int directory, const char *name, struct error *err)
{
	if (unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_system(err, errno, "cannot remove the resctrl group %s", name);
	return 0;
}

static int remove_monitor(int mount, const struct rdt_plan *plan, struct error *err)
{
	const char *name = is_root_group(plan) ? "." : plan->group;
	auto_fd group = openat(mount, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (group < 0) /* gone, and the monitoring group with it */
		return 0;

	auto_fd monitors =
	    openat(group, "mon_groups", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return monitors < 0 ? 0 : remove_directory(monitors, plan->id, err);
}

int rdt_join(const char *mount, const struct rdt_plan *plan, pid_t pid, bool *made,
	     struct error *err)
{
	struct error second = { 0 };
	bool monitored = false;

	*made = false;
	if (!is_root_group(plan) && check_name(plan->group, err) < 0)
		return -1;
	if (plan->monitoring && check_name(plan->id, err) < 0)
		return -1;

	auto_fd root = open_mount(mount, err);

	if (root < 0)
		return -1;
	if (make_group(root, plan, made, err) < 0)
		return -1;
	if (join(root, plan, pid, *made, &monitored, err) == 0)
		return 0;

	/* A shared group is never removed later, so what is half made goes now. */
	if (monitored && remove_monitor(root, plan, &second) < 0)
		error_ignore(&second, "the first error is the one to tell");
	if (*made && remove_directory(root, plan->group, &second) < 0)
		error_ignore(&second, "the first error is the one to tell");
	*made = false;
	return -1;
}

int rdt_change(const char *mount, const struct rdt_plan *plan, struct error *err)
{
	if (!is_root_group(plan) && check_name(plan->group, err) < 0)
		return -1;

	auto_fd root = open_mount(mount, err);

	if (root < 0)
		return -1;

	auto_fd group = open_group(root, plan, err);

	return group < 0 ? -1 : write_schemata(root, group, plan, err);
}

int rdt_remove(const char *mount, const struct rdt_plan *plan, struct error *err)
{
	auto_fd root = open_mount(mount, err);

	if (root < 0)
		return -1;
	if (plan->monitoring && remove_monitor(root, plan, err) < 0)
		return -1;
	if (plan->own && !is_root_group(plan))
		return remove_directory(root, plan->group, err);
	return 0;
}
