/*
 * Servers that do not let a client in, or are none.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ferry/sysproxy.h"
#include "sysproxy/banner.h"

#define TIMEOUT_MS 300

/* A socket that greets whoever connects with the same bytes. */
struct greeter {
	char path[108];
	char url[128];
	int listener;
};

static void start_greeter(struct greeter *greeter)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*greeter = (struct greeter){0};
	(void)snprintf(greeter->path, sizeof(greeter->path), "/tmp/ferry-greeter-%d", getpid());
	(void)snprintf(greeter->url, sizeof(greeter->url), "unix://%s", greeter->path);
	memcpy(address.sun_path, greeter->path, sizeof(greeter->path));
	(void)unlink(greeter->path);
	greeter->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(greeter->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(greeter->listener, 8), 0);
}

static void stop_greeter(struct greeter *greeter)
{
	assert_int_equal(close(greeter->listener), 0);
	assert_int_equal(unlink(greeter->path), 0);
}

static int open_at(const char *url, char error[FERRY_SYSPROXY_ERROR_MAX])
{
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.connect_timeout_ms = TIMEOUT_MS};
	struct ferry_sysproxy *client = NULL;
	int result = ferry_sysproxy_open(url, &options, &client, error);

	ferry_sysproxy_close(client);
	return result;
}

/* The greeting waits in the socket already when the client reads: what it says must not need a thread.
 * So the connection is made over a pair. */
static int open_with_greeting(const char *greeting, size_t bytes, bool is_ended, char error[])
{
	char url[32];
	int fds[2], result;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(write(fds[1], greeting, bytes), bytes);
	if (is_ended)
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	(void)snprintf(url, sizeof(url), "fd://%d", fds[0]);
	result = open_at(url, error);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return result;
}

