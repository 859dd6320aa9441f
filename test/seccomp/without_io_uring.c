/*
 * Runs a program without io_uring.
 *
 * usage: without_io_uring ERROR PROGRAM [ARGUMENT...]      ERROR: EPERM, ENOSYS or ENOMEM
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "test/seccomp/refusal.h"

#define EXIT_SKIPPED 77
#define EXIT_FAILED  99

static const struct {
	const char *name;
	int error;
} errors[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"ENOMEM", ENOMEM}};

int main(int argc, char **argv)
{
	int error = 0;

	for (size_t i = 0; argc > 2 && i < ARRAY_LENGTH(errors); i++) {
		if (strcmp(argv[1], errors[i].name) == 0)
			error = errors[i].error;
	}
	if (error == 0) {
		fprintf(stderr, "usage: without_io_uring EPERM|ENOSYS|ENOMEM PROGRAM...\n");
		return EXIT_FAILED;
	}
	error = refuse_io_uring(error);
	if (error < 0) {
		fprintf(stderr, "no system call can be refused here: %s\n", strerror(-error));
		return EXIT_SKIPPED;
	}
	(void)execvp(argv[2], argv + 2);
	fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
	return EXIT_FAILED;
}
