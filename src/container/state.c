/* state.json and exec.json by table; the status is asked of the kernel each time. */
#include <creel/state.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/process.h>
#include <creel/procfs.h>

#define STATE_VERSION 1

static const struct field state_fields[] = {
	F_UINT(struct state, version, "version", FIELD_REQUIRED, STATE_VERSION),
	F_STRING(struct state, id, "id", FIELD_REQUIRED),
	F_STRING(struct state, bundle, "bundle", FIELD_REQUIRED),
	F_STRING(struct state, rootfs, "rootfs", FIELD_REQUIRED),
	F_UINT(struct state, pid, "pid", 0, INT32_MAX),
	F_UINT(struct state, start, "start", 0, UINT64_MAX),
	F_UINT(struct state, identity, "identity", 0, UINT64_MAX),
	F_UINT(struct state, boot, "boot", 0, UINT64_MAX),
	F_STRING(struct state, created, "created", FIELD_REQUIRED),
	F_UINT(struct state, owner, "owner", FIELD_REQUIRED, UINT32_MAX),
	F_INT(struct state, cgroup_manager, "cgroupManager", FIELD_REQUIRED, 0, 2),
	F_STRING(struct state, cgroup, "cgroup", 0),
	F_UINT(struct state, cgroup_made, "cgroupMade", 0, 4096),
	F_STRING(struct state, unit, "unit", 0),
	F_STRING(struct state, config_digest, "configDigest", 0),
	F_STRING_MAP(struct state, annotations, "annotations", 0),
	F_OBJECT(struct state, hooks, "hooks", 0, struct oci_hooks, &oci_hooks_schema),
	F_BOOL(struct state, shared_pid, "sharedPid", 0),
	F_BOOL(struct state, waits, "waits", 0),
	F_STRING(struct state, rdt_group, "rdtGroup", 0),
	F_BOOL(struct state, rdt_own, "rdtOwn", 0),
	F_BOOL(struct state, rdt_monitoring, "rdtMonitoring", 0),
	F_STRINGS(struct state, streams, "streams", 0),
};

const struct schema state_schema = SCHEMA(struct state, state_fields, NULL);

