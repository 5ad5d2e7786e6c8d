/*
 * The plan as people read it: grouped by what it is about, in aligned columns, the last of which is
 * the place in config.json that asked for it.  What stands without such a place is creel's own.
 */
#include "print_parts.h"

#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <creel/table.h>

#define COLUMNS	      5
#define COLUMN_MOST   44 /* a longer cell stands out instead of moving all others to the right */
#define WORDS_PER_ROW 68 /* characters */

struct view {
	struct arena *arena;
	const struct plan *plan;
	bool colour;
	struct printer out;
	const char *heading;
	struct table table; /* of the section that is open */
};

static const struct table_column columns[COLUMNS] = { [COLUMNS - 1] = { .paint = TABLE_DIM } };

static void section_begin(struct view *view, const char *heading)
{
	view->heading = heading;
	view->table = (struct table){
		.arena = view->arena,
		.columns = columns,
		.columns_n = COLUMNS,
		.indent = 2,
		.most = COLUMN_MOST,
		.colour = view->colour,
	};
}

/* A section of which there is nothing to say is not there. */
static void section_end(struct view *view)
{
	const char *bold = view->colour ? TABLE_BOLD : "";
	const char *normal = view->colour ? TABLE_NORMAL : "";

	if (view->table.n == 0)
		return;
	printer_format(&view->out, "%s%s%s%s\n", view->out.n > 0 ? "\n" : "", bold, view->heading,
		       normal);
	printer_put(&view->out, table_text(&view->table));
}

static void row(struct view *view, const char *name, const char *value, const char *where)
{
	TABLE_ADD(&view->table, name, value, NULL, NULL, where);
}

/* The words of LIST behind NAME, on as many rows as they need. */
static void row_words(struct view *view, const char *name, const struct strings *list,
		      const char *where)
{
	const char *text = "";

	for (size_t i = 0; i < list->n; i++) {
		if (text[0] && strlen(text) + strlen(list->items[i]) >= WORDS_PER_ROW) {
			row(view, name, text, where);
			name = where = NULL;
			text = "";
		}
		text = text_format(view->arena, "%s%s%s", text, text[0] ? " " : "", list->items[i]);
	}
	row(view, name, text[0] ? text : "none", where);
}

static const char *joined(struct view *view, const struct strings *list)
{
	return strings_joined(view->arena, list, ",");
}

/* As a shell would have to read it. */
static const char *quoted(struct arena *arena, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%+=:,./_-";
	char *text, *to;

	if (word[0] && !word[strspn(word, plain)])
		return word;
	text = to = arena_alloc(arena, 4 * strlen(word) + 3);
	*to++ = '\'';
	for (; *word; word++)
		if (*word == '\'')
			to = stpcpy(to, "'\\''");
		else
			*to++ = *word;
	*to = '\'';
	return text;
}

/* ---- process ---- */

static void view_user(struct view *view, const struct plan_process *process)
{
	const char *groups = "";

	for (size_t i = 0; i < process->groups_n; i++)
		groups =
		    text_format(view->arena, "%s%s%u", groups, i ? "," : "", process->groups[i]);
	row(view, "user",
	    text_format(view->arena, "%u:%u, umask %04o, %s%s", process->uid, process->gid,
			process->umask,
			!process->set_groups	? "the caller's groups"
			: process->groups_n > 0 ? "groups "
						: "no other groups",
			groups),
	    text_format(view->arena, "%s/user", process->where));
}

/* Sets that are the same share their rows: bounding, permitted and effective mostly are. */
static void view_caps(struct view *view, const struct plan_process *process)
{
	const struct caps *caps = &process->caps;
	const struct {
		const char *name;
		uint64_t set;
	} sets[] = {
		{ "bounding", caps->bounding },	  { "permitted", caps->permitted },
		{ "effective", caps->effective }, { "inheritable", caps->inheritable },
		{ "ambient", caps->ambient },
	};
	bool done[ARRAY_SIZE(sets)] = { false };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		const struct strings names = capability_list(view->arena, sets[i].set);
		struct strings labels = { 0 };

		for (size_t j = i; j < ARRAY_SIZE(sets) && !done[i]; j++)
			if (sets[j].set == sets[i].set) {
				strings_add(view->arena, &labels, (char *)sets[j].name);
				done[j] = j > i;
			}
		if (labels.n == 0)
			continue;
		row(view, i == 0 ? "capabilities" : NULL,
		    text_format(view->arena, "%s:", strings_joined(view->arena, &labels, ", ")),
		    i == 0 ? text_format(view->arena, "%s/capabilities", process->where) : NULL);
		row_words(view, NULL, &names, NULL);
	}
}

