/*
 * What a profile of system calls means, without the compiler: an interpreter of classic BPF, and a
 * reference that reads the profile directly.  The unit test draws profiles at random, the fuzzer
 * invents them.
 */
#pragma once

#include <creel/oci_seccomp.h>
#include <creel/text.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X32_BIT 0x40000000U

/* The kernel would not take it. */
static inline void __attribute__((noreturn)) wrong_program(size_t at, unsigned int code)
{
	fprintf(stderr, "the program is wrong at %zu, code 0x%x\n", at, code);
	abort();
}

/* Runs PROGRAM on DATA as the kernel does; every jump must stay inside and every path must end in a
 * return. */
static inline uint32_t interpret(const struct sock_filter *program, size_t length,
				 const struct seccomp_data *data)
{
	uint32_t accumulator = 0;

	for (size_t pc = 0; pc < length; pc++) {
		const struct sock_filter *op = &program[pc];

		switch (op->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (op->k % 4 != 0 || op->k >= sizeof(*data))
				wrong_program(pc, op->code);
			memcpy(&accumulator, (const char *)data + op->k, sizeof(accumulator));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= op->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += op->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += accumulator == op->k ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += accumulator > op->k ? op->jt : op->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += accumulator >= op->k ? op->jt : op->jf;
			break;
		case BPF_RET | BPF_K:
			return op->k;
		default:
			wrong_program(pc, op->code);
		}
	}
	wrong_program(length, 0);
}

#define ERRNO(n) (SECCOMP_RET_ERRNO | (n))
#define X86	 SCMP_ARCH_X86
#define X86_64	 SCMP_ARCH_X86_64

/* The reference: reads the profile, never the compiler's tables. */

