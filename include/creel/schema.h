/*
 * Tree to struct and struct to tree, by table.  A row (struct field) has the member's name, its
 * kind, its place in the struct, and what the kind needs.  From one table follow decoding,
 * encoding, validation, the error's pointer, and the lists in `creel features`.
 *
 * Rules of the decoder: a wrong type is an error, never "absent"; null means absent, for every
 * kind; an unknown member is ignored (debug log, and a warning with "did you mean" when it differs
 * from a known one only by letter case); an unknown enum value is an error; members are matched
 * exactly; what is decoded is complete or not at all.
 */
#pragma once

#include <creel/arena.h>
#include <creel/compiler.h>
#include <creel/error.h>
#include <creel/json.h>
#include <creel/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct findings;

/* Numbers that may be absent. */
struct optional {
	bool set;
	int64_t value;
};

struct optional_uint {
	bool set;
	uint64_t value;
};

/* A list of structs; the generic code sees it as a pointer and a count. */
#define LIST_OF(type)                                                                              \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t n;                                                                          \
	}

#define list_each(type, item, list)                                                                \
	for (type *item = (list)->items; item && item < (list)->items + (list)->n; item++)

struct uints {
	uint64_t *items;
	size_t n;
};

struct ints {
	int64_t *items;
	size_t n;
};

/* One spelling of an enum member and its value. */
struct name_value {
	const char *name;
	int value;
};

enum field_kind {
	FIELD_BOOL,	     /* bool: absent is false */
	FIELD_OPTIONAL_BOOL, /* struct optional: value 0 or 1 */
	FIELD_INT,	     /* struct optional, within [min, max] */
	FIELD_UINT,	     /* struct optional_uint, up to umax */
	FIELD_STRING,	     /* char *: absent is NULL */
	FIELD_ENUM,	     /* struct optional: value from names */
	FIELD_STRINGS,	     /* struct strings */
	FIELD_ENUMS,	     /* struct ints: each value from names */
	FIELD_UINTS,	     /* struct uints, each up to umax */
	FIELD_OBJECT,	     /* struct x *: absent is NULL; schema */
	FIELD_LIST,	     /* LIST_OF(struct x): schema */
	FIELD_STRING_MAP,    /* struct string_map */
	FIELD_OBJECT_MAP, /* LIST_OF(struct x) whose first member is `char *key`; schema describes
			     the values */
	FIELD_ANY,	  /* const struct json *: kept as a tree (other platforms' sections) */
};

enum field_flags {
	FIELD_REQUIRED = 1,  /* absent (or null) is an error */
	FIELD_NOT_EMPTY = 2, /* an empty string, list or map is an error */
	FIELD_KEEP_EMPTY =
	    4, /* written even when empty, zero or false (state and features need it) */
};

struct schema;

/* Small, since every start of the program relocates all rows. */
struct field {
	const char *key;
	enum field_kind kind : 8;
	unsigned int flags : 8;
	unsigned int offset : 16;
	/* What the kind needs. */
	union {
		struct {
			int64_t min;
			int64_t max;
		};
		uint64_t umax;
		const struct name_value *names; /* ends with a NULL name */
		const struct schema *schema;
	};
};

typedef int schema_check(const void *object, const struct where *at, struct error *err);

struct schema {
	size_t size; /* of the struct */
	const struct field *fields;
	size_t n;
	/* Rules inside this one object, in order; NULL ends them.  AT is the object's place. */
	schema_check *const *checks;
};

/* An offsetof() that does not compile unless the member has exactly the type that the row needs. */
#define MEMBER_OF_TYPE(type, member, wanted)                                                       \
	(offsetof(type, member) +                                                                  \
	 0 * sizeof(char[1 - 2 * !__builtin_types_compatible_p(__typeof__(((type *)0)->member),    \
							       wanted)]))

/* The same for a list: its elements must have the size that the schema describes; checked when
 * tables are built in tests. */
#define F_BOOL(type, member, key_, flags_)                                                         \
	{                                                                                          \
		.key = (key_), .kind = FIELD_BOOL, .flags = (flags_),                              \
		.offset = MEMBER_OF_TYPE(type, member, bool)                                       \
	}
#define F_OPTIONAL_BOOL(type, member, key_, flags_)                                                \
	{                                                                                          \
		.key = (key_), .kind = FIELD_OPTIONAL_BOOL, .flags = (flags_),                     \
		.offset = MEMBER_OF_TYPE(type, member, struct optional)                            \
	}
#define F_INT(type, member, key_, flags_, min_, max_)                                              \
	{                                                                                          \
		.key = (key_), .kind = FIELD_INT, .flags = (flags_), .min = (min_), .max = (max_), \
		.offset = MEMBER_OF_TYPE(type, member, struct optional)                            \
	}
