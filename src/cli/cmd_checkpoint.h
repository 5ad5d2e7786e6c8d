/* The options that `checkpoint` and `restore` share. */
#pragma once

#include <creel/checkpoint.h>
#include <creel/cli.h>

extern const struct option_row criu_rows[];
#define CRIU_ROWS_N 13
