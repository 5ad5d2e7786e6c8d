/*
 * The plan: (config, request, facts) -> everything that creel will do, in the kernel's words,
 * complete before the first side effect.  Pure: no file is opened, no process is started.  This
 * room is the only place where the spec's words meet the kernel's; it includes kernel's types but
 * does not link it.
 *
 * Objects keep the JSON pointer that asked for them (`where`), so that a failing system call names
 * the config line too.
 */
#pragma once

#include <creel/arena.h>
#include <creel/caps.h>
#include <creel/cgroup.h>
#include <creel/cgroup_bpf.h>
#include <creel/cgroup_systemd.h>
#include <creel/compiler.h>
#include <creel/facts.h>
#include <creel/idmap.h>
#include <creel/mount.h>
#include <creel/oci_config.h>
#include <creel/rdt.h>
#include <creel/seccomp.h>
#include <creel/tuning.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct findings;

enum cgroup_manager {
	CGROUP_MANAGER_CGROUPFS,
	CGROUP_MANAGER_SYSTEMD,
	CGROUP_MANAGER_DISABLED,
};

extern const struct name_value cgroup_manager_names[];

/* What the command line adds to the document. */
struct plan_request {
	const char *id;
	const char *bundle; /* absolute */
	enum cgroup_manager manager;
	bool no_pivot;
	bool no_new_keyring;
	unsigned int preserve_fds;    /* 3 .. 3+N-1 are passed on */
	unsigned int listen_fds;      /* LISTEN_FDS of the caller, counted before PRESERVE_FDS */
	const char *listen_names;     /* LISTEN_FDNAMES, or NULL */
	const char *notify_socket;    /* NOTIFY_SOCKET of the caller, or NULL */
	const char *notify_directory; /* where ours will be, on the host */
	bool rootless_cgroups;	      /* --rootless: cgroup permission errors are tolerated */
	struct findings *findings;    /* NULL: the first error ends planning */
};

struct plan_join {
	uint64_t flag; /* CLONE_NEW* */
	const char *path;
	const char *where;
};

struct plan_namespaces {
	uint64_t create; /* CLONE_NEW* */
	struct plan_join joins[8];
	size_t joins_n;
	struct plan_join makes[8]; /* those of CREATE, without paths: for the places */
	size_t makes_n;
	const struct idmap *maps; /* of a new user namespace, else NULL */
	const char *maps_where;
	const char *time_offsets; /* lines for timens_offsets, or NULL */
	const char *time_where;
};

struct plan_sysctl {
	const char *key;
	const char *value;
	const char *where;
};

struct plan_net_device {
	const char *name;
	const char *new_name;
	const char *where;
};

struct plan_cgroup {
	enum cgroup_manager manager;
	const char
	    *path; /* in the hierarchy: "/machine/web"; with systemd NULL until the unit exists */
	const char *slice; /* systemd: "machine.slice" */
	const char *unit;  /* systemd: "docker-web.scope" */
	struct systemd_property *properties;
	size_t properties_n;
	struct cgroup_writes writes;
	bool filter_devices; /* false: no device rules at all (the list was empty or the host
				cannot) */
	const struct device_rule *devices;
	size_t devices_n;
	bool delegate; /* give the cgroup to DELEGATE_UID:GID */
	uid_t delegate_uid;
	gid_t delegate_gid;
	bool best_effort;  /* rootless: when it may not be made, run without, with a warning */
	const char *where; /* "/linux/cgroupsPath", or NULL */
};

struct plan_seccomp {
	struct seccomp_program program;
	const char *listener_path; /* NULL unless program.notify */
	const char *listener_metadata;
};

/* What the container's own program gets: also all that `exec` needs. */
struct plan_process {
	struct strings args;
	struct strings env; /* complete but for HOME, which needs the container's /etc/passwd */
	bool needs_home;
	bool listens; /* LISTEN_PID is its own pid, which only the process itself knows */
	const char *cwd;
	bool terminal;
	uint16_t height, width; /* 0: leave */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t groups_n;
	bool set_groups; /* false: setgroups(2) is denied or not wanted */
	mode_t umask;
	struct caps caps;
	bool no_new_privileges;
	struct tuning_rlimit *rlimits;
	size_t rlimits_n;
	struct optional oom_score_adj;
	const char *apparmor_profile; /* NULL: leave */
	const char *selinux_label;
	const struct tuning_scheduler *scheduler;
	int io_class, io_priority; /* class 0: leave */
	const struct tuning_memory_policy *memory_policy;
	struct optional personality;
	const struct tuning_cpus *affinity_initial; /* exec only */
	const struct tuning_cpus *affinity_final;
	const char *where; /* "/process", or "" for a process file */
};

