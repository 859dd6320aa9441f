/*
 * A client before a server that follows a script: honest, mistaken or hostile.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_server.h"

/* Calls and their data */

static void script_carried(struct fake_server *server, int fd)
{
	uint8_t payload[256], reply[64] = {0};
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, payload, sizeof(payload));
	struct wire_call_view view;
	struct wire_call_reply *head = (struct wire_call_reply *)reply;
	struct wire_piece *pieces = (struct wire_piece *)(head + 1);

	(void)server;
	if (frame.aux != 42 || wire_call_parse(payload, frame.bytes, &view) != 0 ||
		view.argument_count != 3 || le64_load(view.arguments + 8) != 12 ||
		view.range_count != 2 || view.carried_bytes != 5 ||
		memcmp(view.carried, "input", 5) != 0)
		abort();
	head->values[0] = le64_of(3);
	head->values[1] = le64_of((uint64_t)-4);
	head->piece_count = le32_of(2);
	pieces[0] = (struct wire_piece){le32_of(1), le32_of(2), le64_of(0)};
	pieces[1] = (struct wire_piece){le32_of(1), le32_of(1), le64_of(7)};
	memcpy(pieces + 2, "abz", 3);
	fake_server_send(fd,
		(struct wire_frame){.number = frame.number,
			.class = WIRE_RESPONSE,
			.type = WIRE_CALL},
		reply, sizeof(*head) + 2 * sizeof(*pieces) + 3);
}

static void test_client_carries_data_both_ways_when_ranges_are_declared(void **state)
{
	char output[9] = "........";
	const struct ferry_sysproxy_range ranges[] = {{(char[]){"input"}, 5, FERRY_SYSPROXY_IN},
		{output, 8, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_carried, false);
	assert_int_equal(ferry_sysproxy_process_id(scene.client), 77);
	assert_int_equal(fake_scene_call(&scene, ranges, 2, &call), 0);
	assert_int_equal(call.error, 0);
	assert_int_equal(call.values[0], 3);
	assert_int_equal(call.values[1], -4);
	assert_string_equal(output, "ab.....z");
	fake_scene_close(&scene);
}

static void script_error(struct fake_server *server, int fd)
{
	static const struct {
		uint32_t code;
		int error;
	} rows[] = {{WIRE_ERROR_TRY_AGAIN, EAGAIN}, {WIRE_ERROR_NO_MEMORY, ENOMEM},
		{WIRE_ERROR_MALFORMED, EINVAL}, {WIRE_ERROR_IN_EXEC, EBUSY}};

	(void)server;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, NULL, 0);

		fake_server_send(fd,
			(struct wire_frame){.number = frame.number,
				.class = WIRE_ERROR,
				.aux = rows[i].code},
			NULL, 0);
	}
}

static void test_client_has_the_errno_when_the_server_answers_an_error(void **state)
{
	static const int errors[] = {EAGAIN, ENOMEM, EINVAL, EBUSY};
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_error, false);
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
		assert_int_equal(fake_scene_call(&scene, NULL, 0, &call), 0);
		assert_int_equal(call.error, errors[i]);
	}
	fake_scene_close(&scene);
}

static void script_raise(struct fake_server *server, int fd)
{
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, NULL, 0);

	(void)server;
	fake_server_send(fd, (struct wire_frame){.type = WIRE_RAISE, .aux = 13}, NULL, 0);
	fake_server_result(fd, frame.number);
}

static void test_client_has_raised_a_signal_when_its_call_returns(void **state)
{
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_raise, false);
	assert_int_equal(fake_scene_call(&scene, NULL, 0, &call), 0);
	assert_int_equal(scene.signal, 13);
	fake_scene_close(&scene);
}

/* Servers that lie */

struct lie {
	struct wire_frame frame; /* number: added to the call's */
	size_t payload_bytes;
	const char *payload;
};

static const struct lie *told_lie;

static void script_told_lie(struct fake_server *server, int fd)
{
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, NULL, 0),
			  lie = told_lie->frame;

	(void)server;
	lie.number += frame.number;
	fake_server_send(fd, lie, told_lie->payload, told_lie->payload_bytes);
	if (!fake_server_is_hung_up(fd))
		abort();
}

static void test_client_gives_the_lane_up_when_the_server_lies(void **state)
{
	static const char zeros[64];
	static const char piece_of_another_range[] =
		"\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0x";
	static const char piece_beyond[] = "\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					   "\0\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0x";
	static const char piece_far_beyond[] = "\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					       "\0\0\0\0\1\0\0\0\377\377\377\377\377\377\377\377x";
	static const char too_many_pieces[] = "\0\0\0\0\1\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
	static const struct lie lies[] = {
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL, .number = 1}, 24, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_SYSCALL}, 24, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 23, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 25, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL, .bytes = 23}, 24, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL, .bytes = UINT64_MAX}, 24, zeros},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 41, piece_of_another_range},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 41, piece_beyond},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 41, piece_far_beyond},
		{{.class = WIRE_RESPONSE, .type = WIRE_CALL}, 24, too_many_pieces},
		{{.class = WIRE_RESPONSE, .type = 9}, 24, zeros},
		{{.class = 3, .type = WIRE_CALL}, 24, zeros},
		{{.class = WIRE_REQUEST, .type = WIRE_SYSCALL}, 24, zeros},
		{{.class = WIRE_REQUEST, .type = WIRE_CALL_COPYIN, .number = 5}, 24, zeros},
		{{.class = WIRE_ERROR, .aux = 7, .number = 1}, 0, zeros},
		{{.class = WIRE_ERROR, .aux = 7}, 1, zeros},
	};
	char output[9] = "........";
	const struct ferry_sysproxy_range range = {output, 8, FERRY_SYSPROXY_OUT};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
		struct ferry_sysproxy_call call;
		struct fake_scene scene;

		told_lie = &lies[i];
		fake_scene_open(&scene, script_told_lie, false);
		if (fake_scene_call(&scene, &range, 1, &call) != -ECONNABORTED)
			fail_msg("lie %zu", i);
		assert_string_equal(output, "........");
		fake_scene_close(&scene);
	}
}

