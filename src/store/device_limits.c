/*
 * A partition has no queue of its own: it lies in the folder of its disk, which has.
 */
#include "store/device_limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_MAX_BYTES   512
#define NUMBER_MAX_BYTES 32

/* @return the number in the file @name of the device's queue, 0: there is none. */
static uint64_t read_number(const char *folder, dev_t device, const char *name)
{
	static const char *const places[] = {"queue", "../queue"};

	for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
		char path[PATH_MAX_BYTES];
		char text[NUMBER_MAX_BYTES];
		CLEANUP(cleanup_close) int fd = -1;
		ssize_t bytes;

		(void)snprintf(path, sizeof(path), "%s/%u:%u/%s/%s", folder, major(device),
			minor(device), places[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		bytes = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (bytes <= 0)
			continue;
		text[bytes] = '\0';
		return strtoull(text, NULL, 10);
	}
	return 0;
}

struct device_limits device_limits_read(const char *folder, dev_t device)
{
	return (struct device_limits){
		.zero_bytes_max = read_number(folder, device, "write_zeroes_max_bytes"),
		.discard_bytes = read_number(folder, device, "discard_granularity"),
	};
}
