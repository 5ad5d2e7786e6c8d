/* Commands for many containers at once: those whose ids match a regular expression. */
#include <creel/cli.h>

#include <regex.h>

#include <creel/error.h>
#include <creel/log.h>

static int compile(const char *pattern, regex_t *regex, struct error *err)
{
	char why[128];
	int result = regcomp(regex, pattern, REG_EXTENDED | REG_NOSUB);

	if (result == 0)
		return 0;
	regerror(result, regex, why, sizeof(why));
	return error_usage(err, "\"%s\" is no regular expression: %s", pattern, why);
}

static int try_one(struct cli *cli, const char *id,
		   int (*action)(struct cli *cli, const char *id, struct error *err),
		   struct error *first)
{
	struct error err = { 0 };

	if (action(cli, id, &err) == 0)
		return 0;
	if (first->kind != ERROR_NONE)
		log_warning("%s", err.what);
	else
		*first = err;
	return -1;
}

int cli_each_matching(struct cli *cli, const char *pattern,
		      int (*action)(struct cli *cli, const char *id, struct error *err),
		      struct error *err)
{
	struct strings ids = { 0 };
	regex_t regex;
	int result = 0;

	if (compile(pattern, &regex, err) < 0)
		return -1;
	if (container_list(&cli->runtime, &ids, err) < 0)
		result = -1;
	for (size_t i = 0; i < ids.n; i++)
		if (regexec(&regex, ids.items[i], 0, NULL, 0) == 0 &&
		    try_one(cli, ids.items[i], action, err) < 0)
			result = -1;
	regfree(&regex);
	return result;
}
