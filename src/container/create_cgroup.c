/* The rows of the create table that are about the cgroup: making it, its limits, and its end. */
#include "create_parts.h"

#include <errno.h>
#include <string.h>

#include <creel/cgroup.h>
#include <creel/cgroup_bpf.h>
#include <creel/create.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>

#define KILL_TIMEOUT_MS	  10000
#define REMOVE_TIMEOUT_MS 5000

/*
 * Who asks for nothing can do without: an ordinary user, and root of a container whose cgroups are
 * read-only, where no runtime can make one.
 */
static bool may_do_without(const struct plan_cgroup *plan, int errnum)
{
	if (plan->best_effort)
		return true;
	for (size_t i = 0; i < plan->writes.n; i++)
		if (plan->writes.items[i].file)
			return false;
	return errnum == EROFS && !plan->where && !plan->filter_devices;
}

int create_make_cgroup(struct create *create, struct error *err)
{
	struct plan_cgroup *plan = &create->plan.cgroup;
	struct state *state = &create->container.state;

	if (plan->manager != CGROUP_MANAGER_CGROUPFS || !plan->path)
		return 0;
	if (create->runtime->cgroup_root < 0)
		return error_coded(
		    err, CRL_NO_CGROUP2,
		    error_unsupported(err, "no cgroup2 hierarchy is mounted on this host"));
	if (cgroup_missing(create->runtime->cgroup_root, plan->path, &state->cgroup_missing, err) <
	    0)
		return error_at(err, plan->where);
	if (state_note_cgroup(create->container.dir, plan->path, state->cgroup_missing, err) < 0)
		return -1;
	if (cgroup_make(create->runtime->cgroup_root, plan->path, &plan->writes, &create->cgroup,
			err) < 0) {
		if (!may_do_without(plan, err->errnum))
			return error_at(err, plan->where);
		log_warning("running without a cgroup: %s: %s; the container cannot be paused, and "
			    "has neither limits nor statistics",
			    err->what, strerror(err->errnum));
		*err = (struct error){ 0 };
		plan->path = NULL;
		create->container.state.cgroup = NULL;
		return 0;
	}
	create->container.state.cgroup_made =
	    (struct optional_uint){ .set = true, .value = create->cgroup.made };
	return state_mark_cgroup(create->container.dir, create->cgroup.made, err);
}

int create_undo_cgroup(struct create *create, struct error *err)
{
	const struct state *state = &create->container.state;
	bool ours = state->cgroup_made.set;
	size_t made = ours ? (size_t)state->cgroup_made.value : state->cgroup_missing;

	if (!state->cgroup || create->runtime->cgroup_root < 0)
		return 0;
	/* Mostly nobody is left in it. */
	if (ours && made > 0 && cgroup_remove_empty(create->runtime->cgroup_root, state->cgroup) &&
	    made == 1)
		return 0;

	auto_fd fd = cgroup_open(create->runtime->cgroup_root, state->cgroup, err);

	if (fd < 0 && err->errnum != ENOENT)
		return -1;
	if (fd < 0)
		error_ignore(err, "it is gone already; parents that we made may be left");
	/*
	 * Without the mark no process of ours was ever born in it.  If it was not there before and
	 * is empty it is our half-made one, else it is somebody else's, and must be left alone.
	 */
	if (fd >= 0 && !ours && (made == 0 || cgroup_is_populated(fd) != 0))
		return 0;
	if (fd >= 0 && ours && cgroup_kill(fd, KILL_TIMEOUT_MS, err) < 0)
		return -1;
	/* An engine may have made it before us: a failed create leaves it as it was. */
	if (create->options && made == 0)
		return 0;
	return cgroup_remove(create->runtime->cgroup_root, state->cgroup, made, REMOVE_TIMEOUT_MS,
			     err);
}

int create_equip_cgroup(struct create *create, struct error *err)
{
	const struct plan_cgroup *plan = &create->plan.cgroup;

	if (plan->filter_devices) {
		size_t length;
		struct bpf_insn *program =
		    device_program(create->runtime->arena, plan->devices, plan->devices_n, &length);

		if (device_program_attach(create->cgroup.fd, program, length,
					  create->cgroup.made > 0, err) < 0)
			return error_at(err, "/linux/resources/devices");
	}
	if (plan->delegate)
		return cgroup_delegate(create->cgroup.fd, plan->delegate_uid, plan->delegate_gid,
				       err);
	return 0;
}

/* The number of processes, which S and I together may exceed, or all the rest. */
static int write_limits(struct create *create, bool number, struct error *err)
{
	const struct cgroup_writes *all = &create->plan.cgroup.writes;
	struct cgroup_writes some = {
		.items = arena_array(create->runtime->arena, all->n, sizeof(*some.items)),
	};

	for (size_t i = 0; i < all->n; i++)
		if (text_equal(all->items[i].file, "pids.max") == number)
			some.items[some.n++] = all->items[i];
	return cgroup_write_all(create->cgroup.fd, &some, false, err);
}

/*
 * All of it while I is busy with its mounts, on the other core: the kernel checks and compiles the
 * device program for longer than it makes a cgroup.  The user's program is not there yet.
 */
int create_make_limits(struct create *create, struct error *err)
{
	bool late = create_is_born_late(create);

	if (!late && create_make_unit_limits(create, err) < 0)
		return -1;
	if (create->cgroup.fd < 0)
		return 0;
	if (create_equip_cgroup(create, err) < 0 || write_limits(create, false, err) < 0)
		return -1;
	return late ? 0 : write_limits(create, true, err);
}

int create_make_late_limits(struct create *create, struct error *err)
{
	if (create_make_unit_limits(create, err) < 0)
		return -1;
	return create->cgroup.fd < 0 ? 0 : write_limits(create, true, err);
}
