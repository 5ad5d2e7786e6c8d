/*
 * The stable codes of what can go wrong, CRL-nnnn: one for each situation that somebody may want to
 * look up, and one for each kind of error (CRL-5000) that stands for the rest of it.
 *
 * A code is tagged where the situation is recognised, with error_code().  What it means, where it
 * comes from and what to do is written once, in the tables of error_pages*.c: `creel explain` and
 * creel-errors(7) are both printed from them.
 *
 * Numbers are for ever: scripts and bug reports hold them.  A new one goes behind the last of its
 * theme, and the number of one that is gone is never given again.
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>

enum crl {
	/* The command line. */
	CRL_USAGE = 1000,
	CRL_UNKNOWN_COMMAND = 1001,
	CRL_UNKNOWN_OPTION = 1002,
	CRL_OPTION_VALUE = 1003,
	CRL_ARGUMENTS = 1004,
	CRL_PASSED_FD = 1005,
	CRL_UNKNOWN_SIGNAL = 1006,
	CRL_CONTAINER_ID = 1007,
	CRL_CONSOLE_SOCKET = 1008,

	/* The document: config.json and its relatives. */
	CRL_CONFIG = 2000,
	CRL_NOT_JSON = 2001,
	CRL_WRONG_TYPE = 2002,
	CRL_UNKNOWN_VALUE = 2003,
	CRL_OUT_OF_RANGE = 2004,
	CRL_MISSING_MEMBER = 2005,
	CRL_DUPLICATE_MEMBER = 2006,
	CRL_VERSION = 2007,
	CRL_NOT_ABSOLUTE = 2008,
	CRL_NEEDS_NAMESPACE = 2010,
	CRL_USER_NAMESPACE = 2011,
	CRL_NOT_MAPPED = 2012,
	CRL_ROOTLESS_NEEDS_USER_NAMESPACE = 2013,
	CRL_ID_MAPPINGS = 2014,
	CRL_NAMESPACE_LIST = 2015,
	CRL_SYSCTL_KEY = 2020,
	CRL_MOUNT_OPTION = 2021,
	CRL_MOUNT_PLACE = 2022,
	CRL_DEVICE = 2023,
	CRL_SECCOMP_PROFILE = 2024,
	CRL_RLIMIT = 2025,
	CRL_ENVIRONMENT = 2026,
	CRL_CGROUP_PATH = 2027,
	CRL_SWAP = 2028,
	CRL_CGROUP_VALUE = 2029,

	/* What this host, this kernel or this build does not have. */
	CRL_UNSUPPORTED = 3000,
	CRL_NO_CONTROLLER = 3001,
	CRL_NO_CGROUP_FILE = 3002,
	CRL_NO_CGROUP2 = 3003,
	CRL_NO_SYSTEMD = 3004,
	CRL_NO_LSM = 3005,
	CRL_NO_SUBIDS = 3006,
	CRL_NO_IDMAP = 3007,
	CRL_OLD_KERNEL = 3008,
	CRL_NO_SECCOMP = 3009,
	CRL_NO_CGROUP_BPF = 3010,
	CRL_NO_RESCTRL = 3011,
	CRL_NO_FILESYSTEM = 3012,
	CRL_LIBRARY = 3013,

	/* The state that the container is in. */
	CRL_STATE = 4000,
	CRL_NO_CONTAINER = 4001,
	CRL_CONTAINER_EXISTS = 4002,
	CRL_NOT_RUNNING = 4003,
	CRL_WRONG_STATUS = 4004,
	CRL_BUSY = 4005,
	CRL_CGROUP_NOT_EMPTY = 4006,
	CRL_UNIT_EXISTS = 4007,
	CRL_LIMIT_BELOW_USAGE = 4008,
	CRL_STATE_ROOT = 4009,

	/* The system: the program to execute. */
	CRL_SYSTEM = 5000,
	CRL_PROGRAM_NOT_IN_PATH = 5001,
	CRL_PROGRAM_MISSING = 5002,
	CRL_PROGRAM_NOT_EXECUTABLE = 5003,
	CRL_PROGRAM_DIRECTORY = 5004,
	CRL_INTERPRETER_MISSING = 5005,
	CRL_INTERPRETER_CRLF = 5006,
	CRL_LOADER_MISSING = 5007,
	CRL_OTHER_MACHINE = 5008,
	CRL_NOT_A_PROGRAM = 5009,
	CRL_NOEXEC_MOUNT = 5010,
	CRL_INTERPRETER_UNUSABLE = 5011,
	CRL_CWD = 5012,

	/* Mounts and the root filesystem. */
	CRL_MOUNT = 5100,
	CRL_MOUNT_SOURCE = 5101,
	CRL_MOUNT_FILE_DIRECTORY = 5102,
	CRL_MOUNT_LOCKED = 5103,
	CRL_PROC_COVERED = 5104,
	CRL_MOUNT_OPTION_REFUSED = 5105,
	CRL_MOUNT_TARGET = 5106,
	CRL_ROOTFS = 5107,
	CRL_UNSAFE_PROC = 5108,
	CRL_BUNDLE = 5109,

	/* Cgroups. */
	CRL_CGROUP = 5200,
	CRL_CGROUP_FULL = 5201,
	CRL_CGROUP_CONTROL = 5202,
	CRL_CGROUP_DELEGATION = 5203,
	CRL_CGROUP_REFUSED = 5204,
	CRL_CGROUP_ENTER = 5205,
	CRL_OUT_OF_MEMORY = 5206,
	CRL_PIDS_LIMIT = 5207,
	CRL_DEVICE_PROGRAM = 5208,
	CRL_CGROUP_WAIT = 5209,
	CRL_SYSTEMD_REFUSED = 5210,
	CRL_SYSTEMD_TIMEOUT = 5211,

	/* Namespaces and ids. */
	CRL_NAMESPACE = 5300,
	CRL_NAMESPACE_LIMIT = 5301,
	CRL_NAMESPACE_JOIN = 5302,
	CRL_ID_MAP_REFUSED = 5303,
	CRL_USER_NAMESPACE_FORBIDDEN = 5304,
	CRL_NET_DEVICE = 5305,

	/* Settings of the process. */
	CRL_SETTING = 5400,
	CRL_RLIMIT_HARD = 5401,
	CRL_SYSCTL_VALUE = 5402,
	CRL_SYSCTL_REFUSED = 5403,
	CRL_KEY_QUOTA = 5404,
	CRL_LABEL = 5405,
	CRL_SECCOMP_LOAD = 5406,
	CRL_SCHEDULING = 5407,
	CRL_IDS_AND_CAPABILITIES = 5408,
	CRL_TERMINAL = 5409,

	/* Hooks and the course of a command. */
	CRL_HOOK = 5500,
	CRL_HOOK_FAILED = 5501,
	CRL_HOOK_TIMEOUT = 5502,
	CRL_HOOK_MISSING = 5503,
	CRL_SETUP_DIED = 5600,
	CRL_SETUP_TIMEOUT = 5601,

	/* Checkpoint and restore. */
	CRL_CRIU = 5700,
};

/* What there is to say about one code.  No text is NULL; lists have one item a line. */
struct error_page {
	enum crl code;
	const char *title;   /* a few words, without full stop */
	const char *meaning; /* whole sentences */
	const char *causes;  /* a list, likeliest first */
	const char *action;  /* a list: what to do */
	const char *example; /* the message as it is printed, one line */
};

/* A range of codes that belong together. */
struct error_theme {
	int first, last;
	const char *title;
};

extern const struct error_theme error_themes[];
extern const size_t error_themes_n;

/* The page number I of all, in the order of the codes; NULL behind the last. */
const struct error_page *error_page_at(size_t i);
/* The page of CODE; NULL when there is none. */
const struct error_page *error_page_find(int code);
/* "CRL-2001", "crl-2001" or "2001"; false for anything else.  Whether it has a page is another
 * question. */
bool error_code_parse(const char *text, int *code);

struct error;

/* The code of ERR: its own, or that of its kind. */
int error_code_of(const struct error *err);
