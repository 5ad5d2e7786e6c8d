/* What the files of this room share: each function plans one part of struct plan.  Nobody outside
 * includes it. */
#pragma once

#include <creel/findings.h>
#include <creel/plan.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

/* Where the container sees the directory of the notify socket: where runc's users know it. */
#define NOTIFY_TARGET "/run/notify"

/* What every part starts from. */
struct input {
	struct arena *arena;
	const struct oci_config *config;
	const struct oci_linux *linux; /* never NULL: an absent section is an empty one */
	const struct plan_request *request;
	const struct facts *facts;
};

/* Keeps an error, if all of them are wanted: 0 to go on, else -1. */
static inline int go_on(const struct input *input, struct error *err)
{
	return findings_keep(input->request->findings, err);
}

/* JSON pointers as text, kept beside what they asked for. */
const char *pointer_index(struct arena *arena, const char *base, size_t index);
/* KEY is escaped (RFC 6901). */
const char *pointer_key(struct arena *arena, const char *base, const char *key);

/* All of LIST in one text. */
const char *strings_joined(struct arena *arena, const struct strings *list, const char *separator);

/* The entry of `linux.namespaces`, or NULL. */
const struct oci_namespace *namespace_entry(const struct oci_linux *oci_linux,
					    enum oci_namespace_type type);
bool namespace_is_new(const struct oci_linux *oci_linux, enum oci_namespace_type type);
/* The number of INSIDE in the parent namespace; false when nothing maps it. */
bool idmap_lookup(const struct idmap_range *ranges, size_t n, uint64_t inside, uint32_t *outside);
/* The spec's mappings in the kernel's words. */
const struct idmap_range *idmap_ranges(struct arena *arena, const struct oci_id_mappings *mappings);

/* Rules between objects: what no single object can know. */
int check_config(const struct input *input, struct error *err) must_check;
/* What is no error but suspicious; `suspect` files. */
void suspect_config(const struct input *input, struct findings *findings);
void suspect_mounts(const struct input *input, struct findings *findings);
void suspect_seccomp(const struct input *input, struct findings *findings);

int plan_namespaces(const struct input *input, struct plan_namespaces *plan,
		    struct error *err) must_check;

int plan_mounts(const struct input *input, struct plan *plan, struct error *err) must_check;
/* DESTINATION as it is seen from the container's root: absolute, without "//", "." and "..". */
char *mount_destination(struct arena *arena, const char *destination);
/* Reads OPTIONS of MOUNT into OP, whose kind and type are known; MAPS belong to the container. */
int plan_mount_options_read(struct arena *arena, const struct oci_mount *mount,
			    const struct idmap *maps, struct mount_op *op,
			    struct error *err) must_check;

/* Device nodes and links, appended to PLAN->mounts, which has room for plan_devices_max(). */
size_t plan_devices_max(const struct input *input);
void plan_devices(const struct input *input, struct plan *plan);
/* The device controller's rules: those of the document, then what every container may use. */
void plan_device_rules(struct arena *arena, const struct oci_resources *resources,
		       struct plan_cgroup *plan);

/* Whether all of the container dies with one process that is out of memory, "0" or "1", from
 * `unified` or from this annotation; NULL when nobody says so.  WHERE receives its pointer. */
#define OOM_GROUP_ANNOTATION "run.creel.memory.oom.group"
const char *oom_group(const struct input *input, const char **where);
int plan_cgroups(const struct input *input, struct plan *plan, struct error *err) must_check;
/* plan_resources() that goes on as long as FINDINGS take its errors. */
int plan_all_resources(struct arena *arena, const struct oci_resources *resources,
		       const char *where, struct plan_cgroup *plan, struct findings *findings,
		       struct error *err) must_check;
/* Adds one write; VALUE NULL means there is nothing to write. */
struct cgroup_write *plan_write(struct arena *arena, struct plan_cgroup *plan, const char *file,
				const char *value, const char *where);
int plan_cpu(struct arena *arena, const struct oci_cpu *cpu, const char *where,
	     struct plan_cgroup *plan, struct error *err) must_check;

/* The properties of the unit for a file of the cpu and cpuset controllers. */
void plan_unified_cpu(struct arena *arena, const struct string_pair *pair, const char *where,
		      struct plan_cgroup *plan);

/* Names of unit and slice, and the properties that the unit is made with. */
int plan_systemd(const struct input *input, struct plan_cgroup *plan, struct error *err) must_check;
/* "org.systemd.property.*" annotations. */
int plan_systemd_annotations(const struct input *input, struct plan_cgroup *plan,
			     struct error *err) must_check;
/* The unit's properties for the device rules in PLAN. */
void plan_systemd_devices(struct arena *arena, struct plan_cgroup *plan);
/* Adds a property, if PLAN is for systemd. */
struct systemd_property *plan_property(struct arena *arena, struct plan_cgroup *plan,
				       const char *name, const char *signature, const char *value,
				       const char *where);
void plan_property_value(struct arena *arena, struct systemd_property *property, const char *value);
/* Reads VALUE, a GVariant in text form, into PROPERTY's signature and values; false when it is none
 * that systemd's units need. */
bool plan_property_parse(struct arena *arena, const char *value, struct systemd_property *property);
