/*
 * A server, with the kernel of the tests, before clients that do what the input says: sessions of both
 * kinds and lanes, calls that ask for copies, answers of any length, frames and bytes of any kind,
 * hang-ups anywhere. Calls of clients that have kept to the rules are answered; at the end the
 * server closes, and nothing is left of any process. Deepest: a call was answered on a lane, and a
 * copy on a session.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 the server speaks plain 0.4
 *       1     -  steps: a byte whose bits 0-1 are the client and whose bits 2-4 say what it does, and
 *                what this takes:
 *                0 connect and be a guest; 1 with HELLO; 2 be a lane of the client that the next byte
 *                names; 3 a call: number, argument, bytes of the copies, which are answered as a
 *                byte says: length right, plus or minus; 4 a frame: class, type, aux, number, bytes of
 *                payload, payload; 5 bytes: how many, and these; 6 read what is there; 7 hang up
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/reader.h"
#include "ferry/sysproxy.h"
#include "sysproxy/banner.h"
#include "test/sysproxy/fake_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define CLIENTS       4u
#define STEPS_MAX     64u
#define ADDRESS       0x10000u
#define KERNEL_BYTES  (64u << 10) /* that a call is about at most */
#define PAYLOAD_MAX   (256u << 10)
#define ANSWER_WAIT_S 30

enum { BE_GUEST, BE_EXTENDED, BE_LANE, MAKE_CALL, SEND_FRAME, SEND_BYTES, READ_ALL, HANG_UP };

struct client {
	int fd; /* -1: not connected */
	bool is_extended, is_lane;
	bool is_wild; /* it has said what may be answered by anything, or nothing */
	struct wire_cookie cookie;
	uint64_t number;
};

struct fuzz {
	struct reader reader;
	struct sockaddr_un address;
	struct client clients[CLIENTS];
	struct wire_frame frame; /* received last */
	bool is_plain, is_lane_answered, is_copy_answered;
	uint8_t payload[PAYLOAD_MAX];
};

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

/* The kernel: its calls are kept from asking for more than there is. */

static const struct ferry_kernel_operations *fake_operations;

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static int bounded_call(void *kernel, void *lwp, struct ferry_lwp *handle,
	const struct ferry_kernel_call *call, int64_t ret_values[2])
{
	struct ferry_kernel_call bounded = *call;
	uint64_t arguments[WIRE_ARGUMENTS_MAX];

	memcpy(arguments, call->arguments, sizeof(arguments));
	bounded.arguments = arguments;
	if (call->number == FAKE_STUBBORN)
		arguments[0] = at_most(arguments[0], 3);
	if (call->number == FAKE_MMAP)
		arguments[0] = at_most(arguments[0], KERNEL_BYTES);
	else if (call->number == FAKE_LIST)
		arguments[1] = at_most(arguments[1], 8);
	else
		arguments[1] = at_most(arguments[1], KERNEL_BYTES);
	if (call->number == FAKE_PLACE)
		arguments[3] = at_most(arguments[3], arguments[1]);
	if (call->number == FAKE_RAISE)
		arguments[0] &= 63;
	return fake_operations->call(kernel, lwp, handle, &bounded, ret_values);
}

/* Clients */

static void drop(struct client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	*client = (struct client){.fd = -1};
}

/* Send; the server may have hung up, or not read as long as this does not. */
static void push(struct client *client, const void *bytes, size_t count)
{
	if (send(client->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)count)
		client->is_wild = true;
}

static void push_frame(struct client *client, struct wire_frame frame, const void *payload,
	size_t bytes)
{
	struct wire_header header;

	wire_header_put(&header, &frame, bytes);
	push(client, &header, sizeof(header));
	if (bytes > 0)
		push(client, payload, bytes);
}

/* The fuzzing engine's alarm interrupts it now and then. */
static void await_input(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int count;

	do
		count = poll(&poll_fd, 1, ANSWER_WAIT_S * 1000);
	while (count < 0 && errno == EINTR);
	assert(count == 1);
}

/* @return whether all has come; one that breaks off is the server's right with a wild client. */
static bool pull(struct client *client, void *to, size_t bytes)
{
	size_t got_bytes = 0;

	while (got_bytes < bytes) {
		ssize_t got;

		await_input(client->fd);
		got = recv(client->fd, (uint8_t *)to + got_bytes, bytes - got_bytes, 0);
		if (got <= 0)
			return false;
		got_bytes += (size_t)got;
	}
	return true;
}

/* Receive a frame, with its payload. Servers raise when they like. */
static bool pull_frame(struct fuzz *fuzz, struct client *client)
{
	struct wire_header header;

	do {
		if (!pull(client, &header, sizeof(header)))
			return false;
		fuzz->frame = wire_frame_of(&header);
		assert(wire_check_from_server(&fuzz->frame, true) == 0);
		assert(fuzz->frame.bytes - WIRE_HEADER_BYTES <= sizeof(fuzz->payload));
		if (!pull(client, fuzz->payload, (size_t)fuzz->frame.bytes - WIRE_HEADER_BYTES))
			return false;
	} while (fuzz->frame.class == WIRE_REQUEST && fuzz->frame.type == WIRE_RAISE);
	return true;
}

