/*
 * Tree to struct and struct to tree, by table.  The rules that hold for every member of every
 * document are here, once; what a member is called and what it may hold stands in the tables.
 */
#include <creel/schema.h>

#include <creel/findings.h>
#include <creel/log.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* What the generic code sees of any LIST_OF(). */
struct list {
	void *items;
	size_t n;
};

/* What every function of this file is given. */
struct decoder {
	struct arena *arena;
	struct findings *findings; /* NULL: the first error ends it */
};

static int decode_object(const struct decoder *decoder, const struct schema *schema,
			 const struct json *tree, const struct where *at, void *object,
			 struct error *err);

const char *name_of(const struct name_value *names, int value)
{
	for (; names->name; names++)
		if (names->value == value)
			return names->name;
	return NULL;
}

int value_of(const struct name_value *names, const char *name)
{
	for (; names->name; names++)
		if (text_is(names->name, name))
			return names->value;
	return -1;
}

struct strings names_list(struct arena *arena, const struct name_value *names)
{
	struct strings list = { .items = NULL };

	for (; names->name; names++)
		strings_add(arena, &list, (char *)names->name);
	return list;
}

static const char *type_name(enum json_type type)
{
	switch (type) {
	case JSON_NULL:
		return "null";
	case JSON_BOOL:
		return "a boolean";
	case JSON_NUMBER:
		return "a number";
	case JSON_STRING:
		return "a string";
	case JSON_ARRAY:
		return "an array";
	case JSON_OBJECT:
		return "an object";
	}
	return "a value";
}

static int must_be(const struct json *json, enum json_type type, const struct where *at,
		   struct error *err)
{
	if (json->type == type)
		return 0;
	return error_coded(
	    err, CRL_WRONG_TYPE,
	    error_config(err, at, "expected %s, found %s", type_name(type), type_name(json->type)));
}

/* Numbers are kept as they were written; of a million digits the first few are shown. */
#define SHOWN "%.40s"

/* An integer is written as one: 1.0 and 1e3 are not, and neither is -0, which has no sign to keep.
 */
static int must_be_integer(const struct json *json, const struct where *at, struct error *err)
{
	if (must_be(json, JSON_NUMBER, at, err) < 0)
		return -1;
	if (strpbrk(json->text, ".eE") || strcmp(json->text, "-0") == 0)
		return error_coded(
		    err, CRL_WRONG_TYPE,
		    error_config(err, at, "expected an integer, found " SHOWN, json->text));
	return 0;
}

static int decode_int(const struct field *field, const struct json *json, const struct where *at,
		      struct optional *out, struct error *err)
{
	if (must_be_integer(json, at, err) < 0)
		return -1;
	if (!text_parse_int(json->text, field->min, field->max, &out->value))
		return error_coded(
		    err, CRL_OUT_OF_RANGE,
		    error_config(err, at, SHOWN " is out of range (%" PRId64 " to %" PRId64 ")",
				 json->text, field->min, field->max));
	out->set = true;
	return 0;
}

static int decode_uint(const struct field *field, const struct json *json, const struct where *at,
		       uint64_t *out, struct error *err)
{
	if (must_be_integer(json, at, err) < 0)
		return -1;
	if (!text_parse_uint(json->text, field->umax, out))
		return error_coded(err, CRL_OUT_OF_RANGE,
				   error_config(err, at,
						SHOWN " is out of range (0 to %" PRIu64 ")",
						json->text, field->umax));
	return 0;
}

/* The hint of an unknown value: the nearest of NAMES, or all of them. */
static int hint_names(const struct name_value *names, const char *text, struct error *err)
{
	auto_arena arena = { .newest = NULL };
	struct strings list = names_list(&arena, names);
	const char *nearest;
	char *all;

	if (list.n == 0)
		return -1;
	nearest = text_nearest(text, (const char *const *)list.items);
	if (nearest)
		return error_hint(err, "did you mean \"%s\"?", nearest);
	all = list.items[0];
	for (size_t i = 1; i < list.n; i++)
		all = text_format(&arena, "%s, %s", all, list.items[i]);
	return error_hint(err, "known values: %s", all);
}

static int decode_enum(const struct field *field, const struct json *json, const struct where *at,
		       int64_t *out, struct error *err)
{
	if (must_be(json, JSON_STRING, at, err) < 0)
		return -1;
	for (const struct name_value *row = field->names; row->name; row++) {
		if (text_is(row->name, json->text)) {
			*out = row->value;
			return 0;
		}
	}
	error_coded(err, CRL_UNKNOWN_VALUE,
		    error_config(err, at, "unknown value \"%s\"", json->text));
	return hint_names(field->names, json->text, err);
}

