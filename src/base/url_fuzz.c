/*
 * URLs and addresses from any text: either a result that reads the same after it was written again,
 * or a reason.
 */
#include "base/cleanup.h"
#include "base/url.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);

static void check_same_address(const struct url_address *left, const struct url_address *right)
{
	assert(strcmp(left->host, right->host) == 0);
	assert(left->port == right->port);
	assert(left->has_port == right->has_port);
}

static void check_address(const char *text)
{
	char written[URL_ADDRESS_TEXT_MAX];
	struct url_address address, again;
	const char *problem = NULL;

	if (url_address_parse(text, &address, &problem) != 0) {
		assert(problem != NULL);
		return;
	}
	assert(address.host[0] != '\0');
	url_address_to_text(&address, written);
	assert(url_address_parse(written, &again, &problem) == 0);
	check_same_address(&address, &again);
}

static void check_url(const char *text)
{
	char address[URL_ADDRESS_TEXT_MAX] = "";
	char written[URL_SCHEME_MAX + URL_ADDRESS_TEXT_MAX + URL_PATH_MAX + 4];
	const char *problem = NULL;
	struct url url, again;
	bool is_unix;

	if (url_parse(text, &url, &problem) != 0) {
		assert(problem != NULL);
		return;
	}
	assert(url_is_url(text));
	is_unix = strcmp(url.scheme, "unix") == 0;
	assert(is_unix == (url.address.host[0] == '\0'));
	if (!is_unix)
		url_address_to_text(&url.address, address);
	snprintf(written, sizeof(written), "%s://%s%s%s", url.scheme, address, is_unix ? "" : "/",
		url.path);
	assert(url_parse(written, &again, &problem) == 0);
	assert(strcmp(url.scheme, again.scheme) == 0);
	assert(strcmp(url.path, again.path) == 0);
	check_same_address(&url.address, &again.address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	CLEANUP(cleanup_free) char *text = malloc(data_bytes + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, data_bytes);
	text[data_bytes] = '\0';
	check_address(text);
	check_url(text);
	return 0;
}