static bool open_client(struct fuzz *fuzz, struct client *client)
{
	char byte = 0;

	drop(client);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(client->fd >= 0);
	assert(connect(client->fd, (struct sockaddr *)&fuzz->address, sizeof(fuzz->address)) == 0);
	while (byte != '\n') {
		if (!pull(client, &byte, 1))
			return false;
	}
	return true;
}

static bool greet(struct fuzz *fuzz, struct client *client)
{
	struct wire_hello hello = {.version = le32_of(WIRE_VERSION),
		.carried_max = le32_of(64),
		.ranges_max = le32_of(WIRE_RANGES_MAX)};

	banner_machine(hello.machine);
	push_frame(client, (struct wire_frame){.type = WIRE_HELLO}, &hello, sizeof(hello));
	client->is_extended = true;
	return pull_frame(fuzz, client) && fuzz->frame.class == WIRE_RESPONSE;
}

static void be_guest(struct fuzz *fuzz, struct client *client, bool is_extended)
{
	struct wire_session_reply reply;

	if (!open_client(fuzz, client) || (is_extended && !greet(fuzz, client))) {
		drop(client);
		return;
	}
	push_frame(client, (struct wire_frame){.type = WIRE_HANDSHAKE}, "guest", 6);
	if (!pull_frame(fuzz, client) || fuzz->frame.class != WIRE_RESPONSE) {
		drop(client);
		return;
	}
	if (is_extended) {
		memcpy(&reply, fuzz->payload, sizeof(reply));
		client->cookie = reply.lane;
	}
}

static void be_lane(struct fuzz *fuzz, struct client *client, const struct client *session)
{
	struct wire_lane lane = {.lane = session->cookie, .id = le64_of(1)};

	lane.id = le64_of((uint64_t)(client - fuzz->clients) + 1);
	if (client == session || !open_client(fuzz, client) || !greet(fuzz, client)) {
		drop(client);
		return;
	}
	push_frame(client, (struct wire_frame){.type = WIRE_LANE}, &lane, sizeof(lane));
	client->is_lane = true;
	if (!pull_frame(fuzz, client) || fuzz->frame.class != WIRE_RESPONSE)
		drop(client);
}

/* Calls */

/* Answer the copy that was received, with @difference bytes more or less than asked for. */
static void answer_copy(struct fuzz *fuzz, struct client *client, int8_t difference)
{
	struct wire_frame frame = {.class = WIRE_RESPONSE,
		.type = fuzz->frame.type,
		.number = fuzz->frame.number};
	bool is_out = frame.type == WIRE_CALL_COPYOUT || frame.type == WIRE_CALL_ANONMMAP;
	uint64_t bytes = frame.type == WIRE_ANONMMAP ? 8
		: frame.type >= WIRE_CALL_COPYIN     ? le64_load(fuzz->payload + 16)
						     : le64_load(fuzz->payload);

	if (frame.type == WIRE_COPYOUT)
		return;
	if (is_out)
		bytes = 0;
	bytes = at_most(bytes + (uint64_t)(int64_t)difference, KERNEL_BYTES);
	memset(fuzz->payload, 0, sizeof(struct wire_call_copy_reply) + bytes);
	if (frame.type == WIRE_CALL_ANONMMAP)
		fuzz->payload[9] = 0x77; /* the address */
	else if (frame.type == WIRE_ANONMMAP)
		fuzz->payload[1] = 0x77;
	if (frame.type >= WIRE_CALL_COPYIN)
		bytes += sizeof(struct wire_call_copy_reply);
	push_frame(client, frame, fuzz->payload, (size_t)bytes);
	fuzz->is_copy_answered |= !client->is_lane && difference == 0;
}

static void push_call(struct client *client, uint32_t wanted, uint64_t first, uint64_t bytes)
{
	struct {
		struct wire_call call;
		le64 arguments[3];
		struct wire_range range;
	} payload = {
		.call = {.argument_count = le16_of(3), .range_count = le16_of(1)},
		.arguments = {le64_of(first), le64_of(bytes), le64_of(first)},
		.range = {.address = le64_of(ADDRESS),
			.bytes = le64_of(KERNEL_BYTES),
			.flags = le32_of(WIRE_RANGE_IN | WIRE_RANGE_OUT)},
	};
	const struct wire_frame frame = {.type = client->is_extended ? WIRE_CALL : WIRE_SYSCALL,
		.number = ++client->number,
		.aux = wanted};

	if (client->is_extended)
		push_frame(client, frame, &payload, sizeof(payload));
	else
		push_frame(client, frame, payload.arguments, sizeof(payload.arguments));
}

/* A call that asks for copies; its answers are right but for their length. One that is not to block is
 * answered in the end, on whatever connection it was made. */
