/*
 * The plan as text: one step a line, in the order in which they are carried out, each with the
 * place in config.json that asked for it.  `creel plan` prints it, the debug log holds it, and the
 * golden tests compare it.
 */
#include "print_parts.h"

#include <creel/error.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* " key=value"; a value with blanks or control bytes is quoted, so that a line stays a line. */
static void put_value(struct printer *out, const char *key, const char *value)
{
	bool plain = value[0] && !value[strcspn(value, " \t\r\n\"\\")];

	printer_format(out, " %s=", key);
	if (plain) {
		printer_put(out, value);
		return;
	}
	printer_put(out, "\"");
	for (; *value; value++) {
		if (*value == '\n')
			printer_put(out, "\\n");
		else
			printer_format(out, "%s%c", strchr("\"\\", *value) ? "\\" : "", *value);
	}
	printer_put(out, "\"");
}

static void line_begin(struct printer *out, const char *verb, const char *object)
{
	printer_format(out, "%s %s", verb, object);
}

static void line_end(struct printer *out, const char *where)
{
	if (where)
		printer_format(out, "  [%s]", where);
	printer_put(out, "\n");
}

static void put_attributes(struct printer *out, const char *key, uint64_t set, uint64_t clear)
{
	const struct strings names = attributes_set(out->arena, set, clear);
	const char *cleared = bits_text(out->arena, attribute_names, clear);

	if (names.n > 0)
		put_value(out, key, strings_joined(out->arena, &names, ","));
	if (cleared[0])
		put_value(out, text_format(out->arena, "%s-clear", key), cleared);
}

static void put_idmap(struct printer *out, const struct idmap *map)
{
	put_value(out, "uids", ranges_text(out->arena, map->uids, map->uids_n));
	put_value(out, "gids", ranges_text(out->arena, map->gids, map->gids_n));
	if (map->deny_setgroups)
		put_value(out, "setgroups", "deny");
	if (map->helpers)
		put_value(out, "by", "newuidmap");
}

static void print_cgroup_place(struct printer *out, const struct plan_cgroup *cgroup)
{
	if (cgroup->manager == CGROUP_MANAGER_DISABLED) {
		printer_put(out, "keep cgroup\n");
		return;
	}
	if (cgroup->manager == CGROUP_MANAGER_SYSTEMD) {
		line_begin(out, "start", cgroup->unit);
		put_value(out, "slice", cgroup->slice);
	} else {
		line_begin(out, "make", "cgroup");
		put_value(out, "path", cgroup->path);
	}
	if (cgroup->best_effort)
		put_value(out, "else", "without");
	line_end(out, cgroup->where);
	for (size_t i = 0; i < cgroup->properties_n; i++) {
		const struct systemd_property *property = &cgroup->properties[i];

		line_begin(out, "property", property->name);
		put_value(out, property->signature,
			  strings_joined(out->arena, &property->values, ","));
		if (property->with)
			put_value(out, "with", property->with);
		line_end(out, property->where);
	}
}

static void print_namespaces(struct printer *out, const struct plan_namespaces *namespaces)
{
	for (size_t i = 0; i < namespaces->joins_n; i++) {
		const struct plan_join *join = &namespaces->joins[i];

		line_begin(out, "join", bits_text(out->arena, clone_names, join->flag));
		put_value(out, "path", join->path);
		line_end(out, join->where);
	}
	for (const struct bit_name *name = clone_names; name->name; name++) {
		if (!(namespaces->create & name->bit))
			continue;
		line_begin(out, "create", name->name);
		line_end(out, "/linux/namespaces");
	}
	if (namespaces->maps) {
		line_begin(out, "map", "ids");
		put_idmap(out, namespaces->maps);
		line_end(out, namespaces->maps_where);
	}
	if (namespaces->time_offsets) {
		line_begin(out, "set", "time");
		put_value(out, "offsets", namespaces->time_offsets);
		line_end(out, namespaces->time_where);
	}
}

static void print_devices_outside(struct printer *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->net_devices_n; i++) {
		line_begin(out, "move", plan->net_devices[i].name);
		put_value(out, "name", plan->net_devices[i].new_name);
		line_end(out, plan->net_devices[i].where);
	}
	if (plan->rdt) {
		line_begin(out, "join", "resctrl");
		put_value(out, "group", plan->rdt->group);
		if (plan->rdt->own)
			put_value(out, "own", "true");
		if (plan->rdt->monitoring)
			put_value(out, "monitoring", plan->rdt->id);
		if (plan->rdt->schemata.n > 0)
			put_value(out, "schemata",
				  strings_joined(out->arena, &plan->rdt->schemata, ","));
		line_end(out, "/linux/intelRdt");
	}
}

