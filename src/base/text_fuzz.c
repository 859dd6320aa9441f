/*
 * Numbers, sizes and UUIDs from any text: what is accepted must mean what the C library says, and
 * survive being written and read again.
 */
#include "base/cleanup.h"
#include "base/text.h"
#include "base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

static void check_number(const char *text)
{
	bool is_digits = text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
	uint64_t value = 0;
	int result = text_parse_number(text, 0, UINT64_MAX, &value);
	uint64_t expected;

	errno = 0;
	expected = strtoull(text, NULL, 10);
	if (!is_digits)
		assert(result == -EINVAL);
	else if (errno == ERANGE)
		assert(result == -ERANGE);
	else
		assert(result == 0 && value == expected);
}

static void check_size(const char *text)
{
	char written[32], shown[TEXT_SIZE_MAX];
	uint64_t bytes, again;

	if (text_parse_size(text, &bytes) != 0)
		return;
	assert(bytes <= INT64_MAX);
	snprintf(written, sizeof(written), "%llu", (unsigned long long)bytes);
	assert(text_parse_size(written, &again) == 0 && again == bytes);
	text_from_size(bytes, shown);
	assert(strlen(shown) >= strlen("0 B"));
}

static void check_uuid(const char *text)
{
	uint8_t uuid[UUID_BYTES];
	char written[UUID_TEXT_BYTES];

	if (uuid_from_text(text, uuid) != 0)
		return;
	uuid_to_text(uuid, written);
	assert(strcasecmp(text, written) == 0);
}

static void check_field(const uint8_t *data, size_t data_bytes, char *shown)
{
	text_from_field(shown, data, data_bytes);
	assert(strlen(shown) <= data_bytes);
	for (const char *cursor = shown; *cursor != '\0'; cursor++)
		assert(*cursor >= ' ' && *cursor <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	CLEANUP(cleanup_free) char *text = malloc(data_bytes + 1);
	CLEANUP(cleanup_free) char *shown = malloc(data_bytes + 1);

	if (text == NULL || shown == NULL)
		return 0;
	memcpy(text, data, data_bytes);
	text[data_bytes] = '\0';
	check_number(text);
	check_size(text);
	check_uuid(text);
	check_field(data, data_bytes, shown);
	return 0;
}
