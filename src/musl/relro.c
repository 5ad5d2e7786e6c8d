/* musl relocates a static program, but leaves writable what should be so only until then. */
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker's name for where the file begins in memory. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static _Noreturn void give_up(void)
{
	static const char text[] = "creel: cannot make read-only what was relocated\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(1);
	_exit(1);
}

/* As the C library of any other program does it: whole pages only, and before main(). */
__attribute__((constructor)) static void protect_relocated(void)
{
	const char *image = (const char *)&__ehdr_start;
	const ElfW(Phdr) *headers = (const ElfW(Phdr) *)(image + __ehdr_start.e_phoff);
	uintptr_t mask = ~(getauxval(AT_PAGESZ) - 1);

	for (size_t i = 0; i < __ehdr_start.e_phnum; i++) {
		uintptr_t start = (uintptr_t)image + headers[i].p_vaddr;

		if (headers[i].p_type == PT_GNU_RELRO &&
		    mprotect((void *)(start & mask),
			     ((start + headers[i].p_memsz) & mask) - (start & mask), PROT_READ) < 0)
			give_up();
	}
}
