/*
 * Rules between objects: what one object of the document asks of another, or of the host.  Rules
 * inside one object are with its table in the oci room.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <creel/text.h>
#include <inttypes.h>
#include <string.h>

static bool has_namespace(const struct input *input, enum oci_namespace_type type)
{
	return namespace_entry(input->linux, type) != NULL;
}

static bool is_set(const char *text)
{
	return text && text[0];
}

static int rule_root(const struct input *input, struct error *err)
{
	if (!input->config->root)
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config_at(err, "/root", "root must be specified"));
	if (strchr(input->config->root->path, '\n'))
		return error_config_at(err, "/root/path", "the path of the root has a line feed");
	return 0;
}

static int rule_process(const struct input *input, struct error *err)
{
	if (!input->config->process)
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config_at(err, "/process", "process must be specified"));
	if (input->config->process->args.n == 0)
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config_at(err, "/process/args", "args must not be empty"));
	return 0;
}

/* config.md "Specification version": what a later minor version adds may be ignored, but not in
 * silence. */
static int rule_version(const struct input *input, struct error *err)
{
	const char *our_text = OCI_VERSION, *their_text = input->config->oci_version;
	uint64_t ours[2], theirs[2];

	(void)err;
	if (text_take_uints(&our_text, ".", ours, 2) == 2 &&
	    text_take_uints(&their_text, ".", theirs, 2) == 2 && theirs[1] > ours[1])
		findings_say(input->request->findings, FINDING_WARNING, "/ociVersion",
			     "the configuration is for version %s of the specification, newer than "
			     "%s: members that came later are ignored",
			     input->config->oci_version, OCI_VERSION);
	return 0;
}

static int rule_uts(const struct input *input, struct error *err)
{
	if (has_namespace(input, OCI_NAMESPACE_UTS))
		return 0;
	if (is_set(input->config->hostname))
		return error_coded(
		    err, CRL_NEEDS_NAMESPACE,
		    error_config_at(err, "/hostname",
				    "cannot set the host name without a private UTS namespace"));
	if (is_set(input->config->domainname))
		return error_coded(
		    err, CRL_NEEDS_NAMESPACE,
		    error_config_at(err, "/domainname",
				    "cannot set the domain name without a private UTS namespace"));
	return 0;
}

/* In the host's mount namespace all of these would change the host. */
static int rule_mount_namespace(const struct input *input, struct error *err)
{
	const struct {
		bool asked;
		const char *where;
		const char *what;
	} needs[] = {
		{ input->config->mounts.n > 0, "/mounts", "mounts" },
		{ input->config->root && input->config->root->readonly, "/root/readonly",
		  "a read-only root" },
		{ input->linux->masked_paths.n > 0, "/linux/maskedPaths", "masked paths" },
		{ input->linux->readonly_paths.n > 0, "/linux/readonlyPaths", "read-only paths" },
		{ input->linux->rootfs_propagation.set, "/linux/rootfsPropagation", "propagation" },
	};

	if (has_namespace(input, OCI_NAMESPACE_MOUNT))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (!needs[i].asked)
			continue;
		error_coded(err, CRL_NEEDS_NAMESPACE,
			    error_config_at(err, needs[i].where,
					    "%s cannot be had without a mount namespace",
					    needs[i].what));
		return error_hint(err, "add { \"type\": \"mount\" } to linux.namespaces");
	}
	return 0;
}

static int rule_user_namespace(const struct input *input, struct error *err)
{
	const struct oci_linux *oci_linux = input->linux;
	const struct oci_namespace *user = namespace_entry(oci_linux, OCI_NAMESPACE_USER);

	if (!user && oci_linux->uid_mappings.n > 0)
		return error_coded(
		    err, CRL_USER_NAMESPACE,
		    error_config_at(err, "/linux/uidMappings",
				    "user namespace mappings specified, but user namespace isn't "
				    "enabled in the config"));
	if (!user && oci_linux->gid_mappings.n > 0)
		return error_coded(
		    err, CRL_USER_NAMESPACE,
		    error_config_at(err, "/linux/gidMappings",
				    "user namespace mappings specified, but user namespace isn't "
				    "enabled in the config"));
	if (!user || user->path)
		return 0;
	if (oci_linux->uid_mappings.n == 0)
		return error_coded(
		    err, CRL_USER_NAMESPACE,
		    error_config_at(err, "/linux/uidMappings",
				    "user namespaces enabled, but no namespace path to join nor "
				    "mappings to apply specified"));
	if (oci_linux->gid_mappings.n == 0)
		return error_coded(
		    err, CRL_USER_NAMESPACE,
		    error_config_at(err, "/linux/gidMappings",
				    "user namespaces enabled, but no namespace path to join nor "
				    "mappings to apply specified"));
	return 0;
}

