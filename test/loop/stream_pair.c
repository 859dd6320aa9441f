/*
 * The TCP pair is made by blocking calls on loopback.
 */
#include "test/loop/stream_pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/socket_stream.h"

static void open_tcp(struct stream_pair *pair)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fds[2] = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1};

	assert_int_equal(bind(listening, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &bytes), 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, bytes), 0);
	fds[1] = accept(listening, NULL, NULL);
	assert_true(fds[1] >= 0);
	assert_int_equal(close(listening), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socket_stream_adopt(pair->loop, fds[i], &pair->ends[i]), 0);
}

static void open_unix(struct stream_pair *pair)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(socket_stream_adopt(pair->loop, fds[i], &pair->ends[i]), 0);
}

static void open_memory(struct stream_pair *pair)
{
	assert_int_equal(memory_stream_pair(pair->loop, NULL, pair->ends), 0);
}

static void open_small_memory(struct stream_pair *pair)
{
	const struct memory_stream_faults faults = {.window_bytes = 1000};

	assert_int_equal(memory_stream_pair(pair->loop, &faults, pair->ends), 0);
}

const struct stream_kind_row stream_kinds[STREAM_KINDS] = {
	{"tcp", "127.0.0.1:", open_tcp},
	{"unix", "unix", open_unix},
	{"memory", "memory", open_memory},
	{"memory, small window", "memory", open_small_memory},
};

struct stream_pair stream_pair_open(const struct stream_kind_row *kind)
{
	struct stream_pair pair = {.loop = NULL};

	print_message("           of kind %s\n", kind->name);
	assert_int_equal(loop_new(NULL, &pair.loop), 0);
	kind->open(&pair);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(stream_reserve(pair.ends[i], STREAM_PAIR_PUT_BYTES,
					 STREAM_PAIR_PIECES),
			0);
	return pair;
}

void stream_pair_start(struct stream_pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		stream_probe_start(&pair->probes[i], pair->ends[i]);
}

void stream_pair_end(struct stream_pair *pair)
{
	for (unsigned i = 0; i < 2; i++)
		stream_probe_end(&pair->probes[i]);
	loop_run_idle(pair->loop);
	loop_free(pair->loop);
}

struct wish {
	const struct stream_probe *probe;
	size_t bytes;
};

static bool is_received(void *context)
{
	const struct wish *wish = context;

	return wish->probe->received_bytes >= wish->bytes;
}

void stream_pair_run_until_received(struct stream_pair *pair, unsigned index, size_t bytes)
{
	struct wish wish = {&pair->probes[index], bytes};

	loop_run_until(pair->loop, is_received, &wish);
}
