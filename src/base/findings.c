/* The list that errors and warnings are kept in when one is not enough. */
#include <creel/findings.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <creel/log.h>
#include <creel/text.h>

/* Whether POINTER is ABOVE, or below it. */
static bool is_within(const char *pointer, const char *above)
{
	size_t n = strlen(above);

	return strncmp(pointer, above, n) == 0 && (pointer[n] == '\0' || pointer[n] == '/');
}

/* What is missing or damaged is replaced by something empty, which other rules do not like either.
 */
static bool follows(const struct findings *findings, enum finding_severity severity,
		    const struct error *err)
{
	for (size_t i = 0; i < findings->n; i++) {
		const struct finding *earlier = &findings->items[i];

		if (earlier->severity != FINDING_ERROR || !earlier->error.where[0])
			continue;
		if (is_within(err->where, earlier->error.where))
			return true;
		if (severity == FINDING_ERROR && is_within(earlier->error.where, err->where))
			return true;
	}
	return false;
}

static struct error *append(struct findings *findings, enum finding_severity severity)
{
	if (findings->n == findings->room) {
		size_t room = findings->room ? 2 * findings->room : 8;
		struct finding *larger = arena_array(findings->arena, room, sizeof(*larger));

		if (findings->n > 0)
			memcpy(larger, findings->items, findings->n * sizeof(*larger));
		findings->items = larger;
		findings->room = room;
	}
	findings->items[findings->n] = (struct finding){ .severity = severity };
	return &findings->items[findings->n++].error;
}

void findings_add(struct findings *findings, enum finding_severity severity,
		  const struct error *err)
{
	if (err->where[0] && follows(findings, severity, err))
		return;
	if (findings->n == FINDINGS_MAX) {
		findings->left_out++;
		return;
	}
	*append(findings, severity) = *err;
}

int findings_keep(struct findings *findings, struct error *err)
{
	if (!findings)
		return -1;
	findings_add(findings, FINDING_ERROR, err);
	*err = (struct error){ 0 };
	return 0;
}

static void log_instead(enum finding_severity severity, const char *pointer, const char *text)
{
	enum log_level level = severity == FINDING_NOTE ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING;

	if (pointer && pointer[0])
		log_record(level, "%s: %s", pointer, text);
	else
		log_record(level, "%s", text);
}

struct error *findings_say(struct findings *findings, enum finding_severity severity,
			   const char *pointer, const char *format, ...)
{
	char text[sizeof(((struct error *)NULL)->what)];
	struct error err = { 0 };
	size_t before;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!findings) {
		log_instead(severity, pointer, text);
		return NULL;
	}
	error_config_at(&err, pointer, "%s", text);
	before = findings->n;
	findings_add(findings, severity, &err);
	return findings->n > before ? &findings->items[before].error : NULL;
}

size_t findings_count(const struct findings *findings, enum finding_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n; i++)
		n += findings->items[i].severity == severity;
	return n;
}

bool findings_has_error(const struct findings *findings, const char *pointer)
{
	for (size_t i = 0; i < findings->n; i++)
		if (findings->items[i].severity == FINDING_ERROR &&
		    is_within(findings->items[i].error.where, pointer))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const struct error *first = &((const struct finding *)a)->error;
	const struct error *second = &((const struct finding *)b)->error;

	if (!first->line != !second->line)
		return first->line ? -1 : 1;
	if (first->line != second->line)
		return first->line < second->line ? -1 : 1;
	if (first->column != second->column)
		return first->column < second->column ? -1 : 1;
	return strcmp(first->what, second->what);
}

void findings_sort(struct findings *findings)
{
	if (findings->n > 0)
		qsort(findings->items, findings->n, sizeof(*findings->items), compare);
}
