/* state.json: nothing is lost on the way, nothing torn is believed, and the status is what the
 * kernel says. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <creel/file.h>
#include <creel/process.h>
#include <creel/procfs.h>

#include "room.h"

static struct state full_state(struct room *room)
{
	struct oci_hooks *hooks = arena_alloc(&room->arena, sizeof(*hooks));
	struct oci_hook *hook = arena_alloc(&room->arena, sizeof(*hook));

	hook->path = (char *)"/bin/true";
	hook->timeout = (struct optional){ .set = true, .value = 7 };
	hooks->lists[OCI_HOOK_POSTSTOP].items = hook;
	hooks->lists[OCI_HOOK_POSTSTOP].n = 1;
	return (struct state){
		.id = (char *)"web",
		.bundle = (char *)"/bundles/\"web\"",
		.rootfs = (char *)"/bundles/web/rootfs",
		.pid = { .set = true, .value = 4711 },
		.start = { .set = true, .value = UINT64_MAX },
		.boot = { .set = true, .value = UINT64_C(0x8000000000000001) },
		.created = (char *)"2026-11-22T04:32:45.000000001Z",
		.owner = { .set = true, .value = 1000 },
		.cgroup_manager = { .set = true, .value = 1 },
		.cgroup = (char *)"/pod/web",
		.cgroup_made = { .set = true, .value = 2 },
		.unit = (char *)"creel-web.scope",
		.config_digest = (char *)"0123456789abcdef",
		.hooks = hooks,
		.shared_pid = true,
		.waits = true,
		.rdt_group = (char *)"web",
		.rdt_own = true,
	};
}

static void test_nothing_is_lost(void **state)
{
	struct error err = { 0 };
	struct state written, read;
	struct room room;

	(void)state;
	room_open(&room);
	written = full_state(&room);
	check_int(state_write(room.runtime.arena, room.runtime.root, &written, &err), 0);
	check_int(state_read(&room.arena, room.runtime.root, &read, &err), 0);
	check_text(read.id, written.id);
	check_text(read.bundle, written.bundle);
	check_text(read.rootfs, written.rootfs);
	check(read.pid.set && read.pid.value == 4711);
	check(read.start.value == UINT64_MAX && read.boot.value == written.boot.value);
	check_text(read.created, written.created);
	check_int(read.owner.value, 1000);
	check_int(read.cgroup_manager.value, 1);
	check_text(read.cgroup, written.cgroup);
	check_int(read.cgroup_made.value, 2);
	check_text(read.unit, written.unit);
	check_text(read.config_digest, written.config_digest);
	check_int(read.hooks->lists[OCI_HOOK_POSTSTOP].n, 1);
	check_text(read.hooks->lists[OCI_HOOK_POSTSTOP].items[0].path, "/bin/true");
	check_int(read.hooks->lists[OCI_HOOK_POSTSTOP].items[0].timeout.value, 7);
	check_int(read.hooks->lists[OCI_HOOK_POSTSTART].n, 0);
	check(read.shared_pid && read.waits && read.rdt_own && !read.rdt_monitoring);
	check_text(read.rdt_group, "web");
	room_close(&room);
}

static void test_no_file_is_no_state_yet(void **state)
{
	struct error err = { 0 };
	struct state read;
	struct room room;

	(void)state;
	room_open(&room);
	check_int(state_read(&room.arena, room.runtime.root, &read, &err), -1);
	check_int(err.kind, ERROR_STATE);
	room_close(&room);
}

/* Cut at any byte it is an error, never half a state. */
static void test_every_prefix_is_refused(void **state)
{
	struct error err = { 0 };
	struct state written, read;
	struct room room;
	size_t size;
	char *text;

	(void)state;
	room_open(&room);
	written = full_state(&room);
	check_int(state_write(room.runtime.arena, room.runtime.root, &written, &err), 0);
	text = file_read(&room.arena, room.runtime.root, STATE_FILE, 1 << 20, &size, &err);
	check(text && size > 100);
	while (size > 0 && text[size - 1] == '\n')
		size--;
	for (size_t n = 0; n < size; n++) {
		check_int(file_replace(room.runtime.root, STATE_FILE, text, n, 0600, false, &err),
			  0);
		check_int(state_read(&room.arena, room.runtime.root, &read, &err), -1);
		check(err.kind != ERROR_STATE);
	}
	room_close(&room);
}

