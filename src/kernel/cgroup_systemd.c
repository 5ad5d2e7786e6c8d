/*
 * A container's scope: starting it around the first process, changing its properties, stopping it.
 * Each function opens one connection and closes it again; nothing is kept between commands.
 */
#include <creel/cgroup_systemd.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <creel/error.h>
#include <creel/log.h>
#include <creel/text.h>

#include "systemd_bus.h"

#define UNIT_INTERFACE	"org.freedesktop.systemd1.Unit"
#define SCOPE_INTERFACE "org.freedesktop.systemd1.Scope"
#define UNIT_EXISTS	"org.freedesktop.systemd1.UnitExists"
#define NO_SUCH_UNIT	"org.freedesktop.systemd1.NoSuchUnit"

enum {
	/* More unknown properties than that are not an old systemd but a wrong document. */
	DROPS_MAX = 32,
	/* A unit that has ended is collected soon after. */
	COLLECT_ATTEMPTS = 100,
	COLLECT_PAUSE_MS = 10,
	GOAL_SIZE = 320,
};

/* The properties to send, and which of them this systemd turned out not to know. */
struct request {
	struct systemd_bus *bus;
	const char *unit;
	const struct systemd_property *properties;
	size_t n;
	const struct systemd_property *dropped[DROPS_MAX];
	size_t dropped_n;
	pid_t pid; /* 0: none */
};

/* ---- properties as a message ---- */

static int append_number(const struct systemd_library *lib, sd_bus_message *message, char type,
			 const char *text)
{
	uint64_t positive = 0;
	int64_t negative = 0;

	if (!text_parse_uint(text, UINT64_MAX, &positive)) {
		if (!text_parse_int(text, INT64_MIN, 0, &negative))
			return -EINVAL;
		positive = (uint64_t)negative;
	}

	const uint8_t byte = (uint8_t)positive;
	const uint16_t word = (uint16_t)positive;
	const uint32_t half = (uint32_t)positive;

	switch (type) {
	case 'y':
		return lib->sd_bus_message_append_basic(message, type, &byte);
	case 'n':
	case 'q':
		return lib->sd_bus_message_append_basic(message, type, &word);
	case 'i':
	case 'u':
		return lib->sd_bus_message_append_basic(message, type, &half);
	case 'x':
	case 't':
		return lib->sd_bus_message_append_basic(message, type, &positive);
	default:
		return -EINVAL;
	}
}

static int append_basic(const struct systemd_library *lib, sd_bus_message *message, char type,
			const char *text)
{
	const int yes = strcmp(text, "true") == 0;

	switch (type) {
	case 'b':
		return lib->sd_bus_message_append_basic(message, type, &yes);
	case 's':
	case 'o':
		return lib->sd_bus_message_append_basic(message, type, text);
	default:
		return append_number(lib, message, type, text);
	}
}

/* One element of an array: a basic type, or a struct of basic types.  The number of values it took,
 * or a negative errno. */
static int append_element(const struct systemd_library *lib, sd_bus_message *message,
			  const char *types, const struct strings *values, size_t at)
{
	char inner[16];
	size_t n = strlen(types);
	int result;

	if (types[0] != '(') {
		result = append_basic(lib, message, types[0], values->items[at]);
		return result < 0 ? result : 1;
	}
	if (n < 3 || n - 2 >= sizeof(inner) || at + n - 2 > values->n)
		return -EINVAL;
	snprintf(inner, sizeof(inner), "%.*s", (int)n - 2, types + 1);
	result = lib->sd_bus_message_open_container(message, 'r', inner);
	for (size_t i = 0; result >= 0 && i < n - 2; i++)
		result = append_basic(lib, message, inner[i], values->items[at + i]);
	if (result >= 0)
		result = lib->sd_bus_message_close_container(message);
	return result < 0 ? result : (int)n - 2;
}

