/* What the files idmap*.c share; nobody else includes it. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Says which range TABLE ("/etc/subuid") gives the user UID, by number or by name: half a sentence
 * for a hint. */
void idmap_describe_subids(const char *table, uid_t uid, char *text, size_t size);
