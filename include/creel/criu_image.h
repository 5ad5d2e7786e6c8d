/*
 * What the images of CRIU say about the world outside of the processes: which namespaces they lived
 * in, what was mounted, which rights they had.  Images are hostile: everything is checked against
 * its bounds, nothing is believed.  Pure, but for the reading of files.
 *
 * Source: https://criu.org/Images; the numbers of fields are CRIU's, which it keeps stable.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/protobuf.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum criu_magic {
	CRIU_MAGIC_INVENTORY = 0x58313116,
	CRIU_MAGIC_PSTREE = 0x50273030,
	CRIU_MAGIC_IDS = 0x54432030,
	CRIU_MAGIC_CORE = 0x55053847,
	CRIU_MAGIC_MOUNTS = 0x55563928,
	CRIU_MAGIC_SECCOMP = 0x64413049,
	CRIU_MAGIC_CGROUP = 0x59383330,
};

struct criu_records {
	struct protobuf_reader *items;
	size_t n;
};

/* The records of the image NAME in the directory DIR. */
int criu_image_read(struct arena *arena, int dir, const char *name, enum criu_magic magic,
		    struct criu_records *records, struct error *err) must_check;
/* The same for bytes that are there: NAME is for the error. */
int criu_image_parse(struct arena *arena, const char *name, const void *data, size_t size,
		     enum criu_magic magic, struct criu_records *records,
		     struct error *err) must_check;

/* All of these return -1 for bytes that are no such message. */

/* The kinds of namespaces in the order of CRIU's fields; numbers of its own, 0 for unknown. */
enum criu_namespace {
	CRIU_NS_PID,
	CRIU_NS_NET,
	CRIU_NS_IPC,
	CRIU_NS_UTS,
	CRIU_NS_MNT,
	CRIU_NS_USER,
	CRIU_NS_CGROUP,
	CRIU_NS_TIME,
	CRIU_NS_COUNT,
};

struct criu_namespaces {
	uint64_t ids[CRIU_NS_COUNT];
};

/* Of a task (ids-N.img), or of CRIU itself (inventory.img): those of the host. */
int criu_image_namespaces(struct protobuf_reader record,
			  struct criu_namespaces *namespaces) must_check;
int criu_image_inventory(struct protobuf_reader record, struct criu_namespaces *host) must_check;

struct criu_task {
	pid_t pid, parent;
	pid_t *threads; /* any number at all where the task is a zombie */
	size_t threads_n;
};

int criu_image_task(struct arena *arena, struct protobuf_reader record,
		    struct criu_task *task) must_check;

/* The file systems that CRIU mounts by themselves. */
enum criu_filesystem {
	CRIU_FS_UNSUPPORTED = 0,
	CRIU_FS_PROC = 1,
	CRIU_FS_SYSFS = 2,
	CRIU_FS_DEVTMPFS = 3,
	CRIU_FS_BINFMT_MISC = 4,
	CRIU_FS_TMPFS = 5,
	CRIU_FS_DEVPTS = 6,
	CRIU_FS_PSTORE = 8,
	CRIU_FS_SECURITYFS = 9,
	CRIU_FS_FUSECTL = 10,
	CRIU_FS_DEBUGFS = 11,
	CRIU_FS_MQUEUE = 14,
	CRIU_FS_TRACEFS = 19,
	CRIU_FS_CGROUP2 = 23,
};

struct criu_mount {
	uint64_t filesystem; /* enum criu_filesystem, or another number */
	uint64_t device;     /* what tells file systems apart */
	char *root, *point, *options;
	char *key; /* of an external mount, or NULL */
	bool external;
};

int criu_image_mount(struct arena *arena, struct protobuf_reader record,
		     struct criu_mount *mount) must_check;

/* What a thread may: the whole of core-N.img that matters here. */
struct criu_rights {
	bool is_dead; /* a zombie: nothing of it will run */
	bool has_credentials;
	uint64_t uid, euid, suid, gid, egid, sgid;
	uint64_t inheritable, permitted, effective, bounding, ambient;
	bool no_new_privs;
	uint64_t seccomp_mode;	 /* 2: filters */
	uint64_t seccomp_filter; /* the last one, an index of seccomp.img */
	char *label;
	bool has_policy; /* AppArmor's own data */
};

int criu_image_rights(struct arena *arena, struct protobuf_reader record,
		      struct criu_rights *rights) must_check;

struct criu_filter {
	const unsigned char *data;
	size_t size;
	bool has_previous;
	uint64_t previous; /* an index */
};

struct criu_filters {
	struct criu_filter *items;
	size_t n;
};

int criu_image_filters(struct arena *arena, struct protobuf_reader record,
		       struct criu_filters *filters) must_check;

struct criu_owner {
	uint64_t uid, gid;
};

/* All that the image of the cgroups names, without its order. */
struct criu_cgroup_names {
	struct strings controllers; /* of the hierarchies; "" is that of version 2 */
	struct strings paths;	    /* of directories, and where processes are */
	struct strings files;	    /* that something is written to */
	bool has_hierarchies;	    /* not when they were ignored: then no directory is named */
	struct criu_owner *owners;  /* of both */
	size_t owners_n;
};

int criu_image_cgroups(struct arena *arena, struct protobuf_reader record,
		       struct criu_cgroup_names *cgroups) must_check;
