/* What CRIU is told, byte for byte by the numbers of its protocol, and what it answers. */
#include "check.h"

#include <sched.h>

#include <creel/criu.h>
#include <creel/error.h>
#include <creel/protobuf.h>

static struct arena arena;

/* The field NUMBER of criu_opts in an encoded request, the INDEXth of them; false when there is
 * none. */
static bool option(const struct criu_request *request, unsigned int number, size_t index,
		   struct protobuf_field *found)
{
	size_t size;
	const void *data = criu_encode(&arena, request, &size);
	struct protobuf_reader message = { .data = data, .size = size };
	struct protobuf_field field;

	while (protobuf_next(&message, &field) == 1) {
		struct protobuf_reader options = protobuf_inside(&field);

		if (field.field != 2)
			continue;
		while (protobuf_next(&options, found) == 1)
			if (found->field == number && index-- == 0)
				return true;
	}
	return false;
}

static uint64_t number(const struct criu_request *request, unsigned int field)
{
	struct protobuf_field found;

	return option(request, field, 0, &found) ? found.number : UINT64_MAX;
}

static char *text(const struct criu_request *request, unsigned int field, size_t index)
{
	struct protobuf_field found;

	return option(request, field, index, &found) ? protobuf_to_text(&arena, &found) : NULL;
}

/* The text in field 1, and that in field 2 or its number. */
static char *pair(const struct criu_request *request, unsigned int field, size_t index)
{
	struct protobuf_field found, part;
	char *first = NULL, *second = NULL;

	if (!option(request, field, index, &found))
		return NULL;

	struct protobuf_reader inside = protobuf_inside(&found);

	while (protobuf_next(&inside, &part) == 1) {
		if (part.field == 1)
			first = protobuf_to_text(&arena, &part);
		else
			second = part.data ? protobuf_to_text(&arena, &part)
					   : text_format(&arena, "%d", (int)part.number);
	}
	return text_format(&arena, "%s=%s", first, second);
}

static void test_dump(void **state)
{
	struct criu_request request = {
		.kind = CRIU_DUMP,
		.images = 5,
		.work = 6,
		.log_file = "dump.log",
		.pid = 42,
		.parent = "../before",
		.freeze_cgroup = "/sys/fs/cgroup/web",
		.page_server = "::1",
		.page_port = 9876,
		.cgroups = CRIU_CGROUPS_STRICT,
		.network_lock = CRIU_LOCK_NFTABLES,
		.empty_namespaces = CLONE_NEWNET,
		.leave_running = true,
		.tcp_established = true,
		.file_locks = true,
	};

	(void)state;
	strings_add(&arena, &request.external, arena_strdup(&arena, "net[1]:extRootNetNS"));
	criu_pair_add(&arena, &request.mounts, (struct criu_pair){ .key = "/a", .value = "k1" });
	criu_pair_add(&arena, &request.mounts, (struct criu_pair){ .key = "/b", .value = "k2" });
	check_int(number(&request, 1), 5);
	check_int(number(&request, 17), 6);
	check_int(number(&request, 2), 42);
	check_text(text(&request, 10, 0), "dump.log");
	check_text(text(&request, 14, 0), "../before");
	check_text(text(&request, 44, 0), "/sys/fs/cgroup/web");
	check_text(text(&request, 37, 0), "net[1]:extRootNetNS");
	check_text(pair(&request, 11, 0), "::1=9876");
	check_text(pair(&request, 23, 0), "/a=k1");
	check_text(pair(&request, 23, 1), "/b=k2");
	check_text(pair(&request, 23, 2), NULL);
	check_int(number(&request, 34), 5);
	check_int(number(&request, 64), 2);
	check_int(number(&request, 38), CLONE_NEWNET);
	check_int(number(&request, 3), 1);
	check_int(number(&request, 5), 1);
	check_int(number(&request, 8), 1);
	check_int(number(&request, 12), 1);
	check_int(number(&request, 50), 1);
	/* What was not asked for is not said. */
	check_int(number(&request, 4), -1);
	check_int(number(&request, 7), -1);
	check_int(number(&request, 26), -1);
	check_int(number(&request, 52), -1);
}

