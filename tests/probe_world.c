/*
 * The sections of the probe that are about what lies around the process: host name, namespaces,
 * mounts, open files, devices, terminal and network.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

void write_hostname(const char *key)
{
	struct utsname name;

	uname(&name);
	json_string(key, name.nodename);
}

void write_domainname(const char *key)
{
	struct utsname name;

	uname(&name);
	json_string(key, name.domainname);
}

void write_namespaces(const char *key)
{
	static const char *const types[] = {
		"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts",
	};
	char path[64];
	struct stat st;

	if (access("/proc/self/ns", F_OK) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", types[i]);
		if (stat(path, &st) < 0)
			json_null(types[i]);
		else
			json_unsigned(types[i], st.st_ino);
	}
	json_close('}');
}

/* Lines of "monotonic SECONDS NANOSECONDS". */
void write_time_offsets(const char *key)
{
	char text[256], name[32];
	long long seconds;
	long nanoseconds;

	if (read_file("/proc/self/timens_offsets", text, sizeof(text)) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '{');
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%31s %lld %ld", name, &seconds, &nanoseconds) != 3)
			continue;
		json_open(name, '{');
		json_number("secs", seconds);
		json_number("nanosecs", nanoseconds);
		json_close('}');
	}
	json_close('}');
}

void write_clocks(const char *key)
{
	static const struct {
		const char *name;
		clockid_t id;
	} clocks[] = {
		{ "monotonic", CLOCK_MONOTONIC },
		{ "boottime", CLOCK_BOOTTIME },
		{ "realtime", CLOCK_REALTIME },
	};
	struct timespec now;

	json_open(key, '{');
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		clock_gettime(clocks[i].id, &now);
		json_seconds(clocks[i].name, now.tv_sec, now.tv_nsec);
	}
	json_close('}');
}

void write_cgroup(const char *key)
{
	char text[8192];

	if (read_file("/proc/self/cgroup", text, sizeof(text)) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '[');
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!path)
			continue;
		json_open(NULL, '{');
		json_number("hierarchy", atoi(line));
		json_text("controllers", controllers + 1, path - controllers - 1);
		json_string("path", path + 1);
		json_close('}');
	}
	json_close(']');
}

/* Undoes the \040 of mountinfo in place. */
static char *unescape(char *text)
{
	char *out = text;

	for (char *in = text; *in; out++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] && in[3]) {
			*out = (in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0');
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
	return text;
}

static void write_options(const char *key, char *options)
{
	char *rest = options;

	json_open(key, '[');
	for (char *option = strsep(&rest, ","); option; option = strsep(&rest, ","))
		json_string(NULL, unescape(option));
	json_close(']');
}

/* "ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS [FIELD...] - TYPE SOURCE SUPER", proc(5). */
static void write_mount(char *line)
{
	static const char *const names[] = { "id", "parent", "device", "root", "target" };
	char *rest = line;

	json_open(NULL, '{');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *word = strsep(&rest, " ");

		if (i < 2)
			json_number(names[i], atoi(word));
		else
			json_string(names[i], unescape(word));
	}
	write_options("options", strsep(&rest, " "));
	json_open("propagation", '[');
	for (char *word = strsep(&rest, " "); word && strcmp(word, "-") != 0;
	     word = strsep(&rest, " "))
		json_string(NULL, word);
	json_close(']');
	json_string("type", strsep(&rest, " "));
	json_string("source", unescape(strsep(&rest, " ")));
	write_options("super", rest);
	json_close('}');
}

void write_mounts(const char *key)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	if (!file) {
		json_null(key);
		return;
	}
	json_open(key, '[');
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		write_mount(line);
	}
	json_close(']');
	free(line);
	fclose(file);
}

