/*
 * The fake kernel as a program:
 *
 *     kernel_server URL [processes_max=N] [prefork_timeout_ms=N] [tally=FILE]
 *
 * It prints "ready URL" when clients can connect, and ends by SIGTERM, with status 0 if nothing was
 * left of its clients. FILE has a byte for each index of FAKE_TALLY, and outlives the program.
 */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_kernel.h"

/* A thousand lanes are a thousand descriptors. */
static void raise_limit(void)
{
	struct rlimit limit;

	assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void map_tally(struct fake_kernel *kernel, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	void *memory;

	assert(fd >= 0 && fstat(fd, &status) == 0);
	memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(memory != MAP_FAILED && close(fd) == 0);
	fake_kernel_tally(kernel, memory, (uint64_t)status.st_size);
}

static void take_option(struct fake_kernel *kernel, const char *text,
	struct ferry_sysproxy_server_options *options)
{
	const char *value = strchr(text, '=');

	assert(value != NULL);
	value++;
	if (strncmp(text, "processes_max=", (size_t)(value - text)) == 0)
		options->processes_max = (uint32_t)strtoul(value, NULL, 10);
	else if (strncmp(text, "prefork_timeout_ms=", (size_t)(value - text)) == 0)
		options->prefork_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
	else if (strncmp(text, "tally=", (size_t)(value - text)) == 0)
		map_tally(kernel, value);
	else
		abort();
}

int main(int argc, char **argv)
{
	struct ferry_sysproxy_server_options options = {.struct_bytes = sizeof(options)};
	struct fake_kernel *kernel = fake_kernel_new();
	struct ferry_kernel face = fake_kernel_face(kernel);
	char error[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy_server *server;
	sigset_t ends;
	int signal;

	assert(argc >= 2);
	raise_limit();
	for (int i = 2; i < argc; i++)
		take_option(kernel, argv[i], &options);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	assert(pthread_sigmask(SIG_BLOCK, &ends, NULL) == 0);
	if (ferry_sysproxy_server_open(argv[1], &face, &options, &server, error) != 0) {
		(void)fprintf(stderr, "kernel_server: %s\n", error);
		return 1;
	}
	(void)printf("ready %s\n", ferry_sysproxy_server_url(server));
	assert(fflush(stdout) == 0);
	assert(sigwait(&ends, &signal) == 0);
	ferry_sysproxy_server_close(server);
	fake_kernel_free(kernel);
	return 0;
}
