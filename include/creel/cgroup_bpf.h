/* Device rules as one eBPF program on a cgroup.  Source: cgroup-v2.rst "Device controller", bpf(2).
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct bpf_insn;

enum device_access {
	DEVICE_MKNOD = 1,
	DEVICE_READ = 2,
	DEVICE_WRITE = 4,
	DEVICE_ALL = 7,
};

struct device_rule {
	bool allow;
	char type;	     /* 'a' (both), 'b' or 'c' */
	int64_t major;	     /* -1: any */
	int64_t minor;	     /* -1: any */
	unsigned int access; /* enum device_access */
};

/*
 * Compiles RULES, which are applied in order as the v1 files devices.allow and devices.deny would,
 * into a small program. Each of mknod, read and write that an access asks for is decided by the
 * last rule that matches the device and has it; no such rule means deny; and the access is allowed
 * when all of them are.  A rule with type 'a' is for both types; when it is for all devices and
 * accesses, what was before it is without effect.  Rules that change nothing cost nothing.  Pure.
 * Returns the instructions in the arena.
 */
struct bpf_insn *device_program(struct arena *arena, const struct device_rule *rules, size_t n,
				size_t *length);
/* What the rules say about one access, without a kernel: the reference that tests hold the program
 * against. */
bool device_rules_allow(const struct device_rule *rules, size_t n, char type, int64_t major,
			int64_t minor, unsigned int access);

/*
 * Loads the program and attaches it to the cgroup FD, beside programs of others (systemd's); a
 * program of ours that is there is replaced atomically (BPF_F_REPLACE), several are removed after
 * the new one is in force.  FRESH: the caller has just made the cgroup, so that there is none.
 */
int device_program_attach(int fd, const struct bpf_insn *program, size_t length, bool fresh,
			  struct error *err) must_check;
