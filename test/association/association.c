/*
 * Whole associations in memory, from a seed: several hosts read, write and flush over connections
 * that are slow, late, cut and reset, and must find what was acknowledged. The same seed gives the
 * same run.
 *
 * usage: association SEED [COUNT]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/association/world.h"

/* A process for each seed, so that the seed can be told however the run ends. */
static bool run_apart(uint64_t seed)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0) {
		perror("fork");
		return false;
	}
	if (child == 0) {
		world_run(seed, false);
		exit(EXIT_SUCCESS);
	}
	if (waitpid(child, &status, 0) == child && status == 0)
		return true;
	fprintf(stderr, "seed %" PRIu64 " failed; to run it again: association %" PRIu64 "\n", seed,
		seed);
	return false;
}

int main(int argc, char **argv)
{
	uint64_t seed, count;
	bool is_right = true;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: association SEED [COUNT]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	count = argc == 3 ? strtoull(argv[2], NULL, 10) : 1;
	if (count == 1) {
		world_run(seed, true);
		return EXIT_SUCCESS;
	}
	for (uint64_t i = 0; i < count; i++)
		is_right = run_apart(seed + i) && is_right;
	printf("%" PRIu64 " seeds\n", count);
	return is_right ? EXIT_SUCCESS : EXIT_FAILURE;
}
