/*
 * Writes the table of syscall_table.h as C, from the libseccomp of the machine that builds creel.
 * It runs during the build only.
 *
 * libseccomp tells the name of a number but has no list of names: every number that any
 * architecture may use is asked for.
 */
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syscall_table.h"

#define NAMES_MAX 2048

/* In the spelling of seccomp_arch_resolve_name(3); one that this libseccomp lacks is left out. */
static const char *const arch_names[] = {
	"x86",	       "x86_64", "x32",	   "arm",	"aarch64", "loongarch64",
	"m68k",	       "mips",	 "mips64", "mips64n32", "mipsel",  "mipsel64",
	"mipsel64n32", "ppc",	 "ppc64",  "ppc64le",	"s390",	   "s390x",
	"sh",	       "sheb",	 "parisc", "parisc64",	"riscv64",
};
#define ARCHS_MAX (sizeof(arch_names) / sizeof(arch_names[0]))

/* Where the numbers of the architectures lie, above their base. */
static const struct window {
	int first, last;
} windows[] = {
	{ 0, 1200 },		  /* everybody's */
	{ 4000, 7000 },		  /* the three ABIs of MIPS */
	{ SYSCALL_FAR, 0xf0010 }, /* ARM's private ones */
};
/* Calls behind socketcall and ipc have pseudo numbers, the same on every architecture. */
static const struct window behind = { -299, -100 };

struct table {
	struct syscall_arch archs[ARCHS_MAX];
	size_t archs_n;
	struct name {
		char *text;
		int behind;
		int numbers[ARCHS_MAX];
	} names[NAMES_MAX];
	size_t names_n;
};

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "syscall_table_make: %s: %s\n", what, which);
	exit(1);
}

static void find_archs(struct table *table)
{
	for (size_t i = 0; i < ARCHS_MAX; i++) {
		struct syscall_arch *arch = &table->archs[table->archs_n];
		uint32_t token = seccomp_arch_resolve_name(arch_names[i]);

		if (token == 0)
			continue;
		snprintf(arch->name, sizeof(arch->name), "%s", arch_names[i]);
		arch->token = token;
		arch->base = token == SCMP_ARCH_X32 ? 0x40000000 : 0;
		table->archs_n++;
	}
}

static struct name *name_of(struct table *table, const char *text)
{
	struct name *name = table->names;

	for (size_t i = 0; i < table->names_n; i++, name++)
		if (strcmp(name->text, text) == 0)
			return name;
	if (table->names_n++ == NAMES_MAX)
		fail("too many names", text);
	name->text = strdup(text);
	for (size_t a = 0; a < ARCHS_MAX; a++)
		name->numbers[a] = -1;
	return name;
}

/* What fits in 16 bits. */
static int stored_number(int number)
{
	return number < SYSCALL_FAR ? number : number - SYSCALL_FAR + SYSCALL_FAR_STORED;
}

static void scan_behind(struct table *table, uint32_t token)
{
	for (int n = behind.first; n <= behind.last; n++) {
		char *text = seccomp_syscall_resolve_num_arch(token, n);

		if (text)
			name_of(table, text)->behind = -n;
		free(text);
	}
}

static void scan(struct table *table, size_t a, const struct window *window)
{
	const struct syscall_arch *arch = &table->archs[a];

	for (int n = window->first; n <= window->last; n++) {
		char *text = seccomp_syscall_resolve_num_arch(arch->token, (int)arch->base + n);

		if (text)
			name_of(table, text)->numbers[a] = stored_number(n);
		free(text);
	}
}

static int compare_names(const void *left, const void *right)
{
	const struct name *a = left;
	const struct name *b = right;

	return strcmp(a->text, b->text);
}

static void find_names(struct table *table)
{
	for (size_t a = 0; a < table->archs_n; a++) {
		scan_behind(table, table->archs[a].token);
		for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++)
			scan(table, a, &windows[w]);
	}
	qsort(table->names, table->names_n, sizeof(table->names[0]), compare_names);
}

static void write_archs(const struct table *table)
{
	printf("const struct syscall_arch syscall_archs[] = {\n");
	for (size_t a = 0; a < table->archs_n; a++)
		printf("\t{ \"%s\", 0x%x, 0x%x },\n", table->archs[a].name, table->archs[a].token,
		       table->archs[a].base);
	printf("};\nconst size_t syscall_archs_n = %zu;\n", table->archs_n);
}

static void write_names(const struct table *table)
{
	size_t at = 0;

	printf("const char syscall_names[] =\n");
	for (size_t i = 0; i < table->names_n; i++)
		printf("\t\"%s\\0\"\n", table->names[i].text);
	printf(";\nconst uint16_t syscall_starts[] = {\n");
	for (size_t i = 0; i < table->names_n; i++) {
		printf("\t%zu,\n", at);
		at += strlen(table->names[i].text) + 1;
	}
	if (at > UINT16_MAX)
		fail("more text than 16 bits can point into", "names");
	printf("};\nconst size_t syscall_names_n = %zu;\n", table->names_n);
}

static void write_numbers(const struct table *table)
{
	printf("const uint8_t syscall_behinds[] = {\n");
	for (size_t i = 0; i < table->names_n; i++)
		printf("\t%d,\n", table->names[i].behind);
	printf("};\nconst int16_t syscall_numbers[] = {\n");
	for (size_t i = 0; i < table->names_n; i++) {
		for (size_t a = 0; a < table->archs_n; a++)
			printf("%d,", table->names[i].numbers[a]);
		printf(" /* %s */\n", table->names[i].text);
	}
	printf("};\n");
}

int main(void)
{
	static struct table table;
	const struct scmp_version *version = seccomp_version();

	find_archs(&table);
	find_names(&table);
	printf("/* Made by syscall_table_make.c from libseccomp %u.%u.%u. */\n"
	       "#include \"syscall_table.h\"\n\nconst char syscall_source[] = \"%u.%u.%u\";\n",
	       version->major, version->minor, version->micro, version->major, version->minor,
	       version->micro);
	write_archs(&table);
	write_names(&table);
	write_numbers(&table);
	return fflush(stdout) == 0 ? 0 : 1;
}