static void test_client_says_what_is_wrong_when_no_server_greets_it(void **state)
{
	static const struct {
		const char *greeting;
		bool is_ended;
		int expected;
		const char *sentence;
	} rows[] = {
		{"", true, -EPIPE, "no sysproxy server"},
		{"", false, -ETIMEDOUT, "no sysproxy server"},
		{"RUMPSP-0.4-Net", true, -EPIPE, "no sysproxy server"},
		{"RUMPSP-0.4-Net", false, -ETIMEDOUT, "no sysproxy server"},
		{"SSH-2.0-OpenSSH_9.2\r\n", false, -EPROTO, "no sysproxy server"},
		{"RUMPSP-0.5-NetBSD-10/amd64\n", false, -EPROTONOSUPPORT, "another version"},
		{"RUMPSP-1.4-NetBSD-10/amd64\n", false, -EPROTONOSUPPORT, "another version"},
		{"RUMPSP-0.4-Ferry-1/vax FERRY-1\n", false, -EPROTONOSUPPORT, "another kind"},
		{"RUMPSP-0.4-NetBSD-10/amd64\n", false, -ETIMEDOUT, "did not let us in"},
		{"RUMPSP-0.4-NetBSD-10/amd64\n", true, -EPIPE, "did not let us in"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char error[FERRY_SYSPROXY_ERROR_MAX] = "";
		int result = open_with_greeting(rows[i].greeting, strlen(rows[i].greeting),
			rows[i].is_ended, error);

		if (result != rows[i].expected || strstr(error, rows[i].sentence) == NULL)
			fail_msg("row %zu: %d, %s", i, result, error);
	}
}

static void test_client_gives_up_when_a_line_does_not_end(void **state)
{
	char greeting[200], error[FERRY_SYSPROXY_ERROR_MAX];

	(void)state;
	memset(greeting, 'R', sizeof(greeting));
	assert_int_equal(open_with_greeting(greeting, sizeof(greeting), false, error), -EPROTO);
}

/* What a server may answer to HELLO and GUEST, sent ahead. */
static int open_with_frames(const struct wire_frame *frames, const size_t *payload_bytes,
	unsigned count, char error[])
{
	struct banner banner = {.minor = 4, .os = "X-1", .extension = 1};
	uint8_t bytes[1024] = {0};
	size_t used;

	banner_machine(banner.machine);
	used = banner_make(&banner, (char *)bytes);
	for (unsigned i = 0; i < count; i++) {
		wire_header_put((struct wire_header *)(bytes + used), &frames[i], payload_bytes[i]);
		/* Versions and limits of 0. */
		used += WIRE_HEADER_BYTES + payload_bytes[i];
	}
	return open_with_greeting((char *)bytes, used, false, error);
}

static void test_client_has_the_reason_when_the_server_refuses_it(void **state)
{
	static const struct {
		struct wire_frame frame;
		size_t payload_bytes;
		int expected;
	} rows[] = {
		{{.class = WIRE_ERROR, .aux = WIRE_ERROR_NO_MEMORY}, 0, -ENOMEM},
		{{.class = WIRE_ERROR, .aux = WIRE_ERROR_AUTH}, 0, -EPERM},
		{{.class = WIRE_ERROR, .aux = 99}, 0, -EPROTO},
		{{.class = WIRE_RESPONSE, .type = WIRE_HELLO}, sizeof(struct wire_hello), -EPROTO},
		{{.class = WIRE_RESPONSE, .type = WIRE_HELLO}, 4, -EPROTO},
		{{.class = WIRE_REQUEST, .type = WIRE_SYSCALL}, 0, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char error[FERRY_SYSPROXY_ERROR_MAX] = "";
		int result = open_with_frames(&rows[i].frame, &rows[i].payload_bytes, 1, error);

		if (result != rows[i].expected)
			fail_msg("row %zu: %d, %s", i, result, error);
	}
}

static void test_client_says_so_when_nobody_listens(void **state)
{
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";
	struct greeter greeter;

	(void)state;
	start_greeter(&greeter);
	assert_int_equal(open_at(greeter.url, error), -ETIMEDOUT);
	stop_greeter(&greeter);
	assert_int_equal(open_at(greeter.url, error), -ENOENT);
	assert_non_null(strstr(error, greeter.path));
	assert_int_equal(open_at("tcp://127.0.0.1:1", error), -ECONNREFUSED);
	assert_int_equal(open_at("tcp://192.0.2.1:1", error), -EACCES);
	assert_int_equal(open_at("http://127.0.0.1", error), -EINVAL);
	assert_int_equal(open_at("fd://999", error), -EBADF);
}

static void test_client_is_told_which_variable_to_set_when_it_has_no_url(void **state)
{
	char error[FERRY_SYSPROXY_ERROR_MAX] = "";

	(void)state;
	assert_int_equal(unsetenv("FERRY_CALLS"), 0);
	assert_int_equal(open_at(NULL, error), -EINVAL);
	assert_non_null(strstr(error, "FERRY_CALLS"));
	assert_int_equal(setenv("FERRY_CALLS", "tcp://127.0.0.1:1", 1), 0);
	assert_int_equal(open_at(NULL, error), -ECONNREFUSED);
	/* What no program before us has left is not taken for a connection. */
	assert_int_equal(setenv("FERRY_CALLS_FD", "0,1,1,1,1,1,unix:///x", 1), 0);
	assert_int_equal(open_at(NULL, error), -ECONNREFUSED);
	assert_int_equal(setenv("FERRY_CALLS_FD", "rubbish", 1), 0);
	assert_int_equal(open_at(NULL, error), -ECONNREFUSED);
	assert_int_equal(unsetenv("FERRY_CALLS_FD"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_says_what_is_wrong_when_no_server_greets_it),
		cmocka_unit_test(test_client_gives_up_when_a_line_does_not_end),
		cmocka_unit_test(test_client_has_the_reason_when_the_server_refuses_it),
		cmocka_unit_test(test_client_says_so_when_nobody_listens),
		cmocka_unit_test(test_client_is_told_which_variable_to_set_when_it_has_no_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
