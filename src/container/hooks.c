/* Hooks: other people's programs, run with exactly what the document gives them, and never waited
 * for without end. */
#include <creel/hooks.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/process.h>
#include <creel/procfs.h>

#define OUTPUT_MAX   ((size_t)64 * 1024)
#define OUTPUT_SHOWN 200
#define END_MS	     10000 /* of a hook that was killed, and of what is to be reaped */

struct output {
	int fd;	  /* the reading end of the hook's standard output and error */
	size_t n; /* bytes seen; only the last OUTPUT_SHOWN are kept */
	char last[OUTPUT_SHOWN + 1];
};

/* A memory file and not a pipe: the hook may leave it unread, and may get a state larger than a
 * pipe holds. */
static int state_file(const char *state, struct error *err)
{
	auto_fd fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return error_system(err, errno, "cannot make a file for the container's state");
	if (fd_write_all(fd, state, strlen(state), err) < 0)
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_system(err, errno, "cannot rewind the container's state");
	return take_fd(&fd);
}

static void never_returns run_child(const struct oci_hook *hook, const struct hook_run *run,
				    int input, int output)
{
	char *just_path[] = { hook->path, NULL };
	char *no_env[] = { NULL };

	setpgid(0, 0);
	/* The init is in no job of our caller's, and its filter may be in force. */
	if (run->kind != OCI_HOOK_START_CONTAINER)
		process_forget_signals();
	process_reset_signals(UINT64_MAX);
	/* Ours are for our own files, and what a hook makes may be the container's. */
	umask(0022);
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
	    close_range(3, ~0U, 0) < 0 || chdir(run->directory) < 0)
		_exit(126);
	execve(hook->path, hook->args.n ? hook->args.items : just_path,
	       hook->env.items ? hook->env.items : no_env);
	dprintf(2, "cannot execute %s: %s", hook->path, strerror(errno));
	_exit(127);
}

static void read_output(struct output *output)
{
	char buffer[4096];
	ssize_t n = read(output->fd, buffer, sizeof(buffer));

	if (n <= 0 || (output->n += (size_t)n) > OUTPUT_MAX) {
		fd_close(&output->fd); /* End, or more than anybody would read: SIGPIPE is the
					  hook's answer. */
		return;
	}

	size_t kept = strlen(output->last), take = (size_t)n;

	for (ssize_t i = 0; i < n; i++)
		if (!buffer[i])
			buffer[i] = '?';
	if (take > OUTPUT_SHOWN)
		take = OUTPUT_SHOWN;
	if (kept + take > OUTPUT_SHOWN) {
		size_t drop = kept + take - OUTPUT_SHOWN;

		memmove(output->last, output->last + drop, kept - drop);
		kept -= drop;
	}
	memcpy(output->last + kept, buffer + n - (ssize_t)take, take);
	output->last[kept + take] = '\0';
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until the hook itself ends: a daemon that it leaves behind may keep its output open for ever.  1:
 * ended, 0: too late. */
static int wait_for(int pidfd, struct output *output, int timeout_ms, struct error *err)
{
	long end = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = pidfd, .events = POLLIN },
			{ .fd = output->fd, .events = POLLIN },
		};
		long left = timeout_ms < 0 ? -1 : end - now_ms();
		int n;

		if (timeout_ms >= 0 && left <= 0)
			return 0;
		n = poll(fds, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return error_system(err, errno, "cannot wait for the hook");
		if (n > 0 && fds[1].revents)
			read_output(output);
		else if (n > 0 && fds[0].revents)
			return 1;
	}
}

static int at_hook(const struct hook_run *run, size_t index, const char *member, struct error *err)
{
	char pointer[64];

	snprintf(pointer, sizeof(pointer), "/hooks/%s/%zu%s", name_of(oci_hook_names, run->kind),
		 index, member);
	return error_at(err, pointer);
}

static int failed(const struct hook_run *run, size_t index, const char *how,
		  const struct output *output, struct error *err)
{
	int length = (int)strlen(output->last);

	while (length > 0 && output->last[length - 1] == '\n')
		length--;
	error_system(err, 0, "error running %s hook #%zu: `%s` %s%s%.*s",
		     name_of(oci_hook_names, run->kind), index, run->list->items[index].path, how,
		     length > 0 ? ", output: " : "", length, output->last);
	return at_hook(run, index, "", err);
}

/* The exit codes of run_child() itself are also those of shells: so it is asked whether the hook
 * is there. */
