/*
 * From "inside, with all rights" to the user's program.  The order is that of SECURITY 2.6: labels
 * before no_new_privs, seccomp before the rights to load it are dropped or else last of all, groups
 * before ids, ids before capabilities, ambient last.
 */
#include <creel/become.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <creel/caps.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/inroot.h>
#include <creel/label.h>
#include <creel/message.h>
#include <creel/process.h>
#include <creel/procfs.h>
#include <creel/seccomp.h>
#include <creel/terminal.h>
#include <creel/tuning.h>

/* Raw system calls: glibc's wrappers would synchronise threads that we do not have. */
static int set_ids(uid_t uid, gid_t gid, const char *where, struct error *err)
{
	if (syscall(SYS_setresgid, gid, gid, gid) < 0) {
		error_coded(err, CRL_IDS_AND_CAPABILITIES,
			    error_system(err, errno, "cannot set gid %u", (unsigned int)gid));
		error_call(err, "setresgid");
		return error_at(err, where);
	}
	if (syscall(SYS_setresuid, uid, uid, uid) < 0) {
		error_coded(err, CRL_IDS_AND_CAPABILITIES,
			    error_system(err, errno, "cannot set uid %u", (unsigned int)uid));
		error_call(err, "setresuid");
		return error_at(err, where);
	}
	return 0;
}

int become_set_limits(pid_t pid, const struct plan_process *process, bool *left, struct error *err)
{
	*left = false;
	for (size_t i = 0; i < process->rlimits_n; i++) {
		const struct tuning_rlimit *limit = &process->rlimits[i];

		if (tuning_set_rlimit(pid, limit, err) == 0)
			continue;
		if (err->errnum != EPERM || limit->hard > tuning_hard_limit(limit->type))
			return error_at(err, limit->where);
		error_ignore(err, "to lower its limit the process needs no rights");
		*left = true;
	}
	return 0;
}

bool become_limits_itself(const struct plan_process *process, const struct plan_seccomp *seccomp)
{
	for (size_t i = 0; i < process->rlimits_n; i++) {
		const struct tuning_rlimit *limit = &process->rlimits[i];

		if (limit->hard > tuning_hard_limit(limit->type))
			return false;
	}
	/* A filter that comes before them may refuse the call. */
	return process->rlimits_n == 0 || process->no_new_privileges ||
	       seccomp->program.length == 0;
}

int become_start(struct become *become, struct error *err)
{
	/* In a user namespace that we made or joined our ids are still the parent's: files would be
	 * made by "nobody". */
	if (become->in_userns && set_ids(0, 0, NULL, err) < 0) {
		struct error again = { 0 };

		/* 0 may not be mapped: then the user's own ids are. */
		if (err->errnum != EINVAL)
			return -1;
		if (set_ids(become->process->uid, become->process->gid, NULL, &again) < 0)
			return error_hint(
			    err, "neither 0 nor process.user is mapped in the user namespace");
		*err = (struct error){ 0 };
	}
	/* Who is born later starts its own session: each is a group to the scheduler, in a queue.
	 * But it is born outside of our caller's job, where no ^Z can wait for it: behind a filter
	 * it might not be allowed to forget it. */
	if (become->born && setpgid(0, 0) < 0)
		return error_system(err, errno, "cannot start a process group");
	if (!become->born && process_new_session(err) < 0)
		return -1;
	if (!become->keyring)
		return 0;
	if (become->keyring_label &&
	    label_selinux_key(become->procfs, become->keyring_label, err) < 0)
		return error_at(err, "/process/selinuxLabel");
	if (tuning_new_session_keyring(become->keyring, err) < 0)
		return -1;
	return become->keyring_label ? label_selinux_key(become->procfs, NULL, err) : 0;
}

static bool is_null_device(const struct statx *status)
{
	return S_ISCHR(status->stx_mode) && status->stx_rdev_major == 1 &&
	       status->stx_rdev_minor == 3;
}

static int replace_stream(int fd, int stream, struct error *err)
{
	if (dup3(fd, stream, 0) < 0)
		return error_system(err, errno, "cannot replace standard stream %d", stream);
	return 0;
}

