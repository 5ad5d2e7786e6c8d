/* What the document names by a path: the root filesystem, the programs of hooks, namespaces to
 * join, sockets and network devices. */
#include "check_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/mount_table.h>
#include <creel/namespace.h>
#include <creel/netdev.h>

bool checker_is_hidden(const struct checker *check, int errnum)
{
	return errnum == EACCES && !check->facts->is_admin && check->plan->namespaces.maps;
}

static void check_root(struct checker *check)
{
	const char *path = check->plan->rootfs;
	struct error err = { 0 };

	if (!path || findings_has_error(check->findings, "/root"))
		return;
	check->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (check->root >= 0 || checker_is_hidden(check, errno))
		return;
	error_system(&err, errno, "cannot open the root filesystem %s", path);
	if (err.errnum == ENOENT && check->config->root->path[0] != '/')
		error_hint(&err, "a relative path is looked up in the bundle");
	checker_error(check, &err, "/root/path", CRL_ROOTFS);
}

/* ---- looking into the container ---- */

/* Mounts that hold nothing but what the kernel makes: no program is there. */
static bool is_furniture(const char *target)
{
	static const char *const places[] = { "/proc", "/sys", "/dev",	  "/run",
					      "/tmp",  "/etc", "/var/run" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (mount_is_below(target, places[i]))
			return true;
	return false;
}

/* Whether something that is not in the root filesystem may be there all the same: behind a link
 * into a mount, or because a hook mounts it. */
static bool may_come(const struct checker *check)
{
	const struct oci_hooks *hooks = check->config->hooks;

	for (size_t i = 0; i < check->plan->mounts_n; i++) {
		const struct mount_op *op = &check->plan->mounts[i];

		if ((op->kind == MOUNT_BIND || op->kind == MOUNT_NEW) && !is_furniture(op->target))
			return true;
	}
	return hooks && (hooks->lists[OCI_HOOK_PRESTART].n > 0 ||
			 hooks->lists[OCI_HOOK_CREATE_RUNTIME].n > 0 ||
			 hooks->lists[OCI_HOOK_CREATE_CONTAINER].n > 0);
}

/* The last mount at or above PATH. */
static const struct mount_op *mount_over(const struct checker *check, const char *path)
{
	const struct mount_op *found = NULL;

	for (size_t i = 0; i < check->plan->mounts_n; i++) {
		const struct mount_op *op = &check->plan->mounts[i];

		if ((op->kind == MOUNT_BIND || op->kind == MOUNT_NEW || op->kind == MOUNT_CGROUP) &&
		    mount_is_below(path, op->target))
			found = op;
	}
	return found;
}

static enum place look_in_source(const struct mount_op *op, const char *path, uint64_t flags,
				 int *fd)
{
	auto_fd source = open(op->source, O_PATH | O_CLOEXEC);
	const char *rest = path + strlen(op->target);

	if (source < 0)
		return PLACE_UNCERTAIN;
	*fd = *rest ? inroot_try(source, rest, flags) : open(op->source, (int)flags | O_CLOEXEC);
	return *fd >= 0 ? PLACE_FOUND : PLACE_UNCERTAIN;
}

enum place checker_look(const struct checker *check, const char *path, uint64_t flags, int *fd)
{
	const struct mount_op *over = mount_over(check, path);

	*fd = -1;
	if (over && over->kind == MOUNT_BIND)
		return look_in_source(over, path, flags, fd);
	if (over || check->root < 0)
		return PLACE_UNCERTAIN;
	*fd = inroot_try(check->root, path, flags);
	if (*fd >= 0)
		return PLACE_FOUND;
	if (checker_is_hidden(check, errno))
		return PLACE_HIDDEN;
	return errno != ENOENT || may_come(check) ? PLACE_UNCERTAIN : PLACE_ABSENT;
}

/* ---- hooks ---- */

static void say_hook(const struct checker *check, enum oci_hook_kind kind, const char *where,
		     struct error *err)
{
	/* What comes after the end cannot keep the container from running. */
	if (kind == OCI_HOOK_POSTSTOP) {
		error_at(err, where);
		error_code(err, CRL_HOOK_MISSING);
		findings_add(check->findings, FINDING_WARNING, err);
		return;
	}
	checker_error(check, err, where, CRL_HOOK_MISSING);
}

static void check_hook(const struct checker *check, enum oci_hook_kind kind, const char *path,
		       const char *where)
{
	bool inside = kind == OCI_HOOK_START_CONTAINER;
	struct error err = { 0 };
	struct stat st;
	auto_fd fd = -1;

	if (inside && checker_look(check, path, O_PATH, &fd) > PLACE_ABSENT)
		return;
	if (!inside)
		fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		error_system(&err, inside ? ENOENT : errno, "cannot find the program %s of a hook",
			     path);
		error_hint(&err, inside ? "startContainer hooks are looked up in the container"
					: "this hook is looked up on the host");
	} else if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))) {
		error_system(&err, EACCES, "the program %s of a hook is not executable", path);
	} else {
		return;
	}
	say_hook(check, kind, where, &err);
}

static void check_hooks(const struct checker *check)
{
	const struct oci_hooks *hooks = check->config->hooks;

	for (int kind = 0; hooks && kind < OCI_HOOK_COUNT; kind++) {
		const char *base =
		    text_format(check->runtime->arena, "/hooks/%s", name_of(oci_hook_names, kind));

		for (size_t i = 0; i < hooks->lists[kind].n; i++)
			if (hooks->lists[kind].items[i].path[0] == '/')
				check_hook(
				    check, (enum oci_hook_kind)kind,
				    hooks->lists[kind].items[i].path,
				    checker_key(check, checker_index(check, base, i), "path"));
	}
}

/* ---- the rest ---- */

static void check_joins(const struct checker *check)
{
	const struct plan_namespaces *namespaces = &check->plan->namespaces;

	for (size_t i = 0; i < namespaces->joins_n; i++) {
		const struct plan_join *join = &namespaces->joins[i];
		struct error err = { 0 };
		auto_fd fd = namespace_open(join->path, join->flag, &err);

		if (fd < 0)
			checker_error(check, &err, join->where,
				      err.code ? err.code : CRL_NAMESPACE_JOIN);
	}
}

static void check_listener(const struct checker *check)
{
	const struct oci_seccomp *seccomp = check->oci_linux->seccomp;
	struct error err = { 0 };
	struct stat st;

	if (!seccomp || !seccomp->listener_path || seccomp->listener_path[0] != '/')
		return;
	if (stat(seccomp->listener_path, &st) < 0)
		error_system(&err, errno, "cannot find the socket %s of the seccomp agent",
			     seccomp->listener_path);
	else if (!S_ISSOCK(st.st_mode))
		error_system(&err, ENOTSOCK, "%s is no socket", seccomp->listener_path);
	else
		return;
	error_hint(&err, "the agent that answers notifications must run before the container");
	checker_error(check, &err, "/linux/seccomp/listenerPath", 0);
}

static void check_net_devices(const struct checker *check)
{
	for (size_t i = 0; i < check->plan->net_devices_n; i++) {
		const struct plan_net_device *device = &check->plan->net_devices[i];
		struct error err = { 0 };

		if (netdev_exists(device->name))
			continue;
		error_system(&err, ENODEV, "there is no network device %s", device->name);
		checker_error(check, &err, device->where, CRL_NET_DEVICE);
	}
}

void check_files(struct checker *check)
{
	check_root(check);
	check_hooks(check);
	check_joins(check);
	check_listener(check);
	check_net_devices(check);
}
