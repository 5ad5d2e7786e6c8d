/* What the files of restore share; nobody else includes it. */
#pragma once

#include "checkpoint_parts.h"

struct restore {
	struct create create; /* first: the rows of the table get only this */
	const struct restore_options *options;
	struct criu_place place;
	struct criu criu;
	struct criu_request request;
	struct external_mounts mounts;
	const char *stage_path; /* where the external mounts wait, in CRIU's mount namespace */
	const char *image_path, *work_path; /* there */
	struct mount_op image_mount;	    /* of the images, for a user namespace */
	int program;			    /* CRIU */
	bool is_checked;		    /* what was restored was looked at, to its rights */
	int keep[8];			    /* descriptors that CRIU gets */
	size_t keep_n;
};

/* The directory in the state directory on which they are staged. */
#define RESTORE_STAGE  "criu"
#define RESTORE_IMAGES "images"

/* CRIU's, in the work directory. */
#define RESTORE_LOG "restore.log"

/* restore_request.c: fills the request, which names everything by the paths of CRIU's mounts. */
int restore_make_request(struct restore *restore, struct error *err) must_check;

/* restore_images.c: refuses images that ask for what the document does not give. */
int restore_check_images(struct restore *restore, struct error *err) must_check;

/* restore_cgroups.c: the same for the cgroups in them; where there are none, they are ignored. */
int restore_check_cgroups(struct restore *restore, struct error *err) must_check;

/* restore_check.c: refuses a restored container that is not what the document says; before any of
 * it runs.  CRIU gives it its rights last of all. */
int restore_check_container(struct restore *restore, struct error *err) must_check;
int restore_check_rights(const struct restore *restore, struct error *err) must_check;

/* restore_child.c: becomes CRIU, with mounts of its own; does not return. */
void restore_child_main(struct restore *restore) never_returns;
