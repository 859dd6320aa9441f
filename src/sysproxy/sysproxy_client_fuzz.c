/*
 * The client library before a server that says what the input says. Whatever that is, every call ends
 * once the server has hung up; memory that no call has declared for writing stays as it is, and of what
 * none has declared for reading no byte is sent. Deepest: a call has succeeded, having been given data,
 * and a copy was answered in its course.
 *
 *  OFFSET  SIZE  MEANING
 *       0     1  1 the client speaks plain 0.4; 2 the input begins behind the greetings, which are
 *                right ones; 4 the calls are on a lane
 *       1     -  what the server says; the memory that is read begins at 60000140h, the one that is
 *                written at 60000240h
 *
 * tidy: allow length because the server that is played here serves this target alone.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ferry/sysproxy.h"
#include "sysproxy/banner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes);
bool fuzz_is_deep(void);

#define CALLS        4
#define MEMORY       0x60000000u /* where inputs can name it; no sanitizer has anything there */
#define MEMORY_BYTES 1024
#define PART_BYTES   256 /* of the memory: secret, read, written, secret; each begins with a gap */
#define GAP_BYTES    64
#define SECRET       0xa5
#define READ         0x11 /* and NULs */

enum { IS_PLAIN = 1, IS_GREETED = 2, HAS_LANE = 4 };

/* One connection, as the server has it. */
struct end {
	int fd;
	uint8_t *say;
	size_t say_bytes, said_bytes;
	size_t due_bytes;    /* of what it says: as much as the client has asked for */
	bool is_last_due;    /* ...and then it hangs up */
	bool is_spoken;      /* all was said, and hung up half */
	size_t looked_bytes; /* of what was heard */
	uint8_t *heard;
	size_t heard_bytes, heard_room;
};

struct fuzz {
	uint8_t set;
	const uint8_t *script;
	size_t script_bytes;
	int listener, stop; /* the latter readable: no more calls */
	struct end ends[2];
	unsigned end_count;
	pthread_t thread;
	uint8_t *memory;
	unsigned succeeded_count, answered_count;
	bool is_given;
};

static bool is_deep;

bool fuzz_is_deep(void)
{
	return is_deep;
}

/* What the server says */

static void say(struct end *end, const void *bytes, size_t count)
{
	end->say = realloc(end->say, end->say_bytes + count + 1);
	assert(end->say != NULL);
	if (count > 0)
		memcpy(end->say + end->say_bytes, bytes, count);
	end->say_bytes += count;
}

static void say_frame(struct end *end, uint16_t type, uint64_t number, const void *payload,
	size_t bytes)
{
	const struct wire_frame frame = {.class = WIRE_RESPONSE, .type = type, .number = number};
	struct wire_header header;

	wire_header_put(&header, &frame, bytes);
	say(end, &header, sizeof(header));
	say(end, payload, bytes);
}

static void say_greetings(struct fuzz *fuzz, struct end *end, bool is_lane)
{
	bool is_extended = (fuzz->set & IS_PLAIN) == 0;
	struct wire_hello hello = {
		.version = le32_of(WIRE_VERSION),
		.carried_max = le32_of(WIRE_CARRIED_MAX),
		.ranges_max = le32_of(WIRE_RANGES_MAX),
		.lanes_max = le32_of((fuzz->set & HAS_LANE) != 0 ? 4 : 0),
		.calls_max = le32_of(4),
	};
	struct wire_session_reply reply = {.process_id = le64_of(7)};
	struct banner banner = {.minor = 4, .os = "Fuzz-1", .extension = is_extended};
	char line[WIRE_BANNER_MAX + 1];

	banner_machine(hello.machine);
	banner_machine(banner.machine);
	say(end, line, banner_make(&banner, line));
	if (is_extended)
		say_frame(end, WIRE_HELLO, 0, &hello, sizeof(hello));
	say_frame(end, is_lane ? WIRE_LANE : WIRE_HANDSHAKE, 1, &reply,
		is_extended && !is_lane ? sizeof(reply) : 4);
}

/* The server's thread: it says what it has to say and hears all there is, until both ends are gone or
 * no call is to come. */

static void add_end(struct fuzz *fuzz, int fd)
{
	struct end *end = &fuzz->ends[fuzz->end_count++];
	bool is_lane_script = (fuzz->set & HAS_LANE) != 0;
	bool is_last = !is_lane_script || fuzz->end_count == 2;

	*end = (struct end){.fd = fd};
	assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	if ((fuzz->set & IS_GREETED) != 0 || !is_last)
		say_greetings(fuzz, end, fuzz->end_count == 2);
	end->due_bytes = end->say_bytes;
	if (is_last)
		say(end, fuzz->script, fuzz->script_bytes);
	/* What it does not know it cannot have written to memory that it has had mapped. */
	for (size_t i = 0; i < end->say_bytes; i++)
		end->say[i] = end->say[i] == SECRET ? READ : end->say[i];
	/* A client that is not greeted asks for nothing. */
	if (is_last && (fuzz->set & IS_GREETED) == 0) {
		end->due_bytes = end->say_bytes;
		end->is_last_due = true;
	}
}

