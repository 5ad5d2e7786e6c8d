/*
 * `linux.resources` as writes to the files of a cgroup and as properties of a unit.  A plain limit
 * is one row of the table below; those with arithmetic or with lists have a function each.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <stdlib.h>
#include <string.h>

/* How systemd writes "no limit" for a property of type t. */
#define INFINITE "18446744073709551615"

#define BFQ_WEIGHT "io.bfq.weight"

/* What every part of this file works on. */
struct target {
	struct arena *arena;
	const char *where; /* of the whole object */
	struct plan_cgroup *plan;
	struct findings *findings; /* or NULL */
};

static const char *at(const struct target *to, const char *pointer)
{
	return text_format(to->arena, "%s%s", to->where, pointer);
}

/* 0 is how runc's users leave a limit alone; -1 is no limit. */
static const char *format_limit(struct arena *arena, int64_t value, bool systemd)
{
	(void)systemd;
	if (value == 0)
		return NULL;
	return value < 0 ? "max" : text_format(arena, "%lld", (long long)value);
}

/* For pids 0 is a limit: nothing may fork.  systemd cannot say it, and 1 means the same for a
 * process that exists. */
static const char *format_pids(struct arena *arena, int64_t value, bool systemd)
{
	if (value == 0 && systemd)
		value = 1;
	return value < 0 ? "max" : text_format(arena, "%lld", (long long)value);
}

#define OBJECT(m) offsetof(struct oci_resources, m)

static const struct limit_row {
	size_t object; /* the pointer's place in struct oci_resources */
	size_t member; /* of a struct optional in that object */
	const char *pointer;
	const char *file;
	const char *property;
	const char *(*format)(struct arena *arena, int64_t value, bool systemd);
} limit_rows[] = {
	{ OBJECT(pids), offsetof(struct oci_pids, limit), "/pids/limit", "pids.max", "TasksMax",
	  format_pids },
	{ OBJECT(memory), offsetof(struct oci_memory, limit), "/memory/limit", "memory.max",
	  "MemoryMax", format_limit },
	{ OBJECT(memory), offsetof(struct oci_memory, reservation), "/memory/reservation",
	  "memory.low", "MemoryLow", format_limit },
};

static void add_limit(const struct target *to, const char *file, const char *property,
		      const char *value, const char *where, unsigned int flags)
{
	plan_write(to->arena, to->plan, file, value, where)->flags = flags;
	if (property)
		plan_property(to->arena, to->plan, property, "t",
			      strcmp(value, "max") == 0 ? INFINITE : value, where);
}

static void plan_row(const struct target *to, const struct limit_row *row,
		     const struct oci_resources *resources)
{
	const void *const *object = (const void *const *)((const char *)resources + row->object);
	const struct optional *limit;
	const char *value;

	if (!*object)
		return;
	limit = (const struct optional *)((const char *)*object + row->member);
	if (!limit->set)
		return;
	value = row->format(to->arena, limit->value, to->plan->manager == CGROUP_MANAGER_SYSTEMD);
	if (value)
		add_limit(to, row->file, row->property, value, at(to, row->pointer), 0);
}

/*
 * The spec's swap is memory and swap together, cgroup2's is swap alone.  The rules are runc's, in
 * its order: engines know them. Writing "max" or "0" where swap is not counted changes nothing, so
 * there the file may be missing.
 */
static int plan_swap(const struct target *to, const struct oci_memory *memory, struct error *err)
{
	int64_t limit = memory->limit.value;
	int64_t swap = memory->swap.value;
	const char *where = at(to, "/memory/swap");
	const char *value;

	if (limit == -1 && swap == 0)
		swap = -1;
	if (swap == 0)
		return 0;
	if (swap > 0 && limit == 0)
		return error_coded(
		    err, CRL_SWAP,
		    error_config_at(err, where, "unable to set swap limit without memory limit"));
	if (swap > 0 && limit > 0) {
		if (swap < limit)
			return error_coded(
			    err, CRL_SWAP,
			    error_config_at(err, where,
					    "memory+swap limit should be >= memory limit"));
		swap -= limit;
	}
	value = swap < 0 ? "max" : text_format(to->arena, "%lld", (long long)swap);
	add_limit(to, "memory.swap.max", "MemorySwapMax", value, where,
		  swap <= 0 ? CGROUP_MISSING_IS_FINE : 0);
	return 0;
}