/* The host's null device would be a device node from outside; the container's own may be a trap
 * (CVE-2026-88265). */
static int reopen_null(struct become *become, int stream, int *null, struct error *err)
{
	struct statx status;

	/* What was good for one stream is good for the next. */
	if (*null >= 0)
		return replace_stream(*null, stream, err);

	/* What an image has there must not be opened before it is known: to open a device is to do
	 * something with it. */
	auto_left_fd node = inroot_try(become->root, "dev/null", O_PATH);

	if (node < 0 || statx(node, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) < 0 ||
	    !is_null_device(&status))
		return 0; /* The one that we have is certainly /dev/null; a container without one
			     keeps it. */

	*null = procfs_reopen(become->procfs, node, O_RDWR);
	return *null < 0 ? 0 : replace_stream(*null, stream, err);
}

int become_prepare_streams(struct become *become, struct error *err)
{
	if (become->terminal >= 0)
		return (become->born ? 0 : terminal_control(become->terminal, err)) < 0
			   ? -1
			   : terminal_take(become->terminal, become->process->uid, err);

	auto_left_fd null = -1;

	for (int stream = 0; stream < 3; stream++) {
		struct statx status;

		if (become->streams)
			status = become->streams[stream];
		else if (statx(stream, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status) < 0)
			continue;
		if (is_null_device(&status)) {
			if (reopen_null(become, stream, &null, err) < 0)
				return -1;
		} else if (S_ISDIR(status.stx_mode)) {
			/* A way out (CVE-2024-21626). */
			return error_coded(err, CRL_PASSED_FD,
					   error_usage(err,
						       "standard stream %d is a directory: it "
						       "would lead out of the container",
						       stream));
		} else if (S_ISFIFO(status.stx_mode) || S_ISSOCK(status.stx_mode)) {
			/* So that the user can open /dev/stdout again; never a file or device of
			 * the host's. */
			if (status.stx_uid != become->process->uid &&
			    fchown(stream, become->process->uid, (gid_t)-1) < 0 && errno != EPERM &&
			    errno != EROFS && errno != EINVAL)
				return error_system(err, errno,
						    "cannot give standard stream %d to uid %u",
						    stream, (unsigned int)become->process->uid);
		}
	}
	return 0;
}

int become_tune(struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;

	if (process->scheduler && (!become->born || tuning_is_inherited(process->scheduler)) &&
	    tuning_set_scheduler(0, process->scheduler, err) < 0)
		return error_at(err, "/process/scheduler");
	if (process->io_class &&
	    tuning_set_io_priority(process->io_class, process->io_priority, err) < 0)
		return error_at(err, "/process/ioPriority");
	if (process->memory_policy && tuning_set_memory_policy(process->memory_policy, err) < 0)
		return error_at(err, "/linux/memoryPolicy");
	if (process->personality.set &&
	    tuning_set_personality((unsigned long)process->personality.value, err) < 0)
		return error_at(err, "/linux/personality");
	return 0;
}

static int set_labels(struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;

	if (process->apparmor_profile &&
	    label_apparmor_exec(become->procfs, process->apparmor_profile, false, err) < 0)
		return error_at(err, "/process/apparmorProfile");
	if (process->selinux_label &&
	    label_selinux_exec(become->procfs, process->selinux_label, err) < 0)
		return error_at(err, "/process/selinuxLabel");
	return 0;
}

/* The agent must have the listener before a system call of the program can wait for it; P fetches
 * it from us and says GO. */
static int install_filter(struct become *become, struct error *err)
{
	int listener = -1;

	if (seccomp_install(&become->seccomp->program, &listener, err) < 0)
		return error_at(err, "/linux/seccomp");
	if (listener < 0)
		return 0;
	if (message_send(become->channel, MESSAGE_LISTENER, listener, -1, err) < 0 ||
	    message_expect(become->channel, MESSAGE_GO, -1, err) < 0)
		return -1;
	fd_close(&listener);
	return 0;
}

