/*
 * Standard streams lead out of the container.  What they were is noted when it is made, since its
 * program may do with its descriptors what it likes; a checkpoint names them to CRIU, and a restore
 * gives its own in their place.
 */
#include "checkpoint_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <creel/error.h>
#include <creel/file.h>
#include <creel/json.h>

#include "create_parts.h"

#define STREAMS_FILE "descriptors.json"
#define STREAMS_MAX  65536

/* Unix98 ptys have the majors 136 to 143. */
static bool is_pty(unsigned int device)
{
	return device >= 136 && device <= 143;
}

/* The name that CRIU has for it; "" for one that it opens again in the container. */
static char *key_of(struct arena *arena, const struct statx *stream)
{
	const struct statx status = *stream;

	if (S_ISFIFO(status.stx_mode))
		return text_format(arena, "pipe:[%llu]", (unsigned long long)status.stx_ino);
	if (S_ISSOCK(status.stx_mode))
		return text_format(arena, "socket:[%llu]", (unsigned long long)status.stx_ino);
	if (S_ISREG(status.stx_mode))
		return text_format(arena, "file[%llx:%llx]", (unsigned long long)status.stx_mnt_id,
				   (unsigned long long)status.stx_ino);
	if (S_ISCHR(status.stx_mode) && is_pty(status.stx_rdev_major))
		return text_format(
		    arena, "tty[%llx:%llx]",
		    (unsigned long long)makedev(status.stx_rdev_major, status.stx_rdev_minor),
		    (unsigned long long)makedev(status.stx_dev_major, status.stx_dev_minor));
	return arena_strdup(arena, "");
}

void create_note_streams(struct create *create)
{
	struct arena *arena = create->runtime->arena;

	for (int i = 0; i < 3; i++) {
		struct statx *stream = &create->streams[i];

		if (statx(i, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, stream) < 0)
			*stream = (struct statx){ .stx_mask = 0 };
		strings_add(arena, &create->container.state.streams, key_of(arena, stream));
	}
	create->streams_known = true;
}

int checkpoint_save_streams(struct arena *arena, const struct strings *streams, int images,
			    struct criu_request *request, struct error *err)
{
	struct json_writer *w = json_writer_new(arena, 0);
	const char *text;
	size_t size;

	json_write_array(w);
	for (size_t i = 0; i < streams->n; i++) {
		char *key = streams->items[i];

		json_write_string(w, key);
		/* Pipes need not be named: CRIU saves them with what is in them. */
		if (text_starts_with(key, "file[") || text_starts_with(key, "tty["))
			strings_add(arena, &request->external, key);
		if (text_starts_with(key, "socket:["))
			strings_add(arena, &request->external,
				    text_format(arena, "unix%s", key + strlen("socket:")));
	}
	json_write_end(w);
	text = json_writer_text(w, &size);
	return file_replace(images, STREAMS_FILE, text, size, 0600, false, err);
}

static bool is_digits(const char *text, const char *digits, const char *end)
{
	size_t n = strspn(text, digits);

	return n > 0 && n < 32 && text_equal(text + n, end);
}

static bool is_two(const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = strspn(text, hex);

	return n > 0 && n < 32 && text[n] == ':' && is_digits(text + n + 1, hex, "]");
}

bool checkpoint_is_stream_key(const char *text)
{
	static const char decimal[] = "0123456789";

	if (text_starts_with(text, "pipe:["))
		return is_digits(text + strlen("pipe:["), decimal, "]");
	if (text_starts_with(text, "socket:["))
		return is_digits(text + strlen("socket:["), decimal, "]");
	if (text_starts_with(text, "file["))
		return is_two(text + strlen("file["));
	if (text_starts_with(text, "tty["))
		return is_two(text + strlen("tty["));
	return false;
}

int checkpoint_read_streams(struct arena *arena, int images, const char *keys[3], struct error *err)
{
	size_t size;
	const char *text = file_read(arena, images, STREAMS_FILE, STREAMS_MAX, &size, err);
	const struct json *list = text ? json_parse(arena, STREAMS_FILE, text, size, err) : NULL;
	size_t n = 0;

	/* Without any the error is another one: that there is no checkpoint. */
	if (!list && err->errnum == ENOENT) {
		error_ignore(err, "no stream needs a replacement");
		return 0;
	}
	if (!list)
		return -1;
	json_each (item, list) {
		if (n < 3 && item->type == JSON_STRING && checkpoint_is_stream_key(item->text))
			keys[n] = item->text;
		n++;
	}
	return 0;
}
