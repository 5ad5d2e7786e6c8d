/*
 * Runs a program one instruction at a time, and all processes that it makes until they execute
 * something else; it ends when they have.  Prints where it went, in units of 16 bytes from the
 *start of its image, each place once, in the order in which they were reached first.
 *
 *	step PROGRAM ARGUMENT...
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE_SIZE (4UL << 20)

/* Where the program lies: before it runs, its are the only lines of the map that name a file. */
static unsigned long base_of(pid_t pid)
{
	char line[4096];
	unsigned long base = 0;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);

	FILE *maps = fopen(line, "re");

	while (maps && !base && fgets(line, sizeof(line), maps))
		if (strchr(line, '/'))
			base = strtoul(line, NULL, 16);
	if (!base)
		exit(1);
	fclose(maps);
	return base;
}

static void note(pid_t pid, unsigned long base)
{
	static bool seen[IMAGE_SIZE];
	struct user_regs_struct regs;
	unsigned long place;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0 || regs.rip - base >= IMAGE_SIZE)
		return;
	place = regs.rip - base;
	if (!seen[place])
		printf("%lx\n", place);
	seen[place] = true;
}

int main(int argc, char **argv)
{
	pid_t first = argc > 1 ? fork() : -1, pid;
	unsigned long base;
	int status, result = 1;

	if (first < 0)
		return 1;
	if (first == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[1], argv + 1);
		_exit(127);
	}
	waitpid(first, &status, 0);
	base = base_of(first);
	ptrace(PTRACE_SETOPTIONS, first, NULL,
	       PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC);
	ptrace(PTRACE_SINGLESTEP, first, NULL, NULL);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (!WIFSTOPPED(status)) {
			if (pid == first)
				result = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		} else if (status >> 16 == PTRACE_EVENT_EXEC) {
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
		} else {
			note(pid, base);
			/* Those of stepping and of attaching are not for the program. */
			if (signal == SIGTRAP || signal == SIGSTOP)
				signal = 0;
			ptrace(PTRACE_SINGLESTEP, pid, NULL, signal);
		}
	}
	return result;
}
