/*
 * The unit of a container whose cgroup systemd makes: its names and the properties it is made with.
 * Source: systemd.unit(5), systemd.slice(5), systemd.resource-control(5),
 * org.freedesktop.systemd1(5).
 */
#include "parts.h"

#include <creel/error.h>
#include <creel/log.h>
#include <string.h>

#define UNIT_NAME_MAX	  255
#define UNIT_NAME_CHARS	  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\-"
#define LETTERS		  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ANNOTATION_PREFIX "org.systemd.property."

static const char where_path[] = "/linux/cgroupsPath";

void plan_property_value(struct arena *arena, struct systemd_property *property, const char *value)
{
	strings_add(arena, &property->values, arena_strdup(arena, value));
}

struct systemd_property *plan_property(struct arena *arena, struct plan_cgroup *plan,
				       const char *name, const char *signature, const char *value,
				       const char *where)
{
	struct systemd_property *property;
	size_t n = plan->properties_n;

	if (plan->manager != CGROUP_MANAGER_SYSTEMD)
		return NULL;
	if ((n & (n - 1)) == 0) {
		struct systemd_property *larger = arena_array(arena, 2 * n + 1, sizeof(*larger));

		if (n > 0)
			memcpy(larger, plan->properties, n * sizeof(*larger));
		plan->properties = larger;
	}
	property = &plan->properties[plan->properties_n++];
	property->name = name;
	property->signature = signature;
	property->where = where;
	if (value)
		plan_property_value(arena, property, value);
	return property;
}

static int check_unit(const char *unit, struct error *err)
{
	size_t n = strlen(unit);

	if (n > UNIT_NAME_MAX)
		return error_coded(
		    err, CRL_CGROUP_PATH,
		    error_config_at(err, where_path,
				    "the unit's name has %zu bytes, systemd takes %d", n,
				    UNIT_NAME_MAX));
	if (unit[strspn(unit, UNIT_NAME_CHARS)] != '\0' || unit[0] == '-' || unit[0] == '.')
		return error_coded(err, CRL_CGROUP_PATH,
				   error_config_at(err, where_path,
						   "\"%s\" cannot be the name of a systemd unit",
						   unit));
	return 0;
}

/* systemd.slice(5): "a-b.slice" is below "a.slice", so an empty part has no parent.  "-.slice" is
 * the root of all. */
static int check_slice(const char *slice, struct error *err)
{
	const char *suffix = ".slice";
	size_t n = strlen(slice);

	if (strcmp(slice, "-.slice") == 0)
		return 0;
	if (!text_ends_with(slice, suffix) || n == strlen(suffix) || strchr(slice, '/') ||
	    slice[0] == '-' || strstr(slice, "--") || strstr(slice, "-.slice"))
		return error_coded(
		    err, CRL_CGROUP_PATH,
		    error_config_at(err, where_path, "invalid slice name: %s", slice));
	return check_unit(slice, err);
}

static bool is_user_manager(const struct input *input)
{
	return input->facts->euid != 0 || input->facts->in_userns;
}

/* Splits "slice:prefix:name"; false when there are not just two colons. */
static bool split_path(struct arena *arena, const char *path, char *parts[static 3])
{
	for (int i = 0; i < 3; i++) {
		size_t n = strcspn(path, ":");

		parts[i] = arena_strndup(arena, path, n);
		if ((path[n] == ':') != (i < 2))
			return false;
		path += n + 1;
	}
	return true;
}

