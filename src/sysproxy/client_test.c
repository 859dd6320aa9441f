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

static char error_text[FERRY_SYSPROXY_ERROR_MAX];

/* What a test and its server's script share. */
struct scene {
	struct fake_server server;
	struct ferry_sysproxy *client;
	int signal;
};

static void note_signal(void *context, int signal)
{
	((struct scene *)context)->signal = signal;
}

static void open_scene(struct scene *scene, void (*script)(struct fake_server *server, int fd),
	bool is_plain)
{
	struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.signal = note_signal,
		.signal_context = scene};

	*scene = (struct scene){
		.server = {.script = script, .is_plain = is_plain, .context = scene}};
	fake_server_start(&scene->server);
	if (ferry_sysproxy_open(scene->server.url, &options, &scene->client, error_text) != 0)
		fail_msg("%s", error_text);
}

static void close_scene(struct scene *scene)
{
	fake_server_stop(&scene->server);
	ferry_sysproxy_close(scene->client);
}

static int call_with(struct scene *scene, const struct ferry_sysproxy_range *ranges,
	unsigned range_count, struct ferry_sysproxy_call *ret_call)
{
	static const uint64_t arguments[] = {11, 12, 13};

	*ret_call = (struct ferry_sysproxy_call){.number = 42,
		.arguments = arguments,
		.argument_count = ARRAY_LENGTH(arguments),
		.ranges = ranges,
		.range_count = range_count};
	return ferry_sysproxy_call(scene->client, ret_call);
}

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
	struct scene scene;

	(void)state;
	open_scene(&scene, script_carried, false);
	assert_int_equal(ferry_sysproxy_process_id(scene.client), 77);
	assert_int_equal(call_with(&scene, ranges, 2, &call), 0);
	assert_int_equal(call.error, 0);
	assert_int_equal(call.values[0], 3);
	assert_int_equal(call.values[1], -4);
	assert_string_equal(output, "ab.....z");
	close_scene(&scene);
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
	struct scene scene;

	(void)state;
	open_scene(&scene, script_error, false);
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
		assert_int_equal(call_with(&scene, NULL, 0, &call), 0);
		assert_int_equal(call.error, errors[i]);
	}
	close_scene(&scene);
}

/* Pointers that are none */

static void script_answer_one(struct fake_server *server, int fd)
{
	(void)server;
	fake_server_answer(fd, 5);
}

static void test_client_sends_nothing_when_a_pointer_is_bad(void **state)
{
	long page_bytes = sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 3 * (size_t)page_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct scene scene;

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page_bytes, (size_t)page_bytes, PROT_READ), 0);
	assert_int_equal(mprotect(pages + 2 * page_bytes, (size_t)page_bytes, PROT_NONE), 0);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		const struct ferry_sysproxy_range bad[] = {
			{(void *)8, 10, FERRY_SYSPROXY_IN},
			{(void *)8, 10, FERRY_SYSPROXY_OUT},
			{NULL, 1, FERRY_SYSPROXY_IN},
			{(void *)-4096, 10, FERRY_SYSPROXY_IN},
			{(void *)-4, 10, FERRY_SYSPROXY_IN},
			{pages + page_bytes, 1, FERRY_SYSPROXY_OUT},
			{pages + page_bytes - 1, 2, FERRY_SYSPROXY_OUT},
			{pages + 2 * page_bytes - 1, 2, FERRY_SYSPROXY_IN},
			{pages, 3 * (size_t)page_bytes, FERRY_SYSPROXY_IN},
		};
		const struct ferry_sysproxy_range good = {pages + 2 * page_bytes - 1, 1,
			FERRY_SYSPROXY_IN};
		struct ferry_sysproxy_call call;

		open_scene(&scene, script_answer_one, is_plain);
		for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
			if (call_with(&scene, &bad[i], 1, &call) != -EFAULT)
				fail_msg("row %zu", i);
		}
		assert_int_equal(call_with(&scene, &good, 1, &call), 0);
		assert_int_equal(call.values[0], 5);
		close_scene(&scene);
	}
	(void)munmap(pages, 3 * (size_t)page_bytes);
}

static void test_client_refuses_a_call_when_a_limit_is_exceeded(void **state)
{
	struct ferry_sysproxy_range ranges[FERRY_SYSPROXY_RANGES_MAX + 1];
	struct ferry_sysproxy_call call;
	uint64_t arguments[FERRY_SYSPROXY_ARGUMENTS_MAX + 1] = {0};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++)
		ranges[i] = (struct ferry_sysproxy_range){error_text, 1, FERRY_SYSPROXY_IN};
	open_scene(&scene, script_answer_one, false);
	assert_int_equal(call_with(&scene, ranges, ARRAY_LENGTH(ranges), &call), -EINVAL);
	call = (struct ferry_sysproxy_call){.arguments = arguments,
		.argument_count = ARRAY_LENGTH(arguments)};
	assert_int_equal(ferry_sysproxy_call(scene.client, &call), -EINVAL);
	ranges[0].flags = 4;
	assert_int_equal(call_with(&scene, ranges, 1, &call), -EINVAL);
	assert_int_equal(call_with(&scene, ranges + 1, FERRY_SYSPROXY_RANGES_MAX, &call), 0);
	close_scene(&scene);
}

