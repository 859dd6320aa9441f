/*
 * ferry disk: looks at and copies disks that are lent.
 */
#include "cmd/verb.h"

#include "cmd/message.h"

int verb_disk(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return EXIT_STATUS_FAILED;
}
