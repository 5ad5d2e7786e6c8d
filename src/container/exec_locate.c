/* Where the process of an exec comes from - the command line, a file, the container's own document
 * - so that an error names that, and not config.json for all of it. */
#include <creel/exec.h>

#include <stdio.h>
#include <string.h>

#include <creel/error.h>
#include <creel/json.h>

static const char prefix[] = "/process";

/* Whether the member at POINTER was given on the command line: no document is to blame then. */
static bool is_from_options(const struct exec_options *options, const char *pointer)
{
	const struct {
		const char *member;
		bool given;
	} members[] = {
		{ "/process/args", true },
		{ "/process/cwd", options->cwd },
		{ "/process/env", options->env.n > 0 },
		{ "/process/user", options->user || options->additional_gids.n > 0 },
		{ "/process/capabilities", options->caps.n > 0 },
		{ "/process/apparmorProfile", options->apparmor_profile },
		{ "/process/selinuxLabel", options->process_label },
		{ "/process/noNewPrivileges", options->no_new_privileges },
		{ "/process/terminal", options->terminal_set },
	};

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (members[i].given && text_starts_with(pointer, members[i].member))
			return true;
	return false;
}

/* The pointers of a process file begin at the process itself: the plan writes them so, what comes
 * after it does not know. */
static void locate_in_file(const struct exec *exec, struct error *err)
{
	char pointer[sizeof(err->where)];
	bool inside = text_starts_with(err->where, prefix);
	const struct json *at;

	snprintf(pointer, sizeof(pointer), "%s", err->where + (inside ? strlen(prefix) : 0));
	at = exec->process_tree ? json_at(exec->process_tree, pointer) : NULL;
	if (!at && !inside)
		return;
	memcpy(err->where, pointer, sizeof(pointer));
	error_clean_text(err->file, sizeof(err->file), exec->options->process_file);
	if (at)
		json_position(exec->process_text, at->offset, &err->line, &err->column);
}

void exec_locate_error(const struct exec *exec, struct error *err)
{
	if (!err->where[0] || err->file[0] || err->line)
		return;
	if (exec->options->process_file)
		locate_in_file(exec, err);
	else if (is_from_options(exec->options, err->where))
		err->where[0] = '\0';
}
