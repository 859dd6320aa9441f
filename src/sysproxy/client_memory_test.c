/*
 * What a client lets a server see and change: what its call has declared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ferry/sysproxy.h"
#include "test/sysproxy/fake_server.h"

/* Pointers that are none */

static void script_answer_one(struct fake_server *server, int fd)
{
	(void)server;
	fake_server_answer(fd, 5);
}

/* Three pages: one for all uses, one to be read, one for nothing. */
static uint8_t *map_pages(size_t page_bytes)
{
	uint8_t *pages = mmap(NULL, 3 * page_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + page_bytes, page_bytes, PROT_READ), 0);
	assert_int_equal(mprotect(pages + 2 * page_bytes, page_bytes, PROT_NONE), 0);
	return pages;
}

#define BAD_OUT_COUNT 3
#define BAD_COUNT     9

/* Those that are OUT come first. */
static void list_bad(uint8_t *pages, size_t page_bytes, struct ferry_sysproxy_range ret_bad[])
{
	const struct ferry_sysproxy_range bad[BAD_COUNT] = {
		{(void *)8, 10, FERRY_SYSPROXY_OUT},
		{pages + page_bytes, 1, FERRY_SYSPROXY_OUT},
		{pages + page_bytes - 1, 2, FERRY_SYSPROXY_OUT},
		{(void *)8, 10, FERRY_SYSPROXY_IN},
		{NULL, 1, FERRY_SYSPROXY_IN},
		{(void *)-4096, 10, FERRY_SYSPROXY_IN},
		{(void *)-4, 10, FERRY_SYSPROXY_IN},
		{pages + 2 * page_bytes - 1, 2, FERRY_SYSPROXY_IN},
		{pages, 3 * page_bytes, FERRY_SYSPROXY_IN},
	};

	memcpy(ret_bad, bad, sizeof(bad));
}

static void test_client_sends_nothing_when_a_pointer_is_bad(void **state)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = map_pages(page_bytes);
	struct ferry_sysproxy_range bad[BAD_COUNT];
	const struct ferry_sysproxy_range good = {pages + 2 * page_bytes - 1, 1, FERRY_SYSPROXY_IN};

	(void)state;
	list_bad(pages, page_bytes, bad);
	for (int is_plain = 0; is_plain < 2; is_plain++) {
		struct ferry_sysproxy_call call;
		struct fake_scene scene;

		fake_scene_open(&scene, script_answer_one, is_plain);
		for (size_t i = 0; i < (is_plain ? BAD_COUNT : BAD_OUT_COUNT); i++) {
			if (fake_scene_call(&scene, &bad[i], 1, &call) != -EFAULT)
				fail_msg("row %zu", i);
		}
		assert_int_equal(fake_scene_call(&scene, &good, 1, &call), 0);
		assert_int_equal(call.values[0], 5);
		fake_scene_close(&scene);
	}
	(void)munmap(pages, 3 * page_bytes);
}

/* A call that is not complete cannot be made. */
static void script_incomplete(struct fake_server *server, int fd)
{
	struct wire_header header;
	size_t got_bytes = 0;
	uint8_t bytes[4096];
	ssize_t got;

	(void)server;
	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
		if (got_bytes < sizeof(header) && got_bytes + (size_t)got >= sizeof(header))
			memcpy(&header, bytes, sizeof(header));
		got_bytes += (size_t)got;
	}
	if (got_bytes >= sizeof(header) && got_bytes >= wire_frame_of(&header).bytes)
		abort();
}

static void test_client_sends_no_complete_call_when_what_it_carries_is_no_memory(void **state)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages = map_pages(page_bytes);
	struct ferry_sysproxy_range bad[BAD_COUNT];

	(void)state;
	list_bad(pages, page_bytes, bad);
	for (size_t i = BAD_OUT_COUNT; i < BAD_COUNT; i++) {
		struct ferry_sysproxy_call call;
		struct fake_scene scene;

		fake_scene_open(&scene, script_incomplete, false);
		if (fake_scene_call(&scene, &bad[i], 1, &call) != -EFAULT)
			fail_msg("row %zu", i);
		ferry_sysproxy_close(scene.client);
		fake_server_stop(&scene.server);
	}
	(void)munmap(pages, 3 * page_bytes);
}

