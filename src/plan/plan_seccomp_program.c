/*
 * Assembles a filter: architecture first, then a binary search over stretches of numbers, then the
 * exceptions in them, then the conditions.
 *
 * The program is written from its end to its beginning: the jumps of classic BPF only go forward,
 * so every target exists when its jump is written.
 */
#include "seccomp_parts.h"

#include <endian.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#define JUMP_MAX    255 /* conditional jumps have 8 bits */
#define ANSWERS_MAX 16

/* More would save little, and make the way of a call longer. */
#define EXCEPTIONS_MAX ((size_t)3)

#define LOAD		(BPF_LD | BPF_W | BPF_ABS)
#define JUMP_EQUAL	(BPF_JMP | BPF_JEQ | BPF_K)
#define JUMP_MORE	(BPF_JMP | BPF_JGT | BPF_K)
#define JUMP_MORE_EQUAL (BPF_JMP | BPF_JGE | BPF_K)
#define MASK		(BPF_ALU | BPF_AND | BPF_K)

/* Where the halves of a 64-bit argument lie. */
#define LOW_HALF  (__BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4)
#define HIGH_HALF (4 - LOW_HALF)

/* Places are counted from the end: the last instruction is 1. */
struct assembler {
	struct sock_filter *code; /* room for BPF_MAXINSNS, filled from the end */
	size_t n;
	bool full;
	struct {
		uint32_t action;
		size_t at;
	} answers[ANSWERS_MAX]; /* returns, which are shared while they are near */
	size_t answers_n;
};

/* Writes one instruction before all others and returns its place. */
static size_t put(struct assembler *out, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (out->n == BPF_MAXINSNS) {
		out->full = true;
		return out->n;
	}
	out->n++;
	out->code[BPF_MAXINSNS - out->n] =
	    (struct sock_filter){ .code = code, .jt = yes, .jf = no, .k = k };
	return out->n;
}

static size_t put_load(struct assembler *out, size_t offset)
{
	return put(out, LOAD, (uint32_t)offset, 0, 0);
}

/* TARGET, or a jump to it when it is too far for a conditional one with ROOM instructions to come.
 */
static size_t near_target(struct assembler *out, size_t target, size_t room)
{
	if (out->n - target + room <= JUMP_MAX)
		return target;
	return put(out, BPF_JMP | BPF_JA, (uint32_t)(out->n - target), 0, 0);
}

static size_t put_jump(struct assembler *out, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	yes = near_target(out, yes, 1);
	no = near_target(out, no, 0);
	return put(out, code, k, (uint8_t)(out->n - yes), (uint8_t)(out->n - no));
}

static size_t put_return(struct assembler *out, uint32_t action)
{
	for (size_t i = 0; i < out->answers_n; i++) {
		if (out->answers[i].action != action)
			continue;
		if (out->n - out->answers[i].at > JUMP_MAX / 2)
			out->answers[i].at = put(out, BPF_RET | BPF_K, action, 0, 0);
		return out->answers[i].at;
	}
	if (out->answers_n == ANSWERS_MAX)
		return put(out, BPF_RET | BPF_K, action, 0, 0);
	out->answers[out->answers_n].action = action;
	out->answers[out->answers_n].at = put(out, BPF_RET | BPF_K, action, 0, 0);
	return out->answers[out->answers_n++].at;
}

static size_t argument_offset(const struct filter_condition *condition, size_t half)
{
	return offsetof(struct seccomp_data, args) + condition->argument * sizeof(uint64_t) + half;
}

/* Equal under MASK: both halves are. */
static size_t put_equal(struct assembler *out, const struct filter_condition *condition,
			uint64_t mask, uint64_t datum, size_t yes, size_t no)
{
	put_jump(out, JUMP_EQUAL, (uint32_t)datum, yes, no);
	if ((uint32_t)mask != UINT32_MAX)
		put(out, MASK, (uint32_t)mask, 0, 0);
	yes = put_load(out, argument_offset(condition, LOW_HALF));
	if (mask >> 32 == 0)
		return yes;
	put_jump(out, JUMP_EQUAL, (uint32_t)(datum >> 32), yes, no);
	if (mask >> 32 != UINT32_MAX)
		put(out, MASK, (uint32_t)(mask >> 32), 0, 0);
	return put_load(out, argument_offset(condition, HIGH_HALF));
}

/* Above (or, by CODE, at least) the value: the high half decides unless it is equal. */
static size_t put_more(struct assembler *out, const struct filter_condition *condition,
		       uint16_t code, size_t yes, size_t no)
{
	uint32_t high = (uint32_t)(condition->value >> 32);
	size_t low_half;
	size_t equal;

	put_jump(out, code, (uint32_t)condition->value, yes, no);
	low_half = put_load(out, argument_offset(condition, LOW_HALF));
	equal = put_jump(out, JUMP_EQUAL, high, low_half, no);
	put_jump(out, JUMP_MORE, high, yes, equal);
	return put_load(out, argument_offset(condition, HIGH_HALF));
}