static const struct action {
	enum oci_seccomp_action action;
	const char *name;
	uint32_t value;
	int severity;
} actions[] = {
	{ OCI_SECCOMP_KILL_PROCESS, "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, 8 },
	{ OCI_SECCOMP_KILL_THREAD, "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, 7 },
	{ OCI_SECCOMP_TRAP, "SCMP_ACT_TRAP", SECCOMP_RET_TRAP, 6 },
	{ OCI_SECCOMP_ERRNO, "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, 5 },
	{ OCI_SECCOMP_TRACE, "SCMP_ACT_TRACE", SECCOMP_RET_TRACE, 3 },
	{ OCI_SECCOMP_LOG, "SCMP_ACT_LOG", SECCOMP_RET_LOG, 2 },
	{ OCI_SECCOMP_ALLOW, "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, 1 },
};

static const struct action *action_of(int64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if ((int64_t)actions[i].action == value)
			return &actions[i];
	return NULL;
}

static inline uint32_t verdict_of(const struct optional *action, const struct optional_uint *number)
{
	const struct action *row = action_of(action->value);
	bool has_data = row->action == OCI_SECCOMP_ERRNO || row->action == OCI_SECCOMP_TRACE;

	return row->value | (has_data ? number->set ? (uint32_t)number->value : EPERM : 0);
}

/* Calls of the random profiles, with their numbers by architecture; SUB is the number behind the
 * multiplexer of x86. */
static const struct call {
	const char *name;
	int x86_64, x86, sub;
} calls[] = {
	{ "read", 0, 3, 0 },	       { "write", 1, 4, 0 },
	{ "mkdir", 83, 39, 0 },	       { "personality", 135, 136, 0 },
	{ "clone", 56, 120, 0 },       { "clone3", 435, 435, 0 },
	{ "socket", 41, 359, 1 },      { "connect", 42, 362, 3 },
	{ "accept", 43, -1, 5 },       { "recvmmsg", 299, 337, 19 },
	{ "shmat", 30, 397, 21 },      { "semop", 65, -1, 1 },
	{ "socketcall", -1, 102, 0 },  { "ipc", -1, 117, 0 },
	{ "no_such_call", -1, -1, 0 },
};

static inline bool is_ipc(const struct call *call)
{
	return strcmp(call->name, "shmat") == 0 || strcmp(call->name, "semop") == 0;
}

static inline bool holds(const struct oci_seccomp_arg *arg, const uint64_t *args)
{
	uint64_t value = args[arg->index.value];

	switch ((enum oci_seccomp_operator)arg->op.value) {
	case OCI_SECCOMP_NE:
		return value != arg->value.value;
	case OCI_SECCOMP_LT:
		return value < arg->value.value;
	case OCI_SECCOMP_LE:
		return value <= arg->value.value;
	case OCI_SECCOMP_EQ:
		return value == arg->value.value;
	case OCI_SECCOMP_GE:
		return value >= arg->value.value;
	case OCI_SECCOMP_GT:
		return value > arg->value.value;
	case OCI_SECCOMP_MASKED_EQ:
		return (value & arg->value.value) == (arg->value_two.value & arg->value.value);
	}
	return false;
}

static inline bool all_hold(const struct oci_seccomp_rule *rule, const uint64_t *args)
{
	bool any = false;
	bool all = true;
	bool repeated = false;

	for (size_t i = 0; i < rule->args.n; i++) {
		bool one = holds(&rule->args.items[i], args);

		any |= one;
		all &= one;
		for (size_t j = 0; j < i; j++)
			repeated |=
			    rule->args.items[i].index.value == rule->args.items[j].index.value;
	}
	return repeated ? any : all;
}

struct question {
	bool x86;
	uint32_t base; /* X32_BIT or 0 */
	uint32_t number;
	const uint64_t *args;
};

/* x32 has numbers of its own for the calls whose structures differ. */
static inline int number_on(const struct call *call, const struct question *question)
{
	if (question->base && strcmp(call->name, "recvmmsg") == 0)
		return 537;
	return question->x86 ? call->x86 : call->x86_64;
}

static inline bool names_multiplexer(const struct oci_seccomp *profile, const char *name,
				     bool decided)
{
	uint32_t standard = verdict_of(&profile->default_action, &profile->default_errno_ret);

	list_each (const struct oci_seccomp_rule, rule, &profile->syscalls)
		if (strings_has(&rule->names, name) &&
		    (!decided || (rule->args.n == 0 &&
				  verdict_of(&rule->action, &rule->errno_ret) != standard)))
			return true;
	return false;
}

/* Does RULE speak of the call behind a multiplexer that the question is about? */
static inline bool reaches(const struct oci_seccomp *profile, const struct oci_seccomp_rule *rule,
			   const struct call *call, const struct question *question)
{
	const char *mux = is_ipc(call) ? "ipc" : "socketcall";
	bool opens = action_of(rule->action.value)->severity <
		     action_of(profile->default_action.value)->severity;

	if (!question->x86 || call->sub == 0 || question->number != (is_ipc(call) ? 117U : 102U))
		return false;
	if ((question->args[0] & (is_ipc(call) ? 0xffff : UINT32_MAX)) != (uint64_t)call->sub)
		return false;
	if (opens)
		return rule->args.n == 0 && !names_multiplexer(profile, mux, false);
	return !names_multiplexer(profile, mux, true);
}

static inline bool applies(const struct oci_seccomp *profile, const struct oci_seccomp_rule *rule,
			   const struct question *question)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct call *call = &calls[i];

		if (!strings_has(&rule->names, call->name))
			continue;
		if (number_on(call, question) == (int)question->number &&
		    all_hold(rule, question->args))
			return true;
		if (reaches(profile, rule, call, question))
			return true;
	}
	return false;
}

static inline int64_t newest_named(const struct oci_seccomp *profile,
				   const struct question *question)
{
	int64_t newest = -1;

	list_each (const struct oci_seccomp_rule, rule, &profile->syscalls)
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			const struct call *call = &calls[i];

			if (!strings_has(&rule->names, call->name))
				continue;
			if (number_on(call, question) > newest)
				newest = number_on(call, question);
			if (question->x86 && call->sub && newest < (is_ipc(call) ? 117 : 102))
				newest = is_ipc(call) ? 117 : 102;
		}
	return newest;
}

static inline uint32_t refer(const struct oci_seccomp *profile, const struct question *question)
{
	uint32_t standard = verdict_of(&profile->default_action, &profile->default_errno_ret);
	uint32_t verdict = standard;
	int64_t newest = newest_named(profile, question);
	int severity = 0;

	if (newest >= 0 && question->number > newest &&
	    action_of(profile->default_action.value)->severity > 3)
		return ERRNO(ENOSYS);
	list_each (const struct oci_seccomp_rule, rule, &profile->syscalls) {
		uint32_t mine = verdict_of(&rule->action, &rule->errno_ret);

		if (mine == standard || action_of(rule->action.value)->severity <= severity ||
		    !applies(profile, rule, question))
			continue;
		severity = action_of(rule->action.value)->severity;
		verdict = mine;
	}
	return verdict;
}
