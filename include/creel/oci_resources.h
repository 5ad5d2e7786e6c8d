/*
 * `linux.resources` of config.json, which is also the body of `creel update --resources`.
 * Source: runtime-spec config-linux.md "Control groups".  Values are kept as the document writes
 * them: plan_cgroup.c converts.
 */
#pragma once

#include <creel/schema.h>

/* One rule of the device controller's list, applied in order. */
struct oci_device_rule {
	struct optional allow; /* 0 or 1; required */
	char *type;	       /* "a", "b", "c"; absent means "a" */
	struct optional major; /* absent or -1 means all */
	struct optional minor;
	char *access; /* a subset of "rwm"; absent means all */
};

struct oci_memory {
	struct optional limit; /* bytes; -1 is no limit */
	struct optional reservation;
	struct optional swap; /* bytes of memory plus swap; -1 is no limit */
	struct optional kernel;
	struct optional kernel_tcp;
	struct optional_uint swappiness;
	struct optional disable_oom_killer;
	struct optional use_hierarchy;
	struct optional check_before_update;
};

struct oci_cpu {
	struct optional_uint shares;
	struct optional quota;	     /* microseconds; <= 0 is no limit */
	struct optional_uint burst;  /* microseconds */
	struct optional_uint period; /* microseconds */
	struct optional realtime_runtime;
	struct optional_uint realtime_period;
	char *cpus;	      /* CPU list */
	char *mems;	      /* node list */
	struct optional idle; /* 0 or 1 */
};

struct oci_pids {
	struct optional limit; /* -1 is no limit; 0 is a limit */
};

struct oci_weight_device {
	struct optional major;
	struct optional minor;
	struct optional_uint weight;
	struct optional_uint leaf_weight;
};

struct oci_throttle_device {
	struct optional major;
	struct optional minor;
	struct optional_uint rate; /* bytes or operations a second */
};

struct oci_block_io {
	struct optional_uint weight; /* 10 to 1000; 0 is unset */
	struct optional_uint leaf_weight;
	LIST_OF(struct oci_weight_device) weight_device;
	LIST_OF(struct oci_throttle_device) throttle_read_bps;
	LIST_OF(struct oci_throttle_device) throttle_write_bps;
	LIST_OF(struct oci_throttle_device) throttle_read_iops;
	LIST_OF(struct oci_throttle_device) throttle_write_iops;
};

struct oci_hugepage_limit {
	char *page_size;	    /* "2MB": ^[1-9][0-9]*[KMG]B$ */
	struct optional_uint limit; /* bytes */
};

struct oci_interface_priority {
	char *name;
	struct optional_uint priority;
};

struct oci_network_resources {
	struct optional_uint class_id;
	LIST_OF(struct oci_interface_priority) priorities;
};

struct oci_rdma {
	char *key; /* the device */
	struct optional_uint hca_handles;
	struct optional_uint hca_objects;
};

struct oci_resources {
	LIST_OF(struct oci_device_rule) devices;
	struct oci_memory *memory;
	struct oci_cpu *cpu;
	struct oci_pids *pids;
	struct oci_block_io *block_io;
	LIST_OF(struct oci_hugepage_limit) hugepage_limits;
	struct oci_network_resources *network;
	LIST_OF(struct oci_rdma) rdma;
	struct string_map unified; /* file name to value */
};

extern const struct schema oci_resources_schema;
