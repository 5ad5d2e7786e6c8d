/* The five capability sets: reading them, giving them up, and making sure that they are gone. */
#include <creel/caps.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/log.h>

/* What Linux 5.14 has. */
#define LAST_OF_BASELINE CAP_CHECKPOINT_RESTORE

static const char *const names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_FSETID] = "CAP_FSETID",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_IPC_OWNER] = "CAP_IPC_OWNER",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_PACCT] = "CAP_SYS_PACCT",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_BOOT] = "CAP_SYS_BOOT",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYS_TIME] = "CAP_SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
	[CAP_MKNOD] = "CAP_MKNOD",
	[CAP_LEASE] = "CAP_LEASE",
	[CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
	[CAP_SETFCAP] = "CAP_SETFCAP",
	[CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "CAP_AUDIT_READ",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

static uint64_t bit(int capability)
{
	return UINT64_C(1) << capability;
}

/* All capabilities from 0 to LAST. */
static uint64_t up_to(int last)
{
	return last >= 63 ? UINT64_MAX : bit(last + 1) - 1;
}

/* The names in SET as "CAP_KILL, CAP_CHOWN", cut at SIZE; newer ones than our table as "capability
 * N". */
static void describe(uint64_t set, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < 64 && used < size; i++) {
		const char *comma = used > 0 ? ", " : "";

		if (!(set & bit(i)))
			continue;
		if ((size_t)i < ARRAY_SIZE(names))
			used += (size_t)snprintf(text + used, size - used, "%s%s", comma, names[i]);
		else
			used +=
			    (size_t)snprintf(text + used, size - used, "%scapability %d", comma, i);
	}
}

int caps_last(void)
{
	int last = LAST_OF_BASELINE;

	while (last < 63 && prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0) >= 0)
		last++;
	return last;
}

static int get_sets(struct caps *caps, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return error_system(err, errno, "cannot read our own capabilities");
	caps->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	caps->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	caps->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

/* The bounding and ambient sets have no call of their own that returns them whole. */
static uint64_t probe_set(bool ambient)
{
	uint64_t set = 0;

	for (int i = 0; i < 64; i++) {
		int is_set = ambient ? prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0)
				     : prctl(PR_CAPBSET_READ, i, 0, 0, 0);

		if (is_set < 0) /* EINVAL: past the last one */
			break;
		if (is_set > 0)
			set |= bit(i);
	}
	return set;
}

int caps_read(struct caps *caps, struct error *err)
{
	if (get_sets(caps, err) < 0)
		return -1;
	caps->bounding = probe_set(false);
	caps->ambient = probe_set(true);
	return 0;
}

int caps_drop_bounding(const struct caps *caps, int last, struct error *err)
{
	for (int i = 0; i <= last; i++) {
		if (caps->bounding & bit(i) || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;

		int errnum = errno;

		/* A process without CAP_SETPCAP goes on when there is nothing to drop. */
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 0)
			continue;

		char name[32];

		describe(bit(i), name, sizeof(name));
		error_system(err, errnum, "cannot drop %s from the bounding set", name);
		return errnum == EPERM ? error_hint(err, "dropping capabilities needs CAP_SETPCAP")
				       : -1;
	}
	return 0;
}

/*
 * What of WANTED this process may have.  The rest is a warning and no error: "runtimes SHOULD NOT
 * fail if the container configuration requests capabilities that cannot be granted" (config.md,
 * "process").
 */
static struct caps grantable(const struct caps *wanted, const struct caps *have, int last)
{
	uint64_t all = up_to(last);
	struct caps caps = {
		.bounding = wanted->bounding & all,
		.permitted = wanted->permitted & all & have->permitted,
		.inheritable = wanted->inheritable & all,
	};
	uint64_t missing;

	/* Without CAP_SETPCAP only what is permitted may be added; in both cases only what is in
	 * the bounding set. */
	caps.inheritable &= have->inheritable | have->permitted;
	if (caps.inheritable & ~have->inheritable)
		caps.inheritable &= have->inheritable | probe_set(false);
	caps.effective = wanted->effective & caps.permitted;
	caps.ambient = wanted->ambient & caps.permitted & caps.inheritable;

	missing = (wanted->permitted & ~caps.permitted) | (wanted->effective & ~caps.effective) |
		  (wanted->inheritable & ~caps.inheritable) | (wanted->ambient & ~caps.ambient);
	if (missing) {
		char text[512];

		describe(missing, text, sizeof(text));
		log_warning(
		    "these capabilities cannot be granted in every set that asks for them: %s",
		    text);
	}
	return caps;
}

static int set_sets(const struct caps *caps, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)caps->effective, (uint32_t)caps->permitted,
		  (uint32_t)caps->inheritable },
		{ (uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
		  (uint32_t)(caps->inheritable >> 32) },
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return error_system(err, errno, "cannot set the capabilities");
	return 0;
}

/* One at a time, so that one refusal does not cost the others.  *CAPS loses what is refused. */
static void raise_ambient(struct caps *caps)
{
	for (int i = 0; i < 64; i++) {
		if (!(caps->ambient & bit(i)))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0) {
			char name[32];

			describe(bit(i), name, sizeof(name));
			log_warning("cannot make %s ambient: %s", name, strerror(errno));
			caps->ambient &= ~bit(i);
		}
	}
}

/*
 * A set that is larger than asked for is the one failure of a runtime that nobody would notice. The
 * ambient set was cleared as a whole: only what was raised since can be in it.
 */
static int verify(const struct caps *caps, struct error *err)
{
	struct caps now = { 0 };

	if (get_sets(&now, err) < 0)
		return -1;
	for (int i = 0; i < 64; i++)
		if (caps->ambient & bit(i) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
			now.ambient |= bit(i);
	if (now.effective != caps->effective || now.permitted != caps->permitted ||
	    now.inheritable != caps->inheritable || now.ambient != caps->ambient)
		return error_system(err, EPROTO, "the kernel did not take over the capabilities");
	return 0;
}

int caps_apply(const struct caps *wanted, int last, struct error *err)
{
	struct caps have = { 0 };
	struct caps caps;

	if (get_sets(&have, err) < 0)
		return -1;
	caps = grantable(wanted, &have, last);

	/* The ambient set comes after: the kernel takes from it what is not both permitted and
	 * inheritable, which is all of it where nothing is. */
	if ((caps.permitted & caps.inheritable) &&
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_system(err, errno, "cannot clear the ambient capabilities");
	if (set_sets(&caps, err) < 0)
		return -1;
	raise_ambient(&caps);
	return verify(&caps, err);
}
