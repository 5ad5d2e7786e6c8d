/*
 * The floor under a container runtime: the kernel calls that the default configuration of `spec`
 * needs, in the cheapest form and order known, and nothing else - no JSON, no state, no checks, no
 * cleanup after an error.  What a runtime takes longer than this is the runtime's own.
 *
 *	floor run [OPTION...] ROOTFS CGROUP PROGRAM [ARG...]
 *	floor create [OPTION...] FIFO ROOTFS CGROUP PROGRAM [ARG...]
 *	floor start FIFO
 *	floor kill CGROUP
 *	floor delete FIFO CGROUP		of a stopped container
 *	floor delete-force FIFO CGROUP
 *	floor exec PIDFILE CGROUP PROGRAM [ARG...]
 *	floor none PROGRAM [ARG...]		just the exec of a static program
 *	floor dump PIDFILE FILE			a process's seccomp filter as a file for --seccomp
 *
 * CGROUP is a directory that "run" and "create" make, "run" and "delete" remove and "exec" enters.
 * FIFO is what a created container waits at; with "-" it does not, as in `run -d`.  OPTIONs are
 *
 *	--seccomp FILE		install this filter
 *	--userns		with 65536 ids of a user namespace
 *	--rootless		with our own id alone, no network namespace, and no CGROUP ("-")
 *	--devices		attach the default device rules
 *	--terminal SOCKET	make a terminal and send it there
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))
#define NAMESPACES                                                                                 \
	(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP)

/* The numbers of linux/capability.h that the default configuration keeps. */
#define KEPT_CAPABILITIES (1U << CAP_AUDIT_WRITE | 1U << CAP_KILL | 1U << CAP_NET_BIND_SERVICE)

struct floor {
	const char *rootfs;
	const char *cgroup;
	char **program;
	struct sock_fprog filter; /* empty: no seccomp */
	bool userns;		  /* also of --rootless */
	bool rootless;
	bool devices;
	const char *terminal;
	const char *fifo; /* of "create" */
	int gate;	  /* that, open */
	int mapped[2];	  /* with userns: the parent writes when the maps are set */
	int ready[2];	  /* of "create": the child writes when it waits, and closes at its exec */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* Dies when RESULT says that the call WHAT failed. */
static long need(long result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

/* A sysfs of our own belongs to a network namespace of our own, a cgroup2 to a cgroup. */
static void bind_from_host(const char *target, unsigned long flags)
{
	char source[32];

	snprintf(source, sizeof(source), "/%s", target);
	need(mount(source, target, NULL, MS_BIND | MS_REC, NULL), source);
	need(mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL), target);
}

static void mount_all(const struct floor *floor)
{
	const struct {
		const char *target, *type;
		unsigned long flags;
		const char *data;
	} mounts[] = {
		{ "proc", "proc", 0, NULL },
		{ "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k" },
		{ "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  floor->rootless ? "newinstance,ptmxmode=0666,mode=0620"
				  : "newinstance,ptmxmode=0666,mode=0620,gid=5" },
		{ "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k" },
		{ "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL },
		{ "sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL },
		{ "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL },
	};

	need(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make the mounts slaves");
	need(mount(floor->rootfs, floor->rootfs, NULL, MS_BIND | MS_REC, NULL), "bind the root");
	need(chdir(floor->rootfs), "enter the root");
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		/* The directories below /dev lie on the tmpfs that was mounted just before. */
		if (strncmp(mounts[i].target, "dev/", 4) == 0)
			need(mkdir(mounts[i].target, 0755), mounts[i].target);
		if (floor->rootless && strncmp(mounts[i].target, "sys", 3) == 0) {
			bind_from_host(mounts[i].target, mounts[i].flags);
			continue;
		}
		need(mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
			   mounts[i].data),
		     mounts[i].target);
	}
}

static void make_devices(const struct floor *floor)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} devices[] = {
		{ "dev/null", 1, 3 },	{ "dev/zero", 1, 5 },	 { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" },	     { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
		{ "pts/ptmx", "dev/ptmx" },
	};
	char source[32];

	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (!floor->userns) {
			need(mknod(devices[i].path, S_IFCHR | 0666,
				   makedev(devices[i].major, devices[i].minor)),
			     devices[i].path);
			continue;
		}
		/* A user namespace may not make devices, so the host's are bound. */
		snprintf(source, sizeof(source), "/%s", devices[i].path);
		need(mknod(devices[i].path, S_IFREG | 0666, 0), devices[i].path);
		need(mount(source, devices[i].path, NULL, MS_BIND, NULL), source);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		need(symlink(links[i][0], links[i][1]), links[i][1]);
}

/* The terminal becomes the controlling one, /dev/console and the standard streams. */
static void make_terminal(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int unlocked = 0, master, slave, to;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec name = { "/dev/ptmx", strlen("/dev/ptmx") };
	struct msghdr message = { .msg_iov = &name,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	master = (int)need(open("dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "make a terminal");
	need(ioctl(master, TIOCSPTLCK, &unlocked), "unlock the terminal");
	slave = (int)need(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "open it");
	need(ioctl(slave, TIOCSCTTY, 0), "make it the controlling terminal");
	need(mknod("dev/console", S_IFREG | 0666, 0), "dev/console");
	need(mount("dev/pts/0", "dev/console", NULL, MS_BIND, NULL), "bind dev/console");
	for (int stream = 0; stream < 3; stream++)
		need(dup2(slave, stream), "make it a standard stream");
	to = (int)need(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make a socket");
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	need(connect(to, (struct sockaddr *)&address, sizeof(address)), path);
	memcpy(CMSG_DATA(&control.header), &master, sizeof(master));
	need(sendmsg(to, &message, 0), "send the terminal");
}

static void protect_paths(void)
{
	static const char *const masked[] = {
		"/proc/acpi",	       "/proc/asound",	   "/proc/kcore",	"/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/sys/firmware",       "/proc/scsi",
	};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	};

	for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) < 0 && errno == ENOTDIR)
			need(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, NULL), masked[i]);
	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++)
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) == 0)
			need(mount(NULL, readonly[i], NULL,
				   MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV |
				       MS_NOEXEC,
				   NULL),
			     readonly[i]);
}