static int append_value(const struct systemd_library *lib, sd_bus_message *message,
			const char *signature, const struct strings *values)
{
	int result;

	if (signature[0] != 'a')
		return values->n != 1 ? -EINVAL
				      : append_basic(lib, message, signature[0], values->items[0]);
	result = lib->sd_bus_message_open_container(message, 'a', signature + 1);
	for (size_t at = 0; result >= 0 && at < values->n; at += (size_t)result)
		result = append_element(lib, message, signature + 1, values, at);
	return result < 0 ? result : lib->sd_bus_message_close_container(message);
}

static int append_property(const struct systemd_library *lib, sd_bus_message *message,
			   const struct systemd_property *property)
{
	int result = lib->sd_bus_message_open_container(message, 'r', "sv");

	if (result >= 0)
		result = lib->sd_bus_message_append_basic(message, 's', property->name);
	if (result >= 0)
		result = lib->sd_bus_message_open_container(message, 'v', property->signature);
	if (result >= 0)
		result = append_value(lib, message, property->signature, &property->values);
	if (result >= 0)
		result = lib->sd_bus_message_close_container(message);
	return result < 0 ? result : lib->sd_bus_message_close_container(message);
}

static bool is_dropped(const struct request *request, const struct systemd_property *property)
{
	for (size_t i = 0; i < request->dropped_n; i++)
		if (strcmp(request->dropped[i]->name, property->name) == 0)
			return true;
	return false;
}

static int append_properties(const struct request *request, sd_bus_message *message,
			     struct error *err)
{
	const struct systemd_library *lib = &request->bus->library;
	int result = lib->sd_bus_message_open_container(message, 'a', "(sv)");

	for (size_t i = 0; result >= 0 && i < request->n; i++) {
		const struct systemd_property *property = &request->properties[i];

		if (is_dropped(request, property))
			continue;
		result = append_property(lib, message, property);
		if (result < 0) {
			error_coded(err, CRL_SYSTEMD_REFUSED,
				    error_system(err, -result,
						 "cannot send the property %s to systemd",
						 property->name));
			return error_at(err, property->where);
		}
	}
	if (result >= 0 && request->pid)
		result = lib->sd_bus_message_append(message, "(sv)", "PIDs", "au", 1,
						    (uint32_t)request->pid);
	if (result >= 0)
		result = lib->sd_bus_message_close_container(message);
	if (result < 0)
		return error_coded(err, CRL_SYSTEMD_REFUSED,
				   error_system(err, -result,
						"cannot send the properties of %s to systemd",
						request->unit));
	return 0;
}

/* ---- what systemd does not like ---- */

/* Whether TEXT has NAME as a word: "MemoryMax" is not in "StartupMemoryMax". */
static bool names(const char *text, const char *name)
{
	size_t n = strlen(name);
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
		if ((at == text || !strchr(letters, at[-1])) &&
		    (at[n] == '\0' || !strchr(letters, at[n])))
			return true;
	return false;
}

static const struct systemd_property *named(const struct request *request, const char *text)
{
	for (size_t i = 0; i < request->n; i++)
		if (!is_dropped(request, &request->properties[i]) &&
		    names(text, request->properties[i].name))
			return &request->properties[i];
	return NULL;
}

/*
 * "Cannot set property X, or unknown property.": this systemd is older than X.  The limit's file is
 * written all the same, but a reload does not know of it.  Where the unit is, and whether its
 * cgroup is ours, is nothing to do without.
 */
static bool drop_unknown(struct request *request, const struct systemd_refusal *refusal)
{
	const struct systemd_property *property;

	if (!text_starts_with(refusal->text, "Cannot set property ") ||
	    request->dropped_n == DROPS_MAX)
		return false;
	property = named(request, refusal->text);
	if (!property || strcmp(property->name, "Slice") == 0 ||
	    strcmp(property->name, "Delegate") == 0)
		return false;
	log_warning("this systemd does not know the property %s: going on without it",
		    property->name);
	request->dropped[request->dropped_n++] = property;
	return true;
}

/* The document's line, if systemd speaks of a property that has one. */
static int locate(const struct request *request, const struct systemd_refusal *refusal,
		  struct error *err)
{
	const struct systemd_property *property = named(request, refusal->text);

	return property ? error_at(err, property->where) : -1;
}

