/* The image of the open files: written once more with less in it. */
#include <creel/criu_image.h>

/* Of a message: keeps its fields, as they are written, but for those of DROPPED. */
static int copy_fields(struct protobuf *copy, struct protobuf_reader record, uint64_t dropped)
{
	struct protobuf_field field;
	const unsigned char *from = record.data;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field >= 64 || !(dropped >> field.field & 1))
			protobuf_raw(copy, from, (size_t)(record.data - from));
		from = record.data;
	}
	return more;
}

static int is_external(struct protobuf_reader record, bool *external)
{
	enum { EXTERNAL = 9 };
	struct protobuf_field field;
	int more;

	*external = false;
	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field == EXTERNAL)
			*external = field.number;
	return more;
}

/* The member of a record that says more of a regular file. */
static int copy_regular(struct protobuf *copy, const struct protobuf_field *regular)
{
	enum { REGULAR = 3, SIZE = 8, MODE = 10 };
	struct protobuf nested = { .arena = copy->arena };
	bool external;

	if (is_external(protobuf_inside(regular), &external) < 0 ||
	    copy_fields(&nested, protobuf_inside(regular),
			external ? 1ULL << SIZE | 1ULL << MODE : 0) < 0)
		return -1;
	protobuf_nested(copy, REGULAR, &nested);
	return 0;
}

static int copy_record(struct protobuf *copy, struct protobuf_reader record)
{
	enum { REGULAR = 3 };
	struct protobuf_field field;
	const unsigned char *from = record.data;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field != REGULAR)
			protobuf_raw(copy, from, (size_t)(record.data - from));
		else if (copy_regular(copy, &field) < 0)
			return -1;
		from = record.data;
	}
	return more;
}

static void put_number(struct protobuf *image, uint32_t number)
{
	const unsigned char bytes[] = { (unsigned char)number, (unsigned char)(number >> 8),
					(unsigned char)(number >> 16),
					(unsigned char)(number >> 24) };

	protobuf_raw(image, bytes, sizeof(bytes));
}

const void *criu_image_free_files(struct arena *arena, const struct criu_records *files,
				  size_t *size)
{
	struct protobuf image = { .arena = arena };

	put_number(&image, CRIU_MAGIC_COMMON);
	put_number(&image, CRIU_MAGIC_FILES);
	for (size_t i = 0; i < files->n; i++) {
		struct protobuf copy = { .arena = arena };

		if (copy_record(&copy, files->items[i]) < 0)
			return NULL;
		put_number(&image, (uint32_t)copy.size);
		protobuf_raw(&image, copy.data, copy.size);
	}
	*size = image.size;
	return image.data;
}
