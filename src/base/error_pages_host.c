/* The codes 3000 to 4999: what this host does not have, and states that do not allow a command. */
#include "error_pages.h"

const struct error_page error_pages_host[] = {
	{
	    .code = CRL_UNSUPPORTED,
	    .title = "This host or this build cannot do it",
	    .meaning = "The document is right, and the kernel, the processor, a program of the "
		       "host or this build of creel lacks what it asks for.",
	    .causes = "a kernel without the option, or older than it\n"
		      "a feature of cgroup version 1 that version 2 does not have",
	    .action = "`creel check --host` says what this host can do\n"
		      "remove the member that the message names",
	    .example = "network devices cannot be moved by an unprivileged user (config.json:90 "
		       "/linux/netDevices) [CRL-3000]",
	},
	{
	    .code = CRL_NO_CONTROLLER,
	    .title = "A cgroup controller is not available",
	    .meaning = "A limit needs a controller that the container's cgroup cannot have, "
		       "since a parent does not hand it down.",
	    .causes = "systemd does not delegate the controller to the user: cpuset and io are "
		      "often left out\n"
		      "the controller is bound to cgroup version 1 on a hybrid host\n"
		      "the kernel was built, or booted, without it (cgroup_disable=memory)",
	    .action = "delegate it: Delegate=cpu cpuset io memory pids in a drop-in of "
		      "user@.service\n"
		      "enable it in the cgroup.subtree_control of every parent\n"
		      "or remove the limit that the message names",
	    .example = "the cgroup controller cpuset is not available in the cgroup /user.slice "
		       "(config.json:88 /linux/resources/cpu/cpus) [CRL-3001]",
	},
	{
	    .code = CRL_NO_CGROUP_FILE,
	    .title = "This kernel has no such file in a cgroup",
	    .meaning = "The controller is there, but not the file that the limit is written to.",
	    .causes = "an older kernel: cpu.idle came with 5.15, memory.swap.max needs "
		      "CONFIG_SWAP\n"
		      "a file of cgroup version 1 in linux.resources.unified",
	    .action = "remove the limit, or boot a kernel that has it",
	    .example = "cpu.nothing can't be set: this kernel has no such file in a cgroup "
		       "(config.json:90 /linux/resources/unified/cpu.nothing) [CRL-3002]",
	},
	{
	    .code = CRL_NO_CGROUP2,
	    .title = "There is no cgroup version 2 to use",
	    .meaning = "creel uses cgroup version 2 only, and found no such mount, or was told not "
		       "to use it.",
	    .causes = "the host runs with cgroup version 1 alone "
		      "(systemd.unified_cgroup_hierarchy=0)\n"
		      "an outer container without /sys/fs/cgroup\n"
		      "limits, with --cgroup-manager=disabled: a document with limits does not run "
		      "without them",
	    .action = "boot with version 2, which every current system does by default\n"
		      "mount it: mount -t cgroup2 none /sys/fs/cgroup/unified\n"
		      "or run without: --cgroup-manager=disabled",
	    .example = "no cgroup2 hierarchy is mounted on this host [CRL-3003]",
	},
	{
	    .code = CRL_NO_SYSTEMD,
	    .title = "systemd cannot be reached",
	    .meaning = "--systemd-cgroup asks systemd for a scope, and neither its private "
		       "socket nor a bus leads to it.",
	    .causes = "a user without a login session, as in cron, CI or su: there is no user "
		      "manager and no bus at /run/user/UID/bus\n"
		      "XDG_RUNTIME_DIR is not set, or belongs to another user\n"
		      "systemd is not process 1 of this host or container",
	    .action = "loginctl enable-linger USER, and set XDG_RUNTIME_DIR=/run/user/UID\n"
		      "install dbus-user-session\n"
		      "or use --cgroup-manager=cgroupfs",
	    .example = "the user's systemd cannot be reached: no socket in XDG_RUNTIME_DIR and "
		       "no DBUS_SESSION_BUS_ADDRESS [CRL-3004]",
	},
	{
	    .code = CRL_NO_LSM,
	    .title = "The security module is not enabled",
	    .meaning = "The document names an AppArmor profile or a SELinux label, and the "
		       "kernel runs without that module.  Running without the protection that was "
		       "asked for would be worse than an error.",
	    .causes = "a document from another distribution\n"
		      "the module is not in the kernel's lsm= list, or was switched off",
	    .action = "remove process.apparmorProfile or process.selinuxLabel\n"
		      "or enable the module: cat /sys/kernel/security/lsm lists those that run",
	    .example = "an AppArmor profile is given, but AppArmor is not enabled on this host "
		       "(config.json:50 /process/apparmorProfile) [CRL-3005]",
	},
	{
	    .code = CRL_NO_SUBIDS,
	    .title = "The user has no range of subordinate ids",
	    .meaning = "Without privilege more than the own id can be mapped only by newuidmap "
		       "and newgidmap, within the ranges of /etc/subuid and /etc/subgid.",
	    .causes = "newuidmap and newgidmap are not installed, or lost their set-user-ID bit "
		      "or capability\n"
		      "the user has no line in /etc/subuid or /etc/subgid, or too short a range",
	    .action = "install uidmap (shadow-utils)\n"
		      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER\n"
		      "or map the own id alone, with a size of 1",
	    .example = "newuidmap is not installed, and more than the own user id is to be mapped "
		       "[CRL-3006]",
	},
	{
	    .code = CRL_NO_IDMAP,
	    .title = "A filesystem cannot be id-mapped",
	    .meaning = "Id-mapped mounts need the help of each filesystem, and the one of the "
		       "source has none in this kernel.",
	    .causes = "nfs, fuse, 9p and others have no id-mapped mounts, or have them only in "
		      "later kernels\n"
		      "the mount is mapped already",
	    .action = "remove the option idmap and the mappings of that mount\n"
		      "or put the source on a filesystem that can: ext4, xfs, btrfs, f2fs and "
		      "overlayfs since Linux 5.12 to 5.19, tmpfs since 6.3",
	    .example = "cannot map the ids of /srv/data, which is on nfs: invalid argument "
		       "(config.json:141 /mounts/7) [CRL-3007]",
	},
	{
	    .code = CRL_OLD_KERNEL,
	    .title = "The kernel is too old",
	    .meaning = "creel needs Linux 5.14, and some members a later one.",
	    .causes = "an old kernel\n"
		      "an outer sandbox that hides system calls",
	    .action = "boot a later kernel",
	    .example = "creel needs Linux 5.14 or later, and this is 4.18.0 [CRL-3008]",
	},
	{
	    .code = CRL_NO_SECCOMP,
	    .title = "The kernel cannot do what the seccomp profile asks for",
	    .meaning = "A flag or an action of the profile is not in this kernel.",
	    .causes = "a kernel without CONFIG_SECCOMP_FILTER, or older than the flag\n"
		      "an outer filter that forbids seccomp(2)",
	    .action = "remove the flag or the action that the message names",
	    .example = "this kernel has no seccomp filters [CRL-3009]",
	},
	{
	    .code = CRL_NO_CGROUP_BPF,
	    .title = "Device rules cannot be attached to a cgroup",
	    .meaning = "Access to devices is a small BPF program of the cgroup, and this kernel "
		       "or this environment does not take it.",
	    .causes = "a kernel without CONFIG_CGROUP_BPF or CONFIG_BPF_SYSCALL\n"
		      "an outer container that has neither CAP_BPF nor CAP_SYS_ADMIN in the first "
		      "user namespace",
	    .action = "boot a kernel that has both options: zgrep CGROUP_BPF /proc/config.gz\n"
		      "or run without device rules, by --cgroup-manager=disabled",
	    .example = "cannot load the device rules as a program of 40 instructions: operation "
		       "not permitted (config.json:86 /linux/resources/devices) [CRL-3010]",
	},
	{
	    .code = CRL_NO_RESCTRL,
	    .title = "resctrl is not available",
	    .meaning = "linux.intelRdt needs the resctrl filesystem and a processor with the "
		       "feature.",
	    .causes = "the processor has no resource director technology\n"
		      "resctrl is not mounted",
	    .action = "mount -t resctrl resctrl /sys/fs/resctrl\n"
		      "or remove linux.intelRdt",
	    .example = "resctrl is not mounted on this host (config.json:99 /linux/intelRdt) "
		       "[CRL-3011]",
	},
	{
	    .code = CRL_NO_FILESYSTEM,
	    .title = "The kernel has no such filesystem",
	    .meaning = "The type of a mount is neither built in nor loaded as a module.",
	    .causes = "a typing error in the type\n"
		      "a module that is not installed or cannot be loaded from where creel runs\n"
		      "a bind mount without \"bind\" among its options",
	    .action = "modprobe TYPE; /proc/filesystems lists what the kernel has\n"
		      "for a bind mount add \"bind\" to the options",
	    .example = "cannot mount tmpsf at /tmp: this kernel knows no such filesystem "
		       "(config.json:60 /mounts/7) [CRL-3012]",
	},
	{
	    .code = CRL_LIBRARY,
	    .title = "A library or a program of the host is missing or too old",
	    .meaning = "creel loads libsystemd and libcriu, and starts ps and the id map "
		       "helpers, only when they are needed; this one is needed.",
	    .causes = "the package is not installed\n"
		      "its version lacks a function that creel calls\n"
		      "this creel was built without it",
	    .action = "install the package that the message names\n"
		      "or leave out the option that needs it",
	    .example = "cannot load libsystemd.so.0 [CRL-3013]",
	},
	{
	    .code = CRL_STATE,
	    .title = "The state of the container does not allow it",
	    .meaning = "The command is right, and cannot be done now.",
	    .causes = "the container is in another state than the command needs",
	    .action = "`creel state ID` says which state that is",
	    .example = "the container's cgroup is gone [CRL-4000]",
	},
	{
	    .code = CRL_NO_CONTAINER,
	    .title = "The container does not exist",
	    .meaning = "There is no container of this id below the state root.",
	    .causes = "a typing error, or the container was deleted\n"
		      "another --root, or another user: everybody has a state root of his own",
	    .action = "`creel list` shows the containers; give the same --root as at create",
	    .example = "container does not exist: web [CRL-4001]",
	},
	{
	    .code = CRL_CONTAINER_EXISTS,
	    .title = "The id is taken",
	    .meaning = "There is a container of this id already, possibly a stopped one that "
		       "nobody deleted.",
	    .causes = "an earlier run that was not deleted\n"
		      "two callers that choose the same id",
	    .action = "`creel delete ID`, or choose another id",
	    .example = "container with given ID already exists: web [CRL-4002]",
	},
	{
	    .code = CRL_NOT_RUNNING,
	    .title = "The container is not running",
	    .meaning = "Its first process has ended, so there is nothing to signal, pause or "
		       "enter.",
	    .causes = "the program ended by itself, or crashed\n"
		      "it was killed, possibly for want of memory",
	    .action = "look at its output and its exit code\n"
		      "`creel delete ID` removes what is left of it",
	    .example = "container not running: web [CRL-4003]",
	},
	{
	    .code = CRL_WRONG_STATUS,
	    .title = "The container is in another state",
	    .meaning = "start wants a created container, resume a paused one, delete a stopped "
		       "one, exec a running or created one.",
	    .causes = "the command was given twice, or too early",
	    .action = "`creel state ID` shows the state\n"
		      "`creel delete --force ID` kills before it deletes",
	    .example = "cannot start an already running container [CRL-4004]",
	},
	{
	    .code = CRL_BUSY,
	    .title = "Another command works on the container",
	    .meaning = "Commands that change a container take turns; this one waited in vain.",
	    .causes = "a hook or a create that hangs",
	    .action = "find the other creel process: ps -C creel\n"
		      "try again when it has ended",
	    .example = "container web is busy: another command works on it [CRL-4005]",
	},
	{
	    .code = CRL_CGROUP_NOT_EMPTY,
	    .title = "The cgroup has processes already",
	    .meaning = "The cgroup that the container is to get exists and is in use, so it "
		       "belongs to somebody else.",
	    .causes = "a container whose state directory was lost, for example with a tmpfs, "
		      "and whose processes live on\n"
		      "two containers with the same linux.cgroupsPath",
	    .action = "look at the processes that the message names, and end them\n"
		      "or choose another linux.cgroupsPath",
	    .example = "container's cgroup is not empty: 5 process(es) found (config.json:85 "
		       "/linux/cgroupsPath) [CRL-4006]",
	},
	{
	    .code = CRL_UNIT_EXISTS,
	    .title = "The systemd unit exists",
	    .meaning = "systemd has a unit of the name that the container's scope is to get.",
	    .causes = "a container of the same id under another state root\n"
		      "a scope that failed and was not reset",
	    .action = "systemctl status UNIT, then systemctl stop or reset-failed\n"
		      "or choose another name in linux.cgroupsPath",
	    .example = "the systemd unit creel-web.scope exists already [CRL-4007]",
	},
	{
	    .code = CRL_LIMIT_BELOW_USAGE,
	    .title = "The new limit is below what is in use",
	    .meaning = "linux.resources.memory.checkBeforeUpdate, or update --safe, refuses a "
		       "limit that would kill the container.",
	    .causes = "the container uses more memory than the new limit",
	    .action = "choose a greater limit, or free memory first",
	    .example = "rejecting memory limit 1048576 <= usage 5242880 [CRL-4008]",
	},
	{
	    .code = CRL_STATE_ROOT,
	    .title = "The state root cannot be used",
	    .meaning = "The directory of the containers' state must belong to the user who runs "
		       "creel and must not be writable by others, since whoever writes there says "
		       "what creel does as root.",
	    .causes = "--root names a directory of somebody else, or one with mode 777\n"
		      "a read-only or full filesystem",
	    .action = "chown and chmod 700 it, or choose another --root",
	    .example = "the state root /tmp/shared is not ours alone [CRL-4009]",
	},
};

const size_t error_pages_host_n = ARRAY_SIZE(error_pages_host);