static void make_call(struct fuzz *fuzz, struct client *client)
{
	uint32_t wanted = reader_u8(&fuzz->reader) % (FAKE_EXTENDED + 2);
	uint64_t first = reader_u8(&fuzz->reader), bytes = reader_le16(&fuzz->reader);
	int8_t difference = (int8_t)reader_u8(&fuzz->reader);
	bool has_memory = wanted >= FAKE_COPYIN && wanted != FAKE_MMAP && wanted != FAKE_RAISE &&
		wanted != FAKE_BLOCK && wanted != FAKE_WAKE && wanted != FAKE_STUBBORN;
	bool is_blocking = wanted == FAKE_BLOCK || wanted == FAKE_STUBBORN;

	push_call(client, wanted, has_memory ? ADDRESS : first, bytes);
	if (is_blocking)
		client->is_wild = true; /* what comes next is not its answer */
	while (!client->is_wild) {
		if (!pull_frame(fuzz, client)) {
			drop(client);
			return;
		}
		if (fuzz->frame.class != WIRE_REQUEST)
			break;
		answer_copy(fuzz, client, difference);
	}
	if (client->is_wild)
		return;
	assert(fuzz->frame.number == client->number);
	fuzz->is_lane_answered |= client->is_lane && fuzz->frame.class == WIRE_RESPONSE;
}

/* Anything */

static void send_frame(struct fuzz *fuzz, struct client *client)
{
	struct wire_frame frame = {
		.class = reader_u8(&fuzz->reader) & 3,
		.type = reader_u8(&fuzz->reader),
		.aux = reader_u8(&fuzz->reader),
		.number = reader_u8(&fuzz->reader),
	};
	uint8_t bytes = reader_u8(&fuzz->reader);
	const uint8_t *payload = reader_bytes(&fuzz->reader, bytes);

	client->is_wild = true;
	if (payload != NULL)
		push_frame(client, frame, payload, bytes);
}

static void send_bytes(struct fuzz *fuzz, struct client *client)
{
	uint8_t bytes = reader_u8(&fuzz->reader);
	const uint8_t *data = reader_bytes(&fuzz->reader, bytes);

	client->is_wild = true;
	if (data != NULL)
		push(client, data, bytes);
}

static void read_all(struct fuzz *fuzz, const struct client *client)
{
	while (recv(client->fd, fuzz->payload, sizeof(fuzz->payload), MSG_DONTWAIT) > 0)
		;
}

static void step(struct fuzz *fuzz)
{
	uint8_t order = reader_u8(&fuzz->reader);
	struct client *client = &fuzz->clients[order % CLIENTS];
	unsigned what = (order / CLIENTS) % (HANG_UP + 1);

	if (what > BE_LANE && client->fd < 0 && !open_client(fuzz, client))
		return;
	switch (what) {
	case BE_GUEST:
	case BE_EXTENDED:
		be_guest(fuzz, client, what == BE_EXTENDED && !fuzz->is_plain);
		break;
	case BE_LANE:
		be_lane(fuzz, client, &fuzz->clients[reader_u8(&fuzz->reader) % CLIENTS]);
		break;
	case MAKE_CALL:
		make_call(fuzz, client);
		break;
	case SEND_FRAME:
		send_frame(fuzz, client);
		break;
	case SEND_BYTES:
		send_bytes(fuzz, client);
		break;
	case READ_ALL:
		read_all(fuzz, client);
		break;
	case HANG_UP:
		drop(client);
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct ferry_sysproxy_server_options options = {.struct_bytes = sizeof(options)};
	char directory[] = "/tmp/ferry-fuzz-XXXXXX", url[128], error[FERRY_SYSPROXY_ERROR_MAX];
	struct fake_kernel *kernel = fake_kernel_new();
	struct ferry_kernel face = fake_kernel_face(kernel);
	struct ferry_kernel_operations operations = *face.operations;
	struct ferry_sysproxy_server *server;
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));

	assert(fuzz != NULL && mkdtemp(directory) != NULL);
	fake_operations = face.operations;
	operations.call = bounded_call;
	face.operations = &operations;
	fuzz->reader = reader_over(data, data_bytes);
	fuzz->is_plain = reader_u8(&fuzz->reader) & 1;
	options.is_plain = fuzz->is_plain;
	fuzz->address.sun_family = AF_UNIX;
	snprintf(fuzz->address.sun_path, sizeof(fuzz->address.sun_path), "%s/s", directory);
	snprintf(url, sizeof(url), "unix://%s", fuzz->address.sun_path);
	assert(ferry_sysproxy_server_open(url, &face, &options, &server, error) == 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		fuzz->clients[i].fd = -1;
	for (unsigned i = 0; i < STEPS_MAX && fuzz->reader.left_bytes > 0; i++)
		step(fuzz);
	is_deep = fuzz->is_lane_answered && fuzz->is_copy_answered;
	for (unsigned i = 0; i < CLIENTS; i++)
		drop(&fuzz->clients[i]);
	ferry_sysproxy_server_close(server);
	fake_kernel_free(kernel);
	assert(rmdir(directory) == 0);
	free(fuzz);
	return 0;
}