struct plan {
	const char *id;
	const char *bundle;
	const char *rootfs; /* absolute */
	struct plan_namespaces namespaces;
	unsigned long
	    propagation; /* of everything, before the root is prepared: MS_SLAVE | MS_REC ... */
	unsigned long
	    propagation_after; /* of the root, after pivot: MS_SHARED, MS_UNBINDABLE, or 0 */
	bool root_readonly;
	bool no_pivot;
	const char *keyring; /* "_ses.ID", or NULL */
	const char *keyring_label;
	struct mount_op *mounts; /* mounts, then device nodes, then links */
	size_t mounts_n;
	struct mount_op *protections; /* read-only paths, then masked ones: after pivot */
	size_t protections_n;
	const char *hostname;
	const char *domainname;
	struct plan_sysctl *sysctls;
	size_t sysctls_n;
	struct plan_net_device *net_devices;
	size_t net_devices_n;
	const struct rdt_plan *rdt;
	struct plan_cgroup cgroup;
	struct plan_process process;
	unsigned int preserve_fds;	 /* all that are passed on: LISTEN_FDS + --preserve-fds */
	bool notify;			 /* the directory of our notify socket is mounted */
	const struct oci_config *config; /* hooks, annotations, seccomp */
};

/*
 * Makes the plan.  PLAN points into CONFIG, REQUEST and the arena, which must outlive it.  The
 * seccomp filter is not part of it: it may come from the cache; plan_seccomp() compiles it.
 */
int plan_make(struct arena *arena, const struct oci_config *config,
	      const struct plan_request *request, const struct facts *facts, struct plan *plan,
	      struct error *err) must_check;

/*
 * All that is wrong with the document TREE, for `creel check`: every error that schema_parse() and
 * plan_make() would stop at, and what is no error but hardly meant so.  CONFIG and PLAN receive
 * what could be made of it: where there are errors some of the plan is missing, its texts too.
 */
void plan_collect(struct arena *arena, const struct json *tree, const struct plan_request *request,
		  const struct facts *facts, struct oci_config *config, struct plan *plan,
		  struct findings *findings);

/* What plan_process() has to know of the container: MAPS of its user namespace, or NULL. */
struct plan_process_context {
	const struct facts *facts;
	const struct idmap *maps;
	bool new_user_namespace; /* it has one of its own, new or joined */
	unsigned int listen_fds;
	const char *listen_names;
	const char *notify_socket; /* as the container sees it, or NULL */
	bool keep_groups;	   /* annotation run.oci.keep_original_groups */
	struct findings *findings; /* NULL: the first error ends planning */
	const char *where;	   /* "/process", or "" */
};

int plan_process(struct arena *arena, const struct oci_process *process,
		 const struct plan_process_context *context, struct plan_process *plan,
		 struct error *err) must_check;

/* Personality and memory policy come from linux.*, for the init and for exec. */
int plan_linux_process(struct arena *arena, const struct oci_linux *oci_linux,
		       struct plan_process *plan, struct error *err) must_check;

/*
 * `linux.resources` as cgroup writes and systemd properties; WHERE is the pointer of the object
 * ("/linux/resources"; "" for a file of `update`).
 */
int plan_resources(struct arena *arena, const struct oci_resources *resources, const char *where,
		   const struct facts *facts, struct plan_cgroup *plan,
		   struct error *err) must_check;

/* Compiles the filter with libseccomp, with an ENOSYS answer for system calls newer than the
 * profile.  Milliseconds: cache it. */
int plan_seccomp(struct arena *arena, const struct oci_seccomp *seccomp, const char *where,
		 struct plan_seccomp *plan, struct error *err) must_check;
/* The versions and constants that the compiled filter depends on beside the profile: part of the
 * cache key. */
const char *plan_seccomp_version(struct arena *arena);

/* The plan as text, one step a line, in the order in which they are carried out, each with its JSON
 * pointer: `creel plan --format steps`, the golden tests. */
const char *plan_print(struct arena *arena, const struct plan *plan);
/* The same grouped by what it is about, for people; with COLOUR, for people at a terminal.  FILTER
 * is what plan_seccomp() made, or NULL. */
const char *plan_view(struct arena *arena, const struct plan *plan,
		      const struct plan_seccomp *filter, bool colour);
/* All of the plan as a JSON object; creel-plan(8) describes its members. */
const char *plan_json(struct arena *arena, const struct plan *plan,
		      const struct plan_seccomp *filter);

/* For `creel features`: every mount option and capability that the tables know, in table order. */
struct strings plan_mount_options(struct arena *arena);
/* What somebody who wrote the mount option TEXT ("sise=1m") may have meant ("size"); NULL when that
 * is no guess, or when it is a name that some filesystem has. */
const char *plan_mount_option_nearest(struct arena *arena, const char *text);
struct strings plan_capabilities(struct arena *arena);
/* 1 << CAP_X for "CAP_X", or 0 for an unknown name. */
uint64_t plan_capability(const char *name);