static void test_links_stand_for_the_first_state(void **state)
{
	struct error err = { 0 };
	struct state read = { 0 };
	struct room room;

	(void)state;
	room_open(&room);
	state_read_remains(&room.arena, room.runtime.root, &read);
	check(read.cgroup == NULL && !read.cgroup_made.set);
	check_int(state_note_cgroup(room.runtime.root, "/pod/7/web", 3, &err), 0);
	state_read_remains(&room.arena, room.runtime.root, &read);
	check_text(read.cgroup, "/pod/7/web");
	check_int(read.cgroup_missing, 3);
	check(!read.cgroup_made.set);
	check_int(state_mark_cgroup(room.runtime.root, 2, &err), 0);
	state_read_remains(&room.arena, room.runtime.root, &read);
	check(read.cgroup_made.set && read.cgroup_made.value == 2);
	/* Twice is once too often: somebody else is at work. */
	check_int(state_mark_cgroup(room.runtime.root, 2, &err), -1);
	room_close(&room);
}

static void test_the_mark_completes_an_early_state(void **state)
{
	struct error err = { 0 };
	struct state written, read;
	struct room room;

	(void)state;
	room_open(&room);
	written = full_state(&room);
	written.cgroup_made.set = false;
	check_int(state_write(room.runtime.arena, room.runtime.root, &written, &err), 0);
	check_int(state_mark_cgroup(room.runtime.root, 1, &err), 0);
	check_int(state_read(&room.arena, room.runtime.root, &read, &err), 0);
	check(read.cgroup_made.set && read.cgroup_made.value == 1);
	room_close(&room);
}

static enum oci_status status_of(struct room *room, const struct state *state)
{
	struct error err = { 0 };
	enum oci_status status = OCI_STATUS_PAUSED;
	struct optional_uint boot = { 0 };
	int init;

	check_int(state_status(room->runtime.procfs, &boot, -1, room->runtime.root, state, &status,
			       &init, &err),
		  0);
	/* Whoever was found alive can be signalled. */
	check((init > 0) == (status != OCI_STATUS_STOPPED && status != OCI_STATUS_CREATING));
	check(init == 0 || process_signal(init, 0, &err) == 0);
	if (init > 0)
		close(init);
	return status;
}

static bool identity_of(pid_t pid, uint64_t *identity)
{
	struct error err = { 0 };
	int pidfd = process_open(pid, &err);
	bool known = process_identity(pidfd, identity);

	close(pidfd);
	return known;
}

static void test_the_status_is_the_kernels(void **state)
{
	struct error err = { 0 };
	struct state about = { 0 };
	struct room room;
	bool dead;
	int fd;

	(void)state;
	room_open(&room);
	check_int(status_of(&room, &about), OCI_STATUS_CREATING);

	about.pid = (struct optional_uint){ .set = true, .value = (uint64_t)getpid() };
	about.start.set = about.boot.set = true;
	check_int(
	    process_start_time(room.runtime.procfs, getpid(), &about.start.value, &dead, &err), 0);
	check_int(state_boot(room.runtime.procfs, &about.boot.value, &err), 0);
	check_int(status_of(&room, &about), OCI_STATUS_RUNNING);

	fd = openat(room.runtime.root, STATE_START_SOCKET, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	check_int(status_of(&room, &about), OCI_STATUS_CREATED);

	/* By the number of its pidfd, which stands for the start time; of another it is none. */
	about.identity.set = identity_of(getpid(), &about.identity.value);
	check_int(status_of(&room, &about), OCI_STATUS_CREATED);
	about.identity.value++;
	check_int(status_of(&room, &about),
		  about.identity.set ? OCI_STATUS_STOPPED : OCI_STATUS_CREATED);
	about.identity.value--;
	about.boot.value++;
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	about.boot.value--;
	about.identity.set = false;

	/* A later process with its pid. */
	about.start.value++;
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	about.start.value--;
	/* The same pid and start time, in another life of the machine. */
	about.boot.value++;
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	room_close(&room);
}

static void test_a_zombie_is_stopped(void **state)
{
	struct error err = { 0 };
	struct state about = { 0 };
	struct room room;
	siginfo_t info;
	bool dead;
	pid_t pid;

	(void)state;
	room_open(&room);
	pid = fork();
	if (pid == 0)
		_exit(0);
	check_int(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	about.pid = (struct optional_uint){ .set = true, .value = (uint64_t)pid };
	about.start.set = about.boot.set = true;
	check_int(process_start_time(room.runtime.procfs, pid, &about.start.value, &dead, &err), 0);
	check_int(state_boot(room.runtime.procfs, &about.boot.value, &err), 0);
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	about.identity.set = identity_of(pid, &about.identity.value);
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	waitpid(pid, NULL, 0);
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	about.identity.set = false;
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	room_close(&room);
}

/* Until the leader of PID has ended. */
static void await_zombie(struct room *room, pid_t pid)
{
	char name[32], text[512];

	snprintf(name, sizeof(name), "%d/stat", pid);
	for (int i = 0; i < 30000; i++) {
		check(procfs_read(room->runtime.procfs, name, text, sizeof(text)) > 0);
		if (strstr(text, ") Z "))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	check(false);
}

static void *sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

/* It is a zombie in /proc, but its other threads are the program: with the number of its pidfd, and
 * without. */
static void test_a_leader_that_ended_is_no_end(void **state)
{
	struct error err = { 0 };
	struct state about = { 0 };
	struct room room;
	bool dead;
	pid_t pid;

	(void)state;
	room_open(&room);
	pid = fork();
	if (pid == 0) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&thread, NULL, sleep_on, NULL) == 0)
			syscall(SYS_exit, 0);
		_exit(1);
	}
	about.pid = (struct optional_uint){ .set = true, .value = (uint64_t)pid };
	about.start.set = about.boot.set = true;
	check_int(process_start_time(room.runtime.procfs, pid, &about.start.value, &dead, &err), 0);
	check_int(state_boot(room.runtime.procfs, &about.boot.value, &err), 0);
	await_zombie(&room, pid);
	check_int(status_of(&room, &about), OCI_STATUS_RUNNING);
	about.identity.set = identity_of(pid, &about.identity.value);
	check_int(status_of(&room, &about), OCI_STATUS_RUNNING);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check_int(status_of(&room, &about), OCI_STATUS_STOPPED);
	room_close(&room);
}

