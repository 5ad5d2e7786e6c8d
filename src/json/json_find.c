/*
 * Finding values in a tree: by name, twice by the same name, by pointer, and from there the line in
 * the text.
 */
#include <creel/json.h>

#include <creel/error.h>
#include <creel/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Objects up to this size are searched for duplicates pair by pair, larger ones by sorting. */
#define PAIRS_MAX 16

const struct json *json_member(const struct json *object, const char *key)
{
	if (object->type != JSON_OBJECT)
		return NULL;
	json_each (member, object)
		if (text_is(member->key, key))
			return member;
	return NULL;
}

static int compare_members(const void *a, const void *b)
{
	const struct json *const *left = a, *const *right = b;
	int order = strcmp((*left)->key, (*right)->key);

	if (order != 0)
		return order;
	return (*left)->offset < (*right)->offset ? -1 : 1;
}

static const struct json *duplicate_by_sorting(struct arena *arena, const struct json *object)
{
	const struct json **members = arena_array(arena, object->n, sizeof(*members));
	const struct json *found = NULL;
	size_t n = 0;

	json_each (member, object)
		members[n++] = member;
	qsort(members, n, sizeof(*members), compare_members);
	for (size_t i = 1; i < n; i++)
		if (strcmp(members[i - 1]->key, members[i]->key) == 0 &&
		    (!found || members[i]->offset < found->offset))
			found = members[i];
	return found;
}

static const struct json *duplicate_by_pairs(const struct json *object)
{
	json_each (member, object)
		for (const struct json *before = object->first; before != member;
		     before = before->next)
			if (text_is(before->key, member->key))
				return member;
	return NULL;
}

const struct json *json_duplicate(struct arena *arena, const struct json *object)
{
	return object->n > PAIRS_MAX ? duplicate_by_sorting(arena, object)
				     : duplicate_by_pairs(object);
}

/* Compares KEY with the pointer's part [PART, END), in which "~1" is "/" and "~0" is "~". */
static bool is_part(const char *key, const char *part, const char *end)
{
	for (; part < end; part++, key++) {
		char wanted = *part;

		if (wanted == '~' && part + 1 < end)
			wanted = *++part == '1' ? '/' : '~';
		if (*key != wanted)
			return false;
	}
	return *key == '\0';
}

static const struct json *child_at(const struct json *parent, const char *part, const char *end)
{
	char number[24];
	size_t index = 0;

	json_each (child, parent) {
		snprintf(number, sizeof(number), "%zu", index++);
		if (is_part(parent->type == JSON_OBJECT ? child->key : number, part, end))
			return child;
	}
	return NULL;
}

const struct json *json_at(const struct json *root, const char *pointer)
{
	const struct json *value = root;

	while (*pointer == '/') {
		const char *part = pointer + 1;
		const char *end = strchrnul(part, '/');
		const struct json *child = child_at(value, part, end);

		if (!child)
			return value;
		value = child;
		pointer = end;
	}
	return value;
}

void json_position(const char *text, size_t offset, unsigned int *line, unsigned int *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			(*column)++; /* one a character, not one a byte */
		}
	}
}

void json_locate(const struct json *root, const char *name, const char *text, struct error *err)
{
	if (err->kind != ERROR_CONFIG || err->line > 0)
		return;
	json_position(text, json_at(root, err->where)->offset, &err->line, &err->column);
	error_clean_text(err->file, sizeof(err->file), name);
}
