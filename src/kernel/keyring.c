/* The session keyring of a container, so that it sees none of its creator's keys. */
#include <creel/tuning.h>

#include <errno.h>
#include <inttypes.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/procfs.h>
#include <creel/text.h>

/* KEY_USR_SEARCH of the kernel's <linux/key.h>, which it does not export: the owner may search the
 * keyring. */
#define OWNER_MAY_SEARCH 0x00080000

static long join(const char *name)
{
	return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
}

/* How much of the key quota our user has used, as "used/max keys" from its line in /proc/key-users;
 * "" when unknown. */
static void describe_quota(char *text, size_t size)
{
	struct error err = { 0 };
	char users[4096];
	auto_fd procfs = procfs_open(&err);

	text[0] = '\0';
	if (procfs < 0) {
		error_ignore(&err, "the quota is only for the message");
		return;
	}
	if (procfs_read(procfs, "key-users", users, sizeof(users)) < 0)
		return;
	for (char *line = users; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		/* "uid: usage nkeys/nikeys qnkeys/maxkeys qnbytes/maxbytes" */
		const char *rest = line;
		uint64_t numbers[6];

		if (text_take_uints(&rest, ":/ ", numbers, 6) == 6 && numbers[0] == geteuid()) {
			snprintf(text, size, " (%" PRIu64 "/%" PRIu64 " keys)", numbers[4],
				 numbers[5]);
			return;
		}
	}
}

/*
 * The quota is the user's, not the container's: many containers with one mapping, or keys that
 * somebody else leaked, would otherwise keep every further one from starting.
 */
/* Our uid as the host has it: in a user namespace it is not ours that has the quota. */
static unsigned int host_uid(void)
{
	uint64_t range[3]; /* inside, outside, how many */
	struct error err = { 0 };
	char map[4096];
	auto_fd procfs = procfs_open(&err);

	if (procfs >= 0 && procfs_read(procfs, "self/uid_map", map, sizeof(map)) > 0)
		for (char *line = map; line && *line; line = strchr(line, '\n')) {
			const char *rest = line += *line == '\n';

			if (text_take_uints(&rest, " ", range, 3) == 3 && geteuid() >= range[0] &&
			    geteuid() - range[0] < range[2])
				return (unsigned int)(range[1] + (geteuid() - range[0]));
		}
	return geteuid();
}

static void go_on_without_quota(const char *name)
{
	char quota[64];
	long serial = join(NULL);

	describe_quota(quota, sizeof(quota));
	log_warning(
	    "cannot make the session keyring %s: uid %u has used up its key quota%s; "
	    "the container %s; raise kernel.keys.maxkeys (kernel.keys.root_maxkeys for uid 0)",
	    name, host_uid(), quota,
	    serial < 0 ? "keeps its creator's session keyring" : "has an anonymous one");
}

/* Joining a keyring by name asks for search permission, which `exec` needs to find the container's.
 */
static int let_owner_search(int32_t serial, const char *name, struct error *err)
{
	char text[512], *rest = text;
	unsigned long permissions;

	/* "type;uid;gid;permissions;name" */
	if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, serial, text, sizeof(text)) < 0)
		return error_coded(
		    err, CRL_KEY_QUOTA,
		    error_system(err, errno, "cannot examine the session keyring %s", name));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 3 && rest; i++)
		strsep(&rest, ";");
	permissions = rest ? strtoul(rest, &rest, 16) : 0;
	if (!rest || *rest != ';')
		return error_coded(
		    err, CRL_KEY_QUOTA,
		    error_system(err, EPROTO,
				 "cannot read the permissions of the session keyring %s", name));
	/* It was there before, made by us for the same container. */
	if (permissions & OWNER_MAY_SEARCH)
		return 0;
	if (syscall(SYS_keyctl, KEYCTL_SETPERM, serial, permissions | OWNER_MAY_SEARCH) < 0)
		return error_coded(
		    err, CRL_KEY_QUOTA,
		    error_system(err, errno, "cannot let the owner search the session keyring %s",
				 name));
	return 0;
}

int tuning_new_session_keyring(const char *name, struct error *err)
{
	long serial = join(name);

	if (serial < 0) {
		int errnum = errno;

		if (errnum == ENOSYS) /* a kernel without CONFIG_KEYS has no keys to hide */
			return 0;
		if (errnum == EDQUOT) {
			go_on_without_quota(name);
			return 0;
		}
		error_coded(err, CRL_KEY_QUOTA,
			    error_system(err, errnum, "cannot join the session keyring %s", name));
		if (errnum == EPERM)
			error_hint(
			    err,
			    "if creel itself runs in a container whose seccomp profile forbids "
			    "keyctl, use --no-new-keyring");
		return error_call(err, "keyctl");
	}
	return let_owner_search((int32_t)serial, name, err);
}
