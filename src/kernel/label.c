/* LSM labels of the next exec and of new keys, written through the verified procfs handle and read
 * back. */
#include <creel/label.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/procfs.h>
#include <creel/text.h>

/* Longer than any label: AppArmor and SELinux both take and give at most one page. */
#define LABEL_MAX 4096

/*
 * Writes TEXT to the attribute NAME of this process and reads what the kernel has made of it into
 * BACK, by the same descriptor.
 */
static int set_attribute(int procfs, const char *name, const char *text, char *back, size_t size,
			 struct error *err)
{
	size_t length = strlen(text);
	ssize_t n;
	auto_fd fd = procfs_open_file(procfs, name, O_RDWR, err);

	if (fd < 0)
		return -1;
	/* The label is one write(2): the kernel takes every write as a whole label. */
	n = write(fd, text, length);
	if (n < 0)
		return error_coded(
		    err, CRL_LABEL,
		    error_system(err, errno, "cannot write \"%s\" to `/proc/%s`", text, name));
	if ((size_t)n != length)
		return error_coded(
		    err, CRL_LABEL,
		    error_system(err, EIO, "cannot write \"%s\" whole to `/proc/%s`", text, name));

	n = pread(fd, back, size - 1, 0);
	if (n < 0)
		return error_coded(err, CRL_LABEL,
				   error_system(err, errno, "cannot read `/proc/%s` back", name));
	while (n > 0 && (back[n - 1] == '\n' || back[n - 1] == '\0'))
		n--;
	back[n] = '\0';
	return 0;
}

/*
 * AppArmor shows a profile as "name (mode)".  One of a policy namespace (":ns:name") or a stack
 * ("a//&b") is shown from where the reader stands, so there it only matters that something is set.
 */
static bool is_profile(const char *shown, const char *profile, bool stack)
{
	size_t length = strlen(profile);

	if (stack || profile[0] == ':' || profile[0] == '&' || strstr(profile, "//"))
		return shown[0] != '\0';
	return strncmp(shown, profile, length) == 0 &&
	       (shown[length] == '\0' || text_starts_with(shown + length, " ("));
}

int label_apparmor_exec(int procfs, const char *profile, bool stack, struct error *err)
{
	/* Plain attr/exec belongs to the first major LSM, which need not be AppArmor. */
	const char *name = "self/attr/apparmor/exec";
	char command[LABEL_MAX];
	char back[LABEL_MAX];
	int length = snprintf(command, sizeof(command), "%s %s", stack ? "stack" : "exec", profile);
	char now[LABEL_MAX];

	if (length < 0 || (size_t)length >= sizeof(command))
		return error_config_at(err, "/process/apparmorProfile",
				       "an AppArmor profile name has at most %d characters",
				       LABEL_MAX - 7);
	if (procfs_read(procfs, name, now, sizeof(now)) < 0 && errno == ENOENT)
		name = "self/attr/exec";

	if (set_attribute(procfs, name, command, back, sizeof(back), err) < 0) {
		if (err->errnum == ENOENT)
			error_hint(err, "the AppArmor profile %s is not loaded; see aa-status(8)",
				   profile);
		error_at(err, "/process/apparmorProfile");
		return error_while(err, "setting the AppArmor profile %s", profile);
	}
	if (!is_profile(back, profile, stack)) {
		error_coded(err, CRL_LABEL,
			    error_system(err, EPROTO,
					 "the kernel shows \"%s\" in `/proc/%s` instead of %s",
					 back, name, profile));
		return error_at(err, "/process/apparmorProfile");
	}
	return 0;
}

bool label_apparmor_leave(void)
{
	struct error err = { 0 };
	const char *name = "self/attr/apparmor/current";
	auto_fd procfs = procfs_open(&err);
	char now[LABEL_MAX];
	const char *mode;

	if (procfs < 0 || procfs_read(procfs, name, now, sizeof(now)) < 0) {
		error_ignore(&err, "without AppArmor there is nothing to leave");
		return false;
	}
	/* A profile that confines is somebody's decision, and "unconfined" has no mode. */
	mode = strstr(now, " (unconfined)");
	if (!mode)
		return false;
	if (procfs_write(procfs, name, "changeprofile unconfined", &err) < 0) {
		error_ignore(&err, "the caller says what it could not do");
		return false;
	}
	return true;
}

/*
 * "user:role:type" up to the third colon.  The level behind it is shown in the kernel's own order
 * ("c2,c1" as "c1,c2"), so that it cannot be compared as text.
 */
static size_t without_level(const char *label)
{
	const char *at = label;

	for (int colons = 0; *at; at++)
		if (*at == ':' && ++colons == 3)
			break;
	return (size_t)(at - label);
}

static int set_selinux(int procfs, const char *name, const char *label, const char *what,
		       struct error *err)
{
	size_t length = without_level(label);
	char back[LABEL_MAX] = "";

	if (set_attribute(procfs, name, label, back, sizeof(back), err) < 0) {
		if (err->errnum == EINVAL)
			error_hint(err, "the loaded SELinux policy does not know this label");
		error_at(err, "/process/selinuxLabel");
		return error_while(err, "setting the SELinux label of %s", what);
	}
	if (without_level(back) != length || strncmp(back, label, length) != 0) {
		error_coded(err, CRL_LABEL,
			    error_system(err, EPROTO,
					 "the kernel shows \"%s\" in `/proc/%s` instead of \"%s\"",
					 back, name, label));
		return error_at(err, "/process/selinuxLabel");
	}
	return 0;
}

int label_selinux_exec(int procfs, const char *label, struct error *err)
{
	return set_selinux(procfs, "self/attr/exec", label, "the container's process", err);
}

int label_selinux_key(int procfs, const char *label, struct error *err)
{
	/* SELinux takes one newline for "no label". */
	if (!label)
		return procfs_write(procfs, "self/attr/keycreate", "\n", err);
	return set_selinux(procfs, "self/attr/keycreate", label, "the session keyring", err);
}
