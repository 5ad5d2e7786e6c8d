/* Looks up names and numbers in the generated table of system calls. */
#include "syscall_table.h"

#include <creel/compiler.h>
#include <string.h>

uint32_t syscall_arch_token(const char *name)
{
	for (size_t i = 0; i < syscall_archs_n; i++)
		if (strcmp(syscall_archs[i].name, name) == 0)
			return syscall_archs[i].token;
	return 0;
}

uint32_t syscall_arch_native(void)
{
	return syscall_arch_token(NATIVE_ARCH);
}

static const struct syscall_arch *find_arch(uint32_t token)
{
	for (size_t i = 0; i < syscall_archs_n; i++)
		if (syscall_archs[i].token == token)
			return &syscall_archs[i];
	return NULL;
}

/* The row of NAME, or syscall_names_n. */
static size_t find_name(const char *name)
{
	size_t low = 0, high = syscall_names_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, &syscall_names[syscall_starts[middle]]);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return syscall_names_n;
}

int64_t syscall_number(uint32_t token, const char *name)
{
	const struct syscall_arch *arch = find_arch(token);
	size_t row = find_name(name);
	int64_t stored;

	if (!arch || row == syscall_names_n)
		return -1;
	stored = syscall_numbers[row * syscall_archs_n + (size_t)(arch - syscall_archs)];
	if (stored < 0)
		return -1;
	if (stored >= SYSCALL_FAR_STORED)
		stored += SYSCALL_FAR - SYSCALL_FAR_STORED;
	return stored + arch->base;
}

int syscall_behind(const char *name)
{
	size_t row = find_name(name);

	return row < syscall_names_n ? syscall_behinds[row] : 0;
}

bool syscall_is_known(const char *name)
{
	return find_name(name) < syscall_names_n;
}
