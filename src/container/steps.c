/* Make down, undo up. */
#include <creel/steps.h>

#include <creel/create.h>
#include <creel/error.h>
#include <creel/fault.h>
#include <creel/log.h>
#include <creel/trace.h>

int steps_undo(const struct step *steps, size_t n, struct create *create, struct error *err)
{
	int result = 0;

	while (n-- > 0) {
		struct error trouble = { 0 };

		uint64_t start = trace_now(create->runtime->trace);
		int done = steps[n].undo ? steps[n].undo(create, &trouble) : 0;

		if (steps[n].undo)
			trace_span(create->runtime->trace, "P undo", steps[n].name, start);
		if (done == 0)
			continue;
		/* What could not be undone must stay on record, so that a later delete can try
		 * again. */
		create->leftover = true;
		log_warning("cannot undo \"%s\": %s", steps[n].name, trouble.what);
		if (result == 0)
			*err = trouble;
		result = -1;
	}
	return result;
}

int steps_run(const struct step *steps, size_t n, struct create *create, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct error trouble = { 0 };
		uint64_t start = trace_now(create->runtime->trace);

		if (fault_point(FAULT_BEFORE, steps[i].name, err) == 0 &&
		    steps[i].make(create, err) == 0 &&
		    fault_point(FAULT_AFTER, steps[i].name, err) == 0) {
			trace_span(create->runtime->trace, "P", steps[i].name, start);
			continue;
		}
		if (steps_undo(steps, i + 1, create, &trouble) < 0)
			error_ignore(&trouble, "the error that stopped the steps matters more");
		/* "container with given ID already exists" says all by itself. */
		return err->kind == ERROR_STATE ? -1 : error_while(err, "%s", steps[i].name);
	}
	return 0;
}