/* The part that a container's first process and an exec'd one have in common. */
static _Noreturn void become_program(const struct floor *floor)
{
	const struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 1024 };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct data[2] = {
		{ .effective = KEPT_CAPABILITIES, .permitted = KEPT_CAPABILITIES },
	};

	need(setrlimit(RLIMIT_NOFILE, &limit), "set the limit of open files");
	for (int i = 0; i < 64; i++)
		if (!(i < 32 && KEPT_CAPABILITIES >> i & 1) &&
		    prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			break;
	need(syscall(SYS_capset, &header, data), "set the capabilities");
	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no new privileges");
	if (floor->filter.len > 0)
		need(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &floor->filter),
		     "install the filter");
	if (floor->gate > 0) {
		char byte;

		need(write(floor->ready[1], "", 1), "tell the parent");
		need(read(floor->gate, &byte, 1), "wait for start");
	}
	execve(floor->program[0], floor->program,
	       (char *[]){ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			   "TERM=xterm", NULL });
	die(floor->program[0]);
}

static _Noreturn void be_container(const struct floor *floor)
{
	char byte;

	if (floor->userns) {
		need(read(floor->mapped[0], &byte, 1), "wait for the id maps");
		need(syscall(SYS_setresgid, 0, 0, 0), "become group 0");
		need(syscall(SYS_setresuid, 0, 0, 0), "become user 0");
	}
	need(setsid(), "start a session");
	umask(0); /* for the modes of the devices */
	mount_all(floor);
	make_devices(floor);
	if (floor->terminal)
		make_terminal(floor->terminal);
	need(syscall(SYS_pivot_root, ".", "."), "pivot the root");
	need(umount2(".", MNT_DETACH), "leave the old root");
	protect_paths();
	need(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "protect the root");
	need(chdir("/"), "enter the root");
	need(sethostname("floor", 5), "set the host name");
	become_program(floor);
}

/*
 * clone3() in the manner of vfork(): the child borrows memory and stack until it executes.  It must
 * be inlined, because the frame of a function that the child has returned from is lost.
 */
static inline __attribute__((always_inline)) long clone_borrowing(struct clone_args *args)
{
	long result;

#if defined(__x86_64__)
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args))
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x0 __asm__("x0") = (long)args;
	register long x1 __asm__("x1") = sizeof(*args);
	register long x8 __asm__("x8") = SYS_clone3;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x8) : "memory");
	result = x0;
#else
	args->flags &= ~(uint64_t)(CLONE_VM | CLONE_VFORK);
	result = syscall(SYS_clone3, args, sizeof(*args));
	return result;
