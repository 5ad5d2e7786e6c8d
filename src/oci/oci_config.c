/*
 * config.json as tables: the top level, root, mounts, hooks and annotations.  The sections
 * `process` and `linux` have files of their own.
 */
#include <creel/oci_config.h>

#include <string.h>

#define DIGITS	    "0123456789"
#define LETTERS	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define IDENTIFIERS DIGITS LETTERS "-"

/* The longest name that sethostname(2) and setdomainname(2) take: __NEW_UTS_LEN. */
#define UTS_NAME_MAX 64

const struct name_value oci_hook_names[] = {
	{ "prestart", OCI_HOOK_PRESTART },
	{ "createRuntime", OCI_HOOK_CREATE_RUNTIME },
	{ "createContainer", OCI_HOOK_CREATE_CONTAINER },
	{ "startContainer", OCI_HOOK_START_CONTAINER },
	{ "poststart", OCI_HOOK_POSTSTART },
	{ "poststop", OCI_HOOK_POSTSTOP },
	{ NULL, 0 },
};

static const struct field oci_root_fields[] = {
	F_STRING(struct oci_root, path, "path", FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_BOOL(struct oci_root, readonly, "readonly", 0),
};

static const struct schema oci_root_schema = SCHEMA(struct oci_root, oci_root_fields, NULL);

/* config.md "Mounts": mappings MUST be given for users and groups, or for neither. */
static int mount_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_mount *mount = object;

	if (mount->uid_mappings.n > 0 && mount->gid_mappings.n == 0)
		return error_coded(err, CRL_ID_MAPPINGS,
				   error_config(err, AT_KEY(at, "uidMappings"),
						"uidMappings need gidMappings beside them"));
	if (mount->gid_mappings.n > 0 && mount->uid_mappings.n == 0)
		return error_coded(err, CRL_ID_MAPPINGS,
				   error_config(err, AT_KEY(at, "gidMappings"),
						"gidMappings need uidMappings beside them"));
	if (oci_id_mappings_check(&mount->uid_mappings, AT_KEY(at, "uidMappings"), err) < 0)
		return -1;
	return oci_id_mappings_check(&mount->gid_mappings, AT_KEY(at, "gidMappings"), err);
}

static const struct field oci_mount_fields[] = {
	F_STRING(struct oci_mount, destination, "destination", FIELD_REQUIRED | FIELD_NOT_EMPTY),
	F_STRING(struct oci_mount, type, "type", 0),
	F_STRING(struct oci_mount, source, "source", 0),
	F_STRINGS(struct oci_mount, options, "options", 0),
	F_LIST(struct oci_mount, uid_mappings, "uidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
	F_LIST(struct oci_mount, gid_mappings, "gidMappings", 0, struct oci_id_mapping,
	       &oci_id_mapping_schema),
};

const struct schema oci_mount_schema = SCHEMA(struct oci_mount, oci_mount_fields, mount_check);

static int hook_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_hook *hook = object;

	if (hook->path[0] != '/')
		return error_coded(
		    err, CRL_NOT_ABSOLUTE,
		    error_config(err, AT_KEY(at, "path"), "\"%s\" is not absolute", hook->path));
	return 0;
}

static const struct field oci_hook_fields[] = {
	F_STRING(struct oci_hook, path, "path", FIELD_REQUIRED),
	F_STRINGS(struct oci_hook, args, "args", 0),
	F_STRINGS(struct oci_hook, env, "env", 0),
	F_INT(struct oci_hook, timeout, "timeout", 0, 1, INT32_MAX),
};

static const struct schema oci_hook_schema = SCHEMA(struct oci_hook, oci_hook_fields, hook_check);

static const struct field oci_hooks_fields[] = {
	F_LIST(struct oci_hooks, lists[OCI_HOOK_PRESTART], "prestart", 0, struct oci_hook,
	       &oci_hook_schema),
	F_LIST(struct oci_hooks, lists[OCI_HOOK_CREATE_RUNTIME], "createRuntime", 0,
	       struct oci_hook, &oci_hook_schema),
	F_LIST(struct oci_hooks, lists[OCI_HOOK_CREATE_CONTAINER], "createContainer", 0,
	       struct oci_hook, &oci_hook_schema),
	F_LIST(struct oci_hooks, lists[OCI_HOOK_START_CONTAINER], "startContainer", 0,
	       struct oci_hook, &oci_hook_schema),
	F_LIST(struct oci_hooks, lists[OCI_HOOK_POSTSTART], "poststart", 0, struct oci_hook,
	       &oci_hook_schema),
	F_LIST(struct oci_hooks, lists[OCI_HOOK_POSTSTOP], "poststop", 0, struct oci_hook,
	       &oci_hook_schema),
};

