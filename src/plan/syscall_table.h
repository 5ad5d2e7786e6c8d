/*
 * The names and numbers of system calls, for every architecture that libseccomp knows.
 *
 * libseccomp is asked once, while creel is built (syscall_table_make.c): its library has 60 KB of
 * pointers that the dynamic linker would relocate at each start of a container, for one table of
 * numbers.  The generated table has no pointers at all.
 */
#pragma once

#include <linux/audit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* To the kernel x32 is x86_64 with a bit in the number; libseccomp tells them apart. */
#define SYSCALL_ARCH_X32 (AUDIT_ARCH_X86_64 & ~(unsigned int)__AUDIT_ARCH_64BIT)

/* ARM's private calls begin at the first number; they are stored in 16 bits from the second on. */
#define SYSCALL_FAR	   0xf0000
#define SYSCALL_FAR_STORED 30000

/* One column of the table. */
struct syscall_arch {
	char name[16];	/* "x86_64": of SCMP_ARCH_X86_64, in small letters */
	uint32_t token; /* libseccomp's; AUDIT_ARCH_* but for x32 */
	uint32_t base;	/* added to each stored number: the bit of x32 */
};

/* What the generator writes. */
extern const struct syscall_arch syscall_archs[];
extern const size_t syscall_archs_n;
extern const char syscall_names[];	/* all names, each with its NUL, sorted */
extern const uint16_t syscall_starts[]; /* where each begins in syscall_names */
extern const size_t syscall_names_n;
extern const uint8_t syscall_behinds[]; /* [name] */
extern const int16_t syscall_numbers[]; /* [name][arch], -1 where the call does not exist */
extern const char syscall_source[];	/* "2.5.4": the version of libseccomp */

/* The token of NAME ("x86_64"), or 0. */
uint32_t syscall_arch_token(const char *name);

/* The token of the architecture that creel was built for. */
uint32_t syscall_arch_native(void);

/* The number by which the architecture TOKEN calls NAME directly, or -1 when it cannot. */
int64_t syscall_number(uint32_t token, const char *name);

/*
 * What stands for NAME where calls are multiplexed: 100 and the number that socketcall(2) takes, or
 * 200 and that of ipc(2); 0 for all other calls.
 */
int syscall_behind(const char *name);

/* Whether any architecture has a call of this name. */
bool syscall_is_known(const char *name);