/*
 * The four kinds of lists.  An empty list has items (but none to use), so that it is not an absent
 * one.  Where errors are collected, a bad item keeps its place: those behind it are found by their
 * number.
 */
static int decode_strings(const struct decoder *decoder, const struct json *json,
			  const struct where *at, struct strings *out, struct error *err)
{
	out->items = arena_array(decoder->arena, json->n + 1, sizeof(*out->items));
	json_each (item, json) {
		bool good = must_be(item, JSON_STRING, AT_INDEX(at, out->n), err) == 0;

		if (!good && findings_keep(decoder->findings, err) < 0)
			return -1;
		out->items[out->n++] = good ? (char *)item->text : (char *)"";
	}
	return 0;
}

static int decode_enums(const struct field *field, const struct decoder *decoder,
			const struct json *json, const struct where *at, struct ints *out,
			struct error *err)
{
	out->items = arena_array(decoder->arena, json->n, sizeof(*out->items));
	json_each (item, json) {
		if (decode_enum(field, item, AT_INDEX(at, out->n), &out->items[out->n], err) < 0 &&
		    findings_keep(decoder->findings, err) < 0)
			return -1;
		out->n++;
	}
	return 0;
}

static int decode_uints(const struct field *field, const struct decoder *decoder,
			const struct json *json, const struct where *at, struct uints *out,
			struct error *err)
{
	out->items = arena_array(decoder->arena, json->n, sizeof(*out->items));
	json_each (item, json) {
		if (decode_uint(field, item, AT_INDEX(at, out->n), &out->items[out->n], err) < 0 &&
		    findings_keep(decoder->findings, err) < 0)
			return -1;
		out->n++;
	}
	return 0;
}

static int decode_list(const struct field *field, const struct decoder *decoder,
		       const struct json *json, const struct where *at, struct list *out,
		       struct error *err)
{
	const struct schema *schema = field->schema;

	out->items = arena_array(decoder->arena, json->n, schema->size);
	json_each (item, json) {
		char *object = (char *)out->items + out->n * schema->size;

		if (decode_object(decoder, schema, item, AT_INDEX(at, out->n), object, err) < 0)
			return -1;
		out->n++;
	}
	return 0;
}

static int decode_string_map(const struct decoder *decoder, const struct json *json,
			     const struct where *at, struct string_map *out, struct error *err)
{
	out->items = arena_array(decoder->arena, json->n, sizeof(*out->items));
	json_each (item, json) {
		if (item->type == JSON_NULL)
			continue;
		if (must_be(item, JSON_STRING, AT_KEY(at, item->key), err) < 0) {
			if (findings_keep(decoder->findings, err) < 0)
				return -1;
			continue;
		}
		out->items[out->n].key = (char *)item->key;
		out->items[out->n].value = (char *)item->text;
		out->n++;
	}
	return 0;
}

static int decode_object_map(const struct field *field, const struct decoder *decoder,
			     const struct json *json, const struct where *at, struct list *out,
			     struct error *err)
{
	const struct schema *schema = field->schema;

	out->items = arena_array(decoder->arena, json->n, schema->size);
	json_each (item, json) {
		char *object = (char *)out->items + out->n * schema->size;

		if (item->type == JSON_NULL)
			continue;
		/* First, so that the object's check() knows its name. */
		*(char **)object = (char *)item->key;
		if (decode_object(decoder, schema, item, AT_KEY(at, item->key), object, err) < 0)
			return -1;
		out->n++;
	}
	return 0;
}

static int decode_bool(const struct json *json, const struct where *at, bool *out,
		       struct error *err)
{
	if (must_be(json, JSON_BOOL, at, err) < 0)
		return -1;
	*out = json->text[0] == 't';
	return 0;
}

/* The JSON type of a member of this kind. */
static enum json_type type_of(enum field_kind kind, enum json_type found)
{
	switch (kind) {
	case FIELD_BOOL:
	case FIELD_OPTIONAL_BOOL:
		return JSON_BOOL;
	case FIELD_INT:
	case FIELD_UINT:
		return JSON_NUMBER;
	case FIELD_STRING:
	case FIELD_ENUM:
		return JSON_STRING;
	case FIELD_STRINGS:
	case FIELD_ENUMS:
	case FIELD_UINTS:
	case FIELD_LIST:
		return JSON_ARRAY;
	case FIELD_OBJECT:
	case FIELD_STRING_MAP:
	case FIELD_OBJECT_MAP:
		return JSON_OBJECT;
	case FIELD_ANY:
		break;
	}
	return found;
}

