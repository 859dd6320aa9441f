/*
 * Messages with addresses, control data and several buffers; and what must not come with them.
 */
#include "kernel/linux_message.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/kernel/linux_bench.h"

static int open_datagrams(struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)), 0);
	*ret_address = address;
	return fd;
}

static void test_linux_message_carries_name_control_and_buffers_when_it_is_whole(void **state)
{
	struct sockaddr_in here, from;
	int fd = open_datagrams(&here);
	char first[4], second[8] = "\xee\xee\xee\xee\xee\xee\xee";
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct iovec out[] = {{"abc", 3}, {"", 0}, {"defg", 4}};
	struct iovec in[] = {{first, sizeof(first)}, {second, sizeof(second)}};
	struct msghdr sent = {.msg_name = &here,
		.msg_namelen = sizeof(here),
		.msg_iov = out,
		.msg_iovlen = 3};
	struct msghdr received = {.msg_name = &from,
		.msg_namelen = 8,
		.msg_iov = in,
		.msg_iovlen = 2,
		.msg_control = control,
		.msg_controllen = sizeof(control),
		.msg_flags = 77};
	struct cmsghdr *header;

	memset(&from, 0xee, sizeof(from));
	assert_int_equal(LINUX_CALL(*state, SYS_sendmsg, (uint64_t)fd, AT(&sent), 0), 7);
	assert_int_equal(LINUX_CALL(*state, SYS_recvmsg, (uint64_t)fd, AT(&received), 0), 7);
	assert_memory_equal(first, "abcd", 4);
	assert_memory_equal(second, "efg\xee\xee", 5);
	assert_int_equal(received.msg_namelen, sizeof(from));
	assert_memory_equal(&from, &here, 8);
	assert_int_equal(((uint8_t *)&from)[8], 0xee);
	assert_ptr_equal(received.msg_name, &from);
	assert_int_equal(received.msg_flags, 0);
	header = CMSG_FIRSTHDR(&received);
	assert_non_null(header);
	assert_int_equal(header->cmsg_type, IP_PKTINFO);
	assert_int_equal(received.msg_controllen, CMSG_SPACE(sizeof(struct in_pktinfo)));
	(void)close(fd);
}

static void test_linux_message_says_it_was_cut_when_the_room_is_small(void **state)
{
	struct sockaddr_in here;
	int fd = open_datagrams(&here);
	char bytes[8] = "\xee\xee\xee\xee\xee\xee\xee";
	struct iovec in = {bytes, 3};
	struct msghdr received = {.msg_iov = &in, .msg_iovlen = 1};

	assert_int_equal(LINUX_CALL(*state, SYS_sendto, (uint64_t)fd, AT("abcdefg"), 7, 0,
				 AT(&here), sizeof(here)),
		7);
	assert_int_equal(LINUX_CALL(*state, SYS_recvmsg, (uint64_t)fd, AT(&received), MSG_TRUNC),
		7);
	assert_memory_equal(bytes, "abc\xee\xee", 5);
	assert_int_equal(received.msg_flags & MSG_TRUNC, MSG_TRUNC);
	assert_int_equal(LINUX_CALL(*state, SYS_recvmsg, (uint64_t)fd, AT(&received), MSG_DONTWAIT),
		-EAGAIN);
	assert_memory_equal(bytes, "abc\xee\xee", 5);
	(void)close(fd);
}

