/*
 * Questions to the host that `creel check` asks: each tries what a container will need, and changes
 * nothing.  What has to be made to be tried (a namespace, a detached copy of a mount, an open
 * filesystem context) belongs to nobody but us and is gone when the question is answered.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/idmap.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Whether CAPABILITY (CAP_*) is effective for us in the first user namespace, so that the kernel's
 * capable() says yes. */
bool probe_capability(int procfs, int capability);

/* The number in a file of procfs ("sys/user/max_user_namespaces"); false when there is none. */
bool probe_number(int procfs, const char *name, int64_t *value);

enum probe_filesystem {
	PROBE_FS_ABSENT,
	PROBE_FS_MODULE,  /* not in the kernel now, but a module of that name is installed */
	PROBE_FS_VIRTUAL, /* "nodev" in /proc/filesystems */
	PROBE_FS_DEVICE,  /* needs a device: never in a user namespace */
};
enum probe_filesystem probe_filesystem(struct arena *arena, int procfs, const char *type);

/*
 * Gives the OPTIONS ("key" or "key=value") to a context of the filesystem TYPE that is never
 * mounted.  -1 with ERR set and *BAD the number of the option that the kernel refuses; also when
 * TYPE itself cannot be opened: then *BAD is OPTIONS->n.
 */
int probe_mount_options(const char *type, const struct strings *options, size_t *bad,
			struct error *err) must_check;

/* Who asks: the real ids of the process that makes the namespaces. */
struct probe_user {
	bool set; /* false: we as we are */
	uid_t uid;
	gid_t gid;
};

/* Makes the namespaces FLAGS in a child and lets them go again. */
int probe_namespaces(uint64_t flags, const struct probe_user *user, struct error *err) must_check;

/* For each of the N sysctls KEYS the errno with which a process in new namespaces FLAGS could not
 * open it for writing, or 0; in a child. */
int probe_sysctls(int procfs, uint64_t flags, char *const *keys, size_t n, int *refusals,
		  struct error *err) must_check;

/* Whether the ids of files below PATH can be mapped (MOUNT_ATTR_IDMAP): tried on a detached copy.
 */
int probe_idmap(int procfs, const char *path, struct error *err) must_check;

/* Whether we could give a process the OOM score adjustment SCORE: tried on ourselves. */
bool probe_oom_score(int procfs, int score);

/* Whether a program for the device controller can be loaded; it is dropped at once. */
bool probe_device_program(void);

/* The first mount below /proc that hides something of it, or NULL: then a user namespace gets no
 * /proc of its own. */
char *probe_covered_proc(struct arena *arena, int procfs);

/* The name of the filesystem that PATH is on, or its number in hexadecimal. */
const char *probe_filesystem_at(struct arena *arena, int procfs, const char *path);

/* One line of /etc/subuid or /etc/subgid that is for UID. */
struct probe_range {
	uint64_t first, count;
};
struct probe_ranges {
	struct probe_range *items;
	size_t n;
};
/* All ranges that TABLE ("/etc/subuid") gives to the user UID, by name or number. */
struct probe_ranges probe_subids(struct arena *arena, const char *table, uid_t uid);
/* The path of a program in the directories where newuidmap(1) is looked for, or NULL. */
char *probe_program(struct arena *arena, const char *name);
