/*
 * A program that makes its calls elsewhere, for lend_test.py.
 *
 *     lend_client URL hold        connect, make a call, print "held", and wait for the end of input
 *     lend_client URL fork PATH   write "parent" to the file; in a forked child " child", by the same
 *                                 descriptor; print what is in the file
 */
#include <fcntl.h>
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

int main(int argc, char **argv)
{
	struct ferry_sysproxy *client;
	char error[FERRY_SYSPROXY_ERROR_MAX];

	if (argc < 3 || ferry_sysproxy_open(argv[1], NULL, &client, error) != 0) {
		(void)fprintf(stderr, "%s\n",
			argc < 3 ? "usage: lend_client URL hold|fork" : error);
		return EXIT_FAILURE;
	}
	if (strcmp(argv[2], "fork") == 0 && argc == 4)
		fork_both(client, argv[3]);
	else
		hold(client);
	ferry_sysproxy_close(client);
	return EXIT_SUCCESS;
}
