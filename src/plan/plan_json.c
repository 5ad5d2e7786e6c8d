/*
 * All of the plan as one JSON object, for programs.  Sets of bits are lists of names, and every
 * object that config.json asked for has its place in it as "where".  creel-plan(8) describes the
 * members; a lint test compares it with what is written here.
 */
#include "print_parts.h"

#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct writer {
	struct arena *arena;
	struct json_writer *w;
};

/* A member of a kind; what is absent is left out. */
static void put_text(struct writer *out, const char *key, const char *value)
{
	if (!value)
		return;
	json_write_key(out->w, key);
	json_write_string(out->w, value);
}

static void put_uint(struct writer *out, const char *key, uint64_t value)
{
	json_write_key(out->w, key);
	json_write_uint(out->w, value);
}

static void put_int(struct writer *out, const char *key, int64_t value)
{
	json_write_key(out->w, key);
	json_write_int(out->w, value);
}

static void put_bool(struct writer *out, const char *key, bool value)
{
	json_write_key(out->w, key);
	json_write_bool(out->w, value);
}

static void put_strings(struct writer *out, const char *key, const struct strings *list)
{
	json_write_key(out->w, key);
	json_write_array(out->w);
	for (size_t i = 0; i < list->n; i++)
		json_write_string(out->w, list->items[i]);
	json_write_end(out->w);
}

static void put_bits(struct writer *out, const char *key, const struct bit_name *names,
		     uint64_t bits)
{
	const struct strings list = bits_list(out->arena, names, bits);

	put_strings(out, key, &list);
}

static void begin_object(struct writer *out, const char *key)
{
	json_write_key(out->w, key);
	json_write_object(out->w);
}

static void begin_list(struct writer *out, const char *key)
{
	json_write_key(out->w, key);
	json_write_array(out->w);
}

static void end(struct writer *out)
{
	json_write_end(out->w);
}

/* ---- process ---- */

static void put_caps(struct writer *out, const struct caps *caps)
{
	const struct {
		const char *name;
		uint64_t set;
	} sets[] = {
		{ "bounding", caps->bounding },	      { "effective", caps->effective },
		{ "inheritable", caps->inheritable }, { "permitted", caps->permitted },
		{ "ambient", caps->ambient },
	};

	begin_object(out, "capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		const struct strings names = capability_list(out->arena, sets[i].set);

		put_strings(out, sets[i].name, &names);
	}
	end(out);
}

static void put_scheduler(struct writer *out, const struct tuning_scheduler *scheduler)
{
	begin_object(out, "scheduler");
	put_text(out, "policy", name_of(oci_scheduler_policy_names, (int)scheduler->policy));
	put_uint(out, "flags", scheduler->flags);
	put_int(out, "nice", scheduler->nice);
	put_uint(out, "priority", scheduler->priority);
	put_uint(out, "runtime", scheduler->runtime);
	put_uint(out, "deadline", scheduler->deadline);
	put_uint(out, "period", scheduler->period);
	end(out);
}

/* The numbers of the bits that are set in N words. */
static void put_numbers(struct writer *out, const char *key, const unsigned long *words, size_t n)
{
	const size_t bits = 8 * sizeof(*words);

	begin_list(out, key);
	for (size_t i = 0; i < n * bits; i++)
		if (words[i / bits] & 1UL << i % bits)
			json_write_uint(out->w, i);
	end(out);
}

static void put_memory_policy(struct writer *out, const struct tuning_memory_policy *policy)
{
	begin_object(out, "memoryPolicy");
	put_int(out, "mode", policy->mode);
	put_numbers(out, "nodes", policy->nodes, ARRAY_SIZE(policy->nodes));
	end(out);
}

static void put_tuning(struct writer *out, const struct plan_process *process)
{
	if (process->oom_score_adj.set)
		put_int(out, "oomScoreAdj", process->oom_score_adj.value);
	if (process->scheduler)
		put_scheduler(out, process->scheduler);
	if (process->io_class) {
		begin_object(out, "ioPriority");
		put_text(out, "class", name_of(oci_io_priority_class_names, process->io_class));
		put_int(out, "priority", process->io_priority);
		end(out);
	}
	if (process->memory_policy)
		put_memory_policy(out, process->memory_policy);
	if (process->personality.set)
		put_int(out, "personality", process->personality.value);
	if (process->affinity_initial)
		put_numbers(out, "cpusInitial", process->affinity_initial->bits,
			    ARRAY_SIZE(process->affinity_initial->bits));
	if (process->affinity_final)
		put_numbers(out, "cpusFinal", process->affinity_final->bits,
			    ARRAY_SIZE(process->affinity_final->bits));
}

