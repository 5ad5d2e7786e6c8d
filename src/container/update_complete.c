/* An `update` names what changes; some of the kernel's files hold more than that, and some limits
 * are sums. */
#include "update_parts.h"

#include <stdlib.h>
#include <string.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/text.h>

/* A number in FILE; false for "max" and for a file that is not there. */
static bool read_number(int cgroup, const char *file, uint64_t *value)
{
	auto_arena arena = { 0 };
	const char *text = cgroup_read(&arena, cgroup, file);

	return text && text_parse_uint(text, INT64_MAX, value);
}

/* cpu.max is "QUOTA PERIOD": what is not given of it stays.  0 is how runc's users say "not given".
 */
static void complete_cpu(int cgroup, struct oci_cpu *cpu)
{
	auto_arena arena = { 0 };
	char *text = cgroup_read(&arena, cgroup, "cpu.max");
	const char *quota = text ? strsep(&text, " ") : NULL;
	uint64_t period;

	if ((cpu->quota.value == 0) == (cpu->period.value == 0) || !quota || !text ||
	    !text_parse_uint(text, INT64_MAX, &period))
		return;
	if (cpu->period.value == 0)
		cpu->period = (struct optional_uint){ .set = true, .value = period };
	else
		cpu->quota = (struct optional){
			.set = true,
			.value = strcmp(quota, "max") == 0 ? -1 : strtoll(quota, NULL, 10),
		};
}

/* The document's swap is memory and swap together: without a new limit of memory the present one
 * counts. */
static void complete_memory(int cgroup, struct oci_memory *memory)
{
	uint64_t limit;

	if (memory->swap.value > 0 && memory->limit.value == 0 &&
	    read_number(cgroup, "memory.max", &limit))
		memory->limit = (struct optional){ .set = true, .value = (int64_t)limit };
}

static bool is_listed(const struct oci_block_io *io, int64_t major, int64_t minor)
{
	list_each (const struct oci_weight_device, device, &io->weight_device)
		if (device->major.value == major && device->minor.value == minor)
			return true;
	return false;
}

/* With a new weight for all, BFQ forgets those of single devices; what is absent must stay. */
static void complete_weights(struct arena *arena, int cgroup, struct oci_block_io *io)
{
	char *rest = cgroup_read(arena, cgroup, "io.bfq.weight");
	struct oci_weight_device *items;
	size_t lines = 1, n = io->weight_device.n;

	if (!rest || io->weight.value == 0)
		return;
	for (const char *c = rest; *c; c++)
		lines += *c == '\n';
	items = arena_array(arena, n + lines, sizeof(*items));
	if (n > 0)
		memcpy(items, io->weight_device.items, n * sizeof(*items));
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		const char *text = line;
		uint64_t values[3]; /* "major:minor weight" */

		if (text_take_uints(&text, ": ", values, 3) != 3 ||
		    is_listed(io, (int64_t)values[0], (int64_t)values[1]))
			continue;
		items[n].major = (struct optional){ .set = true, .value = (int64_t)values[0] };
		items[n].minor = (struct optional){ .set = true, .value = (int64_t)values[1] };
		items[n++].weight = (struct optional_uint){ .set = true, .value = values[2] };
	}
	io->weight_device.items = items;
	io->weight_device.n = n;
}

static int check_usage(int cgroup, const struct oci_memory *memory, struct error *err)
{
	uint64_t usage = 0, swap = 0;

	if (!read_number(cgroup, "memory.current", &usage))
		return 0;
	if (memory->limit.value > 0 && (uint64_t)memory->limit.value <= usage) {
		error_coded(err, CRL_LIMIT_BELOW_USAGE,
			    error_state(err, "rejecting memory limit %lld <= usage %llu",
					(long long)memory->limit.value, (unsigned long long)usage));
		return error_at(err, "/memory/limit");
	}
	if (!read_number(cgroup, "memory.swap.current", &swap))
		return 0;
	if (memory->swap.value > 0 && (uint64_t)memory->swap.value <= usage + swap) {
		error_coded(err, CRL_LIMIT_BELOW_USAGE,
			    error_state(err, "rejecting memory+swap limit %lld <= usage %llu",
					(long long)memory->swap.value,
					(unsigned long long)(usage + swap)));
		return error_at(err, "/memory/swap");
	}
	return 0;
}

int update_complete(struct arena *arena, int cgroup, const struct oci_resources *resources,
		    struct oci_resources *complete, struct error *err)
{
	*complete = *resources;
	if (resources->cpu) {
		complete->cpu = arena_copy(arena, resources->cpu, sizeof(*resources->cpu));
		complete_cpu(cgroup, complete->cpu);
	}
	if (resources->block_io) {
		complete->block_io =
		    arena_copy(arena, resources->block_io, sizeof(*resources->block_io));
		complete_weights(arena, cgroup, complete->block_io);
	}
	if (!resources->memory)
		return 0;
	complete->memory = arena_copy(arena, resources->memory, sizeof(*resources->memory));
	complete_memory(cgroup, complete->memory);
	if (resources->memory->check_before_update.value)
		return check_usage(cgroup, resources->memory, err);
	return 0;
}
