/*
 * A /proc that is really procfs.  The handle is opened by P before anything untrusted exists,
 * checked for magic and root inode, and inherited by S and I: "self" in it means whoever asks, and
 * sysctls in it are those of the asker's namespaces. Every lookup beneath it is openat2(2) with
 * RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS, so that nothing mounted over a part of
 * it can redirect a write (CVE-2019-16884, CVE-2025-52881).
 */
#pragma once

#include <creel/compiler.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Opens /proc; refuses anything that is not the root of a procfs. */
int procfs_open(struct error *err) must_check;
/* A private instance (fsopen), for when parts of /proc are covered by mounts (nested containers).
 */
int procfs_open_private(struct error *err) must_check;

/* Opens NAME ("self/attr/exec", "123/uid_map") for FLAGS.  */
int procfs_open_file(int procfs, const char *name, uint64_t flags, struct error *err) must_check;
/* Opens what FD (O_PATH) stands for with FLAGS, without a lookup: -1 with errno set.  The one magic
 * link that is followed, and it is our own. */
int procfs_reopen(int procfs, int fd, int flags) must_check;
/* Reads it whole into BUFFER, without the last newline; the length, or -1 with errno set. */
ssize_t procfs_read(int procfs, const char *name, char *buffer, size_t size);
/*
 * The same where something may be mounted on the way, as engines do with /proc/sys: what is read is
 * still a file of some procfs.  For what is compared or shown, never for what is obeyed.
 */
ssize_t procfs_read_covered(int procfs, const char *name, char *buffer, size_t size);
/* Our own pid, not as we know it but as the pid namespace of the handle numbers us: how P sees S
 * and I. */
int procfs_own_pid(int procfs, struct error *err) must_check;
/* Writes TEXT with one write(2). */
int procfs_write(int procfs, const char *name, const char *text, struct error *err) must_check;
/* Sets the sysctl KEY ("net.ipv4.ip_forward", or with slashes) through sys/; WHERE is its JSON
 * pointer. */
int procfs_sysctl(int procfs, const char *key, const char *value, const char *where,
		  struct error *err) must_check;
/* Whether the sysctl KEY exists in our namespaces and lets us write, without writing: 0, or the
 * errno that says why not. */
int procfs_sysctl_refusal(int procfs, const char *key) must_check;