static int reset_failed(struct systemd_bus *bus, const char *unit, struct error *err)
{
	struct systemd_refusal refusal = { 0 };
	sd_bus_message *message = NULL;
	char goal[GOAL_SIZE];
	int result = systemd_method(bus, "ResetFailedUnit", &message, err);

	snprintf(goal, sizeof(goal), "ResetFailedUnit of %s", unit);
	if (result == 0 && bus->library.sd_bus_message_append(message, "s", unit) < 0)
		result = error_system(err, EINVAL, "cannot name the unit %s to systemd", unit);
	if (result == 0)
		result = systemd_call(bus, message, goal, 0, &refusal, err);
	bus->library.sd_bus_message_unref(message);
	/* What does not exist has not failed. */
	if (result < 0 && strcmp(refusal.name, NO_SUCH_UNIT) == 0) {
		*err = (struct error){ 0 };
		return 0;
	}
	return result;
}

/* Whether the unit has ended and only waits to be collected. */
static bool has_ended(struct systemd_bus *bus, const char *unit)
{
	char state[32];

	if (!systemd_unit_property(bus, unit, UNIT_INTERFACE, "ActiveState", state, sizeof(state)))
		return true;
	return strcmp(state, "inactive") == 0 || strcmp(state, "failed") == 0;
}

static int unit_is_taken(struct systemd_bus *bus, const char *unit, struct error *err)
{
	char description[128], state[32];

	systemd_unit_property(bus, unit, UNIT_INTERFACE, "Description", description,
			      sizeof(description));
	systemd_unit_property(bus, unit, UNIT_INTERFACE, "ActiveState", state, sizeof(state));
	error_coded(err, CRL_UNIT_EXISTS,
		    error_state(err, "the systemd unit %s exists already: \"%s\", %s", unit,
				description, state[0] ? state : "loaded"));
	return error_hint(err,
			  "see \"systemctl status %s\"; choose another name in "
			  "linux.cgroupsPath",
			  unit);
}

/* ---- starting ---- */

static int start_once(struct request *request, struct systemd_refusal *refusal, struct error *err)
{
	const struct systemd_library *lib = &request->bus->library;
	sd_bus_message *message = NULL;
	char goal[GOAL_SIZE];
	int result = systemd_method(request->bus, "StartTransientUnit", &message, err);

	snprintf(goal, sizeof(goal), "the start of the unit %s", request->unit);
	*refusal = (struct systemd_refusal){ 0 };
	/* "fail": never queue behind, or replace, another job of the unit. */
	if (result == 0 && lib->sd_bus_message_append(message, "ss", request->unit, "fail") < 0)
		result =
		    error_system(err, EINVAL, "cannot name the unit %s to systemd", request->unit);
	if (result == 0)
		result = append_properties(request, message, err);
	if (result == 0 && lib->sd_bus_message_append(message, "a(sa(sv))", 0) < 0)
		result =
		    error_system(err, EINVAL, "cannot ask systemd for the unit %s", request->unit);
	if (result == 0)
		result = systemd_call(request->bus, message, goal, 'o', refusal, err);
	lib->sd_bus_message_unref(message);
	return result;
}

/* A unit that failed stays loaded until it is reset, and one that ended until it is collected. */
static int make_room(struct request *request, int *attempts, struct error *err)
{
	const struct timespec pause = { .tv_nsec = COLLECT_PAUSE_MS * 1000000L };

	if (*attempts == 0 && reset_failed(request->bus, request->unit, err) < 0 &&
	    systemd_timed_out(request->bus))
		return -1;
	if (++*attempts > COLLECT_ATTEMPTS || systemd_timed_out(request->bus) ||
	    !has_ended(request->bus, request->unit))
		return unit_is_taken(request->bus, request->unit, err);
	if (*attempts > 1)
		nanosleep(&pause, NULL);
	return 0;
}

