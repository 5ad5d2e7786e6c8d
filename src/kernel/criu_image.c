/* Reading what the images say: the containers of their records, and the few messages that decide
 * what a restored process can reach. */
#include <creel/criu_image.h>

#include <string.h>

#include <creel/error.h>
#include <creel/file.h>

#define IMAGE_MAX ((size_t)64 << 20)

enum {
	MAGIC_COMMON = 0x54564319, /* before the magic of the kind, but for the oldest kind */
	NUMBER_SIZE = 4,
};

/* ---- records ---- */

static uint32_t number_at(const unsigned char *data)
{
	return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
}

static bool take_magic(struct protobuf_reader *rest, uint32_t magic)
{
	if (rest->size < NUMBER_SIZE || number_at(rest->data) != magic)
		return false;
	rest->data += NUMBER_SIZE;
	rest->size -= NUMBER_SIZE;
	return true;
}

static bool take_record(struct protobuf_reader *rest, struct protobuf_reader *record)
{
	if (rest->size < NUMBER_SIZE)
		return false;

	uint32_t size = number_at(rest->data);

	if (size > rest->size - NUMBER_SIZE)
		return false;
	*record = (struct protobuf_reader){ .data = rest->data + NUMBER_SIZE, .size = size };
	rest->data += NUMBER_SIZE + size;
	rest->size -= NUMBER_SIZE + size;
	return true;
}

int criu_image_parse(struct arena *arena, const char *name, const void *data, size_t size,
		     enum criu_magic magic, struct criu_records *records, struct error *err)
{
	struct protobuf_reader rest = { .data = data, .size = size }, record;
	size_t n = 0;

	if (magic != CRIU_MAGIC_INVENTORY && !take_magic(&rest, MAGIC_COMMON))
		return error_unsupported(err, "%s is no image of CRIU", name);
	if (!take_magic(&rest, magic))
		return error_unsupported(err, "%s is an image of another kind", name);

	struct protobuf_reader again = rest;

	while (again.size > 0) {
		if (!take_record(&again, &record))
			return error_unsupported(err, "%s is damaged", name);
		n++;
	}
	records->items = arena_array(arena, n, sizeof(*records->items));
	records->n = 0;
	while (records->n < n && take_record(&rest, &records->items[records->n]))
		records->n++;
	return 0;
}

int criu_image_read(struct arena *arena, int dir, const char *name, enum criu_magic magic,
		    struct criu_records *records, struct error *err)
{
	size_t size;
	const char *data = file_read(arena, dir, name, IMAGE_MAX, &size, err);

	if (!data)
		return error_while(err, "reading the image %s", name);
	return criu_image_parse(arena, name, data, size, magic, records, err);
}

/* ---- namespaces ---- */

int criu_image_namespaces(struct protobuf_reader record, struct criu_namespaces *namespaces)
{
	enum { FIRST = 5 };
	struct protobuf_field field;
	int more;

	*namespaces = (struct criu_namespaces){ 0 };
	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field >= FIRST && field.field < FIRST + CRIU_NS_COUNT)
			namespaces->ids[field.field - FIRST] = field.number;
	return more;
}

int criu_image_inventory(struct protobuf_reader record, struct criu_namespaces *host)
{
	enum { ROOT_IDS = 3 };
	struct protobuf_field field;
	int more;

	*host = (struct criu_namespaces){ 0 };
	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field == ROOT_IDS &&
		    criu_image_namespaces(protobuf_inside(&field), host) < 0)
			return -1;
	return more;
}

/* ---- tasks ---- */

int criu_image_task(struct arena *arena, struct protobuf_reader record, struct criu_task *task)
{
	enum { PID = 1, PARENT = 2, THREADS = 5 };
	struct protobuf_field field;
	int more;

	*task = (struct criu_task){
		/* Each takes two bytes at least. */
		.threads = arena_array(arena, record.size / 2 + 1, sizeof(*task->threads)),
	};
	while ((more = protobuf_next(&record, &field)) > 0) {
		bool is_pid = field.field == PID || field.field == PARENT;

		/* Groups and sessions may be nobody's, and the thread of a zombie is whatever was
		 * in CRIU's memory. */
		if ((is_pid && field.number > INT32_MAX) ||
		    (field.field == THREADS && field.number > UINT32_MAX))
			return -1;
		if (field.field == PID)
			task->pid = (pid_t)field.number;
		if (field.field == PARENT)
			task->parent = (pid_t)field.number;
		if (field.field == THREADS && field.data)
			return -1;
		if (field.field == THREADS)
			task->threads[task->threads_n++] = (pid_t)field.number;
	}
	return more;
}

/* ---- mounts ---- */

