/* Between the files that compile a system call filter: the profile as rules of numbers, and these
 * as a program. */
#pragma once

#include <creel/oci_seccomp.h>
#include <creel/plan.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct filter_condition {
	unsigned int argument;
	enum oci_seccomp_operator op;
	uint64_t value; /* MASKED_EQ: the mask */
	uint64_t datum; /* MASKED_EQ only */
};

/* Holds when all conditions do. */
struct filter_rule {
	uint32_t action; /* SECCOMP_RET_* with its data */
	const struct filter_condition *conditions;
	size_t n;
};

/* All numbers from FIRST up to the next range's: the first rule that holds decides, or else ACTION.
 */
struct filter_range {
	uint32_t first;
	uint32_t action;
	const struct filter_rule **rules;
	size_t n;
};

/* The first range begins with number 0. */
struct filter_arch {
	uint32_t token; /* AUDIT_ARCH_* */
	struct filter_range *ranges;
	size_t n;
};

/* Resolves the profile for every architecture that it names and for our own, which comes first. */
struct filter_arch *plan_seccomp_rules(struct arena *arena, const struct oci_seccomp *seccomp,
				       size_t *n);

/* Assembles the program; -1 when it is longer than the kernel takes. */
int plan_seccomp_program(struct arena *arena, const struct filter_arch *archs, size_t n,
			 struct seccomp_program *program);
