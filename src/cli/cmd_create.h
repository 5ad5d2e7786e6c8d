/* The options that `create` and `run` share. */
#pragma once

#include <creel/cli.h>
#include <creel/create.h>

struct create_arguments {
	struct create_options create;
	bool no_subreaper; /* accepted for the sake of crun's and runc's callers: creel never is one
			    */
};

extern const struct option_row create_rows[];
#define CREATE_ROWS_N 9

unsigned int create_passed_fds(const void *options);
/* Fills in what does not come from an option of the command itself. */
struct create_options create_complete(const struct cli *cli, const struct create_options *options);
