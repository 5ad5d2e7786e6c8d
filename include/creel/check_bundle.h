/*
 * What `create` would refuse, told beforehand and all at once: what is wrong with the document, and
 * what this host does not have.  Nothing is made: no container, no cgroup, no mount, no file.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/container.h>
#include <creel/findings.h>
#include <creel/plan.h>

struct error;

struct check_options {
	const char *bundle;
	const char *config; /* file name in the bundle; NULL: config.json */
	enum cgroup_manager manager;
	bool rootless_cgroups;
	bool rootless; /* judge as for the owner of the bundle, without privileges */
};

/*
 * Collects all findings about the bundle, in the order of the document, with file, line and column.
 * -1 only when the bundle itself cannot be found or read; a document that is no JSON is a finding.
 */
int check_bundle(struct runtime *runtime, const struct check_options *options,
		 struct findings *findings, struct error *err) must_check;

enum host_status {
	HOST_WORKS,
	HOST_LIMITED, /* some containers will miss it */
	HOST_ABSENT,  /* of use to few, and not there */
	HOST_FAILS,   /* no container, or hardly one, works without it */
};

struct host_row {
	const char *group;
	const char *name;
	enum host_status status;
	const char *value;  /* what was found */
	const char *advice; /* what to change, or NULL */
};

struct host_rows {
	struct host_row *items;
	size_t n;
};

/* What of this host works for containers, what does not, and what to change. */
struct host_rows check_host(struct runtime *runtime);

extern const struct name_value host_status_names[];
