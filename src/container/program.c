/* args[0] and HOME as the container sees them, and why a program cannot be executed: in the words
 * that engines look for. */
#include <creel/become.h>

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/inroot.h>
#include <creel/text.h>

#define PASSWD_MAX   ((size_t)1 << 20)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The 6th field of the first line whose 3rd is UID; NULL when there is none. */
static char *home_in(struct arena *arena, char *passwd, uid_t uid)
{
	char *lines = passwd;

	for (char *line = strsep(&lines, "\n"); line; line = strsep(&lines, "\n")) {
		char *fields[7] = { 0 };
		size_t n = 0;
		uint64_t id;

		for (char *field = strsep(&line, ":"); field && n < 7; field = strsep(&line, ":"))
			fields[n++] = field;
		if (n >= 6 && text_parse_uint(fields[2], UINT32_MAX, &id) && id == uid &&
		    fields[5][0] == '/')
			return arena_strdup(arena, fields[5]);
	}
	return NULL;
}

int become_find_home(struct become *become, struct error *err)
{
	const struct plan_process *process = become->process;
	char *home = NULL;

	become->env = process->env;
	if (!process->needs_home)
		return 0;

	auto_fd file = inroot_try(become->root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st = { 0 };

	/* What the image may have done is no error; what the host may have is. */
	if (file < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES &&
	    errno != EXDEV && errno != ENXIO)
		return error_system(err, errno, "cannot open the container's /etc/passwd");
	if (file >= 0 && fstat(file, &st) < 0)
		return error_system(err, errno, "cannot examine the container's /etc/passwd");
	if (file >= 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= PASSWD_MAX) {
		char *passwd = file_read_fd(become->arena, file, PASSWD_MAX, NULL, err);

		/* A dying disk must not give the program another home than it had yesterday. */
		if (!passwd)
			return error_while(err, "cannot read the container's /etc/passwd");
		home = home_in(become->arena, passwd, process->uid);
	}
	/* A copy: the plan's own list stays as it is. */
	struct strings env = { 0 };

	for (size_t i = 0; i < process->env.n; i++)
		if (!text_starts_with(process->env.items[i], "HOME="))
			strings_add(become->arena, &env, process->env.items[i]);
	strings_add(become->arena, &env, text_format(become->arena, "HOME=%s", home ? home : "/"));
	become->env = env;
	return 0;
}

static const char *path_of(const struct become *become)
{
	for (size_t i = 0; i < become->env.n; i++)
		if (text_starts_with(become->env.items[i], "PATH="))
			return become->env.items[i] + strlen("PATH=");
	return DEFAULT_PATH;
}

static int not_found(const char *name, struct error *err)
{
	error_system(err, 0, "exec: \"%s\": executable file not found in $PATH", name);
	return error_at(err, "/process/args/0");
}

/* 0 when PATH can be executed; else the errno that execvp(3) would see, with EISDIR apart. */
static int why_not(const char *path)
{
	struct stat st;
	struct statfs fs;
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		/* /proc/self/exe and /proc/self/fd/N lead out of the container (CVE-2019-5736,
		   CVE-2024-21626). */
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	auto_fd fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0)
		return errno == ELOOP ? EACCES : errno;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode) || fs.f_type == PROC_SUPER_MAGIC || (fs.f_flags & ST_NOEXEC))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int find_by_name(struct become *become, const char *name, struct error *err)
{
	const char *dirs = path_of(become);
	int reason = ENOENT;

	while (*dirs) {
		size_t length = strcspn(dirs, ":");
		char *path = length ? text_format(become->arena, "%.*s/%s", (int)length, dirs, name)
				    : text_format(become->arena, "./%s", name);
		int found = why_not(path);

		if (found == 0) {
			become->program = path;
			return 0;
		}
		if (found == EACCES)
			reason = EACCES;
		dirs += length + (dirs[length] == ':');
	}
	if (reason != EACCES)
		return not_found(name, err);
	error_system(err, EACCES, "exec: \"%s\"", name);
	return error_at(err, "/process/args/0");
}

int become_find_program(struct become *become, struct error *err)
{
	const char *name = become->process->args.items[0];
	int found;

	if (!strchr(name, '/'))
		return *name ? find_by_name(become, name, err) : not_found(name, err);
	found = why_not(name);
	switch (found) {
	case 0:
		become->program = name;
		return 0;
	case ENOENT:
		error_system(err, ENOENT, "exec: \"%s\": stat %s", name, name);
		break;
	case EISDIR:
		/* Both words: dockerd looks for "is a directory", podman for "permission denied".
		 */
		error_system(err, EACCES, "exec: \"%s\": is a directory", name);
		break;
	default:
		error_system(err, found, "exec: \"%s\"", name);
		break;
	}
	return error_at(err, "/process/args/0");
}

/* "#!/bin/bash\r": the file is there, what its first line names is not. */
static int explain_script(const struct become *become, const char *head, struct error *err)
{
	char line[128];
	size_t n = strcspn(head + 2, "\n");
	const char *start = head + 2 + strspn(head + 2, " \t");
	size_t length;

	if (n >= sizeof(line))
		n = sizeof(line) - 1;
	length = strcspn(start, " \t\n");
	if (length > n)
		length = n;
	memcpy(line, start, length);
	line[length] = '\0';
	if (length > 0 && line[length - 1] == '\r') {
		line[length - 1] = '\0';
		return error_hint(
		    err,
		    "%s exists, but its first line ends in a carriage return: it was written "
		    "with Windows line ends, so the interpreter \"%s\\r\" is not found",
		    become->program, line);
	}
	return error_hint(err, "%s exists, but its interpreter %s does not", become->program, line);
}

static const char *machine_name(unsigned int machine)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} names[] = {
		{ EM_386, "i386" },	   { EM_X86_64, "x86_64" }, { EM_ARM, "arm" },
		{ EM_AARCH64, "aarch64" }, { EM_RISCV, "riscv" },   { EM_PPC64, "ppc64" },
		{ EM_S390, "s390x" },	   { EM_MIPS, "mips" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another machine";
}

int become_explain_exec(const struct become *become, int errnum, struct error *err)
{
	char head[256] = { 0 };
	Elf64_Ehdr elf;
	auto_fd file = open(become->program, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = file < 0 ? -1 : read(file, head, sizeof(head) - 1);

	error_system(err, errnum, "exec %s", become->program);
	error_call(err, "execve");
	error_at(err, "/process/args/0");
	if (n >= 2 && head[0] == '#' && head[1] == '!' && errnum == ENOENT)
		return explain_script(become, head, err);
	if (n >= (ssize_t)sizeof(elf) && memcmp(head, ELFMAG, SELFMAG) == 0) {
		memcpy(&elf, head, sizeof(elf));
		if (errnum == ENOENT)
			return error_hint(
			    err,
			    "%s exists, but the dynamic loader that it names does not: is "
			    "it built for another C library?",
			    become->program);
		if (errnum == ENOEXEC)
			return error_hint(err, "%s is built for %s", become->program,
					  machine_name(elf.e_machine));
	}
	if (errnum == ENOEXEC && n == 0)
		return error_hint(err, "%s is an empty file", become->program);
	if (errnum == ENOEXEC)
		return error_hint(err, "%s is neither a program nor a script with a #! line",
				  become->program);
	return -1;
}
