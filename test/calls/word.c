/*
 * Structures lie at the beginning of their slot. What they point at lies in a slot of its own, buffers in
 * another.
 */
#include "test/calls/word.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "test/calls/world.h"

#define BUFFER_BYTES  4096u
#define NAME_BYTES    128u /* of a message's address */
#define CONTROL_BYTES 512u
#define CONTROL_AT    1024u
#define VECTOR_AT     4096u

/* Puts what comes after the colon at @at. */
typedef void place_function(struct side *side, uint8_t *at, const char *text);

static uint8_t *put(uint8_t *at, const void *from, size_t bytes)
{
	memcpy(at, from, bytes);
	return at + bytes;
}

/* @return the number or descriptor at *text, which moves behind it and a comma. */
static int64_t take(struct side *side, const char **text)
{
	char item[64];
	size_t length = strcspn(*text, ",");
	char *end;
	int64_t value;

	if (length >= sizeof(item))
		side_fail(side, "a word is too long: %s", *text);
	memcpy(item, *text, length);
	item[length] = '\0';
	*text += length + ((*text)[length] == ',');
	value = world_find(item);
	if (value >= 0)
		return value;
	value = (int64_t)strtoll(item, &end, 0);
	if (item[0] == '\0' || *end != '\0')
		side_fail(side, "no number and no descriptor: %s", item);
	return value;
}

static void place_ints(struct side *side, uint8_t *at, const char *text)
{
	while (*text != '\0') {
		int32_t number = (int32_t)take(side, &text);

		at = put(at, &number, sizeof(number));
	}
}

static void place_longs(struct side *side, uint8_t *at, const char *text)
{
	while (*text != '\0') {
		int64_t number = take(side, &text);

		at = put(at, &number, sizeof(number));
	}
}

static void place_polls(struct side *side, uint8_t *at, const char *text)
{
	while (*text != '\0') {
		struct pollfd item = {.fd = (int)take(side, &text), .events = POLLIN};

		at = put(at, &item, sizeof(item));
	}
}

static void place_set(struct side *side, uint8_t *at, const char *text)
{
	while (*text != '\0') {
		int64_t fd = take(side, &text);

		at[fd / 8] |= (uint8_t)(1 << fd % 8);
	}
}

static void place_event(struct side *side, uint8_t *at, const char *text)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)take(side, &text)};

	(void)put(at, &event, sizeof(event));
}

static void place_in4(struct side *side, uint8_t *at, const char *text)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)take(side, &text)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	(void)put(at, &address, sizeof(address));
}

static void place_unix(struct side *side, uint8_t *at, const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)side;
	memcpy(address.sun_path, text, strlen(text));
	(void)put(at, &address, sizeof(address));
}

static void fill(uint8_t *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)('a' + i % 23);
}

static void place_vector(struct side *side, uint8_t *at, const char *text)
{
	uint8_t *buffers = side->arena->slots[WORD_BUFFERS];

	fill(buffers, ARENA_SLOT_BYTES);
	while (*text != '\0') {
		struct iovec item = {buffers, (size_t)take(side, &text)};

		buffers += item.iov_len;
		at = put(at, &item, sizeof(item));
	}
}

/* The message @number of the arena. */
static struct msghdr message_of(struct side *side, unsigned number, char kind)
{
	uint8_t *aside = side->arena->slots[WORD_ASIDE];
	uint8_t *buffer = side->arena->slots[WORD_BUFFERS] + number * 2 * BUFFER_BYTES;
	struct iovec vector[2] = {{buffer, 20}, {buffer + BUFFER_BYTES, 30}};
	struct msghdr header;

	memset(&header, 0, sizeof(header)); /* what is between its members, too */
	header.msg_iovlen = 2;
	fill(buffer, 2 * BUFFER_BYTES);
	header.msg_iov = (struct iovec *)(void *)(aside + VECTOR_AT + number * sizeof(vector));
	(void)put((uint8_t *)header.msg_iov, vector, sizeof(vector));
	if (kind == '-')
		return header;
	header.msg_name = aside + number * NAME_BYTES;
	header.msg_namelen = NAME_BYTES;
	if (kind == '4') {
		place_in4(side, header.msg_name, "9");
		header.msg_namelen = sizeof(struct sockaddr_in);
		return header;
	}
	header.msg_control = aside + CONTROL_AT + number * CONTROL_BYTES;
	header.msg_controllen = CONTROL_BYTES;
	return header;
}

static void place_message(struct side *side, uint8_t *at, const char *text)
{
	const struct msghdr header = message_of(side, 0, *text);

	(void)put(at, &header, sizeof(header));
}

static void place_messages(struct side *side, uint8_t *at, const char *text)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct msghdr header = message_of(side, i, *text);

		(void)put(at + i * sizeof(struct mmsghdr), &header, sizeof(header));
	}
}

static void place_memory(struct side *side, uint8_t *at, const char *text)
{
	(void)side, (void)text;
	fill(at, ARENA_SLOT_BYTES);
}

static void place_nothing(struct side *side, uint8_t *at, const char *text)
{
	(void)side, (void)at, (void)text;
}

static void place_string(struct side *side, uint8_t *at, const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || text[length - 1] != '\'')
		side_fail(side, "a string has no end: %s", text);
	(void)put(at, text, length - 1);
}

static const struct {
	const char *prefix;
	bool is_whole; /* nothing comes after it */
	place_function *place;
} kinds[] = {
	{"'", false, place_string},
	{"m", true, place_memory},
	{"z", true, place_nothing},
	{"int:", false, place_ints},
	{"long:", false, place_longs},
	{"poll:", false, place_polls},
	{"set:", false, place_set},
	{"event:", false, place_event},
	{"in4:", false, place_in4},
	{"unix:", false, place_unix},
	{"iov:", false, place_vector},
	{"msg", false, place_message},
	{"mmsg", false, place_messages},
};

uint64_t word_place(struct side *side, unsigned index, const char *word)
{
	uint8_t *slot = side->arena->slots[index];

	if (strcmp(word, "at") == 0)
		return (uint64_t)(int64_t)AT_FDCWD;
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(word, kinds[i].prefix, length) != 0 ||
			(kinds[i].is_whole && word[length] != '\0'))
			continue;
		kinds[i].place(side, slot, word + length);
		return SIDE_AT(slot);
	}
	return (uint64_t)take(side, &word);
}
