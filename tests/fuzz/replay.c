/*
 * Runs a fuzz target over the files of some directories, without a fuzzer: what was found once must
 * never come back, whatever the compiler.
 */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

#define INPUT_MAX ((size_t)1 << 20)

/* Only in targets that need something made. */
extern __attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static size_t replay_file(const char *directory, const char *name)
{
	char path[1024];
	uint8_t *data = malloc(INPUT_MAX), *exact;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file || !data) {
		perror(path);
		exit(2);
	}
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* Of the exact size, so that the sanitizer sees one byte more. */
	exact = malloc(size ? size : 1);
	if (!exact)
		exit(2);
	memcpy(exact, data, size);
	free(data);
	/* A crash says which input it was. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 1;
}

static size_t replay_directory(const char *directory)
{
	DIR *stream = opendir(directory);
	size_t n = 0;

	/* A target may have no findings yet. */
	if (!stream)
		return 0;
	for (const struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
		if (entry->d_name[0] != '.')
			n += replay_file(directory, entry->d_name);
	closedir(stream);
	return n;
}

int main(int argc, char **argv)
{
	size_t n = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		n += replay_directory(argv[i]);
	printf("%zu inputs\n", n);
	/* Without inputs it would prove nothing. */
	return n > 0 ? 0 : 1;
}
