/* What a container uses, as tables; members and their order are those of runc's events. */
#include <creel/oci_stats.h>

#define KEEP FIELD_KEEP_EMPTY

static const struct field pressure_line_fields[] = {
	F_ANY(struct oci_pressure_line, avg10, "avg10", 0),
	F_ANY(struct oci_pressure_line, avg60, "avg60", 0),
	F_ANY(struct oci_pressure_line, avg300, "avg300", 0),
	F_UINT(struct oci_pressure_line, total, "total", KEEP, UINT64_MAX),
};

static const struct schema pressure_line_schema =
    SCHEMA(struct oci_pressure_line, pressure_line_fields, NULL);

static const struct field pressure_fields[] = {
	F_OBJECT(struct oci_pressure, some, "some", 0, struct oci_pressure_line,
		 &pressure_line_schema),
	F_OBJECT(struct oci_pressure, full, "full", 0, struct oci_pressure_line,
		 &pressure_line_schema),
};

static const struct schema pressure_schema = SCHEMA(struct oci_pressure, pressure_fields, NULL);

static const struct field cpu_usage_fields[] = {
	F_UINT(struct oci_cpu_usage, total, "total", 0, UINT64_MAX),
	F_UINT(struct oci_cpu_usage, kernel, "kernel", KEEP, UINT64_MAX),
	F_UINT(struct oci_cpu_usage, user, "user", KEEP, UINT64_MAX),
};

static const struct schema cpu_usage_schema = SCHEMA(struct oci_cpu_usage, cpu_usage_fields, NULL);

static const struct field throttling_fields[] = {
	F_UINT(struct oci_throttling, periods, "periods", 0, UINT64_MAX),
	F_UINT(struct oci_throttling, throttled_periods, "throttledPeriods", 0, UINT64_MAX),
	F_UINT(struct oci_throttling, throttled_time, "throttledTime", 0, UINT64_MAX),
};

static const struct schema throttling_schema =
    SCHEMA(struct oci_throttling, throttling_fields, NULL);

static const struct field cpu_fields[] = {
	F_OBJECT(struct oci_cpu_stats, usage, "usage", 0, struct oci_cpu_usage, &cpu_usage_schema),
	F_OBJECT(struct oci_cpu_stats, throttling, "throttling", 0, struct oci_throttling,
		 &throttling_schema),
	F_OBJECT(struct oci_cpu_stats, psi, "psi", 0, struct oci_pressure, &pressure_schema),
};

static const struct schema cpu_schema = SCHEMA(struct oci_cpu_stats, cpu_fields, NULL);

/* Version 1's switches: one member stands for all of them, since none has a value here. */
static const struct field cpuset_fields[] = {
	F_UINTS(struct oci_cpuset_stats, cpus, "cpus", 0, UINT16_MAX),
	F_UINT(struct oci_cpuset_stats, zero, "cpu_exclusive", KEEP, 0),
	F_UINTS(struct oci_cpuset_stats, mems, "mems", 0, UINT16_MAX),
	F_UINT(struct oci_cpuset_stats, zero, "mem_hardwall", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "mem_exclusive", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "memory_migrate", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "memory_spread_page", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "memory_spread_slab", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "memory_pressure", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "sched_load_balance", KEEP, 0),
	F_UINT(struct oci_cpuset_stats, zero, "sched_relax_domain_level", KEEP, 0),
};

static const struct schema cpuset_schema = SCHEMA(struct oci_cpuset_stats, cpuset_fields, NULL);

static const struct field memory_entry_fields[] = {
	F_UINT(struct oci_memory_entry, limit, "limit", KEEP, UINT64_MAX),
	F_UINT(struct oci_memory_entry, usage, "usage", 0, UINT64_MAX),
	F_UINT(struct oci_memory_entry, max, "max", 0, UINT64_MAX),
	F_UINT(struct oci_memory_entry, failcnt, "failcnt", KEEP, UINT64_MAX),
};

static const struct schema memory_entry_schema =
    SCHEMA(struct oci_memory_entry, memory_entry_fields, NULL);

