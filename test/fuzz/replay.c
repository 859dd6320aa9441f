/*
 * Runs a fuzz target over files instead of generated input, so that a corpus serves as a regression
 * test with any compiler. Each argument is a file, or a directory whose regular files are all run,
 * in an order that does not depend on the file system.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	uint8_t *data;
	size_t data_bytes;

	if (file == NULL || fstat(fileno(file), &status) != 0) {
		perror(path);
		return -1;
	}
	/* Exactly sized, so that a sanitizer sees the first byte read past the end. */
	data_bytes = (size_t)status.st_size;
	data = malloc(data_bytes);
	if ((data == NULL && data_bytes > 0) || fread(data, 1, data_bytes, file) != data_bytes) {
		perror(path);
		free(data);
		fclose(file);
		return -1;
	}
	fclose(file);
	(void)LLVMFuzzerTestOneInput(data, data_bytes);
	free(data);
	return 0;
}

static int replay_directory(const char *path, unsigned *replayed_count)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);
	int error = 0;

	if (count < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		char name[PATH_MAX];

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.') {
			error |= replay_file(name);
			*replayed_count += 1;
		}
		free(entries[i]);
	}
	free(entries);
	return error;
}

int main(int argc, char **argv)
{
	unsigned replayed_count = 0;
	int error = 0;

	/* An empty input is in every corpus. */
	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		struct stat status;

		if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)) {
			error |= replay_directory(argv[i], &replayed_count);
			continue;
		}
		error |= replay_file(argv[i]);
		replayed_count++;
	}
	printf("%u inputs replayed\n", replayed_count);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
