/*
 * The row of the create table that gives a container to systemd: S is put into a scope of its own
 * before it makes the container's namespaces and processes, which are then born there.
 */
#include "create_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <creel/cgroup.h>
#include <creel/cgroup_systemd.h>
#include <creel/create.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/process.h>
#include <creel/procfs.h>

#define KILL_TIMEOUT_MS 10000
#define CGROUP_FILE_MAX 65536
#define SETUP_TASKS	16
#define SETUP_MEMORY	((uint64_t)32 << 20)

/* The cgroup that systemd has put S into; it must be the unit's, or limits and kills would hit
 * somebody else. */
static char *cgroup_of_stage(const struct create *create, struct error *err)
{
	const char *unit = create->plan.cgroup.unit;
	char file[32], text[CGROUP_FILE_MAX];
	char *rest = text;

	snprintf(file, sizeof(file), "%d/cgroup", create->stage);
	if (procfs_read(create->runtime->procfs, file, text, sizeof(text)) < 0) {
		error_system(err, errno, "cannot read the cgroup of the container's first process");
		return NULL;
	}
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *name = strrchr(line, '/');

		if (!text_starts_with(line, "0::/"))
			continue;
		if (text_equal(name + 1, unit))
			return arena_strdup(create->runtime->arena, line + strlen("0::"));
		error_system(err, 0,
			     "systemd started the unit %s, but its process is in the "
			     "cgroup %s",
			     unit, line + strlen("0::"));
		return NULL;
	}
	error_coded(err, CRL_NO_CGROUP2,
		    error_unsupported(err, "systemd does not use cgroup version 2 on this host"));
	error_hint(err, "boot with systemd.unified_cgroup_hierarchy=1");
	return NULL;
}

static int take_cgroup(struct create *create, struct error *err)
{
	struct state *state = &create->container.state;
	int root = create->runtime->cgroup_root;

	if (root < 0)
		return error_coded(
		    err, CRL_NO_CGROUP2,
		    error_unsupported(err, "no cgroup2 hierarchy is mounted on this host"));
	state->cgroup = cgroup_of_stage(create, err);
	if (!state->cgroup)
		return -1;
	/* Slices belong to systemd: it makes and removes them. */
	state->cgroup_made = (struct optional_uint){ .set = true, .value = 1 };
	if (state_write(create->runtime->arena, create->container.dir, state, err) < 0)
		return -1;
	create->cgroup = (struct cgroup){
		.fd = cgroup_open(root, state->cgroup, err),
		.path = state->cgroup,
		.made = 1,
	};
	/* What systemd does not manage (hugetlb, rdma) is not enabled by delegation. */
	if (create->cgroup.fd < 0)
		return -1;
	return cgroup_enable(root, state->cgroup, &create->plan.cgroup.writes, err);
}

/*
 * What would stop the set-up itself: S and I are two processes, and S is as large as we are.  A
 * restore has CRIU in the unit beside the container, until that is complete.
 */
static bool hinders(const struct create *create, const struct systemd_property *property)
{
	uint64_t limit = UINT64_MAX;
	bool is_memory =
	    text_equal(property->name, "MemoryMax") || text_equal(property->name, "MemoryHigh");

	if (create->restores && (is_memory || text_equal(property->name, "TasksMax") ||
				 text_equal(property->name, "MemorySwapMax")))
		return true;

	if (property->values.n != 1 ||
	    !text_parse_uint(property->values.items[0], UINT64_MAX, &limit))
		return false;
	if (text_equal(property->name, "TasksMax"))
		return limit < SETUP_TASKS;
	return is_memory && limit < SETUP_MEMORY;
}

/* The properties that are in the way of the set-up or depend on the unit's cgroup, or the others,
 * in their order. */
static size_t select_properties(const struct create *create, bool late,
				struct systemd_property **selected)
{
	const struct plan_cgroup *plan = &create->plan.cgroup;
	size_t n = 0;

