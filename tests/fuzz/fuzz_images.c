/*
 * A checkpoint's directory: images and answers of CRIU, the list of streams.  Nothing that is read
 * lies outside of the bytes, numbers and texts are those that were written, and a stream's key is
 * one of the kernel's names.
 */
#include "fuzz.h"

#include <creel/criu.h>
#include <creel/criu_image.h>
#include <creel/error.h>
#include <creel/protobuf.h>

#include "../../src/container/checkpoint_parts.h"
#include "fake_files.h"

static void check_inside(const struct protobuf_reader *record, const unsigned char *data,
			 size_t size)
{
	must(record->size == 0 || (record->data >= data && record->data <= data + size &&
				   record->size <= (size_t)(data + size - record->data)));
}

static void read_cgroups(struct arena *arena, struct protobuf_reader record)
{
	struct criu_cgroup_names names;
	size_t used = 0;

	if (criu_image_cgroups(arena, record, &names) < 0)
		return;
	for (size_t i = 0; i < names.paths.n; i++)
		used += 2 + strlen(names.paths.items[i]);
	for (size_t i = 0; i < names.files.n; i++)
		used += 2 + strlen(names.files.items[i]);
	for (size_t i = 0; i < names.controllers.n; i++)
		used += 2 + strlen(names.controllers.items[i]);
	must(used + 2 * names.owners_n <= record.size);
}

static void read_record(struct arena *arena, struct protobuf_reader record)
{
	struct criu_namespaces namespaces;
	struct criu_filters filters;
	struct criu_rights rights;
	struct criu_mount mount;
	struct criu_task task;
	size_t used = 0;

	(void)!criu_image_namespaces(record, &namespaces);
	(void)!criu_image_inventory(record, &namespaces);
	/* The thread of a zombie may have any number. */
	if (criu_image_task(arena, record, &task) == 0)
		must(task.pid >= 0 && task.parent >= 0 && task.threads_n <= record.size / 2);
	if (criu_image_mount(arena, record, &mount) == 0) {
		must(mount.root && mount.point && mount.options);
		must(strlen(mount.root) + strlen(mount.point) + strlen(mount.options) <=
		     record.size);
	}
	if (criu_image_rights(arena, record, &rights) == 0)
		must(!rights.label || strlen(rights.label) <= record.size);
	read_cgroups(arena, record);
	if (criu_image_filters(arena, record, &filters) < 0)
		return;
	for (size_t i = 0; i < filters.n; i++) {
		struct protobuf_reader inside = { filters.items[i].data, filters.items[i].size };

		check_inside(&inside, record.data, record.size);
		used += filters.items[i].size;
	}
	must(used <= record.size);
}

static void read_image(struct arena *arena, const unsigned char *data, size_t size)
{
	static const enum criu_magic magics[] = { CRIU_MAGIC_INVENTORY, CRIU_MAGIC_PSTREE,
						  CRIU_MAGIC_IDS,	CRIU_MAGIC_CORE,
						  CRIU_MAGIC_MOUNTS,	CRIU_MAGIC_SECCOMP,
						  CRIU_MAGIC_CGROUP };
	struct error err = { 0 };
	int taken = 0;

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		struct criu_records records;
		size_t all = 0;

		if (criu_image_parse(arena, "image", data, size, magics[i], &records, &err) < 0) {
			must(err.kind != ERROR_NONE && err.what[0]);
			continue;
		}
		taken++;
		for (size_t r = 0; r < records.n; r++) {
			check_inside(&records.items[r], data, size);
			read_record(arena, records.items[r]);
			all += 4 + records.items[r].size;
		}
		/* The magic numbers and the records, and nothing between or behind them. */
		must(all + (magics[i] == CRIU_MAGIC_INVENTORY ? 4 : 8) == size);
	}
	/* An image is of one kind. */
	must(taken <= 1);
}

/* With the magic numbers before it, which would take long to guess. */
static void read_with_magic(struct arena *arena, uint8_t choice, const unsigned char *data,
			    size_t size)
{
	static const uint32_t magics[] = {
		CRIU_MAGIC_PSTREE, CRIU_MAGIC_IDS,     CRIU_MAGIC_CORE,
		CRIU_MAGIC_MOUNTS, CRIU_MAGIC_SECCOMP, CRIU_MAGIC_CGROUP
	};
	const uint32_t front[] = { 0x54564319, magics[choice % ARRAY_SIZE(magics)] };
	unsigned char *image = arena_alloc(arena, size + sizeof(front) + 1);

	for (size_t i = 0; i < sizeof(front); i++)
		image[i] = (unsigned char)(front[i / 4] >> (8 * (i % 4)));
	if (size > 0)
		memcpy(image + sizeof(front), data, size);
	read_image(arena, image, size + sizeof(front));
}

/* Fields that are drawn from the bytes come back as they were. */
static void round_trip(struct arena *arena, struct bytes bytes)
{
	struct protobuf message = { .arena = arena };
	struct protobuf_field field;
	struct bytes again = bytes;

	while (bytes.left > 0) {
		unsigned int number = 1 + (unsigned int)take_number(&bytes, 2);

		if (take_byte(&bytes) & 1)
			protobuf_number(&message, number, take_number(&bytes, 8));
		else
			protobuf_text(&message, number, take_text(arena, &bytes, '\0', NULL));
	}

	struct protobuf_reader reader = { message.data, message.size };

	while (again.left > 0) {
		unsigned int number = 1 + (unsigned int)take_number(&again, 2);

		must(protobuf_next(&reader, &field) == 1 && field.field == number);
		if (take_byte(&again) & 1)
			must(field.number == take_number(&again, 8) && !field.data);
		else
			must(strcmp(protobuf_to_text(arena, &field),
				    take_text(arena, &again, '\0', NULL)) == 0);
	}
	must(protobuf_next(&reader, &field) == 0);
}

static void read_answer(struct arena *arena, const unsigned char *data, size_t size)
{
	struct criu_answer answer;
	struct error err = { 0 };

	if (criu_decode(arena, data, size, &answer, &err) < 0) {
		must(err.kind != ERROR_NONE);
		return;
	}
	must(!answer.message || strlen(answer.message) <= size);
	must(!answer.script || strlen(answer.script) <= size);
}

static void read_streams(struct arena *arena, const char *text, size_t size)
{
	const char *keys[3] = { NULL, NULL, NULL };
	struct error err = { 0 };

	fake_clear();
	fake_file(".json", text, size);
	if (checkpoint_read_streams(arena, -1, keys, &err) < 0)
		must(err.kind != ERROR_NONE);
	for (size_t i = 0; i < 3; i++) {
		if (!keys[i])
			continue;
		must(strspn(keys[i], "abcdefghijklmnopqrstuvwxyz0123456789:[]") == strlen(keys[i]));
		must(strlen(keys[i]) < 80 && text_ends_with(keys[i], "]"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_arena arena = { 0 };
	struct bytes bytes = { data, size };
	uint8_t choice = take_byte(&bytes);
	unsigned char *text;

	round_trip(&arena, bytes);
	text = (unsigned char *)take_rest(&arena, &bytes, &size);
	read_image(&arena, text, size);
	read_with_magic(&arena, choice, text, size);
	read_record(&arena, (struct protobuf_reader){ text, size });
	read_answer(&arena, text, size);
	read_streams(&arena, (const char *)text, size);
	return 0;
}
