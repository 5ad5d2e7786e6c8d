/*
 * Where a test build can make a row of the tables of create, init, exec or restore fail.  A normal
 * build links fault_none.c: no variable of the environment can do it there.
 */
#pragma once

#include <creel/compiler.h>

struct error;

enum fault_time {
	FAULT_BEFORE, /* the step is not made */
	FAULT_AFTER,  /* it is made, and says that it failed */
};

/* 0, or -1 when the test wants STEP to fail at this TIME. */
int fault_point(enum fault_time time, const char *step, struct error *err) must_check;
