/* Writes creel-errors(7) from the table of codes: the page and `creel explain` say the same. */
#include <creel/error_codes.h>

#include <stdio.h>
#include <string.h>

/*
 * TEXT as mdoc(7) takes it, a sentence a line: a dot or an apostrophe at the start of a line would
 * be a macro, and a backslash begins an escape.
 */
static void print_text(const char *text, size_t n)
{
	bool start = true;

	for (size_t i = 0; i < n; i++) {
		if (start && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", stdout);
		start = false;
		if (text[i] == '\\') {
			fputs("\\e", stdout);
		} else if (text[i] == ' ' && i > 0 && strchr(".:", text[i - 1]) && i + 1 < n &&
			   text[i + 1] == ' ') {
			putchar('\n');
			start = true;
			i++;
		} else {
			putchar(text[i]);
		}
	}
	putchar('\n');
}

static void print_list(const char *heading, const char *items)
{
	printf(".Pp\n%s:\n.Bl -bullet -compact\n", heading);
	while (*items) {
		size_t n = strcspn(items, "\n");

		printf(".It\n");
		print_text(items, n);
		items += n + (items[n] == '\n');
	}
	printf(".El\n");
}

static void print_page(const struct error_page *page)
{
	printf(".Ss CRL-%d: ", page->code);
	print_text(page->title, strlen(page->title));
	print_text(page->meaning, strlen(page->meaning));
	print_list("Likely causes", page->causes);
	print_list("What to do", page->action);
	printf(".Pp\nExample:\n.Bd -literal -offset indent\n");
	print_text(page->example, strlen(page->example));
	printf(".Ed\n");
}

int main(void)
{
	const struct error_page *page = error_page_at(0);

	printf(".\\\" Written by man/creel-errors.c from src/base/error_pages*.c.\n"
	       ".Dd November 22, 2026\n"
	       ".Dt CREEL-ERRORS 7\n"
	       ".Os\n"
	       ".Sh NAME\n"
	       ".Nm creel-errors\n"
	       ".Nd the error codes of creel\n"
	       ".Sh DESCRIPTION\n"
	       "When\n"
	       ".Xr creel 8\n"
	       "fails, its message ends in a code such as\n"
	       ".Li CRL-2002 ,\n"
	       "which stands for one situation and never changes its meaning.\n"
	       "This page says what each code means, where it usually comes from and what to\n"
	       "do about it;\n"
	       ".Ql creel explain CRL-2002\n"
	       "prints the same for one code.\n"
	       "A code that ends in 00 stands for what has no code of its own.\n"
	       ".Pp\n"
	       "In the JSON log\n"
	       ".Pq Fl -log-format Cm json\n"
	       "the last record has the parts of the message as members of their own:\n"
	       ".Li code ;\n"
	       ".Li pointer ,\n"
	       ".Li file\n"
	       "and\n"
	       ".Li line ,\n"
	       "which say what of the document is meant;\n"
	       ".Li errno\n"
	       "and\n"
	       ".Li syscall ,\n"
	       "where a system call failed; and\n"
	       ".Li hint .\n"
	       "A member that has nothing to say is left out.\n");
	for (size_t t = 0, i = 0; t < error_themes_n; t++) {
		printf(".Sh %s\n", error_themes[t].title);
		for (; page && (int)page->code <= error_themes[t].last; page = error_page_at(++i))
			print_page(page);
	}
	printf(".Sh SEE ALSO\n"
	       ".Xr creel 8 ,\n"
	       ".Xr creel-explain 8\n");
	return ferror(stdout) || fflush(stdout) != 0;
}