static const struct field memory_fields[] = {
	F_UINT(struct oci_memory_stats, cache, "cache", 0, UINT64_MAX),
	F_OBJECT(struct oci_memory_stats, usage, "usage", 0, struct oci_memory_entry,
		 &memory_entry_schema),
	F_OBJECT(struct oci_memory_stats, swap, "swap", 0, struct oci_memory_entry,
		 &memory_entry_schema),
	F_OBJECT(struct oci_memory_stats, kernel, "kernel", 0, struct oci_memory_entry,
		 &memory_entry_schema),
	F_OBJECT(struct oci_memory_stats, kernel_tcp, "kernelTCP", 0, struct oci_memory_entry,
		 &memory_entry_schema),
	F_ANY(struct oci_memory_stats, raw, "raw", 0),
	F_OBJECT(struct oci_memory_stats, psi, "psi", 0, struct oci_pressure, &pressure_schema),
};

static const struct schema memory_schema = SCHEMA(struct oci_memory_stats, memory_fields, NULL);

static const struct field pids_fields[] = {
	F_UINT(struct oci_pids_stats, current, "current", 0, UINT64_MAX),
	F_UINT(struct oci_pids_stats, limit, "limit", 0, UINT64_MAX),
};

static const struct schema pids_schema = SCHEMA(struct oci_pids_stats, pids_fields, NULL);

static const struct field io_entry_fields[] = {
	F_UINT(struct oci_io_entry, major, "major", 0, UINT32_MAX),
	F_UINT(struct oci_io_entry, minor, "minor", 0, UINT32_MAX),
	F_STRING(struct oci_io_entry, op, "op", 0),
	F_UINT(struct oci_io_entry, value, "value", 0, UINT64_MAX),
};

static const struct schema io_entry_schema = SCHEMA(struct oci_io_entry, io_entry_fields, NULL);

static const struct field io_fields[] = {
	F_LIST(struct oci_io_stats, bytes, "ioServiceBytesRecursive", 0, struct oci_io_entry,
	       &io_entry_schema),
	F_LIST(struct oci_io_stats, operations, "ioServicedRecursive", 0, struct oci_io_entry,
	       &io_entry_schema),
	F_OBJECT(struct oci_io_stats, psi, "psi", 0, struct oci_pressure, &pressure_schema),
};

static const struct schema io_schema = SCHEMA(struct oci_io_stats, io_fields, NULL);

static const struct field hugetlb_fields[] = {
	F_UINT(struct oci_hugetlb_stats, usage, "usage", 0, UINT64_MAX),
	F_UINT(struct oci_hugetlb_stats, max, "max", 0, UINT64_MAX),
	F_UINT(struct oci_hugetlb_stats, failcnt, "failcnt", KEEP, UINT64_MAX),
};

static const struct schema hugetlb_schema = SCHEMA(struct oci_hugetlb_stats, hugetlb_fields, NULL);

static const struct field stats_fields[] = {
	F_OBJECT(struct oci_stats, cpu, "cpu", 0, struct oci_cpu_stats, &cpu_schema),
	F_OBJECT(struct oci_stats, cpuset, "cpuset", 0, struct oci_cpuset_stats, &cpuset_schema),
	F_OBJECT(struct oci_stats, memory, "memory", 0, struct oci_memory_stats, &memory_schema),
	F_OBJECT(struct oci_stats, pids, "pids", 0, struct oci_pids_stats, &pids_schema),
	F_OBJECT(struct oci_stats, block_io, "blkio", 0, struct oci_io_stats, &io_schema),
	F_OBJECT_MAP(struct oci_stats, hugetlb, "hugetlb", KEEP, struct oci_hugetlb_stats,
		     &hugetlb_schema),
	F_ANY(struct oci_stats, intel_rdt, "intel_rdt", 0),
	F_ANY(struct oci_stats, network_interfaces, "network_interfaces", 0),
};

const struct schema oci_stats_schema = SCHEMA(struct oci_stats, stats_fields, NULL);

static const struct field oom_fields[] = {
	F_STRING(struct oci_oom, cgroup, "cgroup", 0),
	F_UINT(struct oci_oom, limit, "limit", 0, UINT64_MAX),
	F_UINT(struct oci_oom, peak, "peak", 0, UINT64_MAX),
};

static const struct schema oom_schema = SCHEMA(struct oci_oom, oom_fields, NULL);

/* What is known of an oom stands beside `data`, which readers take for statistics. */
static const struct field event_fields[] = {
	F_STRING(struct oci_event, type, "type", FIELD_REQUIRED),
	F_STRING(struct oci_event, id, "id", FIELD_REQUIRED),
	F_OBJECT(struct oci_event, data, "data", 0, struct oci_stats, &oci_stats_schema),
	F_OBJECT(struct oci_event, oom, "oom", 0, struct oci_oom, &oom_schema),
};

const struct schema oci_event_schema = SCHEMA(struct oci_event, event_fields, NULL);