static int start(struct request *request, bool *asked, struct error *err)
{
	struct systemd_refusal refusal;
	int attempts = 0;

	for (;;) {
		if (start_once(request, &refusal, err) == 0) {
			*asked = true;
			return 0;
		}
		/* Without an answer nobody knows: it may come into being later, unless
		 * the call could not even be written. */
		if (!refusal.is_answer) {
			*asked = err->errnum != EINVAL;
			return -1;
		}
		if (strcmp(refusal.name, UNIT_EXISTS) == 0) {
			if (make_room(request, &attempts, err) < 0)
				return -1;
		} else if (!drop_unknown(request, &refusal)) {
			return locate(request, &refusal, err);
		}
		*err = (struct error){ 0 };
	}
}

/*
 * The signal of the job's end is lost with the connection, as when systemd executes itself anew.
 * Then the unit itself is asked until it is there or not.
 */
static int ask_unit(struct systemd_bus *bus, const char *unit, const char *wanted,
		    struct error *err)
{
	const struct timespec pause = { .tv_nsec = 50000000L };
	char state[32] = "";

	while (!systemd_timed_out(bus)) {
		if (!bus->bus && systemd_reopen(bus, err) < 0)
			return -1;
		if (systemd_unit_property(bus, unit, UNIT_INTERFACE, "ActiveState", state,
					  sizeof(state))) {
			if (strcmp(state, wanted) == 0)
				return 0;
			if (strcmp(state, "failed") == 0)
				return error_coded(
				    err, CRL_SYSTEMD_REFUSED,
				    error_system(err, 0, "systemd could not start the unit %s",
						 unit));
		} else {
			systemd_close(bus);
		}
		nanosleep(&pause, NULL);
	}
	return error_coded(err, CRL_SYSTEMD_TIMEOUT,
			   error_system(err, ETIMEDOUT,
					"systemd did not answer: the unit %s is %s and not %s",
					unit, state[0] ? state : "unknown", wanted));
}

static int wait_for(struct systemd_bus *bus, const char *unit, const char *goal, const char *wanted,
		    struct error *err)
{
	if (systemd_wait(bus, goal, err) == 0)
		return 0;
	if (err->errnum != ENOTCONN)
		return -1;
	log_debug("%s; asking the unit", err->what);
	*err = (struct error){ 0 };
	systemd_close(bus);
	if (ask_unit(bus, unit, wanted, err) < 0)
		return -1;
	snprintf(bus->job.result, sizeof(bus->job.result), "done");
	return 0;
}

int systemd_start(const struct systemd_scope *scope, int timeout_ms, bool *asked, struct error *err)
{
	auto_bus bus = { .bus = NULL };
	struct request request = {
		.bus = &bus,
		.unit = scope->unit,
		.properties = scope->properties,
		.n = scope->properties_n,
		.pid = scope->pid,
	};
	char goal[GOAL_SIZE];

	*asked = false;
	snprintf(goal, sizeof(goal), "the start of the unit %s", scope->unit);
	if (systemd_open(&bus, timeout_ms, err) < 0 || start(&request, asked, err) < 0 ||
	    wait_for(&bus, scope->unit, goal, "active", err) < 0)
		return -1;
	if (strcmp(bus.job.result, "done") == 0)
		return 0;
	error_coded(err, CRL_SYSTEMD_REFUSED,
		    error_system(err, 0,
				 "systemd could not start the unit %s: the job's result is \"%s\"",
				 scope->unit, bus.job.result));
	return error_hint(err, "see \"journalctl -u %s\"", scope->unit);
}

/* ---- stopping ---- */

/* 1: a job is on its way; 0: there is no such unit. */
static int begin_stop(struct systemd_bus *bus, const char *unit, const char *goal,
		      struct error *err)
{
	struct systemd_refusal refusal = { 0 };
	sd_bus_message *message = NULL;
	int result = systemd_method(bus, "StopUnit", &message, err);

	if (result == 0 && bus->library.sd_bus_message_append(message, "ss", unit, "replace") < 0)
		result = error_system(err, EINVAL, "cannot name the unit %s to systemd", unit);
	if (result == 0)
		result = systemd_call(bus, message, goal, 'o', &refusal, err);
	bus->library.sd_bus_message_unref(message);
	if (result == 0)
		return 1;
	if (strcmp(refusal.name, NO_SUCH_UNIT) != 0)
		return -1;
	*err = (struct error){ 0 };
	return 0;
}

