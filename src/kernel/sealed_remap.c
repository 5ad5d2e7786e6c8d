/*
 * Moves the running program onto another descriptor of its own file, without executing it again:
 * every page that is mapped from the file is mapped anew from there, and the kernel is told that
 * this is now the program (/proc/self/exe).  It is what criu(8) does at the end of a restore.
 *
 * An exec of our own binary costs a tenth of a whole `run`: this costs a fifth of that.
 */
#include "sealed_parts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <creel/log.h>
#include <creel/procfs.h>
#include <creel/text.h>

#define STAT_SIZE 1024

/* The program headers of the running program, and by how much it was moved from the addresses in
 * them. */
struct image {
	const ElfW(Phdr) * headers;
	size_t n;
	uintptr_t base;
	uintptr_t page;
};

/* The linker's name for where the file begins in memory; a static program has no other. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static struct image find_image(void)
{
	struct image image = {
		.headers = (const ElfW(Phdr) *)((const char *)&__ehdr_start + __ehdr_start.e_phoff),
		.n = __ehdr_start.e_phnum,
		.page = getauxval(AT_PAGESZ),
	};

	for (size_t i = 0; i < image.n; i++)
		if (image.headers[i].p_type == PT_LOAD && image.headers[i].p_offset == 0)
			image.base = (uintptr_t)&__ehdr_start - image.headers[i].p_vaddr;
	return image;
}

static int protection(ElfW(Word) flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

/* One system call swaps pages for equal ones of the same file, so even the code that makes the call
 * may lie in them. */
static bool remap_constant(char *start, size_t size, const ElfW(Phdr) * segment, size_t head,
			   int fd)
{
	return mmap(start, size, protection(segment->p_flags), MAP_PRIVATE | MAP_FIXED, fd,
		    (off_t)(segment->p_offset - head)) == start;
}

/*
 * Variables are not what the file says any more: their pages are copied, and the copy is moved into
 * their place.  Nothing may write to them between the two calls, and only a call that fails writes
 * errno, which may be one of them.  The kernel does the copying, since to a sanitizer the gaps
 * between variables are out of bounds.
 */
static bool remap_variables(char *start, size_t size)
{
	/* All pages are written next: populated they cost one fault. */
	char *copy = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	const struct iovec from = { .iov_base = start, .iov_len = size };
	const struct iovec to = { .iov_base = copy, .iov_len = size };

	if (copy == MAP_FAILED)
		return false;
	if (syscall(SYS_process_vm_readv, getpid(), &to, 1UL, &from, 1UL, 0UL) != (long)size)
		return false;
	return mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start) == start;
}

static bool remap_segment(const struct image *image, const ElfW(Phdr) * segment, int fd)
{
	uintptr_t begin = image->base + segment->p_vaddr;
	size_t head = begin & (image->page - 1);
	size_t size = (head + segment->p_filesz + image->page - 1) & ~(image->page - 1);
	char *start = (char *)(begin - head);

	if (segment->p_filesz == 0)
		return true;
	if (segment->p_flags & PF_W)
		return remap_variables(start, size);
	return remap_constant(start, size, segment, head, fd);
}

/* The dynamic linker made these read-only when it was done with them (RELRO); so must the copy be.
 */
static bool protect_relocated(const struct image *image, const ElfW(Phdr) * segment)
{
	uintptr_t begin = (image->base + segment->p_vaddr) & ~(image->page - 1);
	uintptr_t end = (image->base + segment->p_vaddr + segment->p_memsz) & ~(image->page - 1);

	return end <= begin || mprotect((void *)begin, end - begin, PROT_READ) == 0;
}

static bool remap_segments(const struct image *image, int fd)
{
	for (size_t i = 0; i < image->n; i++)
		if (image->headers[i].p_type == PT_LOAD &&
		    !remap_segment(image, &image->headers[i], fd))
			return false;
	for (size_t i = 0; i < image->n; i++)
		if (image->headers[i].p_type == PT_GNU_RELRO &&
		    !protect_relocated(image, &image->headers[i]))
			return false;
	return true;
}

/* prctl(2) wants the whole memory map said again; only the program in it changes. */
static bool read_map(int procfs, struct prctl_mm_map *map)
{
	/* Fields 26 to 28 and 45 to 51 of /proc/PID/stat, in this order (proc(5)). */
	static const int fields[] = { 26, 27, 28, 45, 46, 47, 48, 49, 50, 51 };
	uint64_t values[ARRAY_SIZE(fields)];
	char text[STAT_SIZE];
	ssize_t n = procfs_read(procfs, "self/stat", text, sizeof(text));
	char *rest = n > 0 ? strrchr(text, ')') : NULL;
	size_t found = 0;

	if (!rest || rest[1] != ' ')
		return false;
	rest += 2;
	for (int field = 3; rest && found < ARRAY_SIZE(fields); field++) {
		const char *word = strsep(&rest, " ");

		if (field == fields[found] && text_parse_uint(word, UINT64_MAX, &values[found]))
			found++;
	}
	*map = (struct prctl_mm_map){
		.start_code = values[0],
		.end_code = values[1],
		.start_stack = values[2],
		.start_data = values[3],
		.end_data = values[4],
		.start_brk = values[5],
		.arg_start = values[6],
		.arg_end = values[7],
		.env_start = values[8],
		.env_end = values[9],
		.brk = (uintptr_t)sbrk(0),
	};
	return found == ARRAY_SIZE(fields);
}

bool sealed_remap(int procfs, int fd)
{
	const struct image image = find_image();
	struct prctl_mm_map map;

	/* Asked before anything is changed: without it there is no use in going on. */
	if (!read_map(procfs, &map))
		return false;
	if (!remap_segments(&image, fd)) {
		log_debug("cannot map creel from its read-only clone: %s", strerror(errno));
		return false;
	}
	map.exe_fd = (uint32_t)fd;
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0) {
		log_debug("cannot become the read-only clone of creel: %s", strerror(errno));
		return false;
	}
	return true;
}
