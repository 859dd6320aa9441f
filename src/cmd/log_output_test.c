#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cmd/log_output.h"

#define TEXT_BYTES (1u << 20)

/* Two ends of what may be standard error. */
struct ends {
	int reader, writer;
	char *text; /* what was read */
	size_t text_bytes;
};

enum kind { PIPE, SOCKET, KINDS };

static struct ends ends_open(enum kind kind)
{
	struct ends ends = {.text = calloc(1, TEXT_BYTES)};
	int fds[2];

	assert_non_null(ends.text);
	if (kind == PIPE)
		assert_int_equal(pipe(fds), 0);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ends.reader = fds[0];
	ends.writer = fds[1];
	assert_int_equal(fcntl(ends.reader, F_SETFL, O_NONBLOCK), 0);
	return ends;
}

static void ends_close(struct ends *ends)
{
	assert_int_equal(close(ends->reader), 0);
	assert_int_equal(close(ends->writer), 0);
	free(ends->text);
}

/* Read what is there. */
static void ends_read(struct ends *ends)
{
	ssize_t bytes;

	ends->text_bytes = 0;
	while ((bytes = read(ends->reader, ends->text + ends->text_bytes,
			TEXT_BYTES - 1 - ends->text_bytes)) > 0)
		ends->text_bytes += (size_t)bytes;
	ends->text[ends->text_bytes] = '\0';
}

static void expect(struct ends *ends, const char *text)
{
	ends_read(ends);
	assert_string_equal(ends->text, text);
}

static void test_log_output_writes_lines_when_they_are_read(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct ends ends = ends_open(kind);
		struct log_output output;

		log_output_init(&output, ends.writer, false);
		log_output_write(&output, LOG_LEVEL_ERROR, "one");
		log_output_write(&output, LOG_LEVEL_DEBUG, "two");
		expect(&ends, "ferry: error: one\nferry: debug: two\n");
		log_output_deinit(&output);
		log_output_init(&output, ends.writer, true);
		log_output_write(&output, LOG_LEVEL_WARNING, "three");
		log_output_write(&output, LOG_LEVEL_INFO, "four");
		log_output_deinit(&output);
		expect(&ends, "<4>three\n<6>four\n");
		ends_close(&ends);
	}
}

static void write_many(struct log_output *output, unsigned count)
{
	char line[LOG_LINE_MAX];

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (unsigned i = 0; i < count; i++)
		log_output_write(output, LOG_LEVEL_INFO, line);
}

static unsigned count_lines(const struct ends *ends)
{
	unsigned count = 0;

	for (size_t i = 0; i < ends->text_bytes; i++)
		count += ends->text[i] == '\n';
	return count;
}

/* Nothing here comes back if a write waits: nobody reads meanwhile. */
static void test_log_output_tells_of_lines_left_out_when_nobody_read_them(void **state)
{
	const unsigned written = 1000; /* a MiB */

	(void)state;
	for (unsigned row = 0; row < 2 * KINDS; row++) {
		struct ends ends = ends_open(row % KINDS);
		struct log_output output;
		bool is_followed = row < KINDS;
		char expected[128];
		unsigned taken;

		log_output_init(&output, ends.writer, false);
		write_many(&output, written);
		assert_true(output.left_out_count > 0 && output.left_out_count < written);
		taken = written - (unsigned)output.left_out_count;
		(void)snprintf(expected, sizeof(expected),
			"ferry: warning: %u lines left out: nobody read them\n%s", written - taken,
			is_followed ? "ferry: info: next\n" : "");
		ends_read(&ends);
		assert_int_equal(count_lines(&ends), taken);
		/* By the next line, or at the end. */
		if (is_followed)
			log_output_write(&output, LOG_LEVEL_INFO, "next");
		log_output_deinit(&output);
		expect(&ends, expected);
		/* Whoever shares it still waits. */
		assert_int_equal(fcntl(ends.writer, F_GETFL) & O_NONBLOCK, 0);
		ends_close(&ends);
	}
}

static void test_log_output_does_not_wait_when_a_pipe_cannot_be_opened_anew(void **state)
{
	struct ends ends = ends_open(PIPE);
	struct log_output output;

	(void)state;
	log_output_init(&output, ends.writer, false);
	assert_true(output.own_fd >= 0);
	assert_int_equal(close(output.own_fd), 0);
	output.own_fd = -1;
	output.fd = ends.writer;
	write_many(&output, 1000);
	assert_true(output.left_out_count > 0);
	ends_read(&ends);
	assert_int_equal(count_lines(&ends) + output.left_out_count, 1000);
	log_output_deinit(&output);
	ends_close(&ends);
}

static void test_log_output_goes_on_with_the_rest_when_a_part_was_taken(void **state)
{
	struct ends ends = ends_open(SOCKET);
	struct log_output output;

	(void)state;
	log_output_init(&output, ends.writer, false);
	memcpy(output.rest, "..the rest\n", 11);
	output.rest_first = 2;
	output.rest_bytes = 9;
	log_output_write(&output, LOG_LEVEL_INFO, "next");
	expect(&ends, "the rest\nferry: info: next\n");
	log_output_deinit(&output);
	ends_close(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_output_writes_lines_when_they_are_read),
		cmocka_unit_test(test_log_output_tells_of_lines_left_out_when_nobody_read_them),
		cmocka_unit_test(test_log_output_does_not_wait_when_a_pipe_cannot_be_opened_anew),
		cmocka_unit_test(test_log_output_goes_on_with_the_rest_when_a_part_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
