/* args[0] as execvp(3) would find it, in the words that engines look for; HOME out of a file that
 * may be anything. */
#include "check.h"

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

static void test_why_execve_failed(void **state)
{
	struct inside inside;
	struct error err = { 0 };

	(void)state;
	inside_open(&inside);
	write_file(&inside, "dos", "#!/bin/sh\r\n", 0755);
	write_file(&inside, "lost", "#!/no/such/interpreter -x\n", 0755);
	write_file(&inside, "empty", "", 0755);
	write_file(&inside, "text", "hello\n", 0755);
	inside.become.program = "dos";
	become_explain_exec(&inside.become, ENOENT, &err);
	check_has(err.hint, "carriage return");
	check_text(err.call, "execve");
	inside.become.program = "lost";
	become_explain_exec(&inside.become, ENOENT, &err);
	check_has(err.hint, "its interpreter /no/such/interpreter does not");
	inside.become.program = "empty";
	become_explain_exec(&inside.become, ENOEXEC, &err);
	check_has(err.hint, "empty");
	inside.become.program = "text";
	become_explain_exec(&inside.become, ENOEXEC, &err);
	check_has(err.hint, "neither a program nor a script");
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
		cmocka_unit_test(test_home),
	};

	return check_all(tests);
}