static bool is_empty(const struct json *json)
{
	return json->type == JSON_STRING ? json->text[0] == '\0'
					 : json->type >= JSON_ARRAY && json->n == 0;
}

static int decode_optional_bool(const struct json *json, const struct where *at,
				struct optional *out, struct error *err)
{
	bool value = false;

	if (decode_bool(json, at, &value, err) < 0)
		return -1;
	*out = (struct optional){ .set = true, .value = value };
	return 0;
}

static int decode_optional_uint(const struct field *field, const struct json *json,
				const struct where *at, struct optional_uint *out,
				struct error *err)
{
	out->set = decode_uint(field, json, at, &out->value, err) == 0;
	return out->set ? 0 : -1;
}

static int decode_optional_enum(const struct field *field, const struct json *json,
				const struct where *at, struct optional *out, struct error *err)
{
	out->set = decode_enum(field, json, at, &out->value, err) == 0;
	return out->set ? 0 : -1;
}

static int decode_field(const struct field *field, const struct decoder *decoder,
			const struct json *json, const struct where *at, void *to,
			struct error *err)
{
	struct optional *optional = to;
	void **pointer = to;

	if (must_be(json, type_of(field->kind, json->type), at, err) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_EMPTY) && is_empty(json))
		return error_coded(err, CRL_MISSING_MEMBER,
				   error_config(err, at, "must not be empty"));

	switch (field->kind) {
	case FIELD_BOOL:
		return decode_bool(json, at, to, err);
	case FIELD_OPTIONAL_BOOL:
		return decode_optional_bool(json, at, optional, err);
	case FIELD_INT:
		return decode_int(field, json, at, optional, err);
	case FIELD_UINT:
		return decode_optional_uint(field, json, at, to, err);
	case FIELD_STRING:
		*pointer = (char *)json->text;
		return 0;
	case FIELD_ENUM:
		return decode_optional_enum(field, json, at, optional, err);
	case FIELD_STRINGS:
		return decode_strings(decoder, json, at, to, err);
	case FIELD_ENUMS:
		return decode_enums(field, decoder, json, at, to, err);
	case FIELD_UINTS:
		return decode_uints(field, decoder, json, at, to, err);
	case FIELD_OBJECT:
		*pointer = arena_alloc(decoder->arena, field->schema->size);
		return decode_object(decoder, field->schema, json, at, *pointer, err);
	case FIELD_LIST:
		return decode_list(field, decoder, json, at, to, err);
	case FIELD_STRING_MAP:
		return decode_string_map(decoder, json, at, to, err);
	case FIELD_OBJECT_MAP:
		return decode_object_map(field, decoder, json, at, to, err);
	case FIELD_ANY:
		*(const struct json **)to = json;
		return 0;
	}
	return 0;
}

/* The known member that KEY was meant to be, or NULL. */
static const char *nearest_key(const struct schema *schema, const char *key)
{
	auto_arena arena = { .newest = NULL };
	const char **keys = arena_array(&arena, schema->n + 1, sizeof(*keys));

	for (size_t i = 0; i < schema->n; i++) {
		keys[i] = schema->fields[i].key;
		if (strcasecmp(keys[i], key) == 0)
			return keys[i];
	}
	return text_nearest(key, keys);
}

static void find_unknown(const struct decoder *decoder, const struct schema *schema,
			 const struct where *at, const char *key)
{
	const char *nearest = nearest_key(schema, key);
	char where[160];
	struct error *finding;

	where_text(AT_KEY(at, key), where, sizeof(where));
	finding = findings_say(decoder->findings, FINDING_WARNING, where,
			       "unknown member \"%s\" is ignored", key);
	if (finding && nearest)
		error_hint(finding, "did you mean \"%s\"?", nearest);
}

/* An unknown member is ignored, as the spec demands, but not in silence. */
static void report_unknown(const struct decoder *decoder, const struct schema *schema,
			   const struct where *at, const char *key)
{
	const char *nearest = log_is_on(LOG_LEVEL_WARNING) ? nearest_key(schema, key) : NULL;
	char where[160];

	if (decoder->findings) {
		find_unknown(decoder, schema, at, key);
		return;
	}
	if (!log_is_on(LOG_LEVEL_WARNING))
		return;
	where_text(at, where, sizeof(where));
	if (nearest) {
		log_warning("unknown member \"%s\" at %s is ignored; did you mean \"%s\"?", key,
			    where[0] ? where : "/", nearest);
		return;
	}
	log_debug("unknown member \"%s\" at %s is ignored", key, where[0] ? where : "/");
}

