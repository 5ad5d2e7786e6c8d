/* Where systemd listens: the sockets of its manager, of the system or of the user, and of the bus.
 */
#include "systemd_bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>

#define SYSTEM_DIRECTORY "/run/systemd"
#define SYSTEM_PRIVATE	 SYSTEM_DIRECTORY "/private"

/* "unix:path=..." of DIRECTORY/NAME with what an address cannot hold written as %XX; false when it
 * does not exist. */
static bool address_of(struct systemd_address *address, const char *directory, const char *name,
		       bool direct)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_/.\\";
	char path[SYSTEMD_ADDRESS_SIZE / 3 - 16];
	int n = snprintf(path, sizeof(path), "%s%s", directory, name);
	const char *end = address->text + sizeof(address->text);
	char *to = address->text;

	if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) < 0)
		return false;
	to += snprintf(to, (size_t)(end - to), "unix:path=");
	for (const char *from = path; *from; from++)
		to += snprintf(to, (size_t)(end - to), strchr(plain, *from) ? "%c" : "%%%02x",
			       (unsigned char)*from);
	address->direct = direct;
	return true;
}

static bool address_from_environment(struct systemd_address *address, const char *name)
{
	const char *value = getenv(name);

	if (!value || !*value || strlen(value) >= sizeof(address->text))
		return false;
	memcpy(address->text, value, strlen(value) + 1);
	address->direct = false;
	return true;
}

/*
 * Root of the user namespace that the system's systemd runs in talks to that one.  Root of a nested
 * one (podman's) sees its socket as somebody else's, and is in truth an ordinary user.
 */
static bool is_user(void)
{
	struct stat st;

	if (geteuid() != 0)
		return true;
	return stat(SYSTEM_PRIVATE, &st) == 0 && st.st_uid != 0;
}

static size_t system_addresses(struct systemd_address *list)
{
	size_t n = 0;

	n += address_of(&list[n], SYSTEM_PRIVATE, "", true);
	if (address_from_environment(&list[n], "DBUS_SYSTEM_BUS_ADDRESS"))
		return n + 1;
	return n + address_of(&list[n], "/run/dbus/system_bus_socket", "", false);
}

/* Engines call `delete` and `kill` with fewer variables than `create`. */
static const char *user_directory(char *guess, size_t size)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");

	snprintf(guess, size, "/run/user/%u", (unsigned int)geteuid());
	return directory && *directory ? directory : guess;
}

static size_t user_addresses(struct systemd_address *list)
{
	char guess[64];
	const char *directory = user_directory(guess, sizeof(guess));
	size_t n = 0;

	n += address_of(&list[n], directory, "/systemd/private", true);
	if (address_from_environment(&list[n], "DBUS_SESSION_BUS_ADDRESS"))
		return n + 1;
	return n + address_of(&list[n], directory, "/bus", false);
}

bool systemd_directory(char *path, size_t size)
{
	char guess[64], private[SYSTEMD_DIRECTORY_SIZE + 16];
	int n = is_user() ? snprintf(path, size, "%s/systemd", user_directory(guess, sizeof(guess)))
			  : snprintf(path, size, "%s", SYSTEM_DIRECTORY);

	if (n < 0 || (size_t)n >= size)
		return false;
	snprintf(private, sizeof(private), "%s/private", path);
	return access(private, F_OK) == 0;
}

static int no_address(bool user, struct error *err)
{
	if (!user) {
		error_coded(
		    err, CRL_NO_SYSTEMD,
		    error_unsupported(err,
				      "systemd cannot be reached: neither %s nor the system bus "
				      "is there",
				      SYSTEM_PRIVATE));
		return error_hint(err, "leave out --systemd-cgroup where systemd is not process 1");
	}
	error_coded(err, CRL_NO_SYSTEMD,
		    error_unsupported(
			err, "the user's systemd cannot be reached: no socket in XDG_RUNTIME_DIR "
			     "and no DBUS_SESSION_BUS_ADDRESS"));
	return error_hint(err, "install dbus-user-session and log in anew, or run \"loginctl "
			       "enable-linger\"; XDG_RUNTIME_DIR must be set");
}

size_t systemd_addresses(struct systemd_address *list, struct error *err)
{
	bool user = is_user();
	size_t n = user ? user_addresses(list) : system_addresses(list);

	if (n == 0)
		no_address(user, err);
	return n;
}