static void put_rlimits(struct writer *out, const struct plan_process *process)
{
	begin_list(out, "rlimits");
	for (size_t i = 0; i < process->rlimits_n; i++) {
		const struct tuning_rlimit *limit = &process->rlimits[i];

		json_write_object(out->w);
		put_text(out, "type", name_of(oci_rlimit_names, limit->type));
		put_uint(out, "soft", limit->soft);
		put_uint(out, "hard", limit->hard);
		put_text(out, "where", limit->where);
		end(out);
	}
	end(out);
}

static void put_user(struct writer *out, const struct plan_process *process)
{
	begin_object(out, "user");
	put_uint(out, "uid", process->uid);
	put_uint(out, "gid", process->gid);
	put_text(out, "umask", text_format(out->arena, "%04o", process->umask));
	put_bool(out, "setGroups", process->set_groups);
	begin_list(out, "groups");
	for (size_t i = 0; i < process->groups_n; i++)
		json_write_uint(out->w, process->groups[i]);
	end(out);
	end(out);
}

static void put_process(struct writer *out, const struct plan *plan)
{
	const struct plan_process *process = &plan->process;

	begin_object(out, "process");
	put_strings(out, "args", &process->args);
	put_strings(out, "env", &process->env);
	put_bool(out, "homeFromPasswd", process->needs_home);
	put_text(out, "cwd", process->cwd);
	if (process->terminal) {
		begin_object(out, "terminal");
		put_uint(out, "height", process->height);
		put_uint(out, "width", process->width);
		end(out);
	}
	put_uint(out, "passedDescriptors", plan->preserve_fds);
	put_user(out, process);
	put_caps(out, &process->caps);
	put_bool(out, "noNewPrivileges", process->no_new_privileges);
	put_text(out, "apparmorProfile", process->apparmor_profile);
	put_text(out, "selinuxLabel", process->selinux_label);
	put_rlimits(out, process);
	put_tuning(out, process);
	put_text(out, "sessionKeyring", plan->keyring);
	put_text(out, "keyringLabel", plan->keyring ? plan->keyring_label : NULL);
	put_text(out, "where", process->where);
	end(out);
}

/* ---- namespaces ---- */

static void put_ranges(struct writer *out, const char *key, const struct idmap_range *ranges,
		       size_t n)
{
	begin_list(out, key);
	for (size_t i = 0; i < n; i++) {
		json_write_object(out->w);
		put_uint(out, "inside", ranges[i].inside);
		put_uint(out, "outside", ranges[i].outside);
		put_uint(out, "size", ranges[i].size);
		end(out);
	}
	end(out);
}

static void put_map(struct writer *out, const char *key, const struct idmap *map, const char *where)
{
	begin_object(out, key);
	put_ranges(out, "uids", map->uids, map->uids_n);
	put_ranges(out, "gids", map->gids, map->gids_n);
	put_bool(out, "denySetgroups", map->deny_setgroups);
	put_bool(out, "helpers", map->helpers);
	put_text(out, "where", where);
	end(out);
}

static void put_namespaces(struct writer *out, const struct plan_namespaces *namespaces)
{
	begin_object(out, "namespaces");
	begin_list(out, "create");
	for (size_t i = 0; i < namespaces->makes_n; i++) {
		json_write_object(out->w);
		put_text(out, "type",
			 bits_text(out->arena, clone_names, namespaces->makes[i].flag));
		put_text(out, "where", namespaces->makes[i].where);
		end(out);
	}
	end(out);
	begin_list(out, "join");
	for (size_t i = 0; i < namespaces->joins_n; i++) {
		const struct plan_join *join = &namespaces->joins[i];

		json_write_object(out->w);
		put_text(out, "type", bits_text(out->arena, clone_names, join->flag));
		put_text(out, "path", join->path);
		put_text(out, "where", join->where);
		end(out);
	}
	end(out);
	if (namespaces->maps)
		put_map(out, "maps", namespaces->maps, namespaces->maps_where);
	if (namespaces->time_offsets) {
		begin_object(out, "timeOffsets");
		put_text(out, "lines", namespaces->time_offsets);
		put_text(out, "where", namespaces->time_where);
		end(out);
	}
	end(out);
}