/* What the server asks for in the midst of a call */

static char secret[] = "secret";

/* Ask for @bytes bytes at @address and expect an outcome. */
static void ask_copyin(int fd, uint64_t call, const void *address, size_t bytes, uint32_t expected)
{
	struct wire_call_copy copy = {le64_of(call), le64_of((uintptr_t)address), le64_of(bytes)};
	struct wire_call_copy_reply reply;
	struct wire_frame frame;

	fake_server_send(fd, (struct wire_frame){.number = 900, .type = WIRE_CALL_COPYIN}, &copy,
		sizeof(copy));
	frame = fake_server_receive(fd, WIRE_CALL_COPYIN, &reply, sizeof(reply));
	if (frame.number != 900 || frame.class != WIRE_RESPONSE ||
		le32_get(reply.error) != expected ||
		frame.bytes != sizeof(reply) + (expected == 0 ? bytes : 0))
		abort();
}

static void send_result(int fd, uint64_t number)
{
	struct wire_call_reply reply = {0};

	fake_server_send(fd,
		(struct wire_frame){.number = number, .class = WIRE_RESPONSE, .type = WIRE_CALL},
		&reply, sizeof(reply));
}

static void script_snoop(struct fake_server *server, int fd)
{
	struct wire_call_view view;
	uint8_t payload[256];
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, payload, sizeof(payload));
	struct wire_range in, out;
	uint64_t in_start, out_start;

	(void)server;
	if (wire_call_parse(payload, frame.bytes, &view) != 0 || view.range_count != 2)
		abort();
	memcpy(&in, view.ranges, sizeof(in));
	memcpy(&out, view.ranges + sizeof(in), sizeof(out));
	in_start = le64_get(in.address);
	out_start = le64_get(out.address);
	ask_copyin(fd, frame.number, (void *)in_start, 5, 0);
	ask_copyin(fd, frame.number, (void *)(in_start + 4), 1, 0);
	ask_copyin(fd, frame.number, (void *)(in_start + 4), 2, EFAULT);
	ask_copyin(fd, frame.number, (void *)(in_start - 1), 2, EFAULT);
	ask_copyin(fd, frame.number, (void *)out_start, 1, EFAULT); /* OUT only */
	ask_copyin(fd, frame.number, secret, sizeof(secret), EFAULT);
	ask_copyin(fd, frame.number, (void *)8, 8, EFAULT);
	ask_copyin(fd, frame.number, (void *)in_start, UINT64_MAX, EFAULT);
	send_result(fd, frame.number);
}

