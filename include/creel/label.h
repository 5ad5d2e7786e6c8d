/*
 * LSM labels: what the next exec of this process becomes, and the label of the keys it makes.
 * Written through the verified procfs handle, never by a library that opens /proc by path, so that
 * a mount over /proc/self/attr cannot swallow them (CVE-2019-16884).  Source: apparmor(7),
 * Documentation/admin-guide/LSM, selinux(8).
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>

struct error;

/* AppArmor: "exec PROFILE" ("stack PROFILE" when STACK), read back.  "unconfined" is a profile like
 * others. */
int label_apparmor_exec(int procfs, const char *profile, bool stack, struct error *err) must_check;
/*
 * Leaves the AppArmor profile that the host has for creel itself, when it is one that allows
 * everything ("unconfined" mode) and is there for a right that unconfined programs lack (user
 * namespaces).  Whether this process is now without a profile and was not before.
 */
bool label_apparmor_leave(void);
/* SELinux: the label of the next exec; the error names `/proc/self/attr/exec` in back-quotes, as
 * engines expect. */
int label_selinux_exec(int procfs, const char *label, struct error *err) must_check;
/* SELinux: the label of keys made from now on (attr/keycreate); NULL resets it. */
int label_selinux_key(int procfs, const char *label, struct error *err) must_check;