static void put_names(struct writer *out, const struct plan *plan)
{
	put_text(out, "hostname", plan->hostname);
	put_text(out, "domainname", plan->domainname);
	begin_list(out, "sysctl");
	for (size_t i = 0; i < plan->sysctls_n; i++) {
		json_write_object(out->w);
		put_text(out, "key", plan->sysctls[i].key);
		put_text(out, "value", plan->sysctls[i].value);
		put_text(out, "where", plan->sysctls[i].where);
		end(out);
	}
	end(out);
	begin_list(out, "netDevices");
	for (size_t i = 0; i < plan->net_devices_n; i++) {
		json_write_object(out->w);
		put_text(out, "name", plan->net_devices[i].name);
		put_text(out, "newName", plan->net_devices[i].new_name);
		put_text(out, "where", plan->net_devices[i].where);
		end(out);
	}
	end(out);
}

/* ---- files ---- */

static void put_attributes(struct writer *out, const char *key, const char *clear_key, uint64_t set,
			   uint64_t clear)
{
	const struct strings names = attributes_set(out->arena, set, clear);

	if (set || clear) {
		put_strings(out, key, &names);
		put_bits(out, clear_key, attribute_names, clear);
	}
}

static void put_node(struct writer *out, const struct mount_op *op)
{
	begin_object(out, "node");
	put_text(out, "type", node_type(op->mode));
	if (!S_ISFIFO(op->mode)) {
		put_uint(out, "major", major(op->device));
		put_uint(out, "minor", minor(op->device));
	}
	put_text(out, "mode", text_format(out->arena, "%04o", op->mode & 07777));
	put_uint(out, "uid", op->uid);
	put_uint(out, "gid", op->gid);
	end(out);
}

static void put_propagation(struct writer *out, const struct mount_op *op)
{
	begin_list(out, "propagation");
	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		json_write_string(out->w, propagation_text(out->arena, op->propagation[i]));
	end(out);
}

static void put_mount(struct writer *out, const struct mount_op *op)
{
	json_write_object(out->w);
	put_text(out, "kind", mount_verb(op->kind));
	put_text(out, "target", op->target);
	put_text(out, "type", op->type);
	put_text(out, "source", op->source);
	if (op->options.n > 0)
		put_strings(out, "options", &op->options);
	put_attributes(out, "set", "clear", op->set, op->clear);
	put_attributes(out, "recursiveSet", "recursiveClear", op->recursive_set,
		       op->recursive_clear);
	if (op->propagation[0])
		put_propagation(out, op);
	if (op->flags)
		put_bits(out, "flags", mount_flag_names, op->flags);
	if (op->idmap)
		put_map(out, op->idmap_recursive ? "idmapRecursive" : "idmap", op->idmap, NULL);
	if (op->mode)
		put_node(out, op);
	put_text(out, "where", op->where);
	end(out);
}

static void put_files(struct writer *out, const struct plan *plan)
{
	begin_object(out, "root");
	put_text(out, "path", plan->rootfs);
	put_bool(out, "readonly", plan->root_readonly);
	put_bool(out, "pivot", !plan->no_pivot && (plan->namespaces.create & CLONE_NEWNS));
	put_text(out, "propagation", propagation_text(out->arena, plan->propagation));
	if (plan->propagation_after)
		put_text(out, "propagationAfter",
			 propagation_text(out->arena, plan->propagation_after));
	end(out);
	begin_list(out, "mounts");
	for (size_t i = 0; i < plan->mounts_n; i++)
		put_mount(out, &plan->mounts[i]);
	end(out);
	begin_list(out, "protections");
	for (size_t i = 0; i < plan->protections_n; i++)
		put_mount(out, &plan->protections[i]);
	end(out);
}

/* ---- cgroup ---- */

static void put_properties(struct writer *out, const struct plan_cgroup *cgroup)
{
	begin_list(out, "properties");
	for (size_t i = 0; i < cgroup->properties_n; i++) {
		const struct systemd_property *property = &cgroup->properties[i];

		json_write_object(out->w);
		put_text(out, "name", property->name);
		put_text(out, "signature", property->signature);
		put_strings(out, "values", &property->values);
		put_text(out, "with", property->with);
		put_text(out, "where", property->where);
		end(out);
	}
	end(out);
}

static void put_writes(struct writer *out, const struct plan_cgroup *cgroup)
{
	begin_list(out, "writes");
	for (size_t i = 0; i < cgroup->writes.n; i++) {
		const struct cgroup_write *write = &cgroup->writes.items[i];

		json_write_object(out->w);
		put_text(out, "file", write->file);
		put_text(out, "value", write->value);
		put_text(out, "controller", write->controller);
		put_text(out, "unless", write->unless);
		put_bool(out, "ifExists", write->flags & CGROUP_MISSING_IS_FINE);
		put_text(out, "where", write->where);
		end(out);
	}
	end(out);
}

