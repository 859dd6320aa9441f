/*
 * bench_linux_kernel URL: the Linux kernel behind sysproxy, without any sandbox, for bench_sysproxy only. Files
 * are made in a memory file system where there is one.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ferry/sysproxy.h"
#include "kernel/linux_kernel.h"

int main(int argc, char **argv)
{
	const struct linux_kernel_options options = {0};
	char problem[FERRY_SYSPROXY_ERROR_MAX] = "usage: bench_linux_kernel URL";
	struct ferry_sysproxy_server *server;
	struct linux_kernel *kernel;
	struct ferry_kernel face;
	int error;

	if (argc != 2) {
		(void)fprintf(stderr, "%s\n", problem);
		return 2;
	}
	if (chdir("/dev/shm") != 0 && chdir("/tmp") != 0) {
		perror("bench_linux_kernel: /tmp");
		return 1;
	}
	error = linux_kernel_new(&options, &kernel);
	if (error != 0) {
		(void)fprintf(stderr, "bench_linux_kernel: %s\n", strerror(-error));
		return 1;
	}
	face = linux_kernel_of(kernel);
	if (ferry_sysproxy_server_open(argv[1], &face, NULL, &server, problem) != 0) {
		(void)fprintf(stderr, "bench_linux_kernel: %s\n", problem);
		return 1;
	}
	printf("ready %s\n", ferry_sysproxy_server_url(server));
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}
