/*
 * Random identities, and those made of where a thing lies.
 */
#include "store/identity.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MACHINE_MAX 256 /* with NUL */

void identity_random(uint8_t ret_uuid[UUID_BYTES])
{
	random_secret(ret_uuid, UUID_BYTES);
	ret_uuid[6] = (uint8_t)((ret_uuid[6] & 0x0f) | 0x40);
	ret_uuid[8] = (uint8_t)((ret_uuid[8] & 0x3f) | 0x80);
}

static void machine_name(char ret_name[MACHINE_MAX])
{
	CLEANUP(cleanup_close) int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, ret_name, MACHINE_MAX - 1);

	if (bytes > 0) {
		ret_name[bytes] = '\0';
		ret_name[strcspn(ret_name, "\n")] = '\0';
	} else {
		ret_name[0] = '\0';
	}
	if (ret_name[0] != '\0')
		return;
	if (gethostname(ret_name, MACHINE_MAX) != 0)
		(void)snprintf(ret_name, MACHINE_MAX, "localhost");
	ret_name[MACHINE_MAX - 1] = '\0';
}

void identity_of_path(const char *path, uint8_t ret_uuid[UUID_BYTES])
{
	char name[MACHINE_MAX + PATH_MAX];
	int bytes;

	machine_name(name);
	/* Both parts keep their end: the machine's holds no colon. */
	bytes = (int)strlen(name);
	bytes += snprintf(name + bytes, sizeof(name) - (size_t)bytes, ":%s", path);
	if ((size_t)bytes >= sizeof(name))
		bytes = sizeof(name) - 1;
	uuid_from_name(name, (size_t)bytes, ret_uuid);
}
