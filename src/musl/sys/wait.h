/* How a status is put together, which musl only takes apart. */
#pragma once

#include_next <sys/wait.h>

#define WCOREFLAG		 0x80
#define W_EXITCODE(code, signal) ((code) << 8 | (signal))
