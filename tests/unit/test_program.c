/* args[0] as execvp(3) would find it, in the words that engines look for; HOME out of a file that
 * may be anything. */
#include "check.h"

#include <elf.h>
#include <errno.h>

#include <creel/become.h>

#include "room.h"

struct inside {
	struct room room;
	struct plan_process process;
	struct become become;
	char *args[2];
	char *env[3];
};

static void inside_open(struct inside *inside)
{
	*inside = (struct inside){ 0 };
	room_open(&inside->room);
	inside->process.args = (struct strings){ .items = inside->args, .n = 1 };
	inside->become = (struct become){
		.arena = &inside->room.arena,
		.process = &inside->process,
		.root = inside->room.runtime.root,
	};
	check_int(chdir(inside->room.path), 0);
}

static void write_file(struct inside *inside, const char *name, const char *text, mode_t mode)
{
	int fd =
	    openat(inside->room.runtime.root, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	check_int(fchmod(fd, mode), 0);
	close(fd);
}

static int find(struct inside *inside, const char *name, struct error *err)
{
	*err = (struct error){ 0 };
	inside->args[0] = (char *)name;
	return become_find_program(&inside->become, err);
}

static void with_path(struct inside *inside, const char *path)
{
	inside->env[0] = (char *)"A=b";
	inside->env[1] = (char *)path;
	inside->become.env = (struct strings){ .items = inside->env, .n = 2 };
}

static void test_a_path_is_taken_as_it_is(void **state)
{
	struct inside inside;
	struct error err;

	(void)state;
	inside_open(&inside);
	write_file(&inside, "run", "#!/bin/sh\n", 0755);
	check_int(find(&inside, "./run", &err), 0);
	check_text(inside.become.program, "./run");
	check_int(find(&inside, "./none", &err), -1);
	check_int(err.errnum, ENOENT);
	check_text(err.where, "/process/args/0");
	check_int(find(&inside, "./", &err), -1);
	check_has(err.what, "is a directory");
	check_int(err.errnum, EACCES);
	room_close(&inside.room);
}

static void test_a_name_is_looked_up_in_path(void **state)
{
	struct inside inside;
	struct error err;
	char path[200];

	(void)state;
	inside_open(&inside);
	check_int(mkdirat(inside.room.runtime.root, "first", 0755), 0);
	check_int(mkdirat(inside.room.runtime.root, "second", 0755), 0);
	check_int(mkdirat(inside.room.runtime.root, "first/run", 0755),
		  0); /* a directory is no program */
	write_file(&inside, "second/run", "#!/bin/sh\n", 0755);
	snprintf(path, sizeof(path), "PATH=/nonexistent:%s/first:%s/second", inside.room.path,
		 inside.room.path);
	with_path(&inside, path);
	check_int(find(&inside, "run", &err), 0);
	check_has(inside.become.program, "/second/run");
	check_int(find(&inside, "none", &err), -1);
	check_has(err.what, "executable file not found in $PATH");
	check_int(find(&inside, "", &err), -1);
	room_close(&inside.room);
}

static void test_without_the_right_it_is_permission_denied(void **state)
{
	struct inside inside;
	struct error err;
	char path[100];

	(void)state;
	inside_open(&inside);
	write_file(&inside, "run", "#!/bin/sh\n", 0644);
	snprintf(path, sizeof(path), "PATH=%s", inside.room.path);
	with_path(&inside, path);
	check_int(find(&inside, "./run", &err), -1);
	check_int(err.errnum, EACCES);
	check_int(find(&inside, "run", &err), -1);
	check_int(err.errnum, EACCES);
	room_close(&inside.room);
}

static void check_why(struct inside *inside, const char *program, int errnum, enum crl code,
		      const char *what)
{
	struct error err = { 0 };

	inside->become.program = program;
	check_int(become_explain_exec(&inside->become, errnum, &err), -1);
	check_text(err.what, what);
	check_int(err.errnum, errnum);
	check_int(err.code, code);
	check_text(err.call, "execve");
	check_text(err.where, "/process/args/0");
}

static void test_why_execve_failed(void **state)
{
	struct inside inside;

	(void)state;
	inside_open(&inside);
	write_file(&inside, "dos", "#!/bin/sh\r\n", 0755);
	write_file(&inside, "lost", "#!/no/such/interpreter -x\n", 0755);
	write_file(&inside, "empty", "", 0755);
	write_file(&inside, "text", "hello\n", 0755);
	write_file(&inside, "mark", "\xef\xbb\xbf#!/bin/sh\n", 0755);
	write_file(&inside, "closed", "#!/etc/passwd\n", 0755);
	check_why(
	    &inside, "dos", ENOENT, CRL_INTERPRETER_CRLF,
	    "exec dos: its first line ends in a carriage return (Windows line ends), and there "
	    "is no \"/bin/sh\\r\"");
	check_why(&inside, "lost", ENOENT, CRL_INTERPRETER_MISSING,
		  "exec lost: its interpreter is missing: /no/such/interpreter");
	check_why(&inside, "empty", ENOEXEC, CRL_NOT_A_PROGRAM, "exec empty: it is empty");
	check_why(&inside, "text", ENOEXEC, CRL_NOT_A_PROGRAM,
		  "exec text: it is neither a program nor a script with a #! line");
	check_why(&inside, "mark", ENOEXEC, CRL_NOT_A_PROGRAM,
		  "exec mark: a byte order mark stands before its #!");
	check_why(&inside, "closed", EACCES, CRL_INTERPRETER_UNUSABLE,
		  "exec closed: its interpreter cannot be executed: /etc/passwd");
	check_why(&inside, "none", ENOENT, CRL_SYSTEM, "exec none");
	room_close(&inside.room);
}

/* A header of 64 bits for MACHINE, and a segment that names LOADER, unless that is NULL. */
static void write_elf(struct inside *inside, const char *name, unsigned int machine,
		      const char *loader)
{
	struct {
		Elf64_Ehdr elf;
		Elf64_Phdr segment;
		char loader[64];
	} program = {
		.elf = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = (Elf64_Half)machine,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.segment = {
			.p_type = loader ? PT_INTERP : PT_LOAD,
			.p_offset = offsetof(typeof(program), loader),
			.p_filesz = loader ? strlen(loader) + 1 : 0,
		},
	};
	int fd =
	    openat(inside->room.runtime.root, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);

	if (loader)
		snprintf(program.loader, sizeof(program.loader), "%s", loader);
	check(fd >= 0 && write(fd, &program, sizeof(program)) == sizeof(program));
	close(fd);
}

static void test_programs_are_told_apart_by_their_header(void **state)
{
	struct inside inside;
	char script[200];

	(void)state;
	inside_open(&inside);
	write_elf(&inside, "musl", EM_X86_64, "/lib/ld-musl-none.so.1");
	write_elf(&inside, "arm", EM_AARCH64, NULL);
	write_elf(&inside, "odd", 0x7777, NULL);
	check_why(&inside, "musl", ENOENT, CRL_LOADER_MISSING,
		  "exec musl: its dynamic loader is missing: /lib/ld-musl-none.so.1");
	check_why(&inside, "odd", ENOEXEC, CRL_OTHER_MACHINE,
		  "exec odd: it is built for another machine");
#ifndef __aarch64__
	check_why(&inside, "arm", ENOEXEC, CRL_OTHER_MACHINE, "exec arm: it is built for aarch64");
#endif
	snprintf(script, sizeof(script), "#!%s/musl -x\n", inside.room.path);
	write_file(&inside, "script", script, 0755);
	check_why(&inside, "script", ENOENT, CRL_LOADER_MISSING,
		  "exec script: the dynamic loader of its interpreter is missing: "
		  "/lib/ld-musl-none.so.1");
	snprintf(script, sizeof(script), "#! %s/odd\n", inside.room.path);
	write_file(&inside, "script", script, 0755);
	check_why(&inside, "script", ENOEXEC, CRL_OTHER_MACHINE,
		  "exec script: its interpreter is built for another machine");
	room_close(&inside.room);
}

/* Each a header that lies about where things are. */
static void test_a_hostile_header_is_only_not_explained(void **state)
{
	struct inside inside;
	Elf64_Ehdr elf = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_phnum = 0xffff,
	};
	static const uint64_t offsets[] = { 0, 1, 4096, INT64_MAX, UINT64_MAX };

	(void)state;
	inside_open(&inside);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		int fd = openat(inside.room.runtime.root, "lies",
				O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);

		elf.e_phoff = offsets[i];
		check(fd >= 0 && write(fd, &elf, sizeof(elf)) == sizeof(elf));
		close(fd);
		check_why(&inside, "lies", ENOENT, CRL_PROGRAM_MISSING, "exec lies");
	}
	room_close(&inside.room);
}

