/* What is said to CRIU and what it answers: its rpc.proto, by the numbers of the fields. */
#include <creel/criu.h>

#include <string.h>

#include <creel/error.h>
#include <creel/protobuf.h>

#define LOG_LEVEL 4

/* criu_req, and criu_resp, which share most numbers. */
enum {
	MESSAGE_TYPE = 1,
	REQUEST_OPTIONS = 2,
	RESPONSE_SUCCESS = 2,
	RESPONSE_RESTORE = 4,
	RESPONSE_NOTIFY = 5,
	RESPONSE_ERRNO = 7,
	RESPONSE_ERROR = 9,
	RESPONSE_VERSION = 10,
};

/* criu_opts */
enum {
	OPTION_IMAGES = 1,
	OPTION_PID = 2,
	OPTION_LEAVE_RUNNING = 3,
	OPTION_EXT_UNIX_SK = 4,
	OPTION_TCP_ESTABLISHED = 5,
	OPTION_SHELL_JOB = 7,
	OPTION_FILE_LOCKS = 8,
	OPTION_LOG_LEVEL = 9,
	OPTION_LOG_FILE = 10,
	OPTION_PAGE_SERVER = 11,
	OPTION_NOTIFY = 12,
	OPTION_ROOT = 13,
	OPTION_PARENT = 14,
	OPTION_TRACK_MEMORY = 15,
	OPTION_AUTO_DEDUP = 16,
	OPTION_WORK = 17,
	OPTION_LINK_REMAP = 18,
	OPTION_MOUNTS = 23,
	OPTION_MANAGE_CGROUPS = 24,
	OPTION_CGROUP_ROOT = 25,
	OPTION_SIBLING = 26,
	OPTION_INHERITED = 27,
	OPTION_CGROUPS_MODE = 34,
	OPTION_EXTERNAL = 37,
	OPTION_EMPTY_NS = 38,
	OPTION_JOIN_NS = 39,
	OPTION_FREEZE_CGROUP = 44,
	OPTION_SKIP_IN_FLIGHT = 46,
	OPTION_LAZY_PAGES = 48,
	OPTION_STATUS_FD = 49,
	OPTION_ORPHAN_PTS_MASTER = 50,
	OPTION_CONFIG = 51,
	OPTION_TCP_CLOSE = 52,
	OPTION_LSM_PROFILE = 53,
	OPTION_LSM_MOUNT_CONTEXT = 63,
	OPTION_NETWORK_LOCK = 64,
};

void criu_pair_add(struct arena *arena, struct criu_pairs *pairs, struct criu_pair pair)
{
	struct criu_pair *larger = arena_array(arena, pairs->n + 1, sizeof(*larger));

	if (pairs->n > 0)
		memcpy(larger, pairs->items, pairs->n * sizeof(*larger));
	larger[pairs->n++] = pair;
	pairs->items = larger;
}

static void flag(struct protobuf *options, unsigned int field, bool value)
{
	if (value)
		protobuf_number(options, field, 1);
}

static void text(struct protobuf *options, unsigned int field, const char *value)
{
	if (value)
		protobuf_text(options, field, value);
}

/* All of them are a message of a text and a text, or of a text and a descriptor. */
static void pairs(struct protobuf *options, unsigned int field, const struct criu_pairs *pairs)
{
	for (size_t i = 0; i < pairs->n; i++) {
		const struct criu_pair *pair = &pairs->items[i];
		struct protobuf nested = { .arena = options->arena };

		protobuf_text(&nested, 1, pair->key);
		if (pair->value)
			protobuf_text(&nested, 2, pair->value);
		else
			protobuf_number(&nested, 2, (uint64_t)pair->fd);
		protobuf_nested(options, field, &nested);
	}
}

static void flags(struct protobuf *options, const struct criu_request *request)
{
	flag(options, OPTION_LEAVE_RUNNING, request->leave_running);
	flag(options, OPTION_EXT_UNIX_SK, request->ext_unix_sk);
	flag(options, OPTION_TCP_ESTABLISHED, request->tcp_established);
	flag(options, OPTION_TCP_CLOSE, request->tcp_close);
	flag(options, OPTION_SKIP_IN_FLIGHT, request->tcp_skip_in_flight);
	flag(options, OPTION_SHELL_JOB, request->shell_job);
	flag(options, OPTION_FILE_LOCKS, request->file_locks);
	flag(options, OPTION_LINK_REMAP, request->link_remap);
	flag(options, OPTION_AUTO_DEDUP, request->auto_dedup);
	flag(options, OPTION_LAZY_PAGES, request->lazy_pages);
	flag(options, OPTION_TRACK_MEMORY, request->track_memory);
	flag(options, OPTION_SIBLING, request->sibling);
	flag(options, OPTION_NOTIFY, true);
	/* A terminal's other end is ours, never the container's. */
	flag(options, OPTION_ORPHAN_PTS_MASTER, true);
}