/* A user namespace that we joined may have given it up, and nobody outside can tell. */
static bool may_set_groups(const struct become *become)
{
	char text[16];

	return procfs_read(become->procfs, "self/setgroups", text, sizeof(text)) <= 0 ||
	       !text_starts_with(text, "deny");
}

static int set_groups(const struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;

	if (!process->set_groups)
		return 0;
	if (syscall(SYS_setgroups, process->groups_n, process->groups) < 0) {
		int errnum = errno;

		if (errnum == EPERM && process->groups_n == 0 && !may_set_groups(become))
			return 0;
		error_coded(err, CRL_IDS_AND_CAPABILITIES,
			    error_system(err, errnum, "cannot set the supplementary groups"));
		error_call(err, "setgroups");
		return error_at(err, "/process/user/additionalGids");
	}
	return 0;
}

static int set_credentials(struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;
	/* Only who stops being root loses them. */
	bool keep = process->uid != 0;
	bool changes = process->uid != 0 || process->gid != 0 || getauxval(AT_EUID) != 0 ||
		       getauxval(AT_EGID) != 0;

	if (caps_drop_bounding(&process->caps, become->cap_last, err) < 0)
		return error_coded(err, CRL_IDS_AND_CAPABILITIES,
				   error_at(err, "/process/capabilities/bounding"));
	if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_coded(
		    err, CRL_IDS_AND_CAPABILITIES,
		    error_system(err, errno, "cannot keep capabilities over the change of ids"));
	if (set_groups(become, err) < 0 ||
	    set_ids(process->uid, process->gid, "/process/user", err) < 0)
		return -1;
	if (keep && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_coded(
		    err, CRL_IDS_AND_CAPABILITIES,
		    error_system(err, errno, "cannot reset the keeping of capabilities"));
	/* The change of ids has cleared it. */
	if (changes && process_die_with_parent(SIGKILL, 0, err) < 0)
		return -1;
	if (caps_apply(&process->caps, become->cap_last, err) < 0)
		return error_coded(err, CRL_IDS_AND_CAPABILITIES,
				   error_at(err, "/process/capabilities"));
	return 0;
}

/* The directory must lie inside the root: a descriptor of the host's that slipped in would show
 * here (CVE-2024-21626). */
static int enter_directory(struct become *become, struct error *err)
{
	char path[4096];
	bool is_root = text_equal(become->process->cwd, "/");
	auto_fd opened =
	    is_root ? -1
		    : inroot_open(become->root, become->process->cwd, O_PATH | O_DIRECTORY, err);
	int dir = is_root ? become->root : opened;

	if (dir < 0) {
		error_while(err, "chdir to `%s`", become->process->cwd);
		error_code(err, CRL_CWD);
		return error_at(err, "/process/cwd");
	}
	if (fchdir(dir) < 0) {
		error_coded(err, CRL_CWD,
			    error_system(err, errno, "chdir to `%s`", become->process->cwd));
		return error_at(err, "/process/cwd");
	}
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/') {
		error_coded(err, CRL_CWD,
			    error_system(err, ENOENT,
					 "chdir to `%s`: it is outside of the container's root",
					 become->process->cwd));
		return error_at(err, "/process/cwd");
	}
	return 0;
}

/* Either root or the user may be the one who has the right to enter it: it is tried before the ids
 * change, and else after. */
