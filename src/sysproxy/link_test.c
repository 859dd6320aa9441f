/*
 * Links over socket pairs.
 */
#include "sysproxy/link.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SPIN_NS 50000u

static void make_pair(struct link *link, int *ret_peer)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(link_init(link, fds[0], SPIN_NS), 0);
	*ret_peer = fds[1];
}

static void test_link_keeps_what_came_beyond_when_it_is_filled(void **state)
{
	struct link link;
	char text[8] = "";
	int peer;

	(void)state;
	make_pair(&link, &peer);
	assert_int_equal(write(peer, "abcdefgh", 8), 8);
	assert_int_equal(link_fill(&link, 3), 0);
	assert_int_equal(link_byte_count(&link), 8);
	assert_memory_equal(link_bytes(&link), "abc", 3);
	link_take(&link, 3);
	assert_int_equal(link_read(&link, text, 5), 0);
	assert_memory_equal(text, "defgh", 5);
	assert_int_equal(link_byte_count(&link), 0);
	link_deinit(&link);
	close(peer);
}

struct sender {
	int fd;
	const uint8_t *bytes;
	size_t byte_count;
};

static void *send_all(void *context)
{
	struct sender *sender = context;
	size_t position = 0;

	while (position < sender->byte_count) {
		ssize_t sent =
			write(sender->fd, sender->bytes + position, sender->byte_count - position);

		if (sent < 0)
			abort();
		position += (size_t)sent;
	}
	return NULL;
}

static void test_link_grows_its_buffer_when_a_frame_is_large(void **state)
{
	const size_t byte_count = 1u << 20;
	uint8_t *bytes = malloc(byte_count);
	struct sender sender = {.bytes = bytes, .byte_count = byte_count};
	pthread_t thread;
	struct link link;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < byte_count; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	make_pair(&link, &sender.fd);
	assert_int_equal(pthread_create(&thread, NULL, send_all, &sender), 0);
	assert_int_equal(link_fill(&link, 5), 0);
	link_take(&link, 5);
	assert_int_equal(link_fill(&link, byte_count - 5), 0);
	assert_memory_equal(link_bytes(&link), bytes + 5, byte_count - 5);
	assert_int_equal(pthread_join(thread, NULL), 0);
	link_deinit(&link);
	close(sender.fd);
	free(bytes);
}

static void test_link_sends_every_byte_when_the_socket_takes_few(void **state)
{
	const size_t byte_count = 3u << 20;
	uint8_t *bytes = malloc(byte_count), *back = malloc(byte_count);
	struct iovec parts[3];
	struct sender sender = {.bytes = bytes, .byte_count = byte_count};
	struct link link, peer;
	pthread_t thread;
	int fd;

	(void)state;
	assert_true(bytes != NULL && back != NULL);
	for (size_t i = 0; i < byte_count; i++)
		bytes[i] = (uint8_t)(i * 7 >> 2);
	make_pair(&link, &fd);
	assert_int_equal(link_init(&peer, fd, 0), 0);
	sender.fd = link.line.fd;
	assert_int_equal(pthread_create(&thread, NULL, send_all, &sender), 0);
	assert_int_equal(link_read(&peer, back, byte_count), 0);
	assert_memory_equal(back, bytes, byte_count);
	assert_int_equal(pthread_join(thread, NULL), 0);
	parts[0] = (struct iovec){bytes, 10};
	parts[1] = (struct iovec){bytes + 10, 0};
	parts[2] = (struct iovec){bytes + 10, 30000};
	assert_int_equal(link_send(&link, parts, 3), 0);
	assert_int_equal(link_fill(&peer, 30010), 0);
	assert_memory_equal(link_bytes(&peer), bytes, 30010);
	link_deinit(&link);
	link_deinit(&peer);
	free(bytes);
	free(back);
}

static void test_link_says_so_when_the_peer_has_gone(void **state)
{
	struct iovec part = {"x", 1};
	struct link link;
	int peer;

	(void)state;
	make_pair(&link, &peer);
	assert_false(link_is_ended(&link));
	assert_int_equal(write(peer, "ab", 2), 2);
	assert_false(link_is_ended(&link));
	close(peer);
	assert_true(link_is_ended(&link));
	assert_int_equal(link_fill(&link, 3), -EPIPE);
	assert_int_equal(link_byte_count(&link), 2);
	assert_int_equal(link_send(&link, &part, 1), -EPIPE);
	link_deinit(&link);
}

static void handle(int signal)
{
	(void)signal;
}

static void test_link_wakes_up_when_a_signal_came_before_it_slept(void **state)
{
	struct sigaction action = {.sa_handler = handle};
	sigset_t all, before;
	struct link link;
	int peer;

	(void)state;
	make_pair(&link, &peer);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	sigfillset(&all);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &all, &before), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	link.sleep_mask = &before;
	assert_int_equal(link_fill(&link, 1), -EINTR);
	assert_int_equal(write(peer, "a", 1), 1);
	assert_int_equal(link_fill(&link, 1), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	link_deinit(&link);
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_keeps_what_came_beyond_when_it_is_filled),
		cmocka_unit_test(test_link_grows_its_buffer_when_a_frame_is_large),
		cmocka_unit_test(test_link_sends_every_byte_when_the_socket_takes_few),
		cmocka_unit_test(test_link_says_so_when_the_peer_has_gone),
		cmocka_unit_test(test_link_wakes_up_when_a_signal_came_before_it_slept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
