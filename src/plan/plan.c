/*
 * Makes a plan: checks the document as a whole, then lets each part of it be planned in the order
 * in which it is carried out.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <string.h>
#include <sys/mount.h>

const struct name_value cgroup_manager_names[] = {
	{ "cgroupfs", CGROUP_MANAGER_CGROUPFS },
	{ "systemd", CGROUP_MANAGER_SYSTEMD },
	{ "disabled", CGROUP_MANAGER_DISABLED },
	{ NULL, 0 },
};

const char *pointer_index(struct arena *arena, const char *base, size_t index)
{
	char digits[24];
	char *digit = digits + sizeof(digits) - 1;

	/* By hand: it is called for each option of each mount, and printf(3) would be a third of
	 * planning. */
	*digit = '\0';
	do
		*--digit = (char)('0' + index % 10);
	while (index /= 10);
	return pointer_key(arena, base, digit);
}

const char *pointer_key(struct arena *arena, const char *base, const char *key)
{
	size_t n = strlen(base);
	char *pointer = arena_alloc(arena, n + 2 * strlen(key) + 2);
	char *end = pointer + n;

	memcpy(pointer, base, n);
	*end++ = '/';
	for (; *key; key++) {
		if (*key == '~' || *key == '/')
			*end++ = '~';
		*end++ = *key == '~' ? '0' : *key == '/' ? '1' : *key;
	}
	return pointer;
}

const char *strings_joined(struct arena *arena, const struct strings *list, const char *separator)
{
	size_t size = 1;
	char *text;
	char *end;

	for (size_t i = 0; i < list->n; i++)
		size += strlen(list->items[i]) + strlen(separator);
	text = arena_alloc(arena, size);
	end = text;
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			end = stpcpy(end, separator);
		end = stpcpy(end, list->items[i]);
	}
	return text;
}

static const char *rootfs_path(const struct input *input)
{
	const char *path = input->config->root->path;

	if (path[0] == '/')
		return path;
	return text_format(input->arena, "%s/%s", input->request->bundle, path);
}

/* By enum oci_propagation. */
static const unsigned long propagations[] = {
	[OCI_PROPAGATION_PRIVATE] = MS_PRIVATE,
	[OCI_PROPAGATION_RPRIVATE] = MS_PRIVATE | MS_REC,
	[OCI_PROPAGATION_SHARED] = MS_SHARED,
	[OCI_PROPAGATION_RSHARED] = MS_SHARED | MS_REC,
	[OCI_PROPAGATION_SLAVE] = MS_SLAVE,
	[OCI_PROPAGATION_RSLAVE] = MS_SLAVE | MS_REC,
	[OCI_PROPAGATION_UNBINDABLE] = MS_UNBINDABLE,
	[OCI_PROPAGATION_RUNBINDABLE] = MS_UNBINDABLE | MS_REC,
};

/*
 * Before the root is prepared everything becomes a slave of the host's mounts, or private.  When
 * the document wants sharing, mounts stay shared, or no bind of them could carry mounts back to the
 * host; the root itself is shared, or unbindable, after pivot only: pivot_root(2) refuses a shared
 * one, and an unbindable one cannot be bound on itself.  Slave and private always include
 * everything below: a mount left out would carry the container's mounts to the host.
 */
static void plan_propagation(const struct oci_linux *oci_linux, struct plan *plan)
{
	unsigned long wanted = MS_SLAVE | MS_REC;

	if (oci_linux->rootfs_propagation.set)
		wanted = propagations[oci_linux->rootfs_propagation.value];
	plan->propagation = MS_SLAVE | MS_REC;
	if (wanted & MS_PRIVATE)
		plan->propagation = MS_PRIVATE | MS_REC;
	if (wanted & MS_SHARED)
		plan->propagation = wanted;
	if (wanted & (MS_SHARED | MS_UNBINDABLE))
		plan->propagation_after = wanted;
}

static void plan_keyring(const struct input *input, struct plan *plan)
{
	const struct oci_process *process = input->config->process;

	if (input->request->no_new_keyring)
		return;
	plan->keyring = text_format(input->arena, "_ses.%s", input->request->id);
	if (process->selinux_label && process->selinux_label[0])
		plan->keyring_label = process->selinux_label;
}

static void plan_sysctls(const struct input *input, struct plan *plan)
{
	const struct string_map *map = &input->linux->sysctl;

	plan->sysctls = arena_array(input->arena, map->n, sizeof(*plan->sysctls));
	for (size_t i = 0; i < map->n; i++) {
		struct plan_sysctl *sysctl = &plan->sysctls[plan->sysctls_n++];

		sysctl->key = map->items[i].key;
		sysctl->value = map->items[i].value;
		sysctl->where = pointer_key(input->arena, "/linux/sysctl", sysctl->key);
	}
}