static const char *home_of(struct inside *inside, uid_t uid)
{
	struct error err = { 0 };

	inside->process.uid = uid;
	inside->process.needs_home = true;
	check_int(become_find_home(&inside->become, &err), 0);
	check(inside->become.env.n >= 1);
	return inside->become.env.items[inside->become.env.n - 1];
}

static void test_home(void **state)
{
	struct inside inside;

	(void)state;
	inside_open(&inside);
	check_text(home_of(&inside, 0), "HOME=/");
	check_int(mkdirat(inside.room.runtime.root, "etc", 0755), 0);
	write_file(&inside, "etc/passwd",
		   "root:x:0:0:root:/root:/bin/sh\n::::\nbroken\nweb:x:33:33::/srv:/bin/"
		   "sh\nrelative:x:34:34::srv:\n",
		   0644);
	check_text(home_of(&inside, 0), "HOME=/root");
	check_text(home_of(&inside, 33), "HOME=/srv");
	check_text(home_of(&inside, 34), "HOME=/");
	check_text(home_of(&inside, 99), "HOME=/");
	/* A FIFO would block, and a link must not lead out. */
	check_int(unlinkat(inside.room.runtime.root, "etc/passwd", 0), 0);
	check_int(mkfifoat(inside.room.runtime.root, "etc/passwd", 0644), 0);
	check_text(home_of(&inside, 0), "HOME=/");
	check_int(unlinkat(inside.room.runtime.root, "etc/passwd", 0), 0);
	check_int(symlinkat("/../../etc/passwd", inside.room.runtime.root, "etc/passwd"), 0);
	check_text(home_of(&inside, 0), "HOME=/");
	room_close(&inside.room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_path_is_taken_as_it_is),
		cmocka_unit_test(test_a_name_is_looked_up_in_path),
		cmocka_unit_test(test_without_the_right_it_is_permission_denied),
		cmocka_unit_test(test_why_execve_failed),
		cmocka_unit_test(test_programs_are_told_apart_by_their_header),
		cmocka_unit_test(test_a_hostile_header_is_only_not_explained),
		cmocka_unit_test(test_home),
	};

	return check_all(tests);
}
