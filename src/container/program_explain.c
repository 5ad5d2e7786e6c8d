/*
 * Why execve(2) failed.  The kernel has one errno for many reasons - "no such file or directory"
 * also means that the interpreter is missing - so the file itself is looked at.  It is the
 * container's: hostile data, of which a bounded part is read.
 */
#include <creel/become.h>

#include <byteswap.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/text.h>

enum {
	/* What the kernel itself reads of a file to find out what it is (BINPRM_BUF_SIZE). */
	HEAD_SIZE = 256,
	NAME_SIZE = 128,
	SEGMENTS_MAX = 64,
};

struct file {
	int fd;
	char head[HEAD_SIZE + 1];
	size_t n; /* of the head */
};

/* False when it cannot be read, as by a user who may only execute it. */
static bool look(const char *path, struct file *file)
{
	ssize_t n;

	file->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	n = file->fd < 0 ? -1 : pread(file->fd, file->head, HEAD_SIZE, 0);
	file->n = n > 0 ? (size_t)n : 0;
	file->head[file->n] = '\0';
	return n >= 0;
}

static bool starts_with(const struct file *file, const char *magic, size_t n)
{
	return file->n >= n && memcmp(file->head, magic, n) == 0;
}

/* The interpreter of a "#!" line; false when there is none.  A carriage return is a part of it. */
static bool find_interpreter(const struct file *file, char *name)
{
	const char *start = file->head + 2;
	size_t length;

	if (!starts_with(file, "#!", 2))
		return false;
	start += strspn(start, " \t");
	length = strcspn(start, " \t\n");
	if (length == 0 || length >= NAME_SIZE)
		return false;
	memcpy(name, start, length);
	name[length] = '\0';
	return true;
}

static bool is_elf(const struct file *file)
{
	/* The fields that are looked at are at the same place in both sizes. */
	return starts_with(file, ELFMAG, SELFMAG) && file->n >= sizeof(Elf32_Ehdr);
}

static bool read_name(int fd, uint64_t offset, uint64_t size, char *name)
{
	ssize_t n;

	if (size == 0 || size >= NAME_SIZE || offset > INT64_MAX)
		return false;
	n = pread(fd, name, size, (off_t)offset);
	if (n <= 0)
		return false;
	name[n] = '\0';
	return name[0] != '\0';
}

/* The loader is what the segment PT_INTERP names, in programs of 64 bits and of 32. */
static bool find_loader(const struct file *file, char *name)
{
	bool large = file->head[EI_CLASS] == ELFCLASS64;
	size_t size = large ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	union {
		Elf32_Ehdr small;
		Elf64_Ehdr large;
	} elf;
	uint64_t at;
	unsigned int n;

	if (file->n < sizeof(elf))
		return false;
	memcpy(&elf, file->head, sizeof(elf));
	at = large ? elf.large.e_phoff : elf.small.e_phoff;
	n = large ? elf.large.e_phnum : elf.small.e_phnum;
	for (unsigned int i = 0; i < n && i < SEGMENTS_MAX && at < INT64_MAX; i++, at += size) {
		union {
			Elf32_Phdr small;
			Elf64_Phdr large;
		} segment;

		if (pread(file->fd, &segment, size, (off_t)at) != (ssize_t)size)
			return false;
		if (large && segment.large.p_type == PT_INTERP)
			return read_name(file->fd, segment.large.p_offset, segment.large.p_filesz,
					 name);
		if (!large && segment.small.p_type == PT_INTERP)
			return read_name(file->fd, segment.small.p_offset, segment.small.p_filesz,
					 name);
	}
	return false;
}

static const char *machine_of(const struct file *file)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} names[] = {
		{ EM_386, "i386" },
		{ EM_X86_64, "x86_64" },
		{ EM_ARM, "arm" },
		{ EM_AARCH64, "aarch64" },
		{ EM_RISCV, "riscv" },
		{ EM_PPC64, "ppc64" },
		{ EM_S390, "s390x" },
		{ EM_MIPS, "mips" },
		{ EM_PPC, "ppc" },
		{ EM_SPARCV9, "sparc64" },
		{ 258 /* LoongArch */, "loongarch64" },
	};
	const unsigned char ours =
	    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
	Elf32_Half machine;

	memcpy(&machine, file->head + offsetof(Elf32_Ehdr, e_machine), sizeof(machine));
	if ((unsigned char)file->head[EI_DATA] != ours)
		machine = bswap_16(machine);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "another machine";
}

/* The sentence, the code, and what execve(2) said. */
static int because(const struct become *become, int errnum, enum crl code, const char *why,
		   const char *name, const char *more, struct error *err)
{
	error_system(err, errnum, "exec %s%s%s%s%s", become->program, why[0] ? ": " : "", why, name,
		     more);
	error_code(err, code);
	error_call(err, "execve");
	return error_at(err, "/process/args/0");
}

