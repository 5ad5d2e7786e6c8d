/*
 * Where the kernel refuses an O_PATH descriptor, musl asks again for /proc/self/fd/N, by name: in
 * the root of a container that may lead anywhere.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fchown(int fd, uid_t uid, gid_t gid)
{
	return (int)syscall(SYS_fchown, fd, uid, gid);
}

int fchmod(int fd, mode_t mode)
{
	return (int)syscall(SYS_fchmod, fd, mode);
}