static const struct field *field_of(const struct schema *schema, const char *key)
{
	for (size_t i = 0; i < schema->n; i++)
		if (text_is(schema->fields[i].key, key))
			return &schema->fields[i];
	return NULL;
}

static int decode_members(const struct decoder *decoder, const struct schema *schema,
			  const struct json *tree, const struct where *at, void *object,
			  struct error *err)
{
	if (must_be(tree, JSON_OBJECT, at, err) < 0)
		return findings_keep(decoder->findings, err);
	json_each (member, tree) {
		const struct field *field = field_of(schema, member->key);

		if (!field)
			report_unknown(decoder, schema, at, member->key);
		else if (member->type != JSON_NULL &&
			 decode_field(field, decoder, member, AT_KEY(at, member->key),
				      (char *)object + field->offset, err) < 0 &&
			 findings_keep(decoder->findings, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * Where errors are collected, what is required but missing or damaged becomes something empty, so
 * that the rules and the plan can go on: what they say about it follows from the error that is kept
 * already.
 */
static void stand_in(const struct decoder *decoder, const struct field *field, void *to)
{
	void **pointer = to;

	if (field->kind == FIELD_STRING && !*pointer)
		*pointer = (char *)"";
	if (field->kind == FIELD_OBJECT && !*pointer)
		*pointer = arena_alloc(decoder->arena, field->schema->size);
}

static int decode_required(const struct decoder *decoder, const struct schema *schema,
			   const struct json *tree, const struct where *at, void *object,
			   struct error *err)
{
	for (size_t i = 0; i < schema->n; i++) {
		const struct field *field = &schema->fields[i];
		const struct json *member;

		if (!(field->flags & FIELD_REQUIRED))
			continue;
		/* Of what is no object nothing is missed. */
		member = tree->type == JSON_OBJECT ? json_member(tree, field->key) : tree;
		if ((!member || member->type == JSON_NULL) &&
		    error_coded(err, CRL_MISSING_MEMBER,
				error_config(err, AT_KEY(at, field->key),
					     "required member \"%s\" is missing", field->key)) <
			0 &&
		    findings_keep(decoder->findings, err) < 0)
			return -1;
		if (decoder->findings)
			stand_in(decoder, field, (char *)object + field->offset);
	}
	return 0;
}

/* Whether a number or a word that is required is missing or damaged: the object's rules would
 * compare with a value that nobody gave. */
static bool lacks_value(const struct schema *schema, const void *object)
{
	for (size_t i = 0; i < schema->n; i++) {
		const struct field *field = &schema->fields[i];
		const void *from = (const char *)object + field->offset;

		if (!(field->flags & FIELD_REQUIRED))
			continue;
		if ((field->kind == FIELD_INT || field->kind == FIELD_ENUM) &&
		    !((const struct optional *)from)->set)
			return true;
		if (field->kind == FIELD_UINT && !((const struct optional_uint *)from)->set)
			return true;
	}
	return false;
}

static int decode_object(const struct decoder *decoder, const struct schema *schema,
			 const struct json *tree, const struct where *at, void *object,
			 struct error *err)
{
	if (decode_members(decoder, schema, tree, at, object, err) < 0)
		return -1;
	if (decode_required(decoder, schema, tree, at, object, err) < 0)
		return -1;
	if (decoder->findings && (tree->type != JSON_OBJECT || lacks_value(schema, object)))
		return 0;
	for (schema_check *const *check = schema->checks; *check; check++)
		if ((*check)(object, at, err) < 0 && findings_keep(decoder->findings, err) < 0)
			return -1;
	return 0;
}

int schema_decode(const struct schema *schema, struct arena *arena, const struct json *tree,
		  const struct where *at, void *object, struct error *err)
{
	const struct decoder decoder = { .arena = arena };

	return decode_object(&decoder, schema, tree, at, object, err);
}

void schema_collect(const struct schema *schema, struct arena *arena, const struct json *tree,
		    void *object, struct findings *findings)
{
	const struct decoder decoder = { .arena = arena, .findings = findings };
	struct error err = { 0 };

	if (decode_object(&decoder, schema, tree, NULL, object, &err) < 0)
		findings_add(findings, FINDING_ERROR, &err);
}

int schema_parse(const struct schema *schema, struct arena *arena, const char *name,
		 const char *text, size_t size, void *object, const struct json **tree,
		 struct error *err)
{
	const struct json *root = json_parse(arena, name, text, size, err);

	if (tree)
		*tree = root;
	if (!root)
		return -1;
	if (schema_decode(schema, arena, root, NULL, object, err) < 0) {
		json_locate(root, name, text, err);
		return -1;
	}
	return 0;
}
