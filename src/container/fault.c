/*
 * Faults of a test build (meson setup -Dfaults=true): CREEL_FAIL="before:STEP" or "after:STEP"
 * makes this row of a table fail, and every row that is reached is written to the file
 * CREEL_FAIL_LIST, so that a test walks the tables themselves.
 */
#include <creel/fault.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <creel/error.h>

/* A file in memory: a process that is about to be the container's has no descriptor of ours left.
 */
struct list {
	char text[65536 - sizeof(size_t)];
	size_t used;
};

/* Taken before main() drops all variables that it does not know, and before the pivot hides the
 * file. */
static struct {
	char wanted[128];
	struct list *list;
} fault;

static struct list *map_list(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *list = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct list)) == 0)
		list = mmap(NULL, sizeof(struct list), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return list == MAP_FAILED ? NULL : list;
}

static void __attribute__((constructor)) take_environment(void)
{
	const char *wanted = getenv("CREEL_FAIL"), *list = getenv("CREEL_FAIL_LIST");

	if (wanted)
		snprintf(fault.wanted, sizeof(fault.wanted), "%s", wanted);
	if (list)
		fault.list = map_list(list);
}

static void note(struct list *list, const char *point)
{
	size_t n = strlen(point) + 1;
	size_t at = __atomic_fetch_add(&list->used, n, __ATOMIC_RELAXED);

	if (at + n > sizeof(list->text))
		return;
	memcpy(list->text + at, point, n - 1);
	list->text[at + n - 1] = '\n';
}

int fault_point(enum fault_time time, const char *step, struct error *err)
{
	char point[128];

	snprintf(point, sizeof(point), "%s:%s", time == FAULT_BEFORE ? "before" : "after", step);
	if (fault.list)
		note(fault.list, point);
	if (strcmp(point, fault.wanted) != 0)
		return 0;
	return error_system(err, EIO, "a fault was asked for at \"%s\"", step);
}