static const char *limit_text(struct arena *arena, uint64_t value)
{
	return value == UINT64_MAX ? "unlimited"
				   : text_format(arena, "%llu", (unsigned long long)value);
}

static void view_scheduling(struct view *view, const struct plan_process *process)
{
	static const char *const classes[] = { "none", "real time", "best effort", "idle" };
	const struct tuning_scheduler *scheduler = process->scheduler;
	struct arena *arena = view->arena;

	if (scheduler)
		row(view, "scheduler",
		    text_format(arena, "%s, nice %d, priority %u",
				name_of(oci_scheduler_policy_names, (int)scheduler->policy),
				scheduler->nice, scheduler->priority),
		    text_format(arena, "%s/scheduler", process->where));
	if (process->io_class)
		row(view, "I/O priority",
		    text_format(arena, "%s, priority %d", classes[process->io_class & 3],
				process->io_priority),
		    text_format(arena, "%s/ioPriority", process->where));
	if (process->memory_policy)
		row(view, "memory policy",
		    text_format(arena, "mode 0x%x, nodes 0x%lx",
				(unsigned int)process->memory_policy->mode,
				process->memory_policy->nodes[0]),
		    "/linux/memoryPolicy");
	if (process->personality.set)
		row(view, "personality",
		    text_format(arena, "0x%llx", (unsigned long long)process->personality.value),
		    "/linux/personality");
	if (process->oom_score_adj.set)
		row(view, "OOM score",
		    text_format(arena, "%+lld", (long long)process->oom_score_adj.value),
		    text_format(arena, "%s/oomScoreAdj", process->where));
}

static void view_rights(struct view *view, const struct plan_process *process)
{
	struct arena *arena = view->arena;

	view_caps(view, process);
	row(view, "new privileges", process->no_new_privileges ? "never" : "by set-user-ID files",
	    process->no_new_privileges ? text_format(arena, "%s/noNewPrivileges", process->where)
				       : NULL);
	if (process->apparmor_profile)
		row(view, "AppArmor", process->apparmor_profile,
		    text_format(arena, "%s/apparmorProfile", process->where));
	if (process->selinux_label)
		row(view, "SELinux", process->selinux_label,
		    text_format(arena, "%s/selinuxLabel", process->where));
	for (size_t i = 0; i < process->rlimits_n; i++) {
		const struct tuning_rlimit *limit = &process->rlimits[i];

		row(view, i == 0 ? "limits" : NULL,
		    text_format(arena, "%s soft %s, hard %s",
				name_of(oci_rlimit_names, limit->type),
				limit_text(arena, limit->soft), limit_text(arena, limit->hard)),
		    limit->where);
	}
}

static void view_program(struct view *view, const struct plan_process *process)
{
	struct arena *arena = view->arena;
	struct strings words = { 0 };

	for (size_t i = 0; i < process->args.n; i++)
		strings_add(arena, &words, (char *)quoted(arena, process->args.items[i]));
	row(view, "program", strings_joined(arena, &words, " "),
	    text_format(arena, "%s/args", process->where));
	row(view, "directory", process->cwd, text_format(arena, "%s/cwd", process->where));
	if (process->terminal)
		row(view, "terminal",
		    process->height ? text_format(arena, "%u rows of %u columns", process->height,
						  process->width)
				    : "of the caller's size",
		    text_format(arena, "%s/terminal", process->where));
	for (size_t i = 0; i < process->env.n; i++)
		row(view, i == 0 ? "environment" : NULL, process->env.items[i],
		    i == 0 ? text_format(arena, "%s/env", process->where) : NULL);
	if (process->needs_home)
		row(view, process->env.n == 0 ? "environment" : NULL,
		    "HOME from the container's /etc/passwd", NULL);
	if (view->plan->preserve_fds > 0)
		row(view, "descriptors",
		    text_format(arena, "3 to %u are passed on", 2 + view->plan->preserve_fds),
		    NULL);
}

static void view_process(struct view *view)
{
	const struct plan_process *process = &view->plan->process;

	section_begin(view, "Process");
	view_program(view, process);
	view_user(view, process);
	view_rights(view, process);
	view_scheduling(view, process);
	if (view->plan->keyring)
		row(view, "session keyring", view->plan->keyring, NULL);
	section_end(view);
}