/* What only version 1 has and what may be left out without harm: engines send it anyway. */
static void note_memory(const struct target *to, const struct oci_memory *memory)
{
	if (memory->kernel.set || memory->kernel_tcp.set || memory->swappiness.set ||
	    memory->use_hierarchy.set)
		log_debug(
		    "%s/memory: kernel, kernelTCP, swappiness and useHierarchy do not exist in "
		    "cgroup version 2 and are ignored",
		    to->where);
	if (memory->disable_oom_killer.value)
		findings_say(to->findings, FINDING_WARNING, at(to, "/memory/disableOOMKiller"),
			     "it is ignored: cgroup version 2 cannot do it");
}

static int plan_memory(const struct target *to, const struct oci_resources *resources,
		       struct error *err)
{
	const struct oci_memory *memory = resources->memory;

	if (!memory)
		return 0;
	note_memory(to, memory);
	return plan_swap(to, memory, err);
}

static int leaf_weight_error(const char *where, struct error *err)
{
	error_coded(
	    err, CRL_CGROUP_VALUE,
	    error_unsupported(err, "cannot set leafWeight: cgroup version 2 has no such limit"));
	return error_at(err, where);
}

static const char *io_weight(struct arena *arena, uint64_t weight)
{
	return text_format(arena, "%llu", (unsigned long long)(1 + (weight - 10) * 9999 / 990));
}

/*
 * What systemd turns into WEIGHT for BFQ: it knows one weight, of io.weight's scale, and writes
 * both files.  Source: systemd, BFQ_WEIGHT() in cgroup-util.h.
 */
static const char *bfq_property(struct arena *arena, uint64_t weight)
{
	return text_format(
	    arena, "%llu",
	    (unsigned long long)(weight <= 100 ? weight : 100 + (weight - 100) * 11));
}

/* BFQ has a file of its own, which exists while its module is loaded, and a scale of its own;
 * io.weight belongs to the iocost controller.  DEVICE is "MAJ:MIN " or "". */
static void plan_io_weight(const struct target *to, const char *device, uint64_t weight,
			   const char *where)
{
	struct cgroup_write *write;

	write =
	    plan_write(to->arena, to->plan, BFQ_WEIGHT,
		       text_format(to->arena, "%s%llu", device, (unsigned long long)weight), where);
	write->flags = CGROUP_MISSING_IS_FINE | CGROUP_LINES;
	write =
	    plan_write(to->arena, to->plan, "io.weight",
		       text_format(to->arena, "%s%s", device, io_weight(to->arena, weight)), where);
	write->flags = CGROUP_LINES;
	write->unless = BFQ_WEIGHT;
}

static void plan_io_property(const struct target *to, const char *value, const char *bfq,
			     const char *where)
{
	struct systemd_property *property;

	if (value)
		plan_property(to->arena, to->plan, "IOWeight", "t", value, where);
	property = plan_property(to->arena, to->plan, "IOWeight", "t", bfq, where);
	if (property)
		property->with = BFQ_WEIGHT;
}

/* BFQ forgets the weights of devices when systemd writes the other one. */
static void plan_device_property(const struct target *to, const struct oci_block_io *io, bool bfq)
{
	struct systemd_property *property = NULL;

	list_each (const struct oci_weight_device, device, &io->weight_device) {
		uint64_t weight = device->weight.value;

		if (weight < 10)
			continue;
		if (!property)
			property = plan_property(to->arena, to->plan, "IODeviceWeight", "a(st)",
						 NULL, at(to, "/blockIO/weightDevice"));
		if (!property)
			return;
		property->with = bfq ? BFQ_WEIGHT : NULL;
		plan_property_value(to->arena, property,
				    text_format(to->arena, "/dev/block/%lld:%lld",
						(long long)device->major.value,
						(long long)device->minor.value));
		plan_property_value(to->arena, property,
				    bfq ? bfq_property(to->arena, weight)
					: io_weight(to->arena, weight));
	}
}

