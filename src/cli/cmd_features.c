/* `creel features`: prints what this creel understands, from the same tables that decode it. */
#include <creel/cli.h>

#include <linux/seccomp.h>

#include <creel/error.h>
#include <creel/json.h>
#include <creel/oci_config.h>
#include <creel/oci_features.h>
#include <creel/seccomp.h>

#define YES                                                                                        \
	{                                                                                          \
		.set = true, .value = 1                                                            \
	}
#define NO                                                                                         \
	{                                                                                          \
		.set = true, .value = 0                                                            \
	}

/* An annotation that changes what creel does must not come from the user of an engine. */
static const char *const unsafe_annotations[] = {
	"org.systemd.property.",
	"run.creel.memory.oom.group",
	"run.oci.keep_original_groups",
	"run.oci.mount_context_type",
};

static struct strings list_of(struct arena *arena, const char *const *texts, size_t n)
{
	struct strings list = { 0 };

	for (size_t i = 0; i < n; i++)
		strings_add(arena, &list, arena_strdup(arena, texts[i]));
	return list;
}

/* Those that both creel and this kernel know. */
static struct strings supported_flags(struct arena *arena)
{
	static const struct {
		enum oci_seccomp_flag flag;
		unsigned int kernel;
	} flags[] = {
		{ OCI_SECCOMP_FLAG_TSYNC, SECCOMP_FILTER_FLAG_TSYNC },
		{ OCI_SECCOMP_FLAG_LOG, SECCOMP_FILTER_FLAG_LOG },
		{ OCI_SECCOMP_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ OCI_SECCOMP_FLAG_WAIT_KILLABLE_RECV, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	};
	struct strings list = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (seccomp_has_flag(flags[i].kernel))
			strings_add(arena, &list,
				    (char *)name_of(oci_seccomp_flag_names, (int)flags[i].flag));
	return list;
}

static struct oci_features_seccomp seccomp_features(struct arena *arena)
{
	return (struct oci_features_seccomp){
		.enabled = YES,
		.actions = names_list(arena, oci_seccomp_action_names),
		.operators = names_list(arena, oci_seccomp_operator_names),
		.archs = names_list(arena, oci_seccomp_architecture_names),
		.known_flags = names_list(arena, oci_seccomp_flag_names),
		.supported_flags = supported_flags(arena),
	};
}

static struct string_map annotations(struct arena *arena)
{
	struct string_pair *pairs = arena_array(arena, 3, sizeof(*pairs));

	pairs[0] =
	    (struct string_pair){ arena_strdup(arena, "io.github.seccomp.libseccomp.version"),
				  arena_strdup(arena, version_of_libseccomp(arena)) };
	pairs[1] = (struct string_pair){ arena_strdup(arena, "run.creel.commit"),
					 arena_strdup(arena, CREEL_COMMIT) };
	pairs[2] = (struct string_pair){ arena_strdup(arena, "run.creel.version"),
					 arena_strdup(arena, CREEL_VERSION) };
	return (struct string_map){ .items = pairs, .n = 3 };
}

static void print(struct arena *arena, struct oci_features_linux *linux_part)
{
	struct json_writer *w = json_writer_new(arena, 2);
	struct oci_features features = {
		.oci_version_min = arena_strdup(arena, OCI_VERSION_MIN),
		.oci_version_max = arena_strdup(arena, OCI_VERSION),
		.hooks = names_list(arena, oci_hook_names),
		.mount_options = plan_mount_options(arena),
		.linux = linux_part,
		.annotations = annotations(arena),
		.potentially_unsafe_config_annotations =
		    list_of(arena, unsafe_annotations, ARRAY_SIZE(unsafe_annotations)),
	};

	schema_encode(&oci_features_schema, &features, w);
	puts(json_writer_text(w, NULL));
}

static int run(struct cli *cli, struct error *err)
{
	struct arena *arena = cli->runtime.arena;
	struct oci_features_enabled enabled = { YES };
	struct oci_features_mount_extensions extensions = { .idmap = &enabled };
	struct oci_features_intel_rdt rdt = { YES, YES, YES };
	struct oci_features_seccomp seccomp = seccomp_features(arena);
	struct oci_features_cgroup cgroup = {
		.v1 = NO,
		.v2 = YES,
		.systemd = { .set = true, .value = CREEL_SYSTEMD },
		.systemd_user = { .set = true, .value = CREEL_SYSTEMD },
		.rdma = YES,
	};
	struct oci_features_memory_policy memory_policy = {
		.modes = names_list(arena, oci_memory_policy_mode_names),
		.flags = names_list(arena, oci_memory_policy_flag_names),
	};
	struct oci_features_linux linux_part = {
		.namespaces = names_list(arena, oci_namespace_names),
		.capabilities = plan_capabilities(arena),
		.cgroup = &cgroup,
		.seccomp = &seccomp,
		.apparmor = &enabled,
		.selinux = &enabled,
		.intel_rdt = &rdt,
		.memory_policy = &memory_policy,
		.mount_extensions = &extensions,
		.net_devices = &enabled,
	};

	(void)err;
	print(arena, &linux_part);
	return 0;
}

const struct command command_features = {
	.name = "features",
	.arguments = "",
	.purpose = "Print what creel understands, as JSON",
	.example = "creel features",
	.run = run,
};