#endif
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* The wait status as an exit status, the way a shell says it. */
static int wait_for(pid_t pid)
{
	int status;

	need(waitpid(pid, &status, 0), "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int write_file(const char *path, const char *text)
{
	int fd = (int)need(open(path, O_WRONLY | O_CLOEXEC), path);

	need(write(fd, text, strlen(text)), path);
	return close(fd);
}

static void write_maps(const struct floor *floor, pid_t pid)
{
	char path[64], uids[32], gids[32];

	snprintf(uids, sizeof(uids), "0 %u %u", floor->rootless ? getuid() : 100000,
		 floor->rootless ? 1 : 65536);
	snprintf(gids, sizeof(gids), "0 %u %u", floor->rootless ? getgid() : 100000,
		 floor->rootless ? 1 : 65536);
	snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
	if (floor->rootless)
		write_file(path, "deny");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	write_file(path, uids);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	write_file(path, gids);
}

/* Device rules of the default configuration: character devices 1:*, 5:* and 136:* only. */
static void attach_devices(int cgroup)
{
	static const struct bpf_insn program[] = {
		{ BPF_LDX | BPF_MEM | BPF_W, 2, 1, 4, 0 }, /* r2 = context->major */
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1 },
		{ BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 3, 1 },
		{ BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 2, 5 },
		{ BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1, 136 },
		{ BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0 },
		{ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)program,
		.insn_cnt = ARRAY_SIZE(program),
		.license = (uintptr_t) "GPL",
	};
	int fd = (int)need(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), "load the rules");
	union bpf_attr attach = {
		.target_fd = (uint32_t)cgroup,
		.attach_bpf_fd = (uint32_t)fd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};

	need(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)), "attach the rules");
	close(fd);
}

/* Makes the cgroup and the container in it; returns the process. */
static inline __attribute__((always_inline)) pid_t make_container(struct floor *floor)
{
	struct clone_args args = { .flags = NAMESPACES, .exit_signal = SIGCHLD };
	pid_t pid;

	if (floor->rootless) {
		args.flags &= ~(uint64_t)CLONE_NEWNET;
	} else {
		int cgroup;

		need(mkdir(floor->cgroup, 0755), floor->cgroup);
		cgroup = (int)need(open(floor->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
				   floor->cgroup);
		if (floor->devices)
			attach_devices(cgroup);
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (floor->userns) {
		args.flags |= CLONE_NEWUSER;
		need(pipe2(floor->mapped, O_CLOEXEC), "make a pipe");
	}
	if (floor->userns || floor->fifo) {
		/* It waits for the parent, so it cannot borrow the parent's memory. */
		pid = (pid_t)need(syscall(SYS_clone3, &args, sizeof(args)), "clone");
		if (pid == 0)
			be_container(floor);
	} else {
		args.flags |= CLONE_VM | CLONE_VFORK;
		pid = (pid_t)need(clone_borrowing(&args), "clone");
		if (pid == 0)
			be_container(floor);
	}
	if (floor->userns) {
		write_maps(floor, pid);
		need(write(floor->mapped[1], "", 1), "tell the child");
	}
	return pid;
}

static int run(struct floor *floor)
{
	int status = wait_for(make_container(floor));

	if (!floor->rootless)
		need(rmdir(floor->cgroup), floor->cgroup);
	return status;
}

static int create(struct floor *floor)
{
	char byte;

	need(pipe2(floor->ready, O_CLOEXEC), "make a pipe");
	if (strcmp(floor->fifo, "-") != 0) {
		need(mkfifo(floor->fifo, 0600), floor->fifo);
		floor->gate = (int)need(open(floor->fifo, O_RDWR | O_CLOEXEC), floor->fifo);
	}
	make_container(floor);
	close(floor->ready[1]);
	/* One byte when it waits, none when it has executed. */
	return read(floor->ready[0], &byte, 1) == (floor->gate > 0) ? 0 : 1;
}

static int start(const char *fifo)
{
	return need(write((int)need(open(fifo, O_WRONLY), fifo), "", 1), fifo) != 1;
}

static int kill_all(const char *cgroup)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/cgroup.kill", cgroup);
	return write_file(path, "1");
}

static int delete_stopped(const char *fifo, const char *cgroup)
{
	need(rmdir(cgroup), cgroup);
	return strcmp(fifo, "-") == 0 ? 0 : (int)need(unlink(fifo), fifo);
}

static int exec_inside(struct floor *floor, pid_t target)
{
	int cgroup = (int)need(open(floor->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "cgroup");
	int pidfd = (int)need(syscall(SYS_pidfd_open, target, 0), "open the container");
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_VM | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};

	need(setns(pidfd, NAMESPACES), "join the namespaces");

	pid_t pid = (pid_t)need(clone_borrowing(&args), "clone");

	if (pid == 0) {
		need(setsid(), "start a session");
		become_program(floor);
	}
	return wait_for(pid);
}

static void load_filter(struct floor *floor, const char *path)
{
	static struct sock_filter filter[BPF_MAXINSNS];
	int fd = (int)need(open(path, O_RDONLY | O_CLOEXEC), path);
	ssize_t n = need(read(fd, filter, sizeof(filter)), path);

	close(fd);
	floor->filter.len = (unsigned short)((size_t)n / sizeof(*filter));
	floor->filter.filter = filter;
}

static int dump(pid_t pid, const char *path)
{
	static struct sock_filter filter[BPF_MAXINSNS];
	int fd = (int)need(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), path);

	need(ptrace(PTRACE_SEIZE, pid, NULL, NULL), "trace the process");
	need(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), "stop the process");
	need(waitpid(pid, NULL, __WALL), "wait for the process to stop");

	long n = need(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, NULL, filter), "read the filter");

	need(ptrace(PTRACE_DETACH, pid, NULL, NULL), "let the process go on");
	need(write(fd, filter, (size_t)n * sizeof(*filter)), path);
	return close(fd);
}