/* The client has asked for something: what comes next is due, as far as to an answer. */
static void owe(struct end *end)
{
	while (!end->is_last_due) {
		struct wire_header header;
		struct wire_frame frame = {0};

		if (end->say_bytes - end->due_bytes >= sizeof(header)) {
			memcpy(&header, end->say + end->due_bytes, sizeof(header));
			frame = wire_frame_of(&header);
		}
		if (frame.bytes < sizeof(header) || frame.bytes > end->say_bytes - end->due_bytes) {
			end->due_bytes = end->say_bytes;
			end->is_last_due = true;
			return;
		}
		end->due_bytes += (size_t)frame.bytes;
		if (frame.class != WIRE_REQUEST)
			return;
	}
}

static void look(struct end *end)
{
	while (end->heard_bytes - end->looked_bytes >= WIRE_HEADER_BYTES) {
		struct wire_header header;
		struct wire_frame frame;

		memcpy(&header, end->heard + end->looked_bytes, sizeof(header));
		frame = wire_frame_of(&header);
		if (frame.bytes > end->heard_bytes - end->looked_bytes)
			return;
		end->looked_bytes += (size_t)frame.bytes;
		if (frame.class == WIRE_REQUEST && frame.type != WIRE_HELLO &&
			frame.type != WIRE_HANDSHAKE && frame.type != WIRE_LANE)
			owe(end);
	}
}

/* A third connection, of a client that has lost its lane, finds nobody. */
static void take_end(struct fuzz *fuzz, int fd)
{
	if (fuzz->end_count < 2)
		add_end(fuzz, fd);
	else
		(void)close(fd);
}

static void hear(struct end *end)
{
	ssize_t got;

	if (end->heard_room < end->heard_bytes + 65536) {
		end->heard_room = end->heard_bytes * 2 + 65536;
		end->heard = realloc(end->heard, end->heard_room);
		assert(end->heard != NULL);
	}
	got = recv(end->fd, end->heard + end->heard_bytes, end->heard_room - end->heard_bytes, 0);
	if (got > 0) {
		end->heard_bytes += (size_t)got;
		look(end);
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		(void)close(end->fd);
		end->fd = -1;
	}
}

static void speak(struct end *end, bool is_all)
{
	ssize_t sent = send(end->fd, end->say + end->said_bytes, end->due_bytes - end->said_bytes,
		MSG_NOSIGNAL);

	if (sent >= 0)
		end->said_bytes += (size_t)sent;
	else if (errno != EAGAIN)
		end->said_bytes = end->due_bytes;
	if (end->said_bytes == end->due_bytes && is_all) {
		end->is_spoken = true;
		(void)shutdown(end->fd, SHUT_WR);
	}
}

/* The session of a client with a lane ends with that. */
static bool may_end(const struct fuzz *fuzz, const struct end *end)
{
	if ((fuzz->set & HAS_LANE) != 0 && end == &fuzz->ends[0])
		return fuzz->end_count == 2 && fuzz->ends[1].is_spoken;
	return end->is_last_due;
}

static void turn(struct fuzz *fuzz, struct pollfd *polls)
{
	for (unsigned i = 0; i < fuzz->end_count; i++) {
		struct end *end = &fuzz->ends[i];
		bool is_silent = end->is_spoken ||
			(end->said_bytes == end->due_bytes && !may_end(fuzz, end));

		polls[i] = (struct pollfd){.fd = end->fd,
			.events = (short)(POLLIN | (is_silent ? 0 : POLLOUT))};
	}
	polls[2] = (struct pollfd){.fd = fuzz->listener, .events = POLLIN};
	polls[3] = (struct pollfd){.fd = fuzz->stop, .events = POLLIN};
	assert(poll(polls, 4, -1) >= 0 || errno == EINTR);
}