static void cgroups(struct protobuf *options, const struct criu_request *request)
{
	flag(options, OPTION_MANAGE_CGROUPS, true);
	protobuf_number(options, OPTION_CGROUPS_MODE, request->cgroups);
	text(options, OPTION_FREEZE_CGROUP, request->freeze_cgroup);
	if (request->cgroup_root) {
		struct protobuf nested = { .arena = options->arena };

		protobuf_text(&nested, 2, request->cgroup_root);
		protobuf_nested(options, OPTION_CGROUP_ROOT, &nested);
	}
}

static void page_server(struct protobuf *options, const struct criu_request *request)
{
	struct protobuf nested = { .arena = options->arena };

	if (!request->page_server)
		return;
	protobuf_text(&nested, 1, request->page_server);
	protobuf_number(&nested, 2, request->page_port);
	protobuf_nested(options, OPTION_PAGE_SERVER, &nested);
}

const void *criu_encode(struct arena *arena, const struct criu_request *request, size_t *size)
{
	struct protobuf options = { .arena = arena }, message = { .arena = arena };

	protobuf_number(&message, MESSAGE_TYPE, request->kind);
	if (request->kind != CRIU_VERSION) {
		protobuf_number(&options, OPTION_IMAGES, (uint64_t)request->images);
		protobuf_number(&options, OPTION_WORK, (uint64_t)request->work);
		protobuf_number(&options, OPTION_LOG_LEVEL, LOG_LEVEL);
		text(&options, OPTION_LOG_FILE, request->log_file);
		text(&options, OPTION_CONFIG, request->config);
		text(&options, OPTION_ROOT, request->root);
		text(&options, OPTION_PARENT, request->parent);
		if (request->pid > 0)
			protobuf_number(&options, OPTION_PID, (uint64_t)request->pid);
		flags(&options, request);
		cgroups(&options, request);
		page_server(&options, request);
		text(&options, OPTION_LSM_PROFILE, request->lsm_profile);
		text(&options, OPTION_LSM_MOUNT_CONTEXT, request->lsm_mount_context);
		for (size_t i = 0; i < request->external.n; i++)
			protobuf_text(&options, OPTION_EXTERNAL, request->external.items[i]);
		pairs(&options, OPTION_MOUNTS, &request->mounts);
		pairs(&options, OPTION_INHERITED, &request->inherited);
		pairs(&options, OPTION_JOIN_NS, &request->joins);
		if (request->empty_namespaces)
			protobuf_number(&options, OPTION_EMPTY_NS, request->empty_namespaces);
		if (request->status_fd > 0)
			protobuf_number(&options, OPTION_STATUS_FD, (uint64_t)request->status_fd);
		if (request->network_lock)
			protobuf_number(&options, OPTION_NETWORK_LOCK, request->network_lock);
	}
	protobuf_nested(&message, REQUEST_OPTIONS, &options);
	*size = message.size;
	return message.data;
}

/* The numbers of the fields A and B of a nested message. */
static int two_numbers(const struct protobuf_field *inside, unsigned int a, uint64_t *first,
		       unsigned int b, uint64_t *second)
{
	struct protobuf_reader reader = protobuf_inside(inside);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&reader, &field)) > 0) {
		if (field.field == a)
			*first = field.number;
		if (field.field == b)
			*second = field.number;
	}
	return more;
}

static int read_notify(struct arena *arena, const struct protobuf_field *inside,
		       struct criu_answer *answer)
{
	struct protobuf_reader reader = protobuf_inside(inside);
	struct protobuf_field field;
	int more;

	while ((more = protobuf_next(&reader, &field)) > 0) {
		if (field.field == 1)
			answer->script = protobuf_to_text(arena, &field);
		if (field.field == 2)
			answer->pid = (pid_t)field.number;
	}
	return more;
}

static int read_field(struct arena *arena, const struct protobuf_field *field,
		      struct criu_answer *answer)
{
	uint64_t first = 0, second = 0;
	int result = 0;

	switch (field->field) {
	case MESSAGE_TYPE:
		answer->type = field->number;
		break;
	case RESPONSE_SUCCESS:
		answer->success = field->number;
		break;
	case RESPONSE_RESTORE:
		result = two_numbers(field, 1, &first, 1, &second);
		answer->pid = (pid_t)first;
		break;
	case RESPONSE_NOTIFY:
		result = read_notify(arena, field, answer);
		break;
	case RESPONSE_ERRNO:
		answer->errnum = (int)field->number;
		break;
	case RESPONSE_ERROR:
		answer->message = protobuf_to_text(arena, field);
		break;
	case RESPONSE_VERSION:
		result = two_numbers(field, 1, &first, 2, &second);
		answer->version = (unsigned int)(first * 10000 + second * 100);
		break;
	default:
		break;
	}
	return result;
}

int criu_decode(struct arena *arena, const void *data, size_t size, struct criu_answer *answer,
		struct error *err)
{
	struct protobuf_reader reader = { .data = data, .size = size };
	struct protobuf_field field;
	bool damaged = false;
	int more;

	*answer = (struct criu_answer){ 0 };
	while ((more = protobuf_next(&reader, &field)) > 0)
		damaged |= read_field(arena, &field, answer) < 0;
	if (more < 0 || damaged)
		return error_system(err, 0, "criu answered with something that is no message");
	return 0;
}