/* Who cannot be asked is not taken for dead: a container that runs would be deleted. */
static void test_no_answer_is_an_error(void **state)
{
	struct optional_uint boot = { 0 };
	struct error err = { 0 };
	struct state about = { 0 };
	enum oci_status status;
	struct room room;
	int init;

	(void)state;
	room_open(&room);
	about.pid = (struct optional_uint){ .set = true, .value = (uint64_t)getpid() };
	about.start.set = true;
	check_int(state_status(-1, &boot, -1, room.runtime.root, &about, &status, &init, &err), -1);
	check_int(err.errnum, EBADF);
	room_close(&room);
}

static void test_what_hooks_read(void **state)
{
	struct oci_state described;
	struct state about;
	struct room room;

	(void)state;
	room_open(&room);
	about = full_state(&room);
	state_describe(&about, OCI_STATUS_RUNNING, &described);
	check_text(described.id, "web");
	check_int(described.pid.value, 4711);
	check_has(state_json(&room.arena, &described, &oci_hook_state_schema, 0),
		  "\"status\":\"running\"");
	state_describe(&about, OCI_STATUS_STOPPED, &described);
	check_int(described.pid.value, 0);
	room_close(&room);
}

static void test_the_time_is_rfc_3339(void **state)
{
	struct room room;
	char *now;

	(void)state;
	room_open(&room);
	now = state_now(&room.arena);
	check_int(strlen(now), strlen("2026-11-22T04:32:45.000000001Z"));
	check(now[4] == '-' && now[10] == 'T' && now[19] == '.' && now[29] == 'Z');
	check_text(state_digest(&room.arena, "", 0), "cbf29ce484222325");
	check_text(state_digest(&room.arena, "a", 1), "af63dc4c8601ec8c");
	room_close(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_no_file_is_no_state_yet),
		cmocka_unit_test(test_every_prefix_is_refused),
		cmocka_unit_test(test_links_stand_for_the_first_state),
		cmocka_unit_test(test_the_mark_completes_an_early_state),
		cmocka_unit_test(test_the_status_is_the_kernels),
		cmocka_unit_test(test_a_zombie_is_stopped),
		cmocka_unit_test(test_a_leader_that_ended_is_no_end),
		cmocka_unit_test(test_no_answer_is_an_error),
		cmocka_unit_test(test_what_hooks_read),
		cmocka_unit_test(test_the_time_is_rfc_3339),
	};

	return check_all(tests);
}
