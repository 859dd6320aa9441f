/*
 * Whole associations in memory, from a seed: several hosts use several subsystems over connections
 * that are slow, late, cut, reset and damaged, on stores that are slow and fail, and must find what
 * was acknowledged. The same seed gives the same run.
 *
 * usage: association SEED          run one seed and say what came of it
 *        association SEED COUNT    run COUNT seeds from SEED on
 *        association SEED COUNT twice    run each of them twice, which must leave the same trace
 *
 * Seeds run in other processes, many in each, so that the seed can be told however a run ends.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/association/world.h"

#define BATCH_SEEDS 50

/* What this process and the ones it makes see. */
struct progress {
	uint64_t begun_count; /* seeds of the batch */
};

struct run {
	const char *program;
	bool is_twice;
	struct progress *progress;
	unsigned failed_count;
};

static void run_seed(uint64_t seed, bool is_twice)
{
	uint64_t trace = world_run(seed, false);

	if (is_twice && world_run(seed, false) != trace) {
		fprintf(stderr, "seed %" PRIu64 ": the second run is not like the first\n", seed);
		abort();
	}
}

/* Run @count seeds in a process. @return whether all are right; else progress tells how far it came. */
static bool run_apart(const struct run *run, uint64_t seed, uint64_t count)
{
	pid_t child;
	int status = 0;

	run->progress->begun_count = 0;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		for (uint64_t i = 0; i < count; i++) {
			run->progress->begun_count = i + 1;
			run_seed(seed + i, run->is_twice);
		}
		exit(EXIT_SUCCESS);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void report(struct run *run, uint64_t seed)
{
	run->failed_count++;
	fprintf(stderr, "seed %" PRIu64 " failed; to run it again: %s %" PRIu64 "%s\n", seed,
		run->program, seed, run->is_twice ? " 1 twice" : "");
}

/* After all of them have run: one of them has leaked something, and says so alone. */
static void find_leaks(struct run *run, uint64_t seed, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (!run_apart(run, seed + i, 1))
			report(run, seed + i);
}

static void run_batch(struct run *run, uint64_t seed, uint64_t count)
{
	while (count > 0 && !run_apart(run, seed, count)) {
		uint64_t begun = run->progress->begun_count;

		if (begun == count) {
			find_leaks(run, seed, count);
			return;
		}
		begun = begun > 0 ? begun : 1;
		report(run, seed + begun - 1);
		seed += begun;
		count -= begun;
	}
}

static int run_many(struct run *run, uint64_t seed, uint64_t count)
{
	run->progress = mmap(NULL, sizeof(*run->progress), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->progress == MAP_FAILED) {
		perror("mmap");
		return EXIT_FAILURE;
	}
	for (uint64_t i = 0; i < count; i += BATCH_SEEDS)
		run_batch(run, seed + i, count - i < BATCH_SEEDS ? count - i : BATCH_SEEDS);
	printf("%" PRIu64 " seeds from %" PRIu64 ", %u failed\n", count, seed, run->failed_count);
	(void)munmap(run->progress, sizeof(*run->progress));
	return run->failed_count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct run run = {.program = argv[0]};
	uint64_t seed;

	run.is_twice = argc == 4 && strcmp(argv[3], "twice") == 0;
	if (argc < 2 || argc > 4 || (argc == 4 && !run.is_twice)) {
		fprintf(stderr, "usage: %s SEED [COUNT [twice]]\n", argv[0]);
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	if (argc > 2)
		return run_many(&run, seed, strtoull(argv[2], NULL, 10));
	(void)world_run(seed, true);
	return EXIT_SUCCESS;
}