#define F_UINT(type, member, key_, flags_, max_)                                                   \
	{                                                                                          \
		.key = (key_), .kind = FIELD_UINT, .flags = (flags_), .umax = (max_),              \
		.offset = MEMBER_OF_TYPE(type, member, struct optional_uint)                       \
	}
#define F_STRING(type, member, key_, flags_)                                                       \
	{                                                                                          \
		.key = (key_), .kind = FIELD_STRING, .flags = (flags_),                            \
		.offset = MEMBER_OF_TYPE(type, member, char *)                                     \
	}
#define F_ENUM(type, member, key_, flags_, names_)                                                 \
	{                                                                                          \
		.key = (key_), .kind = FIELD_ENUM, .flags = (flags_), .names = (names_),           \
		.offset = MEMBER_OF_TYPE(type, member, struct optional)                            \
	}
#define F_STRINGS(type, member, key_, flags_)                                                      \
	{                                                                                          \
		.key = (key_), .kind = FIELD_STRINGS, .flags = (flags_),                           \
		.offset = MEMBER_OF_TYPE(type, member, struct strings)                             \
	}
#define F_ENUMS(type, member, key_, flags_, names_)                                                \
	{                                                                                          \
		.key = (key_), .kind = FIELD_ENUMS, .flags = (flags_), .names = (names_),          \
		.offset = MEMBER_OF_TYPE(type, member, struct ints)                                \
	}
#define F_UINTS(type, member, key_, flags_, max_)                                                  \
	{                                                                                          \
		.key = (key_), .kind = FIELD_UINTS, .flags = (flags_), .umax = (max_),             \
		.offset = MEMBER_OF_TYPE(type, member, struct uints)                               \
	}
#define F_OBJECT(type, member, key_, flags_, object_type, schema_)                                 \
	{                                                                                          \
		.key = (key_), .kind = FIELD_OBJECT, .flags = (flags_), .schema = (schema_),       \
		.offset = MEMBER_OF_TYPE(type, member, object_type *)                              \
	}
#define F_LIST(type, member, key_, flags_, object_type, schema_)                                   \
	{                                                                                          \
		.key = (key_), .kind = FIELD_LIST, .flags = (flags_), .schema = (schema_),         \
		.offset = MEMBER_OF_TYPE(type, member.items, object_type *)                        \
	}
#define F_STRING_MAP(type, member, key_, flags_)                                                   \
	{                                                                                          \
		.key = (key_), .kind = FIELD_STRING_MAP, .flags = (flags_),                        \
		.offset = MEMBER_OF_TYPE(type, member, struct string_map)                          \
	}
#define F_OBJECT_MAP(type, member, key_, flags_, object_type, schema_)                             \
	{                                                                                          \
		.key = (key_), .kind = FIELD_OBJECT_MAP, .flags = (flags_), .schema = (schema_),   \
		.offset = MEMBER_OF_TYPE(type, member.items, object_type *)                        \
	}
#define F_ANY(type, member, key_, flags_)                                                          \
	{                                                                                          \
		.key = (key_), .kind = FIELD_ANY, .flags = (flags_),                               \
		.offset = MEMBER_OF_TYPE(type, member, const struct json *)                        \
	}

/* Behind the fields stand the rules, or NULL. */
#define SCHEMA(type_, fields_, ...)                                                                \
	{                                                                                          \
		.size = sizeof(type_), .fields = (fields_), .n = ARRAY_SIZE(fields_),              \
		.checks = (schema_check *const[])                                                  \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

/*
 * Decodes TREE into OBJECT (SCHEMA->size bytes, zeroed by the caller); everything is copied or
 * pointed to in the arena. AT is the object's place in the document, NULL for the root.  OBJECT is
 * only meaningful after 0.
 */
int schema_decode(const struct schema *schema, struct arena *arena, const struct json *tree,
		  const struct where *at, void *object, struct error *err) must_check;

/*
 * The same for the root of a document when all that is wrong is wanted: every error, and a warning
 * for every unknown member, goes to FINDINGS.  OBJECT can be used afterwards: what is damaged is
 * absent in it, or empty where it is required, and list items keep their numbers.
 */
void schema_collect(const struct schema *schema, struct arena *arena, const struct json *tree,
		    void *object, struct findings *findings);

/* Writes OBJECT as a JSON object; absent members are left out, so that decode(encode(x)) is x. */
void schema_encode(const struct schema *schema, const void *object, struct json_writer *w);

/* json_parse() and schema_decode() of a whole document; *TREE (may be NULL) keeps the tree for
 * positions. */
int schema_parse(const struct schema *schema, struct arena *arena, const char *name,
		 const char *text, size_t size, void *object, const struct json **tree,
		 struct error *err) must_check;

/* The name of VALUE in NAMES, or NULL. */
const char *name_of(const struct name_value *names, int value);
/* The value of NAME in NAMES, or -1. */
int value_of(const struct name_value *names, const char *name);
/* All names as a list (features, "did you mean"). */
struct strings names_list(struct arena *arena, const struct name_value *names);
