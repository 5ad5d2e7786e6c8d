/* Keys of standard streams: hostile text that is compared with what a checkpoint writes. */
#include "check.h"

#include "../../src/container/checkpoint_parts.h"

static void test_stream_keys(void **state)
{
	static const char *const good[] = { "pipe:[1]", "pipe:[4026531840]", "socket:[77]",
					    "file[2a:18]", "tty[8803:16]" };
	static const char *const bad[] = { "",
					   "/dev/null",
					   "pipe:[]",
					   "pipe:[1]x",
					   "pipe:[-1]",
					   "pipe:[1",
					   "pipe:1]",
					   "file[2a]",
					   "file[:18]",
					   "file[2a:]",
					   "file[2a:18",
					   "file[zz:18]",
					   "tty[1:2:3]",
					   "extRootNetNS",
					   "/etc/shadow",
					   "memfd:x",
					   "pipe:[11111111111111111111111111111111111]" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		check(checkpoint_is_stream_key(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check(!checkpoint_is_stream_key(bad[i]));
}

static void test_keys_of_mounts(void **state)
{
	auto_arena arena = { .newest = NULL };
	struct mount_op ops[] = {
		{ .kind = MOUNT_BIND, .target = "/a]:/etc" },
		{ .kind = MOUNT_NEW, .target = "/proc", .type = "proc" },
		{ .kind = MOUNT_BIND, .target = "/link", .flags = MOUNT_COPY_LINK },
		{ .kind = MOUNT_BIND, .target = "/b" },
		{ .kind = MOUNT_BIND, .target = "/b", .source = "/last" },
		{ .kind = MOUNT_CGROUP, .target = "/sys/fs/cgroup" },
	};
	struct mount_op mask = { .kind = MOUNT_MASK, .target = "/proc/keys" };
	const struct plan plan = {
		.mounts = ops,
		.mounts_n = ARRAY_SIZE(ops),
		.protections = &mask,
		.protections_n = 1,
	};
	struct external_mounts mounts;

	(void)state;
	external_mounts_list(&arena, &plan, &mounts);
	check_int(mounts.n, 3);
	/* Nothing of the path is in the name, which CRIU writes between brackets. */
	for (size_t i = 0; i < mounts.n; i++)
		check_int(strspn(mounts.items[i].key, "creel-0123456789abcdef"), 22);
	check_text(mounts.items[1].op->source, "/last");
	check(strcmp(mounts.items[0].key, mounts.items[1].key) != 0);
	check_text(external_mount_key(&arena, &ops[3], ""), mounts.items[1].key);
	check(strcmp(external_mount_key(&arena, &ops[3], "/sub"), mounts.items[1].key) != 0);
	/* Without a cgroup namespace it is the host's. */
	ops[5].flags = MOUNT_OWN_CGROUP;
	external_mounts_list(&arena, &plan, &mounts);
	check_int(mounts.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_keys),
		cmocka_unit_test(test_keys_of_mounts),
	};

	return check_all(tests);
}
