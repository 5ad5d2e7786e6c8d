/* `kill`, `pause`, `resume`, `ps`: signals by pidfd, so that a reused pid cannot be hit; whole
 * containers by their cgroup. */
#include <creel/verbs.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/message.h>
#include <creel/process.h>

#define FREEZE_TIMEOUT_MS 10000
#define KILL_TIMEOUT_MS	  10000
#define SIGNAL_BATCH	  64
/* Who forks faster than we signal is a bomb; SIGKILL is for that. */
#define SIGNAL_ROUNDS 16

static int not_running(const char *id, struct error *err)
{
	return error_coded(err, CRL_NOT_RUNNING, error_state(err, "container not running: %s", id));
}

/* Pids, sorted. */
struct pids {
	pid_t *items;
	size_t n;
};

static int compare_pids(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

	return (left > right) - (left < right);
}

static bool has_pid(const struct pids *pids, pid_t pid)
{
	return pids->n > 0 &&
	       bsearch(&pid, pids->items, pids->n, sizeof(pid), compare_pids) != NULL;
}

/*
 * Signals PIDS, that were in the cgroup.  A pid in a list may belong to a stranger by the time it
 * is opened; one that is in the list once more after that, and whose descriptor still works, does
 * not.
 */
static int signal_batch(struct runtime *runtime, int cgroup, int signal, const pid_t *pids,
			size_t n, struct error *err)
{
	int fds[SIGNAL_BATCH];
	struct pids now;
	int result;

	for (size_t i = 0; i < n; i++) {
		struct error gone = { 0 };

		fds[i] = process_open(pids[i], &gone);
		if (fds[i] < 0)
			error_ignore(&gone, "it ended meanwhile");
	}
	result = cgroup_pids(runtime->arena, cgroup, &now.items, &now.n, err);
	for (size_t i = 0; i < n; i++) {
		struct error gone = { 0 };

		if (result == 0 && fds[i] >= 0 && has_pid(&now, pids[i]) &&
		    process_signal(fds[i], signal, &gone) < 0)
			error_ignore(&gone, "it ended meanwhile");
		fd_close(&fds[i]);
	}
	return result;
}

/* Processes may be born while we signal: the list is read again until nobody new is found. */
static int signal_all(struct runtime *runtime, int cgroup, int signal, struct error *err)
{
	struct pids done = { 0 };

	if (signal == SIGKILL)
		return cgroup_kill(cgroup, KILL_TIMEOUT_MS, err);
	for (int round = 0; round < SIGNAL_ROUNDS; round++) {
		struct pids all;
		pid_t batch[SIGNAL_BATCH];
		size_t n = 0, found = 0;

		if (cgroup_pids(runtime->arena, cgroup, &all.items, &all.n, err) < 0)
			return -1;
		for (size_t i = 0; i < all.n; i++) {
			if (!has_pid(&done, all.items[i]))
				batch[n++] = all.items[i];
			if (n < SIGNAL_BATCH && i + 1 < all.n)
				continue;
			if (n > 0 && signal_batch(runtime, cgroup, signal, batch, n, err) < 0)
				return -1;
			found += n;
			n = 0;
		}
		if (found == 0)
			return 0;
		done = all;
	}
	return 0;
}

/* Also for a stopped container: without a pid namespace of its own others may have outlived the
 * init. */
static int kill_all(struct runtime *runtime, struct container *container, int signal,
		    struct error *err)
{
	auto_fd cgroup = container_cgroup(runtime, container, err);

	if (cgroup >= 0)
		return signal_all(runtime, cgroup, signal, err);
	if (err->kind != ERROR_NONE)
		return -1;
	if (container->status == OCI_STATUS_STOPPED)
		return 0;

	auto_fd init = container_init_open(runtime, container, err);

	return init < 0 ? -1 : process_signal(init, signal, err);
}

int kill_container(struct runtime *runtime, struct container *container, int signal, bool all,
		   struct error *err)
{
	if (all)
		return kill_all(runtime, container, signal, err);
	if (container->status == OCI_STATUS_STOPPED || container->status == OCI_STATUS_CREATING)
		return not_running(container->id, err);

	auto_fd init = container_init_open(runtime, container, err);