int criu_image_mount(struct arena *arena, struct protobuf_reader record, struct criu_mount *mount)
{
	enum { TYPE = 1, DEVICE = 3, ROOT = 6, POINT = 7, OPTIONS = 9, EXTERNAL = 13, KEY = 18 };
	struct protobuf_field field;
	int more;

	*mount = (struct criu_mount){ 0 };
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == TYPE)
			mount->filesystem = field.number;
		if (field.field == DEVICE)
			mount->device = field.number;
		if (field.field == ROOT)
			mount->root = protobuf_to_text(arena, &field);
		if (field.field == POINT)
			mount->point = protobuf_to_text(arena, &field);
		if (field.field == OPTIONS)
			mount->options = protobuf_to_text(arena, &field);
		if (field.field == EXTERNAL)
			mount->external = field.number;
		if (field.field == KEY)
			mount->key = protobuf_to_text(arena, &field);
		if (field.field == KEY && !mount->key)
			return -1;
	}
	return more == 0 && mount->root && mount->point && mount->options ? 0 : -1;
}

/* ---- rights ---- */

/* Two numbers of 32 bits, low one first. */
struct words {
	uint64_t *set;
	unsigned int n;
};

static int add_word(struct words *words, const struct protobuf_field *field)
{
	if (field->data || field->number > UINT32_MAX || words->n >= 2)
		return -1;
	*words->set |= field->number << (32 * words->n++);
	return 0;
}

static int credentials(struct arena *arena, struct protobuf_reader record,
		       struct criu_rights *rights)
{
	enum { INHERITABLE = 9, PERMITTED, EFFECTIVE, BOUNDING, LABEL = 15, POLICY = 17 };
	enum { NO_NEW_PRIVS = 18, AMBIENT = 19 };
	uint64_t *const ids[] = { NULL,		 &rights->uid,	&rights->gid, &rights->euid,
				  &rights->egid, &rights->suid, &rights->sgid };
	struct words inheritable = { .set = &rights->inheritable };
	struct words permitted = { .set = &rights->permitted };
	struct words effective = { .set = &rights->effective };
	struct words bounding = { .set = &rights->bounding };
	struct words ambient = { .set = &rights->ambient };
	struct protobuf_field field;
	int more, good = 0;

	rights->has_credentials = true;
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field < ARRAY_SIZE(ids))
			*ids[field.field] = field.number;
		if (field.field == INHERITABLE)
			good |= add_word(&inheritable, &field);
		if (field.field == PERMITTED)
			good |= add_word(&permitted, &field);
		if (field.field == EFFECTIVE)
			good |= add_word(&effective, &field);
		if (field.field == BOUNDING)
			good |= add_word(&bounding, &field);
		if (field.field == AMBIENT)
			good |= add_word(&ambient, &field);
		if (field.field == LABEL)
			rights->label = protobuf_to_text(arena, &field);
		if (field.field == LABEL && !rights->label)
			return -1;
		if (field.field == POLICY)
			rights->has_policy = true;
		if (field.field == NO_NEW_PRIVS)
			rights->no_new_privs = field.number;
	}
	return more < 0 || good < 0 ? -1 : 0;
}

static int thread_rights(struct arena *arena, struct protobuf_reader record,
			 struct criu_rights *rights)
{
	enum { CREDENTIALS = 10, SECCOMP_MODE = 11, SECCOMP_FILTER = 12 };
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == CREDENTIALS &&
		    (rights->has_credentials ||
		     credentials(arena, protobuf_inside(&field), rights) < 0))
			return -1;
		if (field.field == SECCOMP_MODE)
			rights->seccomp_mode = field.number;
		if (field.field == SECCOMP_FILTER)
			rights->seccomp_filter = field.number;
	}
	return more;
}

static int task_state(struct protobuf_reader record, struct criu_rights *rights)
{
	enum { STATE = 1, DEAD = 2 };
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field == STATE)
			rights->is_dead = field.number == DEAD;
	return more;
}

int criu_image_rights(struct arena *arena, struct protobuf_reader record,
		      struct criu_rights *rights)
{
	enum { TASK = 3, THREAD = 5 };
	struct protobuf_field field;
	int more;

	*rights = (struct criu_rights){ 0 };
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == THREAD &&
		    thread_rights(arena, protobuf_inside(&field), rights) < 0)
			return -1;
		if (field.field == TASK && task_state(protobuf_inside(&field), rights) < 0)
			return -1;
	}
	return more;
}

/* ---- seccomp ---- */

static int read_filter(struct protobuf_reader record, struct criu_filter *filter)
{
	enum { DATA = 1, PREVIOUS = 2 };
	struct protobuf_field field;
	int more;

	*filter = (struct criu_filter){ 0 };
	while ((more = protobuf_next(&record, &field)) > 0) {
		if (field.field == DATA) {
			filter->data = field.data;
			filter->size = field.size;
		}
		if (field.field == PREVIOUS) {
			filter->has_previous = true;
			filter->previous = field.number;
		}
	}
	return more;
}

int criu_image_filters(struct arena *arena, struct protobuf_reader record,
		       struct criu_filters *filters)
{
	struct protobuf_field field;
	int more;

	*filters = (struct criu_filters){
		.items = arena_array(arena, record.size / 2 + 1, sizeof(*filters->items)),
	};
	while ((more = protobuf_next(&record, &field)) > 0)
		if (field.field == 1 &&
		    read_filter(protobuf_inside(&field), &filters->items[filters->n++]) < 0)
			return -1;
	return more;
}
