/*
 * Pipes at one end, as ssh has them, and a socket at the other.
 */
#include "cmd/stdio_pump.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
	struct stdio_pump pump;
	int input[2], output[2]; /* pipes: read end, write end */
	int fd;
	bool has_ended; /* known when the pump has been stopped */
};

static void note_end(void *context)
{
	struct ends *ends = context;

	ends->has_ended = true;
}

static void start(struct ends *ends, int flags)
{
	*ends = (struct ends){.pump = {.ended = note_end, .context = ends}};
	assert_int_equal(pipe2(ends->input, flags), 0);
	assert_int_equal(pipe2(ends->output, 0), 0);
	assert_int_equal(stdio_pump_start(&ends->pump, ends->input[0], ends->output[1], &ends->fd),
		0);
}

static void expect(int fd, const char *text)
{
	char got[64];

	assert_int_equal(read(fd, got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static void finish(struct ends *ends)
{
	stdio_pump_stop(&ends->pump);
	(void)close(ends->input[0]);
	(void)close(ends->input[1]);
	(void)close(ends->output[0]);
	(void)close(ends->output[1]);
}

static void test_stdio_pump_moves_bytes_both_ways(void **state)
{
	static const int flags[] = {0, O_NONBLOCK};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ends ends;

		start(&ends, flags[i]);
		assert_int_equal(write(ends.input[1], "there", 5), 5);
		expect(ends.fd, "there");
		assert_int_equal(write(ends.fd, "back", 4), 4);
		expect(ends.output[0], "back");
		assert_int_equal(close(ends.fd), 0);
		finish(&ends);
	}
}

static void test_stdio_pump_passes_the_end_of_input_on(void **state)
{
	struct ends ends;

	(void)state;
	start(&ends, 0);
	assert_int_equal(close(ends.input[1]), 0);
	expect(ends.fd, "");
	assert_int_equal(write(ends.fd, "last", 4), 4);
	expect(ends.output[0], "last");
	assert_int_equal(close(ends.fd), 0);
	finish(&ends);
}

static void test_stdio_pump_writes_what_is_left_when_it_is_stopped(void **state)
{
	struct ends ends;

	(void)state;
	start(&ends, 0);
	assert_int_equal(write(ends.fd, "left", 4), 4);
	assert_int_equal(close(ends.fd), 0);
	stdio_pump_stop(&ends.pump);
	assert_true(ends.has_ended);
	expect(ends.output[0], "left");
	finish(&ends);
}

static void test_stdio_pump_hangs_up_when_nobody_reads_the_output(void **state)
{
	struct ends ends;

	(void)state;
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	start(&ends, 0);
	assert_int_equal(close(ends.output[0]), 0);
	assert_int_equal(write(ends.fd, "lost", 4), 4);
	expect(ends.fd, "");
	assert_int_equal(close(ends.fd), 0);
	finish(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stdio_pump_moves_bytes_both_ways),
		cmocka_unit_test(test_stdio_pump_passes_the_end_of_input_on),
		cmocka_unit_test(test_stdio_pump_writes_what_is_left_when_it_is_stopped),
		cmocka_unit_test(test_stdio_pump_hangs_up_when_nobody_reads_the_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