	if (init < 0)
		return -1;
	if (signal == SIGKILL && container->state.shared_pid)
		return kill_all(runtime, container, signal, err);
	if (process_signal(init, signal, err) < 0) {
		if (err->errnum == ESRCH)
			return not_running(container->id, err);
		return -1;
	}
	return 0;
}

int verb_kill(struct runtime *runtime, const char *id, int signal, bool all, struct error *err)
{
	auto_container container = { .dir = -1 };

	if (container_open(runtime, id, CONTAINER_NO_LOCK, &container, err) < 0)
		return -1;
	return kill_container(runtime, &container, signal, all, err);
}

int verb_kill_and_wait(struct runtime *runtime, const char *id, int signal, bool all,
		       struct error *err)
{
	auto_container container = { .dir = -1 };
	int timeout_ms = message_patience(runtime->timeout_ms, false);
	auto_fd init = -1;
	int status, ended;
	char name[64];

	if (container_open(runtime, id, CONTAINER_NO_LOCK, &container, err) < 0)
		return -1;
	/* Before the signal: afterwards its pid may be somebody else's. */
	if (container.status != OCI_STATUS_STOPPED && container.status != OCI_STATUS_CREATING)
		init = container_init_open(runtime, &container, err);
	if (err->kind != ERROR_NONE || verb_kill(runtime, id, signal, all, err) < 0)
		return -1;
	ended = init < 0 ? 1 : process_wait(init, timeout_ms, &status, err);
	if (ended != 0)
		return ended < 0 ? -1 : 0;

	pid_t pid = (pid_t)container.state.pid.value;

	process_describe(runtime->procfs, pid, name, sizeof(name));
	return error_coded(err, CRL_CGROUP_WAIT,
			   error_system(err, ETIMEDOUT,
					"process %d, %s, has not ended %d ms after signal %d", pid,
					name, timeout_ms, signal));
}

static int not_paused(const char *id, struct error *err)
{
	return error_coded(err, CRL_WRONG_STATUS, error_state(err, "container not paused: %s", id));
}

static int freeze(struct runtime *runtime, const char *id, bool frozen, struct error *err)
{
	auto_container container = { .dir = -1 };

	/* Shared: an exec into a paused container has the lock until that is resumed. */
	if (container_open(runtime, id, CONTAINER_SHARED, &container, err) < 0)
		return -1;
	if (frozen && container.status != OCI_STATUS_RUNNING &&
	    container.status != OCI_STATUS_CREATED)
		return not_running(id, err);
	if (!frozen && container.status != OCI_STATUS_PAUSED &&
	    container.status != OCI_STATUS_CREATED)
		return not_paused(id, err);

	auto_fd cgroup = container_cgroup(runtime, &container, err);

	if (cgroup < 0 && err->kind != ERROR_NONE)
		return -1;
	/* One that waits for its start is a created one, frozen or not. */
	if (!frozen && container.status == OCI_STATUS_CREATED &&
	    (cgroup < 0 || cgroup_is_frozen(cgroup) == 0))
		return not_paused(id, err);
	if (cgroup < 0) {
		error_coded(err, CRL_WRONG_STATUS,
			    error_unsupported(
				err, "container %s has no cgroup, so it cannot be paused", id));
		return error_hint(err, "it was created without one");
	}
	return cgroup_freeze(cgroup, frozen, FREEZE_TIMEOUT_MS, err);
}

int verb_pause(struct runtime *runtime, const char *id, struct error *err)
{
	return freeze(runtime, id, true, err);
}

int verb_resume(struct runtime *runtime, const char *id, struct error *err)
{
	return freeze(runtime, id, false, err);
}

int verb_ps(struct runtime *runtime, const char *id, pid_t **pids, size_t *n, struct error *err)
{
	auto_container container = { .dir = -1 };

	*n = 0;
	*pids = NULL;
	if (container_open(runtime, id, CONTAINER_SHARED, &container, err) < 0)
		return -1;

	auto_fd cgroup = container_cgroup(runtime, &container, err);

	if (cgroup >= 0)
		return cgroup_pids(runtime->arena, cgroup, pids, n, err);
	if (err->kind != ERROR_NONE)
		return -1;
	if (container.status == OCI_STATUS_STOPPED || !container.state.pid.set)
		return 0;
	*pids = arena_alloc(runtime->arena, sizeof(**pids));
	(*pids)[(*n)++] = (pid_t)container.state.pid.value;
	return 0;
}