static bool is_missing(const char *path, int status)
{
	int code = WEXITSTATUS(status);

	return WIFEXITED(status) && (code == 126 || code == 127) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0;
}

static int missing(const struct hook_run *run, size_t index, int errnum, struct error *err)
{
	bool inside = run->kind == OCI_HOOK_START_CONTAINER;

	error_system(err, errnum, "error running %s hook #%zu: cannot execute `%s`",
		     name_of(oci_hook_names, run->kind), index, run->list->items[index].path);
	error_code(err, CRL_HOOK_MISSING);
	error_hint(err, "the path of a %s hook is looked up %s", name_of(oci_hook_names, run->kind),
		   inside ? "in the container's root" : "on the host");
	return at_hook(run, index, "/path", err);
}

static int explain_status(struct arena *arena, const struct hook_run *run, size_t index, int status,
			  long ran_ms, const struct output *output, struct error *err)
{
	const char *path = run->list->items[index].path;
	char name[32];

	if (is_missing(path, status))
		return missing(run, index, errno, err);
	if (WIFSIGNALED(status))
		failed(run, index,
		       text_format(arena, "was killed by %s after %ld ms",
				   process_signal_name(WTERMSIG(status), name, sizeof(name)),
				   ran_ms),
		       output, err);
	else
		failed(
		    run, index,
		    text_format(arena, "exit status %d after %ld ms", WEXITSTATUS(status), ran_ms),
		    output, err);
	return error_code(err, CRL_HOOK_FAILED);
}

/* What cannot be killed waits in the kernel, as for a disk that does not answer; we do not. */
static const char *survivor(struct arena *arena, pid_t pid)
{
	struct error err = { 0 };
	auto_fd procfs = procfs_open(&err);
	char name[64] = "?";

	if (procfs < 0)
		error_ignore(&err, "the name only helps the message");
	else
		process_describe(procfs, pid, name, sizeof(name));
	return text_format(arena, " and process %d, %s, has not ended %d ms after it was killed",
			   pid, name, END_MS);
}

static int run_hook(struct arena *arena, const struct hook_run *run, size_t index,
		    struct error *err)
{
	const struct oci_hook *hook = &run->list->items[index];
	/* 24 days are as good as no limit, and milliseconds of them fit an int. */
	int64_t seconds =
	    hook->timeout.value < INT_MAX / 1000 ? hook->timeout.value : INT_MAX / 1000;
	int timeout_ms = hook->timeout.set ? (int)seconds * 1000 : run->timeout_ms;
	struct output output = { .fd = -1 };
	auto_fd pidfd = -1, input = -1, writer = -1;
	int ends[2], ended, reaped, status = 0;
	long start = now_ms();
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_coded(
		    err, CRL_HOOK,
		    error_system(err, errno, "cannot make a pipe for the hook's output"));
	output.fd = ends[0];
	writer = ends[1];

	auto_fd reader = ends[0];

	input = state_file(run->state, err);
	if (input < 0)
		return -1;
	pid = process_spawn(&(struct spawn){ .cgroup = -1, .pidfd = &pidfd }, err);
	if (pid < 0)
		return error_while(err, "cannot run the hook %s", hook->path);
	if (pid == 0)
		run_child(hook, run, input, writer);
	fd_close(&writer);

	ended = wait_for(pidfd, &output, timeout_ms, err);
	if (output.fd < 0)
		reader = -1;
	if (ended <= 0)
		kill(-pid, SIGKILL);
	reaped = process_wait(pidfd, END_MS, &status, err);
	if (ended < 0 || reaped < 0)
		return -1;
	if (ended == 0 || reaped == 0) {
		failed(run, index,
		       text_format(arena, "ran past its timeout of %d s%s", timeout_ms / 1000,
				   reaped ? "" : survivor(arena, pid)),
		       &output, err);
		return error_code(err, CRL_HOOK_TIMEOUT);
	}
	if (status == 0)
		return 0;
	return explain_status(arena, run, index, status, now_ms() - start, &output, err);
}

int hooks_run(struct arena *arena, const struct hook_run *run, struct error *err)
{
	for (size_t i = 0; i < run->list->n; i++) {
		if (run_hook(arena, run, i, err) == 0)
			continue;
		if (run->kind != OCI_HOOK_POSTSTOP)
			return -1;
		/* runtime.md: the container is gone all the same, and the other hooks clean up too.
		 */
		log_warning("%s", err->what);
		*err = (struct error){ 0 };
	}
	return 0;
}
