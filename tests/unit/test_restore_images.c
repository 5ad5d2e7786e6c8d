/* What images may ask for: each rule is broken once, in images that are good but for that. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <creel/criu_image.h>
#include <creel/error.h>
#include <creel/fd.h>
#include <creel/file.h>
#include <creel/procfs.h>
#include <creel/protobuf.h>

#include "../../src/container/restore_parts.h"

static struct arena arena;
static struct error err;
static struct restore_options options;
static struct runtime runtime;
static struct restore restore;
static struct mount_op mounts[2], protections[1];
static struct sock_filter filter[1] = { BPF_STMT(BPF_RET | BPF_K, 0x7fff0000) };
static char directory[64], rootfs[96], images[96];

/* What the images say; a test changes some of it, writes them and asks. */
static struct {
	uint64_t host[CRIU_NS_COUNT], task[CRIU_NS_COUNT];
	uint64_t uid, bounding, permitted, no_new_privs, seccomp_mode;
	const char *label;
	const void *program;
	size_t program_size;
	struct {
		uint64_t filesystem, device;
		const char *root, *point, *options, *key;
	} mounts[4];
	size_t mounts_n;
	const char *controller, *place, *directory, *below, *file;
	uint64_t owner;
} world;

static struct protobuf message(void)
{
	return (struct protobuf){ .arena = &arena };
}