static void test_client_refuses_a_call_when_a_limit_is_exceeded(void **state)
{
	struct ferry_sysproxy_range ranges[FERRY_SYSPROXY_RANGES_MAX + 1];
	struct ferry_sysproxy_call call;
	uint64_t arguments[FERRY_SYSPROXY_ARGUMENTS_MAX + 1] = {0};
	char name[1] = "";
	struct fake_scene scene;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++)
		ranges[i] = (struct ferry_sysproxy_range){name, 1, FERRY_SYSPROXY_IN};
	fake_scene_open(&scene, script_answer_one, false);
	assert_int_equal(fake_scene_call(&scene, ranges, ARRAY_LENGTH(ranges), &call), -EINVAL);
	call = (struct ferry_sysproxy_call){.arguments = arguments,
		.argument_count = ARRAY_LENGTH(arguments)};
	assert_int_equal(ferry_sysproxy_call(scene.client, &call), -EINVAL);
	ranges[0].flags = 4;
	assert_int_equal(fake_scene_call(&scene, ranges, 1, &call), -EINVAL);
	assert_int_equal(fake_scene_call(&scene, ranges + 1, FERRY_SYSPROXY_RANGES_MAX, &call), 0);
	fake_scene_close(&scene);
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
	fake_server_result(fd, frame.number);
}

static void test_client_shows_nothing_when_memory_was_not_declared(void **state)
{
	char input[] = "input", output[8];
	const struct ferry_sysproxy_range ranges[] = {{input, 5, FERRY_SYSPROXY_IN},
		{output, 8, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_snoop, false);
	assert_int_equal(fake_scene_call(&scene, ranges, 2, &call), 0);
	fake_scene_close(&scene);
}

/* Send @bytes bytes to @address and expect an outcome. */
static void ask_copyout(int fd, uint64_t call, uint64_t address, const char *text,
	uint32_t expected)
{
	uint8_t payload[64];
	size_t bytes = strlen(text);
	struct wire_call_copy copy = {le64_of(call), le64_of(address), le64_of(bytes)};
	struct wire_call_copy_reply reply;

	memcpy(payload, &copy, sizeof(copy));
	memcpy(payload + sizeof(copy), text, bytes + 1);
	fake_server_send(fd, (struct wire_frame){.number = 901, .type = WIRE_CALL_COPYOUT}, payload,
		sizeof(copy) + bytes);
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
	fake_server_result(fd, frame.number);
}

static void test_client_lets_nothing_be_written_when_it_was_not_declared(void **state)
{
	char input[] = "input", output[9] = "........";
	const struct ferry_sysproxy_range ranges[] = {{input, 5, FERRY_SYSPROXY_IN},
		{output, 8, FERRY_SYSPROXY_OUT}};
	struct ferry_sysproxy_call call;
	struct fake_scene scene;

	(void)state;
	fake_scene_open(&scene, script_scribble, false);
	assert_int_equal(fake_scene_call(&scene, ranges, 2, &call), 0);
	assert_string_equal(output, "..ok....");
	assert_string_equal(input, "input");
	assert_string_equal(secret, "secret");
	fake_scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_sends_nothing_when_a_pointer_is_bad),
		cmocka_unit_test(
			test_client_sends_no_complete_call_when_what_it_carries_is_no_memory),
		cmocka_unit_test(test_client_refuses_a_call_when_a_limit_is_exceeded),
		cmocka_unit_test(test_client_shows_nothing_when_memory_was_not_declared),
		cmocka_unit_test(test_client_lets_nothing_be_written_when_it_was_not_declared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