static void script_hang_up(struct fake_server *server, int fd)
{
	(void)server;
	(void)fake_server_receive(fd, WIRE_CALL, NULL, 0);
}

static void test_client_says_that_a_call_may_have_been_made_when_the_server_is_lost(void **state)
{
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_hang_up, false);
	assert_int_equal(fake_scene_call(&scene, NULL, 0, &call), -ECONNABORTED);
	fake_server_stop(&scene.server);
	assert_int_equal(fake_scene_call(&scene, NULL, 0, &call), -ENOTCONN);
	assert_int_equal(fake_scene_call(&scene, NULL, 0, &call), -ENOTCONN);
	ferry_sysproxy_close(scene.client);
}

/* Plain 0.4 */

static char secret[] = "secret";

static void script_plain(struct fake_server *server, int fd)
{
	uint8_t arguments[64], payload[64];
	struct wire_frame frame = fake_server_receive(fd, WIRE_SYSCALL, arguments,
				  sizeof(arguments)),
			  answer;
	struct wire_copy copy = {le64_of(1024), le64_of(le64_load(arguments))};
	struct wire_syscall_reply reply = {.error = le32_of(35)};

	(void)server;
	if (frame.aux != 5 || frame.bytes != 16)
		abort();
	fake_server_send(fd, (struct wire_frame){.number = 1, .type = WIRE_COPYINSTR}, &copy,
		sizeof(copy));
	answer = fake_server_receive(fd, WIRE_COPYIN, payload, sizeof(payload));
	if (answer.number != 1 || answer.bytes != 6 || memcmp(payload, "/file", 6) != 0)
		abort();
	/* Not declared: nothing but a short answer. */
	copy = (struct wire_copy){le64_of(6), le64_of((uintptr_t)secret)};
	fake_server_send(fd, (struct wire_frame){.number = 2, .type = WIRE_COPYIN}, &copy,
		sizeof(copy));
	if (fake_server_receive(fd, WIRE_COPYIN, payload, sizeof(payload)).bytes != 0)
		abort();
	copy = (struct wire_copy){le64_of(2), le64_of(le64_load(arguments + 8))};
	memcpy(payload, &copy, sizeof(copy));
	memcpy(payload + sizeof(copy), "ab", 2);
	fake_server_send(fd, (struct wire_frame){.number = 3, .type = WIRE_COPYOUT}, payload,
		sizeof(copy) + 2);
	copy.address = le64_of((uintptr_t)secret);
	memcpy(payload, &copy, sizeof(copy));
	fake_server_send(fd, (struct wire_frame){.number = 4, .type = WIRE_COPYOUT}, payload,
		sizeof(copy) + 2);
	fake_server_send(fd, (struct wire_frame){.number = 9, .type = WIRE_RAISE, .aux = 30}, NULL,
		0);
	fake_server_send(fd,
		(struct wire_frame){.number = frame.number,
			.class = WIRE_RESPONSE,
			.type = WIRE_SYSCALL},
		&reply, sizeof(reply));
}

static void test_client_speaks_plain_sysproxy_when_the_server_announces_nothing(void **state)
{
	char path[] = "/file", output[3] = "..";
	const uint64_t arguments[] = {(uintptr_t)path, (uintptr_t)output};
	const struct ferry_sysproxy_range ranges[] = {{path, sizeof(path), FERRY_SYSPROXY_IN},
		{output, 2, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call = {.number = 5,
		.argument_count = 2,
		.arguments = arguments,
		.range_count = 2,
		.ranges = ranges};
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_plain, true);
	assert_false(ferry_sysproxy_is_extended(scene.client));
	assert_int_equal(ferry_sysproxy_call(scene.client, &call), 0);
	assert_int_equal(call.error, 35); /* as the kernel numbers them */
	assert_string_equal(output, "ab");
	assert_string_equal(secret, "secret");
	assert_int_equal(scene.signal, 30);
	fake_scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_carries_data_both_ways_when_ranges_are_declared),
		cmocka_unit_test(test_client_has_the_errno_when_the_server_answers_an_error),
		cmocka_unit_test(test_client_has_raised_a_signal_when_its_call_returns),
		cmocka_unit_test(test_client_gives_the_lane_up_when_the_server_lies),
		cmocka_unit_test(
			test_client_says_that_a_call_may_have_been_made_when_the_server_is_lost),
		cmocka_unit_test(
			test_client_speaks_plain_sysproxy_when_the_server_announces_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
