/* Mounts that hide each other, and options that take each other back. */
#include "parts.h"

#include <string.h>

static bool is_bind(const struct oci_mount *mount)
{
	return strings_has(&mount->options, "bind") || strings_has(&mount->options, "rbind");
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return strncmp(path, directory, n) == 0 && path[n] == '/';
}

/* Of what is mounted at one place the last one is seen; what is below a later mount is not seen at
 * all. */
static void suspect_hidden(const struct input *input, size_t index, const char *const *targets,
			   struct findings *findings)
{
	const struct oci_mount *mounts = input->config->mounts.items;
	const char *where = pointer_index(input->arena, "/mounts", index);

	for (size_t i = index + 1; i < input->config->mounts.n; i++) {
		struct error *finding;

		if (strings_has(&mounts[i].options, "remount"))
			continue;
		if (strcmp(targets[i], targets[index]) == 0) {
			findings_say(findings, FINDING_WARNING,
				     pointer_key(input->arena, where, "destination"),
				     "%s is mounted again by /mounts/%zu, which hides this mount",
				     targets[index], i);
			return;
		}
		if (!is_below(targets[index], targets[i]))
			continue;
		finding = findings_say(findings, FINDING_WARNING,
				       pointer_key(input->arena, where, "destination"),
				       "%s is hidden by the later mount /mounts/%zu at %s",
				       targets[index], i, targets[i]);
		if (finding)
			error_hint(finding,
				   "mounts are made in their order: put the one at %s "
				   "first",
				   targets[i]);
		return;
	}
}

/* The later option wins, as in mount(8). */
static void suspect_options(const struct input *input, size_t index, struct findings *findings)
{
	static const struct {
		const char *on, *off;
	} pairs[] = {
		{ "ro", "rw" },		 { "nosuid", "suid" },	       { "nodev", "dev" },
		{ "noexec", "exec" },	 { "relatime", "norelatime" }, { "atime", "noatime" },
		{ "private", "shared" }, { "rprivate", "rshared" },
	};
	const struct oci_mount *mount = &input->config->mounts.items[index];

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (strings_has(&mount->options, pairs[i].on) &&
		    strings_has(&mount->options, pairs[i].off))
			findings_say(findings, FINDING_WARNING,
				     pointer_key(input->arena,
						 pointer_index(input->arena, "/mounts", index),
						 "options"),
				     "%s and %s exclude each other: the later one wins",
				     pairs[i].on, pairs[i].off);
}

static void suspect_type(const struct input *input, size_t index, struct findings *findings)
{
	const struct oci_mount *mount = &input->config->mounts.items[index];
	const char *where = pointer_index(input->arena, "/mounts", index);

	if (is_bind(mount) && mount->type && mount->type[0] && !text_equal(mount->type, "bind") &&
	    !text_equal(mount->type, "none") && !text_equal(mount->type, "rbind"))
		findings_say(findings, FINDING_NOTE, pointer_key(input->arena, where, "type"),
			     "the type \"%s\" is ignored: it is a bind mount", mount->type);
}

void suspect_mounts(const struct input *input, struct findings *findings)
{
	size_t n = input->config->mounts.n;
	const char **targets = arena_array(input->arena, n, sizeof(*targets));

	for (size_t i = 0; i < n; i++)
		targets[i] =
		    mount_destination(input->arena, input->config->mounts.items[i].destination);
	for (size_t i = 0; i < n; i++) {
		/* An empty one stands for one that is missing, which is said already. */
		if (input->config->mounts.items[i].destination[0] &&
		    !strings_has(&input->config->mounts.items[i].options, "remount"))
			suspect_hidden(input, i, targets, findings);
		suspect_options(input, i, findings);
		suspect_type(input, i, findings);
	}
}
