/*
 * Zeroed memory that is freed all at once.  One arena owns everything from the bytes of config.json
 * to the finished plan; child processes inherit it by fork.  Out of memory exits the program: it
 * can only happen before the first side effect, since nothing unbounded is allocated after it.
 */
#pragma once

#include <creel/compiler.h>
#include <stddef.h>

struct arena {
	struct arena_block *newest;
};

/* Returns SIZE zeroed bytes, aligned for any type; never NULL.  SIZE 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* The same for N objects of SIZE bytes; the product is checked for overflow. */
void *arena_array(struct arena *arena, size_t n, size_t size);
void *arena_copy(struct arena *arena, const void *data, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t n);
/* Frees everything.  The arena may be used again afterwards. */
void arena_free(struct arena *arena);

#define auto_arena cleanup_with(arena_free) struct arena
