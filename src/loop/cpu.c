/*
 * The affinity mask, cgroup v2's cpu.max, and a ping-pong of two threads over eventfds.
 */
#include "loop/cpu.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define WAKE_ROUNDS 5

static void cleanup_file(FILE **file)
{
	if (*file != NULL)
		(void)fclose(*file);
}

/* The path of this process's group in the unified hierarchy. @return whether there is one. */
static bool read_group(char *ret_path, size_t path_bytes)
{
	CLEANUP(cleanup_file) FILE *file = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return snprintf(ret_path, path_bytes, "/sys/fs/cgroup%s/cpu.max", line + 3) <
			(int)path_bytes;
	}
	return false;
}

/* @return the whole CPUs of the quota in the file @path, UINT_MAX for no quota. */
static unsigned read_quota(const char *path)
{
	CLEANUP(cleanup_file) FILE *file = fopen(path, "re");
	char line[64], *end;
	unsigned long long quota_us, period_us;

	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		return UINT_MAX;
	/* "max 100000" without a quota */
	quota_us = strtoull(line, &end, 10);
	if (end == line)
		return UINT_MAX;
	period_us = strtoull(end, NULL, 10);
	if (period_us == 0)
		return UINT_MAX;
	return quota_us / period_us >= UINT_MAX ? UINT_MAX : (unsigned)(quota_us / period_us);
}

unsigned cpu_allowed_count(void)
{
	char path[4096 + 32];
	cpu_set_t set;
	unsigned count = 2;
	unsigned quota = read_group(path, sizeof(path)) ? read_quota(path) : UINT_MAX;

	/* It fails beyond CPU_SETSIZE processors: many. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = (unsigned)CPU_COUNT(&set);
	if (count > quota)
		count = quota;
	return count > 0 ? count : 1;
}

struct echo {
	int to_fd, from_fd; /* eventfds */
};

static void *echo_run(void *context)
{
	struct echo *echo = context;
	eventfd_t value;

	for (int i = 0; i <= WAKE_ROUNDS; i++) {
		while (eventfd_read(echo->to_fd, &value) < 0 && errno == EINTR)
			;
		(void)eventfd_write(echo->from_fd, 1);
	}
	return NULL;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

uint64_t cpu_wake_latency_ns(void)
{
	CLEANUP(cleanup_close) int to_fd = eventfd(0, EFD_CLOEXEC);
	CLEANUP(cleanup_close) int from_fd = eventfd(0, EFD_CLOEXEC);
	struct echo echo = {.to_fd = to_fd, .from_fd = from_fd};
	struct clock *clock = clock_monotonic();
	uint64_t trips_ns[WAKE_ROUNDS + 1];
	eventfd_t value;
	pthread_t thread;

	if (to_fd < 0 || from_fd < 0 || pthread_create(&thread, NULL, echo_run, &echo) != 0)
		return 0;
	for (int i = 0; i <= WAKE_ROUNDS; i++) {
		uint64_t start_ns = clock->now_ns(clock);

		(void)eventfd_write(to_fd, 1);
		while (eventfd_read(from_fd, &value) < 0 && errno == EINTR)
			;
		trips_ns[i] = clock->now_ns(clock) - start_ns;
	}
	(void)pthread_join(thread, NULL);
	/* The first trip includes the start of the thread. */
	qsort(trips_ns + 1, WAKE_ROUNDS, sizeof(trips_ns[0]), compare_ns);
	return trips_ns[1 + WAKE_ROUNDS / 2] / 2;
}
