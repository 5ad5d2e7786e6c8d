/* The image of the cgroups: what it names, each with its words only, since CRIU makes paths of
 * them. */
#include <creel/criu_image.h>

/* Directories in directories; the kernel's own limit is cgroup.max.depth. */
#define DEPTH_MAX 64

struct reading {
	struct arena *arena;
	struct criu_cgroup_names *cgroups;
};

static int add_text(const struct reading *reading, struct strings *list,
		    const struct protobuf_field *field)
{
	char *text = protobuf_to_text(reading->arena, field);

	if (!text)
		return -1;
	strings_add(reading->arena, list, text);
	return 0;
}

static int read_owner(const struct reading *reading, const struct protobuf_field *within)
{
	enum { UID = 2, GID = 3 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	struct criu_owner *owner = &reading->cgroups->owners[reading->cgroups->owners_n++];
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == UID)
			owner->uid = field.number;
		if (field.field == GID)
			owner->gid = field.number;
	}
	return more;
}

static int read_property(const struct reading *reading, const struct protobuf_field *within)
{
	enum { NAME = 1, OWNER = 3 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == NAME && add_text(reading, &reading->cgroups->files, &field) < 0)
			return -1;
		if (field.field == OWNER && read_owner(reading, &field) < 0)
			return -1;
	}
	return more;
}

static int read_directory(const struct reading *reading, const struct protobuf_field *within,
			  int depth)
{
	enum { NAME = 1, CHILD = 2, PROPERTY = 3, OWNER = 4 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	int more;

	if (depth > DEPTH_MAX)
		return -1;
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == NAME && add_text(reading, &reading->cgroups->paths, &field) < 0)
			return -1;
		if (field.field == CHILD && read_directory(reading, &field, depth + 1) < 0)
			return -1;
		if (field.field == PROPERTY && read_property(reading, &field) < 0)
			return -1;
		if (field.field == OWNER && read_owner(reading, &field) < 0)
			return -1;
	}
	return more;
}

static int read_hierarchy(const struct reading *reading, const struct protobuf_field *within)
{
	enum { CONTROLLER = 1, DIRECTORY = 2 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == CONTROLLER &&
		    add_text(reading, &reading->cgroups->controllers, &field) < 0)
			return -1;
		if (field.field == DIRECTORY && read_directory(reading, &field, 0) < 0)
			return -1;
	}
	return more;
}

static int read_place(const struct reading *reading, const struct protobuf_field *within)
{
	enum { CONTROLLER = 1, PATH = 2 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == CONTROLLER &&
		    add_text(reading, &reading->cgroups->controllers, &field) < 0)
			return -1;
		if (field.field == PATH && add_text(reading, &reading->cgroups->paths, &field) < 0)
			return -1;
	}
	return more;
}

/* The places of some processes, one for each hierarchy. */
static int read_set(const struct reading *reading, const struct protobuf_field *within)
{
	enum { PLACE = 2 };
	struct protobuf_reader record = protobuf_inside(within);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field == PLACE && read_place(reading, &field) < 0)
			return -1;
	return more;
}

int criu_image_cgroups(struct arena *arena, struct protobuf_reader record,
		       struct criu_cgroup_names *cgroups)
{
	enum { SET = 1, HIERARCHY = 2 };
	struct reading reading = { .arena = arena, .cgroups = cgroups };
	struct protobuf_field field;
	int more;

	*cgroups = (struct criu_cgroup_names){
		/* Each takes two bytes at least. */
		.owners = arena_array(arena, record.size / 2 + 1, sizeof(*cgroups->owners)),
	};
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == SET && read_set(&reading, &field) < 0)
			return -1;
		cgroups->has_hierarchies |= field.field == HIERARCHY;
		if (field.field == HIERARCHY && read_hierarchy(&reading, &field) < 0)
			return -1;
	}
	return more;
}
