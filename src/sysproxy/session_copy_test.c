/*
 * What a kernel copies from and to a client of plain 0.4.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/sysproxy/server_bench.h"

#define ADDRESS 0x10000u

static void expect_null_call(struct raw_peer *peer)
{
	raw_peer_send_syscall(peer, FAKE_NULL, 70, 1, 2);
	assert_int_equal(raw_peer_syscall_reply(peer, 70, NULL), 0);
}

static void test_session_copies_in_turns_when_memory_is_long(void **state)
{
	struct server_bench *bench = *state;
	const uint64_t bytes = 2 * WIRE_COPY_MAX + 10;
	uint8_t *data = calloc(1, bytes);
	struct raw_peer peer;
	uint64_t values[2];

	assert_non_null(data);
	data[0] = 5;
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_COPYIN, 1, ADDRESS, bytes);
	for (uint64_t done = 0; done < bytes;) {
		struct wire_copy copy = raw_peer_expect_copy(&peer, WIRE_COPYIN);

		assert_int_equal(le64_get(copy.address), ADDRESS + done);
		assert_int_equal(le64_get(copy.bytes),
			bytes - done < WIRE_COPY_MAX ? bytes - done : WIRE_COPY_MAX);
		raw_peer_answer_copy(&peer, data, le64_get(copy.bytes));
		done += le64_get(copy.bytes);
	}
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, values), 0);
	assert_int_equal(values[0], 15);
	raw_peer_end(&peer);
	free(data);
}

static void test_session_fails_a_copy_when_the_answer_is_short_or_long(void **state)
{
	static const size_t sizes[] = {0, 1, 9, 11, 5000, WIRE_COPY_MAX};
	struct server_bench *bench = *state;
	uint8_t *data = calloc(1, WIRE_COPY_MAX);
	struct raw_peer peer;

	assert_non_null(data);
	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		raw_peer_send_syscall(&peer, FAKE_COPYIN, i, ADDRESS, 10);
		(void)raw_peer_expect_copy(&peer, WIRE_COPYIN);
		raw_peer_answer_copy(&peer, data, sizes[i]);
		assert_int_equal(raw_peer_syscall_reply(&peer, i, NULL), EFAULT);
		expect_null_call(&peer);
	}
	raw_peer_end(&peer);
	free(data);
}

static void test_session_asks_for_nothing_when_a_pointer_is_null(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_COPYIN, 1, 0, 10);
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, NULL), EFAULT);
	raw_peer_send_syscall(&peer, FAKE_COPYINSTR, 2, 0, 10);
	assert_int_equal(raw_peer_syscall_reply(&peer, 2, NULL), EFAULT);
	raw_peer_send_syscall(&peer, FAKE_COPYOUT, 3, 0, 10);
	assert_int_equal(raw_peer_syscall_reply(&peer, 3, NULL), EFAULT);
	raw_peer_send_syscall(&peer, FAKE_COPYIN, 4, UINT64_MAX, 10);
	assert_int_equal(raw_peer_syscall_reply(&peer, 4, NULL), EFAULT);
	raw_peer_end(&peer);
}

static void test_session_copies_a_string_when_it_ends(void **state)
{
	const struct {
		const char *answer;
		size_t answer_bytes;
		uint64_t most;
		uint32_t error;
		uint64_t bytes;
	} rows[] = {
		{"name", 5, 1024, 0, 5},
		{"", 1, 1024, 0, 1},
		{"name", 4, 4, ENAMETOOLONG, 0},
		{"name", 4, 1024, EFAULT, 0},
		{"", 0, 1024, EFAULT, 0},
		{"namename", 9, 8, EFAULT, 0},
		{"na\0me", 6, 1024, 0, 3},
	};
	struct server_bench *bench = *state;
	struct raw_peer peer;
	uint64_t values[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_copy copy;

		raw_peer_send_syscall(&peer, FAKE_COPYINSTR, i, ADDRESS, rows[i].most);
		copy = raw_peer_expect_copy(&peer, WIRE_COPYINSTR);
		assert_int_equal(le64_get(copy.bytes), rows[i].most);
		raw_peer_answer_copy(&peer, rows[i].answer, rows[i].answer_bytes);
		assert_int_equal(raw_peer_syscall_reply(&peer, i, values), rows[i].error);
		assert_int_equal(values[0], rows[i].bytes);
	}
	raw_peer_end(&peer);
}

static void test_session_copies_out_before_the_reply_when_it_is_plain(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	struct wire_copy copy;

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_COPYOUT, 1, ADDRESS, WIRE_COPY_MAX + 3);
	copy = raw_peer_expect_copy(&peer, WIRE_COPYOUT);
	assert_int_equal(le64_get(copy.bytes), WIRE_COPY_MAX);
	assert_int_equal(peer.payload_bytes, sizeof(copy) + WIRE_COPY_MAX);
	assert_int_equal(peer.payload[sizeof(copy) + 77], 77);
	copy = raw_peer_expect_copy(&peer, WIRE_COPYOUT);
	assert_int_equal(le64_get(copy.address), ADDRESS + WIRE_COPY_MAX);
	assert_int_equal(le64_get(copy.bytes), 3);
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, NULL), 0);
	raw_peer_end(&peer);
}

static void test_session_maps_memory_when_it_is_plain(void **state)
{
	struct server_bench *bench = *state;
	struct raw_peer peer;
	le64 address = le64_of(0x7000);
	uint64_t values[2];

	server_bench_open(bench, NULL);
	server_bench_guest(bench, &peer);
	raw_peer_send_syscall(&peer, FAKE_MMAP, 1, 10, 0);
	raw_peer_expect(&peer, WIRE_REQUEST, WIRE_ANONMMAP, 1);
	assert_int_equal(le64_load(peer.payload), 10);
	raw_peer_answer_copy(&peer, &address, sizeof(address));
	(void)raw_peer_expect_copy(&peer, WIRE_COPYOUT);
	assert_int_equal(raw_peer_syscall_reply(&peer, 1, values), 0);
	assert_int_equal(values[0], 0x7000);
	address = le64_of(0);
	raw_peer_send_syscall(&peer, FAKE_MMAP, 2, 10, 0);
	assert_true(raw_peer_receive(&peer));
	raw_peer_answer_copy(&peer, &address, sizeof(address));
	assert_int_equal(raw_peer_syscall_reply(&peer, 2, NULL), ENOMEM);
	raw_peer_end(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_bench_setup, server_bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_session_copies_in_turns_when_memory_is_long),
		TEST(test_session_fails_a_copy_when_the_answer_is_short_or_long),
		TEST(test_session_asks_for_nothing_when_a_pointer_is_null),
		TEST(test_session_copies_a_string_when_it_ends),
		TEST(test_session_copies_out_before_the_reply_when_it_is_plain),
		TEST(test_session_maps_memory_when_it_is_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