	*selected = arena_array(create->runtime->arena, plan->properties_n, sizeof(**selected));
	for (size_t i = 0; i < plan->properties_n; i++) {
		const struct systemd_property *property = &plan->properties[i];

		if ((property->with || hinders(create, property)) != late)
			continue;
		if (!property->with || cgroup_has(create->cgroup.fd, property->with))
			(*selected)[n++] = *property;
	}
	return n;
}

/* One call for nearly everything; a second one only for tiny limits and for BFQ. */
int create_make_unit_limits(struct create *create, struct error *err)
{
	const struct plan_cgroup *plan = &create->plan.cgroup;
	struct systemd_property *late;
	size_t n;

	if (plan->manager != CGROUP_MANAGER_SYSTEMD)
		return 0;
	n = select_properties(create, true, &late);
	return systemd_set_properties(plan->unit, late, n, create->runtime->timeout_ms, err);
}

int create_make_adoption(struct create *create, struct error *err)
{
	const struct plan_cgroup *plan = &create->plan.cgroup;
	struct systemd_scope scope = { .unit = plan->unit, .pid = create->stage };
	struct systemd_property *early;

	if (plan->manager != CGROUP_MANAGER_SYSTEMD)
		return 0;
	scope.properties_n = select_properties(create, false, &early);
	scope.properties = early;
	if (text_ends_with(plan->unit, ".slice")) {
		error_unsupported(err, "%s is a slice: systemd keeps no processes in one",
				  plan->unit);
		return error_at(err, plan->where);
	}
	if (systemd_start(&scope, create->runtime->timeout_ms, &create->unit_asked, err) < 0) {
		create->unit_silent = err->errnum == ETIMEDOUT;
		return err->kind == ERROR_STATE ? error_at(err, plan->where) : -1;
	}
	return take_cgroup(create, err);
}

static int kill_all(struct create *create, struct error *err)
{
	struct error gone = { 0 };

	if (create->stage_fd >= 0 && process_signal(create->stage_fd, SIGKILL, &gone) < 0)
		error_ignore(&gone, "the stage is dead already");

	auto_fd cgroup = container_cgroup(create->runtime, &create->container, err);

	if (cgroup < 0)
		return err->kind == ERROR_NONE ? 0 : -1;
	return cgroup_kill(cgroup, KILL_TIMEOUT_MS, err);
}

/*
 * The create was killed before it knew whether it had a unit.  S died with it, so ours is empty:
 * systemd may have been too late to move a process, and waits for its end.  One with processes is
 * somebody else's.
 */
static int stop_empty(struct create *create, struct error *err)
{
	const char *unit = create->container.state.unit;
	int timeout_ms = create->runtime->timeout_ms;
	char path[CGROUP_FILE_MAX] = "";
	struct error gone = { 0 };

	if (systemd_cgroup(unit, timeout_ms, path, sizeof(path), err) < 0)
		return -1;
	if (path[0] && create->runtime->cgroup_root >= 0) {
		auto_fd cgroup = cgroup_open(create->runtime->cgroup_root, path, &gone);

		if (cgroup < 0)
			error_ignore(&gone, "it is not there yet, or no more");
		else if (cgroup_is_populated(cgroup) == 1)
			return 0;
	}
	return systemd_stop(unit, timeout_ms, err);
}

int create_undo_adoption(struct create *create, struct error *err)
{
	const struct state *state = &create->container.state;
	int timeout_ms = create->runtime->timeout_ms;

	if (!state->unit)
		return 0;
	if (!create->unit_asked && !state->cgroup_made.set)
		return create->options ? 0 : stop_empty(create, err);
	/* Else the stop would send SIGTERM first, and wait. */
	if (kill_all(create, err) < 0)
		return -1;
	/* Whoever did not answer need not be asked again: a scope without processes ends by itself.
	 */
	if (create->unit_silent)
		return 0;
	if (state->cgroup_made.set &&
	    systemd_has_forgotten(state->unit, create->runtime->cgroup_root, state->cgroup))
		return 0;
	return systemd_stop(state->unit, timeout_ms, err);
}
