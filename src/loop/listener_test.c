#include "loop/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/address.h"
#include "loop/loop.h"
#include "test/loop/stream_probe.h"

#define CLIENTS 200 /* more than one turn accepts */

struct fixture {
	struct loop *loop;
	struct listener *listener;
	char folder[64];
	struct sockaddr_un path;
	unsigned accepted, wanted;
	int fds[CLIENTS];
	struct sockaddr_storage peer; /* of the last */
	bool is_freeing;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/ferry-listener-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	fixture->path.sun_family = AF_UNIX;
	(void)snprintf(fixture->path.sun_path, sizeof(fixture->path.sun_path), "%s/socket",
		fixture->folder);
	assert_int_equal(loop_new(NULL, &fixture->loop), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < fixture->accepted; i++)
		assert_int_equal(close(fixture->fds[i]), 0);
	listener_free(fixture->listener);
	loop_free(fixture->loop);
	/* Empty, since the listener removes its file. */
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

static void fixture_accepted(void *context, int fd, const struct sockaddr_storage *peer)
{
	struct fixture *fixture = context;

	assert_true(fixture->accepted < CLIENTS);
	fixture->fds[fixture->accepted++] = fd;
	fixture->peer = *peer;
	if (fixture->is_freeing) {
		listener_free(fixture->listener);
		fixture->listener = NULL;
	}
}

static bool fixture_has_all(void *context)
{
	const struct fixture *fixture = context;

	return fixture->accepted >= fixture->wanted;
}

static void fixture_await(struct fixture *fixture, unsigned count)
{
	fixture->wanted = count;
	loop_run_until(fixture->loop, fixture_has_all, fixture);
	assert_int_equal(fixture->accepted, count);
}

static int listen_unix(struct fixture *fixture, struct listener **ret_listener)
{
	return listener_open(fixture->loop, (struct sockaddr *)&fixture->path,
		sizeof(fixture->path), ret_listener);
}

static int connect_unix(struct fixture *fixture)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&fixture->path, sizeof(fixture->path)), 0);
	return fd;
}

