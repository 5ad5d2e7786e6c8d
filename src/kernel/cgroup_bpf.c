/*
 * Device rules of version 1 as one eBPF program: pure compilation here, the kernel in
 * cgroup_bpf_attach.c.
 *
 * An access asks for one or more of mknod, read and write.  Each of these bits is decided by the
 * newest rule that matches the device and has the bit; what no rule decides is denied; and all bits
 * must be allowed.  So the program walks the rules from the newest to the oldest with a register of
 * undecided bits, once for character and once for block devices.
 */
#include <creel/cgroup_bpf.h>

#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* The kernel's dev_t has 12 bits of major and 20 of minor, so that one 32-bit word names a
	   device. */
	DEVICE_MAJOR_MAX = 0xfff,
	DEVICE_MINOR_MAX = 0xfffff,
	DEVICE_MINOR_BITS = 20,
	/*
	 * The verifier remembers the other side of each conditional jump until the path that it is
	 * on ends, and 8192 of them are its limit.  Above this many rules the program takes two
	 * instructions a rule, of which the path ends.
	 */
	SHORT_FORM_MAX = 4096,
	/* A jump is 15 bits far: so many rules share one pair of exits.  A rule has at most 5
	   instructions. */
	CHUNK = 4096,
	/* A rule, the three exits of its chunk, and the head of the program. */
	INSTRUCTIONS_A_RULE = 5,
	INSTRUCTIONS_A_CHUNK = 8,
	INSTRUCTIONS_HEAD = 16,
};

enum {
	RESULT = BPF_REG_0,
	CONTEXT = BPF_REG_1,
	TYPE = BPF_REG_2,
	MAJOR = BPF_REG_3,
	MINOR = BPF_REG_4,
	OPEN = BPF_REG_5,   /* the bits that are undecided; never 0 at a rule */
	DEVICE = BPF_REG_6, /* major and minor in one word */
	SCRATCH = BPF_REG_7,
};

/* A rule of one section, with the bits that newer rules leave to it. */
struct test {
	bool allow;
	int32_t major, minor; /* -1: any */
	unsigned int access;
	size_t order; /* 0 is the newest */
};

/* The rules for one type of device, from the newest to the oldest. */
struct section {
	struct test *tests;
	size_t n;
	bool otherwise; /* what is undecided in the end */
};

struct program {
	struct bpf_insn *items;
	size_t n;
	bool is_short;
	/* Jumps to the exits of this chunk, whose distance is not known yet: index in ITEMS. */
	size_t *to_allow, *to_deny;
	size_t n_allow, n_deny;
	size_t hop; /* the jump that leads over this chunk to the second section, or 0 */
};

bool device_rules_allow(const struct device_rule *rules, size_t n, char type, int64_t major,
			int64_t minor, unsigned int access)
{
	for (unsigned int bit = 1; bit <= DEVICE_ALL; bit <<= 1) {
		bool allow = false;

		if (!(access & bit))
			continue;
		for (size_t i = 0; i < n; i++) {
			const struct device_rule *rule = &rules[i];

			if ((rule->type == 'a' || rule->type == type) &&
			    (rule->major < 0 || rule->major == major) &&
			    (rule->minor < 0 || rule->minor == minor) && (rule->access & bit))
				allow = rule->allow;
		}
		if (!allow)
			return false;
	}
	return true;
}

static bool is_wild(const struct test *test)
{
	return test->major < 0 && test->minor < 0;
}

/* Which rules speak of the same devices, the newest first. */
static int compare_devices(const void *a, const void *b)
{
	const struct test *left = a, *right = b;

	if (left->major != right->major)
		return left->major < right->major ? -1 : 1;
	if (left->minor != right->minor)
		return left->minor < right->minor ? -1 : 1;
	return (left->order > right->order) - (left->order < right->order);
}

static int compare_order(const void *a, const void *b)
{
	const struct test *left = a, *right = b;

	return (left->order > right->order) - (left->order < right->order);
}

/* Takes from each rule the bits that a newer rule for just the same devices decides. */
static void drop_repeated(struct section *section)
{
	unsigned int decided = 0;

	if (section->n == 0)
		return;
	qsort(section->tests, section->n, sizeof(*section->tests), compare_devices);
	for (size_t i = 0; i < section->n; i++) {
		struct test *test = &section->tests[i];
		unsigned int access = test->access;

		if (i == 0 || test[-1].major != test->major || test[-1].minor != test->minor)
			decided = 0;
		test->access &= ~decided;
		decided |= access;
	}
	qsort(section->tests, section->n, sizeof(*section->tests), compare_order);
}

/* Drops the rules with nothing left to decide, and all that is older than a decision about
 * everything. */
