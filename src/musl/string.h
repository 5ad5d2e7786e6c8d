/* The names of errors, as glibc has them. */
#pragma once

#include_next <string.h>

const char *strerrorname_np(int errnum);