static void print_device_rule(struct printer *out, const struct device_rule *rule)
{
	line_begin(out, rule->allow ? "allow" : "deny", "device");
	printer_format(out, " %c ", rule->type);
	printer_put(out, rule->major < 0 ? "*"
					 : text_format(out->arena, "%lld", (long long)rule->major));
	printer_put(out, ":");
	printer_put(out, rule->minor < 0 ? "*"
					 : text_format(out->arena, "%lld", (long long)rule->minor));
	printer_format(out, " %s%s%s\n", rule->access & DEVICE_READ ? "r" : "",
		       rule->access & DEVICE_WRITE ? "w" : "",
		       rule->access & DEVICE_MKNOD ? "m" : "");
}

static void print_limits(struct printer *out, const struct plan_cgroup *cgroup)
{
	for (size_t i = 0; i < cgroup->writes.n; i++) {
		const struct cgroup_write *write = &cgroup->writes.items[i];

		if (write->file) {
			line_begin(out, "write", write->file);
			put_value(out, "value", write->value);
		} else {
			line_begin(out, "enable", write->controller);
		}
		if (write->unless)
			put_value(out, "unless", write->unless);
		if (write->flags & CGROUP_MISSING_IS_FINE)
			put_value(out, "if", "exists");
		line_end(out, write->where);
	}
	for (size_t i = 0; cgroup->filter_devices && i < cgroup->devices_n; i++)
		print_device_rule(out, &cgroup->devices[i]);
	if (cgroup->delegate)
		printer_format(out, "delegate cgroup uid=%u gid=%u\n", cgroup->delegate_uid,
			       cgroup->delegate_gid);
}

static void print_node(struct printer *out, const struct mount_op *op)
{
	put_value(out, "type", node_type(op->mode));
	if (!S_ISFIFO(op->mode))
		printer_format(out, " device=%u:%u", major(op->device), minor(op->device));
	printer_format(out, " mode=%04o uid=%u gid=%u", op->mode & 07777, op->uid, op->gid);
}

static void print_mount(struct printer *out, const struct mount_op *op)
{
	line_begin(out, mount_verb(op->kind), op->target);
	if (op->type)
		put_value(out, "type", op->type);
	if (op->source && op->source[0])
		put_value(out, "source", op->source);
	if (op->mode)
		print_node(out, op);
	if (op->options.n > 0)
		put_value(out, "options", strings_joined(out->arena, &op->options, ","));
	put_attributes(out, "set", op->set, op->clear);
	put_attributes(out, "all", op->recursive_set, op->recursive_clear);
	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		put_value(out, "propagation", propagation_text(out->arena, op->propagation[i]));
	if (op->flags)
		put_value(out, "flags", bits_text(out->arena, mount_flag_names, op->flags));
	if (op->idmap) {
		put_value(out, "idmap", op->idmap_recursive ? "all" : "one");
		put_idmap(out, op->idmap);
	}
	line_end(out, op->where);
}

static void print_hooks(struct printer *out, const struct plan *plan, enum oci_hook_kind kind)
{
	const struct oci_hooks *hooks = plan->config->hooks;
	const char *name = name_of(oci_hook_names, (int)kind);

	for (size_t i = 0; hooks && i < hooks->lists[kind].n; i++) {
		line_begin(out, "hook", hooks->lists[kind].items[i].path);
		line_end(out, text_format(out->arena, "/hooks/%s/%zu", name, i));
	}
}

static void print_root(struct printer *out, const struct plan *plan)
{
	bool own = plan->namespaces.create & CLONE_NEWNS;

	if (own)
		printer_format(out, "propagate / %s\n",
			       propagation_text(out->arena, plan->propagation));
	line_begin(out, "root", plan->rootfs);
	line_end(out, "/root/path");
	for (size_t i = 0; i < plan->mounts_n; i++)
		print_mount(out, &plan->mounts[i]);
	print_hooks(out, plan, OCI_HOOK_PRESTART);
	print_hooks(out, plan, OCI_HOOK_CREATE_RUNTIME);
	print_hooks(out, plan, OCI_HOOK_CREATE_CONTAINER);
	printer_format(out, "%s root", plan->no_pivot || !own ? "chroot" : "pivot");
	if (plan->propagation_after)
		put_value(out, "propagation",
			  propagation_text(out->arena, plan->propagation_after));
	line_end(out, plan->propagation_after ? "/linux/rootfsPropagation" : NULL);
	for (size_t i = 0; i < plan->protections_n; i++)
		print_mount(out, &plan->protections[i]);
	if (plan->root_readonly)
		printer_put(out, "protect root  [/root/readonly]\n");
}

static void print_names(struct printer *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->sysctls_n; i++) {
		line_begin(out, "sysctl", plan->sysctls[i].key);
		put_value(out, "value", plan->sysctls[i].value);
		line_end(out, plan->sysctls[i].where);
	}
	if (plan->hostname)
		printer_format(out, "set hostname %s  [/hostname]\n", plan->hostname);
	if (plan->domainname)
		printer_format(out, "set domainname %s  [/domainname]\n", plan->domainname);
}

