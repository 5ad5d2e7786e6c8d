/* What checkpoint and restore say to CRIU in the same way: who may, where the files are, the
 * options. */
#include <creel/checkpoint.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>

#define DEFAULT_IMAGE_PATH "checkpoint"
#define SILENCE_MS	   600000
#define CONFIG_ANNOTATION  "org.criu.config"

const struct name_value criu_cgroups_names[] = {
	{ "soft", CRIU_CGROUPS_SOFT },
	{ "full", CRIU_CGROUPS_FULL },
	{ "strict", CRIU_CGROUPS_STRICT },
	{ "ignore", CRIU_CGROUPS_IGNORE },
	{ NULL, 0 },
};

const struct name_value criu_network_lock_names[] = {
	{ "iptables", CRIU_LOCK_IPTABLES },
	{ "nftables", CRIU_LOCK_NFTABLES },
	{ "skip", CRIU_LOCK_SKIP },
	{ NULL, 0 },
};

int criu_check_rights(const struct runtime *runtime, struct error *err)
{
	const struct facts *facts = &runtime->facts;

	if (facts->euid == 0 && !facts->in_userns && facts->is_admin)
		return 0;
	error_unsupported(err, "checkpoint and restore need root, outside of any user namespace");
	return error_hint(err,
			  "CRIU makes processes with any pid, and rights that only root of the "
			  "host has to give");
}

int criu_patience(const struct runtime *runtime)
{
	return runtime->timeout_ms >= 0 ? runtime->timeout_ms : SILENCE_MS;
}

/* ---- directories ---- */

static int make_directories(struct arena *arena, const char *path, struct error *err)
{
	char *part = arena_strdup(arena, path);

	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return error_system(err, errno, "cannot make the directory %s", part);
		*slash = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return error_system(err, errno, "cannot make the directory %s", part);
	return 0;
}

/* CRIU opens files in it by their names, with all our rights: nobody else may put a link there. */
static int open_directory(struct arena *arena, const char *what, const char *path, bool make,
			  struct error *err)
{
	struct stat st;

	if (make && make_directories(arena, path, err) < 0)
		return -1;

	auto_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_system(err, errno, "cannot open the %s directory %s", what, path);
	if (fstat(fd, &st) < 0)
		return error_system(err, errno, "cannot examine the %s directory %s", what, path);
	if (st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return take_fd(&fd);
	error_unsupported(err, "the %s directory %s can be written to by others", what, path);
	return error_hint(err,
			  "it must belong to root, without permission to write for group and "
			  "others (now uid %u, mode %04o)",
			  (unsigned int)st.st_uid, (unsigned int)(st.st_mode & 07777));
}

/* A log of an earlier try, or a trap: CRIU would write through a link. */
static int clear_log(int work, const char *log_file, struct error *err)
{
	if (unlinkat(work, log_file, 0) < 0 && errno != ENOENT)
		return error_system(err, errno, "cannot replace %s", log_file);
	return 0;
}

int criu_place_open(struct runtime *runtime, const struct criu_options *options, bool make,
		    const char *log_file, struct criu_place *place, struct error *err)
{
	struct arena *arena = runtime->arena;

	place->image_path = options->image_path ? options->image_path : DEFAULT_IMAGE_PATH;
	place->work_path = options->work_path ? options->work_path : place->image_path;
	place->images = open_directory(arena, "image", place->image_path, make, err);
	if (place->images < 0)
		return -1;
	if (options->work_path)
		place->work = open_directory(arena, "work", place->work_path, true, err);
	else
		place->work = fcntl(place->images, F_DUPFD_CLOEXEC, 0);
	if (place->work < 0)
		return err->kind ? -1 : error_system(err, errno, "cannot open the work directory");
	return clear_log(place->work, log_file, err);
}

void criu_place_close(struct criu_place *place)
{
	fd_close(&place->images);
	fd_close(&place->work);
}

/* ---- options ---- */

static int empty_namespaces(const struct strings *names, uint64_t *flags, struct error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		if (!text_equal(names->items[i], "network")) {
			error_usage(err, "namespace \"%s\" cannot be left empty", names->items[i]);
			return error_hint(err, "--empty-ns knows \"network\"");
		}
		*flags |= CLONE_NEWNET;
	}
	return 0;
}

/* What the administrator wants of every CRIU that works for containers: the annotation, which the
 * engine must filter, or the usual file. */
static const char *config_file(const struct create *create)
{
	static const char *const files[] = { "/etc/criu/creel.conf", "/etc/criu/runc.conf" };
	const char *named = string_map_get(&create->config.annotations, CONFIG_ANNOTATION);

	if (named)
		return named[0] ? named : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (access(files[i], R_OK) == 0)
			return files[i];
	return NULL;
}

/* The hierarchies of version 1 come first in the list. */
static bool has_version_1(const struct runtime *runtime)
{
	char text[2 * PATH_MAX];

	return procfs_read(runtime->procfs, "self/cgroup", text, sizeof(text)) < 0 ||
	       !text_starts_with(text, "0::");
}

/*
 * As runc does, but where the images would name cgroups of the host: a restore does not let them
 * choose one.  So it is without a cgroup namespace, and with version 1 beside version 2.
 */
static enum criu_cgroups cgroups(const struct criu_options *options, const struct create *create)
{
	if (options->cgroups.set)
		return (enum criu_cgroups)options->cgroups.value;
	return (create->plan.namespaces.create & CLONE_NEWCGROUP) && !has_version_1(create->runtime)
		   ? CRIU_CGROUPS_SOFT
		   : CRIU_CGROUPS_IGNORE;
}

int criu_fill_request(struct arena *arena, const struct criu_options *options,
		      const struct create *create, const struct criu_place *place,
		      struct criu_request *request, struct error *err)
{
	(void)arena;
	request->images = place->images;
	request->work = place->work;
	request->config = config_file(create);
	request->cgroups = cgroups(options, create);
	request->tcp_established = options->tcp_established;
	request->tcp_close = options->tcp_close;
	request->tcp_skip_in_flight = options->tcp_skip_in_flight;
	request->ext_unix_sk = options->ext_unix_sk;
	request->shell_job = options->shell_job;
	request->file_locks = options->file_locks;
	request->link_remap = options->link_remap;
	request->lazy_pages = options->lazy_pages;
	request->auto_dedup = options->auto_dedup;
	if (options->network_lock.set)
		request->network_lock = (enum criu_network_lock)options->network_lock.value;
	return empty_namespaces(&options->empty_ns, &request->empty_namespaces, err);
}
