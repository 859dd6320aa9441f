/*
 * libuuid in Ferry's terms.
 */
#include "base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

static_assert(sizeof(uuid_t) == UUID_BYTES, "a uuid_t is the 16 bytes");
static_assert(UUID_STR_LEN == UUID_TEXT_BYTES, "text as long as libuuid writes it");

/* 3504e4ca-fb25-4cbf-9c2a-1ba06ecd344c. Never to change: identities are made from it. */
static const uuid_t name_space = {0x35, 0x04, 0xe4, 0xca, 0xfb, 0x25, 0x4c, 0xbf, 0x9c, 0x2a, 0x1b,
	0xa0, 0x6e, 0xcd, 0x34, 0x4c};

int uuid_from_text(const char *text, uint8_t ret_uuid[UUID_BYTES])
{
	uuid_t uuid;

	if (uuid_parse(text, uuid) != 0)
		return -EINVAL;
	memcpy(ret_uuid, uuid, UUID_BYTES);
	return 0;
}

void uuid_to_text(const uint8_t uuid[UUID_BYTES], char ret_text[UUID_TEXT_BYTES])
{
	uuid_unparse_lower(uuid, ret_text);
}

void uuid_from_name(const void *name, size_t bytes, uint8_t ret_uuid[UUID_BYTES])
{
	uuid_generate_sha1(ret_uuid, name_space, name, bytes);
}