static int enter_directory_early(struct become *become, struct error *err)
{
	if (enter_directory(become, err) == 0) {
		become->entered = true;
		return 0;
	}
	if (err->errnum != EACCES)
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

static bool loads_filter_early(const struct become *become)
{
	/* Without no_new_privs loading needs CAP_SYS_ADMIN, which is dropped next. */
	return become->seccomp->program.length > 0 && !become->process->no_new_privileges;
}

static bool loads_filter_for_agent(const struct become *become)
{
	/* With it the filter comes last, but a listener must reach its agent while P is still
	 * there. */
	return become->seccomp->program.length > 0 && become->process->no_new_privileges &&
	       become->seccomp->program.notify;
}

/* Without no_new_privs the filter comes before what still needs rights, and may refuse that. */
static int blame_filter(const struct become *become, struct error *err)
{
	if (!loads_filter_early(become))
		return -1;
	if (err->errnum != EPERM && err->errnum != ENOSYS && err->errnum != EACCES)
		return -1;
	return error_hint(err, "the seccomp filter is in force by now, and may be what refuses it: "
			       "without noNewPrivileges it must allow capset, prctl, setresuid, "
			       "setresgid, setgroups and chdir, and prlimit64 where creel lacks "
			       "CAP_SYS_RESOURCE");
}

/*
 * Before the kernel could look at the program: its "#!" line may name /proc/self/fd/N, which
 * close-on-exec comes too late for.  That includes what the mounts have left, what a library opened
 * behind our back, and our procfs, whose links lead CAP_SYS_PTRACE to the host.
 */
static int close_others(struct become *become, struct error *err)
{
	/* It is still to be entered; and who may set groups in a user namespace is asked there. */
	bool needs_root = !become->entered, needs_procfs = become->in_userns;
	int keep[] = { become->channel, become->start_socket, become->trace,
		       needs_root ? become->root : -1, needs_procfs ? become->procfs : -1 };

	if (fd_close_others(3 + (int)become->preserve_fds, keep, ARRAY_SIZE(keep), err) < 0)
		return -1;
	if (!needs_root)
		become->root = -1;
	if (!needs_procfs)
		become->procfs = -1;
	return 0;
}

int become_user(struct become *become, struct error *err)
{
	if (set_labels(become, err) < 0 ||
	    (!become->entered && enter_directory_early(become, err) < 0) ||
	    close_others(become, err) < 0)
		return -1;
	for (unsigned int i = 0; i < become->preserve_fds; i++)
		if (fd_keep_on_exec(3 + (int)i, err) < 0)
			return -1;
	/* The label goes with it: an attribute of the next exec is inherited. */
	if (become_is_born_first(become) && become_be_born(become, err) < 0)
		return -1;
	if (loads_filter_early(become) && install_filter(become, err) < 0)
		return -1;
	if (set_credentials(become, err) < 0 ||
	    (!become->entered && enter_directory(become, err) < 0))
		return blame_filter(become, err);
	fd_close(&become->root);
	fd_close(&become->procfs);
	umask(become->process->umask);
	if (become->process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		error_system(err, errno, "cannot set no_new_privs");
		return error_at(err, "/process/noNewPrivileges");
	}
	if (become_be_born(become, err) < 0)
		return -1;
	if (loads_filter_for_agent(become) && install_filter(become, err) < 0)
		return -1;
	return become->stay_dumpable ? process_set_dumpable(true, err) : 0;
}

/* Not one call more than is needed: a filter that is in force may refuse it. */
static int set_limits_left(const struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;

	for (size_t i = 0; become->limits_left && i < process->rlimits_n; i++)
		if (tuning_set_rlimit(0, &process->rlimits[i], err) < 0) {
			error_at(err, process->rlimits[i].where);
			return blame_filter(become, err);
		}
	return 0;
}

/* sd_listen_fds(3): whose descriptors they are; only the process itself knows its pid inside. */
static void set_listen_pid(struct become *become)
{
	struct strings env = { 0 };

	for (size_t i = 0; i < become->env.n; i++)
		if (!text_starts_with(become->env.items[i], "LISTEN_PID="))
			strings_add(become->arena, &env, become->env.items[i]);
	strings_add(become->arena, &env,
		    text_format(become->arena, "LISTEN_PID=%d", (int)syscall(SYS_getpid)));
	become->env = env;
}

int become_program(struct become *become, int control, struct error *err)
{
	const struct plan_process *process = become->process;
	bool late = become->seccomp->program.length > 0 && !loads_filter_early(become) &&
		    !loads_filter_for_agent(become);

	if (process->listens)
		set_listen_pid(become);
	if (message_send(control, MESSAGE_EXEC, 0, -1, err) < 0)
		return -1;
	process_reset_signals(become->ignored);
	if (set_limits_left(become, err) < 0)
		return -1;
	if (late && install_filter(become, err) < 0)
		return -1;
	execve(become->program, process->args.items, become->env.items);
	return become_explain_exec(become, errno, err);
}
