/*
 * Memory in a few large blocks: taking is a pointer's move, freeing is all or nothing.  Blocks come
 * from the kernel, zeroed, and no byte is handed out twice, so that only pages in use are ever
 * touched, and those once.
 */
#include <creel/arena.h>

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Doubles from block to block, so that a large document costs few of them. */
#define FIRST_BLOCK   ((size_t)64 << 10)
#define LARGEST_BLOCK ((size_t)1 << 20)

struct arena_block {
	struct arena_block *older;
	size_t size; /* of DATA */
	size_t used;
	alignas(max_align_t) char data[];
};

/* There is nobody above to tell: whoever handles an error needs memory as well. */
static never_returns void out_of_memory(void)
{
	static const char text[] = "creel: out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
	_exit(1);
}

static struct arena_block *block_new(struct arena *arena, size_t size)
{
	size_t wanted = FIRST_BLOCK;
	struct arena_block *block;

	if (arena->newest)
		wanted = arena->newest->size + sizeof(*block) >= LARGEST_BLOCK / 2
			     ? LARGEST_BLOCK
			     : (arena->newest->size + sizeof(*block)) * 2;
	wanted -= sizeof(*block);
	if (size > wanted)
		wanted = size;
	if (wanted > SIZE_MAX - sizeof(*block))
		out_of_memory();

	block = mmap(NULL, sizeof(*block) + wanted, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		out_of_memory();
	block->older = arena->newest;
	block->size = wanted;
	arena->newest = block;
	return block;
}

/* ALIGN is a power of two. */
static void *take(struct arena *arena, size_t size, size_t align)
{
	struct arena_block *block = arena->newest;
	size_t start = block ? (block->used + align - 1) & ~(align - 1) : 0;

	if (!block || start > block->size || size > block->size - start) {
		block = block_new(arena, size);
		start = 0;
	}
	block->used = start + size;
	return block->data + start;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	/* At least one byte: two objects never share an address. */
	return take(arena, size ? size : 1, alignof(max_align_t));
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		out_of_memory();
	return arena_alloc(arena, bytes);
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
	void *copy = take(arena, size ? size : 1, alignof(max_align_t));

	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
	size_t length = strnlen(text, n);
	/* Text needs no alignment, and a document is mostly short strings. */
	char *copy = take(arena, length + 1, 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

void arena_free(struct arena *arena)
{
	struct arena_block *block = arena->newest;

	while (block) {
		struct arena_block *older = block->older;

		munmap(block, sizeof(*block) + block->size);
		block = older;
	}
	arena->newest = NULL;
}
