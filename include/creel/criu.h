/*
 * CRIU, which saves a process tree to files and makes it again from them.  It is run as `criu
 * swrk`, one process a request, and spoken to over a socket: what libcriu does too, but with a
 * deadline, a process of our choice around it, and no library.  Source: criu(8),
 * https://criu.org/RPC.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* The numbers are those of CRIU's protocol. */
enum criu_kind {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_PRE_DUMP = 4,
	CRIU_VERSION = 10,
};

enum criu_cgroups {
	CRIU_CGROUPS_IGNORE = 0,
	CRIU_CGROUPS_SOFT = 3,
	CRIU_CGROUPS_FULL = 4,
	CRIU_CGROUPS_STRICT = 5,
};

enum criu_network_lock {
	CRIU_LOCK_IPTABLES = 1,
	CRIU_LOCK_NFTABLES = 2,
	CRIU_LOCK_SKIP = 3,
};

/* KEY in the image is VALUE: a name, a path of the host, or a descriptor. */
struct criu_pair {
	const char *key;
	const char *value;
	int fd;
};

struct criu_pairs {
	struct criu_pair *items;
	size_t n;
};

void criu_pair_add(struct arena *arena, struct criu_pairs *pairs, struct criu_pair pair);

/* One request; what is zero or NULL is not said, descriptors are our own. */
struct criu_request {
	enum criu_kind kind;
	int images;	      /* directory of the images */
	int work;	      /* directory of the log */
	const char *log_file; /* its name in there */
	const char *config;   /* a file with more options, as criu(8) has it */
	const char *root;     /* restore: a mount point that becomes the root */
	pid_t pid;	      /* dump: of the root of the tree */
	const char *parent;   /* directory of the images before, relative to IMAGES */
	const char *freeze_cgroup;
	const char *cgroup_root;
	const char *lsm_profile;
	const char *lsm_mount_context;
	const char *page_server; /* its address, and PAGE_PORT */
	uint16_t page_port;
	struct strings external;     /* "net[4026531840]:key" */
	struct criu_pairs mounts;    /* dump: mount point and key; restore: key and path */
	struct criu_pairs inherited; /* key and the number of a descriptor in CRIU */
	struct criu_pairs joins;     /* kind ("net") and path of a namespace */
	uint64_t empty_namespaces;   /* CLONE_NEW* */
	enum criu_cgroups cgroups;
	enum criu_network_lock network_lock;
	int status_fd; /* of CRIU, when STATUS is set */
	bool leave_running, ext_unix_sk, tcp_established, tcp_close, tcp_skip_in_flight, shell_job,
	    file_locks, link_remap, auto_dedup, lazy_pages, track_memory, sibling;
};

/* The bytes of a request: what is sent.  Pure. */
const void *criu_encode(struct arena *arena, const struct criu_request *request, size_t *size);

/* One answer: a notification while it works, or the end. */
struct criu_answer {
	uint64_t type;
	bool success;
	char *script;  /* of a notification: "post-restore" */
	pid_t pid;     /* of the root of the tree, as CRIU sees it */
	int errnum;    /* why it failed, or 0 */
	char *message; /* CRIU's own first error, or NULL */
	unsigned int version;
};

/* Understands SIZE bytes that CRIU sent.  Pure. */
int criu_decode(struct arena *arena, const void *data, size_t size, struct criu_answer *answer,
		struct error *err) must_check;

struct criu {
	pid_t pid;
	int pidfd;  /* of the process that is or will be CRIU */
	int socket; /* our end */
	int peer;   /* its end; closed once it has it */
};

#define CRIU_NONE                                                                                  \
	{                                                                                          \
		.pidfd = -1, .socket = -1, .peer = -1                                              \
	}

/* Finds the program, in the usual directories only: it will hold all of our rights. */
int criu_find(struct error *err) must_check;
/* The same as a question. */
bool criu_is_there(void);
/*
 * Becomes CRIU: the last words of a child.  PEER is its end of the socket; each of the N
 * descriptors of KEEP gets the number CRIU_FIRST_FD + its place.  Standard streams become
 * /dev/null.  Returns only with an error.
 */
int criu_exec(int program, int peer, const int *keep, size_t n, struct error *err);
#define CRIU_FIRST_FD 4

/* Starts it as our child, for dumps; with CGROUP, if it is not -1, as the root of a cgroup
 * namespace of its own. */
int criu_start(struct criu *criu, int cgroup, struct error *err) must_check;

/*
 * Called for each notification; FD is the descriptor that came with it, or -1, and stays the
 * caller's of this function.  -1 makes CRIU give up.
 */
typedef int criu_notify(void *argument, const struct criu_answer *answer, int *fd,
			struct error *err);

/*
 * Sends REQUEST and serves notifications until the answer.  Silence of more than TIMEOUT_MS ends it
 * by force.  An error has the first lines that CRIU logged as errors, and names the log at
 * LOG_PATH.
 */
int criu_call(struct criu *criu, struct arena *arena, const struct criu_request *request,
	      criu_notify *notify, void *argument, int timeout_ms, const char *log_path,
	      struct criu_answer *answer, struct error *err) must_check;
/* Ends it, if it has not ended. */
void criu_close(struct criu *criu);

/* The first lines of TEXT that CRIU marked as errors, without time and file, "; " between them.
 * Pure. */
char *criu_first_errors(struct arena *arena, const char *text);
