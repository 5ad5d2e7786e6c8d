/* The codes 5000 to 5299: the program, the mounts and the cgroup. */
#include "error_pages.h"

const struct error_page error_pages_system[] = {
	{
	    .code = CRL_SYSTEM,
	    .title = "A system call failed",
	    .meaning = "The kernel refused something that has no code of its own.  The message "
		       "says what was tried and why it failed; the JSON log also names the "
		       "system call.",
	    .causes = "permissions, limits or a full disk on the host",
	    .action = "read the message and the hint\n"
		      "`creel --debug` shows the plan that was carried out, --trace the step "
		      "that failed",
	    .example = "cannot open /srv/web: input/output error [CRL-5000]",
	},
	{
	    .code = CRL_PROGRAM_NOT_IN_PATH,
	    .title = "The program is not in $PATH",
	    .meaning = "process.args[0] has no slash, so it is looked for in the directories of "
		       "the container's PATH, and is in none of them.",
	    .causes = "a typing error, or a program that the image does not have\n"
		      "a PATH in process.env that leaves its directory out\n"
		      "a root filesystem that is empty or covered by a mount",
	    .action = "write the full path, or correct PATH in process.env\n"
		      "list the image: ls ROOTFS/bin ROOTFS/usr/bin",
	    .example = "exec: \"bahs\": executable file not found in $PATH (config.json:6 "
		       "/process/args/0) [CRL-5001]",
	},
	{
	    .code = CRL_PROGRAM_MISSING,
	    .title = "The program does not exist",
	    .meaning = "process.args[0] is a path, and there is no such file in the container.",
	    .causes = "a typing error\n"
		      "a mount that covers the directory\n"
		      "a symbolic link that leads to a file the image does not have",
	    .action = "look inside the root filesystem: the path begins there",
	    .example = "exec: \"/bin/bahs\": stat /bin/bahs: no such file or directory "
		       "(config.json:6 /process/args/0) [CRL-5002]",
	},
	{
	    .code = CRL_PROGRAM_NOT_EXECUTABLE,
	    .title = "The program may not be executed",
	    .meaning = "The file is there, and the user of the container has no permission to "
		       "execute it.",
	    .causes = "the file has no x bit, often lost in an archive or on a checkout\n"
		      "a directory on the way is closed for the user\n"
		      "it is neither a file nor a link to one, or lies in /proc",
	    .action = "chmod +x FILE in the image\n"
		      "compare its owner and mode with process.user",
	    .example = "exec: \"/run.sh\": permission denied (config.json:6 /process/args/0) "
		       "[CRL-5003]",
	},
	{
	    .code = CRL_PROGRAM_DIRECTORY,
	    .title = "The program is a directory",
	    .meaning = "process.args[0] names a directory of the container.",
	    .causes = "the name of the program was left out behind its directory\n"
		      "an engine made a directory where a file was to be bound",
	    .action = "write the path of the program in it",
	    .example = "exec: \"/app\": is a directory: permission denied (config.json:6 "
		       "/process/args/0) [CRL-5004]",
	},
	{
	    .code = CRL_INTERPRETER_MISSING,
	    .title = "The interpreter of the script does not exist",
	    .meaning = "The script is there; the program that its first line names is not.  The "
		       "kernel reports both in the same words.",
	    .causes = "an image without the shell, or with it in another directory: "
		      "#!/bin/bash in an image that has only /bin/sh\n"
		      "/usr/bin/env is missing",
	    .action = "change the first line of the script, or install the interpreter in the "
		      "image",
	    .example = "exec /run.sh: its interpreter is missing: /bin/bash: no such file or "
		       "directory (config.json:6 /process/args/0) [CRL-5005]",
	},
	{
	    .code = CRL_INTERPRETER_CRLF,
	    .title = "The script has Windows line ends",
	    .meaning = "The first line ends in carriage return and line feed, so the kernel "
		       "looks for an interpreter whose name ends in a carriage return.",
	    .causes = "the script was written or checked out on Windows (git's autocrlf)",
	    .action = "sed -i 's/\\r$//' FILE, or dos2unix FILE\n"
		      "in git: \"*.sh text eol=lf\" in .gitattributes",
	    .example = "exec /run.sh: its first line ends in a carriage return (Windows line "
		       "ends), and there is no \"/bin/sh\\r\": no such file or directory "
		       "(config.json:6 /process/args/0) [CRL-5006]",
	},
	{
	    .code = CRL_LOADER_MISSING,
	    .title = "The dynamic loader of the program does not exist",
	    .meaning = "The program is there; the dynamic loader that its header names is not.",
	    .causes = "a program for glibc in an image with musl (Alpine), or the other way "
		      "round\n"
		      "a dynamic program in an image from scratch",
	    .action = "link it statically, or build it for the image's C library\n"
		      "readelf -l FILE shows the loader that it wants",
	    .example = "exec /app: its dynamic loader is missing: /lib64/ld-linux-x86-64.so.2: no "
		       "such file or directory (config.json:6 /process/args/0) [CRL-5007]",
	},
	{
	    .code = CRL_OTHER_MACHINE,
	    .title = "The program is built for another processor",
	    .meaning = "The file is a program, for a machine that this one is not, and nothing "
		       "is registered in binfmt_misc to run it.",
	    .causes = "an image of another architecture: arm64 on an amd64 host\n"
		      "a cross compiler",
	    .action = "pull the image for this architecture (--platform)\n"
		      "or install qemu-user-static, which registers itself in binfmt_misc",
	    .example = "exec /app: it is built for aarch64: exec format error (config.json:6 "
		       "/process/args/0) [CRL-5008]",
	},
	{
	    .code = CRL_NOT_A_PROGRAM,
	    .title = "The file is no program",
	    .meaning = "The file is executable by its mode, but is neither an ELF program nor a "
		       "script with a \"#!\" line.",
	    .causes = "a script without its first line\n"
		      "an empty or damaged file\n"
		      "a WebAssembly module, which needs a handler",
	    .action = "write \"#!/bin/sh\" as the first line, without anything before it\n"
		      "or execute the interpreter: \"args\": [\"/bin/sh\", \"FILE\"]",
	    .example = "exec /run.sh: it is neither a program nor a script with a #! line: exec "
		       "format error (config.json:6 /process/args/0) [CRL-5009]",
	},
	{
	    .code = CRL_NOEXEC_MOUNT,
	    .title = "The program is on a mount with noexec",
	    .meaning = "The file may be executed by its mode, but the mount that it lies on "
		       "forbids it.",
	    .causes = "\"noexec\" among the options of the mount in config.json\n"
		      "a bind mount whose source is mounted noexec on the host (/tmp, /home)",
	    .action = "remove noexec from that mount's options, or write exec\n"
		      "or put the program elsewhere",
	    .example = "exec: \"/tmp/app\": the mount at /tmp is noexec: permission denied "
		       "(config.json:66 /mounts/7/options) [CRL-5010]",
	},
	{
	    .code = CRL_INTERPRETER_UNUSABLE,
	    .title = "The interpreter of the script cannot be executed",
	    .meaning = "The first line of the script names a file that exists and cannot be "
		       "executed.",
	    .causes = "it has no x bit, is a directory or a script that names another one "
		      "without end\n"
		      "it is on a mount with noexec",
	    .action = "look at the file that the message names: its mode and its mount",
	    .example = "exec /run.sh: its interpreter cannot be executed: /opt/tool: permission "
		       "denied (config.json:6 /process/args/0) [CRL-5011]",
	},
	{
	    .code = CRL_CWD,
	    .title = "The working directory cannot be entered",
	    .meaning = "process.cwd is not a directory of the container that its user may "
		       "enter.",
	    .causes = "the directory does not exist in the image and could not be made\n"
		      "it is closed for process.user",
	    .action = "make it in the image, or choose another process.cwd",
	    .example = "chdir to `/srv`: permission denied (config.json:14 /process/cwd) "
		       "[CRL-5012]",
	},
	{
	    .code = CRL_MOUNT,
	    .title = "A mount failed",
	    .meaning = "The kernel refused a mount.  What it wrote about it is part of the "
		       "message.",
	    .causes = "a filesystem that a user namespace may not mount\n"
		      "an option that the filesystem does not take, or a damaged device",
	    .action = "the pointer names the entry of mounts\n"
		      "try it on the host: mount -t TYPE -o OPTIONS SOURCE DIRECTORY",
	    .example = "cannot mount ext4 at /data: can't find ext4 filesystem: invalid argument "
		       "(config.json:66 /mounts/7) [CRL-5100]",
	},
	{
	    .code = CRL_MOUNT_SOURCE,
	    .title = "The source of a bind mount cannot be opened",
	    .meaning = "The source is a path of the host, looked up before the root changes, "
		       "relative to the bundle unless it begins with \"/\".",
	    .causes = "it does not exist on the host\n"
		      "it lies inside the container, which is not where sources are looked up\n"
		      "a directory on the way is closed for creel's user",
	    .action = "make it, or correct mounts[].source",
	    .example = "cannot open the source /srv/data of the mount at /data: no such file or "
		       "directory (config.json:68 /mounts/7/source) [CRL-5101]",
	},
	{
	    .code = CRL_MOUNT_FILE_DIRECTORY,
	    .title = "A file and a directory do not fit on each other",
	    .meaning = "A directory can be mounted on a directory only, and a file on a file.",
	    .causes = "the file on the host was missing, and an engine made a directory in its "
		      "place\n"
		      "source and destination were mixed up",
	    .action = "look at the source on the host: remove the empty directory and make the "
		      "file\n"
		      "or correct the destination",
	    .example =
		"cannot mount /srv/app.conf at /etc/app.conf: the target is not a directory, as "
		"the source is: not a directory (config.json:66 /mounts/7) [CRL-5102]",
	},
	{
	    .code = CRL_MOUNT_LOCKED,
	    .title = "A flag of the mount is locked",
	    .meaning = "Flags that a mount got outside of a user namespace cannot be cleared "
		       "inside: that would undo what the owner of the host decided.",
	    .causes = "the source is mounted ro, nosuid, nodev or noexec on the host, and the "
		      "options of the mount leave the flag out",
	    .action = "add the flags that the message names to mounts[].options",
	    .example = "cannot clear locked flags ro of the mount at /data: operation not "
		       "permitted (config.json:66 /mounts/7/options) [CRL-5103]",
	},
	{
	    .code = CRL_PROC_COVERED,
	    .title = "The kernel refuses a new proc or sysfs",
	    .meaning = "In a user namespace a new proc may be mounted only where one is visible "
		       "that nothing covers: otherwise a container could look behind the covers "
		       "of the one it runs in.",
	    .causes = "creel runs in a container whose /proc has masked paths\n"
		      "the container shares the pid namespace (for proc) or the network namespace "
		      "(for sysfs) of the host",
	    .action = "start the outer container with an unmasked /proc (procMount: Unmasked, "
		      "--security-opt unmask=ALL)\n"
		      "or bind the outer /proc instead of mounting a new one",
	    .example =
		"the /proc that creel sees is covered at /proc/keys: cannot mount proc at /proc: "
		"VFS: Mount too revealing: operation not permitted (config.json:60 "
		"/mounts/0) [CRL-5104]",
	},
	{
	    .code = CRL_MOUNT_OPTION_REFUSED,
	    .title = "The filesystem does not take a mount option",
	    .meaning = "The kernel's filesystem refused an option or its value.  The kernel's "
		       "own words are in the message.",
	    .causes = "a typing error in the option\n"
		      "an option of another filesystem\n"
		      "a value out of range",
	    .action = "correct the option that the pointer names",
	    .example = "cannot mount tmpfs at /tmp with the option \"sise=1m\": tmpfs: Unknown "
		       "parameter 'sise': invalid argument (config.json:70 /mounts/7/options/2) "
		       "[CRL-5105]",
	},
	{
	    .code = CRL_MOUNT_TARGET,
	    .title = "The mount point cannot be made",
	    .meaning = "The destination does not exist in the container and cannot be made, or "
		       "cannot be opened.",
	    .causes = "a root filesystem, or a mount before this one, that is read-only\n"
		      "a file where a directory of the path should be\n"
		      "another mount that covers its parent",
	    .action = "make the destination in the image\n"
		      "or put the mount behind the one that it lies in",
	    .example = "cannot make the directory /data inside the root: read-only file system "
		       "(config.json:66 /mounts/7) [CRL-5106]",
	},
	{
	    .code = CRL_ROOTFS,
	    .title = "The root filesystem cannot be used",
	    .meaning = "root.path is not a directory that can be opened, or cannot be made the "
		       "root.",
	    .causes = "it does not exist: a relative root.path begins at the bundle\n"
		      "it is closed for the user, or for the ids of the user namespace\n"
		      "creel runs in a chroot or on an initial ramdisk, where pivot_root(2) does "
		      "not work: --no-pivot",
	    .action = "correct root.path, or the modes on the way to it",
	    .example = "cannot open the root filesystem /srv/web/rootfs: no such file or "
		       "directory (config.json:3 /root/path) [CRL-5107]",
	},
	{
	    .code = CRL_UNSAFE_PROC,
	    .title = "A part of /proc is covered",
	    .meaning = "creel writes security settings only to files that are really the "
		       "kernel's.  Something else is mounted over the one it needs.",
	    .causes = "sysbox, lxcfs or another manager puts its own files over /proc\n"
		      "creel runs in a container with masked or read-only paths",
	    .action = "look at /proc/self/mountinfo for the mount that the hint names\n"
		      "leave out the sysctl that needs it, or unmask it in the outer container",
	    .example = "/proc/sys/net is covered by another mount, which cannot be trusted: cannot "
		       "set the sysctl net.ipv4.ip_forward to \"1\": invalid cross-device link "
		       "(config.json:90 /linux/sysctl/net.ipv4.ip_forward) [CRL-5108]",
	},
	{
	    .code = CRL_BUNDLE,
	    .title = "The bundle cannot be read",
	    .meaning = "A bundle is a directory with a config.json, which is the working "
		       "directory unless --bundle names another one.",
	    .causes = "creel was started in another directory, or --bundle is wrong\n"
		      "config.json is missing or closed for the user",
	    .action = "give --bundle DIR\n"
		      "`creel spec` writes a config.json to begin with",
	    .example = "cannot find the bundle /srv/wbe: no such file or directory [CRL-5109]",
	},
	{
	    .code = CRL_CGROUP,
	    .title = "Something about a cgroup failed",
	    .meaning = "A file or a directory of the cgroup hierarchy could not be used.",
	    .causes = "the cgroup was removed by somebody else meanwhile\n"
		      "the hierarchy is mounted read-only, as in most containers",
	    .action = "look at the cgroup that the message names, below /sys/fs/cgroup",
	    .example = "cannot remove the cgroup /creel/web: device or resource busy [CRL-5200]",
	},
	{
	    .code = CRL_CGROUP_FULL,
	    .title = "No further cgroup can be made",
	    .meaning = "The kernel has no id left for a memory cgroup, or a parent limits how "
		       "many cgroups there may be below it.",
	    .causes = "dead cgroups: removed ones live on while pages of theirs are in memory\n"
		      "cgroup.max.descendants or cgroup.max.depth of a parent\n"
		      "containers that nobody deleted",
	    .action = "cat cgroup.stat of the parents: nr_descendants and "
		      "nr_dying_descendants\n"
		      "echo 3 > /proc/sys/vm/drop_caches lets dead cgroups go\n"
		      "`creel list`, and delete what is stopped",
	    .example = "cgroup.max.descendants of the cgroup /creel is 0: cannot make the cgroup "
		       "/creel/web: resource temporarily unavailable (config.json:85 "
		       "/linux/cgroupsPath) [CRL-5201]",
	},
	{
	    .code = CRL_CGROUP_CONTROL,
	    .title = "A controller cannot be enabled for the cgroup",
	    .meaning = "The controller is there and could not be written to the "
		       "cgroup.subtree_control of a parent.",
	    .causes = "a parent holds processes itself (the rule of no internal processes)\n"
		      "a real-time process in the parent, which keeps cpu from being enabled on "
		      "kernels with CONFIG_RT_GROUP_SCHED\n"
		      "the parent is threaded",
	    .action = "move the processes that the hint names into a cgroup of their own\n"
		      "or choose a linux.cgroupsPath below another parent",
	    .example = "cannot enable the cgroup controller cpu in the cgroup /x: device or "
		       "resource busy (config.json:88 /linux/resources/cpu/quota) [CRL-5202]",
	},
	{
	    .code = CRL_CGROUP_DELEGATION,
	    .title = "The cgroup may not be written",
	    .meaning = "The user who runs creel does not own the cgroup, or the hierarchy is "
		       "read-only.",
	    .causes = "a user without a delegated cgroup: only systemd delegates one, to a "
		      "login session or a service with Delegate=yes\n"
		      "creel runs in a container, where /sys/fs/cgroup is read-only",
	    .action = "systemd-run --user --scope -p Delegate=yes creel ...\n"
		      "or --systemd-cgroup, or --cgroup-manager=disabled",
	    .example = "cannot make the cgroup /creel/web: permission denied (config.json:85 "
		       "/linux/cgroupsPath) [CRL-5203]",
	},
	{
	    .code = CRL_CGROUP_REFUSED,
	    .title = "The kernel refuses a cgroup limit",
	    .meaning = "The file is there, and the kernel does not take the value.",
	    .causes = "a CPU or memory node that is not online, or not in the parent's cpuset\n"
		      "a device number that is no whole disk (io limits)\n"
		      "a value out of the range that cgroup-v2.rst gives",
	    .action = "correct the member that the pointer names\n"
		      "cat the same file of the parent to see what can be had",
	    .example = "cannot write \"0-999\" to the cgroup's cpuset.cpus: numerical result out "
		       "of range (config.json:88 /linux/resources/cpu/cpus) [CRL-5204]",
	},
	{
	    .code = CRL_CGROUP_ENTER,
	    .title = "A process cannot enter the cgroup",
	    .meaning = "A cgroup with controllers enabled for its children holds no processes "
		       "itself, and nobody may move processes between cgroups of others.",
	    .causes = "the container made cgroups of its own below its cgroup\n"
		      "without delegation: the common parent of both cgroups is not ours",
	    .action = "`creel exec --cgroup PATH` enters one of the cgroups below\n"
		      "use a delegated cgroup",
	    .example = "cannot start a process in the cgroup: device or resource busy [CRL-5205]",
	},
	{
	    .code = CRL_OUT_OF_MEMORY,
	    .title = "The container ran out of memory while it was set up",
	    .meaning = "The kernel killed the first process because a memory limit was reached "
		       "before the program began.",
	    .causes = "linux.resources.memory.limit is below what executing a program needs: "
		      "some 512 KiB\n"
		      "the limit of a parent cgroup was reached\n"
		      "a large tmpfs that was filled at the start",
	    .action = "raise the limit: it is in bytes\n"
		      "the message names the cgroup whose limit was hit",
	    .example = "container init was OOM-killed (memory limit too low?): the cgroup "
		       "/creel/web hit its memory limit of 65536 bytes (config.json:87 "
		       "/linux/resources/memory/limit) [CRL-5206]",
	},
	{
	    .code = CRL_PIDS_LIMIT,
	    .title = "No further process can be started",
	    .meaning = "A limit on the number of processes was reached.",
	    .causes = "linux.resources.pids.limit, or pids.max of a parent cgroup\n"
		      "RLIMIT_NPROC of the user: it counts all processes of the uid\n"
		      "kernel.threads-max or kernel.pid_max",
	    .action = "the hint names the limit that was reached\n"
		      "raise it, or end processes",
	    .example = "pids.max of the cgroup is 1, and so many are there: cannot start a process "
		       "in the cgroup: resource temporarily unavailable [CRL-5207]",
	},
	{
	    .code = CRL_DEVICE_PROGRAM,
	    .title = "The device rules cannot be put on the cgroup",
	    .meaning = "The BPF program of the device rules was refused by the kernel.",
	    .causes = "more than 64 programs on the cgroup or its parents\n"
		      "too many rules for one program\n"
		      "RLIMIT_MEMLOCK on kernels before 5.11",
	    .action = "bpftool cgroup show CGROUP lists the programs\n"
		      "shorten linux.resources.devices",
	    .example = "cannot attach the device rules to the cgroup: argument list too long "
		       "(config.json:86 /linux/resources/devices) [CRL-5208]",
	},
	{
	    .code = CRL_CGROUP_WAIT,
	    .title = "The cgroup did not come to rest in time",
	    .meaning = "Processes that were killed, or are to be frozen, are still there after "
		       "the time that creel waits.",
	    .causes = "a process in an uninterruptible wait: a dead NFS server, a broken disk\n"
		      "a host under extreme load",
	    .action = "the message names a process: look at /proc/PID/wchan and /proc/PID/stack\n"
		      "try again when the disk or server answers",
	    .example = "the cgroup did not freeze within 10000 ms: connection timed out "
		       "[CRL-5209]",
	},
	{
	    .code = CRL_SYSTEMD_REFUSED,
	    .title = "systemd refused the scope",
	    .meaning = "systemd was reached and did not make, or did not change, the unit of the "
		       "container.",
	    .causes = "\"Interactive authentication required\": the user asked the system's "
		      "manager instead of his own\n"
		      "a property that this version of systemd does not know\n"
		      "a slice name that is not valid",
	    .action = "journalctl -u UNIT says more\n"
		      "see org.systemd.property.* in config.json's annotations",
	    .example = "systemd refused the scope creel-web.scope: Interactive authentication "
		       "required [CRL-5210]",
	},
	{
	    .code = CRL_SYSTEMD_TIMEOUT,
	    .title = "systemd did not answer in time",
	    .meaning = "creel waits for systemd a bounded time, and it was over.",
	    .causes = "systemd or its bus is overloaded: thousands of mounts or units\n"
		      "systemd is stopped, or being restarted",
	    .action = "systemctl list-jobs, and the journal\n"
		      "--cgroup-manager=cgroupfs does without it",
	    .example = "systemd did not answer in 30.0 s: waited for the scope creel-web.scope: "
		       "connection timed out [CRL-5211]",
	},
};

const size_t error_pages_system_n = ARRAY_SIZE(error_pages_system);