static const struct field exec_record_fields[] = {
	F_OBJECT(struct exec_record, process, "process", FIELD_REQUIRED, struct oci_process,
		 &oci_process_schema),
	F_OBJECT(struct exec_record, personality, "personality", 0, struct oci_personality,
		 &oci_personality_schema),
	F_OBJECT(struct exec_record, memory_policy, "memoryPolicy", 0, struct oci_memory_policy,
		 &oci_memory_policy_schema),
	F_UINT(struct exec_record, namespaces, "namespaces", FIELD_REQUIRED, UINT64_MAX),
	F_BOOL(struct exec_record, user_namespace, "userNamespace", 0),
	F_BOOL(struct exec_record, own_root, "ownRoot", 0),
	F_LIST(struct exec_record, uid_mappings, "uidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
	F_LIST(struct exec_record, gid_mappings, "gidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
	F_BOOL(struct exec_record, has_seccomp, "hasSeccomp", 0),
	F_UINT(struct exec_record, seccomp_flags, "seccompFlags", 0, UINT32_MAX),
	F_BOOL(struct exec_record, seccomp_notify, "seccompNotify", 0),
	F_STRING(struct exec_record, listener_path, "listenerPath", 0),
	F_STRING(struct exec_record, listener_metadata, "listenerMetadata", 0),
	F_STRING_MAP(struct exec_record, annotations, "annotations", 0),
};

const struct schema exec_record_schema = SCHEMA(struct exec_record, exec_record_fields, NULL);

static const char *encode(struct arena *arena, const struct schema *schema, const void *object,
			  size_t *size)
{
	struct json_writer *w = json_writer_new(arena, 0);

	schema_encode(schema, object, w);
	return json_writer_text(w, size);
}

static int read_by_table(struct arena *arena, int dir, const char *name,
			 const struct schema *schema, void *object, struct error *err)
{
	size_t size;
	char *text = file_read(arena, dir, name, FILE_DOCUMENT_MAX, &size, err);

	if (!text)
		return -1;
	return schema_parse(schema, arena, name, text, size, object, NULL, err);
}

int state_prepare(struct arena *arena, int dir, const struct state *state, struct error *err)
{
	struct state copy = *state;
	const char *text;
	size_t size;

	copy.version = (struct optional_uint){ .set = true, .value = STATE_VERSION };
	text = encode(arena, &state_schema, &copy, &size);
	/* The state root is a tmpfs: what a power cut would tear is gone then anyway, so there is
	 * nothing to sync. */
	return file_prepare(dir, STATE_FILE, text, size, 0600, false, err);
}

int state_commit(int dir, struct error *err)
{
	return file_commit(dir, STATE_FILE, err);
}

int state_write(struct arena *arena, int dir, const struct state *state, struct error *err)
{
	return state_prepare(arena, dir, state, err) < 0 ? -1 : state_commit(dir, err);
}

static int make_mark(int dir, const char *name, const char *text, struct error *err)
{
	if (symlinkat(text, dir, name) < 0)
		return error_system(err, errno, "cannot write %s into the state directory", name);
	return 0;
}

int state_note_cgroup(int dir, const char *path, size_t missing, struct error *err)
{
	char text[4096];

	/* The path begins with a slash, so that it tells where the number ends. */
	snprintf(text, sizeof(text), "%zu%s", missing, path);
	return make_mark(dir, STATE_CGROUP_NOTE, text, err);
}

int state_mark_cgroup(int dir, size_t made, struct error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", made);
	return make_mark(dir, STATE_CGROUP_MARK, text, err);
}

int state_note_init(int dir, const struct state *state, struct error *err)
{
	char text[80];

	snprintf(text, sizeof(text), "%" PRIu64 "/%" PRIu64 "/%" PRIu64, state->pid.value,
		 state->start.value, state->boot.value);
	return make_mark(dir, STATE_INIT_NOTE, text, err);
}

int state_mark_unstarted(int dir, struct error *err)
{
	return make_mark(dir, STATE_START_SOCKET, "run", err);
}

bool state_is_unstarted(int dir)
{
	return faccessat(dir, STATE_START_SOCKET, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int state_mark_started(int dir, struct error *err)
{
	if (unlinkat(dir, STATE_START_SOCKET, 0) < 0 && errno != ENOENT)
		return error_system(err, errno, "cannot remove the start socket");
	return 0;
}

static void read_cgroup_mark(int dir, struct state *state)
{
	char text[24];
	ssize_t n;
	uint64_t made;

	if (state->cgroup_made.set)
		return;
	n = readlinkat(dir, STATE_CGROUP_MARK, text, sizeof(text) - 1);
	if (n <= 0)
		return;
	text[n] = '\0';
	if (text_parse_uint(text, UINT32_MAX, &made))
		state->cgroup_made = (struct optional_uint){ .set = true, .value = made };
}

static void read_init_note(int dir, struct state *state)
{
	char text[80];
	ssize_t n = readlinkat(dir, STATE_INIT_NOTE, text, sizeof(text) - 1);
	struct optional_uint *const values[] = { &state->pid, &state->start, &state->boot };
	char *rest = NULL;

	if (n <= 0)
		return;
	text[n] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const char *number = strtok_r(i ? NULL : text, "/", &rest);

		values[i]->set = number && text_parse_uint(number, UINT64_MAX, &values[i]->value);
	}
	/* Half of what tells a process from others is nothing. */
	state->pid.set &= state->start.set && state->boot.set && state->pid.value <= INT32_MAX;
}

void state_read_remains(struct arena *arena, int dir, struct state *state)
{
	char text[4096];
	ssize_t n = readlinkat(dir, STATE_CGROUP_NOTE, text, sizeof(text) - 1);
	char *path;

	text[n > 0 ? n : 0] = '\0';
	state->cgroup_missing = strtoul(text, &path, 10);
	if (path != text && *path == '/')
		state->cgroup = arena_strdup(arena, path);
	read_cgroup_mark(dir, state);
	read_init_note(dir, state);
}

int state_read(struct arena *arena, int dir, struct state *state, struct error *err)
{
	*state = (struct state){ 0 };
	if (read_by_table(arena, dir, STATE_FILE, &state_schema, state, err) == 0) {
		read_cgroup_mark(dir, state);
		return 0;
	}
	if (err->errnum == ENOENT)
		return error_state(err, "the container has no state yet");
	return -1;
}

int exec_record_write(struct arena *arena, int dir, const struct exec_record *record,
		      struct error *err)
{
	const char *text;
	size_t size;

	text = encode(arena, &exec_record_schema, record, &size);
	return file_make(dir, STATE_EXEC_FILE, text, size, 0600, err);
}

int exec_record_read(struct arena *arena, int dir, struct exec_record *record, struct error *err)
{
	*record = (struct exec_record){ 0 };
	return read_by_table(arena, dir, STATE_EXEC_FILE, &exec_record_schema, record, err);
}

/*
 * The kernel never gives the number of a pidfd again before a reboot: then neither /proc nor the
 * start time need be asked.  Readable is one whose threads have all ended.
 */
static bool is_known(int pidfd, const struct state *state)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	struct stat st;

	return state->identity.set && state->boot.set && fstat(pidfd, &st) == 0 &&
	       st.st_ino == state->identity.value && poll(&ended, 1, 0) == 0;
}

/*
 * Whether PIDFD, or with ERRNUM nobody, is the init: 1, 0, -1.  A question that gets no answer is
 * an error: a container that is taken for a stopped one could be deleted while it runs.
 */
static int is_init(int procfs, int pidfd, int errnum, const struct state *state, struct error *err)
{
	uint64_t start, identity;
	bool dead;

	if (process_start_time(procfs, (pid_t)state->pid.value, &start, &dead, err) < 0) {
		if (err->errnum != ENOENT && err->errnum != ESRCH)
			return -1;
		error_ignore(err, "the init is gone");
		return 0;
	}
	/* Who cannot be opened, and is there, must not be taken for dead. */
	if (errnum && !dead && start == state->start.value)
		return error_system(err, errnum, "cannot open the container's init, process %d",
				    (int)state->pid.value);
	if (errnum)
		error_ignore(err, "it is another's");
	return pidfd >= 0 && !dead && start == state->start.value &&
	       !(state->identity.set && process_identity(pidfd, &identity) &&
		 identity != state->identity.value);
}

/* After a reboot another process may well have its pid and, in ticks since boot, its start time. */
static int is_of_this_boot(int procfs, struct optional_uint *boot, const struct state *state,
			   struct error *err)
{
	if (!state->boot.set)
		return 1;
	if (!boot->set && state_boot(procfs, &boot->value, err) < 0)
		return -1;
	boot->set = true;
	return boot->value == state->boot.value;
}

/*
 * 1 with a pidfd, or 0: also when it is another process with the same pid, or one that only waits
 * to be reaped.  The pidfd comes first, so that a pid that is reused is noticed.
 */
int state_find_init(int procfs, struct optional_uint *boot, const struct state *state, int *init,
		    struct error *err)
{
	auto_fd pidfd = process_open((pid_t)state->pid.value, err);
	int errnum = pidfd < 0 ? err->errnum : 0;
	int result;

	/* EINVAL, later ENOENT: the number is that of a thread by now. */
	if (errnum && errnum != ESRCH && errnum != ENOENT && errnum != EINVAL)
		return -1;
	result =
	    pidfd >= 0 && is_known(pidfd, state) ? 1 : is_init(procfs, pidfd, errnum, state, err);
	if (result > 0)
		result = is_of_this_boot(procfs, boot, state, err);
	if (result > 0)
		*init = take_fd(&pidfd);
	return result;
}

static int is_frozen(int cgroup_root, const struct state *state, struct error *err)
{
	int frozen;

	if (!state->cgroup || cgroup_root < 0)
		return 0;
	frozen = cgroup_is_paused(cgroup_root, state->cgroup, err);
	if (frozen < 0 && err->errnum != ENOENT && err->errnum != ENODEV)
		return -1;
	if (frozen < 0)
		error_ignore(err, "a container without its cgroup is not paused");
	return frozen > 0;
}

int state_status(int procfs, struct optional_uint *boot, int cgroup_root, int dir,
		 const struct state *state, enum oci_status *status, int *init, struct error *err)
{
	struct stat st;
	int frozen, alive;

	*init = 0;
	alive = state->pid.set ? state_find_init(procfs, boot, state, init, err) : 0;
	if (alive < 0)
		return -1;
	*status = state->pid.set ? OCI_STATUS_STOPPED : OCI_STATUS_CREATING;
	if (!alive)
		return 0;
	if (fstatat(dir, STATE_START_SOCKET, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		*status = OCI_STATUS_CREATED;
		return 0;
	}
	if (errno != ENOENT)
		return error_system(err, errno, "cannot examine the start socket");
	frozen = is_frozen(cgroup_root, state, err);
	if (frozen < 0)
		return -1;
	*status = frozen ? OCI_STATUS_PAUSED : OCI_STATUS_RUNNING;
	return 0;
}

void state_describe(const struct state *state, enum oci_status status, struct oci_state *out)
{
	bool has_process = status != OCI_STATUS_STOPPED && state->pid.set;

	*out = (struct oci_state){
		.oci_version = (char *)OCI_VERSION,
		.id = state->id,
		.pid = { .set = true, .value = has_process ? state->pid.value : 0 },
		.status = { .set = true, .value = status },
		.bundle = state->bundle ? state->bundle : (char *)"",
		.rootfs = state->rootfs ? state->rootfs : (char *)"",
		.created = state->created,
		.annotations = state->annotations,
		.owner = (char *)"",
	};
}

const char *state_json(struct arena *arena, const struct oci_state *state,
		       const struct schema *schema, int indent)
{
	struct json_writer *w = json_writer_new(arena, indent);

	schema_encode(schema, state, w);
	return json_writer_text(w, NULL);
}

static uint64_t fnv1a(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

int state_boot(int procfs, uint64_t *boot, struct error *err)
{
	char id[64];
	ssize_t n = procfs_read_covered(procfs, "sys/kernel/random/boot_id", id, sizeof(id));

	if (n <= 0)
		return error_system(err, n < 0 ? errno : ENODATA,
				    "cannot read the kernel's boot id");
	*boot = fnv1a(id, (size_t)n);
	return 0;
}

char *state_digest(struct arena *arena, const void *data, size_t size)
{
	return text_format(arena, "%016llx", (unsigned long long)fnv1a(data, size));
}

/* From days since 1970 to a civil date, by the era of 400 years; gmtime_r(3) would read
 * /etc/localtime first. */
static void civil_date(int64_t days, int *year, int *month, int *day)
{
	int64_t shifted = days + 719468; /* from 0000-03-01, so that leap days come last */
	int64_t era = shifted / 146097;
	int64_t of_era = shifted % 146097;
	int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t from_march = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * from_march + 2) / 5 + 1);
	*month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
	*year = (int)(year_of_era + era * 400 + (*month <= 2));
}

char *state_now(struct arena *arena)
{
	struct timespec ts;
	int year, month, day;
	long seconds;

	clock_gettime(CLOCK_REALTIME, &ts);
	civil_date(ts.tv_sec / 86400, &year, &month, &day);
	seconds = ts.tv_sec % 86400;
	return text_format(arena, "%04d-%02d-%02dT%02ld:%02ld:%02ld.%09ldZ", year, month, day,
			   seconds / 3600, seconds / 60 % 60, seconds % 60, ts.tv_nsec);
}