static void test_restore(void **state)
{
	struct criu_request request = {
		.kind = CRIU_RESTORE,
		.root = "/srv/web/rootfs",
		.cgroups = CRIU_CGROUPS_IGNORE,
		.cgroup_root = "/",
		.lsm_profile = "apparmor:web",
		.lsm_mount_context = "system_u:object_r:container_file_t:s0",
		.sibling = true,
		.shell_job = true,
	};
	struct protobuf_field found;

	(void)state;
	criu_pair_add(&arena, &request.inherited, (struct criu_pair){ .key = "pipe:[7]", .fd = 4 });
	criu_pair_add(&arena, &request.joins,
		      (struct criu_pair){ .key = "ipc", .value = "/proc/7/ns/ipc" });
	check_text(text(&request, 13, 0), "/srv/web/rootfs");
	check_text(pair(&request, 27, 0), "pipe:[7]=4");
	check_text(pair(&request, 39, 0), "ipc=/proc/7/ns/ipc");
	check_int(number(&request, 34), 0);
	check_int(number(&request, 24), 1);
	check_int(number(&request, 26), 1);
	check_int(number(&request, 7), 1);
	check_text(text(&request, 53, 0), "apparmor:web");
	check_has(text(&request, 63, 0), "container_file_t");
	check_int(number(&request, 2), -1);

	/* The root is the second field of its message: the first would name a controller. */
	check(option(&request, 25, 0, &found));
	check_int(found.data[0], 2 << 3 | 2);
}

static void test_version_has_no_options(void **state)
{
	const struct criu_request request = { .kind = CRIU_VERSION };

	(void)state;
	check_int(number(&request, 1), -1);
	check_int(number(&request, 12), -1);
}

static struct criu_answer decode(const char *bytes, size_t size, int expected)
{
	struct criu_answer answer;
	struct error err = { 0 };

	check_int(criu_decode(&arena, bytes, size, &answer, &err), expected);
	return answer;
}

#define DECODE(bytes) decode(bytes, sizeof(bytes) - 1, 0)

static void test_answers(void **state)
{
	struct criu_answer answer;

	(void)state;
	answer = DECODE("\x08\x06\x10\x01\x2a\x0e\x0a\x0a"
			"pre-resume"
			"\x10\x07");
	check_int(answer.type, 6);
	check(answer.success);
	check_text(answer.script, "pre-resume");
	check_int(answer.pid, 7);
	answer = DECODE("\x08\x02\x10\x01\x22\x02\x08\x2a");
	check(answer.success && answer.pid == 42);
	answer = DECODE("\x08\x02\x10\x00\x38\x11\x4a\x03"
			"why");
	check(!answer.success);
	check_int(answer.errnum, 17);
	check_text(answer.message, "why");
	answer = DECODE("\x08\x0a\x10\x01\x52\x04\x08\x04\x10\x01");
	check_int(answer.version, 40100);
	decode("\x08", 1, -1);
	decode("\x2a\x02\x0a\x05", 4, -1);
}

static void test_first_errors(void **state)
{
	static const char log[] =
	    "(00.000001) Version: 4.1\n"
	    "(00.010000) Warn  (criu/kerndat.c:10): nothing to see\n"
	    "(00.020000)      1: Error (criu/tty.c:1000): tty: No peer: /dev/pts/3\n"
	    "(00.030000) Error (criu/cr-dump.c:2): Dumping FAILED.\n"
	    "Error: ipv4: Address already assigned.\n"
	    "(00.040000) Error (criu/a.c:1): third\n"
	    "(00.040000) Error (criu/a.c:1): fourth";

	(void)state;
	check_text(criu_first_errors(&arena, log),
		   "tty: No peer: /dev/pts/3; Dumping FAILED.; third");
	check_text(criu_first_errors(&arena, ""), "");
	check_text(criu_first_errors(&arena, "Error (unfinished"), "");
}

static int clean(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_dump, clean),
		cmocka_unit_test_teardown(test_restore, clean),
		cmocka_unit_test_teardown(test_version_has_no_options, clean),
		cmocka_unit_test_teardown(test_answers, clean),
		cmocka_unit_test_teardown(test_first_errors, clean),
	};

	return check_all(tests);
}
