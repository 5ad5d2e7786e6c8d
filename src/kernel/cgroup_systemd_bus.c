/*
 * The connection to systemd: loading libsystemd, finding the manager, and calls that end by a
 * deadline.  It counts silence: systemd does everything one after the other, and a hundred
 * containers at once wait for each other's units without anything being wrong.  sd-bus's own waits
 * are not used where they have no limit (opening a bus, flushing and closing it), nor where they
 * have a fixed one (calls).
 */
#include "systemd_bus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/log.h>
#include <creel/text.h>

#define LIBRARY	    "libsystemd.so.0"
#define DESTINATION "org.freedesktop.systemd1"
#define OBJECT	    "/org/freedesktop/systemd1"
#define MANAGER	    "org.freedesktop.systemd1.Manager"

enum {
	DEFAULT_TIMEOUT_MS = 10000,
	FIRST_PAUSE_US = 1000,
	LAST_PAUSE_US = 50000,
	/* However much systemd does for others: so many times the timeout, and it is an error. */
	PATIENCE = 10,
	/* Who uses more than this of a processor is at work. */
	BUSY_PERCENT = 3,
	/* The part of the timeout after which systemd is watched. */
	GLANCES = 100,
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t left_us(const struct systemd_bus *bus)
{
	uint64_t now = now_us();

	/* Not 0: sd-bus takes that for its default. */
	return now < bus->deadline_us ? bus->deadline_us - now : 1;
}

/* The processor time of PID: proc_pid_stat(5), utime and stime. */
static uint64_t ticks_of(pid_t pid)
{
	uint64_t times[2]; /* in user mode, in the kernel */
	char name[32], text[1024];
	const char *rest;
	size_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);

	FILE *file = pid > 0 ? fopen(name, "re") : NULL;

	if (!file)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	/* The name may hold anything, a bracket too. */
	rest = strrchr(text, ')');
	/* It is the end of field 2; the times are fields 14 and 15. */
	for (int field = 3; rest && field <= 14; field++)
		rest = strchr(rest + 1, ' ');
	if (!rest || text_take_uints(&rest, " ", times, 2) != 2)
		return 0;
	return times[0] + times[1];
}

/* A sign of life, of whatever kind. */
static void heard(struct systemd_bus *bus)
{
	uint64_t later = now_us() + (uint64_t)bus->timeout_ms * 1000;

	bus->deadline_us = later < bus->end_us ? later : bus->end_us;
	bus->watched = false;
}

/*
 * Among two hundred that connect at once the last ones hear nothing for long: then what counts is
 * whether systemd works.  A stopped one does not, and an idle one uses much less than this.
 */
bool systemd_timed_out(struct systemd_bus *bus)
{
	uint64_t now = now_us();
	uint64_t enough =
	    (uint64_t)bus->timeout_ms * (uint64_t)sysconf(_SC_CLK_TCK) / 1000 * BUSY_PERCENT / 100;

	if (now < bus->deadline_us)
		return false;
	if (now >= bus->end_us || !bus->watched || ticks_of(bus->manager) <= bus->worked + enough)
		return true;
	heard(bus);
	return false;
}

/* Waits for a message until the deadline.  Only a silence that lasts is worth the look at what
 * systemd does: mostly the next message is there at once. */
static int await_message(struct systemd_bus *bus)
{
	const struct systemd_library *lib = &bus->library;
	uint64_t glance = (uint64_t)bus->timeout_ms * 1000 / GLANCES;
	int result = lib->sd_bus_wait(bus->bus, bus->watched ? left_us(bus) : glance);

	if (result == 0 && !bus->watched) {
		bus->worked = ticks_of(bus->manager);
		bus->watched = true;
	}
	return result;
}

/* Handles one message, or waits for one until the deadline; a negative errno when the connection
 * is lost. */
static int process(struct systemd_bus *bus)
{
	const struct systemd_library *lib = &bus->library;
	int result = lib->sd_bus_process(bus->bus, NULL);

	if (result > 0)
		heard(bus);
	else if (result == 0 && !systemd_timed_out(bus))
		result = await_message(bus);
	return result == -EINTR ? 0 : result;
}

