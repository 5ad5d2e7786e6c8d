/* From the bytes of config.json to the finished plan; and from a JSON pointer back to the line,
 * when something fails later. */
#include <creel/create.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/log.h>
#include <creel/notify.h>
#include <creel/seccomp_cache.h>

#define CONFIG_NAME "config.json"

static int read_config(struct create *create, const char *name, struct error *err)
{
	auto_fd dir = open(create->plan.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_coded(
		    err, CRL_BUNDLE,
		    error_system(err, errno, "cannot open the bundle %s", create->plan.bundle));
	create->config_text = file_read(create->runtime->arena, dir, name, FILE_DOCUMENT_MAX,
					&create->config_size, err);
	if (create->config_text)
		return 0;
	error_code(err, CRL_BUNDLE);
	if (err->errnum != ENOENT)
		return error_while(err, "cannot read the bundle %s", create->plan.bundle);
	error_hint(err, "a bundle holds a config.json and a root filesystem; `creel spec` "
			"makes an example");
	return error_while(err, "JSON specification file %s not found in the bundle %s", name,
			   create->plan.bundle);
}

/* Whether PATH is absolute and names each directory once. */
static bool is_plain(const char *path)
{
	for (const char *p = path;; p += strcspn(p, "/")) {
		if (*p == '\0')
			return p != path;
		if (*p++ != '/' || *p == '/' || *p == '\0' || (p[0] == '.' && strchr("./", p[1])))
			return false;
	}
}

/* The document of a bundle whose path is what realpath(3) would make of it, as engines pass it: the
 * kernel says so while it opens the file.  NULL: it has to be looked at part by part. */
static char *read_real(struct create *create, const char *bundle, const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	struct arena *arena = create->runtime->arena;
	struct error ignored = { 0 };
	auto_fd fd = -1;
	struct stat st;

	if (!is_plain(bundle) || name[0] == '/')
		return NULL;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, text_format(arena, "%s/%s", bundle, name), &how,
			  sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > FILE_DOCUMENT_MAX)
		return NULL;
	return file_read_open(arena, fd, (size_t)st.st_size, FILE_DOCUMENT_MAX,
			      &create->config_size, &ignored);
}

/* The bundle is stored in the state and used from other directories, so it must be absolute. */
static const char *absolute(struct arena *arena, const char *path, struct error *err)
{
	char *resolved = realpath(path, NULL);
	char *copy;

	if (!resolved) {
		error_coded(err, CRL_BUNDLE,
			    error_system(err, errno, "cannot find the bundle %s", path));
		return NULL;
	}
	copy = arena_strdup(arena, resolved);
	free(resolved);
	return copy;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* LISTEN_FDS counts only when LISTEN_PID is us (sd_listen_fds(3)). */
static unsigned int listen_fds(void)
{
	const char *pid = environment("LISTEN_PID"), *n = environment("LISTEN_FDS");
	uint64_t value;

	if (!pid || !n || !text_parse_uint(pid, INT32_MAX, &value) || (pid_t)value != getpid())
		return 0;
	return text_parse_uint(n, 4096, &value) ? (unsigned int)value : 0;
}

static int check_terminal(const struct create *create, struct error *err)
{
	const struct create_options *options = create->options;
	bool leaves = options->detach || !options->start_now;

	if (create->plan.process.terminal && leaves && !options->console_socket) {
		error_coded(
		    err, CRL_CONSOLE_SOCKET,
		    error_config_at(
			err, "/process/terminal",
			"cannot allocate tty if creel will detach without setting console socket"));
		return error_hint(err, "use --console-socket");
	}
	if (options->console_socket && !create->plan.process.terminal)
		return error_coded(
		    err, CRL_CONSOLE_SOCKET,
		    error_usage(
			err, "cannot use console socket if creel will not detach or allocate tty"));
	return 0;
}

static const char *name_of_config(const struct create_options *options)
{
	return options->config ? options->config : CONFIG_NAME;
}

int create_read_text(struct create *create, struct runtime *runtime,
		     const struct create_options *options, struct error *err)
{
	create_from_state(create, runtime, &(struct container){ .dir = -1 });
	create->options = options;
	create->hooks_begun = false;
	/* The id becomes a part of paths. */
	if (container_check_id(options->id, err) < 0)
		return -1;
	create->config_text = read_real(create, options->bundle, name_of_config(options));
	if (create->config_text) {
		create->plan.bundle = arena_strdup(runtime->arena, options->bundle);
		return 0;
	}
	create->plan.bundle = absolute(runtime->arena, options->bundle, err);
	if (!create->plan.bundle)
		return -1;
	return read_config(create, name_of_config(options), err);
}

int create_read_config(struct create *create, struct runtime *runtime,
		       const struct create_options *options, struct error *err)
{
	if (create_read_text(create, runtime, options, err) < 0)
		return -1;
	return schema_parse(&oci_config_schema, runtime->arena, name_of_config(options),
			    create->config_text, create->config_size, &create->config,
			    &create->config_tree, err);
}

static bool asks_for_modules(const struct oci_config *config, const struct create_options *options)
{
	const struct oci_process *process = config->process;

	return options->manager == CGROUP_MANAGER_SYSTEMD ||
	       (process && (process->apparmor_profile || process->selinux_label)) ||
	       (config->linux && config->linux->mount_label);
}

int create_load(struct create *create, struct runtime *runtime,
		const struct create_options *options, struct error *err)
{
	if (create_read_config(create, runtime, options, err) < 0)
		return -1;
	if (asks_for_modules(&create->config, options))
		facts_ask_modules(&runtime->facts);

	const struct plan_request request = {
		.id = options->id,
		.bundle = create->plan.bundle,
		.manager = options->manager,
		.no_pivot = options->no_pivot,
		.no_new_keyring = options->no_new_keyring,
		.preserve_fds = options->preserve_fds,
		.listen_fds = listen_fds(),
		.listen_names = environment("LISTEN_FDNAMES"),
		.notify_socket = options->had_notify ? NOTIFY_NAME : environment("NOTIFY_SOCKET"),
		.notify_directory = text_format(runtime->arena, "%s/%s/%s", runtime->root_path,
						options->id, NOTIFY_DIRECTORY),
		.rootless_cgroups = options->rootless_cgroups,
	};

	if (plan_make(runtime->arena, &create->config, &request, &runtime->facts, &create->plan,
		      err) < 0 ||
	    check_terminal(create, err) < 0) {
		create_locate_error(create, err);
		return -1;
	}
	return 0;
}

/* Only the kernel knows what a filesystem takes; what it refuses may be a known word, misspelt. */
static void hint_option(struct arena *arena, const char *text, struct error *err)
{
	const char *nearest = plan_mount_option_nearest(arena, text);

	if (nearest)
		error_hint(err, "did you mean \"%s\"?", nearest);
}

void create_locate_error(const struct create *create, struct error *err)
{
	char pointer[sizeof(err->where)];
	const struct json *at;

	if (!err->where[0] || err->line || err->file[0] || !create->config_tree)
		return;
	memcpy(pointer, err->where, sizeof(pointer));
	/* What is not there - a default of ours - would have to be added to what it belongs to. */
	while (!(at = json_at(create->config_tree, pointer)) && strchr(pointer, '/'))
		*strrchr(pointer, '/') = '\0';
	if (at)
		json_position(create->config_text, at->offset, &err->line, &err->column);
	if (at && at->type == JSON_STRING && err->code == CRL_MOUNT_OPTION_REFUSED)
		hint_option(create->runtime->arena, at->text, err);
	strncpy(err->file, CONFIG_NAME, sizeof(err->file) - 1);
}
