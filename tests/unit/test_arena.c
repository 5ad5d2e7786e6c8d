/* Memory: zeroed, aligned, never shared, and gone all at once. */
#include "check.h"

#include <creel/arena.h>
#include <stdalign.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_memory_is_zeroed_aligned_and_apart(void **state)
{
	auto_arena arena = { .newest = NULL };
	char *last = NULL;

	(void)state;
	/* Sizes beyond the first block, the doubling and the largest block. */
	for (size_t size = 0; size < 3000000; size = size * 2 + 7) {
		char *memory = arena_alloc(&arena, size);

		check((uintptr_t)memory % alignof(max_align_t) == 0);
		check(memory != last);
		for (size_t i = 0; i < size; i++)
			check(memory[i] == 0);
		memset(memory, 0xff, size);
		check((unsigned char)*arena_strdup(&arena, "x") == 'x');
		last = memory;
	}
}

static void test_size_zero_is_a_pointer(void **state)
{
	auto_arena arena = { .newest = NULL };
	void *first = arena_alloc(&arena, 0);
	void *second = arena_alloc(&arena, 0);

	(void)state;
	check(first && second && first != second);
}

static void test_copies_are_copies(void **state)
{
	auto_arena arena = { .newest = NULL };
	char text[] = "hello";
	char *copy = arena_strdup(&arena, text);
	char *part = arena_strndup(&arena, text, 3);
	char *whole = arena_strndup(&arena, text, 99);
	int numbers[] = { 1, 2 };
	int *numbers_copy = arena_copy(&arena, numbers, sizeof(numbers));

	(void)state;
	text[0] = 'X';
	numbers[0] = 9;
	check_text(copy, "hello");
	check_text(part, "hel");
	check_text(whole, "hello");
	check(numbers_copy[0] == 1 && numbers_copy[1] == 2);
}

static void test_an_arena_can_be_used_again(void **state)
{
	struct arena arena = { .newest = NULL };

	(void)state;
	check_text(arena_strdup(&arena, "a"), "a");
	arena_free(&arena);
	check(arena.newest == NULL);
	check_text(arena_strdup(&arena, "b"), "b");
	arena_free(&arena);
	arena_free(&arena);
}

/* Runs ask() in a child whose stderr is closed, and returns its exit status. */
static int exit_of(size_t n, size_t size)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct arena arena = { .newest = NULL };

		close(STDERR_FILENO);
		arena_array(&arena, n, size);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_what_cannot_be_had_ends_the_program(void **state)
{
	(void)state;
	check_int(exit_of(4, 4), 0);
	check_int(exit_of(SIZE_MAX / 2, 3), 1);
	check_int(exit_of(1, SIZE_MAX - 4), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(test_size_zero_is_a_pointer),
		cmocka_unit_test(test_copies_are_copies),
		cmocka_unit_test(test_an_arena_can_be_used_again),
		cmocka_unit_test(test_what_cannot_be_had_ends_the_program),
	};

	return check_all(tests);
}
