/* exec.json and seccomp.bpf: what `exec` will need, written while the init is busy with its mounts.
 */
#include "create_parts.h"

#include <linux/filter.h>
#include <sched.h>

#include <creel/create.h>
#include <creel/error.h>
#include <creel/file.h>

static void fill_exec_record(const struct create *create, struct exec_record *record)
{
	const struct oci_linux *config = create->config.linux;
	const struct plan_namespaces *ns = &create->plan.namespaces;
	uint64_t flags = ns->create;

	for (size_t i = 0; i < ns->joins_n; i++)
		flags |= ns->joins[i].flag;
	flags |= create->more_namespaces;
	*record = (struct exec_record){
		.process = create->config.process,
		.namespaces = { .set = true, .value = flags },
		.user_namespace = flags & CLONE_NEWUSER,
		.own_root = !(ns->create & CLONE_NEWNS),
		.has_seccomp = create->seccomp.program.length > 0,
		.seccomp_flags = { .set = true, .value = create->seccomp.program.flags },
		.seccomp_notify = create->seccomp.program.notify,
		.listener_path = (char *)create->seccomp.listener_path,
		.listener_metadata = (char *)create->seccomp.listener_metadata,
		.annotations = create->config.annotations,
	};
	if (!config)
		return;
	record->personality = config->personality;
	record->memory_policy = config->memory_policy;
	/* Beside the path of a namespace to join they are ignored: it has its own. */
	if (!(ns->create & CLONE_NEWUSER))
		return;
	record->uid_mappings = config->uid_mappings;
	record->gid_mappings = config->gid_mappings;
}

/* Written while I is busy with mounts, as the state is: it costs the second core.  The state is
 * committed after, and without it nobody reads these. */
int create_save_exec_record(struct create *create, struct error *err)
{
	struct exec_record record;
	const struct seccomp_program *program = &create->seccomp.program;

	fill_exec_record(create, &record);
	if (exec_record_write(create->runtime->arena, create->container.dir, &record, err) < 0)
		return -1;
	if (program->length == 0)
		return 0;
	return file_make(create->container.dir, STATE_SECCOMP_FILE, program->filter,
			 program->length * sizeof(*program->filter), 0600, err);
}
