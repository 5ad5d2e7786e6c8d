/*
 * Fuzzing the pure half: the bytes of a document to a plan, its text and its system call filter.
 * The first byte picks the host and the cgroup manager, so that all branches can be reached.
 */
#include <creel/error.h>
#include <creel/log.h>
#include <creel/plan.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void drop(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	(void)level;
	/* Reading it all is what a sink does: an unterminated text is found here. */
	if (strlen(text) == SIZE_MAX)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err = { 0 };

	(void)argc;
	(void)argv;
	if (log_open(NULL, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG, &err) < 0)
		abort();
	log_to_function(drop, NULL);
	return 0;
}

/* Every jump of a filter must stay inside, or the kernel would refuse what we made. */
static void check_program(const struct seccomp_program *program)
{
	for (size_t i = 0; i < program->length; i++) {
		const struct sock_filter *op = &program->filter[i];
		size_t farthest = i + 1;

		if (op->code == (BPF_JMP | BPF_JA))
			farthest += op->k;
		else if (BPF_CLASS(op->code) == BPF_JMP)
			farthest += op->jt > op->jf ? op->jt : op->jf;
		else if (BPF_CLASS(op->code) == BPF_RET)
			continue;
		if (farthest >= program->length)
			abort();
	}
}

/* Whatever a document holds, the JSON form of its plan can be read. */
static bool is_json(struct arena *arena, const struct plan *plan)
{
	const char *text = plan_json(arena, plan, NULL);
	struct error err = { 0 };

	return json_parse(arena, "plan", text, strlen(text), &err) != NULL;
}

static void plan_document(const char *text, size_t size, uint8_t choice)
{
	auto_arena arena = { 0 };
	struct oci_config config = { 0 };
	struct plan_seccomp seccomp;
	struct plan plan;
	struct error err = { 0 };
	const struct plan_request request = {
		.id = "fuzz",
		.bundle = "/bundle",
		.manager = (enum cgroup_manager)(choice % 3),
		.listen_fds = choice & 4 ? 2 : 0,
		.listen_names = "a:b",
	};
	struct facts facts = {
		.euid = choice & 8 ? 1000 : 0,
		.egid = choice & 8 ? 1000 : 0,
		.is_admin = !(choice & 8),
		.in_userns = choice & 16,
		.can_set_groups = !(choice & 32),
		.systemd = true,
		.apparmor = choice & 64,
		.selinux = choice & 64,
		.cap_last = 40,
		.caps_bounding = UINT64_MAX,
	};

	if (!(choice & 128))
		facts.cgroup_mount = arena_strdup(&arena, "/sys/fs/cgroup");
	facts.cgroup_own = arena_strdup(&arena, "/a/b");
	if (schema_parse(&oci_config_schema, &arena, "config.json", text, size, &config, NULL,
			 &err) < 0)
		return;
	if (plan_make(&arena, &config, &request, &facts, &plan, &err) < 0)
		return;
	if (strlen(plan_print(&arena, &plan)) == 0 ||
	    strlen(plan_view(&arena, &plan, NULL, true)) == 0 || !is_json(&arena, &plan))
		abort();
	if (!config.linux || !config.linux->seccomp)
		return;
	if (plan_seccomp(&arena, config.linux->seccomp, "/linux/seccomp", &seccomp, &err) == 0)
		check_program(&seccomp.program);
}

/* A document begins with a brace: without a byte before it the usual host is meant, so that golden
 * documents are seeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t choice = 0;

	if (size > 0 && data[0] != '{') {
		choice = data[0];
		data++;
		size--;
	}
	plan_document((const char *)data, size, choice);
	return 0;
}