static void print_tuning(struct printer *out, const struct plan_process *process)
{
	if (process->personality.set)
		printer_format(out, "set personality 0x%llx\n",
			       (unsigned long long)process->personality.value);
	if (process->scheduler) {
		const struct tuning_scheduler *s = process->scheduler;

		printer_format(
		    out,
		    "set scheduler policy=%u flags=0x%llx nice=%d priority=%u runtime=%llu "
		    "deadline=%llu period=%llu\n",
		    s->policy, (unsigned long long)s->flags, s->nice, s->priority,
		    (unsigned long long)s->runtime, (unsigned long long)s->deadline,
		    (unsigned long long)s->period);
	}
	if (process->io_class)
		printer_format(out, "set io-priority class=%d priority=%d\n", process->io_class,
			       process->io_priority);
	if (process->memory_policy)
		printer_format(out, "set memory-policy mode=0x%x nodes=0x%lx\n",
			       (unsigned int)process->memory_policy->mode,
			       process->memory_policy->nodes[0]);
	if (process->oom_score_adj.set)
		printer_format(out, "set oom-score %lld\n",
			       (long long)process->oom_score_adj.value);
	for (size_t i = 0; i < process->rlimits_n; i++) {
		const struct tuning_rlimit *limit = &process->rlimits[i];

		line_begin(out, "rlimit", name_of(oci_rlimit_names, limit->type));
		printer_format(out, " soft=%llu hard=%llu", (unsigned long long)limit->soft,
			       (unsigned long long)limit->hard);
		line_end(out, limit->where);
	}
}

static void print_caps(struct printer *out, const struct caps *caps)
{
	printer_format(
	    out, "caps bounding=%llx permitted=%llx effective=%llx inheritable=%llx ambient=%llx\n",
	    (unsigned long long)caps->bounding, (unsigned long long)caps->permitted,
	    (unsigned long long)caps->effective, (unsigned long long)caps->inheritable,
	    (unsigned long long)caps->ambient);
}

static void print_user(struct printer *out, const struct plan_process *process)
{
	printer_format(out, "user uid=%u gid=%u umask=%04o", process->uid, process->gid,
		       process->umask);
	printer_put(out, process->set_groups ? " groups=" : " groups-kept");
	for (size_t i = 0; i < process->groups_n; i++)
		printer_format(out, "%s%u", i ? "," : "", process->groups[i]);
	printer_put(out, "\n");
	print_caps(out, &process->caps);
	if (process->no_new_privileges)
		printer_put(out, "set no-new-privileges\n");
	if (process->apparmor_profile)
		printer_format(out, "label apparmor %s\n", process->apparmor_profile);
	if (process->selinux_label)
		printer_format(out, "label selinux %s\n", process->selinux_label);
}

static void print_process(struct printer *out, const struct plan *plan)
{
	const struct plan_process *process = &plan->process;

	if (process->terminal)
		printer_format(out, "open terminal height=%u width=%u\n", process->height,
			       process->width);
	if (plan->preserve_fds > 0)
		printer_format(out, "pass fds %u\n", plan->preserve_fds);
	print_user(out, process);
	if (plan->config->linux && plan->config->linux->seccomp)
		printer_put(out, "filter system-calls  [/linux/seccomp]\n");
	printer_format(out, "enter %s\n", process->cwd);
	for (size_t i = 0; i < process->env.n; i++) {
		printer_put(out, "env");
		put_value(out, "set", process->env.items[i]);
		printer_put(out, "\n");
	}
	if (process->needs_home)
		printer_put(out, "env HOME from=/etc/passwd\n");
	print_hooks(out, plan, OCI_HOOK_START_CONTAINER);
	printer_put(out, "exec");
	for (size_t i = 0; i < process->args.n; i++)
		put_value(out, text_format(out->arena, "%zu", i), process->args.items[i]);
	line_end(out, text_format(out->arena, "%s/args", process->where));
}

const char *plan_print(struct arena *arena, const struct plan *plan)
{
	struct printer out = { .arena = arena, .text = arena_alloc(arena, 4096), .room = 4096 };

	print_cgroup_place(&out, &plan->cgroup);
	print_namespaces(&out, &plan->namespaces);
	print_devices_outside(&out, plan);
	print_limits(&out, &plan->cgroup);
	if (plan->keyring)
		printer_format(&out, "keyring %s\n", plan->keyring);
	print_root(&out, plan);
	print_names(&out, plan);
	print_tuning(&out, &plan->process);
	print_process(&out, plan);
	print_hooks(&out, plan, OCI_HOOK_POSTSTART);
	print_hooks(&out, plan, OCI_HOOK_POSTSTOP);
	return out.text;
}
