/*
 * Whether args[0] is there, and whether the kernel would execute it: a script's interpreter, a
 * program's machine and dynamic loader.
 */
#include "check_parts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/fd.h>
#include <creel/file.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define WHERE	     "/process/args/0"

static const char *path_variable(const struct checker *check)
{
	const struct strings *env = &check->plan->process.env;

	for (size_t i = 0; i < env->n; i++)
		if (text_starts_with(env->items[i], "PATH="))
			return env->items[i] + strlen("PATH=");
	return DEFAULT_PATH;
}

static bool is_program(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* args[0] as execvp(3) would find it; NULL when it is not found, *PLACE says how certainly. */
static const char *find_by_name(const struct checker *check, const char *name, enum place *place)
{
	*place = PLACE_ABSENT;
	for (const char *dirs = path_variable(check); *dirs;) {
		size_t length = strcspn(dirs, ":");
		const char *path =
		    text_format(check->runtime->arena, "%.*s/%s", (int)length, dirs, name);
		int found = -1;
		enum place here =
		    dirs[0] == '/' ? checker_look(check, path, O_PATH, &found) : PLACE_UNCERTAIN;
		auto_fd fd = found;

		if (here == PLACE_FOUND && is_program(fd)) {
			*place = PLACE_FOUND;
			return path;
		}
		if (here > *place)
			*place = here;
		dirs += length + (dirs[length] == ':');
	}
	return NULL;
}

static void say_absent(const struct checker *check, enum place place, const char *name)
{
	struct error err = { 0 };

	if (place == PLACE_HIDDEN)
		return;
	if (place == PLACE_UNCERTAIN) {
		struct error *finding = findings_say(check->findings, FINDING_WARNING, WHERE,
						     "\"%s\" is not in the root filesystem", name);

		if (finding)
			error_hint(finding,
				   "a mount or a hook may bring it; nothing of what can be "
				   "seen now does");
		return;
	}
	if (strchr(name, '/')) {
		error_system(&err, ENOENT, "exec: \"%s\": stat %s", name, name);
		checker_error(check, &err, WHERE, CRL_PROGRAM_MISSING);
		return;
	}
	error_system(&err, 0, "exec: \"%s\": executable file not found in $PATH", name);
	error_hint(&err, "looked for in the container's %s", path_variable(check));
	checker_error(check, &err, WHERE, CRL_PROGRAM_NOT_IN_PATH);
}

static void check_interpreter(const struct checker *check, const char *path, char *line)
{
	struct error err = { 0 };
	char *name = line + strspn(line, " \t");
	bool carriage_return;
	auto_fd fd = -1;

	name[strcspn(name, "\n")] = '\0';
	carriage_return = text_ends_with(name, "\r");
	name[strcspn(name, " \t\r")] = '\0';
	if (carriage_return) {
		error_system(&err, ENOENT, "exec %s: its interpreter \"%s\\r\" does not exist",
			     path, name);
		error_hint(&err, "the first line ends in a carriage return: it was written with "
				 "Windows line ends");
		checker_error(check, &err, WHERE, CRL_INTERPRETER_CRLF);
	} else if (name[0] == '/' && checker_look(check, name, O_PATH, &fd) == PLACE_ABSENT) {
		error_system(&err, ENOENT, "exec %s: its interpreter %s does not exist", path,
			     name);
		checker_error(check, &err, WHERE, CRL_INTERPRETER_MISSING);
	}
}

/* binfmt_misc may know what the kernel by itself does not. */
static bool has_emulators(const struct checker *check)
{
	char status[16];

	return file_read_small(AT_FDCWD, "/proc/sys/fs/binfmt_misc/status", status,
			       sizeof(status)) > 0 &&
	       text_equal(status, "enabled") && check->facts;
}

/* The machines whose programs run on ours beside our own. */
static bool runs_here(unsigned int machine)
{
	Elf64_Ehdr own;
	auto_fd fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &own, sizeof(own)) != (ssize_t)sizeof(own))
		return true;
	return machine == own.e_machine || (own.e_machine == EM_X86_64 && machine == EM_386) ||
	       (own.e_machine == EM_AARCH64 && machine == EM_ARM);
}