static void test_listener_accepts_when_a_client_connects(void **state)
{
	static const struct {
		int family;
		const char *host;
	} rows[] = {{AF_INET, "127.0.0.1"}, {AF_INET6, "::1"}};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct sockaddr_in in4 = {.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
			.sin6_addr = IN6ADDR_LOOPBACK_INIT};
		bool is_4 = rows[i].family == AF_INET;
		struct sockaddr *address = is_4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6;
		socklen_t bytes = is_4 ? sizeof(in4) : sizeof(in6);
		struct sockaddr_storage bound;
		char text[ADDRESS_TEXT_MAX];
		int client = socket(rows[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int error;

		if (client < 0) {
			print_message("no address family of %s here\n", rows[i].host);
			continue;
		}
		error = listener_open(fixture->loop, address, bytes, &fixture->listener);
		if (error == -EADDRNOTAVAIL) {
			print_message("no address %s here\n", rows[i].host);
			assert_int_equal(close(client), 0);
			continue;
		}
		assert_int_equal(error, 0);
		listener_address(fixture->listener, &bound);
		assert_int_not_equal(address_port(&bound), 0);
		assert_int_equal(connect(client, (struct sockaddr *)&bound, bytes), 0);
		listener_start(fixture->listener, fixture_accepted, fixture);
		fixture_await(fixture, fixture->accepted + 1);
		address_host_to_text(&fixture->peer, text);
		assert_string_equal(text, rows[i].host);
		assert_true(fcntl(fixture->fds[fixture->accepted - 1], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fixture->fds[fixture->accepted - 1], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(close(client), 0);
		listener_free(fixture->listener);
		fixture->listener = NULL;
	}
}

static void test_listener_accepts_all_when_many_connect_at_once(void **state)
{
	struct fixture *fixture = *state;
	int clients[CLIENTS];

	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = connect_unix(fixture);
	listener_start(fixture->listener, fixture_accepted, fixture);
	fixture_await(fixture, CLIENTS);
	assert_int_equal(fixture->peer.ss_family, AF_UNIX);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(close(clients[i]), 0);
}

static void test_listener_replaces_a_socket_file_when_nobody_listens_on_it(void **state)
{
	struct fixture *fixture = *state;
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client;

	assert_int_equal(bind(dead, (struct sockaddr *)&fixture->path, sizeof(fixture->path)), 0);
	assert_int_equal(close(dead), 0);
	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	listener_start(fixture->listener, fixture_accepted, fixture);
	client = connect_unix(fixture);
	fixture_await(fixture, 1);
	assert_int_equal(close(client), 0);
}

static void test_listener_refuses_when_another_listens(void **state)
{
	struct fixture *fixture = *state;
	struct listener *second = NULL;

	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	assert_int_equal(listen_unix(fixture, &second), -EADDRINUSE);
	assert_null(second);
	assert_int_equal(access(fixture->path.sun_path, F_OK), 0);
}

static void test_listener_leaves_the_file_when_it_is_no_socket(void **state)
{
	struct fixture *fixture = *state;
	int fd = open(fixture->path.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(listen_unix(fixture, &fixture->listener), -EADDRINUSE);
	assert_int_equal(access(fixture->path.sun_path, F_OK), 0);
	assert_int_equal(unlink(fixture->path.sun_path), 0);
}

static void test_listener_leaves_the_file_when_another_took_its_place(void **state)
{
	struct fixture *fixture = *state;
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	assert_int_equal(unlink(fixture->path.sun_path), 0);
	assert_int_equal(bind(other, (struct sockaddr *)&fixture->path, sizeof(fixture->path)), 0);
	listener_free(fixture->listener);
	fixture->listener = NULL;
	assert_int_equal(access(fixture->path.sun_path, F_OK), 0);
	assert_int_equal(unlink(fixture->path.sun_path), 0);
	assert_int_equal(close(other), 0);
}

static void test_listener_goes_on_when_descriptors_are_free_again(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit limit, low;
	int client;

	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	client = connect_unix(fixture);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){3, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	listener_start(fixture->listener, fixture_accepted, fixture);
	assert_int_equal(loop_turn(fixture->loop, 0), 0);
	assert_int_equal(fixture->accepted, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fixture_await(fixture, 1);
	assert_int_equal(close(client), 0);
}

static void test_listener_may_be_freed_when_it_has_accepted(void **state)
{
	struct fixture *fixture = *state;
	int clients[2];

	fixture->is_freeing = true;
	assert_int_equal(listen_unix(fixture, &fixture->listener), 0);
	for (unsigned i = 0; i < 2; i++)
		clients[i] = connect_unix(fixture);
	listener_start(fixture->listener, fixture_accepted, fixture);
	fixture_await(fixture, 1);
	loop_run_idle(fixture->loop);
	assert_int_equal(fixture->accepted, 1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(close(clients[i]), 0);
}

static void test_listener_cannot_open_when_the_address_is_bad(void **state)
{
	struct fixture *fixture = *state;
	const struct sockaddr_in far = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0xc0000201)}; /* 192.0.2.1: RFC 5737 */
	const struct sockaddr_un lost = {.sun_family = AF_UNIX,
		.sun_path = "/nonexistent/ferry/socket"};

	assert_int_equal(listener_open(fixture->loop, (const struct sockaddr *)&far, sizeof(far),
				 &fixture->listener),
		-EADDRNOTAVAIL);
	assert_int_equal(listener_open(fixture->loop, (const struct sockaddr *)&lost, sizeof(lost),
				 &fixture->listener),
		-ENOENT);
	assert_int_equal(listener_open(fixture->loop, (const struct sockaddr *)&lost, 1,
				 &fixture->listener),
		-EINVAL);
	assert_null(fixture->listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_listener_accepts_when_a_client_connects, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_listener_accepts_all_when_many_connect_at_once,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_listener_replaces_a_socket_file_when_nobody_listens_on_it, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_listener_refuses_when_another_listens, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_listener_leaves_the_file_when_it_is_no_socket,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_listener_leaves_the_file_when_another_took_its_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_listener_goes_on_when_descriptors_are_free_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener_may_be_freed_when_it_has_accepted,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener_cannot_open_when_the_address_is_bad,
			setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