static int plan_unit(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	const char *path = input->linux->cgroups_path;
	char *parts[3] = { NULL, NULL, NULL };

	if (!path || path[0] == '\0')
		path = text_format(input->arena, ":creel:%s", input->request->id);
	else
		plan->where = where_path;
	if (!split_path(input->arena, path, parts))
		return error_coded(
		    err, CRL_CGROUP_PATH,
		    error_config_at(
			err, where_path,
			"expected cgroupsPath to be of format \"slice:prefix:name\" for "
			"systemd cgroups, got \"%s\" instead",
			path));
	if (parts[2][0] == '\0')
		return error_coded(err, CRL_CGROUP_PATH,
				   error_config_at(err, where_path,
						   "the name of the unit is empty in \"%s\"",
						   path));
	plan->slice = parts[0];
	if (plan->slice[0] == '\0')
		plan->slice = is_user_manager(input) ? "user.slice" : "system.slice";
	plan->unit = parts[2];
	if (!text_ends_with(parts[2], ".slice"))
		plan->unit = text_format(input->arena, "%s%s%s.scope", parts[1],
					 parts[1][0] ? "-" : "", parts[2]);
	if (check_slice(plan->slice, err) < 0)
		return -1;
	return check_unit(plan->unit, err);
}

/* The process that is to be in the unit (PIDs) is added when it exists. */
static void plan_unit_properties(const struct input *input, struct plan_cgroup *plan)
{
	static const char *const accounting[] = { "MemoryAccounting", "CPUAccounting",
						  "IOAccounting", "TasksAccounting" };
	bool is_slice = text_ends_with(plan->unit, ".slice");
	struct arena *arena = input->arena;

	plan_property(arena, plan, "Description", "s",
		      text_format(arena, "creel container %s", input->request->id), NULL);
	if (is_slice) {
		plan_property(arena, plan, "Wants", "as", plan->slice, plan->where);
	} else {
		plan_property(arena, plan, "Slice", "s", plan->slice, plan->where);
		plan_property(arena, plan, "Delegate", "b", "true", NULL);
		/* A failed one would keep its name; it may even fail after its create was killed.
		 */
		plan_property(arena, plan, "CollectMode", "s", "inactive-or-failed", NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(accounting); i++)
		plan_property(arena, plan, accounting[i], "b", "true", NULL);
	plan_property(arena, plan, "DefaultDependencies", "b", "false", NULL);
}

/* Systemd has a policy of its own for memory.oom.group, which can be set at creation only. */
static void plan_oom_policy(const struct input *input, struct plan_cgroup *plan)
{
	const char *where;
	const char *group = oom_group(input, &where);

	if (group)
		plan_property(input->arena, plan, "OOMPolicy", "s",
			      strcmp(group, "1") == 0 ? "kill" : "continue", where);
}

int plan_systemd(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	if (!input->facts->systemd) {
		error_coded(
		    err, CRL_NO_SYSTEMD,
		    error_unsupported(
			err,
			"systemd not running on this host, cannot use systemd cgroups manager"));
		return error_hint(err, "leave out --systemd-cgroup");
	}
	if (plan_unit(input, plan, err) < 0)
		return -1;
	plan_unit_properties(input, plan);
	plan_oom_policy(input, plan);
	return 0;
}

/* "TimeoutStopSec" is what unit files say; the bus knows TimeoutStopUSec, in microseconds. */
static int convert_seconds(struct arena *arena, struct systemd_property *property,
			   struct error *err)
{
	size_t n = strlen(property->name);
	uint64_t seconds = 0;

	if (n < 4 || !text_ends_with(property->name, "Sec") || property->name[n - 4] < 'a' ||
	    property->name[n - 4] > 'z')
		return 0;
	if (property->values.n != 1 ||
	    !text_parse_uint(property->values.items[0], UINT64_MAX / 1000000, &seconds))
		return error_config_at(err, property->where, "%s is not a number of seconds",
				       property->name);
	property->name = text_format(arena, "%.*sUSec", (int)n - 3, property->name);
	property->signature = "t";
	property->values = (struct strings){ 0 };
	plan_property_value(arena, property,
			    text_format(arena, "%llu", (unsigned long long)seconds * 1000000));
	return 0;
}

static int plan_annotation(const struct input *input, const struct string_pair *pair,
			   struct plan_cgroup *plan, struct error *err)
{
	const char *name = pair->key + strlen(ANNOTATION_PREFIX);
	const char *where = pointer_key(input->arena, "/annotations", pair->key);
	struct systemd_property *property;

	if (strlen(name) < 3 || name[strspn(name, LETTERS)] != '\0')
		return error_config_at(err, where, "\"%s\" is not the name of a property", name);
	property = plan_property(input->arena, plan, name, "", NULL, where);
	if (!property)
		return 0; /* without systemd nobody asks for it */
	if (!plan_property_parse(input->arena, pair->value, property))
		return error_config_at(
		    err, where,
		    "\"%s\" is not a value such as true, 'text', 15, uint64 5 or ['a', 'b']",
		    pair->value);
	return convert_seconds(input->arena, property, err);
}

int plan_systemd_annotations(const struct input *input, struct plan_cgroup *plan, struct error *err)
{
	const struct string_map *annotations = &input->config->annotations;

	for (size_t i = 0; i < annotations->n; i++)
		if (text_starts_with(annotations->items[i].key, ANNOTATION_PREFIX) &&
		    plan_annotation(input, &annotations->items[i], plan, err) < 0)
			return -1;
	return 0;
}

static bool allows_all(const struct device_rule *rule)
{
	return rule->allow && rule->type == 'a' && rule->major < 0 && rule->minor < 0 &&
	       rule->access == DEVICE_ALL;
}

static bool denies_all(const struct device_rule *rule)
{
	return !rule->allow && rule->type == 'a' && rule->major < 0 && rule->minor < 0 &&
	       rule->access == DEVICE_ALL;
}

/* "/dev/char/1:3", "char-136" or "char-*"; NULL for what systemd cannot say. */
static const char *device_name(struct arena *arena, const struct device_rule *rule)
{
	const char *kind = rule->type == 'b' ? "block" : "char";

	if (rule->type == 'a' || (rule->major < 0 && rule->minor >= 0))
		return NULL;
	if (rule->major < 0)
		return text_format(arena, "%s-*", kind);
	if (rule->minor < 0)
		return text_format(arena, "%s-%lld", kind, (long long)rule->major);
	return text_format(arena, "/dev/%s/%lld:%lld", kind, (long long)rule->major,
			   (long long)rule->minor);
}

static const char *device_access(struct arena *arena, unsigned int access)
{
	return text_format(arena, "%s%s%s", access & DEVICE_READ ? "r" : "",
			   access & DEVICE_WRITE ? "w" : "", access & DEVICE_MKNOD ? "m" : "");
}

/*
 * The real rules are the eBPF program.  Systemd gets the same ones where it can say them, because
 * it sets its own policy again whenever it reloads, and both programs must allow an access.  A list
 * that it cannot say is left to the program alone.
 */
void plan_systemd_devices(struct arena *arena, struct plan_cgroup *plan)
{
	struct systemd_property *property;
	struct systemd_property list = { .name = "DeviceAllow", .signature = "a(ss)" };
	size_t first = 0;

	for (size_t i = 0; i < plan->devices_n; i++)
		if (allows_all(&plan->devices[i]) || denies_all(&plan->devices[i]))
			first = i;
	if (!denies_all(&plan->devices[first]))
		return;
	for (size_t i = first + 1; i < plan->devices_n; i++) {
		const struct device_rule *rule = &plan->devices[i];
		const char *name = device_name(arena, rule);

		if (!rule->allow || !name) {
			log_debug("systemd is not told the device rules: it has no words for one "
				  "of them");
			return;
		}
		plan_property_value(arena, &list, name);
		plan_property_value(arena, &list, device_access(arena, rule->access));
	}
	plan_property(arena, plan, "DevicePolicy", "s", "strict", "/linux/resources/devices");
	/* An empty list first: it clears what the unit has. */
	plan_property(arena, plan, "DeviceAllow", "a(ss)", NULL, "/linux/resources/devices");
	property =
	    plan_property(arena, plan, list.name, list.signature, NULL, "/linux/resources/devices");
	if (property)
		property->values = list.values;
}
