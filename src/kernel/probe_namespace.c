/* Namespaces that are made in a child process to see whether they can be: with the child they are
 * gone. */
#include <creel/probe.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/namespace.h>
#include <creel/procfs.h>

#include "syscalls.h"

/* What the child is to do; it lives in memory that parent and child share. */
struct task {
	uint64_t flags;
	struct probe_user user;
	int procfs;
	char *const *keys;
	size_t n;
	struct error error;
	bool done;
	int refusals[];
};

static int take_ids(const struct probe_user *user, struct error *err)
{
	if (!user->set)
		return 0;
	if (syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
	    syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		return error_system(err, errno, "cannot become the user %u", user->uid);
	return 0;
}

static void work(struct task *task)
{
	if (take_ids(&task->user, &task->error) == 0 &&
	    (!task->flags || namespace_unshare(task->flags, &task->error) == 0))
		for (size_t i = 0; i < task->n; i++)
			task->refusals[i] = procfs_sysctl_refusal(task->procfs, task->keys[i]);
	task->done = true;
	_exit(0);
}

static int run(struct task *task, struct error *err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_system(err, errno, "cannot start a process");
	if (pid == 0)
		work(task);
	while (waitpid(pid, NULL, 0) < 0)
		if (errno != EINTR)
			return error_system(err, errno, "cannot wait for a process");
	if (task->error.kind != ERROR_NONE) {
		*err = task->error;
		return -1;
	}
	if (!task->done)
		return error_system(err, EPIPE, "the process that tries it has died");
	return 0;
}

static struct task *shared(size_t n, struct error *err)
{
	void *memory = mmap(NULL, sizeof(struct task) + n * sizeof(int), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		return memory;
	error_system(err, errno, "cannot share memory with a process");
	return NULL;
}

int probe_namespaces(uint64_t flags, const struct probe_user *user, struct error *err)
{
	struct task *task = shared(0, err);
	int result;

	if (!task)
		return -1;
	task->flags = flags;
	task->user = *user;
	result = run(task, err);
	munmap(task, sizeof(*task));
	return result;
}

int probe_sysctls(int procfs, uint64_t flags, char *const *keys, size_t n, int *refusals,
		  struct error *err)
{
	struct task *task = shared(n, err);
	int result;

	if (!task)
		return -1;
	task->flags = flags;
	task->procfs = procfs;
	task->keys = keys;
	task->n = n;
	result = run(task, err);
	if (n > 0)
		memcpy(refusals, task->refusals, n * sizeof(*refusals));
	munmap(task, sizeof(*task) + n * sizeof(int));
	return result;
}