static void test_client_shows_nothing_when_memory_was_not_declared(void **state)
{
	char input[] = "input", output[8];
	const struct ferry_sysproxy_range ranges[] = {{input, 5, FERRY_SYSPROXY_IN},
		{output, 8, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call;
	struct scene scene;

	(void)state;
	open_scene(&scene, script_snoop, false);
	assert_int_equal(call_with(&scene, ranges, 2, &call), 0);
	close_scene(&scene);
}

/* Send @bytes bytes to @address and expect an outcome. */
static void ask_copyout(int fd, uint64_t call, uint64_t address, const char *text,
	uint32_t expected)
{
	uint8_t payload[64];
	struct wire_call_copy copy = {le64_of(call), le64_of(address), le64_of(strlen(text))};
	struct wire_call_copy_reply reply;

	memcpy(payload, &copy, sizeof(copy));
	memcpy(payload + sizeof(copy), text, strlen(text));
	fake_server_send(fd, (struct wire_frame){.number = 901, .type = WIRE_CALL_COPYOUT}, payload,
		sizeof(copy) + strlen(text));
	(void)fake_server_receive(fd, WIRE_CALL_COPYOUT, &reply, sizeof(reply));
	if (le32_get(reply.error) != expected)
		abort();
}

static void script_scribble(struct fake_server *server, int fd)
{
	struct wire_call_copy map = {.bytes = le64_of(4096)};
	struct wire_call_copy_reply reply;
	struct wire_call_view view;
	uint8_t payload[256];
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, payload, sizeof(payload));
	struct wire_range in, out;
	uint64_t out_start, mapped;

	(void)server;
	if (wire_call_parse(payload, frame.bytes, &view) != 0 || view.range_count != 2)
		abort();
	memcpy(&in, view.ranges, sizeof(in));
	memcpy(&out, view.ranges + sizeof(in), sizeof(out));
	out_start = le64_get(out.address);
	ask_copyout(fd, frame.number, out_start + 2, "ok", 0);
	ask_copyout(fd, frame.number, out_start + 7, "xx", EFAULT);
	ask_copyout(fd, frame.number, le64_get(in.address), "x", EFAULT); /* IN only */
	ask_copyout(fd, frame.number, (uintptr_t)secret, "x", EFAULT);
	ask_copyout(fd, frame.number, 8, "x", EFAULT);
	map.call = le64_of(frame.number);
	fake_server_send(fd, (struct wire_frame){.number = 902, .type = WIRE_CALL_ANONMMAP}, &map,
		sizeof(map));
	(void)fake_server_receive(fd, WIRE_CALL_ANONMMAP, &reply, sizeof(reply));
	mapped = le64_get(reply.address);
	if (le32_get(reply.error) != 0 || mapped == 0)
		abort();
	ask_copyout(fd, frame.number, mapped + 4090, "mapped", 0);
	ask_copyout(fd, frame.number, mapped + 4091, "mapped", EFAULT);
	send_result(fd, frame.number);
}

static void test_client_lets_nothing_be_written_when_it_was_not_declared(void **state)
{
	char input[] = "input", output[9] = "........";
	const struct ferry_sysproxy_range ranges[] = {{input, 5, FERRY_SYSPROXY_IN},
		{output, 8, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call;
	struct scene scene;

	(void)state;
	open_scene(&scene, script_scribble, false);
	assert_int_equal(call_with(&scene, ranges, 2, &call), 0);
	assert_string_equal(output, "..ok....");
	assert_string_equal(input, "input");
	assert_string_equal(secret, "secret");
	close_scene(&scene);
}

static void script_raise(struct fake_server *server, int fd)
{
	struct wire_frame frame = fake_server_receive(fd, WIRE_CALL, NULL, 0);

	(void)server;
	fake_server_send(fd, (struct wire_frame){.type = WIRE_RAISE, .aux = 13}, NULL, 0);
	send_result(fd, frame.number);
}

static void test_client_has_raised_a_signal_when_its_call_returns(void **state)
{
	struct ferry_sysproxy_call call;
	struct scene scene;

	(void)state;
	open_scene(&scene, script_raise, false);
	assert_int_equal(call_with(&scene, NULL, 0, &call), 0);
	assert_int_equal(scene.signal, 13);
	close_scene(&scene);
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
		struct scene scene;

		told_lie = &lies[i];
		open_scene(&scene, script_told_lie, false);
		if (call_with(&scene, &range, 1, &call) != -ECONNABORTED)
			fail_msg("lie %zu", i);
		assert_string_equal(output, "........");
		close_scene(&scene);
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
	struct scene scene;

	(void)state;
	open_scene(&scene, script_hang_up, false);
	assert_int_equal(call_with(&scene, NULL, 0, &call), -ECONNABORTED);
	fake_server_stop(&scene.server);
	assert_int_equal(call_with(&scene, NULL, 0, &call), -ENOTCONN);
	assert_int_equal(call_with(&scene, NULL, 0, &call), -ENOTCONN);
	ferry_sysproxy_close(scene.client);
}

/* Plain 0.4 */

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
	struct scene scene;

	(void)state;
	open_scene(&scene, script_plain, true);
	assert_false(ferry_sysproxy_is_extended(scene.client));
	assert_int_equal(ferry_sysproxy_call(scene.client, &call), 0);
	assert_int_equal(call.error, 35); /* as the kernel numbers them */
	assert_string_equal(output, "ab");
	assert_string_equal(secret, "secret");
	assert_int_equal(scene.signal, 30);
	close_scene(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_carries_data_both_ways_when_ranges_are_declared),
		cmocka_unit_test(test_client_has_the_errno_when_the_server_answers_an_error),
		cmocka_unit_test(test_client_sends_nothing_when_a_pointer_is_bad),
		cmocka_unit_test(test_client_refuses_a_call_when_a_limit_is_exceeded),
		cmocka_unit_test(test_client_shows_nothing_when_memory_was_not_declared),
		cmocka_unit_test(test_client_lets_nothing_be_written_when_it_was_not_declared),
		cmocka_unit_test(test_client_has_raised_a_signal_when_its_call_returns),
		cmocka_unit_test(test_client_gives_the_lane_up_when_the_server_lies),
		cmocka_unit_test(
			test_client_says_that_a_call_may_have_been_made_when_the_server_is_lost),
		cmocka_unit_test(
			test_client_speaks_plain_sysproxy_when_the_server_announces_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