static int explain_missing_interpreter(const struct become *become, char *name, struct error *err)
{
	size_t length = strlen(name);
	char loader[NAME_SIZE];
	struct file file;

	if (name[length - 1] == '\r') {
		name[length - 1] = '\0';
		because(
		    become, ENOENT, CRL_INTERPRETER_CRLF,
		    "its first line ends in a carriage return (Windows line ends), and there is "
		    "no \"",
		    name, "\\r\"", err);
		return error_hint(err, "remove the carriage returns: sed -i 's/\\r$//' %s",
				  become->program);
	}
	auto_fd fd = look(name, &file) ? file.fd : -1;

	if (fd >= 0 && is_elf(&file) && find_loader(&file, loader)) {
		because(become, ENOENT, CRL_LOADER_MISSING,
			"the dynamic loader of its interpreter is missing: ", loader, "", err);
		return error_hint(err, "%s is built for another C library", name);
	}
	because(become, ENOENT, CRL_INTERPRETER_MISSING, "its interpreter is missing: ", name, "",
		err);
	return error_hint(err, "%s exists, and its first line names %s", become->program, name);
}

static int explain_enoent(const struct become *become, const struct file *file, struct error *err)
{
	char name[NAME_SIZE];

	if (find_interpreter(file, name))
		return explain_missing_interpreter(become, name, err);
	if (is_elf(file) && find_loader(file, name)) {
		because(become, ENOENT, CRL_LOADER_MISSING, "its dynamic loader is missing: ", name,
			"", err);
		return error_hint(err,
				  "%s exists; it is built for another C library, or needs one "
				  "that the image does not have",
				  become->program);
	}
	return because(become, ENOENT, CRL_PROGRAM_MISSING, "", "", "", err);
}

static int explain_machine(const struct become *become, const struct file *file, const char *what,
			   struct error *err)
{
	struct utsname host;
	const char *machine = machine_of(file);

	if (uname(&host) < 0)
		snprintf(host.machine, sizeof(host.machine), "another");
	if (strcmp(machine, host.machine) == 0)
		return because(become, ENOEXEC, CRL_NOT_A_PROGRAM, what, "damaged", "", err);
	because(become, ENOEXEC, CRL_OTHER_MACHINE, what, "built for ", machine, err);
	return error_hint(err,
			  "this host is %s; take the image for it, or register an emulator in "
			  "binfmt_misc (qemu-user-static)",
			  host.machine);
}

static int explain_enoexec(const struct become *become, const struct file *file, struct error *err)
{
	char name[NAME_SIZE];

	if (file->n == 0)
		return because(become, ENOEXEC, CRL_NOT_A_PROGRAM, "it is empty", "", "", err);
	if (is_elf(file))
		return explain_machine(become, file, "it is ", err);
	if (starts_with(file, "\0asm", 4))
		return because(become, ENOEXEC, CRL_NOT_A_PROGRAM,
			       "it is a WebAssembly module, which no kernel executes", "", "", err);
	if (find_interpreter(file, name)) {
		struct file other;
		auto_fd fd = look(name, &other) ? other.fd : -1;

		if (fd >= 0 && is_elf(&other))
			return explain_machine(become, &other, "its interpreter is ", err);
		return because(become, ENOEXEC, CRL_INTERPRETER_UNUSABLE,
			       "its interpreter is no program: ", name, "", err);
	}
	if (starts_with(file, "\xef\xbb\xbf#!", 5))
		return because(become, ENOEXEC, CRL_NOT_A_PROGRAM,
			       "a byte order mark stands before its #!", "", "", err);
	because(become, ENOEXEC, CRL_NOT_A_PROGRAM,
		"it is neither a program nor a script with a #! line", "", "", err);
	return error_hint(err, "a script begins with a line such as #!/bin/sh");
}

int become_explain_exec(const struct become *become, int errnum, struct error *err)
{
	struct file file;
	char name[NAME_SIZE];
	bool readable = look(become->program, &file);
	auto_fd fd = file.fd;

	if (!readable)
		return because(become, errnum, CRL_SYSTEM, "", "", "", err);
	if (errnum == ENOENT)
		return explain_enoent(become, &file, err);
	if (errnum == ENOEXEC)
		return explain_enoexec(become, &file, err);
	if ((errnum == EACCES || errnum == ELOOP || errnum == ENOTDIR) &&
	    find_interpreter(&file, name))
		return because(become, errnum, CRL_INTERPRETER_UNUSABLE,
			       "its interpreter cannot be executed: ", name, "", err);
	return because(become, errnum, errnum == EACCES ? CRL_PROGRAM_NOT_EXECUTABLE : CRL_SYSTEM,
		       "", "", "", err);
}