/* Without privileges only a user namespace gives the right to make anything else. */
static int rule_rootless(const struct input *input, struct error *err)
{
	if (input->facts->is_admin || has_namespace(input, OCI_NAMESPACE_USER))
		return 0;
	error_coded(err, CRL_ROOTLESS_NEEDS_USER_NAMESPACE,
		    error_config_at(err, "/linux/namespaces",
				    "rootless container requires user namespaces"));
	return error_hint(err, "`creel spec --rootless` writes a configuration that has one");
}

static int rule_time_offsets(const struct input *input, struct error *err)
{
	const struct oci_namespace *entry = namespace_entry(input->linux, OCI_NAMESPACE_TIME);

	if (input->linux->time_offsets.n == 0 || (entry && !entry->path))
		return 0;
	if (entry)
		return error_coded(
		    err, CRL_NEEDS_NAMESPACE,
		    error_config_at(
			err, "/linux/timeOffsets",
			"time offsets cannot be set in a time namespace that is joined"));
	return error_coded(
	    err, CRL_NEEDS_NAMESPACE,
	    error_config_at(err, "/linux/timeOffsets",
			    "time offsets need a time namespace of the container's own"));
}

static int rule_net_devices(const struct input *input, struct error *err)
{
	if (input->linux->net_devices.n == 0)
		return 0;
	if (!has_namespace(input, OCI_NAMESPACE_NETWORK))
		return error_coded(
		    err, CRL_NEEDS_NAMESPACE,
		    error_config_at(err, "/linux/netDevices",
				    "network devices need a network namespace to be moved into"));
	if (!input->facts->is_admin)
		return error_coded(
		    err, CRL_UNSUPPORTED,
		    error_config_at(err, "/linux/netDevices",
				    "network devices cannot be moved by an unprivileged user"));
	return 0;
}

/* An empty string is how engines say "none". */
static int rule_labels(const struct input *input, struct error *err)
{
	const struct oci_process *process = input->config->process;

	if (!process)
		return 0;
	if (is_set(process->apparmor_profile) && !input->facts->apparmor)
		return error_coded(
		    err, CRL_NO_LSM,
		    error_config_at(err, "/process/apparmorProfile",
				    "an AppArmor profile is given, but AppArmor is not enabled "
				    "on this host"));
	if (is_set(process->selinux_label) && !input->facts->selinux)
		return error_coded(
		    err, CRL_NO_LSM,
		    error_config_at(err, "/process/selinuxLabel",
				    "selinux label is specified in config, but selinux is "
				    "disabled or not supported"));
	if (is_set(input->linux->mount_label) && !input->facts->selinux)
		findings_say(input->request->findings, FINDING_WARNING, "/linux/mountLabel",
			     "the label is ignored: SELinux is not enabled on this host");
	return 0;
}

