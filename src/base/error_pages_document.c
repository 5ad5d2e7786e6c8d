/* The codes 1000 to 2999: what is wrong with the command line or with a document. */
#include "error_pages.h"

const struct error_page error_pages_document[] = {
	{
	    .code = CRL_USAGE,
	    .title = "The command line is wrong",
	    .meaning = "The command line cannot be understood, or asks for what does not go "
		       "together.  Nothing was done.",
	    .causes = "an option or argument that this command does not take in this form",
	    .action = "read the message: it names the word\n"
		      "`creel COMMAND --help` shows what the command takes",
	    .example = "duration interval must be greater than 0 [CRL-1000]",
	},
	{
	    .code = CRL_UNKNOWN_COMMAND,
	    .title = "There is no such command",
	    .meaning = "The first word that is no option is not a command of creel.",
	    .causes = "a typing error\n"
		      "a command of another runtime that creel does not have",
	    .action = "take the command that the hint proposes\n"
		      "`creel --help` lists all commands",
	    .example = "unknown command \"strat\" [CRL-1001]",
	},
	{
	    .code = CRL_UNKNOWN_OPTION,
	    .title = "There is no such option",
	    .meaning = "The command, or creel itself when the option stands before the "
		       "command, has no option of this name.",
	    .causes = "a typing error\n"
		      "a global option that stands behind the command, or the other way round",
	    .action = "take the option that the hint proposes\n"
		      "`creel COMMAND --help` and `creel --help` list the options",
	    .example = "flag provided but not defined: -bundel [CRL-1002]",
	},
	{
	    .code = CRL_OPTION_VALUE,
	    .title = "The value of an option is not valid",
	    .meaning = "An option got a value that it does not take, or none where it needs one.",
	    .causes = "a value that is not one of the words the option knows\n"
		      "a number, size or time that is not written as such\n"
		      "a value that the shell swallowed because it was not quoted",
	    .action = "write the value as the message says: sizes as 512m, times as 1m30s",
	    .example = "invalid log-format: jsn [CRL-1003]",
	},
	{
	    .code = CRL_ARGUMENTS,
	    .title = "Too few or too many arguments",
	    .meaning = "The command takes another number of arguments than it was given.",
	    .causes = "the container's id was left out\n"
		      "an option that was meant for the command stands without its dashes",
	    .action = "compare with the usage that the hint shows",
	    .example = "\"start\" requires exactly 1 argument(s) [CRL-1004]",
	},
	{
	    .code = CRL_PASSED_FD,
	    .title = "A descriptor cannot be passed to the container",
	    .meaning = "--preserve-fds (or LISTEN_FDS) names a descriptor that is not open, or "
		       "that would lead out of the container.  Directories are refused, since "
		       "their \"..\" is the host's.",
	    .causes = "the caller passes fewer descriptors than it says\n"
		      "one of the descriptors is a directory, or was opened with O_PATH",
	    .action = "give as many open files, sockets or pipes from 3 on as the option says",
	    .example = "unable to stat preserved-fd 2 (of 2) [CRL-1005]",
	},
	{
	    .code = CRL_UNKNOWN_SIGNAL,
	    .title = "There is no such signal",
	    .meaning = "The signal is neither a number that the kernel knows nor a name from "
		       "signal(7).",
	    .causes = "a typing error in the name\n"
		      "a number above 64",
	    .action = "write TERM, SIGTERM or 15; RTMIN+3 and the like are understood too",
	    .example = "unknown signal \"TREM\" [CRL-1006]",
	},
	{
	    .code = CRL_CONTAINER_ID,
	    .title = "The id of a container is not valid",
	    .meaning = "An id names a directory of the state root, so it is made of letters, "
		       "digits, \"_\", \"+\", \"-\" and \".\", and is neither empty nor too long.",
	    .causes = "a slash, a blank or another character in the id\n"
		      "an empty variable in a script",
	    .action = "choose another id",
	    .example = "invalid container ID format: \"web/1\" [CRL-1007]",
	},
	{
	    .code = CRL_CONSOLE_SOCKET,
	    .title = "Terminal and console socket do not go together",
	    .meaning = "process.terminal asks for a terminal, which is handed over through "
		       "--console-socket when the caller does not stay; without a terminal there "
		       "is nothing to hand over.",
	    .causes = "`creel create` or a detached `run` or `exec` of a process with a terminal "
		      "and no --console-socket\n"
		      "--console-socket for a process without a terminal",
	    .action = "give --console-socket exactly when process.terminal (or --tty) is on and "
		      "the command does not stay in the foreground",
	    .example = "cannot allocate tty if creel will detach without setting console socket "
		       "[CRL-1008]",
	},
	{
	    .code = CRL_CONFIG,
	    .title = "The document is not valid",
	    .meaning = "config.json, or the document that the message names, holds a value that "
		       "cannot be carried out.  The message names line, column and member; nothing "
		       "was done.",
	    .causes = "a value that the specification does not allow there\n"
		      "two members that exclude each other",
	    .action = "correct the member that the message names\n"
		      "`creel check` reports everything that is wrong at once",
	    .example = "only SCHED_FIFO and SCHED_RR take a priority (config.json:40 "
		       "/process/scheduler/priority) [CRL-2000]",
	},
	{
	    .code = CRL_NOT_JSON,
	    .title = "The document is not JSON",
	    .meaning = "The text cannot be parsed as one JSON value.  Line and column are those "
		       "where the parser stopped; the mistake is there or just before.",
	    .causes = "a comma behind the last member, or a missing one\n"
		      "a comment, or a quote that is not closed\n"
		      "a file that was cut while it was written\n"
		      "bytes that are no UTF-8, or a byte order mark",
	    .action = "open the document at that line",
	    .example = "invalid object key (must be a string) (config.json:12 /process) "
		       "[CRL-2001]",
	},
	{
	    .code = CRL_WRONG_TYPE,
	    .title = "A member has the wrong type",
	    .meaning = "The value is, say, a string where the specification wants a number.  A "
		       "wrong type is never read as \"absent\".",
	    .causes = "a number between quotes, or a fraction where an integer belongs\n"
		      "one object where a list of objects belongs",
	    .action = "write the value as the type that the message names",
	    .example = "expected a number, found a string (config.json:9 /process/user/uid) "
		       "[CRL-2002]",
	},
	{
	    .code = CRL_UNKNOWN_VALUE,
	    .title = "A member has a value that does not exist",
	    .meaning = "The member takes one of a list of words, and this is none of them.  "
		       "The specification demands an error for it.",
	    .causes = "a typing error, or the wrong letter case\n"
		      "a word of a later version of the specification",
	    .action = "take the word that the hint proposes\n"
		      "creel-config(5) and `creel features` list the words",
	    .example = "unknown value \"netwrk\" (config.json:77 /linux/namespaces/1/type) "
		       "[CRL-2003]",
	},
	{
	    .code = CRL_OUT_OF_RANGE,
	    .title = "A number is out of its range",
	    .meaning = "The number is well written, but below the least or above the greatest "
		       "that the member, or the kernel behind it, can hold.",
	    .causes = "a unit that was mixed up\n"
		      "-1 for \"no limit\" where the specification knows none",
	    .action = "choose a number in the range that the message names",
	    .example = "4294967296 is out of range (0 to 4294967294) (config.json:9 "
		       "/process/user/uid) [CRL-2004]",
	},
	{
	    .code = CRL_MISSING_MEMBER,
	    .title = "A required member is missing",
	    .meaning = "The specification requires the member, and it is absent or null, or a "
		       "list that needs an item is empty.",
	    .causes = "an incomplete document\n"
		      "a typing error in the member's name: it counts as unknown then, and unknown "
		      "members are ignored",
	    .action = "add the member; the pointer says where it belongs\n"
		      "`creel spec` writes a complete document to compare with",
	    .example = "required member \"cwd\" is missing (config.json:4 /process/cwd) "
		       "[CRL-2005]",
	},
	{
	    .code = CRL_DUPLICATE_MEMBER,
	    .title = "A member stands twice",
	    .meaning = "One object has two members of the same name.  Readers differ in which "
		       "of them counts, so creel takes neither.",
	    .causes = "a document that was merged by hand or by a text tool",
	    .action = "remove one of the two",
	    .example = "the member is there twice (config.json:31 /hostname) [CRL-2006]",
	},
	{
	    .code = CRL_VERSION,
	    .title = "The version of the specification is not supported",
	    .meaning = "ociVersion must be a semantic version of the major version that creel "
		       "knows.  Later minor versions are accepted: what they add is ignored, as "
		       "the specification wants.",
	    .causes = "a version of another major number, or one that is no version",
	    .action = "write a version that `creel --version` or `creel features` names",
	    .example = "version 2.0.0 of the specification is not supported, only 1.0.0 to 1.3.0 "
		       "are (config.json:2 /ociVersion) [CRL-2007]",
	},
	{
	    .code = CRL_NOT_ABSOLUTE,
	    .title = "A path is not absolute",
	    .meaning = "The member must hold a path that begins with \"/\".",
	    .causes = "a relative path, or an unexpanded variable such as $HOME or ~",
	    .action = "write the path from the root on",
	    .example = "\"hook.sh\" is not absolute (config.json:120 /hooks/prestart/0/path) "
		       "[CRL-2008]",
	},
	{
	    .code = CRL_NEEDS_NAMESPACE,
	    .title = "A member needs a namespace that the container does not have",
	    .meaning = "Without a namespace of its own the container would change the host: its "
		       "name, its mounts, its network or its sysctls.",
	    .causes = "the type is missing from linux.namespaces, often since the engine was "
		      "asked to share the host's (--network=host, --uts=host)",
	    .action = "add the type to linux.namespaces\n"
		      "or remove the member that needs it",
	    .example = "cannot set the host name without a private UTS namespace (config.json:30 "
		       "/hostname) [CRL-2010]",
	},
	{
	    .code = CRL_USER_NAMESPACE,
	    .title = "User namespace and id mappings do not agree",
	    .meaning = "A new user namespace needs uidMappings and gidMappings, and mappings "
		       "need a user namespace; one that is joined brings its own.",
	    .causes = "mappings without { \"type\": \"user\" } in linux.namespaces\n"
		      "a user namespace without mappings or without a path to join",
	    .action = "give both or none",
	    .example = "user namespaces enabled, but no namespace path to join nor mappings to "
		       "apply specified (config.json:90 /linux/uidMappings) [CRL-2011]",
	},
	{
	    .code = CRL_NOT_MAPPED,
	    .title = "An id is not mapped in the user namespace",
	    .meaning = "An id that the container is to use does not exist in its user namespace, "
		       "so the kernel would refuse it.",
	    .causes = "a uid or gid of process.user, of a mount option or of a sysctl lies "
		      "outside of linux.uidMappings or linux.gidMappings\n"
		      "a range that is too small: images use ids up to 65534",
	    .action = "map the id, or choose one that is mapped",
	    .example = "cannot setuid to unmapped uid 1000 in user namespace (config.json:9 "
		       "/process/user/uid) [CRL-2012]",
	},
	{
	    .code = CRL_ROOTLESS_NEEDS_USER_NAMESPACE,
	    .title = "A container without privilege needs a user namespace",
	    .meaning = "A user without privilege may make namespaces, mounts and the rest only "
		       "inside a user namespace.",
	    .causes = "a document for root, run by a user\n"
		      "root without CAP_SYS_ADMIN, as in an outer container",
	    .action = "`creel spec --rootless` writes a document that has one\n"
		      "or run creel as root",
	    .example = "rootless container requires user namespaces (config.json:75 "
		       "/linux/namespaces) [CRL-2013]",
	},
	{
	    .code = CRL_ID_MAPPINGS,
	    .title = "The id mappings are wrong",
	    .meaning = "The kernel takes at most 340 ranges that are not empty, do not overlap "
		       "and end before the last id.",
	    .causes = "a range that begins inside another one\n"
		      "a size of 0, or a range beyond 4294967294\n"
		      "uidMappings without gidMappings beside them",
	    .action = "correct the range that the message names",
	    .example = "the ids overlap those of mapping 0 (config.json:98 "
		       "/linux/uidMappings/1/hostID) [CRL-2014]",
	},
	{
	    .code = CRL_NAMESPACE_LIST,
	    .title = "The list of namespaces is wrong",
	    .meaning = "Each type of namespace may stand in linux.namespaces once.",
	    .causes = "a type that stands twice, as after merging two documents",
	    .action = "remove one of the two",
	    .example = "the pid namespace is listed twice (config.json:80 "
		       "/linux/namespaces/5/type) [CRL-2015]",
	},
	{
	    .code = CRL_SYSCTL_KEY,
	    .title = "A sysctl is not the container's to set",
	    .meaning = "Only sysctls that a namespace has for itself can be set: net.*, those of "
		       "System V IPC and POSIX queues, kernel.domainname and user.*.  Others would "
		       "change the host.",
	    .causes = "a sysctl of the whole kernel, such as vm.* or kernel.panic\n"
		      "a key that is no sysctl at all\n"
		      "kernel.hostname, for which there is /hostname",
	    .action = "set it on the host, in /etc/sysctl.d\n"
		      "or remove it from linux.sysctl",
	    .example = "sysctl \"vm.swappiness\" is not in a separate kernel namespace "
		       "(config.json:99 /linux/sysctl/vm.swappiness) [CRL-2020]",
	},
	{
	    .code = CRL_MOUNT_OPTION,
	    .title = "A mount option does not fit",
	    .meaning = "The option is known, and cannot be used on this kind of mount or with "
		       "the others beside it.",
	    .causes = "an option of a filesystem (size=, mode=) on a bind mount\n"
		      "idmap without mappings and without a user namespace\n"
		      "a gid= or uid= that the user namespace does not map",
	    .action = "remove the option, or correct it as the message says",
	    .example = "bind mounts cannot have any filesystem-specific options applied "
		       "(config.json:66 /mounts/7/options/1) [CRL-2021]",
	},
	{
	    .code = CRL_MOUNT_PLACE,
	    .title = "Nothing may be mounted there",
	    .meaning = "Inside /proc only a few files may be covered, and the root of the "
		       "container is root.path: anything else would hide the container from its "
		       "own security settings.",
	    .causes = "a destination in /proc that is none of the few allowed files\n"
		      "a destination that is \"/\", or leads there",
	    .action = "choose another destination",
	    .example = "/proc/sys is inside /proc (config.json:66 /mounts/7/destination) "
		       "[CRL-2022]",
	},
	{
	    .code = CRL_DEVICE,
	    .title = "A device or a device rule is not valid",
	    .meaning = "A device has a type (c, b, u or p), a path, and numbers unless it is a "
		       "pipe; a rule has a type (a, b or c) and an access made of r, w and m.",
	    .causes = "major or minor is missing\n"
		      "a type or access of other letters",
	    .action = "compare with `stat -c '%F %Hr:%Lr' FILE` on the host",
	    .example = "a device needs a major number (config.json:91 /linux/devices/0/major) "
		       "[CRL-2023]",
	},
	{
	    .code = CRL_SECCOMP_PROFILE,
	    .title = "The seccomp profile cannot be compiled",
	    .meaning = "libseccomp, or the specification, does not accept a rule of "
		       "linux.seccomp.",
	    .causes = "an action or a condition that contradicts another one\n"
		      "a listener that is asked for without listenerPath\n"
		      "an argument number above 5",
	    .action = "correct the rule that the pointer names\n"
		      "`creel plan` compiles the profile without running anything",
	    .example = "SCMP_ACT_NOTIFY cannot be the default action (config.json:95 "
		       "/linux/seccomp/defaultAction) [CRL-2024]",
	},
	{
	    .code = CRL_RLIMIT,
	    .title = "A resource limit contradicts itself",
	    .meaning = "The soft limit must not be above the hard limit, and each type may be "
		       "limited once.",
	    .causes = "soft and hard were mixed up\n"
		      "an entry that stands twice",
	    .action = "correct process.rlimits",
	    .example = "the soft limit 2048 is above the hard limit 1024 (config.json:60 "
		       "/process/rlimits/0/soft) [CRL-2025]",
	},
	{
	    .code = CRL_ENVIRONMENT,
	    .title = "An environment variable is not valid",
	    .meaning = "Each item of process.env is NAME=VALUE with a name.",
	    .causes = "an item without \"=\", or one that begins with it",
	    .action = "write NAME=VALUE, or NAME= for an empty value",
	    .example = "invalid environment variable: missing '=' (config.json:22 "
		       "/process/env/1) [CRL-2026]",
	},
	{
	    .code = CRL_CGROUP_PATH,
	    .title = "The path of the cgroup is not valid",
	    .meaning = "linux.cgroupsPath names a cgroup below the root of all; with systemd it "
		       "is SLICE:PREFIX:NAME.",
	    .causes = "empty parts, \".\" or \"..\" in the path\n"
		      "a path of directories where systemd wants its three parts, or the other "
		      "way round",
	    .action = "write /a/b/NAME for the cgroupfs manager, and system.slice:creel:NAME "
		      "with --systemd-cgroup",
	    .example = "\"/a/../b\" has a part \"..\" (config.json:85 /linux/cgroupsPath) "
		       "[CRL-2027]",
	},
	{
	    .code = CRL_SWAP,
	    .title = "Memory and swap limits do not agree",
	    .meaning = "linux.resources.memory.swap counts memory and swap together, so it needs "
		       "a memory limit and cannot be below it.",
	    .causes = "swap was taken for the swap alone\n"
		      "a swap limit without a memory limit",
	    .action = "set swap to the memory limit plus the swap that is allowed\n"
		      "set it to the memory limit for no swap at all",
	    .example = "memory+swap limit should be >= memory limit (config.json:88 "
		       "/linux/resources/memory/swap) [CRL-2028]",
	},
	{
	    .code = CRL_CGROUP_VALUE,
	    .title = "A cgroup limit is not valid",
	    .meaning = "The limit is out of what cgroup version 2 can express, or stands in "
		       "a form that it does not have.",
	    .causes = "a limit that only cgroup version 1 knew\n"
		      "a key of linux.resources.unified that is no file of a controller",
	    .action = "write the limit as linux.resources.unified, with the file's own name and "
		      "value\n"
		      "or remove it",
	    .example = "unified resource \"memory/max\" must be a file name (no slashes) "
		       "(config.json:92 /linux/resources/unified/memory~1max) [CRL-2029]",
	},
};

const size_t error_pages_document_n = ARRAY_SIZE(error_pages_document);