int systemd_stop(const char *unit, int timeout_ms, struct error *err)
{
	auto_bus bus = { .bus = NULL };
	char goal[GOAL_SIZE];
	int begun;

	snprintf(goal, sizeof(goal), "the end of the unit %s", unit);
	if (systemd_open(&bus, timeout_ms, err) < 0)
		return -1;
	begun = begin_stop(&bus, unit, goal, err);
	if (begun <= 0)
		return begun;
	if (wait_for(&bus, unit, goal, "inactive", err) < 0)
		return -1;
	/* One that failed (killed for its memory) would keep its name. */
	return reset_failed(&bus, unit, err);
}

int systemd_cgroup(const char *unit, int timeout_ms, char *path, size_t size, struct error *err)
{
	auto_bus bus = { .bus = NULL };

	if (systemd_open(&bus, timeout_ms, err) < 0)
		return -1;
	if (systemd_unit_property(&bus, unit, SCOPE_INTERFACE, "ControlGroup", path, size))
		return 0;
	if (systemd_timed_out(&bus))
		return error_coded(
		    err, CRL_SYSTEMD_TIMEOUT,
		    error_system(err, ETIMEDOUT, "systemd did not say what the unit %s is", unit));
	/* What is no scope, and what cannot be loaded, has no cgroup that we could have made. */
	return 0;
}

/* ---- changing ---- */

static int set_once(struct request *request, struct systemd_refusal *refusal, struct error *err)
{
	const struct systemd_library *lib = &request->bus->library;
	sd_bus_message *message = NULL;
	char goal[GOAL_SIZE];
	int result = systemd_method(request->bus, "SetUnitProperties", &message, err);

	snprintf(goal, sizeof(goal), "new properties of the unit %s", request->unit);
	*refusal = (struct systemd_refusal){ 0 };
	/* Runtime: a container does not outlive a boot, so its drop-ins must not. */
	if (result == 0 && lib->sd_bus_message_append(message, "sb", request->unit, true) < 0)
		result =
		    error_system(err, EINVAL, "cannot name the unit %s to systemd", request->unit);
	if (result == 0)
		result = append_properties(request, message, err);
	if (result == 0)
		result = systemd_call(request->bus, message, goal, 0, refusal, err);
	lib->sd_bus_message_unref(message);
	return result;
}

int systemd_set_properties(const char *unit, const struct systemd_property *properties, size_t n,
			   int timeout_ms, struct error *err)
{
	auto_bus bus = { .bus = NULL };
	struct systemd_refusal refusal;
	struct request request = { .bus = &bus, .unit = unit, .properties = properties, .n = n };

	if (n == 0)
		return 0;
	if (systemd_open(&bus, timeout_ms, err) < 0)
		return -1;
	while (set_once(&request, &refusal, err) < 0) {
		if (!drop_unknown(&request, &refusal))
			return locate(&request, &refusal, err);
		*err = (struct error){ 0 };
	}
	return 0;
}

int systemd_attach(const char *unit, const char *sub, pid_t pid, int timeout_ms, struct error *err)
{
	auto_bus bus = { .bus = NULL };
	struct systemd_refusal refusal;
	sd_bus_message *message = NULL;
	char goal[GOAL_SIZE];
	int result;

	snprintf(goal, sizeof(goal), "moving process %d into the unit %s", pid, unit);
	if (systemd_open(&bus, timeout_ms, err) < 0 ||
	    systemd_method(&bus, "AttachProcessesToUnit", &message, err) < 0)
		return -1;
	result = bus.library.sd_bus_message_append(message, "ssau", unit, sub ? sub : "", 1,
						   (uint32_t)pid);
	if (result < 0)
		error_system(err, -result, "cannot ask systemd for %s", goal);
	else
		result = systemd_call(&bus, message, goal, 0, &refusal, err);
	bus.library.sd_bus_message_unref(message);
	return result < 0 ? -1 : 0;
}
