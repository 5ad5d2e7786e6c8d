/*
 * Creates, starts and deletes one container COUNT times in a row, from a process so small that the
 * peak of the runtime's memory can be seen beside it: cycles COUNT RUNTIME ROOT BUNDLE ID.  Prints
 * a line for each twelfth: cycles done, milliseconds, and the largest peak of a command in KiB.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARTS 12

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Runs a command; the init that it leaves to us stays a child. */
static int run(char **argv, long *peak)
{
	struct rusage usage;
	int status;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, NULL) != 0)
		return -1;
	if (wait4(pid, &status, 0, &usage) != pid)
		return -1;
	if (usage.ru_maxrss > *peak)
		*peak = usage.ru_maxrss;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int cycle(char *runtime, char *root, char *bundle, char *id, long *peak)
{
	char *create[] = { runtime, "--root", root, "create", "--bundle", bundle, id, NULL };
	char *start[] = { runtime, "--root", root, "start", id, NULL };
	char *erase[] = { runtime, "--root", root, "delete", id, NULL };
	int status;

	if (run(create, peak) != 0 || run(start, peak) != 0)
		return -1;
	/* Its init is our child since create ended: its program's end is that of the container. */
	if (waitpid(-1, &status, 0) < 0 || status != 0)
		return -1;
	return run(erase, peak);
}

int main(int argc, char **argv)
{
	long count = argc == 6 ? atol(argv[1]) : 0, peak = 0, start = now_ms();

	if (count <= 0) {
		fprintf(stderr, "usage: cycles COUNT RUNTIME ROOT BUNDLE ID\n");
		return 2;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 2;
	for (long n = 1; n <= count; n++) {
		if (cycle(argv[2], argv[3], argv[4], argv[5], &peak) != 0) {
			fprintf(stderr, "cycle %ld failed\n", n);
			return 1;
		}
		if (n * PARTS / count == (n - 1) * PARTS / count)
			continue;
		printf("%ld %ld %ld\n", n, now_ms() - start, peak);
		fflush(stdout);
		peak = 0;
	}
	return 0;
}
