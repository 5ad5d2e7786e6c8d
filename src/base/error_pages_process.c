/* The codes 5300 to 5999: namespaces, settings of the process, hooks, and the course of a command.
 */
#include "error_pages.h"

const struct error_page error_pages_process[] = {
	{
	    .code = CRL_NAMESPACE,
	    .title = "A namespace cannot be made",
	    .meaning = "The kernel refused a new namespace.",
	    .causes = "no CAP_SYS_ADMIN, and no user namespace that would give it\n"
		      "a kernel without that kind of namespace (CONFIG_*_NS)",
	    .action = "run as root, or add { \"type\": \"user\" } to linux.namespaces\n"
		      "remove the type that the message names",
	    .example = "cannot make a new time namespace: invalid argument (config.json:80 "
		       "/linux/namespaces/5) [CRL-5300]",
	},
	{
	    .code = CRL_NAMESPACE_LIMIT,
	    .title = "There are too many namespaces",
	    .meaning = "The limit of the user on namespaces of one kind is reached, or they are "
		       "nested too deep.",
	    .causes = "user.max_net_namespaces and its like are low, or 0 to forbid them\n"
		      "containers that nobody deleted hold theirs",
	    .action = "sysctl user | grep namespaces\n"
		      "raise the one that the hint names",
	    .example = "cannot make a new network namespace, user.max_net_namespaces is 0: no "
		       "space left on device (config.json:78 /linux/namespaces/1) [CRL-5301]",
	},
	{
	    .code = CRL_NAMESPACE_JOIN,
	    .title = "A namespace cannot be joined",
	    .meaning = "linux.namespaces[].path does not lead to a namespace of its type that "
		       "creel may enter.",
	    .causes = "the process behind /proc/PID/ns/... has ended\n"
		      "the file is a namespace of another type, or none\n"
		      "it belongs to a user namespace in which creel has no rights",
	    .action = "ls -l PATH shows what it is\n"
		      "to enter what another user namespace owns, join that one too",
	    .example = "cannot open the network namespace /run/netns/web: no such file or "
		       "directory (config.json:78 /linux/namespaces/1/path) [CRL-5302]",
	},
	{
	    .code = CRL_ID_MAP_REFUSED,
	    .title = "The kernel refuses the id map",
	    .meaning = "The map of the user namespace could not be written, by creel itself or "
		       "by newuidmap and newgidmap.",
	    .causes = "the ids are not all in the user's ranges of /etc/subuid and "
		      "/etc/subgid\n"
		      "in an outer user namespace: ids that are not mapped there\n"
		      "the map of groups needs setgroups to be denied first",
	    .action = "compare linux.uidMappings and gidMappings with grep USER /etc/subuid "
		      "/etc/subgid",
	    .example =
		"cannot write the user id map: newuidmap: uid range [1-65537) -> [5000-70536) not "
		"allowed: operation not permitted (config.json:90 /linux/uidMappings) [CRL-5303]",
	},
	{
	    .code = CRL_USER_NAMESPACE_FORBIDDEN,
	    .title = "This host forbids user namespaces",
	    .meaning = "A user without privilege may not make user namespaces on this host, or "
		       "gets no rights inside.",
	    .causes = "kernel.apparmor_restrict_unprivileged_userns=1 (Ubuntu 23.10 and later) "
		      "and no AppArmor profile for creel\n"
		      "kernel.unprivileged_userns_clone=0 (Debian), user.max_user_namespaces=0\n"
		      "creel runs in a chroot or in a container that forbids them",
	    .action = "load the AppArmor profile that comes with creel\n"
		      "or set the sysctl that the hint names",
	    .example = "cannot make a new user namespace: operation not permitted "
		       "(config.json:82 /linux/namespaces/5) [CRL-5304]",
	},
	{
	    .code = CRL_NET_DEVICE,
	    .title = "A network device cannot be moved",
	    .meaning = "A device of linux.netDevices could not be moved into the container's "
		       "network namespace, or not as it was.",
	    .causes = "there is no device of that name on the host\n"
		      "a device of the new name is in the container already\n"
		      "the driver does not let it be moved",
	    .action = "ip link shows the devices of the host",
	    .example = "cannot move the network device eth9: no such device (config.json:95 "
		       "/linux/netDevices/eth9) [CRL-5305]",
	},
	{
	    .code = CRL_SETTING,
	    .title = "A setting of the process failed",
	    .meaning = "The kernel refused one of the small settings of the process: OOM score, "
		       "host name, personality, memory policy.",
	    .causes = "a right that creel lacks\n"
		      "a value that this kernel or this machine does not have",
	    .action = "read the hint; the pointer names the member",
	    .example = "setting the OOM score adjustment to -500: cannot write "
		       "/proc/self/oom_score_adj: permission denied (config.json:50 "
		       "/process/oomScoreAdj) [CRL-5400]",
	},
	{
	    .code = CRL_RLIMIT_HARD,
	    .title = "A resource limit is above the hard limit",
	    .meaning = "Only CAP_SYS_RESOURCE raises a hard limit; without it a container gets "
		       "at most what its caller has.",
	    .causes = "the limits of the service or of the login session are lower than those "
		      "that the engine saved\n"
		      "RLIMIT_NOFILE above fs.nr_open",
	    .action = "lower process.rlimits, or raise the caller's: LimitNOFILE= of the "
		      "service, /etc/security/limits.conf for logins",
	    .example = "cannot set RLIMIT_NPROC to 256639 (soft) and 256639 (hard): the hard limit "
		       "of the caller is 256637: operation not permitted (config.json:61 "
		       "/process/rlimits/0) [CRL-5401]",
	},
	{
	    .code = CRL_SYSCTL_VALUE,
	    .title = "The kernel does not take the value of a sysctl",
	    .meaning = "The sysctl is there, and the value is not one that it takes.",
	    .causes = "text where a number belongs, or a number out of range\n"
		      "net.ipv4.ping_group_range with a gid that the user namespace does not map",
	    .action = "correct the value in linux.sysctl\n"
		      "read the present one: sysctl KEY",
	    .example = "cannot set the sysctl net.ipv4.ping_group_range to \"0 2147483647\": "
		       "invalid argument (config.json:90 "
		       "/linux/sysctl/net.ipv4.ping_group_range) [CRL-5402]",
	},
	{
	    .code = CRL_SYSCTL_REFUSED,
	    .title = "A sysctl cannot be written",
	    .meaning = "The kernel has no such sysctl in this namespace, or somebody forbids to "
		       "write it.",
	    .causes = "a sysctl that exists on the host's namespace alone\n"
		      "an AppArmor profile of an outer container (LXC, Incus) that denies writes "
		      "to a private procfs\n"
		      "the namespace that holds it belongs to another user namespace",
	    .action = "remove it from linux.sysctl\n"
		      "or update the outer manager: the hint names its profile",
	    .example = "cannot set the sysctl net.ipv4.ip_unprivileged_port_start to \"0\": "
		       "permission denied (config.json:90 "
		       "/linux/sysctl/net.ipv4.ip_unprivileged_port_start) [CRL-5403]",
	},
	{
	    .code = CRL_KEY_QUOTA,
	    .title = "The session keyring cannot be made",
	    .meaning = "Each container gets a session keyring, and each user has a quota of "
		       "keys.  It has nothing to do with disks.  When only the quota is used up, "
		       "creel warns and goes on without.",
	    .causes = "many containers of one user: 200 keys by default, a million for root\n"
		      "an outer seccomp profile that forbids keyctl(2)",
	    .action = "raise kernel.keys.maxkeys, or kernel.keys.root_maxkeys for root\n"
		      "or --no-new-keyring",
	    .example = "cannot join the session keyring _ses.web: operation not permitted "
		       "[CRL-5404]",
	},
	{
	    .code = CRL_LABEL,
	    .title = "The security label cannot be set",
	    .meaning = "AppArmor or SELinux does not take the profile or the label of the "
		       "process.",
	    .causes = "the AppArmor profile is not loaded\n"
		      "a label that the SELinux policy does not know, or a change that it does not "
		      "allow",
	    .action = "aa-status lists the profiles, apparmor_parser -r FILE loads one\n"
		      "ausearch -m avc shows what SELinux denied",
	    .example = "cannot write \"exec web-profile\" to `/proc/self/attr/apparmor/exec`: no "
		       "such file or directory (config.json:50 /process/apparmorProfile) "
		       "[CRL-5405]",
	},
	{
	    .code = CRL_SECCOMP_LOAD,
	    .title = "The kernel refuses the seccomp filter",
	    .meaning = "The filter was compiled and could not be installed, or its agent could "
		       "not be reached.",
	    .causes = "too many filters on top of each other: 32768 instructions in all\n"
		      "listenerPath is no socket, or nobody listens there\n"
		      "the filter forbids what creel itself still has to do",
	    .action = "shorten the profile\n"
		      "start the agent of listenerPath first",
	    .example = "cannot install the seccomp filter: invalid argument (config.json:95 "
		       "/linux/seccomp) [CRL-5406]",
	},
	{
	    .code = CRL_SCHEDULING,
	    .title = "Scheduling cannot be set",
	    .meaning = "The kernel refused the scheduling policy, the I/O priority or the CPU "
		       "affinity.",
	    .causes = "real-time policies need CAP_SYS_NICE\n"
		      "SCHED_DEADLINE does not go together with a cpuset\n"
		      "none of the CPUs is online and in the cpuset",
	    .action = "read the hint; the pointer names the member",
	    .example = "cannot set the scheduling policy 1: operation not permitted "
		       "(config.json:55 /process/scheduler) [CRL-5407]",
	},
	{
	    .code = CRL_IDS_AND_CAPABILITIES,
	    .title = "The ids or capabilities of the process cannot be set",
	    .meaning = "The kernel refused the uid, gid, groups or capabilities of "
		       "process.user and process.capabilities.",
	    .causes = "an id that is not mapped in the user namespace\n"
		      "groups, in a user namespace where setgroups is denied\n"
		      "RLIMIT_NPROC of the target uid is reached",
	    .action = "compare process.user with linux.uidMappings and gidMappings",
	    .example = "cannot set uid 1000: resource temporarily unavailable (config.json:9 "
		       "/process/user/uid) [CRL-5408]",
	},
	{
	    .code = CRL_TERMINAL,
	    .title = "The terminal cannot be set up",
	    .meaning = "The container's pty could not be opened, or not be handed over through "
		       "the console socket.",
	    .causes = "no devpts at /dev/pts of the container\n"
		      "devpts with a gid= that the user namespace does not map\n"
		      "nobody listens at --console-socket",
	    .action = "mount devpts at /dev/pts with newinstance and ptmxmode=0666, as `creel "
		      "spec` does",
	    .example = "cannot open /dev/pts/ptmx inside the root: no such file or directory "
		       "(config.json:5 /process/terminal) [CRL-5409]",
	},
	{
	    .code = CRL_HOOK,
	    .title = "A hook cannot be run",
	    .meaning = "Something around a hook failed: its pipe, its state, its process.",
	    .causes = "limits of the host on processes or descriptors",
	    .action = "the pointer names the hook",
	    .example = "cannot make a pipe for the hook's output: too many open files "
		       "(config.json:120 /hooks/createRuntime/0) [CRL-5500]",
	},
	{
	    .code = CRL_HOOK_FAILED,
	    .title = "A hook failed",
	    .meaning = "The hook was run and ended with an exit code that is not 0, or by a "
		       "signal.  The end of what it wrote is in the message.",
	    .causes = "whatever the hook says: the message quotes it\n"
		      "the NVIDIA hook fails when the driver of the host is not loaded",
	    .action = "run the hook by hand with the state on its standard input: creel state ID "
		      "| HOOK\n"
		      "prestart and createRuntime hooks run in the host's namespaces, "
		      "createContainer and startContainer hooks in the container's",
	    .example =
		"error running createRuntime hook #0: `/usr/bin/hook` exit status 1 after 41 ms, "
		"output: no driver (config.json:120 /hooks/createRuntime/0) [CRL-5501]",
	},
	{
	    .code = CRL_HOOK_TIMEOUT,
	    .title = "A hook did not end in time",
	    .meaning = "The hook ran longer than its timeout and was killed, with everything "
		       "that it had started.",
	    .causes = "a hook that waits for something that does not come\n"
		      "a timeout that is too short: it is in seconds",
	    .action = "raise hooks.*.timeout, or find out what the hook waits for",
	    .example = "error running prestart hook #0: `/usr/bin/hook` ran past its timeout of 10 "
		       "s (config.json:120 /hooks/prestart/0) [CRL-5502]",
	},
	{
	    .code = CRL_HOOK_MISSING,
	    .title = "A hook cannot be executed",
	    .meaning = "The path of the hook does not lead to a program that can be executed "
		       "where the hook runs.",
	    .causes = "it does not exist: prestart, createRuntime, createContainer, poststart "
		      "and poststop hooks are looked up on the host, startContainer hooks in the "
		      "container\n"
		      "it is not executable",
	    .action = "correct hooks.*.path",
	    .example = "error running prestart hook #0: cannot execute `/usr/bin/hok`: no such "
		       "file or directory (config.json:121 /hooks/prestart/0/path) [CRL-5503]",
	},
	{
	    .code = CRL_SETUP_DIED,
	    .title = "The container's first process died while it was set up",
	    .meaning = "The process that becomes the container ended before it could say why.",
	    .causes = "it was killed: by the seccomp filter (SIGSYS), for want of memory "
		      "(SIGKILL), or by somebody\n"
		      "a limit of the container is too low to set it up",
	    .action = "the message names the signal; the kernel's log may name the reason: "
		      "dmesg\n"
		      "`creel --debug` shows how far it came",
	    .example = "container init was killed by SIGKILL [CRL-5600]",
	},
	{
	    .code = CRL_SETUP_TIMEOUT,
	    .title = "The setup did not answer in time",
	    .meaning = "--timeout was given, and the container's setup said nothing for so "
		       "long.",
	    .causes = "a mount that hangs: a network filesystem, a FUSE server\n"
		      "a hook without a timeout of its own",
	    .action = "--trace FILE shows the step that hangs\n"
		      "give more --timeout, or none",
	    .example =
		"the other process did not answer in 5000 ms: connection timed out [CRL-5601]",
	},
	{
	    .code = CRL_CRIU,
	    .title = "CRIU failed",
	    .meaning = "CRIU, which does the work of checkpoint and restore, gave up.  Its first "
		       "errors are in the message, and its whole log is kept where the hint says.",
	    .causes = "an open TCP connection without --tcp-established, a file lock without "
		      "--file-locks, a terminal without --shell-job\n"
		      "a kernel that lacks what CRIU needs\n"
		      "at restore: a file or a mount that is not there any more",
	    .action = "read the log that the hint names\n"
		      "`criu check` says what this kernel lacks",
	    .example = "criu could not do it: inet: Connected TCP socket, consider using "
		       "--tcp-established option [CRL-5700]",
	},
};

const size_t error_pages_process_n = ARRAY_SIZE(error_pages_process);