static int did_not_answer(const struct systemd_bus *bus, const char *goal, struct error *err)
{
	int tenths = bus->timeout_ms / 100;

	if (now_us() >= bus->end_us) {
		error_coded(err, CRL_SYSTEMD_TIMEOUT,
			    error_system(err, ETIMEDOUT,
					 "systemd is busy, and did not come to %s in %d s", goal,
					 PATIENCE * tenths / 10));
		return error_hint(err, "see \"systemctl list-jobs\" and the journal");
	}
	error_coded(err, CRL_SYSTEMD_TIMEOUT,
		    error_system(err, ETIMEDOUT, "systemd did not answer in %d.%d s: waited for %s",
				 tenths / 10, tenths % 10, goal));
	return error_hint(err, "it or its bus is overloaded or stopped; see \"systemctl "
			       "list-jobs\" and the journal");
}

/* ---- the library ---- */

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
#define SYSTEMD_ROW(name) { #name, offsetof(struct systemd_library, name) },
	SYSTEMD_FUNCTIONS(SYSTEMD_ROW)
#undef SYSTEMD_ROW
};

/* It stays loaded until the program ends: nothing would be won by unloading it. */
static int load_library(struct systemd_library *library, struct error *err)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle) {
		error_coded(err, CRL_LIBRARY,
			    error_unsupported(err, "cannot load %s: %s", LIBRARY, dlerror()));
		return error_hint(err, "install libsystemd, or leave out --systemd-cgroup");
	}
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void *function = dlsym(handle, functions[i].name);

		if (!function)
			return error_coded(err, CRL_LIBRARY,
					   error_unsupported(err, "%s is too old: it has no %s",
							     LIBRARY, functions[i].name));
		memcpy((char *)library + functions[i].offset, &function, sizeof(function));
	}
	return 0;
}

/* ---- connecting ---- */

static void pause_us(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* Authentication and, on a bus, Hello: 0 when the connection can be used, else a negative errno. */
static int become_ready(struct systemd_bus *bus)
{
	const struct systemd_library *lib = &bus->library;

	for (;;) {
		int result = process(bus);

		if (result < 0)
			return result;
		if (lib->sd_bus_is_ready(bus->bus) > 0)
			return 0;
		if (systemd_timed_out(bus))
			return -ETIMEDOUT;
	}
}

static void disconnect(struct systemd_bus *bus)
{
	/* Without a flush, which would wait for a dead peer. */
	if (bus->bus)
		bus->library.sd_bus_close_unref(bus->bus);
	bus->bus = NULL;
}

/* Who made the socket: systemd itself, for that of the bus too. */
static void find_manager(struct systemd_bus *bus)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int fd = bus->library.sd_bus_get_fd(bus->bus);

	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		bus->manager = peer.pid;
}

static int connect_to(struct systemd_bus *bus, const struct systemd_address *address)
{
	const struct systemd_library *lib = &bus->library;
	int result = lib->sd_bus_new(&bus->bus);

	if (result >= 0)
		result = lib->sd_bus_set_address(bus->bus, address->text);
	if (result >= 0 && !address->direct)
		result = lib->sd_bus_set_bus_client(bus->bus, true);
	if (result >= 0)
		result = lib->sd_bus_set_method_call_timeout(bus->bus, left_us(bus));
	if (result >= 0)
		result = lib->sd_bus_start(bus->bus);
	if (result >= 0)
		find_manager(bus);
	if (result >= 0)
		result = become_ready(bus);
	bus->direct = address->direct;
	if (result < 0)
		disconnect(bus);
	return result;
}

/* JobRemoved(id, job, unit, result) of our job.  systemd answers the call that makes a job before
 * it runs the job, so its path is known by now. */
