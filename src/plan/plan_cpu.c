/*
 * `linux.resources.cpu`: weight, bandwidth and cpusets, with the conversions from version 1's
 * numbers.
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <string.h>

#define DEFAULT_PERIOD 100000
#define INFINITE       "18446744073709551615"
#define SHARES_MIN     2
#define SHARES_MAX     262144
#define WEIGHT_MAX     10000
#define CPUSET_BITS    8192

/* log2(X) for X >= 1, bit by bit: squaring doubles the logarithm. */
static double log2_of(double x)
{
	double result = 0;
	double bit = 0.5;

	while (x >= 2) {
		x /= 2;
		result += 1;
	}
	for (int i = 0; i < 50; i++, bit /= 2) {
		x *= x;
		if (x >= 2) {
			x /= 2;
			result += bit;
		}
	}
	return result;
}

/* 10^X for 0 <= X <= 5: whole powers, then the series of e^(x ln 10). */
static double power_of_ten(double x)
{
	double result = 1;
	double term = 1;
	double sum = 1;

	while (x >= 1) {
		x -= 1;
		result *= 10;
	}
	for (int i = 1; i < 40; i++) {
		term *= x * 2.302585092994045684 / i;
		sum += term;
	}
	return result * sum;
}

/*
 * runc's and crun's present formula, which takes the default of one scale (1024) to the default of
 * the other (100): ceil(10^((l^2 + 125 l) / 612 - 7 / 34)) with l = log2(shares).  The small number
 * keeps what is exact from being rounded up.
 */
static uint64_t weight_of_shares(uint64_t shares)
{
	double l;
	double weight;

	if (shares <= SHARES_MIN)
		return 1;
	if (shares >= SHARES_MAX)
		return WEIGHT_MAX;
	l = log2_of((double)shares);
	weight = power_of_ten((l * l + 125 * l) / 612 - 7.0 / 34) - 1e-9;
	return (uint64_t)weight + (weight > (double)(uint64_t)weight);
}

static const char *number(struct arena *arena, uint64_t value)
{
	return text_format(arena, "%llu", (unsigned long long)value);
}

/* An idle group has no weight: the kernel refuses to write one (EINVAL), so cpu.idle is written
 * first and decides. */
static void plan_weight(struct arena *arena, const struct oci_cpu *cpu, const char *where,
			struct plan_cgroup *plan)
{
	const char *shares_at = pointer_key(arena, where, "shares");
	const char *weight;

	if (cpu->idle.set)
		plan_write(arena, plan, "cpu.idle", number(arena, (uint64_t)cpu->idle.value),
			   pointer_key(arena, where, "idle"));
	if (cpu->idle.value == 1) {
		plan_property(arena, plan, "CPUWeight", "t", "0",
			      pointer_key(arena, where, "idle"));
		return;
	}
	if (cpu->shares.value == 0)
		return;
	weight = number(arena, weight_of_shares(cpu->shares.value));
	plan_write(arena, plan, "cpu.weight", weight, shares_at);
	plan_property(arena, plan, "CPUWeight", "t", weight, shares_at);
}

/* systemd keeps a share of a second, in steps of 1 percent: the quota is rounded up to what it can
 * keep. */
static uint64_t systemd_quota(uint64_t quota, uint64_t period, uint64_t *per_second)
{
	unsigned __int128 exact = (unsigned __int128)quota * 1000000 / period;

	exact = (exact + 9999) / 10000 * 10000;
	if (exact >= UINT64_MAX) {
		*per_second = UINT64_MAX;
		return quota;
	}
	*per_second = (uint64_t)exact;
	return (uint64_t)(exact * period / 1000000);
}

static const char *plan_systemd_quota(struct arena *arena, const struct oci_cpu *cpu,
				      const char *where, struct plan_cgroup *plan)
{
	uint64_t period = cpu->period.value ? cpu->period.value : DEFAULT_PERIOD;
	uint64_t per_second = UINT64_MAX;
	uint64_t quota = 0;

	if (cpu->quota.value > 0)
		quota = systemd_quota((uint64_t)cpu->quota.value, period, &per_second);
	if (cpu->period.value)
		plan_property(arena, plan, "CPUQuotaPeriodUSec", "t", number(arena, period), where);
	plan_property(arena, plan, "CPUQuotaPerSecUSec", "t",
		      quota ? number(arena, per_second) : INFINITE, where);
	return quota ? number(arena, quota) : "max";
}

/* A quota alone leaves the period as it is: the kernel takes one number for that. */
static void plan_bandwidth(struct arena *arena, const struct oci_cpu *cpu, const char *where,
			   struct plan_cgroup *plan)
{
	const char *quota = "max";
	const char *quota_at = pointer_key(arena, where, cpu->quota.value ? "quota" : "period");

