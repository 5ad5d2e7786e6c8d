/*
 * One connection to systemd, shared by the files of the systemd driver; nobody outside includes it.
 * libsystemd is loaded when the first connection is made: a command without the driver neither pays
 * for it nor needs it.
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

struct error;

/* Every function that is used, with the type of its declaration. */
#define SYSTEMD_FUNCTIONS(X)                                                                       \
	X(sd_bus_new)                                                                              \
	X(sd_bus_set_address)                                                                      \
	X(sd_bus_set_bus_client)                                                                   \
	X(sd_bus_set_method_call_timeout)                                                          \
	X(sd_bus_start)                                                                            \
	X(sd_bus_get_fd)                                                                           \
	X(sd_bus_is_ready)                                                                         \
	X(sd_bus_process)                                                                          \
	X(sd_bus_wait)                                                                             \
	X(sd_bus_call_async)                                                                       \
	X(sd_bus_call_method_async)                                                                \
	X(sd_bus_close_unref)                                                                      \
	X(sd_bus_match_signal_async)                                                               \
	X(sd_bus_message_new_method_call)                                                          \
	X(sd_bus_message_append)                                                                   \
	X(sd_bus_message_append_basic)                                                             \
	X(sd_bus_message_open_container)                                                           \
	X(sd_bus_message_close_container)                                                          \
	X(sd_bus_message_read)                                                                     \
	X(sd_bus_message_unref)                                                                    \
	X(sd_bus_message_get_error)                                                                \
	X(sd_bus_get_property_string)                                                              \
	X(sd_bus_slot_unref)                                                                       \
	X(sd_bus_path_encode)

struct systemd_library {
#define SYSTEMD_POINTER(name) __typeof__(name) *name;
	SYSTEMD_FUNCTIONS(SYSTEMD_POINTER)
#undef SYSTEMD_POINTER
};

enum {
	SYSTEMD_ADDRESS_SIZE = 512,
	SYSTEMD_ADDRESSES_MAX = 3,
	/* As long as a socket's path may be. */
	SYSTEMD_DIRECTORY_SIZE = 108,
};

struct systemd_address {
	char text[SYSTEMD_ADDRESS_SIZE];
	bool direct; /* of the manager itself, not of a bus */
};

/* The job that is waited for, and how it ended. */
struct systemd_job {
	char path[128];	 /* "" until it is known: signals are dispatched later */
	char result[32]; /* "" while it runs */
};

struct systemd_bus {
	struct systemd_library library;
	sd_bus *bus;
	bool direct; /* to the manager itself: no daemon between, so no names and no match rules */
	int timeout_ms;
	uint64_t deadline_us; /* of the silence: later with each sign of life */
	uint64_t end_us;      /* of everything */
	pid_t manager;	      /* the process that listens, or 0 */
	bool watched;	      /* since this silence began to last */
	uint64_t worked;      /* the manager's processor time then, in ticks */
	struct systemd_job job;
};

/* What systemd says when it refuses a call. */
struct systemd_refusal {
	bool is_answer; /* false: it did not answer, or the call was never sent */
	char name[96];
	char text[256];
};

/* Connects.  No wait on this connection lasts longer than a silence of TIMEOUT_MS. */
int systemd_open(struct systemd_bus *bus, int timeout_ms, struct error *err) must_check;
/* Connects again after the connection was lost; the job is kept. */
int systemd_reopen(struct systemd_bus *bus, struct error *err) must_check;
void systemd_close(struct systemd_bus *bus);
#define auto_bus cleanup_with(systemd_close) struct systemd_bus

/* Whether the silence has been too long; one in which systemd works is not silence. */
bool systemd_timed_out(struct systemd_bus *bus);

/* Where to connect, in the order of preference; 0 with an error when there is nothing. */
size_t systemd_addresses(struct systemd_address *list, struct error *err) must_check;
/* The runtime directory of the manager that would be asked, or false when it is not to be seen. */
bool systemd_directory(char *path, size_t size);

/* A new call of the manager's METHOD. */
int systemd_method(struct systemd_bus *bus, const char *method, sd_bus_message **message,
		   struct error *err) must_check;
/*
 * Sends MESSAGE and waits for the answer.  When TYPE is 'o' the answer's object path is the job to
 * wait for, 0 reads nothing. A negative result is in *ERR; if systemd itself refused, *REFUSAL says
 * how.
 */
int systemd_call(struct systemd_bus *bus, sd_bus_message *message, const char *goal, char type,
		 struct systemd_refusal *refusal, struct error *err) must_check;
/* Waits until the job has ended; ERRNUM is ENOTCONN when the connection is lost. */
int systemd_wait(struct systemd_bus *bus, const char *goal, struct error *err) must_check;
/* A text property of the unit, or false. */
bool systemd_unit_property(struct systemd_bus *bus, const char *unit, const char *interface,
			   const char *property, char *text, size_t size);
