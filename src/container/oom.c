/*
 * Which cgroup ran out of memory.  memory.events.local counts `oom` where a limit was hit and
 * `oom_kill` where the victim was, so that the guilty one is found on the way from the container up
 * to the root.  Source: cgroup-v2.rst, "Memory".
 */
#include <creel/oom.h>

#include <signal.h>
#include <string.h>

#include <creel/cgroup.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/log.h>
#include <creel/stats.h>

static uint64_t count(int cgroup, const char *file, const char *key)
{
	auto_arena arena = { 0 };
	const char *text = cgroup < 0 ? NULL : cgroup_read(&arena, cgroup, file);
	uint64_t value = 0;

	return text && stats_number(text, key, &value) ? value : 0;
}

/* Of the container's own cgroup all that is below counts too. */
static uint64_t count_hits(int cgroup, bool own)
{
	return count(cgroup, own ? "memory.events" : "memory.events.local", "oom");
}

uint64_t oom_kills(int cgroup)
{
	return count(cgroup, "memory.events", "oom_kill");
}

static int open_path(int cgroup_root, const char *path)
{
	struct error gone = { 0 };
	int fd = cgroup_open(cgroup_root, path, &gone);

	if (fd < 0)
		error_ignore(&gone, "a cgroup that is gone tells nothing");
	return fd;
}

/* Cuts the last part off PATH; false at the root. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

void oom_look(struct arena *arena, int cgroup_root, const char *path, struct oom_mark *mark)
{
	char *at = arena_strdup(arena, path);
	size_t levels = 1;

	for (const char *c = path; *c; c++)
		levels += *c == '/';
	*mark = (struct oom_mark){ .hits = arena_array(arena, levels, sizeof(*mark->hits)) };
	do {
		auto_fd fd = open_path(cgroup_root, at);

		if (mark->n == 0)
			mark->kills = oom_kills(fd);
		mark->hits[mark->n] = count_hits(fd, mark->n == 0);
		mark->n++;
	} while (mark->n < levels && go_up(at));
}

static struct optional_uint number(struct arena *arena, int cgroup, const char *file)
{
	const char *text = cgroup_read(arena, cgroup, file);
	struct optional_uint value = { 0 };

	value.set = text && text_parse_uint(text, UINT64_MAX, &value.value);
	return value;
}

static void describe(struct arena *arena, int cgroup, const char *path, struct oci_oom *oom)
{
	*oom = (struct oci_oom){
		.cgroup = arena_strdup(arena, path),
		.limit = number(arena, cgroup, "memory.max"),
		.peak = number(arena, cgroup, "memory.peak"),
	};
}

bool oom_find(struct arena *arena, int cgroup_root, const char *path, const struct oom_mark *mark,
	      struct oci_oom *oom)
{
	char *at = arena_strdup(arena, path);
	size_t level = 0;

	*oom = (struct oci_oom){ 0 };
	do {
		auto_fd fd = open_path(cgroup_root, at);
		uint64_t before = level < mark->n ? mark->hits[level] : 0;
		bool own = level == 0;

		if (fd < 0 || (own && oom_kills(fd) <= mark->kills))
			return false;
		if (count_hits(fd, own) > before) {
			describe(arena, fd, at, oom);
			/* The container has made cgroups with limits of their own. */
			if (own && count_hits(fd, false) == 0)
				oom->limit = oom->peak = (struct optional_uint){ 0 };
			return true;
		}
		level++;
	} while (go_up(at));
	return true;
}

const char *oom_text(struct arena *arena, const struct oci_oom *oom)
{
	const char *peak = "";

	if (!oom->cgroup)
		return "no cgroup hit a limit: the host was out of memory";
	if (oom->peak.set)
		peak = text_format(arena, " (at most %llu were in use)",
				   (unsigned long long)oom->peak.value);
	if (!oom->limit.set)
		return text_format(arena, "a cgroup below %s hit its memory limit%s", oom->cgroup,
				   peak);
	return text_format(arena, "the cgroup %s hit its memory limit of %llu bytes%s", oom->cgroup,
			   (unsigned long long)oom->limit.value, peak);
}

int oom_blame(struct runtime *runtime, const char *path, const struct oom_mark *mark,
	      const char *who, struct error *err)
{
	static const struct oom_mark none;
	struct oci_oom oom;

	if (!path || runtime->cgroup_root < 0 ||
	    !oom_find(runtime->arena, runtime->cgroup_root, path, mark ? mark : &none, &oom))
		return -1;
	error_coded(err, CRL_OUT_OF_MEMORY,
		    error_system(err, 0, "%s was OOM-killed (memory limit too low?): %s", who,
				 oom_text(runtime->arena, &oom)));
	return mark ? -1 : error_at(err, "/linux/resources/memory/limit");
}

void oom_mark(struct runtime *runtime, const char *path, struct oom_mark *mark)
{
	*mark = (struct oom_mark){ 0 };
	/* What the root has not, no cgroup has. */
	if (path && runtime->cgroup_root >= 0 &&
	    strings_has(&runtime->facts.cgroup_controllers, "memory"))
		oom_look(runtime->arena, runtime->cgroup_root, path, mark);
}

void oom_warn(struct runtime *runtime, const char *path, const struct oom_mark *mark, int exit_code)
{
	struct oci_oom oom;

	if (exit_code != 128 + SIGKILL || mark->n == 0 ||
	    !oom_find(runtime->arena, runtime->cgroup_root, path, mark, &oom))
		return;
	log_warning("the process was killed for want of memory: %s",
		    oom_text(runtime->arena, &oom));
}
