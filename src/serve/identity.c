/*
 * The lock is a bound unix socket with an abstract name: it leaves no file behind and ends with the
 * process. It is per network namespace, as the listeners are.
 */
#include "serve/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/uuid.h"
#include "store/identity.h"
#include "store/store.h"

int identity_default_nqn(struct store *const *stores, size_t count, unsigned instance,
	char ret_nqn[NVME_NQN_TEXT_MAX])
{
	CLEANUP(cleanup_free) char *names = NULL;
	uint8_t uuid[UUID_BYTES];
	size_t bytes;
	FILE *text = open_memstream(&names, &bytes);

	if (text == NULL)
		return -ENOMEM;
	/* A line for each: no list of names can be taken for another. */
	(void)fprintf(text, "subsystem %u\n", instance);
	for (size_t i = 0; i < count; i++)
		(void)fprintf(text, "%zu %s\n", strlen(stores[i]->name), stores[i]->name);
	if (fclose(text) != 0)
		return -ENOMEM;
	identity_of_path(names, uuid);
	nvme_nqn_from_uuid(uuid, ret_nqn);
	return 0;
}

int identity_hold_nqn(const char *nqn)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char uuid_text[UUID_TEXT_BYTES];
	uint8_t uuid[UUID_BYTES];
	int fd, length;

	/* An NQN may be longer than a socket's name. */
	uuid_from_name(nqn, strlen(nqn), uuid);
	uuid_to_text(uuid, uuid_text);
	length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ferry-nqn-%s",
		uuid_text);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	return fd;
}
