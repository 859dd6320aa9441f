/*
 * The files are those of nvme-cli and of systemd: one line each.
 */
#include "host/identity.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_BYTES 256

/* @return whether there is a first line in the file @name under @root. */
static bool read_line(const char *root, const char *name, char ret_line[LINE_BYTES])
{
	char path[PATH_MAX];
	FILE *file;
	bool is_read;
	int length = snprintf(path, sizeof(path), "%s/etc/%s", root, name);

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	is_read = fgets(ret_line, LINE_BYTES, file) != NULL;
	(void)fclose(file);
	if (is_read)
		ret_line[strcspn(ret_line, " \t\r\n")] = '\0';
	return is_read && ret_line[0] != '\0';
}

int host_identity_of_nqn(const char *nqn, struct host_identity *ret_identity)
{
	static const uint8_t zero[UUID_BYTES];
	size_t prefix = strlen(NVME_NQN_UUID_PREFIX);
	struct host_identity identity = {0};

	if (!nvme_nqn_is_acceptable(nqn) || !text_copy(identity.nqn, sizeof(identity.nqn), nqn))
		return -EINVAL;
	if (strncmp(nqn, NVME_NQN_UUID_PREFIX, prefix) != 0 ||
		uuid_from_text(nqn + prefix, identity.id) != 0 ||
		memcmp(identity.id, zero, sizeof(zero)) == 0)
		uuid_from_name(nqn, strlen(nqn), identity.id);
	*ret_identity = identity;
	return 0;
}

/* Not the machine id itself, which is not to leave the machine: machine-id(5). */
static void make_uuid(const char *root, uint8_t ret_uuid[UUID_BYTES])
{
	char line[LINE_BYTES], name[LINE_BYTES + 16];
	int length;

	if (!read_line(root, "machine-id", line)) {
		random_secret(ret_uuid, UUID_BYTES);
		return;
	}
	length = snprintf(name, sizeof(name), "host of %s", line);
	uuid_from_name(name, (size_t)length, ret_uuid);
}

void host_identity_default(const char *root, struct host_identity *ret_identity)
{
	static const uint8_t zero[UUID_BYTES];
	char line[LINE_BYTES];
	uint8_t id[UUID_BYTES];

	if (read_line(root, "nvme/hostnqn", line) &&
		host_identity_of_nqn(line, ret_identity) == 0) {
		if (read_line(root, "nvme/hostid", line) && uuid_from_text(line, id) == 0 &&
			memcmp(id, zero, sizeof(zero)) != 0)
			memcpy(ret_identity->id, id, sizeof(id));
		return;
	}
	make_uuid(root, ret_identity->id);
	nvme_nqn_from_uuid(ret_identity->id, ret_identity->nqn);
}
