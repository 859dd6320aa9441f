/*
 * ferry: finds the verb and leaves the rest to it.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd/message.h"
#include "cmd/serve_lend.h"
#include "cmd/verb.h"

struct verb {
	const char *name;
	const char *summary; /* NULL: not for users */
	int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
	{"serve", "lend disks, the network and files to other machines", verb_serve},
	{"disk", "look at and copy disks that are lent", verb_disk},
	{"call", "make a system call in a kernel elsewhere", verb_call},
	{SERVE_SPAWNER_VERB, NULL, verb_spawner},
};

static void print_help(void)
{
	printf("Usage: ferry VERB [OPTIONS] [ARGUMENTS]\n\n"
	       "Ferry lends parts of one machine to programs on another: no kernel module, no root.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
		if (verbs[i].summary != NULL)
			printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
	}
	printf("\nExamples:\n"
	       "  ferry serve disk.img                      lend an image file, on this machine only\n"
	       "  ferry serve --listen 0.0.0.0 --allow-host NQN disk.img\n"
	       "                                            lend it to one host of the network\n"
	       "  ferry serve --lend path=/srv,ro           lend a directory, by system calls\n"
	       "  ferry disk info nvme-tcp://HOST/NQN       say what is lent there\n"
	       "  ferry disk copy disk.img nvme-tcp://HOST/NQN\n"
	       "                                            fill a remote disk\n"
	       "  ferry call unix:///tmp/tree.sock getpid   make a system call there\n\n"
	       "'ferry VERB --help' tells all about a verb; 'ferry --version' the version.\n");
}

static int run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	/* "ferry help serve" is "ferry serve --help" */
	if (strcmp(name, "help") == 0 && argc > 2) {
		char *helped[] = {argv[2], (char *)"--help", NULL};

		for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
			if (strcmp(argv[2], verbs[i].name) == 0)
				return verbs[i].run(2, helped);
		}
		return complain_usage(NULL, "%s: no such verb", argv[2]);
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help();
		return argc > 1 ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
	}
	if (strcmp(name, "--version") == 0) {
		printf("ferry %s\n", FERRY_VERSION);
		return EXIT_STATUS_OK;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
		if (strcmp(name, verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	return complain_usage(NULL, "%s: no such verb", name);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	/* A full disk behind standard output must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain(NULL, "standard output: cannot be written");
		return status == EXIT_STATUS_OK ? EXIT_STATUS_FAILED : status;
	}
	return status;
}
