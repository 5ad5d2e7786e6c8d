/*
 * Device nodes: those that every container has and those of `linux.devices`, the links in /dev, and
 * the rules of the device controller.
 */
#include "parts.h"

#include <creel/log.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const struct default_device {
	const char *path;
	unsigned int major, minor;
} default_devices[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct default_link {
	const char *path;
	const char *text;
	unsigned int flags;
} default_links[] = {
	{ "/dev/fd", "/proc/self/fd", MOUNT_IF_TARGET_EXISTS },
	{ "/dev/stdin", "/proc/self/fd/0", MOUNT_IF_TARGET_EXISTS },
	{ "/dev/stdout", "/proc/self/fd/1", MOUNT_IF_TARGET_EXISTS },
	{ "/dev/stderr", "/proc/self/fd/2", MOUNT_IF_TARGET_EXISTS },
	{ "/dev/core", "/proc/kcore", MOUNT_IF_TARGET_EXISTS },
	/* Devpts instances are private: the one that counts is the container's own. */
	{ "/dev/ptmx", "pts/ptmx", MOUNT_REPLACE },
};

size_t plan_devices_max(const struct input *input)
{
	return ARRAY_SIZE(default_devices) + ARRAY_SIZE(default_links) + input->linux->devices.n;
}

/* Nodes cannot be made in a user namespace (mknod(2): EPERM), and those made outside do not open
 * there. */
static bool must_bind(const struct input *input)
{
	return namespace_entry(input->linux, OCI_NAMESPACE_USER) || input->facts->in_userns ||
	       !input->facts->is_admin;
}

static void add_node(const struct input *input, struct plan *plan, const struct mount_op *node)
{
	struct mount_op *op = &plan->mounts[plan->mounts_n++];

	*op = *node;
	op->tree = -1;
	op->mounted = -1;
	if (S_ISFIFO(op->mode) || !must_bind(input))
		return;
	op->kind = MOUNT_BIND;
	op->source = op->target;
	op->set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
}

static bool is_listed(const struct input *input, const char *path)
{
	list_each (const struct oci_device, device, &input->linux->devices)
		if (strcmp(mount_destination(input->arena, device->path), path) == 0)
			return true;
	return false;
}

static bool is_mounted(const struct plan *plan, const char *path, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(plan->mounts[i].target, path) == 0)
			return true;
	return false;
}

static mode_t device_type(const char *type)
{
	if (type[0] == 'b')
		return S_IFBLK;
	return type[0] == 'p' ? S_IFIFO : S_IFCHR;
}

static void plan_listed_devices(const struct input *input, struct plan *plan)
{
	size_t i = 0;

	list_each (const struct oci_device, device, &input->linux->devices) {
		unsigned int mode =
		    device->file_mode.set ? (unsigned int)device->file_mode.value : 0666;

		add_node(input, plan,
			 &(struct mount_op){
			     .kind = MOUNT_NODE,
			     .target = mount_destination(input->arena, device->path),
			     .mode = device_type(device->type) | (mode & 07777),
			     .device = makedev((unsigned int)device->major.value,
					       (unsigned int)device->minor.value),
			     .uid = (uid_t)device->uid.value,
			     .gid = (gid_t)device->gid.value,
			     .where = pointer_index(input->arena, "/linux/devices", i++),
			 });
	}
}

/* Engines that mount a file over a default node (/dev/null, say) get just that. */
static void plan_default_devices(const struct input *input, struct plan *plan)
{
	size_t mounts_n = plan->mounts_n;

	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
		const struct default_device *device = &default_devices[i];

		if (is_listed(input, device->path) || is_mounted(plan, device->path, mounts_n))
			continue;
		add_node(input, plan,
			 &(struct mount_op){
			     .kind = MOUNT_NODE,
			     .target = device->path,
			     .mode = S_IFCHR | 0666,
			     .device = makedev(device->major, device->minor),
			 });
	}
}

static void plan_links(const struct input *input, struct plan *plan)
{
	bool core = !strings_has(&input->linux->masked_paths, "/proc/kcore");

	for (size_t i = 0; i < ARRAY_SIZE(default_links); i++) {
		const struct default_link *link = &default_links[i];

		if (is_mounted(plan, link->path, plan->mounts_n))
			continue;
		/* The kernel's memory is nothing to point at when it is hidden. */
		if (strcmp(link->text, "/proc/kcore") == 0 && !core)
			continue;
		plan->mounts[plan->mounts_n++] = (struct mount_op){
			.kind = MOUNT_LINK,
			.flags = link->flags,
			.target = link->path,
			.source = link->text,
			.tree = -1,
			.mounted = -1,
		};
	}
}

static bool dev_is_bound(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mounts_n; i++)
		if (plan->mounts[i].kind == MOUNT_BIND &&
		    strcmp(plan->mounts[i].target, "/dev") == 0)
			return true;
	return false;
}

void plan_devices(const struct input *input, struct plan *plan)
{
	/* Somebody else's /dev, or somebody else's whole tree, is not ours to fill. */
	if (dev_is_bound(plan) || !namespace_entry(input->linux, OCI_NAMESPACE_MOUNT)) {
		log_debug("no device nodes are made: /dev belongs to the host");
		return;
	}
	plan_default_devices(input, plan);
	plan_listed_devices(input, plan);
	plan_links(input, plan);
}

/* What every container may use, whatever its own rules say: making any node, and the nodes above,
 * pts and tun. */
static const struct device_rule default_rules[] = {
	{ true, 'c', -1, -1, DEVICE_MKNOD }, { true, 'b', -1, -1, DEVICE_MKNOD },
	{ true, 'c', 1, 3, DEVICE_ALL },     { true, 'c', 1, 5, DEVICE_ALL },
	{ true, 'c', 1, 7, DEVICE_ALL },     { true, 'c', 1, 8, DEVICE_ALL },
	{ true, 'c', 1, 9, DEVICE_ALL },     { true, 'c', 5, 0, DEVICE_ALL },
	{ true, 'c', 136, -1, DEVICE_ALL },  { true, 'c', 5, 2, DEVICE_ALL },
	{ true, 'c', 10, 200, DEVICE_ALL },
};

static unsigned int access_bits(const char *access)
{
	unsigned int bits = 0;

	if (!access)
		return DEVICE_ALL;
	for (; *access; access++)
		bits |= *access == 'r' ? DEVICE_READ : *access == 'w' ? DEVICE_WRITE : DEVICE_MKNOD;
	return bits;
}

static void plan_rule(const struct oci_device_rule *rule, struct device_rule *out)
{
	out->allow = rule->allow.value;
	out->type = rule->type && rule->type[0] ? rule->type[0] : 'a';
	out->major = rule->major.set ? rule->major.value : -1;
	out->minor = rule->minor.set ? rule->minor.value : -1;
	out->access = access_bits(rule->access);
}

void plan_device_rules(struct arena *arena, const struct oci_resources *resources,
		       struct plan_cgroup *plan)
{
	size_t n = resources->devices.n;
	struct device_rule *rules =
	    arena_array(arena, n + ARRAY_SIZE(default_rules), sizeof(*rules));

	for (size_t i = 0; i < n; i++)
		plan_rule(&resources->devices.items[i], &rules[i]);
	memcpy(rules + n, default_rules, sizeof(default_rules));
	plan->devices = rules;
	plan->devices_n = n + ARRAY_SIZE(default_rules);
}
