/* musl's _Exit() asks for ever when a seccomp filter of the container denies the system call. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Noreturn void _Exit(int code)
{
	syscall(SYS_exit_group, code);
	syscall(SYS_exit, code);
	__builtin_trap();
}