static int on_job_removed(sd_bus_message *message, void *argument, sd_bus_error *unused)
{
	struct systemd_bus *bus = argument;
	const char *job, *unit, *result;
	uint32_t id;

	(void)unused;
	if (bus->library.sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) >= 0 &&
	    strcmp(job, bus->job.path) == 0)
		snprintf(bus->job.result, sizeof(bus->job.result), "%s", result);
	return 0;
}

/*
 * Before the first job is made, or its end could be missed.  The daemon and systemd read what comes
 * from one connection in order, so neither answer need be waited for.  A direct connection gets all
 * signals, without a sender.
 */
static int subscribe(struct systemd_bus *bus)
{
	const struct systemd_library *lib = &bus->library;
	int result =
	    lib->sd_bus_match_signal_async(bus->bus, NULL, bus->direct ? NULL : DESTINATION, OBJECT,
					   MANAGER, "JobRemoved", on_job_removed, NULL, bus);

	if (result < 0 || bus->direct)
		return result;
	return lib->sd_bus_call_method_async(bus->bus, NULL, DESTINATION, OBJECT, MANAGER,
					     "Subscribe", NULL, NULL, NULL);
}

/* A full queue of a busy listener, or a manager that executes itself anew: worth another try. */
static bool passes(int errnum)
{
	return errnum == EAGAIN || errnum == ECONNRESET || errnum == ENOTCONN || errnum == EPIPE ||
	       errnum == EINTR;
}

static int connect_any(struct systemd_bus *bus, const struct systemd_address *list, size_t n,
		       struct error *err)
{
	int result = -ENOENT;
	size_t at = 0;

	for (long pause = FIRST_PAUSE_US; at < n; pause *= 2) {
		result = connect_to(bus, &list[at]);
		if (result >= 0)
			result = subscribe(bus);
		if (result >= 0)
			return 0;
		disconnect(bus);
		if (systemd_timed_out(bus))
			return did_not_answer(bus, "the connection", err);
		log_debug("cannot connect to systemd at %s: %s", list[at].text, strerror(-result));
		if (passes(-result))
			pause_us(pause < LAST_PAUSE_US ? pause : LAST_PAUSE_US);
		else
			at++;
	}
	return error_coded(
	    err, CRL_NO_SYSTEMD,
	    error_system(err, -result, "cannot connect to systemd at %s", list[n - 1].text));
}

int systemd_reopen(struct systemd_bus *bus, struct error *err)
{
	struct systemd_address list[SYSTEMD_ADDRESSES_MAX];
	size_t n = systemd_addresses(list, err);

	disconnect(bus);
	return n == 0 ? -1 : connect_any(bus, list, n, err);
}

int systemd_open(struct systemd_bus *bus, int timeout_ms, struct error *err)
{
	*bus = (struct systemd_bus){
		.timeout_ms = timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS,
	};
	bus->end_us = now_us() + (uint64_t)bus->timeout_ms * 1000 * PATIENCE;
	heard(bus);
	if (load_library(&bus->library, err) < 0)
		return -1;
	return systemd_reopen(bus, err);
}

void systemd_close(struct systemd_bus *bus)
{
	disconnect(bus);
}

/* ---- calls ---- */

int systemd_method(struct systemd_bus *bus, const char *method, sd_bus_message **message,
		   struct error *err)
{
	int result = bus->library.sd_bus_message_new_method_call(
	    bus->bus, message, bus->direct ? NULL : DESTINATION, OBJECT, MANAGER, method);

	if (result < 0)
		return error_system(err, -result, "cannot make the call %s for systemd", method);
	return 0;
}