static void drop_decided(struct section *section)
{
	unsigned int decided = 0;
	size_t n = 0;

	section->otherwise = false;
	for (size_t i = 0; i < section->n && decided != DEVICE_ALL; i++) {
		struct test test = section->tests[i];

		test.access &= ~decided;
		if (!test.access)
			continue;
		if (is_wild(&test)) {
			decided |= test.access;
			if (decided == DEVICE_ALL) {
				/* The rest of the bits: all that comes to the end of the section.
				 */
				section->otherwise = test.allow;
				break;
			}
		}
		section->tests[n++] = test;
	}
	/* The oldest rules that say what is so anyway: a deny of something that was never allowed.
	 */
	while (n > 0 && section->tests[n - 1].allow == section->otherwise)
		n--;
	section->n = n;
}

/* A device that does not fit dev_t does not exist. */
static bool can_match(const struct device_rule *rule)
{
	return rule->major <= DEVICE_MAJOR_MAX && rule->minor <= DEVICE_MINOR_MAX;
}

static struct section make_section(struct arena *arena, const struct device_rule *rules, size_t n,
				   char type)
{
	struct section section = { .tests = arena_array(arena, n, sizeof(*section.tests)) };

	for (size_t i = n; i-- > 0;) {
		const struct device_rule *rule = &rules[i];

		if ((rule->type != 'a' && rule->type != type) || !can_match(rule))
			continue;
		section.tests[section.n] = (struct test){
			.allow = rule->allow,
			.major = rule->major < 0 ? -1 : (int32_t)rule->major,
			.minor = rule->minor < 0 ? -1 : (int32_t)rule->minor,
			.access = rule->access & DEVICE_ALL,
			.order = section.n,
		};
		section.n++;
	}
	drop_repeated(&section);
	drop_decided(&section);
	return section;
}

static void emit(struct program *program, int code, int to, int from, int offset, int32_t value)
{
	program->items[program->n++] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = (uint8_t)(to & 15),
		.src_reg = (uint8_t)(from & 15),
		.off = (int16_t)offset,
		.imm = value,
	};
}

/* A jump to the exit of this chunk that says ALLOW. */
static void emit_exit_if(struct program *program, int code, int reg, int32_t value, bool allow)
{
	if (allow)
		program->to_allow[program->n_allow++] = program->n;
	else
		program->to_deny[program->n_deny++] = program->n;
	emit(program, code, reg, 0, 0, value);
}

static void emit_exit(struct program *program, bool allow)
{
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, RESULT, 0, 0, allow);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void land(struct program *program, size_t jump)
{
	program->items[jump].off = (int16_t)(program->n - jump - 1);
}

/* An answer, for those who jump to it and for those who come along. */
static void emit_answer(struct program *program, bool allow)
{
	size_t *jumps = allow ? program->to_allow : program->to_deny;
	size_t *n = allow ? &program->n_allow : &program->n_deny;

	while (*n > 0)
		land(program, jumps[--*n]);
	emit_exit(program, allow);
}

/* The answers that are jumped to and not yet there: the verifier refuses code that is not reached.
 */
static void end_chunk(struct program *program)
{
	if (program->n_allow > 0)
		emit_answer(program, true);
	if (program->n_deny > 0)
		emit_answer(program, false);
}

/* Ends a chunk in the middle of a section, with a way past it for those who look for the other
 * section. */
