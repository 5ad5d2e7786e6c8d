/* An interpreter of the device controller's programs, for the unit test and the fuzzer. */
#pragma once

#include <creel/cgroup_bpf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The kernel would not take it. */
#define verify(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "the verifier would refuse: %s\n", #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/*
 * Runs PROGRAM for one access: 1 allowed, 0 denied.  Fails on anything that the verifier would not
 * take: an unknown instruction, a jump out of the program, a jump back, an unset register.
 */
static inline int run(const struct bpf_insn *program, size_t length, char type, uint32_t major,
		      uint32_t minor, uint32_t access)
{
	const uint32_t context[3] = {
		(type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR) | access << 16,
		major,
		minor,
	};
	uint64_t reg[11] = { 0 };
	bool set[11] = { false, true };

	for (size_t at = 0; at < length; at++) {
		const struct bpf_insn *insn = &program[at];
		uint64_t *to = &reg[insn->dst_reg];
		uint64_t from =
		    insn->code & BPF_X ? reg[insn->src_reg] : (uint64_t)(int64_t)insn->imm;
		bool jump = false;

		switch (insn->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			verify(insn->src_reg == BPF_REG_1 && insn->off % 4 == 0 && insn->off >= 0 &&
			       insn->off <= 8);
			*to = context[insn->off / 4];
			set[insn->dst_reg] = true;
			continue;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*to = from;
			set[insn->dst_reg] = true;
			continue;
		case BPF_ALU | BPF_MOV | BPF_X:
			verify(set[insn->src_reg]);
			*to = (uint32_t)from;
			set[insn->dst_reg] = true;
			continue;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*to &= from;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			*to = (uint32_t)(*to & from);
			break;
		case BPF_ALU | BPF_OR | BPF_X:
			verify(set[insn->src_reg]);
			*to = (uint32_t)(*to | from);
			break;
		case BPF_ALU | BPF_XOR | BPF_K:
			*to = (uint32_t)(*to ^ from);
			break;
		case BPF_ALU | BPF_LSH | BPF_K:
			*to = (uint32_t)((uint32_t)*to << from);
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			*to = (uint32_t)*to >> from;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = *to == from;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = *to & from;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			jump = (uint32_t)*to == (uint32_t)from;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			jump = (uint32_t)*to != (uint32_t)from;
			break;
		case BPF_JMP | BPF_JA:
			set[insn->dst_reg] = true;
			jump = true;
			break;
		case BPF_JMP | BPF_EXIT:
			verify(set[0] && reg[0] <= 1);
			return (int)reg[0];
		default:
			fprintf(stderr, "instruction %zu has the code %#x\n", at, insn->code);
			abort();
		}
		verify(set[insn->dst_reg]);
		if (jump) {
			verify(insn->off >= 0 && at + 1 + (size_t)insn->off < length);
			at += (size_t)insn->off;
		}
	}
	fprintf(stderr, "the program has no end\n");
	abort();
}
