/*
 * Rules of devices to the program on a cgroup: run by an interpreter that refuses what the kernel's
 * verifier would, it answers as the rules do.
 */
#include "fuzz.h"

#include "../unit/device_interpreter.h"

#define RULES_MAX 32

/* Small numbers meet each other. */
static int64_t draw_number(struct bytes *bytes, uint64_t max, bool any)
{
	uint8_t choice = take_byte(bytes);

	if (any && choice > 200)
		return -1;
	return choice > 100 ? choice % 5 : (int64_t)(take_number(bytes, 4) & max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct device_rule rules[RULES_MAX];
	struct bpf_insn *program;
	size_t n = take_byte(&bytes) % (RULES_MAX + 1), length = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t choice = take_byte(&bytes);

		rules[i] = (struct device_rule){
			.allow = choice & 1,
			.type = "abcc"[choice >> 1 & 3],
			.access = 1 + (choice >> 3) % DEVICE_ALL,
			.major = draw_number(&bytes, 4095, true),
			.minor = draw_number(&bytes, 1048575, true),
		};
	}
	program = device_program(&arena, rules, n, &length);
	must(program && length > 0);
	for (int i = 0; i < 16; i++) {
		uint8_t choice = take_byte(&bytes);
		char type = choice & 1 ? 'b' : 'c';
		unsigned int access = choice >> 1 & 7;
		int64_t major = draw_number(&bytes, 4095, false);
		int64_t minor = draw_number(&bytes, 1048575, false);

		/* And beside a rule, where a mistake would be. */
		if (n > 0 && choice & 128) {
			const struct device_rule *rule = &rules[choice % n];

			major = rule->major < 0 ? major : rule->major;
			minor =
			    rule->minor < 0 ? minor : (rule->minor + (choice >> 4 & 1)) & 1048575;
		}
		must(run(program, length, type, (uint32_t)major, (uint32_t)minor, access) ==
		     device_rules_allow(rules, n, type, major, minor, access));
	}
	return 0;
}