/* Which namespace a sysctl belongs to: a name that ends with "." is a prefix. */
static const struct sysctl_row {
	const char *name;
	enum oci_namespace_type type;
	const char *namespace;
} sysctl_rows[] = {
	{ "net.", OCI_NAMESPACE_NETWORK, "network" },
	{ "kernel.msgmax", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.msgmnb", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.msgmni", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.sem", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.shmall", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.shmmax", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.shmmni", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.shm_rmid_forced", OCI_NAMESPACE_IPC, "ipc" },
	{ "fs.mqueue.", OCI_NAMESPACE_IPC, "ipc" },
	{ "kernel.domainname", OCI_NAMESPACE_UTS, "uts" },
	{ "user.", OCI_NAMESPACE_USER, "user" },
};

/* "net/ipv4/ip_forward" is the same key as "net.ipv4.ip_forward"; the first separator says which
 * form it is. */
static bool sysctl_matches(const char *key, const char *name)
{
	bool slashes = key[strcspn(key, "./")] == '/';

	for (; *name; key++, name++) {
		char wanted = slashes && *name == '.' ? '/' : *name;

		if (*key != wanted)
			return false;
		if (*name == '.' && name[1] == '\0')
			return true;
	}
	return *key == '\0';
}

static int check_sysctl(const struct input *input, const char *key, struct error *err)
{
	const char *where = pointer_key(input->arena, "/linux/sysctl", key);

	if (sysctl_matches(key, "kernel.hostname")) {
		error_coded(
		    err, CRL_SYSCTL_KEY,
		    error_config_at(err, where,
				    "sysctl \"%s\" conflicts with the host name of the container",
				    key));
		return error_hint(err, "set /hostname instead");
	}
	for (size_t i = 0; i < ARRAY_SIZE(sysctl_rows); i++) {
		const struct sysctl_row *row = &sysctl_rows[i];

		if (!sysctl_matches(key, row->name))
			continue;
		if (has_namespace(input, row->type))
			return 0;
		if (row->type == OCI_NAMESPACE_NETWORK)
			return error_coded(
			    err, CRL_NEEDS_NAMESPACE,
			    error_config_at(err, where,
					    "sysctl \"%s\" not allowed in host network namespace",
					    key));
		return error_coded(
		    err, CRL_NEEDS_NAMESPACE,
		    error_config_at(
			err, where,
			"sysctl \"%s\" needs a namespace of type %s in linux.namespaces", key,
			row->namespace));
	}
	return error_coded(err, CRL_SYSCTL_KEY,
			   error_config_at(err, where,
					   "sysctl \"%s\" is not in a separate kernel namespace",
					   key));
}

static bool is_mapped(const struct oci_id_mappings *mappings, uint64_t id)
{
	for (size_t i = 0; i < mappings->n; i++)
		if (id >= mappings->items[i].container_id.value &&
		    id - mappings->items[i].container_id.value < mappings->items[i].size.value)
			return true;
	return false;
}

/* The one sysctl whose value is made of gids: the kernel says no more than "invalid argument" when
 * the container's user namespace does not have them. */
static int check_ping_range(const struct input *input, const char *key, const char *value,
			    struct error *err)
{
	const struct oci_id_mappings *mappings = &input->linux->gid_mappings;
	const char *rest = value;
	uint64_t gids[2];

	if (!sysctl_matches(key, "net.ipv4.ping_group_range") ||
	    !namespace_is_new(input->linux, OCI_NAMESPACE_USER) || mappings->n == 0 ||
	    text_take_uints(&rest, " \t", gids, 2) != 2)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(gids); i++) {
		const struct oci_id_mapping *first = &mappings->items[0];

		if (is_mapped(mappings, gids[i]))
			continue;
		error_config_at(err, pointer_key(input->arena, "/linux/sysctl", key),
				"sysctl \"%s\" cannot be \"%s\": gid %" PRIu64 " is not mapped in "
				"the user namespace",
				key, value, gids[i]);
		error_hint(err, "the %s of linux.gidMappings is %llu to %llu",
			   mappings->n == 1 ? "range" : "first range",
			   (unsigned long long)first->container_id.value,
			   (unsigned long long)(first->container_id.value + first->size.value - 1));
		return error_code(err, CRL_NOT_MAPPED);
	}
	return 0;
}

static int rule_sysctl(const struct input *input, struct error *err)
{
	for (size_t i = 0; i < input->linux->sysctl.n; i++) {
		const char *key = input->linux->sysctl.items[i].key;
		const char *value = input->linux->sysctl.items[i].value;

		if ((check_sysctl(input, key, err) < 0 ||
		     check_ping_range(input, key, value, err) < 0) &&
		    go_on(input, err) < 0)
			return -1;
	}
	return 0;
}

static int rule_mount_context(const struct input *input, struct error *err)
{
	static const char *const kinds[] = { "context", "fscontext", "defcontext", "rootcontext" };
	const char *kind =
	    string_map_get(&input->config->annotations, "run.oci.mount_context_type");

	if (!kind)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (text_equal(kind, kinds[i]))
			return 0;
	return error_coded(
	    err, CRL_MOUNT_OPTION,
	    error_config_at(err, "/annotations/run.oci.mount_context_type",
			    "\"%s\" is not context, fscontext, defcontext or rootcontext", kind));
}

/* The order is that of the messages a user sees first: what is missing, then what does not fit. */
static int (*const rules[])(const struct input *input, struct error *err) = {
	rule_version,	     rule_root,	  rule_process,		rule_rootless,
	rule_user_namespace, rule_uts,	  rule_mount_namespace, rule_time_offsets,
	rule_net_devices,    rule_labels, rule_sysctl,		rule_mount_context,
};

int check_config(const struct input *input, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i](input, err) < 0 && go_on(input, err) < 0)
			return -1;
	return 0;
}