/* sd-bus names its own failures too, and a daemon may answer for a systemd that does not. */
static bool is_answer(const char *name)
{
	static const char *const others[] = {
		"System.Error.",
		"org.freedesktop.DBus.Error.NoReply",
		"org.freedesktop.DBus.Error.Timeout",
		"org.freedesktop.DBus.Error.Disconnected",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (text_starts_with(name, others[i]))
			return false;
	return name[0];
}

static void keep_refusal(const sd_bus_error *failure, struct systemd_refusal *refusal)
{
	*refusal = (struct systemd_refusal){ .is_answer = false };
	if (failure->name)
		error_clean_text(refusal->name, sizeof(refusal->name), failure->name);
	if (failure->message)
		error_clean_text(refusal->text, sizeof(refusal->text), failure->message);
	refusal->is_answer = is_answer(refusal->name);
}

/* A call that waits for its answer. */
struct call {
	struct systemd_bus *bus;
	char type;
	bool ended;
	int result; /* a negative errno, if it failed */
	struct systemd_refusal *refusal;
};

static int read_answer(struct systemd_bus *bus, sd_bus_message *reply, char type)
{
	const char *path = NULL;
	int result = 0;

	if (type == 'o') {
		result = bus->library.sd_bus_message_read(reply, "o", &path);
		bus->job = (struct systemd_job){ 0 };
		if (result >= 0)
			snprintf(bus->job.path, sizeof(bus->job.path), "%s", path);
	}
	return result;
}

static int on_answer(sd_bus_message *reply, void *argument, sd_bus_error *unused)
{
	struct call *call = argument;
	const sd_bus_error *failure = call->bus->library.sd_bus_message_get_error(reply);

	(void)unused;
	call->ended = true;
	if (failure) {
		keep_refusal(failure, call->refusal);
		call->result = -ECONNRESET;
	} else {
		call->result = read_answer(call->bus, reply, call->type);
	}
	return 0;
}

/* Until its answer has come.  Without the slot, one that comes too late is dropped. */
static int exchange(struct call *call, sd_bus_message *message)
{
	struct systemd_bus *bus = call->bus;
	sd_bus_slot *slot = NULL;
	int result =
	    bus->library.sd_bus_call_async(bus->bus, &slot, message, on_answer, call, UINT64_MAX);

	while (result >= 0 && !call->ended && !systemd_timed_out(bus))
		result = process(bus);
	bus->library.sd_bus_slot_unref(slot);
	if (call->ended)
		return call->result;
	return result < 0 ? result : -ETIMEDOUT;
}

int systemd_call(struct systemd_bus *bus, sd_bus_message *message, const char *goal, char type,
		 struct systemd_refusal *refusal, struct error *err)
{
	struct call call = { .bus = bus, .type = type, .refusal = refusal };
	int result;

	*refusal = (struct systemd_refusal){ .is_answer = false };
	result = exchange(&call, message);
	if (result >= 0)
		return 0;
	if (systemd_timed_out(bus))
		return did_not_answer(bus, goal, err);
	if (refusal->is_answer)
		return error_coded(
		    err, CRL_SYSTEMD_REFUSED,
		    error_system(err, 0, "systemd refused %s: %s", goal, refusal->text));
	return error_system(err, -result, "cannot ask systemd for %s", goal);
}

int systemd_wait(struct systemd_bus *bus, const char *goal, struct error *err)
{
	while (!bus->job.result[0]) {
		int result = process(bus);

		if (bus->job.result[0])
			break;
		if (systemd_timed_out(bus))
			return did_not_answer(bus, goal, err);
		if (result < 0)
			return error_system(err, ENOTCONN,
					    "the connection to systemd broke while "
					    "waiting for %s",
					    goal);
	}
	return 0;
}

bool systemd_unit_property(struct systemd_bus *bus, const char *unit, const char *interface,
			   const char *property, char *text, size_t size)
{
	const struct systemd_library *lib = &bus->library;
	char *path = NULL, *value = NULL;
	int result = lib->sd_bus_path_encode(OBJECT "/unit", unit, &path);

	text[0] = '\0';
	if (result >= 0)
		lib->sd_bus_set_method_call_timeout(bus->bus, left_us(bus));
	if (result >= 0)
		result = lib->sd_bus_get_property_string(bus->bus, bus->direct ? NULL : DESTINATION,
							 path, interface, property, NULL, &value);
	if (result >= 0)
		error_clean_text(text, size, value);
	free(path);
	free(value);
	return result >= 0;
}
