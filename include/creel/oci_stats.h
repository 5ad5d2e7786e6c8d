/*
 * What a container uses, in the words of `events` and `stats`: the document that runc's users parse
 * (SPEC 3.4).  Times of the CPU are nanoseconds, sizes are bytes; the totals of pressure are
 * microseconds, as the kernel counts them.
 */
#pragma once

#include <creel/schema.h>

/* "no limit", as version 1 wrote it. */
#define OCI_STATS_UNLIMITED UINT64_MAX

struct oci_pressure_line {
	const struct json *avg10; /* percent, a decimal fraction */
	const struct json *avg60;
	const struct json *avg300;
	struct optional_uint total;
};

struct oci_pressure {
	struct oci_pressure_line *some;
	struct oci_pressure_line *full;
};

struct oci_cpu_usage {
	struct optional_uint total;
	struct optional_uint kernel;
	struct optional_uint user;
};

struct oci_throttling {
	struct optional_uint periods;
	struct optional_uint throttled_periods;
	struct optional_uint throttled_time;
};

struct oci_cpu_stats {
	struct oci_cpu_usage *usage;
	struct oci_throttling *throttling;
	struct oci_pressure *psi;
};

/* Only cpus and mems exist in version 2; the others are 0 and there because readers want them. */
struct oci_cpuset_stats {
	struct uints cpus;
	struct uints mems;
	struct optional_uint zero;
};

struct oci_memory_entry {
	struct optional_uint limit;
	struct optional_uint usage;
	struct optional_uint max; /* the highest usage so far */
	struct optional_uint failcnt;
};

struct oci_memory_stats {
	struct optional_uint cache;
	struct oci_memory_entry *usage;
	struct oci_memory_entry *swap; /* memory and swap together */
	struct oci_memory_entry *kernel;
	struct oci_memory_entry *kernel_tcp;
	const struct json *raw; /* memory.stat */
	struct oci_pressure *psi;
	struct optional_uint oom_kill; /* of memory.events; not in the document */
};

struct oci_pids_stats {
	struct optional_uint current;
	struct optional_uint limit; /* absent: none */
};

struct oci_io_entry {
	struct optional_uint major;
	struct optional_uint minor;
	char *op; /* "Read" or "Write" */
	struct optional_uint value;
};

struct oci_io_stats {
	LIST_OF(struct oci_io_entry) bytes;
	LIST_OF(struct oci_io_entry) operations;
	struct oci_pressure *psi;
};

struct oci_hugetlb_stats {
	char *key; /* "2MB" */
	struct optional_uint usage;
	struct optional_uint max;
	struct optional_uint failcnt;
};

struct oci_stats {
	struct oci_cpu_stats *cpu;
	struct oci_cpuset_stats *cpuset;
	struct oci_memory_stats *memory;
	struct oci_pids_stats *pids;
	struct oci_io_stats *block_io;
	LIST_OF(struct oci_hugetlb_stats) hugetlb;
	const struct json *intel_rdt;	       /* an empty object */
	const struct json *network_interfaces; /* null */
};

/* Which cgroup ran out of memory: the one whose limit was hit, not the one whose process died. */
struct oci_oom {
	char *cgroup;		    /* path in the hierarchy; absent: the whole host */
	struct optional_uint limit; /* absent: none */
	struct optional_uint peak;
};

struct oci_event {
	char *type; /* "stats" or "oom" */
	char *id;
	struct oci_stats *data;
	struct oci_oom *oom;
};

extern const struct schema oci_stats_schema;
extern const struct schema oci_event_schema;