/* An image of one record, or of several. */
static void write_image(const char *name, enum criu_magic magic, const struct protobuf *records,
			size_t n)
{
	auto_fd fd =
	    openat(restore.place.images, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const uint32_t head[] = { 0x54564319, magic };

	check(fd >= 0);
	if (magic == CRIU_MAGIC_INVENTORY)
		check_int(write(fd, &head[1], 4), 4);
	else
		check_int(write(fd, head, 8), 8);
	for (size_t i = 0; i < n; i++) {
		uint32_t size = (uint32_t)records[i].size;

		check_int(write(fd, &size, 4), 4);
		check_int(write(fd, records[i].data, size), size);
	}
}

static struct protobuf ids(const uint64_t *numbers)
{
	struct protobuf written = message();

	for (unsigned int i = 0; i < CRIU_NS_COUNT; i++)
		protobuf_number(&written, 5 + i, numbers[i]);
	return written;
}

static void write_core(void)
{
	struct protobuf creds = message(), thread = message(), core = message();

	for (unsigned int field = 1; field <= 8; field++)
		protobuf_number(&creds, field, world.uid);
	protobuf_number(&creds, 10, world.permitted & UINT32_MAX);
	protobuf_number(&creds, 10, world.permitted >> 32);
	protobuf_number(&creds, 12, world.bounding & UINT32_MAX);
	protobuf_number(&creds, 12, world.bounding >> 32);
	if (world.label)
		protobuf_text(&creds, 15, world.label);
	protobuf_number(&creds, 18, world.no_new_privs);
	protobuf_nested(&thread, 10, &creds);
	protobuf_number(&thread, 11, world.seccomp_mode);
	protobuf_number(&thread, 12, 0);
	protobuf_nested(&core, 5, &thread);
	write_image("core-1.img", CRIU_MAGIC_CORE, &core, 1);
}

static void write_seccomp(void)
{
	struct protobuf one = message(), all = message();
	const struct protobuf program = {
		.arena = &arena,
		.data = (unsigned char *)(uintptr_t)world.program,
		.size = world.program_size,
	};

	protobuf_nested(&one, 1, &program);
	protobuf_nested(&all, 1, &one);
	write_image("seccomp.img", CRIU_MAGIC_SECCOMP, &all, 1);
}

/* One set of processes, in one directory of two, with one property. */
static void write_cgroups(void)
{
	struct protobuf place = message(), set = message(), owner = message(), property = message();
	struct protobuf below = message(), top = message(), hierarchy = message(), all = message();

	protobuf_text(&place, 1, world.controller);
	protobuf_text(&place, 2, world.place);
	protobuf_number(&set, 1, 2);
	protobuf_nested(&set, 2, &place);
	protobuf_number(&owner, 1, 0755);
	protobuf_number(&owner, 2, world.owner);
	protobuf_number(&owner, 3, 0);
	protobuf_text(&property, 1, world.file);
	protobuf_text(&property, 2, "17");
	protobuf_nested(&property, 3, &owner);
	protobuf_text(&below, 1, world.below);
	protobuf_nested(&below, 3, &property);
	protobuf_text(&top, 1, world.directory);
	protobuf_nested(&top, 2, &below);
	protobuf_text(&hierarchy, 1, world.controller);
	protobuf_nested(&hierarchy, 2, &top);
	protobuf_nested(&all, 1, &set);
	protobuf_nested(&all, 2, &hierarchy);
	write_image("cgroup.img", CRIU_MAGIC_CGROUP, &all, 1);
}

static void write_images(void)
{
	struct protobuf inventory = message(), task = message(), points[ARRAY_SIZE(world.mounts)];
	const struct protobuf host = ids(world.host), inside = ids(world.task);

	protobuf_number(&inventory, 1, 2);
	protobuf_nested(&inventory, 3, &host);
	write_image("inventory.img", CRIU_MAGIC_INVENTORY, &inventory, 1);
	write_image("ids-1.img", CRIU_MAGIC_IDS, &inside, 1);
	for (unsigned int field = 1; field <= 5; field++)
		protobuf_number(&task, field, field == 2 ? 0 : 1);
	write_image("pstree.img", CRIU_MAGIC_PSTREE, &task, 1);
	for (size_t i = 0; i < world.mounts_n; i++) {
		points[i] = message();
		protobuf_number(&points[i], 1, world.mounts[i].filesystem);
		protobuf_number(&points[i], 3, world.mounts[i].device);
		protobuf_text(&points[i], 6, world.mounts[i].root);
		protobuf_text(&points[i], 7, world.mounts[i].point);
		protobuf_text(&points[i], 9, world.mounts[i].options);
		if (world.mounts[i].key)
			protobuf_text(&points[i], 18, world.mounts[i].key);
	}
	write_image("mountpoints-9.img", CRIU_MAGIC_MOUNTS, points, world.mounts_n);
	write_core();
	write_seccomp();
	write_cgroups();
}

static int ask(void)
{
	err = (struct error){ 0 };
	return restore_check_images(&restore, &err);
}

static void good(void)
{
	write_images();
	if (ask() < 0)
		print_error("%s\n", err.what);
	check_int(ask(), 0);
}

static void refused(const char *phrase)
{
	write_images();
	check_int(ask(), -1);
	check_has(err.what, phrase);
}

static int set_up(void **state)
{
	struct plan *plan = &restore.create.plan;

	(void)state;
	strcpy(directory, "/tmp/creel-images-XXXXXX");
	check(mkdtemp(directory));
	snprintf(rootfs, sizeof(rootfs), "%s/rootfs", directory);
	snprintf(images, sizeof(images), "%s/images", directory);
	check_int(mkdir(rootfs, 0755), 0);
	check_int(mkdir(images, 0700), 0);
	runtime = (struct runtime){ .arena = &arena, .root = -1, .procfs = procfs_open(&err) };
	check(runtime.procfs >= 0);
	options = (struct restore_options){ 0 };
	restore = (struct restore){ .options = &options, .place = CRIU_PLACE_NONE };
	restore.create.runtime = &runtime;
	restore.place.image_path = images;
	restore.place.images = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(restore.place.images >= 0);
	mounts[0] = (struct mount_op){ .kind = MOUNT_NEW, .target = "/proc", .type = "proc" };
	mounts[1] = (struct mount_op){ .kind = MOUNT_BIND, .target = "/data", .source = "/srv" };
	protections[0] = (struct mount_op){ .kind = MOUNT_READONLY, .target = "/proc/sys" };
	plan->rootfs = rootfs;
	plan->mounts = mounts;
	plan->mounts_n = ARRAY_SIZE(mounts);
	plan->protections = protections;
	plan->protections_n = ARRAY_SIZE(protections);
	plan->namespaces.create = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	plan->process.no_new_privileges = true;
	plan->process.uid = plan->process.gid = 1000;
	plan->process.caps.bounding = 1 << CAP_KILL;
	criu_pair_add(&arena, &restore.request.mounts,
		      (struct criu_pair){ .key = "creel-data", .value = "/stage/creel-data" });
	memset(&world, 0, sizeof(world));
	for (size_t i = 0; i < CRIU_NS_COUNT; i++)
		world.host[i] = world.task[i] = i + 1;
	world.task[CRIU_NS_MNT] = 9;
	world.task[CRIU_NS_PID] = 10;
	world.task[CRIU_NS_IPC] = 11;
	world.task[CRIU_NS_UTS] = 12;
	world.uid = 1000;
	world.bounding = 1 << CAP_KILL;
	world.no_new_privs = 1;
	world.program = filter;
	world.program_size = sizeof(filter);
	world.controller = "";
	world.place = "/web/one";
	world.directory = "web";
	world.below = "web/one";
	world.file = "pids.max";
	world.mounts_n = 4;
	world.mounts[0].filesystem = 17;
	world.mounts[0].device = 5;
	world.mounts[0].root = "/";
	world.mounts[0].point = "/";
	world.mounts[1].filesystem = CRIU_FS_PROC;
	world.mounts[1].root = "/";
	world.mounts[1].point = "/proc";
	world.mounts[2].filesystem = CRIU_FS_PROC;
	world.mounts[2].root = "/sys";
	world.mounts[2].point = "/proc/sys";
	world.mounts[3].root = "/srv";
	world.mounts[3].point = "/data";
	world.mounts[3].key = "creel-data";
	for (size_t i = 0; i < world.mounts_n; i++)
		world.mounts[i].options = "";
	return 0;
}

static int tear_down(void **state)
{
	auto_fd top = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	fd_close(&restore.place.images);
	fd_close(&runtime.procfs);
	check_int(file_remove_tree(top, directory + strlen("/tmp/"), &err), 0);
	arena_free(&arena);
	return 0;
}

static void test_good_images(void **state)
{
	(void)state;
	good();
}

static void test_namespaces(void **state)
{
	(void)state;
	world.task[CRIU_NS_MNT] = world.host[CRIU_NS_MNT];
	refused("in the mount namespace of the host");
	world.task[CRIU_NS_MNT] = 9;
	world.task[CRIU_NS_USER] = 77;
	refused("in a user namespace that config.json does not have");
	world.task[CRIU_NS_USER] = 0;
	refused("damaged");
	world.task[CRIU_NS_USER] = world.host[CRIU_NS_USER];
	world.task[CRIU_NS_NET] = 78;
	refused("in a network namespace that config.json does not have");
	restore.create.plan.namespaces.joins[0].flag = CLONE_NEWNET;
	restore.create.plan.namespaces.joins_n = 1;
	good();
}

static void test_rights(void **state)
{
	struct plan_process *process = &restore.create.plan.process;

	(void)state;
	world.bounding |= 1ULL << CAP_SYS_ADMIN;
	refused("bounding set");
	world.bounding = 1ULL << CAP_KILL | 1ULL << CAP_CHECKPOINT_RESTORE;
	refused("bounding set");
	world.bounding = 0;
	world.permitted = 1ULL << CAP_CHECKPOINT_RESTORE;
	refused("capabilities");
	world.permitted = 0;
	world.no_new_privs = 0;
	refused("no_new_privs");
	world.no_new_privs = 1;
	world.uid = 0;
	refused("other ids");
	process->caps.bounding |= 1 << CAP_SETUID;
	good();
	process->caps.bounding = 0;
	process->no_new_privileges = false;
	good();
}

static void test_labels(void **state)
{
	(void)state;
	world.label = "system_u:system_r:init_t:s0";
	refused("security label");
	world.label = "unconfined";
	good();
	world.label = "anything";
	restore.request.lsm_profile = "apparmor:web";
	good();
}

static void test_seccomp(void **state)
{
	static struct sock_filter other[1] = { BPF_STMT(BPF_RET | BPF_K, 0x7fff0001) };

	(void)state;
	restore.create.seccomp.program.filter = filter;
	restore.create.seccomp.program.length = 1;
	refused("seccomp filter");
	world.seccomp_mode = 2;
	good();
	world.program = other;
	refused("seccomp filter");
	world.program = filter;
	world.program_size = sizeof(filter) - 1;
	refused("seccomp filter");
}

static void test_mounts(void **state)
{
	(void)state;
	world.mounts[3].key = "creel-other";
	refused("a mount at /data that config.json does not name");
	world.mounts[3].key = "x]:/etc";
	refused("a mount at /data");
	world.mounts[3].key = NULL;
	refused("a mount at /data");
	world.mounts[3].key = "creel-data";
	world.mounts[1].filesystem = 17;
	refused("a mount at /proc ");
	world.mounts[1].filesystem = CRIU_FS_PROC;
	/* A part of another filesystem in the place of the document's read-only path. */
	world.mounts[2].filesystem = 17;
	world.mounts[2].device = 6;
	refused("a mount at /proc/sys");
	world.mounts[2].device = world.mounts[0].device;
	good();
	/* The root filesystem is not made from the images, but what covers it would be. */
	world.mounts[0].options = "context=system_u:object_r:container_file_t:s0";
	good();
	world.mounts[0].options = "";
	world.mounts[1].point = "/";
	refused("a second mount at /");
	world.mounts[1].point = "/proc";
	good();
	world.mounts[1].options = "context=system_u:object_r:etc_t:s0";
	refused("label");
	world.mounts[1].options = "";
	world.mounts[1].point = "/other";
	refused("a mount at /other");
	/* What may mount for itself may have done so. */
	restore.create.plan.process.caps.bounding |= 1ULL << CAP_SYS_ADMIN;
	good();
	world.mounts[1].filesystem = CRIU_FS_DEBUGFS;
	refused("a mount at /other");
	mounts[0] = (struct mount_op){ .kind = MOUNT_NEW, .target = "/other", .type = "debugfs" };
	good();
}

static void test_cgroups(void **state)
{
	const struct idmap_range range = { .inside = 0, .outside = 100000, .size = 1000 };
	const struct idmap maps = { .uids = &range, .gids = &range, .uids_n = 1, .gids_n = 1 };
	struct protobuf *none = NULL;

	(void)state;
	world.place = "/web/../../other";
	refused("a cgroup /web/../../other, which leads out");
	world.place = "/web..";
	world.below = "..";
	refused("a cgroup .., which leads out");
	world.below = "web/...";
	world.directory = "../../../etc";
	refused("a cgroup ../../../etc, which leads out");
	world.directory = "./web";
	refused("leads out");
	world.directory = "";
	world.file = "../../../etc/cron.d/x";
	refused("write to ../../../etc/cron.d/x, which is no file of a cgroup");
	world.file = "..";
	refused("no file of a cgroup");
	world.file = "";
	refused("no file of a cgroup");
	world.file = "pids.max";
	world.controller = "name=systemd";
	refused("cgroups of version 1 (name=systemd)");
	world.controller = "";
	world.owner = 1000;
	restore.request.cgroups = CRIU_CGROUPS_SOFT;
	good();
	check_int(restore.request.cgroups, CRIU_CGROUPS_SOFT);
	restore.create.plan.namespaces.maps = &maps;
	refused("to an id that the user namespace does not have");
	world.owner = 101000;
	refused("to an id");
	world.owner = 100999;
	good();
	world.owner = 0;
	good();
	write_image("cgroup.img", CRIU_MAGIC_CGROUP, none, 0);
	check_int(ask(), 0);
	check_int(restore.request.cgroups, CRIU_CGROUPS_IGNORE);
	check_int(unlinkat(restore.place.images, "cgroup.img", 0), 0);
	check_int(ask(), 0);
}

static void test_a_target_behind_a_link(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/real", rootfs);
	check_int(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/link", rootfs);
	check_int(symlink("/real", path), 0);
	mounts[0].target = "/link";
	refused("a mount at /proc ");
	world.mounts[1].point = "/real";
	good();
}

static void test_files(void **state)
{
	(void)state;
	write_images();
	check_int(symlinkat("/etc/shadow", restore.place.images, "pages-1.img"), 0);
	check_int(ask(), -1);
	check_has(err.what, "pages-1.img among the images is not a regular file");
	check_int(unlinkat(restore.place.images, "pages-1.img", 0), 0);
	check_int(fchmodat(restore.place.images, "core-1.img", 0620, 0), 0);
	check_int(ask(), -1);
	check_has(err.what, "core-1.img can be written to by others");
	check_int(fchmodat(restore.place.images, "core-1.img", 0640, 0), 0);
	check_int(ask(), 0);
	check_int(unlinkat(restore.place.images, "core-1.img", 0), 0);
	check_int(ask(), -1);
	check_int(unlinkat(restore.place.images, "inventory.img", 0), 0);
	check_int(ask(), -1);
	check_has(err.what, "there is no checkpoint in");
}

static void link_parent(const char *target)
{
	check(unlinkat(restore.place.images, "parent", 0) == 0 || errno == ENOENT);
	check_int(symlinkat(target, restore.place.images, "parent"), 0);
}

static void test_images_before(void **state)
{
	char path[128];

	(void)state;
	write_images();
	snprintf(path, sizeof(path), "%s/before", directory);
	check_int(mkdir(path, 0700), 0);
	link_parent("../before");
	check_int(ask(), 0);
	link_parent("/etc");
	check_int(ask(), -1);
	check_has(err.what, "said to follow those in /etc");
	link_parent("../../etc");
	check_int(ask(), -1);
	link_parent("..");
	check_int(ask(), -1);
	link_parent("../..");
	check_int(ask(), -1);
	/* The option says that it is so. */
	link_parent("../images/../before");
	check_int(ask(), -1);
	options.criu.parent_path = "../images/../before";
	check_int(ask(), 0);
	/* They are looked at as well. */
	link_parent("../before");
	snprintf(path, sizeof(path), "%s/before/pages-1.img", directory);
	check_int(symlink("/etc/shadow", path), 0);
	check_int(ask(), -1);
	check_has(err.what, "not a regular file");
	/* A link in the place of the directory. */
	check_int(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/trap", directory);
	check_int(symlink("before", path), 0);
	link_parent("../trap");
	check_int(ask(), -1);
	/* And so on for ever. */
	link_parent("../images");
	check_int(ask(), -1);
	check_has(err.what, "more than 64 times");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good_images, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_namespaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rights, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_labels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_seccomp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mounts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cgroups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_target_behind_a_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_images_before, set_up, tear_down),
	};

	return check_all(tests);
}
