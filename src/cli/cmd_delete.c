/* `creel delete`: removes what create made. */
#include <creel/cli.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <creel/error.h>
#include <creel/verbs.h>

struct delete_arguments {
	bool force, regex;
};

static const struct option_row delete_rows[] = {
	O_FLAG(struct delete_arguments, force, "f", "force",
	       "kill it first when it lives; no error when there is none", .group = "Options"),
	O_FLAG(struct delete_arguments, regex, "r", "regex",
	       "ID is a regular expression: every container that it matches"),
};

static bool is_gone(const struct cli *cli, const char *id)
{
	struct stat st;

	return cli->runtime.root < 0 ||
	       fstatat(cli->runtime.root, id, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

static int delete_one(struct cli *cli, const char *id, struct error *err)
{
	const struct delete_arguments *arguments = cli->options;

	if (verb_delete(&cli->runtime, id, arguments->force, err) == 0)
		return 0;
	/* Engines call it to be sure, also when create never came so far, or another delete was
	 * faster. */
	if ((!arguments->force && !arguments->regex) || err->kind != ERROR_STATE ||
	    !is_gone(cli, id))
		return -1;
	error_ignore(err, "what was to be deleted is not there");
	*err = (struct error){ 0 };
	return 0;
}

static int run(struct cli *cli, struct error *err)
{
	const struct delete_arguments *arguments = cli->options;
	const char *id = cli->arguments.items[0];

	return arguments->regex ? cli_each_matching(cli, id, delete_one, err)
				: delete_one(cli, id, err);
}

const struct command command_delete = {
	.name = "delete",
	.arguments = "ID",
	.words = { WORDS_IDS },
	.purpose = "Remove a container that is stopped or was never started",
	.example = "creel delete web\ncreel delete --force web",
	.options = { .tables = { OPTION_TABLE(delete_rows) } },
	.options_size = sizeof(struct delete_arguments),
	.least = 1,
	.most = 1,
	.needs = NEEDS_PLACE | NEEDS_ROOT,
	.run = run,
};
