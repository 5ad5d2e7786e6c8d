/* What the printers of the plan share: the text they write, and the names of the kernel's bits.
 * Nobody else includes it. */
#pragma once

#include "parts.h"

/* Text that grows. */
struct printer {
	struct arena *arena;
	char *text;
	size_t n, room;
};

void printer_put(struct printer *out, const char *text);
void printer_format(struct printer *out, const char *format, ...) printf_like(2, 3);

struct bit_name {
	uint64_t bit;
	const char *name;
};

/* Each ends with a NULL name. */
extern const struct bit_name clone_names[];	    /* CLONE_NEW*, in the spec's words */
extern const struct bit_name attribute_names[];	    /* MOUNT_ATTR_*, without access times */
extern const struct bit_name mount_flag_names[];    /* MOUNT_* */
extern const struct bit_name device_access_names[]; /* "read", "write", "mknod" */

/* The names of all BITS that have one. */
struct strings bits_list(struct arena *arena, const struct bit_name *names, uint64_t bits);
const char *bits_text(struct arena *arena, const struct bit_name *names, uint64_t bits);

/* The attributes that are set.  The field of access times has values, not bits, and relatime is
 * zero: CLEAR says that one was chosen. */
struct strings attributes_set(struct arena *arena, uint64_t set, uint64_t clear);

/* MS_SHARED and the like: "rshared". */
const char *propagation_text(struct arena *arena, unsigned long value);
/* "c", "b" or "p". */
const char *node_type(mode_t mode);
/* "0:100000:65536", inside, outside and size, for each range. */
const char *ranges_text(struct arena *arena, const struct idmap_range *ranges, size_t n);
/* The verb of a step of each kind: "mount", "bind" ... */
const char *mount_verb(enum mount_kind kind);
/* "CAP_CHOWN" for each bit of SET, in the kernel's order; a number for one that has no name. */
struct strings capability_list(struct arena *arena, uint64_t set);
