/*
 * What this host can do, asked once.  The plan takes it as an argument, so that it stays a pure
 * function and a test can plan for a host that it does not have.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct facts {
	uid_t euid;
	gid_t egid;
	bool in_userns;	     /* not in the initial user namespace */
	bool is_admin;	     /* CAP_SYS_ADMIN is effective here */
	bool can_set_groups; /* setgroups(2) is allowed in our user namespace */
	bool systemd;	     /* /run/systemd/system exists: systemd is the init here */
	bool apparmor;	     /* enabled in this kernel */
	bool selinux;
	int cap_last; /* the last capability that this kernel knows */
	uint64_t
	    caps_bounding;  /* our own bounding set: nobody in our user namespace can have more */
	char *cgroup_mount; /* where cgroup2 is mounted, or NULL */
	char *cgroup_own;   /* our own cgroup in it ("/user.slice/..."), or NULL */
	struct strings cgroup_controllers; /* of the cgroup2 root */
	char *xdg_runtime_dir;		   /* not empty, or NULL */
	uint64_t signals_ignored;	   /* by us: bit N - 1 for signal N */
};

/* Asks the host.  The only error is a kernel that is too old (ERROR_UNSUPPORTED, naming 5.14), or
 * no /proc. */
int facts_ask(struct arena *arena, int procfs, struct facts *facts, struct error *err) must_check;
/* Its first half: who we are and where cgroup2 is, which is all that commands on a container need
 * (IN_USERNS only where it matters to the place of states); and the second, which completes it. */
int facts_ask_place(struct arena *arena, int procfs, struct facts *facts,
		    struct error *err) must_check;
int facts_ask_rest(struct arena *arena, int procfs, struct facts *facts,
		   struct error *err) must_check;
/* The two parts of that: what we may do and what the kernel can; and where we are. */
int facts_ask_rights(struct arena *arena, int procfs, struct facts *facts,
		     struct error *err) must_check;
void facts_ask_own_cgroup(struct arena *arena, int procfs, struct facts *facts);
/* And what few documents want to know: systemd, AppArmor, SELinux. */
void facts_ask_modules(struct facts *facts);