static size_t put_condition(struct assembler *out, const struct filter_condition *condition,
			    size_t yes, size_t no)
{
	switch (condition->op) {
	case OCI_SECCOMP_NE:
		return put_equal(out, condition, UINT64_MAX, condition->value, no, yes);
	case OCI_SECCOMP_LT:
		return put_more(out, condition, JUMP_MORE_EQUAL, no, yes);
	case OCI_SECCOMP_LE:
		return put_more(out, condition, JUMP_MORE, no, yes);
	case OCI_SECCOMP_EQ:
		return put_equal(out, condition, UINT64_MAX, condition->value, yes, no);
	case OCI_SECCOMP_GE:
		return put_more(out, condition, JUMP_MORE_EQUAL, yes, no);
	case OCI_SECCOMP_GT:
		return put_more(out, condition, JUMP_MORE, yes, no);
	case OCI_SECCOMP_MASKED_EQ:
		return put_equal(out, condition, condition->value, condition->datum, yes, no);
	}
	return no;
}

static size_t put_rule(struct assembler *out, const struct filter_rule *rule, size_t no)
{
	size_t yes = put_return(out, rule->action);

	for (size_t i = rule->n; i-- > 0;)
		yes = put_condition(out, &rule->conditions[i], yes, no);
	return yes;
}

static size_t put_range(struct assembler *out, const struct filter_range *range)
{
	size_t start = put_return(out, range->action);

	for (size_t i = range->n; i-- > 0;)
		start = put_rule(out, range->rules[i], start);
	return start;
}

/*
 * How many of the N ranges one stretch takes: an answer, and in it up to EXCEPTIONS_MAX single
 * numbers with another one.  Allowed calls are many, with such holes: asking for a hole is one
 * jump, where the search needs one for each end of it.
 */
static size_t stretch(const struct filter_range *ranges, size_t n)
{
	size_t taken = 1;

	while (taken + 1 < n && taken < EXCEPTIONS_MAX * 2 && ranges[0].n == 0 &&
	       ranges[taken + 1].n == 0 && ranges[taken + 1].action == ranges[0].action &&
	       ranges[taken + 1].first == ranges[taken].first + 1)
		taken += 2;
	return taken;
}

static size_t put_stretch(struct assembler *out, const struct filter_range *ranges, size_t n)
{
	size_t start = put_range(out, ranges);

	for (size_t i = n; i > 1; i -= 2) {
		const struct filter_range *exception = &ranges[i - 2];

		start =
		    put_jump(out, JUMP_EQUAL, exception->first, put_range(out, exception), start);
	}
	return start;
}

/* STARTS are the numbers of the ranges where N stretches begin, and the last one ends. */
static size_t put_search(struct assembler *out, const struct filter_range *ranges,
			 const size_t *starts, size_t n)
{
	size_t middle = n / 2;
	size_t above;
	size_t below;

	if (n == 1)
		return put_stretch(out, ranges + starts[0], starts[1] - starts[0]);
	above = put_search(out, ranges, starts + middle, n - middle);
	below = put_search(out, ranges, starts, middle);
	return put_jump(out, JUMP_MORE_EQUAL, ranges[starts[middle]].first, above, below);
}

/* The search begins where the jump before it falls through to, so it ends in a jump of its own: its
 * root. */
static size_t put_arch(struct arena *arena, struct assembler *out, const struct filter_arch *arch,
		       size_t next)
{
	size_t *starts = arena_array(arena, arch->n + 1, sizeof(*starts));
	size_t n = 0;
	size_t root;

	for (size_t i = 0; i < arch->n; i += stretch(arch->ranges + i, arch->n - i))
		starts[n++] = i;
	starts[n] = arch->n;
	root = put_search(out, arch->ranges, starts, n);
	/* A filter with one answer has no root: its return may lie anywhere. */
	if (root != out->n)
		put(out, BPF_JMP | BPF_JA, (uint32_t)(out->n - root), 0, 0);
	root = put_load(out, offsetof(struct seccomp_data, nr));
	return put_jump(out, JUMP_EQUAL, arch->token, root, next);
}

int plan_seccomp_program(struct arena *arena, const struct filter_arch *archs, size_t n,
			 struct seccomp_program *program)
{
	struct assembler out = { 0 };
	size_t next;

	out.code = arena_array(arena, BPF_MAXINSNS, sizeof(*out.code));
	/* An architecture that the profile does not name: its calls have other numbers, so none is
	 * let through. */
	next = put_return(&out, SECCOMP_RET_KILL_THREAD);
	for (size_t i = n; i-- > 0;)
		next = put_arch(arena, &out, &archs[i], next);
	put_load(&out, offsetof(struct seccomp_data, arch));
	if (out.full)
		return -1;
	program->filter = out.code + (BPF_MAXINSNS - out.n);
	program->length = out.n;
	return 0;
}
