/*
 * NQNs: UTF-8 decoded one character at a time, and the standard forms taken apart from the left.
 * No text is read past its NUL: a byte is looked at only after the one before it matched.
 */
#include "nvme/nqn.h"

#include "base/text.h"
#include "base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* @return how many bytes follow the first one of a UTF-8 character, or -1 if none starts so. */
static int following_bytes(uint8_t first)
{
	if (first < 0x80)
		return 0;
	if (first < 0xc0)
		return -1;
	if (first < 0xe0)
		return 1;
	if (first < 0xf0)
		return 2;
	return first < 0xf8 ? 3 : -1;
}

/* Take one character of well-formed UTF-8 (RFC 3629: no overlong form, no surrogate) from *text.
 * @return its code point, or 0 at a malformed one or the end. */
static uint32_t take_character(const char **text)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *bytes = (const uint8_t *)*text;
	int more = following_bytes(bytes[0]);
	uint32_t code;

	if (more < 0)
		return 0;
	code = more == 0 ? bytes[0] : bytes[0] & (0x3fU >> more);
	for (int i = 1; i <= more; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < smallest[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*text += more + 1;
	return code;
}

bool nvme_nqn_is_acceptable(const char *nqn)
{
	size_t length = strnlen(nqn, NVME_NQN_TEXT_MAX);

	if (length == 0 || length > NVME_NQN_LENGTH_MAX)
		return false;
	while (*nqn != '\0') {
		uint32_t code = take_character(&nqn);

		if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			return false;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether @text begins with "yyyy-mm.". */
static bool is_date(const char *text)
{
	static const char form[] = "0000-00.";
	int month;

	for (size_t i = 0; form[i] != '\0'; i++) {
		if (form[i] == '0' ? !is_digit(text[i]) : text[i] != form[i])
			return false;
	}
	month = (text[5] - '0') * 10 + (text[6] - '0');
	return month >= 1 && month <= 12;
}

/* @return how many bytes at @text are a domain name: labels of letters, digits and inner hyphens
 * with dots between them. 0 if a label is empty or ends with a hyphen. */
static size_t domain_length(const char *text)
{
	size_t length = 0;

	for (;;) {
		char previous = length > 0 ? text[length - 1] : '.';
		char next = text[length];

		if (is_letter(next) || is_digit(next) || (next == '-' && previous != '.')) {
			length++;
			continue;
		}
		if (previous == '.' || previous == '-')
			return 0;
		if (next != '.')
			return length;
		length++;
	}
}

bool nvme_nqn_is_standard(const char *nqn)
{
	static const char nqn_dot[] = "nqn.";
	static const char uuid_prefix[] = NVME_NQN_UUID_PREFIX;
	uint8_t uuid[UUID_BYTES];
	size_t length;

	if (!nvme_nqn_is_acceptable(nqn) || strchr(nqn, ' ') != NULL)
		return false;
	if (strcmp(nqn, NVME_NQN_DISCOVERY) == 0)
		return true;
	if (strncmp(nqn, uuid_prefix, sizeof(uuid_prefix) - 1) == 0)
		return uuid_from_text(nqn + sizeof(uuid_prefix) - 1, uuid) == 0;
	if (strncmp(nqn, nqn_dot, sizeof(nqn_dot) - 1) != 0)
		return false;
	nqn += sizeof(nqn_dot) - 1;
	if (!is_date(nqn))
		return false;
	nqn += strlen("yyyy-mm.");
	length = domain_length(nqn);
	return length > 0 && nqn[length] == ':' && nqn[length + 1] != '\0';
}

int nvme_nqn_from_field(const char field[NVME_NQN_FIELD_BYTES], char ret_nqn[NVME_NQN_TEXT_MAX])
{
	size_t length = strnlen(field, NVME_NQN_FIELD_BYTES);

	if (length == NVME_NQN_FIELD_BYTES || !nvme_nqn_is_acceptable(field))
		return -EINVAL;
	memcpy(ret_nqn, field, length + 1);
	return 0;
}

void nvme_nqn_to_field(char ret_field[NVME_NQN_FIELD_BYTES], const char *nqn)
{
	assert(nvme_nqn_is_acceptable(nqn));
	text_to_field(ret_field, NVME_NQN_FIELD_BYTES, nqn, '\0');
}

void nvme_nqn_from_uuid(const uint8_t uuid[UUID_BYTES], char ret_nqn[NVME_NQN_TEXT_MAX])
{
	static const char prefix[] = NVME_NQN_UUID_PREFIX;

	memcpy(ret_nqn, prefix, sizeof(prefix) - 1);
	uuid_to_text(uuid, ret_nqn + sizeof(prefix) - 1);
}