static void break_chunk(struct program *program)
{
	size_t over = program->n;

	emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	end_chunk(program);
	if (program->hop) {
		land(program, program->hop);
		program->hop = program->n;
		emit(program, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	}
	land(program, over);
}

/* The register and the number that tell whether a device is one of TEST's. */
static int test_register(const struct test *test, int32_t *value)
{
	if (test->major < 0) {
		*value = test->minor;
		return MINOR;
	}
	if (test->minor < 0) {
		*value = test->major;
		return MAJOR;
	}
	*value = (int32_t)((uint32_t)test->major << DEVICE_MINOR_BITS | (uint32_t)test->minor);
	return DEVICE;
}

/* A rule about all that is undecided: on a match there is an answer. */
static void emit_whole(struct program *program, const struct test *test)
{
	int32_t value;
	int reg = test_register(test, &value);

	if (program->is_short) {
		emit_exit_if(program, BPF_JMP32 | BPF_JEQ | BPF_K, reg, value, test->allow);
		return;
	}
	emit(program, BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 1, value);
	emit_exit_if(program, BPF_JMP | BPF_JA, 0, 0, test->allow);
}

/* A rule about some bits: denied ones end it, allowed ones are no longer open. */
static void emit_bits(struct program *program, const struct test *test)
{
	if (!test->allow) {
		emit_exit_if(program, BPF_JMP | BPF_JSET | BPF_K, OPEN, (int32_t)test->access,
			     false);
		return;
	}
	emit(program, BPF_ALU64 | BPF_AND | BPF_K, OPEN, 0, 0, ~(int32_t)test->access);
	emit_exit_if(program, BPF_JMP | BPF_JEQ | BPF_K, OPEN, 0, true);
}

static void emit_part(struct program *program, const struct test *test)
{
	int32_t value;
	int reg = test_register(test, &value);
	size_t past = 0;

	if (!is_wild(test)) {
		/*
		 * In a register of its own: a verifier that knew the device on one of two ways that
		 * meet again would follow both to the end of the program, for each rule.
		 */
		emit(program, BPF_ALU | BPF_MOV | BPF_X, SCRATCH, reg, 0, 0);
		emit(program, BPF_ALU | BPF_XOR | BPF_K, SCRATCH, 0, 0, value);
		past = program->n;
		emit(program, BPF_JMP32 | BPF_JNE | BPF_K, SCRATCH, 0, 0, 0);
	}
	emit_bits(program, test);
	if (past)
		land(program, past);
}

static void emit_section(struct program *program, const struct section *section)
{
	unsigned int open = DEVICE_ALL;

	for (size_t i = 0; i < section->n; i++) {
		const struct test *test = &section->tests[i];

		if (i > 0 && i % CHUNK == 0)
			break_chunk(program);
		if (!is_wild(test) && (open & ~test->access) == 0)
			emit_whole(program, test);
		else
			emit_part(program, test);
		if (is_wild(test))
			open &= ~test->access;
	}
	emit_answer(program, section->otherwise);
	end_chunk(program);
}

static bool is_used(const struct section *section, int wanted)
{
	for (size_t i = 0; i < section->n; i++) {
		int32_t value;

		if (!is_wild(&section->tests[i]) &&
		    test_register(&section->tests[i], &value) == wanted)
			return true;
	}
	return false;
}

/* Loads the context: struct bpf_cgroup_dev_ctx { access_type, major, minor }. */
static void emit_head(struct program *program, const struct section *character,
		      const struct section *block)
{
	bool device = is_used(character, DEVICE) || is_used(block, DEVICE);

	emit(program, BPF_LDX | BPF_MEM | BPF_W, TYPE, CONTEXT, 0, 0);
	if (device || is_used(character, MAJOR) || is_used(block, MAJOR))
		emit(program, BPF_LDX | BPF_MEM | BPF_W, MAJOR, CONTEXT, 4, 0);
	if (device || is_used(character, MINOR) || is_used(block, MINOR))
		emit(program, BPF_LDX | BPF_MEM | BPF_W, MINOR, CONTEXT, 8, 0);
	if (device) {
		emit(program, BPF_ALU | BPF_MOV | BPF_X, DEVICE, MAJOR, 0, 0);
		emit(program, BPF_ALU | BPF_LSH | BPF_K, DEVICE, 0, 0, DEVICE_MINOR_BITS);
		emit(program, BPF_ALU | BPF_OR | BPF_X, DEVICE, MINOR, 0, 0);
	}
	emit(program, BPF_ALU | BPF_MOV | BPF_X, OPEN, TYPE, 0, 0);
	emit(program, BPF_ALU | BPF_RSH | BPF_K, OPEN, 0, 0, 16);
	/* Who asks for nothing (access(2) with X_OK) is not held up. */
	emit_exit_if(program, BPF_JMP | BPF_JEQ | BPF_K, OPEN, 0, true);
	emit(program, BPF_ALU | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	program->hop = program->n;
	emit(program, BPF_JMP32 | BPF_JEQ | BPF_K, TYPE, 0, 0, BPF_DEVCG_DEV_BLOCK);
}

struct bpf_insn *device_program(struct arena *arena, const struct device_rule *rules, size_t n,
				size_t *length)
{
	struct section character = make_section(arena, rules, n, 'c');
	struct section block = make_section(arena, rules, n, 'b');
	size_t tests = character.n + block.n;
	size_t room = INSTRUCTIONS_HEAD + tests * INSTRUCTIONS_A_RULE +
		      (tests / CHUNK + 2) * INSTRUCTIONS_A_CHUNK;
	size_t jumps = (tests < CHUNK ? tests : CHUNK) + 1;
	struct program program = {
		.items = arena_array(arena, room, sizeof(*program.items)),
		.is_short = tests <= SHORT_FORM_MAX,
		.to_allow = arena_array(arena, jumps, sizeof(*program.to_allow)),
		.to_deny = arena_array(arena, jumps, sizeof(*program.to_deny)),
	};

	if (tests == 0 && character.otherwise && block.otherwise) {
		emit_exit(&program, true);
		*length = program.n;
		return program.items;
	}
	emit_head(&program, &character, &block);
	emit_section(&program, &character);
	land(&program, program.hop);
	program.hop = 0;
	emit_section(&program, &block);
	*length = program.n;
	return program.items;
}