static void say_not_executable(const struct checker *check, struct error *err, int code)
{
	if (!has_emulators(check)) {
		checker_error(check, err, WHERE, code);
		return;
	}
	error_at(err, WHERE);
	error_hint(err, "unless binfmt_misc knows who can run it");
	findings_add(check->findings, FINDING_WARNING, err);
}

/* The dynamic loader that a 64-bit program of our byte order names. */
static void check_loader(const struct checker *check, const char *path, int file,
			 const Elf64_Ehdr *elf)
{
	struct error err = { 0 };

	for (unsigned int i = 0; i < elf->e_phnum && i < 64; i++) {
		char name[256] = "";
		Elf64_Phdr segment;
		auto_fd fd = -1;

		if (pread(file, &segment, sizeof(segment),
			  (off_t)(elf->e_phoff + i * sizeof(segment))) != sizeof(segment))
			return;
		if (segment.p_type != PT_INTERP || segment.p_filesz >= sizeof(name))
			continue;
		if (pread(file, name, segment.p_filesz, (off_t)segment.p_offset) <= 0 ||
		    checker_look(check, name, O_PATH, &fd) != PLACE_ABSENT)
			return;
		error_system(&err, ENOENT, "exec %s: its dynamic loader %s does not exist", path,
			     name);
		error_hint(&err, "is it built for another C library?");
		checker_error(check, &err, WHERE, CRL_LOADER_MISSING);
		return;
	}
}

static void check_elf(const struct checker *check, const char *path, int file, const char *head)
{
	struct error err = { 0 };
	Elf64_Ehdr elf;

	memcpy(&elf, head, sizeof(elf));
	if (!runs_here(elf.e_machine)) {
		error_system(&err, ENOEXEC, "exec %s: it is built for another machine (ELF %u)",
			     path, elf.e_machine);
		say_not_executable(check, &err, CRL_OTHER_MACHINE);
	} else if (elf.e_ident[EI_CLASS] == ELFCLASS64 && elf.e_phentsize == sizeof(Elf64_Phdr)) {
		check_loader(check, path, file, &elf);
	}
}

static void check_content(const struct checker *check, const char *path, int file)
{
	char head[256] = { 0 };
	ssize_t n = read(file, head, sizeof(head) - 1);
	struct error err = { 0 };

	if (n >= 2 && head[0] == '#' && head[1] == '!') {
		check_interpreter(check, path, head + 2);
	} else if (n >= (ssize_t)sizeof(Elf64_Ehdr) && memcmp(head, ELFMAG, SELFMAG) == 0) {
		check_elf(check, path, file, head);
	} else if (n >= 0) {
		error_system(&err, ENOEXEC, "exec %s: %s", path,
			     n == 0 ? "it is an empty file"
				    : "it is neither a program nor a script with a #! line");
		say_not_executable(check, &err, CRL_NOT_A_PROGRAM);
	}
}

static void check_file(const struct checker *check, const char *path)
{
	struct error err = { 0 };
	struct stat st;
	auto_fd fd = -1;
	auto_fd file = -1;

	if (checker_look(check, path, O_PATH, &fd) != PLACE_FOUND || fstat(fd, &st) < 0)
		return;
	if (S_ISDIR(st.st_mode)) {
		error_system(&err, EACCES, "exec: \"%s\": is a directory", path);
		checker_error(check, &err, WHERE, CRL_PROGRAM_DIRECTORY);
	} else if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
		error_system(&err, EACCES, "exec: \"%s\"", path);
		error_hint(&err, "it is not executable: chmod +x");
		checker_error(check, &err, WHERE, CRL_PROGRAM_NOT_EXECUTABLE);
	} else if (checker_look(check, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &file) ==
		   PLACE_FOUND) {
		check_content(check, path, file);
	}
}

void check_program(const struct checker *check)
{
	const struct strings *args = &check->plan->process.args;
	const char *name = args->n > 0 ? args->items[0] : "";
	enum place place;
	auto_fd fd = -1;

	/* A relative path begins where the process begins, which a mount may have moved. */
	if (check->root < 0 || !name[0] || (strchr(name, '/') && name[0] != '/') ||
	    findings_has_error(check->findings, "/process/args"))
		return;
	if (name[0] != '/')
		name = find_by_name(check, name, &place);
	else
		place = checker_look(check, name, O_PATH, &fd);
	if (place == PLACE_FOUND)
		check_file(check, name);
	else
		say_absent(check, place, args->items[0]);
}