static void plan_net_devices(const struct input *input, struct plan *plan)
{
	plan->net_devices =
	    arena_array(input->arena, input->linux->net_devices.n, sizeof(*plan->net_devices));
	list_each (const struct oci_net_device, device, &input->linux->net_devices) {
		struct plan_net_device *out = &plan->net_devices[plan->net_devices_n++];

		out->name = device->key;
		out->new_name = device->name ? device->name : device->key;
		out->where = pointer_key(input->arena, "/linux/netDevices", device->key);
	}
}

/* The order of the lines is the spec's: l3CacheSchema, memBwSchema, schemata. */
static void plan_rdt(const struct input *input, struct plan *plan)
{
	const struct oci_intel_rdt *rdt = input->linux->intel_rdt;
	struct rdt_plan *out;

	if (!rdt)
		return;
	out = arena_alloc(input->arena, sizeof(*out));
	out->own = !rdt->clos_id || rdt->clos_id[0] == '\0';
	out->group = out->own ? input->request->id : rdt->clos_id;
	out->id = input->request->id;
	out->monitoring = rdt->enable_monitoring;
	if (rdt->l3_cache_schema)
		strings_add(input->arena, &out->schemata, rdt->l3_cache_schema);
	if (rdt->mem_bw_schema)
		strings_add(input->arena, &out->schemata, rdt->mem_bw_schema);
	for (size_t i = 0; i < rdt->schemata.n; i++)
		strings_add(input->arena, &out->schemata, rdt->schemata.items[i]);
	plan->rdt = out;
}

static int plan_init_process(const struct input *input, struct plan *plan, struct error *err)
{
	const char *groups =
	    string_map_get(&input->config->annotations, "run.oci.keep_original_groups");
	const struct plan_process_context context = {
		.facts = input->facts,
		.maps = plan->namespaces.maps,
		.new_user_namespace = namespace_entry(input->linux, OCI_NAMESPACE_USER) != NULL,
		.listen_fds = input->request->listen_fds,
		.listen_names = input->request->listen_names,
		.notify_socket = plan->notify ? NOTIFY_TARGET "/notify.sock" : NULL,
		.keep_groups = groups && text_equal(groups, "1"),
		.findings = input->request->findings,
		.where = "/process",
	};

	if (plan_process(input->arena, input->config->process, &context, &plan->process, err) < 0 &&
	    go_on(input, err) < 0)
		return -1;
	return plan_linux_process(input->arena, input->linux, &plan->process, err);
}

static void plan_names(const struct input *input, struct plan *plan)
{
	const struct oci_config *config = input->config;

	plan->id = input->request->id;
	plan->bundle = input->request->bundle;
	plan->rootfs = rootfs_path(input);
	plan->root_readonly = config->root->readonly;
	plan->no_pivot = input->request->no_pivot;
	plan->preserve_fds = input->request->listen_fds + input->request->preserve_fds;
	plan->config = config;
	if (config->hostname && config->hostname[0])
		plan->hostname = config->hostname;
	if (config->domainname && config->domainname[0])
		plan->domainname = config->domainname;
}

int plan_make(struct arena *arena, const struct oci_config *config,
	      const struct plan_request *request, const struct facts *facts, struct plan *plan,
	      struct error *err)
{
	static const struct oci_linux no_linux;
	const struct input input = {
		.arena = arena,
		.config = config,
		.linux = config->linux ? config->linux : &no_linux,
		.request = request,
		.facts = facts,
	};

	*plan = (struct plan){ 0 };
	if (check_config(&input, err) < 0)
		return -1;
	/* Only where all errors are wanted: the two are among them. */
	if (!config->root || !config->process)
		return 0;
	plan_names(&input, plan);
	plan_propagation(input.linux, plan);
	if (plan_namespaces(&input, &plan->namespaces, err) < 0)
		return -1;
	if (plan_mounts(&input, plan, err) < 0)
		return -1;
	if (plan_cgroups(&input, plan, err) < 0 && go_on(&input, err) < 0)
		return -1;
	if (plan_init_process(&input, plan, err) < 0 && go_on(&input, err) < 0)
		return -1;
	plan_keyring(&input, plan);
	plan_sysctls(&input, plan);
	plan_net_devices(&input, plan);
	plan_rdt(&input, plan);
	return 0;
}
