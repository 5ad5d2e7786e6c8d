/*
 * The error value.  It is flat and owns no memory, so that it cannot leak, cannot fail with out of
 * memory, and crosses a socket from one process of creel to another as it is.
 *
 * Every function that can fail takes `struct error *err` last and returns 0/-1 (or a
 *descriptor/-1). The constructors return -1, so that a failure is one statement:
 *
 *	return error_system(err, errno, "cannot open the bundle %s", path);
 *
 * A message is a sentence about the goal: no errno text, no program name, no full stop.
 */
#pragma once

#include <creel/compiler.h>
#include <creel/error_codes.h>
#include <stdbool.h>
#include <stddef.h>

/* What went wrong, which decides how the program behaves. */
enum error_kind {
	ERROR_NONE,   /* no error: what a zeroed struct error is */
	ERROR_USAGE,  /* the command line is wrong */
	ERROR_CONFIG, /* a document (config.json, a process file ...) is wrong; WHERE says what */
	ERROR_UNSUPPORTED, /* understood, but this host or this build cannot do it */
	ERROR_STATE,	   /* the container is not in a state that allows it */
	ERROR_SYSTEM,	   /* a system call failed; ERRNUM says why */
};

struct error {
	enum error_kind kind;
	int errnum;	   /* errno, or 0 */
	int code;	   /* the stable number of CRL-nnnn, or 0: then the kind's own */
	unsigned int line; /* of the document, from 1; 0 when unknown */
	unsigned int column;
	char call[24];	 /* the system call that failed, or "" */
	char where[160]; /* JSON pointer into config.json ("/mounts/7/source"), or "" */
	char file[128];	 /* the document that WHERE points into, or "": config.json */
	char what[512];	 /* the sentence; context is prepended on the way up: "a: b: c" */
	char hint[320];	 /* what to do about it, or "" */
};

/*
 * A place in a document while it is decoded: a linked list on the C stack, turned into text only
 * when there is an error.
 */
struct where {
	const struct where *up; /* NULL at the document's root */
	const char *key;	/* the member, or NULL: then INDEX counts in a list */
	size_t index;
};

#define AT_KEY(up_, key_)     (&(const struct where){ .up = (up_), .key = (key_) })
#define AT_INDEX(up_, index_) (&(const struct where){ .up = (up_), .index = (index_) })

/* Writes AT as an RFC 6901 JSON pointer into TEXT ("" for the root), cut at SIZE. */
void where_text(const struct where *at, char *text, size_t size);

/* The constructors.  All overwrite *ERR and return -1. */
int error_usage(struct error *err, const char *format, ...) printf_like(2, 3);
int error_config(struct error *err, const struct where *at, const char *format, ...)
    printf_like(3, 4);
/* The same with a pointer that is text already; POINTER may be NULL. */
int error_config_at(struct error *err, const char *pointer, const char *format, ...)
    printf_like(3, 4);
int error_unsupported(struct error *err, const char *format, ...) printf_like(2, 3);
int error_state(struct error *err, const char *format, ...) printf_like(2, 3);
int error_system(struct error *err, int errnum, const char *format, ...) printf_like(3, 4);

/* The decorators.  They keep what is there and return -1 too, so that they can end a function. */
int error_while(struct error *err, const char *format, ...)
    printf_like(2, 3);							      /* prepends "...: " */
int error_hint(struct error *err, const char *format, ...) printf_like(2, 3); /* sets the hint */
int error_call(struct error *err, const char *call);  /* names the system call, if none is named */
int error_at(struct error *err, const char *pointer); /* sets WHERE, if none is set; NULL is fine */
int error_code(struct error *err, enum crl code);     /* sets the stable code, if none is set */

/* The last one, around a constructor, so that a failure that has a code stays one statement:
 *
 *	return error_coded(err, CRL_BUNDLE, error_system(err, errno, "cannot open ..."));
 */
static inline int error_coded(struct error *err, enum crl code, int result)
{
	(void)result;
	return error_code(err, code);
}

/* Dropping an error is said aloud: the text goes to the debug log with REASON. */
void error_ignore(struct error *err, const char *reason);

/* Copies TEXT with everything that could steer a terminal replaced (control bytes, DEL, C1, broken
 * UTF-8 become '?'), cut at SIZE.  For strings that a container or a document chose. */
void error_clean_text(char *to, size_t size, const char *text);
