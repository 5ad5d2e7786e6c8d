/* Runs a seccomp filter as the kernel would, to know what it says about a system call before it is
 * in force. */
#include <creel/seccomp.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

#include "syscalls.h"

/* The kernel has all fields in the order of the processor. */
static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	memcpy(&word, (const char *)data + offset, sizeof(word));
	return word;
}

static bool jumps(const struct sock_filter *at, uint32_t value)
{
	switch (BPF_OP(at->code)) {
	case BPF_JEQ:
		return value == at->k;
	case BPF_JGT:
		return value > at->k;
	case BPF_JGE:
		return value >= at->k;
	default: /* BPF_JSET; the next function lets no other pass */
		return value & at->k;
	}
}

/*
 * The verdict, or SECCOMP_RET_KILL_PROCESS for a program with an instruction that our compiler does
 * not write.  Jumps only go forward, so it ends.
 */
static uint32_t run(const struct seccomp_program *program, const struct seccomp_data *data)
{
	uint32_t value = 0;

	for (size_t pc = 0; pc < program->length; pc++) {
		const struct sock_filter *at = &program->filter[pc];

		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (at->k > sizeof(*data) - sizeof(value))
				return SECCOMP_RET_KILL_PROCESS;
			value = load(data, at->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			value &= at->k;
			break;
		case BPF_JMP | BPF_JA:
			if (at->k >= program->length)
				return SECCOMP_RET_KILL_PROCESS;
			pc += at->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += jumps(at, value) ? at->jt : at->jf;
			break;
		case BPF_RET | BPF_K:
			return at->k;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool seccomp_lets(const struct seccomp_program *program, long number, uint64_t argument)
{
	struct seccomp_data data = { .nr = (int)number, .arch = NATIVE_AUDIT_ARCH };
	uint32_t action;

	if (program->length == 0)
		return true;
	if (NATIVE_AUDIT_ARCH == 0)
		return false;
	data.args[0] = argument;
	action = run(program, &data) & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}