static void *serve(void *argument)
{
	struct fuzz *fuzz = argument;
	struct pollfd polls[4] = {{0}};

	for (;;) {
		for (unsigned i = 0; i < 2; i++)
			polls[i] = (struct pollfd){.fd = -1};
		turn(fuzz, polls);
		for (unsigned i = 0; i < fuzz->end_count; i++) {
			if (fuzz->ends[i].fd >= 0 && (polls[i].revents & POLLOUT) != 0)
				speak(&fuzz->ends[i], may_end(fuzz, &fuzz->ends[i]));
			if (fuzz->ends[i].fd >= 0 &&
				(polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
				hear(&fuzz->ends[i]);
		}
		if ((polls[2].revents & POLLIN) != 0)
			take_end(fuzz, accept(fuzz->listener, NULL, NULL));
		if (polls[3].revents != 0 && fuzz->ends[0].fd < 0 && fuzz->ends[1].fd < 0)
			return NULL;
	}
}

/* What the client has said */

static void check_bytes(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert(bytes[i] != SECRET);
}

/* @return the smallest ANONMMAP that the server has asked for by that number, which was the one. */
static uint64_t mapped_bytes(const struct end *end, uint64_t number)
{
	uint64_t least = 0;

	/* Wherever it may begin. */
	for (size_t at = 0; at + WIRE_HEADER_BYTES + 8 <= end->say_bytes; at++) {
		struct wire_header header;
		struct wire_frame frame;
		uint64_t bytes;

		memcpy(&header, end->say + at, sizeof(header));
		frame = wire_frame_of(&header);
		if (frame.class != WIRE_REQUEST || frame.number != number)
			continue;
		if (frame.type == WIRE_ANONMMAP)
			bytes = le64_load(end->say + at + WIRE_HEADER_BYTES);
		else if (frame.type == WIRE_CALL_ANONMMAP && at + 48 <= end->say_bytes)
			bytes = le64_load(end->say + at + WIRE_HEADER_BYTES + 16);
		else
			continue;
		if (bytes > 0 && (least == 0 || bytes < least))
			least = bytes;
	}
	return least;
}

static void check_answer(struct fuzz *fuzz, const struct end *end, const struct wire_frame *frame,
	const uint8_t *payload, size_t bytes)
{
	uint64_t address = 0;

	switch (frame->type) {
	case WIRE_COPYIN:
		check_bytes(payload, bytes);
		fuzz->answered_count += bytes > 0;
		break;
	case WIRE_CALL_COPYIN:
	case WIRE_CALL_COPYINSTR:
		assert(bytes >= sizeof(struct wire_call_copy_reply));
		check_bytes(payload + sizeof(struct wire_call_copy_reply),
			bytes - sizeof(struct wire_call_copy_reply));
		fuzz->answered_count += bytes > sizeof(struct wire_call_copy_reply);
		break;
	case WIRE_ANONMMAP:
		assert(bytes == 8);
		address = le64_load(payload);
		break;
	case WIRE_CALL_ANONMMAP:
		assert(bytes == sizeof(struct wire_call_copy_reply));
		address = le64_load(payload + 8);
		break;
	default:
		assert(frame->type == WIRE_CALL_COPYOUT);
		break;
	}
	if (address != 0)
		(void)munmap((void *)(uintptr_t)address, mapped_bytes(end, frame->number));
}

static void check_call(const uint8_t *payload, size_t bytes)
{
	struct wire_call_view view;

	assert(wire_call_parse(payload, bytes, &view) == 0);
	check_bytes(view.carried, view.carried_bytes);
}

static void check_heard(struct fuzz *fuzz, const struct end *end)
{
	size_t at = 0;

	while (at + WIRE_HEADER_BYTES <= end->heard_bytes) {
		struct wire_header header;
		struct wire_frame frame;
		const uint8_t *payload = end->heard + at + WIRE_HEADER_BYTES;

		memcpy(&header, end->heard + at, sizeof(header));
		frame = wire_frame_of(&header);
		assert(wire_check_from_client(&frame, true) == 0);
		if (frame.bytes > end->heard_bytes - at)
			return; /* its end was not heard any more */
		at += (size_t)frame.bytes;
		if (frame.class == WIRE_RESPONSE)
			check_answer(fuzz, end, &frame, payload,
				(size_t)frame.bytes - WIRE_HEADER_BYTES);
		else if (frame.type == WIRE_CALL)
			check_call(payload, (size_t)frame.bytes - WIRE_HEADER_BYTES);
	}
}

/* The client */

static uint8_t *part(struct fuzz *fuzz, unsigned index)
{
	return fuzz->memory + index * PART_BYTES + GAP_BYTES;
}

#define PART_USED (PART_BYTES - GAP_BYTES)

static void reset_memory(struct fuzz *fuzz)
{
	memset(fuzz->memory, SECRET, MEMORY_BYTES);
	memset(part(fuzz, 1), READ, PART_USED);
	part(fuzz, 1)[9] = 0;
	memset(part(fuzz, 2), SECRET, PART_USED);
}

/* Parts 0 and 3 and the gaps are nobody's, part 1 is read, part 2 written. */
static void check_memory(struct fuzz *fuzz)
{
	uint8_t before[MEMORY_BYTES];
	uint8_t *written = part(fuzz, 2);

	for (size_t i = 0; i < PART_USED; i++)
		fuzz->is_given |= written[i] != SECRET;
	memcpy(before, fuzz->memory, sizeof(before));
	reset_memory(fuzz);
	memcpy(written, before + (written - fuzz->memory), PART_USED);
	assert(memcmp(before, fuzz->memory, sizeof(before)) == 0);
}

static void ignore_signal(void *context, int signal)
{
	(void)context;
	(void)signal;
}

static void make_call(struct fuzz *fuzz, struct ferry_sysproxy *client)
{
	const struct ferry_sysproxy_range ranges[] = {
		{part(fuzz, 1), PART_USED, FERRY_SYSPROXY_IN},
		{part(fuzz, 2), PART_USED, FERRY_SYSPROXY_OUT},
	};
	const uint64_t arguments[] = {1, 2, 3};
	struct ferry_sysproxy_call call = {
		.number = 5,
		.argument_count = 3,
		.arguments = arguments,
		.range_count = 2,
		.ranges = ranges,
	};
	int error;

	reset_memory(fuzz);
	error = ferry_sysproxy_call(client, &call);
	assert(error == 0 || error == -ENOTCONN || error == -ECONNABORTED);
	check_memory(fuzz);
	fuzz->succeeded_count += error == 0 && call.error == 0;
}

static void run(struct fuzz *fuzz, const char *url)
{
	struct ferry_sysproxy_options options = {
		.struct_bytes = sizeof(options),
		.name = "fuzz",
		.signal = ignore_signal,
		.is_plain = (fuzz->set & IS_PLAIN) != 0,
	};
	char problem[FERRY_SYSPROXY_ERROR_MAX];
	struct ferry_sysproxy_cookie cookie;
	struct ferry_sysproxy *client;

	if (ferry_sysproxy_open(url, &options, &client, problem) != 0)
		return;
	for (unsigned i = 0; i < CALLS; i++) {
		make_call(fuzz, client);
		/* On the session of one that has a lane nobody answers. */
		if (i == 1 && (fuzz->set & HAS_LANE) == 0)
			(void)!ferry_sysproxy_fork_prepare(client, &cookie);
	}
	ferry_sysproxy_close(client);
}

static void run_at_descriptor(struct fuzz *fuzz)
{
	char url[32];
	int pair[2];

	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	add_end(fuzz, pair[1]);
	snprintf(url, sizeof(url), "fd://%d", pair[0]);
	assert(pthread_create(&fuzz->thread, NULL, serve, fuzz) == 0);
	run(fuzz, url);
	(void)close(pair[0]);
}

static void run_at_socket(struct fuzz *fuzz)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/ferry-fuzz-XXXXXX", url[128];

	assert(mkdtemp(directory) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", directory);
	fuzz->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(fuzz->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(fuzz->listener, 4) == 0);
	snprintf(url, sizeof(url), "unix://%s", address.sun_path);
	assert(pthread_create(&fuzz->thread, NULL, serve, fuzz) == 0);
	run(fuzz, url);
	assert(unlink(address.sun_path) == 0 && rmdir(directory) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes)
{
	struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
	int stop[2];

	is_deep = false;
	assert(fuzz != NULL && pipe2(stop, O_CLOEXEC) == 0);
	fuzz->memory = mmap((void *)(uintptr_t)MEMORY, MEMORY_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert(fuzz->memory == (void *)(uintptr_t)MEMORY);
	fuzz->set = data_bytes > 0 ? data[0] & 7 : 0;
	if ((fuzz->set & IS_PLAIN) != 0)
		fuzz->set &= (uint8_t)~HAS_LANE;
	fuzz->script = data + (data_bytes > 0);
	fuzz->script_bytes = data_bytes - (data_bytes > 0);
	fuzz->stop = stop[0];
	fuzz->listener = -1;
	fuzz->ends[0].fd = fuzz->ends[1].fd = -1;
	if ((fuzz->set & HAS_LANE) != 0)
		run_at_socket(fuzz);
	else
		run_at_descriptor(fuzz);
	(void)close(stop[1]);
	assert(pthread_join(fuzz->thread, NULL) == 0);
	for (unsigned i = 0; i < fuzz->end_count; i++) {
		check_heard(fuzz, &fuzz->ends[i]);
		free(fuzz->ends[i].say);
		free(fuzz->ends[i].heard);
	}
	is_deep = fuzz->succeeded_count > 0 && fuzz->answered_count > 0 && fuzz->is_given;
	if (fuzz->listener >= 0)
		(void)close(fuzz->listener);
	(void)close(stop[0]);
	(void)munmap(fuzz->memory, MEMORY_BYTES);
	free(fuzz);
	return 0;
}