static void test_linux_message_moves_several_when_they_are_given_together(void **state)
{
	struct sockaddr_in here, from[4];
	int fd = open_datagrams(&here);
	char texts[3][4] = {"one", "two", "3"}, into[4][8];
	struct iovec out[3], in[4];
	struct mmsghdr sent[3], received[4];

	memset(sent, 0, sizeof(sent));
	memset(received, 0, sizeof(received));
	memset(into, 0, sizeof(into));
	for (unsigned i = 0; i < 3; i++) {
		out[i] = (struct iovec){texts[i], strlen(texts[i])};
		sent[i].msg_hdr = (struct msghdr){.msg_name = &here,
			.msg_namelen = sizeof(here),
			.msg_iov = &out[i],
			.msg_iovlen = 1};
	}
	for (unsigned i = 0; i < 4; i++) {
		in[i] = (struct iovec){into[i], sizeof(into[i])};
		received[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &in[i],
			.msg_iovlen = 1};
	}
	assert_int_equal(LINUX_CALL(*state, SYS_sendmmsg, (uint64_t)fd, AT(sent), 3, 0), 3);
	assert_int_equal(LINUX_CALL(*state, SYS_recvmmsg, (uint64_t)fd, AT(received), 4,
				 MSG_DONTWAIT, 0),
		3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sent[i].msg_len, strlen(texts[i]));
		assert_int_equal(received[i].msg_len, strlen(texts[i]));
		assert_string_equal(into[i], texts[i]);
		assert_int_equal(from[i].sin_port, here.sin_port);
	}
	assert_int_equal(received[3].msg_len, 0);
	assert_int_equal(LINUX_CALL(*state, SYS_sendmmsg, (uint64_t)fd, AT(sent), 0, 0), 0);
	(void)close(fd);
}

static void test_linux_message_has_no_descriptors_when_it_is_sent(void **state)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec out = {"x", 1};
	struct msghdr sent = {.msg_iov = &out,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&sent);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	assert_int_equal(LINUX_CALL(*state, SYS_sendmsg, (uint64_t)fds[0], AT(&sent), 0), -EPERM);
	header->cmsg_type = SCM_CREDENTIALS;
	assert_int_equal(LINUX_CALL(*state, SYS_sendmsg, (uint64_t)fds[0], AT(&sent), 0), -EINVAL);
	header->cmsg_len = SIZE_MAX;
	assert_int_equal(LINUX_CALL(*state, SYS_sendmsg, (uint64_t)fds[0], AT(&sent), 0), -EINVAL);
	sent.msg_iovlen = 1025;
	sent.msg_controllen = 0;
	assert_int_equal(linux_bench_declare(*state, SYS_sendmsg,
				 (const uint64_t[6]){(uint64_t)fds[0], AT(&sent), 0},
				 &(const struct ferry_sysproxy_range){&sent, sizeof(sent),
					 FERRY_SYSPROXY_IN},
				 1),
		-EMSGSIZE);
	assert_int_equal(recv(fds[1], control, 1, MSG_DONTWAIT), -1);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void test_linux_message_has_no_descriptors_when_a_peer_sends_some(void **state)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
	char byte;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fds[2], ends[2], lowest;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(pipe(ends), 0);
	*header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
	byte = 'x';
	assert_int_equal(sendmsg(fds[1], &message, 0), 1);
	(void)close(ends[1]);
	/* The first call makes the thread's lane. */
	assert_int_equal(LINUX_CALL(*state, SYS_getpid), getpid());
	lowest = fcntl(fds[0], F_DUPFD, 0);
	(void)close(lowest);
	memset(control, 0xee, sizeof(control));
	assert_int_equal(LINUX_CALL(*state, SYS_recvmsg, (uint64_t)fds[0], AT(&message), 0), 1);
	assert_int_equal(message.msg_controllen, 0);
	assert_int_equal(message.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	assert_int_equal(control[0], 0xee);
	assert_int_equal(fcntl(lowest, F_GETFD), -1);
	/* Nobody has the pipe's other end any more. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)close(ends[0]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
#define BENCH_TEST(test_) \
	cmocka_unit_test_setup_teardown(test_, linux_bench_setup, linux_bench_teardown)
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_linux_message_carries_name_control_and_buffers_when_it_is_whole),
		BENCH_TEST(test_linux_message_says_it_was_cut_when_the_room_is_small),
		BENCH_TEST(test_linux_message_moves_several_when_they_are_given_together),
		BENCH_TEST(test_linux_message_has_no_descriptors_when_it_is_sent),
		BENCH_TEST(test_linux_message_has_no_descriptors_when_a_peer_sends_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