/* ---- namespaces ---- */

static void view_map(struct view *view, const struct idmap *map, const char *where)
{
	const struct {
		const char *name;
		const struct idmap_range *ranges;
		size_t n;
		const char *where;
	} sides[] = {
		{ "uids", map->uids, map->uids_n, where },
		{ "gids", map->gids, map->gids_n, where ? "/linux/gidMappings" : NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++)
		for (size_t j = 0; j < sides[i].n; j++) {
			const struct idmap_range *range = &sides[i].ranges[j];

			row(view, j == 0 ? sides[i].name : NULL,
			    text_format(view->arena, "%u to %u are %u to %u outside", range->inside,
					range->inside + range->size - 1, range->outside,
					range->outside + range->size - 1),
			    sides[i].where);
		}
	if (map->deny_setgroups)
		row(view, "setgroups", "denied, as it must be for one's own id", NULL);
	if (map->helpers)
		row(view, "maps by", "newuidmap and newgidmap", NULL);
}

static void view_namespaces(struct view *view)
{
	const struct plan_namespaces *namespaces = &view->plan->namespaces;

	section_begin(view, "Namespaces");
	for (size_t i = 0; i < namespaces->makes_n; i++)
		row(view, bits_text(view->arena, clone_names, namespaces->makes[i].flag), "new",
		    namespaces->makes[i].where);
	for (size_t i = 0; i < namespaces->joins_n; i++)
		row(view, bits_text(view->arena, clone_names, namespaces->joins[i].flag),
		    namespaces->joins[i].path, namespaces->joins[i].where);
	if (namespaces->maps)
		view_map(view, namespaces->maps, namespaces->maps_where);
	if (namespaces->time_offsets)
		row(view, "time offsets", namespaces->time_offsets, namespaces->time_where);
	if (view->plan->hostname)
		row(view, "host name", view->plan->hostname, "/hostname");
	if (view->plan->domainname)
		row(view, "domain name", view->plan->domainname, "/domainname");
	for (size_t i = 0; i < view->plan->sysctls_n; i++) {
		const struct plan_sysctl *sysctl = &view->plan->sysctls[i];

		row(view, i == 0 ? "sysctl" : NULL,
		    text_format(view->arena, "%s = %s", sysctl->key, sysctl->value), sysctl->where);
	}
	for (size_t i = 0; i < view->plan->net_devices_n; i++) {
		const struct plan_net_device *device = &view->plan->net_devices[i];

		row(view, "network device",
		    text_format(view->arena, "%s as %s", device->name, device->new_name),
		    device->where);
	}
	section_end(view);
}

/* ---- files ---- */

/* Everything that changes how a mount is made, in words that mount(8) would take where it has them.
 */
static const char *mount_words(struct view *view, const struct mount_op *op)
{
	struct arena *arena = view->arena;
	const struct strings own = attributes_set(arena, op->set, op->clear);
	const struct strings all = attributes_set(arena, op->recursive_set, op->recursive_clear);
	const struct strings flags = bits_list(arena, mount_flag_names, op->flags);

	struct strings words = { 0 };

	for (size_t i = 0; i < own.n; i++)
		if (!strings_has(&op->options, own.items[i]))
			strings_add(arena, &words, own.items[i]);
	for (size_t i = 0; i < all.n; i++)
		strings_add(arena, &words, text_format(arena, "r%s", all.items[i]));
	for (size_t i = 0; i < op->options.n; i++)
		strings_add(arena, &words, op->options.items[i]);
	for (size_t i = 0; i < ARRAY_SIZE(op->propagation) && op->propagation[i]; i++)
		strings_add(arena, &words, (char *)propagation_text(arena, op->propagation[i]));
	for (size_t i = 0; i < flags.n; i++)
		strings_add(arena, &words, flags.items[i]);
	if (op->idmap)
		strings_add(arena, &words,
			    text_format(arena, "%s=uids=%s;gids=%s",
					op->idmap_recursive ? "ridmap" : "idmap",
					ranges_text(arena, op->idmap->uids, op->idmap->uids_n),
					ranges_text(arena, op->idmap->gids, op->idmap->gids_n)));
	return strings_joined(arena, &words, ",");
}

static void view_mounts(struct view *view)
{
	const struct plan *plan = view->plan;
	bool own = plan->namespaces.create & CLONE_NEWNS;

	section_begin(view, "Mounts");
	TABLE_ADD(&view->table, "/", "bind", plan->rootfs,
		  plan->no_pivot || !own ? "entered by chroot" : NULL, "/root/path");
	for (size_t i = 0; i < plan->mounts_n; i++) {
		const struct mount_op *op = &plan->mounts[i];

		if (op->kind == MOUNT_NODE || op->kind == MOUNT_LINK)
			continue;
		TABLE_ADD(&view->table, op->target,
			  op->type && op->kind != MOUNT_BIND ? op->type : mount_verb(op->kind),
			  op->source, mount_words(view, op), op->where);
	}
	if (plan->propagation_after)
		TABLE_ADD(&view->table, "/", "remount", NULL,
			  propagation_text(view->arena, plan->propagation_after),
			  "/linux/rootfsPropagation");
	if (plan->root_readonly)
		TABLE_ADD(&view->table, "/", "remount", NULL, "ro", "/root/readonly");
	section_end(view);
}

static void view_devices(struct view *view)
{
	const struct plan *plan = view->plan;
	struct arena *arena = view->arena;

	section_begin(view, "Devices and links");
	for (size_t i = 0; i < plan->mounts_n; i++) {
		const struct mount_op *op = &plan->mounts[i];
		const char *type = node_type(op->mode);

		if (op->kind == MOUNT_LINK)
			TABLE_ADD(&view->table, op->target, "link", op->source, NULL, op->where);
		if (op->kind != MOUNT_NODE)
			continue;
		TABLE_ADD(
		    &view->table, op->target,
		    S_ISFIFO(op->mode) ? "fifo"
				       : text_format(arena, "%s %u:%u", type, major(op->device),
						     minor(op->device)),
		    text_format(arena, "%04o, owner %u:%u", op->mode & 07777, op->uid, op->gid),
		    NULL, op->where);
	}
	section_end(view);

	section_begin(view, "Protected paths");
	for (size_t i = 0; i < plan->protections_n; i++)
		row(view, plan->protections[i].target,
		    plan->protections[i].kind == MOUNT_MASK ? "masked" : "read-only",
		    plan->protections[i].where);
	section_end(view);
}

/* ---- cgroup ---- */

static const char *rule_text(struct arena *arena, const struct device_rule *rule)
{
	const struct strings access = bits_list(arena, device_access_names, rule->access);
	const char *major_text =
	    rule->major < 0 ? "*" : text_format(arena, "%lld", (long long)rule->major);
	const char *minor_text =
	    rule->minor < 0 ? "*" : text_format(arena, "%lld", (long long)rule->minor);

	return text_format(arena, "%s %c %s:%s %s", rule->allow ? "allow" : "deny ", rule->type,
			   major_text, minor_text, strings_joined(arena, &access, ","));
}

static void view_cgroup_writes(struct view *view, const struct plan_cgroup *cgroup)
{
	struct strings wanted = { 0 };

	for (size_t i = 0; i < cgroup->writes.n; i++) {
		const struct cgroup_write *write = &cgroup->writes.items[i];

		if (!write->file)
			strings_add(view->arena, &wanted, (char *)write->controller);
		else
			TABLE_ADD(&view->table, write->file, write->value,
				  write->unless ? text_format(view->arena, "unless there is %s",
							      write->unless)
				  : write->flags & CGROUP_MISSING_IS_FINE ? "if it exists"
									  : NULL,
				  NULL, write->where);
	}
	if (wanted.n > 0)
		row(view, "to be counted", strings_joined(view->arena, &wanted, " "), NULL);
}

static void view_rdt(struct view *view)
{
	const struct rdt_plan *rdt = view->plan->rdt;

	row(view, "resctrl group",
	    text_format(view->arena, "%s%s%s", rdt->group, rdt->own ? ", made for it" : "",
			rdt->monitoring ? ", monitored" : ""),
	    "/linux/intelRdt");
	for (size_t i = 0; i < rdt->schemata.n; i++)
		row(view, NULL, rdt->schemata.items[i], NULL);
}

static void view_cgroup(struct view *view)
{
	const struct plan_cgroup *cgroup = &view->plan->cgroup;
	struct arena *arena = view->arena;

	section_begin(view, "Cgroup");
	row(view, "manager", name_of(cgroup_manager_names, (int)cgroup->manager), NULL);
	if (cgroup->unit)
		row(view, "unit", cgroup->unit, cgroup->where);
	if (cgroup->slice)
		row(view, "slice", cgroup->slice, cgroup->where);
	if (cgroup->path)
		row(view, "path", cgroup->path, cgroup->where);
	if (cgroup->best_effort)
		row(view, "where it may not", "the container runs without", NULL);
	for (size_t i = 0; i < cgroup->properties_n; i++) {
		const struct systemd_property *property = &cgroup->properties[i];

		row(view, property->name, joined(view, &property->values), property->where);
	}
	view_cgroup_writes(view, cgroup);
	if (cgroup->delegate)
		row(view, "owner",
		    text_format(arena, "%u:%u", cgroup->delegate_uid, cgroup->delegate_gid), NULL);
	for (size_t i = 0; cgroup->filter_devices && i < cgroup->devices_n; i++)
		row(view, i == 0 ? "devices" : NULL, rule_text(arena, &cgroup->devices[i]), NULL);
	if (view->plan->rdt)
		view_rdt(view);
	section_end(view);
}

/* ---- seccomp, hooks ---- */

/* The first few names: a profile has hundreds. */
static void view_rule(struct view *view, const struct oci_seccomp_rule *rule, const char *where)
{
	struct strings names = { 0 };
	size_t length = 0, i = 0;

	for (; i < rule->names.n && length + strlen(rule->names.items[i]) < COLUMN_MOST; i++) {
		strings_add(view->arena, &names, rule->names.items[i]);
		length += strlen(rule->names.items[i]) + 1;
	}
	TABLE_ADD(&view->table, name_of(oci_seccomp_action_names, (int)rule->action.value),
		  text_format(view->arena, "%s%s", strings_joined(view->arena, &names, " "),
			      i < rule->names.n
				  ? text_format(view->arena, " and %zu more", rule->names.n - i)
				  : ""),
		  rule->args.n > 0 ? text_format(view->arena, "by %zu argument%s", rule->args.n,
						 rule->args.n > 1 ? "s" : "")
				   : NULL,
		  NULL, where);
}

static void view_seccomp(struct view *view, const struct plan_seccomp *filter)
{
	const struct oci_linux *oci_linux = view->plan->config->linux;
	const struct oci_seccomp *seccomp = oci_linux ? oci_linux->seccomp : NULL;
	struct arena *arena = view->arena;

	if (!seccomp)
		return;
	section_begin(view, "Seccomp");
	row(view, "otherwise",
	    name_of(oci_seccomp_action_names, (int)seccomp->default_action.value),
	    "/linux/seccomp/defaultAction");
	for (size_t i = 0; i < seccomp->syscalls.n; i++)
		view_rule(view, &seccomp->syscalls.items[i],
			  text_format(arena, "/linux/seccomp/syscalls/%zu", i));
	if (filter)
		row(view, "filter", text_format(arena, "%zu instructions", filter->program.length),
		    "/linux/seccomp");
	section_end(view);
}

static void view_hooks(struct view *view)
{
	const struct oci_hooks *hooks = view->plan->config->hooks;

	section_begin(view, "Hooks");
	for (int kind = 0; hooks && kind < OCI_HOOK_COUNT; kind++)
		for (size_t i = 0; i < hooks->lists[kind].n; i++) {
			const char *name = name_of(oci_hook_names, kind);
			const struct oci_hook *hook = &hooks->lists[kind].items[i];

			TABLE_ADD(&view->table, name, hook->path,
				  hook->timeout.set ? text_format(view->arena, "%lld s at most",
								  (long long)hook->timeout.value)
						    : NULL,
				  NULL, text_format(view->arena, "/hooks/%s/%zu", name, i));
		}
	section_end(view);
}

const char *plan_view(struct arena *arena, const struct plan *plan,
		      const struct plan_seccomp *filter, bool colour)
{
	struct view view = {
		.arena = arena,
		.plan = plan,
		.colour = colour,
		.out = { .arena = arena },
	};

	section_begin(&view, "Container");
	row(&view, "id", plan->id, NULL);
	row(&view, "bundle", plan->bundle, NULL);
	section_end(&view);
	view_process(&view);
	view_namespaces(&view);
	view_mounts(&view);
	view_devices(&view);
	view_cgroup(&view);
	view_seccomp(&view, filter);
	view_hooks(&view);
	return view.out.text;
}
