/*
 * A profile of system calls to its filter.  Text that begins with a brace is a document, whose
 * program must be one that the kernel takes.  Other bytes draw a profile and questions: the
 * program, run by an interpreter, answers as the reference does, which reads the profile.
 */
#include "fuzz.h"

#include <creel/error.h>
#include <creel/plan.h>

#include "../unit/seccomp_reference.h"

#define X86    SCMP_ARCH_X86
#define X86_64 SCMP_ARCH_X86_64

/* Every instruction and every jump, those that no question reaches too. */
static void check_program(const struct seccomp_program *program)
{
	must(program->length <= BPF_MAXINSNS);
	for (size_t i = 0; i < program->length; i++) {
		const struct sock_filter *op = &program->filter[i];
		size_t farthest = i + 1;

		if (op->code == (BPF_JMP | BPF_JA))
			farthest += op->k;
		else if (BPF_CLASS(op->code) == BPF_JMP)
			farthest += op->jt > op->jf ? op->jt : op->jf;
		else if (BPF_CLASS(op->code) == BPF_RET)
			continue;
		must(farthest < program->length);
	}
}

static void compile_document(struct arena *arena, const char *text, size_t size)
{
	struct oci_seccomp profile = { 0 };
	struct plan_seccomp plan;
	struct error err = { 0 };

	if (schema_parse(&oci_seccomp_schema, arena, "profile", text, size, &profile, NULL, &err) <
	    0)
		return;
	check_round_trip(&oci_seccomp_schema, arena, &profile);
	if (plan_seccomp(arena, &profile, "/linux/seccomp", &plan, &err) == 0)
		check_program(&plan.program);
	else
		must(err.what[0]);
}

/* Numbers near which mistakes are made, and any others. */
static uint64_t draw_value(struct bytes *bytes)
{
	static const uint64_t values[] = { 0,		1,	     2,		3,	 21,
					   38,		0xffff,	     0x10001,	0x10015, 0xffffffff,
					   0x100000000, 0x100000001, UINT64_MAX };
	uint8_t choice = take_byte(bytes);

	return choice < 64 ? take_number(bytes, 8) : values[choice % ARRAY_SIZE(values)];
}

static const struct action *draw_action(struct bytes *bytes)
{
	return &actions[take_byte(bytes) % ARRAY_SIZE(actions)];
}

static struct optional_uint draw_errno(struct bytes *bytes, const struct action *action)
{
	uint8_t choice = take_byte(bytes);
	bool has = action->action == OCI_SECCOMP_ERRNO || action->action == OCI_SECCOMP_TRACE;

	return (struct optional_uint){ .set = has && choice & 1, .value = has ? choice >> 1 : 0 };
}

static void draw_rule(struct arena *arena, struct bytes *bytes, struct oci_seccomp_rule *rule)
{
	const struct action *action = draw_action(bytes);
	uint8_t counts = take_byte(bytes);
	size_t args = counts % 7 % 4;

	*rule = (struct oci_seccomp_rule){
		.action = { .set = true, .value = action->action },
		.errno_ret = draw_errno(bytes, action),
	};
	for (size_t i = 0; i <= (size_t)counts / 128; i++)
		strings_add(arena, &rule->names,
			    (char *)(uintptr_t)calls[take_byte(bytes) % ARRAY_SIZE(calls)].name);
	rule->args.items = arena_array(arena, args + 1, sizeof(*rule->args.items));
	rule->args.n = args;
	for (size_t i = 0; i < args; i++)
		rule->args.items[i] = (struct oci_seccomp_arg){
			.index = { .set = true, .value = take_byte(bytes) % 6 },
			.op = { .set = true, .value = take_byte(bytes) % 7 },
			.value = { .set = true, .value = draw_value(bytes) },
			.value_two = { .set = true, .value = draw_value(bytes) },
		};
}

static void draw_profile(struct arena *arena, struct bytes *bytes, struct oci_seccomp *profile)
{
	const struct action *standard = draw_action(bytes);
	size_t rules = take_byte(bytes) % 16;

	*profile = (struct oci_seccomp){
		.default_action = { .set = true, .value = standard->action },
		.default_errno_ret = draw_errno(bytes, standard),
	};
	strings_add(arena, &profile->architectures, (char *)(uintptr_t) "SCMP_ARCH_X86_64");
	strings_add(arena, &profile->architectures, (char *)(uintptr_t) "SCMP_ARCH_X86");
	strings_add(arena, &profile->architectures, (char *)(uintptr_t) "SCMP_ARCH_X32");
	profile->syscalls.items = arena_array(arena, rules + 1, sizeof(*profile->syscalls.items));
	profile->syscalls.n = rules;
	for (size_t i = 0; i < rules; i++)
		draw_rule(arena, bytes, &profile->syscalls.items[i]);
}

static void ask(const struct oci_seccomp *profile, const struct seccomp_program *program,
		struct question *question, const struct call *call, const uint64_t *args)
{
	struct seccomp_data data = { .arch = question->x86 ? X86 : X86_64 };
	int number = number_on(call, question);
	uint32_t found, wanted;

	if (number < 0)
		return;
	question->number = (uint32_t)number;
	question->args = args;
	memcpy(data.args, args, sizeof(data.args));
	data.nr = (int)(question->number | question->base);
	found = interpret(program->filter, program->length, &data);
	wanted = refer(profile, question);
	if (found == wanted)
		return;
	fprintf(stderr, "%s on %s: 0x%x, not 0x%x\n", call->name,
		question->x86	 ? "x86"
		: question->base ? "x32"
				 : "x86_64",
		found, wanted);
	abort();
}

static void compare(struct arena *arena, struct bytes *bytes)
{
	struct oci_seccomp profile;
	struct plan_seccomp plan;
	struct error err = { 0 };
	uint64_t args[6];

	draw_profile(arena, bytes, &profile);
	must(plan_seccomp(arena, &profile, "/linux/seccomp", &plan, &err) == 0);
	check_program(&plan.program);
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(args); i++)
			args[i] = draw_value(bytes);
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			ask(&profile, &plan.program, &(struct question){ 0 }, &calls[i], args);
			ask(&profile, &plan.program, &(struct question){ .x86 = true }, &calls[i],
			    args);
			ask(&profile, &plan.program, &(struct question){ .base = X32_BIT },
			    &calls[i], args);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };

	if (size > 0 && data[0] == '{') {
		const char *text = take_rest(&arena, &bytes, &size);

		compile_document(&arena, text, size);
	} else {
		compare(&arena, &bytes);
	}
	return 0;
}