const struct schema oci_hooks_schema = SCHEMA(struct oci_hooks, oci_hooks_fields, NULL);

/* Skips one number of a SemVer core ("10", never "010") and stores it; NULL when there is none. */
static const char *skip_number(const char *text, uint64_t *value)
{
	size_t n = strspn(text, DIGITS);

	if (n == 0 || n > 9 || (n > 1 && text[0] == '0'))
		return NULL;
	*value = 0;
	for (size_t i = 0; i < n; i++)
		*value = *value * 10 + (uint64_t)(text[i] - '0');
	return text + n;
}

/*
 * Skips "a.b.c", the identifiers behind '-' or '+'; NULL when one of them is empty.  In a
 * pre-release (STRICT) a number has no leading zero either.
 */
static const char *skip_identifiers(const char *text, bool strict)
{
	for (;;) {
		size_t n = strspn(text, IDENTIFIERS);

		if (n == 0)
			return NULL;
		if (strict && n > 1 && text[0] == '0' && strspn(text, DIGITS) == n)
			return NULL;
		text += n;
		if (*text != '.')
			return text;
		text++;
	}
}

/* Reads a Semantic Version 2.0.0 (semver.org, items 2, 9 and 10). */
static bool read_version(const char *text, uint64_t version[static 3])
{
	for (int i = 0; i < 3; i++) {
		text = skip_number(text, &version[i]);
		if (!text)
			return false;
		if (i < 2 && *text++ != '.')
			return false;
	}
	if (*text == '-')
		text = skip_identifiers(text + 1, true);
	if (text && *text == '+')
		text = skip_identifiers(text + 1, false);
	return text && *text == '\0';
}

/* config.md "Specification version": versions with the same major are upward compatible. */
static int version_check(const void *object, const struct where *at, struct error *err)
{
	const char *text = ((const struct oci_config *)object)->oci_version;
	const struct where *version = AT_KEY(at, "ociVersion");
	uint64_t ours[3] = { 0 };
	uint64_t theirs[3] = { 0 };

	if (!read_version(text, theirs))
		return error_coded(err, CRL_VERSION,
				   error_config(err, version,
						"\"%s\" is not a semantic version such as %s", text,
						OCI_VERSION));
	if (!read_version(OCI_VERSION, ours) || theirs[0] != ours[0])
		return error_coded(err, CRL_VERSION,
				   error_config(err, version,
						"version %s of the specification is not supported, "
						"only %s to %s are",
						text, OCI_VERSION_MIN, OCI_VERSION));
	return 0;
}

static int uts_name_check(const char *name, const struct where *at, struct error *err)
{
	if (name && strlen(name) > UTS_NAME_MAX)
		return error_config(err, at, "the name has %zu bytes, the kernel takes at most %d",
				    strlen(name), UTS_NAME_MAX);
	return 0;
}

static int uts_names_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_config *config = object;

	if (uts_name_check(config->hostname, AT_KEY(at, "hostname"), err) < 0)
		return -1;
	return uts_name_check(config->domainname, AT_KEY(at, "domainname"), err);
}

static int annotations_check(const void *object, const struct where *at, struct error *err)
{
	const struct oci_config *config = object;

	for (size_t i = 0; i < config->annotations.n; i++)
		if (config->annotations.items[i].key[0] == '\0')
			return error_config(err, AT_KEY(at, "annotations"),
					    "the key of an annotation must not be empty");
	return 0;
}

static const struct field oci_config_fields[] = {
	F_STRING(struct oci_config, oci_version, "ociVersion", FIELD_REQUIRED),
	F_OBJECT(struct oci_config, root, "root", 0, struct oci_root, &oci_root_schema),
	F_OBJECT(struct oci_config, process, "process", 0, struct oci_process, &oci_process_schema),
	F_STRING(struct oci_config, hostname, "hostname", 0),
	F_STRING(struct oci_config, domainname, "domainname", 0),
	F_LIST(struct oci_config, mounts, "mounts", 0, struct oci_mount, &oci_mount_schema),
	F_OBJECT(struct oci_config, hooks, "hooks", 0, struct oci_hooks, &oci_hooks_schema),
	F_STRING_MAP(struct oci_config, annotations, "annotations", 0),
	F_OBJECT(struct oci_config, linux, "linux", 0, struct oci_linux, &oci_linux_schema),
	F_ANY(struct oci_config, vm, "vm", 0),
	F_ANY(struct oci_config, windows, "windows", 0),
	F_ANY(struct oci_config, solaris, "solaris", 0),
	F_ANY(struct oci_config, zos, "zos", 0),
	F_ANY(struct oci_config, freebsd, "freebsd", 0),
};

const struct schema oci_config_schema =
    SCHEMA(struct oci_config, oci_config_fields, version_check, uts_names_check, annotations_check);
