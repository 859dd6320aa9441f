/*
 * A program that makes its calls elsewhere, for lend_test.py.
 *
 *     lend_client URL hold        connect, make a call, print "held", and wait for the end of input
 *     lend_client URL fork PATH   write "parent" to the file; in a forked child " child", by the same
 *                                 descriptor; print what is in the file
 *     lend_client URL storm PATH  calls of all kinds without end, by several threads and forked children:
 *                                 files, pipes, one that blocks
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ferry/linux.h>
#include <ferry/sysproxy.h>

/* Make a call that succeeds. */
static int64_t make(struct ferry_sysproxy *client, uint32_t number, uint64_t first,
	const void *second, uint64_t third)
{
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS] = {first, (uintptr_t)second, third};
	int64_t value = -1;
	int error = ferry_linux_call(client, number, arguments, &value);

	if (error == 0 && value >= 0)
		return value;
	(void)fprintf(stderr, "call %u: error %d, value %lld\n", number, error, (long long)value);
	exit(EXIT_FAILURE);
}

static void hold(struct ferry_sysproxy *client)
{
	char byte;

	(void)make(client, SYS_getpid, 0, NULL, 0);
	(void)puts("held");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	(void)make(client, SYS_getpid, 0, NULL, 0);
}

static void fork_both(struct ferry_sysproxy *client, const char *path)
{
	const uint64_t arguments[FERRY_LINUX_ARGUMENTS] = {(uint64_t)AT_FDCWD, (uintptr_t)path,
		O_CREAT | O_RDWR, 0600};
	char text[64] = "";
	int64_t fd;
	int status;
	pid_t pid;

	if (ferry_linux_call(client, SYS_openat, arguments, &fd) != 0 || fd < 0)
		exit(EXIT_FAILURE);
	(void)make(client, SYS_write, (uint64_t)fd, "parent", 6);
	pid = ferry_sysproxy_fork(client);
	if (pid == 0) {
		(void)make(client, SYS_write, (uint64_t)fd, " child", 6);
		(void)make(client, SYS_close, (uint64_t)fd, NULL, 0);
		ferry_sysproxy_close(client);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		exit(EXIT_FAILURE);
	(void)make(client, SYS_lseek, (uint64_t)fd, NULL, SEEK_SET);
	(void)make(client, SYS_read, (uint64_t)fd, text, sizeof(text) - 1);
	(void)puts(text);
}

struct storm {
	struct ferry_sysproxy *client;
	const char *path;
};

/* Write and read a file that has no name any more. */
static void use_file(const struct storm *storm, unsigned number)
{
	static const char data[64 << 10] = "data";
	char path[256], back[64 << 10];
	uint64_t open_file[FERRY_LINUX_ARGUMENTS] = {(uint64_t)AT_FDCWD, (uintptr_t)path,
		O_CREAT | O_RDWR, 0600};
	int64_t fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%ld-%u", storm->path, (long)getpid(), number);
	if (ferry_linux_call(storm->client, SYS_openat, open_file, &fd) != 0 || fd < 0)
		exit(EXIT_FAILURE);
	(void)make(storm->client, SYS_unlink, (uintptr_t)path, NULL, 0);
	if (make(storm->client, SYS_write, (uint64_t)fd, data, sizeof(data)) != sizeof(data))
		exit(EXIT_FAILURE);
	(void)make(storm->client, SYS_lseek, (uint64_t)fd, NULL, SEEK_SET);
	if (make(storm->client, SYS_read, (uint64_t)fd, back, sizeof(back)) != sizeof(back))
		exit(EXIT_FAILURE);
	(void)make(storm->client, SYS_close, (uint64_t)fd, NULL, 0);
}

static void use_pipe(const struct storm *storm)
{
	char byte = 0;
	int ends[2];

	(void)make(storm->client, SYS_pipe2, (uintptr_t)ends, NULL, 0);
	(void)make(storm->client, SYS_write, (uint64_t)ends[1], "p", 1);
	(void)make(storm->client, SYS_read, (uint64_t)ends[0], &byte, 1);
	(void)make(storm->client, SYS_close, (uint64_t)ends[0], NULL, 0);
	(void)make(storm->client, SYS_close, (uint64_t)ends[1], NULL, 0);
}

static void *storm_on(void *context)
{
	const struct storm *storm = context;

	for (unsigned number = 0;; number++) {
		use_file(storm, (unsigned)gettid() * 1000 + number % 1000);
		use_pipe(storm);
	}
	return NULL;
}

/* A read that nothing ends but the end of the program. */
static void *storm_block(void *context)
{
	const struct storm *storm = context;
	char byte;
	int ends[2];

	(void)make(storm->client, SYS_pipe2, (uintptr_t)ends, NULL, 0);
	(void)make(storm->client, SYS_read, (uint64_t)ends[0], &byte, 1);
	return NULL;
}

static void storm(struct ferry_sysproxy *client, const char *path)
{
	struct storm storm = {client, path};
	pthread_t thread;

	for (unsigned i = 0; i < 4; i++) {
		if (pthread_create(&thread, NULL, i == 0 ? storm_block : storm_on, &storm) != 0)
			exit(EXIT_FAILURE);
	}
	(void)puts("held");
	(void)fflush(stdout);
	for (;;) {
		pid_t pid = ferry_sysproxy_fork(client);

		if (pid == 0) {
			use_file(&storm, 0);
			_exit(EXIT_SUCCESS);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			exit(EXIT_FAILURE);
	}
}

int main(int argc, char **argv)
{
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	if (argc < 3 || ferry_sysproxy_open(argv[1], NULL, &client, error) != 0) {
		(void)fprintf(stderr, "%s\n",
			argc < 3 ? "usage: lend_client URL hold|fork|storm" : error);
		return EXIT_FAILURE;
	}
	if (strcmp(argv[2], "fork") == 0 && argc == 4)
		fork_both(client, argv[3]);
	else if (strcmp(argv[2], "storm") == 0 && argc == 4)
		storm(client, argv[3]);
	else
		hold(client);
	ferry_sysproxy_close(client);
	return EXIT_SUCCESS;
}
