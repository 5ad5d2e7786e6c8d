/*
 * The only way into a rootfs: openat2(2) beneath a descriptor of its root.  A rootfs is hostile
 * data, so text paths below it are never joined by hand (CVE-2021-30465, CVE-2025-31133 and thirty
 * others).
 *
 * PATH is as in the container, with or without a leading '/'.  "In the root" means: ".." and
 * absolute links stop at the root (RESOLVE_IN_ROOT), magic links are refused.  "Beneath" is for
 * what must be real: no link in any component.
 *
 * What is made has the mode that is asked for when the umask is 0, as init's is: nobody's umask
 * counts in a container's tree.
 */
#pragma once

#include <creel/compiler.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/*
 * A directory that was opened or made for one thing, and kept for the next: mostly /dev, for a
 * dozen nodes and links.  Starts as INROOT_NO_PARENT; whoever changes what is mounted in the root
 * gives it up with inroot_forget().
 */
struct inroot_parent {
	int fd;
	mode_t exact;	/* of a node that was made there as it was asked for, or 0 */
	char path[256]; /* a longer one is not kept */
};

#define INROOT_NO_PARENT ((struct inroot_parent){ .fd = -1 })

void inroot_forget(struct inroot_parent *parent);
/* PARENT becomes the directory FD, which it owns then, at PATH; a path that is too long is none. */
void inroot_keep(struct inroot_parent *parent, int fd, const char *path);

/* Opens PATH in the root, following links inside it.  FLAGS as open(2); O_CLOEXEC is added.  EAGAIN
 * is retried, boundedly. */
int inroot_open(int root, const char *path, uint64_t flags, struct error *err) must_check;
/* The same without an error value: -1 with errno set. */
int inroot_try(int root, const char *path, uint64_t flags);
/* Opens PATH beneath the root; a symbolic link in any component is an error (ELOOP). */
int inroot_open_real(int root, const char *path, uint64_t flags, struct error *err) must_check;

/* Makes the directory PATH with its parents (mode 0755 & MODE); returns an O_PATH descriptor of it.
 * One that exists is fine, also behind links inside the root. */
int inroot_make_directory(int root, const char *path, mode_t mode, struct error *err) must_check;
/* The same for a directory that has just been found to be missing. */
int inroot_make_missing(int root, const char *path, mode_t mode, struct error *err) must_check;
/*
 * Makes the directory PATH, whose parent is KEPT or becomes it, and opens it without leaving the
 * parent's mount: what this returns is a directory, no part of a procfs and not the root, since
 * nothing can be made in the one, and the others are mounts.  -1 with errno: it is there already,
 * or takes more than that.
 */
int inroot_make_child(int root, struct inroot_parent *kept, const char *path, mode_t mode);
/* Whether KEPT is the directory that PATH is in. */
bool inroot_is_in(const struct inroot_parent *kept, const char *path);
/* Makes an empty regular file with its parents, as a mount point for a file; an existing
 * non-directory is fine. */
int inroot_make_file(int root, const char *path, struct error *err) must_check;

/*
 * Makes a device node, FIFO (MODE has the type) owned by UID:GID, exact mode whatever the umask.
 * One that exists must be the same device, else it is an error.  The last component is never
 * followed.  KEPT may be NULL.
 */
int inroot_make_node(int root, struct inroot_parent *kept, const char *path, mode_t mode,
		     dev_t device, uid_t uid, gid_t gid, struct error *err) must_check;
/* Makes the symbolic link PATH -> TARGET.  An existing PATH is kept when it is the same link,
 * replaced when REPLACE. */
int inroot_make_link(int root, struct inroot_parent *kept, const char *path, const char *target,
		     bool replace, struct error *err) must_check;
