/* The functions behind fortify.h; the compiler calls those with two underscores. */
#define UNCHECKED

#include "fortify.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memset_chk(void *to, int byte, size_t n, size_t room);
int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, ...);
int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, va_list list);

static void hold(size_t n, size_t room)
{
	static const char text[] = "creel: a buffer is too small for what is written to it\n";

	if (n <= room)
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		__builtin_trap();
	__builtin_trap();
}

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	hold(n, room);
	return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
	hold(n, room);
	return memmove(to, from, n);
}

void *__memset_chk(void *to, int byte, size_t n, size_t room)
{
	hold(n, room);
	return memset(to, byte, n);
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, va_list list)
{
	(void)flag;
	hold(n, room);
	return vsnprintf(to, n, format, list);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = __vsnprintf_chk(to, n, flag, room, format, list);
	va_end(list);
	return length;
}

ssize_t checked_read(int fd, void *to, size_t n, size_t room)
{
	hold(n, room);
	return read(fd, to, n);
}

ssize_t checked_pread(int fd, void *to, size_t n, off_t from, size_t room)
{
	hold(n, room);
	return pread(fd, to, n, from);
}

ssize_t checked_recv(int fd, void *to, size_t n, int flags, size_t room)
{
	hold(n, room);
	return recv(fd, to, n, flags);
}

ssize_t checked_readlinkat(int dir, const char *path, char *to, size_t n, size_t room)
{
	hold(n, room);
	return readlinkat(dir, path, to, n);
}
