/*
 * Annotations "org.systemd.property.*": GVariant's text form to a property.  What is taken is of
 * the type that it says, and comes out the same when it is written in GVariant's words and read
 * again.
 */
#include "fuzz.h"

#include "../../src/plan/parts.h"

static const char *keyword(char type)
{
	switch (type) {
	case 'y':
		return "byte ";
	case 'n':
		return "int16 ";
	case 'q':
		return "uint16 ";
	case 'i':
		return "int32 ";
	case 'u':
		return "uint32 ";
	case 'x':
		return "int64 ";
	case 't':
		return "uint64 ";
	default:
		return "";
	}
}

static void check_number(char type, const char *text)
{
	static const struct {
		char type;
		int64_t min;
		uint64_t max;
	} ranges[] = {
		{ 'y', 0, UINT8_MAX },	{ 'n', INT16_MIN, INT16_MAX },
		{ 'q', 0, UINT16_MAX }, { 'i', INT32_MIN, INT32_MAX },
		{ 'u', 0, UINT32_MAX }, { 'x', INT64_MIN, INT64_MAX },
		{ 't', 0, UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		char *end;

		if (ranges[i].type != type)
			continue;
		if (text[0] == '-')
			must(strtoll(text, &end, 10) >= ranges[i].min);
		else
			must(strtoull(text, &end, 10) <= ranges[i].max);
		must(*end == '\0' && strspn(text, "-0123456789") == strlen(text));
		return;
	}
	must(!"a type that is no number");
}

static const char *quoted(struct arena *arena, const char *text)
{
	char *out = arena_alloc(arena, 2 * strlen(text) + 3), *to = out;

	*to++ = '\'';
	for (; *text; text++) {
		if (strchr("\\'", *text))
			*to++ = '\\';
		*to++ = *text;
	}
	*to++ = '\'';
	return out;
}

static const char *value_text(struct arena *arena, char type, const char *value)
{
	if (type == 's')
		return quoted(arena, value);
	if (type == 'b') {
		must(strcmp(value, "true") == 0 || strcmp(value, "false") == 0);
		return value;
	}
	check_number(type, value);
	return text_format(arena, "%s%s", keyword(type), value);
}

static const char *property_text(struct arena *arena, const struct systemd_property *property)
{
	bool array = property->signature[0] == 'a';
	char type = property->signature[array];
	const char *text = array ? text_format(arena, "@a%c [", type) : "";

	must(type && strchr("bsynqiuxt", type) && property->signature[array + 1] == '\0');
	must(array || property->values.n == 1);
	for (size_t i = 0; i < property->values.n; i++)
		text = text_format(arena, "%s%s%s", text, i ? ", " : "",
				   value_text(arena, type, property->values.items[i]));
	return array ? text_format(arena, "%s]", text) : text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	struct systemd_property property = { 0 }, again = { 0 };
	const char *text = take_rest(&arena, &bytes, &size);

	if (!plan_property_parse(&arena, text, &property))
		return 0;
	must(plan_property_parse(&arena, property_text(&arena, &property), &again));
	must(strcmp(property.signature, again.signature) == 0);
	must(property.values.n == again.values.n);
	for (size_t i = 0; i < again.values.n; i++)
		must(strcmp(property.values.items[i], again.values.items[i]) == 0);
	return 0;
}
