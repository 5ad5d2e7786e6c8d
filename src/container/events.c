/* `events`: statistics in intervals and out-of-memory notices, as the kernel announces them, until
 * nothing lives in the cgroup. */
#include <creel/events.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/json.h>
#include <creel/oom.h>
#include <creel/stats.h>

struct watch {
	struct runtime *runtime;
	const struct events_options *options;
	const char *id;
	const char *path; /* of the cgroup */
	int cgroup;
	struct oom_mark mark;
	struct arena marks; /* of the mark */
};

static int not_running(const char *id, struct error *err)
{
	return error_coded(err, CRL_NOT_RUNNING,
			   error_state(err, "container with id %s is not running", id));
}

/* The cgroup of a container that lives, open. */
static int open_living(struct runtime *runtime, const char *id, struct container *container,
		       struct error *err)
{
	int cgroup;

	if (container_open(runtime, id, CONTAINER_NO_LOCK, container, err) < 0)
		return -1;
	if (container->status == OCI_STATUS_STOPPED || container->status == OCI_STATUS_CREATING)
		return not_running(id, err);
	cgroup = container_cgroup(runtime, container, err);
	if (cgroup < 0 && err->kind != ERROR_NONE)
		return -1;
	if (cgroup < 0)
		return error_unsupported(
		    err, "container %s has no cgroup, so nothing counts what it uses", id);
	return cgroup;
}

/* One line, with one write(2) where the reader keeps up. */
static int print(const struct watch *watch, const struct oci_event *event, struct arena *arena,
		 struct error *err)
{
	struct json_writer *w = json_writer_new(arena, 0);
	const char *text;
	size_t size;

	schema_encode(&oci_event_schema, event, w);
	text = text_format(arena, "%s\n", json_writer_text(w, &size));
	if (fd_write_all(watch->options->output, text, size + 1, err) < 0)
		return error_while(err, "cannot write an event");
	return 0;
}

static int print_stats(const struct watch *watch, struct error *err)
{
	auto_arena arena = { 0 };
	struct oci_stats stats;
	const struct oci_event event = { .type = (char *)"stats",
					 .id = (char *)watch->id,
					 .data = &stats };

	if (stats_read(&arena, watch->cgroup, &stats, err) < 0)
		return -1;
	return print(watch, &event, &arena, err);
}

/* One record for each process that was killed since the last look. */
static int print_ooms(struct watch *watch, struct error *err)
{
	auto_arena arena = { 0 };
	struct oci_oom oom;
	const struct oci_event event = { .type = (char *)"oom",
					 .id = (char *)watch->id,
					 .oom = &oom };
	uint64_t kills = oom_kills(watch->cgroup);
	uint64_t before = watch->mark.kills;

	if (kills <= before ||
	    !oom_find(&arena, watch->runtime->cgroup_root, watch->path, &watch->mark, &oom))
		return 0;
	for (; before < kills; before++)
		if (print(watch, &event, &arena, err) < 0)
			return -1;
	arena_free(&watch->marks);
	oom_look(&watch->marks, watch->runtime->cgroup_root, watch->path, &watch->mark);
	watch->mark.kills = kills;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* kernfs announces a change only to those who have read what was there before. */
static void read_again(int fd)
{
	char text[256];

	if (fd >= 0 && pread(fd, text, sizeof(text), 0) < 0)
		return;
}

enum { POLL_MEMORY, POLL_CGROUP, POLL_OUTPUT, POLL_COUNT };

/* 1: the time has come or something has happened; 0: nobody reads any more. */
static int wait(const struct watch *watch, int memory, int cgroup, int64_t until, struct error *err)
{
	int64_t left = until - now_ms();
	struct pollfd fds[POLL_COUNT] = {
		[POLL_MEMORY] = { .fd = memory, .events = POLLPRI },
		[POLL_CGROUP] = { .fd = cgroup, .events = POLLPRI },
		/* The end of a pipe's reader is told without being asked for. */
		[POLL_OUTPUT] = { .fd = watch->options->output },
	};

	if (poll(fds, POLL_COUNT, left > 0 ? (int)left : 0) < 0 && errno != EINTR)
		return error_system(err, errno, "cannot watch the container's cgroup");
	if (fds[POLL_OUTPUT].revents & (POLLERR | POLLHUP | POLLNVAL))
		return 0;
	read_again(memory);
	read_again(cgroup);
	return 1;
}

/* What happened between the last look and the end is told too, if the cgroup is still there. */
static int follow(struct watch *watch, struct error *err)
{
	auto_fd memory = openat(watch->cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
	auto_fd cgroup = openat(watch->cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t next = now_ms() + watch->options->interval_ms;

	read_again(memory);
	read_again(cgroup);
	while (cgroup_is_populated(watch->cgroup) == 1) {
		int waited;

		if (print_ooms(watch, err) < 0)
			return -1;
		waited = wait(watch, memory, cgroup, next, err);
		if (waited <= 0)
			return waited;
		if (now_ms() < next)
			continue;
		next += watch->options->interval_ms;
		/* A machine that slept does not make up for it. */
		if (next < now_ms())
			next = now_ms() + watch->options->interval_ms;
		if (cgroup_is_populated(watch->cgroup) == 1 && print_stats(watch, err) < 0)
			return -1;
	}
	return print_ooms(watch, err);
}

int verb_events(struct runtime *runtime, const char *id, const struct events_options *options,
		struct error *err)
{
	auto_container container = { .dir = -1 };
	auto_fd cgroup = open_living(runtime, id, &container, err);
	struct watch watch = {
		.runtime = runtime,
		.options = options,
		.id = id,
		.cgroup = cgroup,
		.path = container.state.cgroup,
	};
	int result;

	if (cgroup < 0)
		return -1;
	if (options->once)
		return print_stats(&watch, err);
	/* Before the first wait, so that nothing between is missed. */
	oom_look(&watch.marks, runtime->cgroup_root, watch.path, &watch.mark);
	/* The directory may be deleted and made anew while we watch. */
	container_close(&container);
	result = follow(&watch, err);
	arena_free(&watch.marks);
	return result;
}

int verb_stats(struct runtime *runtime, struct arena *arena, const char *id,
	       struct oci_stats *stats, struct error *err)
{
	auto_container container = { .dir = -1 };
	auto_fd cgroup = open_living(runtime, id, &container, err);

	return cgroup < 0 ? -1 : stats_read(arena, cgroup, stats, err);
}
