/*
 * ferry disk: finds the verb of its own that is meant.
 */
#include "cmd/disk.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd/message.h"
#include "cmd/verb.h"

static const struct disk_verb {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} disk_verbs[] = {
	{"list", "say what a target lends", disk_list},
	{"info", "say what a disk is that is lent", disk_info},
	{"copy", "copy between files and disks that are lent", disk_copy},
};

static void print_help(void)
{
	printf("Usage: ferry disk VERB [OPTIONS] [ARGUMENTS]\n\n"
	       "Look at and copy disks that are lent over NVMe/TCP, without a kernel driver or root.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < ARRAY_LENGTH(disk_verbs); i++)
		printf("  %-8s %s\n", disk_verbs[i].name, disk_verbs[i].summary);
	printf("\nExamples:\n"
	       "  ferry disk list nvme-tcp://HOST\n"
	       "  ferry disk info nvme-tcp://HOST/NQN\n"
	       "  ferry disk copy disk.img nvme-tcp://HOST/NQN\n\n"
	       "'ferry disk VERB --help' tells all about a verb.\n");
}

int verb_disk(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help();
		return argc > 1 ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(disk_verbs); i++) {
		if (strcmp(name, disk_verbs[i].name) == 0)
			return disk_verbs[i].run(argc - 1, argv + 1);
	}
	return complain_usage("disk", "%s: no such verb", name);
}
