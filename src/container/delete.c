/* `delete`: the create table upwards, on what state.json remembers; with --force whatever still
 * lives is killed first. */
#include <creel/verbs.h>

#include <errno.h>
#include <signal.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/process.h>

#define KILL_TIMEOUT_MS 10000

static int kill_init(struct runtime *runtime, struct create *create, struct error *err)
{
	struct error gone = { 0 };
	pid_t pid = (pid_t)create->container.state.pid.value;
	char name[64];
	int status;
	auto_fd init = container_init_open(runtime, &create->container, &gone);

	if (init < 0 || process_signal(init, SIGKILL, &gone) < 0) {
		/* Only that is good news: who cannot be asked may be alive. */
		if (gone.kind != ERROR_STATE && gone.errnum != ESRCH) {
			*err = gone;
			return -1;
		}
		error_ignore(&gone, "the init is gone already");
		return 0;
	}
	/* A frozen one hears the signal, but an init that is ptraced or waits for a dead disk may
	 * not. */
	switch (process_wait(init, KILL_TIMEOUT_MS, &status, err)) {
	case 1:
		return 0;
	case 0:
		process_describe(runtime->procfs, pid, name, sizeof(name));
		return error_coded(
		    err, CRL_WRONG_STATUS,
		    error_state(err,
				"container init still running: process %d, %s, has not ended %d ms "
				"after it was killed",
				pid, name, KILL_TIMEOUT_MS));
	default:
		return -1;
	}
}

static int refuse(const struct container *container, struct error *err)
{
	switch (container->status) {
	case OCI_STATUS_STOPPED:
	case OCI_STATUS_CREATED:
		return 0;
	case OCI_STATUS_CREATING:
		/* The lock is ours, so no create is at work: it was killed half-way. */
	case OCI_STATUS_RUNNING:
	case OCI_STATUS_PAUSED:
		break;
	}
	error_coded(err, CRL_WRONG_STATUS,
		    error_state(err, "cannot delete container %s that is not stopped: %s",
				container->id, name_of(oci_status_names, container->status)));
	return error_hint(err, "creel delete --force kills it first");
}

/*
 * Without the lock, since an exec into a paused container has it until that is resumed, and this
 * ends both.  Where the exec was killed its stage has it, frozen in the cgroup, but in no pid
 * namespace that ends with the init.
 */
static void kill_first(struct runtime *runtime, const char *id)
{
	auto_container container = { .dir = -1 };
	struct error gone = { 0 };

	if (container_open(runtime, id, CONTAINER_NO_LOCK, &container, &gone) < 0 ||
	    (container.status == OCI_STATUS_RUNNING &&
	     kill_container(runtime, &container, SIGKILL, false, &gone) < 0) ||
	    ((container.status == OCI_STATUS_PAUSED || container.status == OCI_STATUS_STOPPED) &&
	     kill_container(runtime, &container, SIGKILL, true, &gone) < 0))
		error_ignore(&gone, "what matters is said when the lock is taken");
}

int verb_delete(struct runtime *runtime, const char *id, bool force, struct error *err)
{
	struct container container;
	struct create create;
	int result;

	if (force)
		kill_first(runtime, id);
	if (container_open(runtime, id, CONTAINER_EXCLUSIVE, &container, err) < 0) {
		/* Only a damaged document: what cannot be read today may be whole tomorrow. */
		if (!force || err->kind != ERROR_CONFIG)
			return -1;
		log_warning("its state is damaged: %s", err->what);
		*err = (struct error){ 0 };
		if (container_open_remains(runtime, id, &container, err) < 0)
			return -1;
	}
	if (!force && refuse(&container, err) < 0) {
		container_close(&container);
		return -1;
	}
	create_from_state(&create, runtime, &container);
	result = kill_init(runtime, &create, err);
	if (result == 0)
		result = create_undo(&create, err);
	/* The next of a list may be the same one, and its lock is this descriptor. */
	container_close(&create.container);
	create_close(&create);
	return result;
}
