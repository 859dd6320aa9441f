/*
 * What either end of sysproxy says, taken apart: headers, calls, replies, banners, URLs. Whatever is
 * accepted lies within what came, and its counts within their limits. Deepest: a call that carries
 * data, a reply with data, or a banner with the extension was accepted.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  0 a header, then the payload of a call or a reply, by its type; 1 a banner; 2 a URL
 *       1     -  that
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sysproxy/banner.h"
#include "sysproxy/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

static bool is_within(const uint8_t *part, size_t part_bytes, const uint8_t *data,
	size_t data_bytes)
{
	return part_bytes == 0 ||
		(part >= data && part_bytes <= data_bytes &&
			(size_t)(part - data) <= data_bytes - part_bytes);
}

static void fuzz_call(const uint8_t *data, size_t bytes)
{
	struct wire_call_view view;

	if (wire_call_parse(data, bytes, &view) != 0)
		return;
	assert(view.argument_count <= WIRE_ARGUMENTS_MAX && view.range_count <= WIRE_RANGES_MAX);
	assert(view.carried_bytes <= WIRE_CARRIED_MAX);
	assert(is_within(view.arguments, view.argument_count * sizeof(le64), data, bytes));
	assert(is_within(view.ranges, view.range_count * sizeof(struct wire_range), data, bytes));
	assert(is_within(view.carried, view.carried_bytes, data, bytes));
	is_deep |= view.carried_bytes > 0;
}

static void fuzz_reply(const uint8_t *data, size_t bytes)
{
	struct wire_reply_view view;

	if (wire_reply_parse(data, bytes, &view) != 0)
		return;
	assert(view.piece_count <= WIRE_REPLIED_MAX && view.data_bytes <= WIRE_CARRIED_MAX);
	assert(is_within(view.pieces, view.piece_count * sizeof(struct wire_piece), data, bytes));
	assert(is_within(view.data, view.data_bytes, data, bytes));
	is_deep |= view.data_bytes > 0;
}

/* What the extension allows less than 0.4 has never been legal. */
static void fuzz_frame(const uint8_t *data, size_t bytes)
{
	struct wire_header header, again;
	struct wire_frame frame;

	if (bytes < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	frame = wire_frame_of(&header);
	if (wire_check_from_client(&frame, false) == 0)
		assert(wire_check_from_client(&frame, true) == 0);
	if (wire_check_from_server(&frame, false) == 0)
		assert(wire_check_from_server(&frame, true) == 0);
	if (wire_check_from_client(&frame, true) >= 0 || wire_check_from_server(&frame, true) == 0)
		assert(frame.bytes >= WIRE_HEADER_BYTES && frame.bytes <= WIRE_FRAME_MAX);
	if (frame.bytes >= WIRE_HEADER_BYTES) {
		wire_header_put(&again, &frame, (size_t)frame.bytes - WIRE_HEADER_BYTES);
		assert(memcmp(&again, &header, sizeof(header)) == 0);
	}
	if (frame.class == WIRE_RESPONSE)
		fuzz_reply(data + sizeof(header), bytes - sizeof(header));
	else
		fuzz_call(data + sizeof(header), bytes - sizeof(header));
}

static void fuzz_banner(const uint8_t *data, size_t bytes)
{
	char line[WIRE_BANNER_MAX + 1];
	struct banner banner;
	size_t line_bytes;

	if (banner_parse((const char *)data, bytes, &banner) != 0)
		return;
	assert(bytes <= WIRE_BANNER_MAX && data[bytes - 1] == '\n');
	assert(strlen(banner.os) < sizeof(banner.os));
	assert(strlen(banner.machine) < sizeof(banner.machine));
	is_deep |= banner.extension != 0;
	line_bytes = banner_make(&banner, line);
	assert(line_bytes <= WIRE_BANNER_MAX && line[line_bytes - 1] == '\n');
}

/* Names are left out: looking them up may ask other machines. */
static bool is_name_looked_up(const char *text)
{
	const char *host = strstr(text, "tcp://");

	return host != NULL && strspn(host + 6, "0123456789.:[]") != strlen(host + 6);
}

static void fuzz_url(const uint8_t *data, size_t bytes)
{
	char *text = malloc(bytes + 1);
	struct sysproxy_url url, again;
	const char *problem;

	assert(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	if (!is_name_looked_up(text) && sysproxy_url_parse(text, &url, &problem) == 0) {
		assert(url.address_count <= ADDRESS_RESOLVE_MAX);
		assert(strlen(url.text) < sizeof(url.text));
		assert(sysproxy_url_parse(url.text, &again, &problem) == 0);
		assert(strcmp(url.text, again.text) == 0 && url.kind == again.kind);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	is_deep = false;
	if (data_bytes == 0)
		return 0;
	switch (data[0]) {
	case 0:
		fuzz_frame(data + 1, data_bytes - 1);
		break;
	case 1:
		fuzz_banner(data + 1, data_bytes - 1);
		break;
	case 2:
		fuzz_url(data + 1, data_bytes - 1);
		break;
	default:
		break;
	}
	return 0;
}
