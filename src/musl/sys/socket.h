/* A checked function (fortify.h). */
#pragma once

#include_next <sys/socket.h>

#include "../fortify.h"

#ifndef UNCHECKED
FORTIFIED ssize_t recv(int fd, void *to, size_t n, int flags)
{
	return checked_recv(fd, to, n, flags, ROOM_OF(to));
}
#endif
