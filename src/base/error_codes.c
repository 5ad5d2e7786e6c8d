/* Looks up the pages of the stable codes: by number, in order, and from what somebody typed. */
#include <creel/error_codes.h>

#include "error_pages.h"

#include <creel/error.h>
#include <creel/text.h>
#include <string.h>
#include <strings.h>

const struct error_theme error_themes[] = {
	{ 1000, 1999, "The command line" },
	{ 2000, 2999, "The document" },
	{ 3000, 3999, "What the host does not have" },
	{ 4000, 4999, "The state of the container" },
	{ 5000, 5099, "The program to execute" },
	{ 5100, 5199, "Mounts and the root filesystem" },
	{ 5200, 5299, "Cgroups" },
	{ 5300, 5399, "Namespaces and ids" },
	{ 5400, 5499, "Settings of the process" },
	{ 5500, 5699, "Hooks and the course of a command" },
	{ 5700, 5799, "Checkpoint and restore" },
};

const size_t error_themes_n = ARRAY_SIZE(error_themes);

const struct error_page *error_page_at(size_t i)
{
	const struct {
		const struct error_page *pages;
		size_t n;
	} parts[] = {
		{ error_pages_document, error_pages_document_n },
		{ error_pages_host, error_pages_host_n },
		{ error_pages_system, error_pages_system_n },
		{ error_pages_process, error_pages_process_n },
	};

	for (size_t part = 0; part < ARRAY_SIZE(parts); part++) {
		if (i < parts[part].n)
			return &parts[part].pages[i];
		i -= parts[part].n;
	}
	return NULL;
}

const struct error_page *error_page_find(int code)
{
	const struct error_page *page;

	for (size_t i = 0; (page = error_page_at(i)); i++)
		if ((int)page->code == code)
			return page;
	return NULL;
}

bool error_code_parse(const char *text, int *code)
{
	uint64_t number;

	if (strncasecmp(text, "CRL-", 4) == 0)
		text += 4;
	if (strlen(text) != 4 || !text_parse_uint(text, 9999, &number))
		return false;
	*code = (int)number;
	return true;
}

int error_code_of(const struct error *err)
{
	return err->code ? err->code : (int)err->kind * 1000;
}
