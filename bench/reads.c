/*
 * bench_reads URL: 4 KiB random reads of a RAM disk of 256 MiB that `ferry serve` lends at URL
 * (nvme-tcp://127.0.0.1:PORT/NQN), one queue, beside a bare loop that answers messages of the same
 * sizes. Both are measured in turns by the same host; the ratio of the medians is the result.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/url.h"
#include "bench/bare_server.h"
#include "bench/thin_host.h"

#define ROUNDS        7
#define ROUND_SECONDS 0.4

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double rates[ROUNDS])
{
	qsort(rates, ROUNDS, sizeof(rates[0]), compare);
	return rates[ROUNDS / 2];
}

static void measure(int ferry_fd, uint16_t bare_port, unsigned depth)
{
	double ferry[ROUNDS], bare[ROUNDS];
	double ferry_median, bare_median;

	for (unsigned i = 0; i < ROUNDS; i++) {
		int bare_fd = bench_connect(bare_port);

		bare[i] = bench_read(bare_fd, depth, ROUND_SECONDS);
		/* The bare loop spins as long as it has a connection. */
		(void)close(bare_fd);
		ferry[i] = bench_read(ferry_fd, depth, ROUND_SECONDS);
	}
	ferry_median = median(ferry);
	bare_median = median(bare);
	printf("depth %3u: ferry %7.1f k/s (best %7.1f), bare loop %7.1f k/s (best %7.1f), "
	       "ratio %.2f\n",
		depth, ferry_median / 1e3, ferry[ROUNDS - 1] / 1e3, bare_median / 1e3,
		bare[ROUNDS - 1] / 1e3, ferry_median / bare_median);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	static const unsigned depths[] = {1, 32, 128};
	const char *problem = "one URL is needed";
	struct url url;
	uint16_t bare_port;
	pid_t bare;
	int fd;

	if (argc != 2 || url_parse(argv[1], &url, &problem) < 0) {
		(void)fprintf(stderr, "bench_reads: %s\n", problem);
		return 2;
	}
	bare = bare_server_start(&bare_port);
	fd = bench_open_queue(url.address.port, url.path);
	bench_fill(fd);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
		measure(fd, bare_port, depths[i]);
	(void)kill(bare, SIGKILL);
	(void)waitpid(bare, NULL, 0);
	return 0;
}
