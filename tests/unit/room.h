/* A state root of a test's own, with what the functions of the container room want to know. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/arena.h>
#include <creel/container.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/procfs.h>

struct room {
	char path[64];
	struct arena arena;
	struct runtime runtime;
};

static inline void room_open(struct room *room)
{
	struct error err = { 0 };

	*room = (struct room){ .path = "/tmp/creel-room-XXXXXX" };
	check(mkdtemp(room->path) != NULL);
	room->runtime = (struct runtime){
		.arena = &room->arena,
		.root_path = room->path,
		.root = -1,
		.procfs = procfs_open(&err),
		.cgroup_root = -1,
		.trace = -1,
		.timeout_ms = -1,
		.facts = { .euid = geteuid() },
	};
	check_int(container_root_open(&room->runtime, false, &err), 0);
}

static inline void room_close(struct room *room)
{
	char command[80];

	fd_close(&room->runtime.root);
	fd_close(&room->runtime.procfs);
	arena_free(&room->arena);
	snprintf(command, sizeof(command), "rm -rf %s", room->path);
	check_int(system(command), 0);
}
