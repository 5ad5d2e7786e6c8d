/* `creel spec`: writes a config.json to begin with. */
#include <creel/cli.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/error.h>
#include <creel/fd.h>
#include <creel/json.h>
#include <creel/oci_config.h>

struct spec_arguments {
	const char *bundle;
	const char *file;
	bool rootless;
};

static const struct option_row spec_rows[] = {
	O_STRING(struct spec_arguments, bundle, "b", "bundle", "DIR",
		 "write it into DIR (default: the working directory)", .group = "Options"),
	O_STRING(struct spec_arguments, file, "f", "file", "FILE",
		 "call it FILE (default: config.json)"),
	O_FLAG(struct spec_arguments, rootless, NULL, "rootless",
	       "for a user who is not root: a user namespace with the own ids"),
};

#define CAPABILITIES "[ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ]"

/* A shell with the rights and the mounts that runc's users know. */
static const char document[] =
    "{"
    "\"ociVersion\": \"" OCI_VERSION "\","
    "\"process\": {"
    "	\"terminal\": true,"
    "	\"user\": { \"uid\": 0, \"gid\": 0 },"
    "	\"args\": [ \"sh\" ],"
    "	\"env\": ["
    "		\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
    "		\"TERM=xterm\" ],"
    "	\"cwd\": \"/\","
    "	\"capabilities\": {"
    "		\"bounding\": " CAPABILITIES ","
    "		\"effective\": " CAPABILITIES ","
    "		\"permitted\": " CAPABILITIES " },"
    "	\"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"soft\": 1024, \"hard\": 1024 } ],"
    "	\"noNewPrivileges\": true },"
    "\"root\": { \"path\": \"rootfs\", \"readonly\": true },"
    "\"hostname\": \"creel\","
    "\"mounts\": ["
    "	{ \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },"
    "	{ \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
    "	  \"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ] },"
    "	{ \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\","
    "	  \"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\","
    "			 \"mode=0620\", \"gid=5\" ] },"
    "	{ \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\","
    "	  \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\","
    "			 \"size=65536k\" ] },"
    "	{ \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\","
    "	  \"options\": [ \"nosuid\", \"noexec\", \"nodev\" ] },"
    "	{ \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\","
    "	  \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] },"
    "	{ \"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\","
    "	  \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\" ] } ],"
    "\"linux\": {"
    "	\"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },"
    "	\"namespaces\": [ { \"type\": \"pid\" }, { \"type\": \"network\" },"
    "		{ \"type\": \"ipc\" }, { \"type\": \"uts\" }, { \"type\": \"mount\" },"
    "		{ \"type\": \"cgroup\" } ],"
    "	\"maskedPaths\": [ \"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\","
    "		\"/proc/keys\", \"/proc/latency_stats\", \"/proc/timer_list\","
    "		\"/proc/timer_stats\", \"/proc/sched_debug\", \"/sys/firmware\","
    "		\"/proc/scsi\" ],"
    "	\"readonlyPaths\": [ \"/proc/bus\", \"/proc/fs\", \"/proc/irq\","
    "		\"/proc/sys\", \"/proc/sysrq-trigger\" ] }"
    "}";

/* An unprivileged sysfs needs a network namespace of its own, so the host's is shown. */
static const char rootless_sys[] =
    "{ \"destination\": \"/sys\", \"type\": \"none\", \"source\": \"/sys\","
    "  \"options\": [ \"rbind\", \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] }";

static void map_to_root(struct arena *arena, struct oci_id_mappings *mappings, uint64_t id)
{
	mappings->items = arena_alloc(arena, sizeof(*mappings->items));
	mappings->n = 1;
	mappings->items[0] = (struct oci_id_mapping){
		.container_id = { .set = true, .value = 0 },
		.host_id = { .set = true, .value = id },
		.size = { .set = true, .value = 1 },
	};
}

/* Other ids than 0 are not mapped, so no mount can belong to them. */
static void drop_ids(struct strings *options)
{
	size_t kept = 0;

	for (size_t i = 0; i < options->n; i++)
		if (!text_starts_with(options->items[i], "uid=") &&
		    !text_starts_with(options->items[i], "gid="))
			options->items[kept++] = options->items[i];
	options->n = kept;
}

static int make_rootless(struct arena *arena, struct oci_config *config, struct error *err)
{
	struct oci_linux *part = config->linux;

	list_each (struct oci_namespace, ns, &part->namespaces)
		if (ns->type.value == OCI_NAMESPACE_NETWORK)
			ns->type.value = OCI_NAMESPACE_USER;
	map_to_root(arena, &part->uid_mappings, geteuid());
	map_to_root(arena, &part->gid_mappings, getegid());
	part->resources = NULL;
	list_each (struct oci_mount, mount, &config->mounts) {
		drop_ids(&mount->options);
		if (!text_equal(mount->destination, "/sys"))
			continue;
		*mount = (struct oci_mount){ 0 };
		if (schema_parse(&oci_mount_schema, arena, "the example", rootless_sys,
				 strlen(rootless_sys), mount, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int write_new(int dir, const char *name, const char *text, size_t size, struct error *err)
{
	auto_fd fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0 && errno == EEXIST)
		return error_state(err, "File %s exists. Remove it first", name);
	if (fd < 0)
		return error_system(err, errno, "cannot make %s", name);
	/* Not a file of ours but the user's, so our umask does not count. */
	if (fchmod(fd, 0644) < 0)
		return error_system(err, errno, "cannot set the mode of %s", name);
	return fd_write_all(fd, text, size, err);
}

static int run(struct cli *cli, struct error *err)
{
	const struct spec_arguments *arguments = cli->options;
	const char *bundle = arguments->bundle ? arguments->bundle : ".";
	struct arena *arena = cli->runtime.arena;
	struct json_writer *w = json_writer_new(arena, -1);
	struct oci_config config = { 0 };
	const char *text;
	size_t size;
	auto_fd dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_system(err, errno, "cannot open the bundle %s", bundle);
	if (schema_parse(&oci_config_schema, arena, "the example", document, strlen(document),
			 &config, NULL, err) < 0)
		return -1;
	if (arguments->rootless && make_rootless(arena, &config, err) < 0)
		return -1;
	schema_encode(&oci_config_schema, &config, w);
	text = json_writer_text(w, &size);
	text = text_format(arena, "%s\n", text);
	return write_new(dir, arguments->file ? arguments->file : "config.json", text, size + 1,
			 err);
}

const struct command command_spec = {
	.name = "spec",
	.arguments = "",
	.purpose = "Write a config.json to begin with",
	.example = "creel spec --bundle /srv/web\ncreel spec --rootless",
	.options = { .tables = { OPTION_TABLE(spec_rows) } },
	.options_size = sizeof(struct spec_arguments),
	.run = run,
};
