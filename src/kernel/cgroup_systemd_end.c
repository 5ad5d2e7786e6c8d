/*
 * The end of a scope that nobody asks for: systemd sees that its last process has gone, removes the
 * cgroup and forgets the unit.  To ask for the same over D-Bus would come later, and cost both
 * sides more than all of that.
 */
#include <creel/cgroup_systemd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <creel/fd.h>

#include "systemd_bus.h"

enum {
	PAUSE_US = 500,
	PATIENCE_US = 5000000,
	/* The unit goes right after its cgroup, unless it failed: then it stays until it is reset.
	 */
	AFTERWARDS_US = 50000,
};

/* Where the unit files are that were made over D-Bus: each stays as long as its unit is loaded
 * (systemd.unit(5)). */
static int open_transient(void)
{
	char directory[SYSTEMD_DIRECTORY_SIZE], path[SYSTEMD_DIRECTORY_SIZE + 16];

	if (!systemd_directory(directory, sizeof(directory)))
		return -1;
	snprintf(path, sizeof(path), "%s/transient", directory);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool is_absent(int directory, const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

bool systemd_has_forgotten(const char *unit, int cgroup_root, const char *cgroup)
{
	auto_fd transient = open_transient();
	long afterwards = 0;

	if (transient < 0 || cgroup_root < 0)
		return false;
	for (long waited = 0; !is_absent(transient, unit); waited += PAUSE_US) {
		if (is_absent(cgroup_root, cgroup[0] == '/' ? cgroup + 1 : cgroup))
			afterwards += PAUSE_US;
		if (waited >= PATIENCE_US || afterwards >= AFTERWARDS_US)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = PAUSE_US * 1000L }, NULL);
	}
	return true;
}