static const char *type_name(mode_t mode)
{
	static const struct {
		mode_t type;
		const char *name;
	} types[] = {
		{ S_IFREG, "file" },	{ S_IFDIR, "directory" }, { S_IFLNK, "symlink" },
		{ S_IFCHR, "char" },	{ S_IFBLK, "block" },	  { S_IFIFO, "fifo" },
		{ S_IFSOCK, "socket" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			return types[i].name;
	return "anonymous";
}

/*
 * Open files by fcntl() and not by listing /proc/self/fd: it works without /proc, and it does not
 * see the descriptor of its own directory.
 */
void write_fds(const char *key)
{
	static const char *const modes[] = { "r", "w", "rw", "none" };
	char path[64], link[4096];
	struct stat st;

	json_open(key, '[');
	for (int fd = 0; fd < 4096; fd++) {
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fstat(fd, &st) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);

		ssize_t n = readlink(path, link, sizeof(link));

		json_open(NULL, '{');
		json_number("fd", fd);
		json_string("type", type_name(st.st_mode));
		json_string("mode", modes[flags & O_ACCMODE]);
		json_format("flags", "0%o", flags);
		if (n < 0)
			json_null("link");
		else
			json_text("link", link, n);
		json_close('}');
	}
	json_close(']');
}

/* Returns -1 with errno, and writes nothing, when there is no such file. */
int write_stat(const char *key, int dir, const char *name)
{
	struct stat st;
	char link[4096];

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	json_open(key, '{');
	json_string("name", name);
	json_string("type", type_name(st.st_mode));
	json_format("mode", "%04o", st.st_mode & 07777);
	json_number("uid", st.st_uid);
	json_number("gid", st.st_gid);
	json_number("size", st.st_size);
	json_number("links", st.st_nlink);
	json_unsigned("inode", st.st_ino);
	json_format("device", "%u:%u", major(st.st_dev), minor(st.st_dev));
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		json_format("rdev", "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(dir, name, link, sizeof(link));

		json_text("link", link, n < 0 ? 0 : n);
	}
	json_close('}');
	return 0;
}

/* Names relative to the listed directory, sorted; DEPTH counts levels of directories below it. */
static void write_entries(int dir, const char *prefix, int depth)
{
	struct dirent **entries = NULL;
	int n = scandirat(dir, prefix[0] ? prefix : ".", &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *entry = entries[i]->d_name;
		char name[4096];
		struct stat st;

		snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "/" : "", entry);
		if (strcmp(entry, ".") != 0 && strcmp(entry, "..") != 0 &&
		    write_stat(NULL, dir, name) == 0 && depth > 0 &&
		    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			write_entries(dir, name, depth - 1);
		free(entries[i]);
	}
	free(entries);
}

int write_directory(const char *key, const char *path, int depth)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -1;
	json_open(key, '[');
	write_entries(dir, "", depth);
	json_close(']');
	close(dir);
	return 0;
}

void write_dev(const char *key)
{
	if (write_directory(key, "/dev", 1) < 0)
		json_null(key);
}

/* The controlling terminal is field 7 of stat, counted after the ")" that ends the name. */
static void write_controlling(const char *key)
{
	char text[1024];
	char *end =
	    read_file("/proc/self/stat", text, sizeof(text)) < 0 ? NULL : strrchr(text, ')');
	int device = 0;

	if (!end || sscanf(end, ") %*c %*d %*d %*d %d", &device) != 1 || device == 0)
		json_null(key);
	else
		json_format(key, "%u:%u", major(device), minor(device));
}

void write_tty(const char *key)
{
	int console = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct winsize size;

	json_open(key, '{');
	json_bool("opens", console >= 0); /* there is a controlling terminal */
	if (console >= 0)
		close(console);
	write_controlling("controlling");
	json_open("isatty", '[');
	for (int fd = 0; fd < 3; fd++)
		json_bool(NULL, isatty(fd));
	json_close(']');
	json_open("names", '[');
	for (int fd = 0; fd < 3; fd++)
		json_string(NULL, isatty(fd) ? ttyname(fd) : NULL);
	json_close(']');
	if (ioctl(0, TIOCGWINSZ, &size) < 0) {
		json_null("size");
	} else {
		json_open("size", '{');
		json_number("height", size.ws_row);
		json_number("width", size.ws_col);
		json_close('}');
	}
	json_close('}');
}

static void write_addresses(const char *key, const struct ifaddrs *all, const char *name)
{
	char text[INET6_ADDRSTRLEN];

	json_open(key, '[');
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		if (!at->ifa_addr || strcmp(at->ifa_name, name) != 0)
			continue;
		if (at->ifa_addr->sa_family == AF_INET)
			json_string(NULL, inet_ntop(AF_INET,
						    &((struct sockaddr_in *)at->ifa_addr)->sin_addr,
						    text, sizeof(text)));
		if (at->ifa_addr->sa_family == AF_INET6)
			json_string(NULL,
				    inet_ntop(AF_INET6,
					      &((struct sockaddr_in6 *)at->ifa_addr)->sin6_addr,
					      text, sizeof(text)));
	}
	json_close(']');
}

void write_network(const char *key)
{
	static const struct {
		unsigned flag;
		const char *name;
	} flags[] = {
		{ IFF_UP, "UP" },
		{ IFF_RUNNING, "RUNNING" },
		{ IFF_LOOPBACK, "LOOPBACK" },
		{ IFF_BROADCAST, "BROADCAST" },
		{ IFF_POINTOPOINT, "POINTOPOINT" },
		{ IFF_NOARP, "NOARP" },
		{ IFF_MULTICAST, "MULTICAST" },
	};
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0) {
		json_null(key);
		return;
	}
	json_open(key, '[');
	for (struct ifaddrs *at = all; at; at = at->ifa_next) {
		/* Each interface has one AF_PACKET entry, with or without addresses. */
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_PACKET)
			continue;
		json_open(NULL, '{');
		json_string("name", at->ifa_name);
		json_number("index", if_nametoindex(at->ifa_name));
		json_open("flags", '[');
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			if (at->ifa_flags & flags[i].flag)
				json_string(NULL, flags[i].name);
		json_close(']');
		write_addresses("addresses", all, at->ifa_name);
		json_close('}');
	}
	json_close(']');
	freeifaddrs(all);
}
