/*
 * Struct to JSON by the tables that read it.  What was absent stays absent, so that reading the
 * result gives the same struct again.
 */
#include <creel/schema.h>

/* What the generic code sees of any LIST_OF(). */
struct list {
	void *items;
	size_t n;
};

static void encode_tree(const struct json *json, struct json_writer *w)
{
	switch (json->type) {
	case JSON_NULL:
		json_write_null(w);
		return;
	case JSON_BOOL:
	case JSON_NUMBER:
		json_write_number(w, json->text);
		return;
	case JSON_STRING:
		json_write_string(w, json->text);
		return;
	case JSON_ARRAY:
		json_write_array(w);
		break;
	case JSON_OBJECT:
		json_write_object(w);
		break;
	}
	json_each (item, json) {
		if (json->type == JSON_OBJECT)
			json_write_key(w, item->key);
		encode_tree(item, w);
	}
	json_write_end(w);
}

/* True when the member at FROM has nothing to say. */
static bool is_absent(const struct field *field, const void *from)
{
	switch (field->kind) {
	case FIELD_BOOL:
		return !*(const bool *)from;
	case FIELD_OPTIONAL_BOOL:
	case FIELD_INT:
	case FIELD_ENUM:
		return !((const struct optional *)from)->set;
	case FIELD_UINT:
		return !((const struct optional_uint *)from)->set;
	case FIELD_STRING:
	case FIELD_OBJECT:
	case FIELD_ANY:
		return !*(void *const *)from;
	case FIELD_STRINGS:
		return !((const struct strings *)from)->items;
	case FIELD_ENUMS:
	case FIELD_UINTS:
	case FIELD_LIST:
	case FIELD_STRING_MAP:
	case FIELD_OBJECT_MAP:
		return !((const struct list *)from)->items;
	}
	return true;
}

/* True when an absent member of this kind can be written as empty, zero or false. */
static bool has_empty(enum field_kind kind)
{
	return kind != FIELD_ENUM && kind != FIELD_OBJECT && kind != FIELD_ANY;
}

static void encode_strings(const struct strings *list, struct json_writer *w)
{
	json_write_array(w);
	for (size_t i = 0; i < list->n; i++)
		json_write_string(w, list->items[i]);
	json_write_end(w);
}

/* A value that is not in the table has no name; the number at least can be seen. */
static void encode_name(const struct field *field, int64_t value, struct json_writer *w)
{
	const char *name = name_of(field->names, (int)value);

	if (name)
		json_write_string(w, name);
	else
		json_write_int(w, value);
}

static void encode_enums(const struct field *field, const struct ints *list, struct json_writer *w)
{
	json_write_array(w);
	for (size_t i = 0; i < list->n; i++)
		encode_name(field, list->items[i], w);
	json_write_end(w);
}

static void encode_uints(const struct uints *list, struct json_writer *w)
{
	json_write_array(w);
	for (size_t i = 0; i < list->n; i++)
		json_write_uint(w, list->items[i]);
	json_write_end(w);
}

static void encode_list(const struct field *field, const struct list *list, struct json_writer *w)
{
	json_write_array(w);
	for (size_t i = 0; i < list->n; i++)
		schema_encode(field->schema, (char *)list->items + i * field->schema->size, w);
	json_write_end(w);
}

static void encode_string_map(const struct string_map *map, struct json_writer *w)
{
	json_write_object(w);
	for (size_t i = 0; i < map->n; i++) {
		json_write_key(w, map->items[i].key);
		json_write_string(w, map->items[i].value);
	}
	json_write_end(w);
}

static void encode_object_map(const struct field *field, const struct list *map,
			      struct json_writer *w)
{
	json_write_object(w);
	for (size_t i = 0; i < map->n; i++) {
		char *object = (char *)map->items + i * field->schema->size;

		json_write_key(w, *(char **)object);
		schema_encode(field->schema, object, w);
	}
	json_write_end(w);
}

static void encode_field(const struct field *field, const void *from, struct json_writer *w)
{
	const struct optional *optional = from;
	const char *text;

	switch (field->kind) {
	case FIELD_BOOL:
		json_write_bool(w, *(const bool *)from);
		return;
	case FIELD_OPTIONAL_BOOL:
		json_write_bool(w, optional->value != 0);
		return;
	case FIELD_INT:
		json_write_int(w, optional->value);
		return;
	case FIELD_UINT:
		json_write_uint(w, ((const struct optional_uint *)from)->value);
		return;
	case FIELD_STRING:
		text = *(char *const *)from;
		json_write_string(w, text ? text : "");
		return;
	case FIELD_ENUM:
		encode_name(field, optional->value, w);
		return;
	case FIELD_STRINGS:
		encode_strings(from, w);
		return;
	case FIELD_ENUMS:
		encode_enums(field, from, w);
		return;
	case FIELD_UINTS:
		encode_uints(from, w);
		return;
	case FIELD_OBJECT:
		schema_encode(field->schema, *(void *const *)from, w);
		return;
	case FIELD_LIST:
		encode_list(field, from, w);
		return;
	case FIELD_STRING_MAP:
		encode_string_map(from, w);
		return;
	case FIELD_OBJECT_MAP:
		encode_object_map(field, from, w);
		return;
	case FIELD_ANY:
		encode_tree(*(const struct json *const *)from, w);
		return;
	}
}

void schema_encode(const struct schema *schema, const void *object, struct json_writer *w)
{
	json_write_object(w);
	for (size_t i = 0; i < schema->n; i++) {
		const struct field *field = &schema->fields[i];
		const void *from = (const char *)object + field->offset;

		/* A required member is written too when it is false: the reader asks for it. */
		if (is_absent(field, from) &&
		    !(has_empty(field->kind) &&
		      (field->flags & (FIELD_KEEP_EMPTY | FIELD_REQUIRED))))
			continue;
		json_write_key(w, field->key);
		encode_field(field, from, w);
	}
	json_write_end(w);
}