/* A number that is left out is any number. */
static void put_devices(struct writer *out, const struct plan_cgroup *cgroup)
{
	begin_list(out, "devices");
	for (size_t i = 0; i < cgroup->devices_n; i++) {
		const struct device_rule *rule = &cgroup->devices[i];

		json_write_object(out->w);
		put_bool(out, "allow", rule->allow);
		put_text(out, "type", text_format(out->arena, "%c", rule->type));
		if (rule->major >= 0)
			put_int(out, "major", rule->major);
		if (rule->minor >= 0)
			put_int(out, "minor", rule->minor);
		put_bits(out, "access", device_access_names, rule->access);
		end(out);
	}
	end(out);
}

static void put_cgroup(struct writer *out, const struct plan *plan)
{
	const struct plan_cgroup *cgroup = &plan->cgroup;

	begin_object(out, "cgroup");
	put_text(out, "manager", name_of(cgroup_manager_names, (int)cgroup->manager));
	put_text(out, "path", cgroup->path);
	put_text(out, "slice", cgroup->slice);
	put_text(out, "unit", cgroup->unit);
	put_bool(out, "bestEffort", cgroup->best_effort);
	put_properties(out, cgroup);
	put_writes(out, cgroup);
	if (cgroup->filter_devices)
		put_devices(out, cgroup);
	if (cgroup->delegate) {
		begin_object(out, "delegate");
		put_uint(out, "uid", cgroup->delegate_uid);
		put_uint(out, "gid", cgroup->delegate_gid);
		end(out);
	}
	put_text(out, "where", cgroup->where);
	end(out);
}

static void put_rdt(struct writer *out, const struct rdt_plan *rdt)
{
	begin_object(out, "resctrl");
	put_text(out, "group", rdt->group);
	put_bool(out, "own", rdt->own);
	put_bool(out, "monitoring", rdt->monitoring);
	put_strings(out, "schemata", &rdt->schemata);
	put_text(out, "where", "/linux/intelRdt");
	end(out);
}

/* ---- seccomp, hooks ---- */

static void put_seccomp(struct writer *out, const struct oci_seccomp *seccomp,
			const struct plan_seccomp *filter)
{
	begin_object(out, "seccomp");
	json_write_key(out->w, "profile");
	schema_encode(&oci_seccomp_schema, seccomp, out->w);
	if (filter) {
		put_uint(out, "instructions", filter->program.length);
		put_bool(out, "notify", filter->program.notify);
	}
	put_text(out, "where", "/linux/seccomp");
	end(out);
}

static void put_hook(struct writer *out, const struct oci_hook *hook, const char *where)
{
	json_write_object(out->w);
	put_text(out, "path", hook->path);
	put_strings(out, "args", &hook->args);
	put_strings(out, "env", &hook->env);
	if (hook->timeout.set)
		put_int(out, "timeout", hook->timeout.value);
	put_text(out, "where", where);
	end(out);
}

static void put_hooks(struct writer *out, const struct oci_hooks *hooks)
{
	begin_object(out, "hooks");
	for (int kind = 0; hooks && kind < OCI_HOOK_COUNT; kind++) {
		const char *name = name_of(oci_hook_names, kind);

		if (hooks->lists[kind].n == 0)
			continue;
		begin_list(out, name);
		for (size_t i = 0; i < hooks->lists[kind].n; i++)
			put_hook(out, &hooks->lists[kind].items[i],
				 text_format(out->arena, "/hooks/%s/%zu", name, i));
		end(out);
	}
	end(out);
}

const char *plan_json(struct arena *arena, const struct plan *plan,
		      const struct plan_seccomp *filter)
{
	const struct oci_linux *oci_linux = plan->config->linux;
	struct writer out = { .arena = arena, .w = json_writer_new(arena, 2) };

	json_write_object(out.w);
	put_text(&out, "id", plan->id);
	put_text(&out, "bundle", plan->bundle);
	put_process(&out, plan);
	put_namespaces(&out, &plan->namespaces);
	put_names(&out, plan);
	put_files(&out, plan);
	put_cgroup(&out, plan);
	if (plan->rdt)
		put_rdt(&out, plan->rdt);
	if (oci_linux && oci_linux->seccomp)
		put_seccomp(&out, oci_linux->seccomp, filter);
	put_hooks(&out, plan->config->hooks);
	end(&out);
	return json_writer_text(out.w, NULL);
}