static pid_t read_pid(const char *path)
{
	char text[16] = "";
	int fd = (int)need(open(path, O_RDONLY | O_CLOEXEC), path);

	need(read(fd, text, sizeof(text) - 1), path);
	close(fd);
	return atoi(text);
}

/* The end of the first process is that of all in its pid namespace.  cgroup.events would tell too,
 * ten milliseconds later: the kernel notifies no more often. */
static int delete_force(const char *fifo, const char *cgroup)
{
	char path[4096];
	struct pollfd first = { .events = POLLIN };

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);

	pid_t pid = read_pid(path);

	if (pid > 0) { /* else it has ended already */
		first.fd = (int)need(syscall(SYS_pidfd_open, pid, 0), "open the container");
		kill_all(cgroup);
		need(poll(&first, 1, -1), "wait");
	}
	return delete_stopped(fifo, cgroup);
}

static _Noreturn void usage(void)
{
	fputs("floor: the head of floor.c says how it is called\n", stderr);
	exit(2);
}

/* The options, and behind them ROOTFS, CGROUP and PROGRAM; of "create" first the FIFO. */
static void parse(struct floor *floor, bool creates, char **argv)
{
	for (; *argv && (*argv)[0] == '-' && (*argv)[1]; argv++) {
		if (strcmp(*argv, "--userns") == 0)
			floor->userns = true;
		else if (strcmp(*argv, "--rootless") == 0)
			floor->userns = floor->rootless = true;
		else if (strcmp(*argv, "--devices") == 0)
			floor->devices = true;
		else if (strcmp(*argv, "--seccomp") == 0 && argv[1])
			load_filter(floor, *++argv);
		else if (strcmp(*argv, "--terminal") == 0 && argv[1])
			floor->terminal = *++argv;
		else
			usage();
	}
	if (creates && *argv)
		floor->fifo = *argv++;
	if (!argv[0] || !argv[1] || !argv[2])
		usage();
	floor->rootfs = argv[0];
	floor->cgroup = argv[1];
	floor->program = argv + 2;
}

int main(int argc, char **argv)
{
	struct floor floor = { 0 };
	const char *word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "run") == 0) {
		parse(&floor, false, argv + 2);
		return run(&floor);
	}
	if (strcmp(word, "create") == 0) {
		parse(&floor, true, argv + 2);
		return create(&floor);
	}
	if (strcmp(word, "start") == 0 && argc == 3)
		return start(argv[2]);
	if (strcmp(word, "kill") == 0 && argc == 3)
		return kill_all(argv[2]);
	if (strcmp(word, "delete") == 0 && argc == 4)
		return delete_stopped(argv[2], argv[3]);
	if (strcmp(word, "delete-force") == 0 && argc == 4)
		return delete_force(argv[2], argv[3]);
	if (strcmp(word, "dump") == 0 && argc == 4)
		return dump(read_pid(argv[2]), argv[3]);
	if (strcmp(word, "none") == 0 && argc > 2) {
		execv(argv[2], argv + 2);
		die(argv[2]);
	}
	if (strcmp(word, "exec") == 0 && argc > 4) {
		floor.cgroup = argv[3];
		floor.program = argv + 4;
		return exec_inside(&floor, read_pid(argv[2]));
	}
	usage();
}
