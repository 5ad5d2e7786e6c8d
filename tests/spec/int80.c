/*
 * Makes a system call of i386 from a program of x86_64, prints what it returned as JSON.  The
 * kernel and seccomp see the architecture of the call, not of the program.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	long result = argc > 1 ? atol(argv[1]) : 20; /* getpid(2) on i386 */

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0), "c"(0), "d"(0) : "memory");
	printf("{\"result\":%d}\n", (int)result);
	return 0;
}