static int plan_io_weights(const struct target *to, const struct oci_block_io *io,
			   struct error *err)
{
	const char *where = at(to, "/blockIO/weight");
	size_t i = 0;

	if (io->leaf_weight.value > 0)
		return leaf_weight_error(at(to, "/blockIO/leafWeight"), err);
	if (io->weight.value >= 10) {
		plan_io_weight(to, "", io->weight.value, where);
		plan_io_property(to, io_weight(to->arena, io->weight.value),
				 bfq_property(to->arena, io->weight.value), where);
	}
	list_each (const struct oci_weight_device, device, &io->weight_device) {
		const char *device_at =
		    pointer_index(to->arena, at(to, "/blockIO/weightDevice"), i++);

		if (device->leaf_weight.value > 0)
			return leaf_weight_error(device_at, err);
		if (device->weight.value >= 10)
			plan_io_weight(to,
				       text_format(to->arena, "%lld:%lld ",
						   (long long)device->major.value,
						   (long long)device->minor.value),
				       device->weight.value, device_at);
	}
	plan_device_property(to, io, false);
	plan_device_property(to, io, true);
	return 0;
}

struct throttle_list {
	const struct oci_throttle_device *items;
	size_t n;
	const char *pointer;
	const char *key;
};

static void plan_throttle(const struct target *to, const struct throttle_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_throttle_device *device = &list->items[i];

		plan_write(to->arena, to->plan, "io.max",
			   text_format(to->arena, "%lld:%lld %s=%llu",
				       (long long)device->major.value,
				       (long long)device->minor.value, list->key,
				       (unsigned long long)device->rate.value),
			   pointer_index(to->arena, at(to, list->pointer), i));
	}
}

static int plan_block_io(const struct target *to, const struct oci_resources *resources,
			 struct error *err)
{
	const struct oci_block_io *io = resources->block_io;

	if (!io)
		return 0;
	if (plan_io_weights(to, io, err) < 0)
		return -1;

