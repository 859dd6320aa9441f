/*
 * Runs a fuzz target over files instead of generated input, so that a corpus serves as a regression
 * test with any compiler. Each argument is a file, or a directory whose regular files are all run,
 * in an order that does not depend on the file system.
 *
 * An input whose name begins with "deep-" must reach what lies deepest, if the target can tell: it
 * then has fuzz_is_deep(), and a corpus without such an input is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

/* @return whether the last input came to where the target's head says. */
bool fuzz_is_deep(void) __attribute__((weak));

#define DEEP_PREFIX "deep-"

struct replay {
	unsigned input_count, deep_count;
};

static bool is_named_deep(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	return fuzz_is_deep != NULL && strncmp(name, DEEP_PREFIX, strlen(DEEP_PREFIX)) == 0;
}

static int replay_file(struct replay *replay, const char *path)
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
	replay->input_count++;
	if (!is_named_deep(path))
		return 0;
	replay->deep_count++;
	if (fuzz_is_deep())
		return 0;
	fprintf(stderr, "%s: does not reach what its name says\n", path);
	return -1;
}

static int replay_directory(struct replay *replay, const char *path)
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
		if (entries[i]->d_name[0] != '.')
			error |= replay_file(replay, name);
		free(entries[i]);
	}
	free(entries);
	return error;
}

int main(int argc, char **argv)
{
	struct replay replay = {0};
	int error = 0;

	/* An empty input is in every corpus. */
	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		struct stat status;

		if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode)) {
			error |= replay_directory(&replay, argv[i]);
			continue;
		}
		error |= replay_file(&replay, argv[i]);
	}
	printf("%u inputs replayed, %u of them deep\n", replay.input_count, replay.deep_count);
	if (fuzz_is_deep != NULL && replay.deep_count == 0) {
		fprintf(stderr, "no input of the corpus is named " DEEP_PREFIX "...\n");
		error = -1;
	}
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
