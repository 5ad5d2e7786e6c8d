/*
 * musl's _Exit() asks for ever when a seccomp filter of the container denies the system call, and
 * its abort() sends a signal to the thread that it believes to be: after our own clone3(2) that is
 * our parent, or whoever has the number in another pid namespace.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn void _Exit(int code)
{
	syscall(SYS_exit_group, code);
	syscall(SYS_exit, code);
	__builtin_trap();
}

_Noreturn void abort(void)
{
	__builtin_trap();
}