	const struct throttle_list lists[] = {
		{ io->throttle_read_bps.items, io->throttle_read_bps.n,
		  "/blockIO/throttleReadBpsDevice", "rbps" },
		{ io->throttle_write_bps.items, io->throttle_write_bps.n,
		  "/blockIO/throttleWriteBpsDevice", "wbps" },
		{ io->throttle_read_iops.items, io->throttle_read_iops.n,
		  "/blockIO/throttleReadIOPSDevice", "riops" },
		{ io->throttle_write_iops.items, io->throttle_write_iops.n,
		  "/blockIO/throttleWriteIOPSDevice", "wiops" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		plan_throttle(to, &lists[i]);
	return 0;
}

static int plan_cpus(const struct target *to, const struct oci_resources *resources,
		     struct error *err)
{
	if (!resources->cpu)
		return 0;
	return plan_cpu(to->arena, resources->cpu, at(to, "/cpu"), to->plan, err);
}

/* The spec wants reservations counted, and limits on use are what applications expect: both, as
 * runc does. */
static int plan_hugetlb(const struct target *to, const struct oci_resources *resources,
			struct error *err)
{
	size_t i = 0;

	(void)err;
	list_each (const struct oci_hugepage_limit, limit, &resources->hugepage_limits) {
		const char *where = pointer_index(to->arena, at(to, "/hugepageLimits"), i++);
		const char *value =
		    text_format(to->arena, "%llu", (unsigned long long)limit->limit.value);

		plan_write(to->arena, to->plan,
			   text_format(to->arena, "hugetlb.%s.max", limit->page_size), value,
			   where);
		plan_write(to->arena, to->plan,
			   text_format(to->arena, "hugetlb.%s.rsvd.max", limit->page_size), value,
			   where)
		    ->flags = CGROUP_MISSING_IS_FINE;
	}
	return 0;
}

static int plan_rdma(const struct target *to, const struct oci_resources *resources,
		     struct error *err)
{
	(void)err;
	list_each (const struct oci_rdma, rdma, &resources->rdma) {
		const char *value = rdma->key;

		if (rdma->hca_handles.set)
			value = text_format(to->arena, "%s hca_handle=%llu", value,
					    (unsigned long long)rdma->hca_handles.value);
		if (rdma->hca_objects.set)
			value = text_format(to->arena, "%s hca_object=%llu", value,
					    (unsigned long long)rdma->hca_objects.value);
		plan_write(to->arena, to->plan, "rdma.max", value,
			   pointer_key(to->arena, at(to, "/rdma"), rdma->key));
	}
	return 0;
}

/* Version 1 tagged packets with these; leaving them out would let traffic through that a firewall
 * is to stop. */
static int refuse_network(const struct target *to, const struct oci_resources *resources,
			  struct error *err)
{
	const struct oci_network_resources *network = resources->network;

	if (!network || (network->class_id.value == 0 && network->priorities.n == 0))
		return 0;
	error_coded(err, CRL_CGROUP_VALUE,
		    error_unsupported(err, "network limits are not supported by cgroup version 2"));
	return error_at(
	    err, at(to, network->class_id.value ? "/network/classID" : "/network/priorities"));
}

/* Files that systemd would write itself with its own value whenever it reloads. */
static const struct unified_row {
	const char *file;
	const char *property;
} unified_rows[] = {
	{ "cpu.weight", "CPUWeight" },
	{ "io.weight", "IOWeight" },
	{ "memory.min", "MemoryMin" },
	{ "memory.low", "MemoryLow" },
	{ "memory.high", "MemoryHigh" },
	{ "memory.max", "MemoryMax" },
	{ "memory.swap.max", "MemorySwapMax" },
	{ "memory.zswap.max", "MemoryZSwapMax" },
	{ "pids.max", "TasksMax" },
};

static void plan_unified_property(const struct target *to, const struct string_pair *pair,
				  const char *where)
{
	uint64_t number = 0;

	if (strcmp(pair->key, BFQ_WEIGHT) == 0 && text_parse_uint(pair->value, 1000, &number))
		plan_io_property(to, NULL, bfq_property(to->arena, number), where);
	for (size_t i = 0; i < ARRAY_SIZE(unified_rows); i++) {
		if (strcmp(unified_rows[i].file, pair->key) != 0)
			continue;
		if (strcmp(pair->value, "max") == 0)
			plan_property(to->arena, to->plan, unified_rows[i].property, "t", INFINITE,
				      where);
		else if (text_parse_uint(pair->value, UINT64_MAX, &number))
			plan_property(to->arena, to->plan, unified_rows[i].property, "t",
				      pair->value, where);
	}
}

/* Last, so that it has the last word on every file. */
static int plan_unified(const struct target *to, const struct oci_resources *resources,
			struct error *err)
{
	(void)err;
	for (size_t i = 0; i < resources->unified.n; i++) {
		const struct string_pair *pair = &resources->unified.items[i];
		const char *where = pointer_key(to->arena, at(to, "/unified"), pair->key);
		struct cgroup_write *write =
		    plan_write(to->arena, to->plan, pair->key, pair->value, where);

		if (strchr(pair->value, '\n'))
			write->flags = CGROUP_LINES;
		plan_unified_property(to, pair, where);
		plan_unified_cpu(to->arena, pair, where, to->plan);
	}
	return 0;
}

static int plan_rows(const struct target *to, const struct oci_resources *resources,
		     struct error *err)
{
	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++)
		plan_row(to, &limit_rows[i], resources);
	return 0;
}

/* In this order; swap before the other limits of memory, as runc writes them. */
static int (*const parts[])(const struct target *to, const struct oci_resources *resources,
			    struct error *err) = {
	refuse_network, plan_memory,  plan_rows, plan_block_io,
	plan_cpus,	plan_hugetlb, plan_rdma, plan_unified,
};

int plan_all_resources(struct arena *arena, const struct oci_resources *resources,
		       const char *where, struct plan_cgroup *plan, struct findings *findings,
		       struct error *err)
{
	const struct target to = {
		.arena = arena,
		.where = where,
		.plan = plan,
		.findings = findings,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i](&to, resources, err) < 0 && findings_keep(findings, err) < 0)
			return -1;
	return 0;
}

int plan_resources(struct arena *arena, const struct oci_resources *resources, const char *where,
		   const struct facts *facts, struct plan_cgroup *plan, struct error *err)
{
	(void)facts;
	return plan_all_resources(arena, resources, where, plan, NULL, err);
}
