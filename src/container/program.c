/* args[0] and HOME as the container sees them, and why a file cannot be executed: in the words that
 * engines look for. */
#include <creel/become.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
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

	auto_left_fd file =
	    inroot_try(become->root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st = { 0 };

	/* What the image may have done is no error; what the host may have is. */
	if (file < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES &&
	    errno != EXDEV && errno != ENXIO)
		return error_system(err, errno, "cannot open the container's /etc/passwd");
	if (file >= 0 && fstat(file, &st) < 0)
		return error_system(err, errno, "cannot examine the container's /etc/passwd");
	if (file >= 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= PASSWD_MAX) {
		char *passwd =
		    file_read_open(become->arena, file, (size_t)st.st_size, PASSWD_MAX, NULL, err);

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
	error_code(err, CRL_PROGRAM_NOT_IN_PATH);
	return error_at(err, "/process/args/0");
}

/* Why a file cannot be executed. */
struct refusal {
	int errnum; /* 0: it can; else what execvp(3) would see, with EISDIR apart */
	enum crl code;
	char mount[64]; /* with CRL_NOEXEC_MOUNT: where it is, or "" */
};

/* The mount point that PATH is on, as /proc/self/mountinfo of the container has it, is not asked
 * for: its procfs may be anybody's.  The directory where the device changes says it as well. */
static void find_mount(const char *path, char *mount, size_t size)
{
	char up[sizeof(((struct refusal *)0)->mount)];
	struct statx here, above;

	mount[0] = '\0';
	if (snprintf(up, sizeof(up), "%s", path) >= (int)sizeof(up) || up[0] != '/' ||
	    statx(AT_FDCWD, up, 0, STATX_MNT_ID, &here) < 0)
		return;
	do {
		snprintf(mount, size, "%s", up);
		*strrchr(up, '/') = '\0';
	} while (up[0] && statx(AT_FDCWD, up, 0, STATX_MNT_ID, &above) == 0 &&
		 above.stx_mnt_id == here.stx_mnt_id);
	if (!up[0] && statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &above) == 0 &&
	    above.stx_mnt_id == here.stx_mnt_id)
		snprintf(mount, size, "/");
}

static void refuse(struct refusal *refusal, int errnum, enum crl code)
{
	refusal->errnum = errnum;
	refusal->code = code;
}

static void why_not(const char *path, struct refusal *refusal)
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

	*refusal = (struct refusal){ .errnum = 0 };
	if (fd < 0)
		refuse(refusal, errno == ELOOP ? EACCES : errno,
		       errno == ENOENT || errno == ENOTDIR ? CRL_PROGRAM_MISSING
							   : CRL_PROGRAM_NOT_EXECUTABLE);
	else if (fstat(fd, &st) < 0)
		refuse(refusal, errno, CRL_PROGRAM_NOT_EXECUTABLE);
	else if (S_ISDIR(st.st_mode))
		refuse(refusal, EISDIR, CRL_PROGRAM_DIRECTORY);
	else if (!S_ISREG(st.st_mode))
		refuse(refusal, EACCES, CRL_PROGRAM_NOT_EXECUTABLE);
	/* The kernel's answer counts noexec mounts in, and files of procfs are never executable. */
	else if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		refuse(refusal, errno,
		       errno == EACCES && fstatfs(fd, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC &&
			       (fs.f_flags & ST_NOEXEC)
			   ? CRL_NOEXEC_MOUNT
			   : CRL_PROGRAM_NOT_EXECUTABLE);
	if (refusal->code == CRL_NOEXEC_MOUNT)
		find_mount(path, refusal->mount, sizeof(refusal->mount));
}

/* The line to change is that of the mount's options, if the document asks for the mount. */
static void blame_mount(const struct become *become, const char *target, struct error *err)
{
	for (size_t i = become->mounts_n; i-- > 0;)
		if (become->mounts[i].where && strcmp(become->mounts[i].target, target) == 0) {
			error_at(err,
				 text_format(become->arena, "%s/options", become->mounts[i].where));
			return;
		}
}

/* The words are those that engines look for: dockerd "is a directory", podman "permission denied"
 * and "no such file or directory". */
static int refused(const struct become *become, const char *name, const char *path,
		   const struct refusal *refusal, struct error *err)
{
	if (refusal->code == CRL_NOEXEC_MOUNT)
		error_system(err, refusal->errnum, "exec: \"%s\": the mount at %s is noexec", name,
			     refusal->mount[0] ? refusal->mount : path);
	else if (refusal->code == CRL_PROGRAM_DIRECTORY)
		error_system(err, EACCES, "exec: \"%s\": is a directory", name);
	else if (refusal->errnum == ENOENT)
		error_system(err, ENOENT, "exec: \"%s\": stat %s", name, path);
	else
		error_system(err, refusal->errnum, "exec: \"%s\"", name);
	error_code(err, refusal->code);
	if (refusal->code == CRL_NOEXEC_MOUNT)
		blame_mount(become, refusal->mount, err);
	return error_at(err, "/process/args/0");
}

static int find_by_name(struct become *become, const char *name, struct error *err)
{
	const char *dirs = path_of(become);
	const char *where = NULL; /* the first one that is there and cannot be executed */
	struct refusal first = { .errnum = 0 };

	while (*dirs) {
		size_t length = strcspn(dirs, ":");
		char *path = length ? text_format(become->arena, "%.*s/%s", (int)length, dirs, name)
				    : text_format(become->arena, "./%s", name);
		struct refusal refusal;

		why_not(path, &refusal);
		if (refusal.errnum == 0) {
			become->program = path;
			return 0;
		}
		if (refusal.errnum == EACCES && !where) {
			where = path;
			first = refusal;
		}
		dirs += length + (dirs[length] == ':');
	}
	return where ? refused(become, name, where, &first, err) : not_found(name, err);
}

int become_find_program(struct become *become, struct error *err)
{
	const char *name = become->process->args.items[0];
	struct refusal refusal;

	if (!strchr(name, '/'))
		return *name ? find_by_name(become, name, err) : not_found(name, err);
	why_not(name, &refusal);
	if (refusal.errnum)
		return refused(become, name, name, &refusal, err);
	become->program = name;
	return 0;
}
