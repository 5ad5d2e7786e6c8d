/* The mechanism of the create table: whatever fails, exactly what was made is undone, last one
 * first. */
#include "check.h"

#include <creel/create.h>
#include <creel/error.h>
#include <creel/log.h>
#include <creel/steps.h>

#define STEPS 4

/* What the steps below did, in letters: lower case made, upper case undone; and which of them fail.
 */
struct story {
	struct create create; /* first, so that a step finds its story */
	struct runtime runtime;
	char text[64];
	size_t n;
	int bad_make, bad_undo;
};

static struct story *story_of(struct create *create)
{
	return (struct story *)create;
}

static int tell(struct create *create, int i, char letter, bool bad, struct error *err)
{
	struct story *story = story_of(create);

	story->text[story->n++] = (char)(letter + i);
	return bad ? error_system(err, 5, "step %d is bad", i) : 0;
}

#define STEP(i)                                                                                    \
	static int make##i(struct create *create, struct error *err)                               \
	{                                                                                          \
		return tell(create, i, 'a', story_of(create)->bad_make == (i), err);               \
	}                                                                                          \
	static int undo##i(struct create *create, struct error *err)                               \
	{                                                                                          \
		return tell(create, i, 'A', story_of(create)->bad_undo == (i), err);               \
	}
STEP(0)
STEP(1)
STEP(3)

static int make2(struct create *create, struct error *err)
{
	return tell(create, 2, 'a', story_of(create)->bad_make == 2, err);
}

static const struct step steps[STEPS] = {
	{ "zero", make0, undo0 },
	{ "one", make1, undo1 },
	{ "two", make2, NULL },
	{ "three", make3, undo3 },
};

static void drop(void *argument, enum log_level level, const char *text)
{
	(void)argument;
	(void)level;
	(void)text;
}

static struct story begin(int bad_make, int bad_undo)
{
	log_to_function(drop, NULL);
	return (
	    struct story){ .runtime = { .trace = -1 }, .bad_make = bad_make, .bad_undo = bad_undo };
}

static int run(struct story *story, struct error *err)
{
	story->create.runtime = &story->runtime;
	return steps_run(steps, STEPS, &story->create, err);
}

static void test_all_are_made_in_order(void **state)
{
	struct story story = begin(-1, -1);
	struct error err = { 0 };

	(void)state;
	check_int(run(&story, &err), 0);
	check_text(story.text, "abcd");
	check(!story.create.leftover);
}

/* The one that failed may be half made, so it is undone too. */
static void test_any_failure_undoes_it_and_the_earlier_ones(void **state)
{
	static const char *const expected[STEPS] = { "aA", "abBA", "abcBA", "abcdDBA" };

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		struct story story = begin(i, -1);
		struct error err = { 0 };

		check_int(run(&story, &err), -1);
		check_text(story.text, expected[i]);
		check_has(err.what, steps[i].name);
		check_has(err.what, "is bad");
		check_int(err.errnum, 5);
		check(!story.create.leftover);
	}
}

static void test_a_failing_undo_is_on_record_and_stops_nothing(void **state)
{
	struct story story = begin(3, 1);
	struct error err = { 0 };

	(void)state;
	check_int(run(&story, &err), -1);
	check_text(story.text, "abcdDBA");
	check(story.create.leftover);
	/* The error is why it failed, not why it could not be undone. */
	check_has(err.what, "three: step 3");
}

static void test_undo_of_all_returns_the_first_error(void **state)
{
	struct story story = begin(-1, 3);
	struct error err = { 0 };

	(void)state;
	story.create.runtime = &story.runtime;
	check_int(steps_undo(steps, STEPS, &story.create, &err), -1);
	check_text(story.text, "DBA");
	check_has(err.what, "step 3 is bad");
	check(story.create.leftover);
}

static void test_undo_of_none_is_nothing(void **state)
{
	struct story story = begin(-1, -1);
	struct error err = { 0 };

	(void)state;
	story.create.runtime = &story.runtime;
	check_int(steps_undo(steps, 0, &story.create, &err), 0);
	check_text(story.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_made_in_order),
		cmocka_unit_test(test_any_failure_undoes_it_and_the_earlier_ones),
		cmocka_unit_test(test_a_failing_undo_is_on_record_and_stops_nothing),
		cmocka_unit_test(test_undo_of_all_returns_the_first_error),
		cmocka_unit_test(test_undo_of_none_is_nothing),
	};

	return check_all(tests);
}
