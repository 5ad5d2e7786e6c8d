/*
 * Less memory for a container without killing in it.  Writing memory.max below what is in use makes
 * the kernel reclaim a few times and then kill; here memory.high goes down in steps, which slows
 * the container and reclaims but never kills, and memory.max follows when the use is low enough and
 * the container is frozen, so that nothing can grow in between.
 */
#include "update_parts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/file.h>
#include <creel/text.h>

#define STEPS		  8
#define TIMEOUT_MS	  30000
#define FREEZE_TIMEOUT_MS 10000
/* Rounds in a row in which nothing could be reclaimed.  What was just written is young for the
 * kernel: it needs some looks, a while apart, before it takes it. */
#define PATIENCE 40
#define PAUSE_MS 50

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int read_usage(int cgroup, uint64_t *usage, struct error *err)
{
	auto_arena arena = { 0 };
	const char *text = cgroup_read(&arena, cgroup, "memory.current");

	if (text && text_parse_uint(text, UINT64_MAX, usage))
		return 0;
	return error_unsupported(err, "the container's use of memory cannot be read");
}

/* A hint that the kernel may follow or not: EAGAIN is less than was asked for, ENOENT a kernel
 * before 5.19. */
static void reclaim(int cgroup, uint64_t bytes)
{
	struct error err = { 0 };
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	if (file_write_kernel(cgroup, "memory.reclaim", text, &err) < 0)
		error_ignore(&err, "the use of memory tells what was reclaimed");
}

static int set_high(int cgroup, uint64_t bytes, struct error *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return file_write_kernel(cgroup, "memory.high", text, err);
}

/* Asks once for NEXT; *USAGE is what it came to. */
static int lower_to(int cgroup, uint64_t next, uint64_t *usage, struct error *err)
{
	if (set_high(cgroup, next, err) < 0 || read_usage(cgroup, usage, err) < 0)
		return -1;
	if (*usage > next)
		reclaim(cgroup, *usage - next);
	return read_usage(cgroup, usage, err);
}

/*
 * From the present use down to LIMIT in steps: the container slows down bit by bit.  Where a step
 * does not help the kernel is asked for all at once, since it looks at a part of what it is asked
 * for.
 */
static int step_down(int cgroup, uint64_t limit, int64_t deadline, struct error *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	uint64_t usage = 0, step, lowest = UINT64_MAX;
	int vain = 0;

	if (read_usage(cgroup, &usage, err) < 0)
		return -1;
	step = (usage > limit ? usage - limit : 0) / STEPS + 1;
	while (usage > limit && vain < PATIENCE && now_ms() < deadline) {
		uint64_t next = usage - limit > step && vain == 0 ? usage - step : limit;

		if (vain > 0)
			nanosleep(&pause, NULL);
		if (lower_to(cgroup, next, &usage, err) < 0)
			return -1;
		vain = usage < lowest ? 0 : vain + 1;
		lowest = usage < lowest ? usage : lowest;
	}
	return 0;
}

static int freeze(int cgroup, struct update_memory *memory, struct error *err)
{
	if (cgroup_is_frozen(cgroup) == 1)
		return 0;
	if (cgroup_freeze(cgroup, true, FREEZE_TIMEOUT_MS, err) < 0)
		return -1;
	memory->frozen = true;
	return 0;
}

static int refuse(uint64_t limit, uint64_t usage, struct error *err)
{
	error_coded(
	    err, CRL_LIMIT_BELOW_USAGE,
	    error_state(
		err,
		"cannot lower the memory limit to %llu without killing: %llu bytes stay in use",
		(unsigned long long)limit, (unsigned long long)usage));
	error_hint(err,
		   "no more can be reclaimed, and no limit was changed; with swap there may be "
		   "room for it");
	return error_at(err, "/memory/limit");
}

static int bring_down(int cgroup, uint64_t limit, int64_t deadline, struct update_memory *memory,
		      struct error *err)
{
	uint64_t usage = 0;

	/* Twice: until it is frozen the container may take again what was given back. */
	if (step_down(cgroup, limit, deadline, err) < 0 || freeze(cgroup, memory, err) < 0 ||
	    step_down(cgroup, limit, deadline, err) < 0 || read_usage(cgroup, &usage, err) < 0)
		return -1;
	return usage > limit ? refuse(limit, usage, err) : 0;
}

int update_memory_prepare(int cgroup, uint64_t limit, int timeout_ms, struct update_memory *memory,
			  struct error *err)
{
	int64_t deadline = now_ms() + (timeout_ms > 0 ? timeout_ms : TIMEOUT_MS);
	auto_arena arena = { 0 };
	const char *high = cgroup_read(&arena, cgroup, "memory.high");

	if (!high)
		return error_unsupported(err, "the container's cgroup has no memory limits");
	snprintf(memory->high, sizeof(memory->high), "%s", high);
	if (bring_down(cgroup, limit, deadline, memory, err) == 0)
		return 0;
	update_memory_finish(cgroup, false, memory);
	return -1;
}

void update_memory_finish(int cgroup, bool keep_high, const struct update_memory *memory)
{
	struct error err = { 0 };

	if (memory->high[0] && !keep_high &&
	    file_write_kernel(cgroup, "memory.high", memory->high, &err) < 0)
		error_ignore(&err, "the cgroup is gone");
	if (memory->frozen && cgroup_freeze(cgroup, false, FREEZE_TIMEOUT_MS, &err) < 0)
		error_ignore(&err,
			     "the container was frozen by somebody else meanwhile, or is gone");
}