	if (cpu->quota.value == 0 && cpu->period.value == 0)
		return;
	if (plan->manager == CGROUP_MANAGER_SYSTEMD)
		quota = plan_systemd_quota(arena, cpu, quota_at, plan);
	else if (cpu->quota.value > 0)
		quota = number(arena, (uint64_t)cpu->quota.value);
	if (cpu->period.value)
		quota = text_format(arena, "%s %llu", quota, (unsigned long long)cpu->period.value);
	plan_write(arena, plan, "cpu.max", quota, quota_at);
}

/*
 * The kernel refuses a burst above the quota, whichever of the two is written: without a burst any
 * quota is fine, and after the new quota the new burst is.
 */
static void plan_burst(struct arena *arena, const struct oci_cpu *cpu, const char *where,
		       struct plan_cgroup *plan)
{
	const char *burst_at = pointer_key(arena, where, "burst");

	if (cpu->burst.set && cpu->burst.value > 0 && cpu->quota.value != 0)
		plan_write(arena, plan, "cpu.max.burst", "0", burst_at);
	plan_bandwidth(arena, cpu, where, plan);
	if (cpu->burst.set)
		plan_write(arena, plan, "cpu.max.burst", number(arena, cpu->burst.value), burst_at);
}

static void set_range(void *argument, unsigned int first, unsigned int last)
{
	unsigned char *bits = argument;

	for (unsigned int i = first; i <= last; i++)
		bits[i / 8] |= (unsigned char)(1 << i % 8);
}

/* systemd takes cpusets as bytes, lowest CPU in the lowest bit of the first one, without zeros at
 * the end. */
static void plan_set_property(struct arena *arena, const char *list, const char *name,
			      const char *where, struct plan_cgroup *plan)
{
	unsigned char bits[CPUSET_BITS / 8] = { 0 };
	struct systemd_property *property;
	size_t n = sizeof(bits);

	if (!text_parse_ranges(list, CPUSET_BITS - 1, set_range, bits))
		return;
	property = plan_property(arena, plan, name, "ay", NULL, where);
	while (n > 0 && bits[n - 1] == 0)
		n--;
	for (size_t i = 0; property && i < n; i++)
		plan_property_value(arena, property, number(arena, bits[i]));
}

static void plan_set(struct arena *arena, const char *list, const char *file, const char *name,
		     const char *where, struct plan_cgroup *plan)
{
	if (!list || list[0] == '\0')
		return;
	plan_write(arena, plan, file, list, where);
	plan_set_property(arena, list, name, where, plan);
}

int plan_cpu(struct arena *arena, const struct oci_cpu *cpu, const char *where,
	     struct plan_cgroup *plan, struct error *err)
{
	/* A real-time program that runs without its guarantee is worse than one that does not run.
	 */
	if (cpu->realtime_runtime.value > 0) {
		error_coded(err, CRL_CGROUP_VALUE,
			    error_unsupported(
				err, "realtime runtime is not supported by cgroup version 2"));
		return error_at(err, pointer_key(arena, where, "realtimeRuntime"));
	}
	plan_weight(arena, cpu, where, plan);
	plan_burst(arena, cpu, where, plan);
	plan_set(arena, cpu->cpus, "cpuset.cpus", "AllowedCPUs", pointer_key(arena, where, "cpus"),
		 plan);
	plan_set(arena, cpu->mems, "cpuset.mems", "AllowedMemoryNodes",
		 pointer_key(arena, where, "mems"), plan);
	return 0;
}

/* "QUOTA PERIOD" or "max PERIOD", the period may be missing; anything else is for the kernel to
 * refuse. */
static void plan_unified_bandwidth(struct arena *arena, const char *value, const char *where,
				   struct plan_cgroup *plan)
{
	size_t n = strcspn(value, " ");
	const char *quota = arena_strndup(arena, value, n);
	struct oci_cpu cpu = { .quota = { .set = true, .value = -1 } };
	uint64_t number = 0;

	if (strcmp(quota, "max") != 0) {
		if (!text_parse_uint(quota, INT64_MAX, &number) || number == 0)
			return;
		cpu.quota.value = (int64_t)number;
	}
	if (value[n] == ' ') {
		if (!text_parse_uint(value + n + 1, 1000000, &number) || number == 0)
			return;
		cpu.period.set = true;
		cpu.period.value = number;
	}
	plan_systemd_quota(arena, &cpu, where, plan);
}

void plan_unified_cpu(struct arena *arena, const struct string_pair *pair, const char *where,
		      struct plan_cgroup *plan)
{
	if (strcmp(pair->key, "cpu.max") == 0)
		plan_unified_bandwidth(arena, pair->value, where, plan);
	else if (strcmp(pair->key, "cpu.idle") == 0 && strcmp(pair->value, "1") == 0)
		plan_property(arena, plan, "CPUWeight", "t", "0", where);
	else if (strcmp(pair->key, "cpuset.cpus") == 0)
		plan_set_property(arena, pair->value, "AllowedCPUs", where, plan);
	else if (strcmp(pair->key, "cpuset.mems") == 0)
		plan_set_property(arena, pair->value, "AllowedMemoryNodes", where, plan);
}
