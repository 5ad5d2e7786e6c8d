/* `creel checkpoint`: saves the processes of a container in files. */
#include "cmd_checkpoint.h"

#include <creel/error.h>

#define SHARED struct criu_options

const struct option_row criu_rows[] = {
	O_STRING(SHARED, image_path, NULL, "image-path", "DIR",
		 "directory of the images (default: checkpoint)", .group = "Files"),
	O_STRING(SHARED, work_path, NULL, "work-path", "DIR",
		 "directory of CRIU's log (default: that of the images)"),
	O_STRING(SHARED, parent_path, NULL, "parent-path", "DIR",
		 "images of the pre-dump before, relative to the images"),
	O_FLAG(SHARED, tcp_established, NULL, "tcp-established",
	       "keep TCP connections that are open", .group = "What CRIU would refuse"),
	O_FLAG(SHARED, tcp_close, NULL, "tcp-close", "close TCP connections that are open"),
	O_FLAG(SHARED, tcp_skip_in_flight, NULL, "tcp-skip-in-flight",
	       "forget TCP connections that are not yet open"),
	O_FLAG(SHARED, ext_unix_sk, NULL, "ext-unix-sk", "allow Unix sockets to the outside"),
	O_FLAG(SHARED, shell_job, NULL, "shell-job", "allow a terminal of the outside"),
	O_FLAG(SHARED, file_locks, NULL, "file-locks", "keep file locks"),
	O_FLAG(SHARED, link_remap, NULL, "link-remap", "link unlinked files back"),
	O_CHOICE(SHARED, cgroups, NULL, "manage-cgroups-mode", "soft|full|strict|ignore",
		 criu_cgroups_names, "what happens to the cgroups inside", .group = "How"),
	O_CHOICE(SHARED, network_lock, NULL, "network-lock", "iptables|nftables|skip",
		 criu_network_lock_names, "how the network is held still"),
	O_LIST(SHARED, empty_ns, NULL, "empty-ns", "NAMESPACE",
	       "leave what is in a namespace (network) to others (repeatable)"),
};

_Static_assert(ARRAY_SIZE(criu_rows) == CRIU_ROWS_N, "the header counts the rows");

#define ARGUMENTS struct checkpoint_options

static const struct option_row checkpoint_rows[] = {
	O_FLAG(ARGUMENTS, leave_running, NULL, "leave-running", "let the processes go on",
	       .group = "Checkpoint"),
	O_FLAG(ARGUMENTS, pre_dump, NULL, "pre-dump",
	       "save memory only, and let the processes go on"),
	O_FLAG(ARGUMENTS, criu.lazy_pages, NULL, "lazy-pages",
	       "keep memory, and serve it over the network"),
	O_INT(ARGUMENTS, status_fd, NULL, "status-fd", "FD",
	      "write a NUL byte to FD when memory can be asked for"),
	O_STRING(ARGUMENTS, page_server, NULL, "page-server", "ADDRESS:PORT",
		 "where memory is sent to, or asked for"),
	O_FLAG(ARGUMENTS, criu.auto_dedup, NULL, "auto-dedup",
	       "drop memory from earlier images that later ones have"),
};

/* The number that engines use must not become one of our own, when nothing is there.  What is above
 * it stays open as well, but need not be next to it. */
static unsigned int passed_fds(const void *options)
{
	const struct checkpoint_options *arguments = options;

	return arguments->status_fd.set && arguments->status_fd.value == 3 ? 1 : 0;
}

static int run(struct cli *cli, struct error *err)
{
	struct checkpoint_options options = *(const struct checkpoint_options *)cli->options;

	options.id = cli->arguments.items[0];
	if (options.status_fd.value < 0)
		options.status_fd.set = false;
	return verb_checkpoint(&cli->runtime, &options, err);
}

const struct command command_checkpoint = {
	.name = "checkpoint",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Save the processes of a container in files",
	.example = "creel checkpoint --image-path /var/tmp/web web\n"
		   "creel restore --image-path /var/tmp/web --bundle /srv/web --detach web",
	.options = { .tables = { { .rows = criu_rows, .n = CRIU_ROWS_N },
				 OPTION_TABLE(checkpoint_rows) } },
	.options_size = sizeof(ARGUMENTS),
	.least = 1,
	.most = 1,
	.needs = NEEDS_HOST | NEEDS_ROOT,
	.passed_fds = passed_fds,
	.run = run,
};
