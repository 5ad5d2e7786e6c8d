/* The timeline of --trace, one event a line. */
#include <creel/trace.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>

int trace_open(const char *path, struct error *err)
{
	auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return error_system(err, errno, "cannot open the trace file %s", path);
	if (fd_write_all(fd, "[\n", 2, err) < 0)
		return -1;
	return take_fd(&fd);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t trace_now(int trace)
{
	return trace < 0 ? 0 : now_ns();
}

/* The names are our own and need no escaping.  The pid is that of the role, since I would call
 * itself 1. */
void trace_span(int trace, const char *role, const char *name, uint64_t start)
{
	char line[256];
	uint64_t end;
	int n;

	if (trace < 0)
		return;
	end = now_ns();
	n = snprintf(line, sizeof(line),
		     "{\"ph\":\"X\",\"pid\":1,\"tid\":\"%s\",\"name\":\"%s\",\"ts\":%llu.%03llu,"
		     "\"dur\":%llu.%03llu},\n",
		     role, name, (unsigned long long)(start / 1000),
		     (unsigned long long)(start % 1000), (unsigned long long)((end - start) / 1000),
		     (unsigned long long)((end - start) % 1000));
	if (n > 0 && (size_t)n < sizeof(line) && write(trace, line, (size_t)n) < 0)
		return; /* A trace that cannot be written must not stop the container. */
}
