#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define THREAD_COUNT      4
#define LINES_PER_THREAD  50
#define FIXTURE_LINES_MAX (THREAD_COUNT * LINES_PER_THREAD)

struct fixture {
	struct simulated_clock clock;
	struct log *log;
	enum log_level levels[FIXTURE_LINES_MAX];
	char lines[FIXTURE_LINES_MAX][LOG_LINE_MAX];
	size_t line_count;
};

static void keep_line(void *context, enum log_level level, const char *line)
{
	struct fixture *fixture = context;

	assert_true(fixture->line_count < FIXTURE_LINES_MAX);
	assert_true(strlen(line) < LOG_LINE_MAX);
	fixture->levels[fixture->line_count] = level;
	snprintf(fixture->lines[fixture->line_count++], LOG_LINE_MAX, "%s", line);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	simulated_clock_init(&fixture->clock, 5);
	fixture->log = log_new(LOG_LEVEL_INFO, keep_line, fixture, &fixture->clock.clock);
	assert_non_null(fixture->log);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	log_free(fixture->log);
	free(fixture);
	return 0;
}

static void test_log_passes_on_only_what_is_important_enough_when_it_has_a_level(void **state)
{
	struct fixture *fixture = *state;

	log_write(fixture->log, LOG_LEVEL_ERROR, NULL, "number %d", 1);
	log_write(fixture->log, LOG_LEVEL_DEBUG, NULL, "number %d", 2);
	log_write(fixture->log, LOG_LEVEL_INFO, NULL, "number %d", 3);
	assert_int_equal(fixture->line_count, 2);
	assert_string_equal(fixture->lines[0], "number 1");
	assert_int_equal(fixture->levels[0], LOG_LEVEL_ERROR);
	assert_string_equal(fixture->lines[1], "number 3");
	assert_int_equal(fixture->levels[1], LOG_LEVEL_INFO);
	assert_true(log_is_enabled(fixture->log, LOG_LEVEL_WARNING));
	assert_false(log_is_enabled(fixture->log, LOG_LEVEL_DEBUG));
}

static void test_log_swallows_everything_when_it_is_null(void **state)
{
	(void)state;
	log_write(NULL, LOG_LEVEL_ERROR, "key", "line");
	assert_false(log_is_enabled(NULL, LOG_LEVEL_ERROR));
	log_free(NULL);
}

static void test_log_escapes_what_a_peer_sent_when_it_is_not_printable(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"nqn.2014 ~", "nqn.2014 ~"},
		{"a\nerror: b", "a\\x0aerror: b"},
		{"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
		{"\xc3\xa9", "\\xc3\\xa9"},
		{"", ""},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		log_write(fixture->log, LOG_LEVEL_INFO, NULL, "%s", rows[i].text);
		assert_string_equal(fixture->lines[i], rows[i].expected);
	}
}

static void test_log_cuts_a_line_before_an_escape_when_it_is_too_long(void **state)
{
	struct fixture *fixture = *state;
	char text[2 * LOG_LINE_MAX];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_write(fixture->log, LOG_LEVEL_INFO, NULL, "%s", text);
	assert_int_equal(strlen(fixture->lines[0]), LOG_LINE_MAX - 1);

	text[LOG_LINE_MAX - 4] = '\n';
	log_write(fixture->log, LOG_LEVEL_INFO, NULL, "%s", text);
	assert_int_equal(strlen(fixture->lines[1]), LOG_LINE_MAX - 4);
	text[LOG_LINE_MAX - 5] = '\n';
	log_write(fixture->log, LOG_LEVEL_INFO, NULL, "%s", text);
	assert_int_equal(strlen(fixture->lines[2]), LOG_LINE_MAX - 1);
	assert_string_equal(fixture->lines[2] + LOG_LINE_MAX - 5, "\\x0a");
}

static void write_lines(struct log *log, const char *key, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		log_write(log, LOG_LEVEL_WARNING, key, "line");
}

static void test_log_tells_what_it_left_out_when_the_window_has_passed(void **state)
{
	struct fixture *fixture = *state;
	struct clock *clock = &fixture->clock.clock;

	write_lines(fixture->log, "refused", LOG_BURST + 7);
	assert_int_equal(fixture->line_count, LOG_BURST);
	clock->advance(clock, 5 + LOG_WINDOW_NS - 1);
	write_lines(fixture->log, "refused", 1);
	assert_int_equal(fixture->line_count, LOG_BURST);
	clock->advance(clock, 5 + LOG_WINDOW_NS);
	write_lines(fixture->log, "refused", LOG_BURST + 1);
	assert_int_equal(fixture->line_count, 2 * LOG_BURST);
	assert_string_equal(fixture->lines[LOG_BURST - 1], "line");
	assert_string_equal(fixture->lines[LOG_BURST], "line (8 more left out)");
	assert_string_equal(fixture->lines[LOG_BURST + 1], "line");
}

static void test_log_makes_room_for_the_count_when_the_line_is_too_long(void **state)
{
	struct fixture *fixture = *state;
	static const char expected[] = "x (1 more left out)";
	char text[LOG_LINE_MAX];
	size_t length;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	write_lines(fixture->log, "refused", LOG_BURST + 1);
	fixture->clock.time_ns += LOG_WINDOW_NS;
	log_write(fixture->log, LOG_LEVEL_WARNING, "refused", "%s", text);
	length = strlen(fixture->lines[LOG_BURST]);
	assert_string_equal(fixture->lines[LOG_BURST] + length + 1 - sizeof(expected), expected);
}

static void test_log_limits_keys_apart_when_there_are_several(void **state)
{
	struct fixture *fixture = *state;
	char same[] = "refused";

	write_lines(fixture->log, "refused", LOG_BURST + 1);
	write_lines(fixture->log, "other", 1);
	assert_int_equal(fixture->line_count, LOG_BURST + 1);
	/* Another string with the same letters is the same key. */
	write_lines(fixture->log, same, 1);
	assert_int_equal(fixture->line_count, LOG_BURST + 1);
	write_lines(fixture->log, NULL, 2 * LOG_BURST);
	assert_int_equal(fixture->line_count, 3 * LOG_BURST + 1);
}

static void test_log_forgets_the_stalest_key_when_there_are_too_many(void **state)
{
	struct fixture *fixture = *state;
	char keys[LOG_KEYS_MAX + 1][8];

	write_lines(fixture->log, "stale", LOG_BURST + 1);
	for (size_t i = 0; i < LOG_KEYS_MAX; i++) {
		fixture->clock.time_ns++;
		snprintf(keys[i], sizeof(keys[i]), "key %zu", i);
		write_lines(fixture->log, keys[i], 1);
	}
	assert_int_equal(fixture->line_count, LOG_BURST + LOG_KEYS_MAX);
	fixture->clock.time_ns++;
	write_lines(fixture->log, "stale", 1);
	assert_int_equal(fixture->line_count, LOG_BURST + LOG_KEYS_MAX + 1);
	write_lines(fixture->log, keys[LOG_KEYS_MAX - 1], LOG_BURST);
	assert_int_equal(fixture->line_count, 2 * LOG_BURST + LOG_KEYS_MAX);
}

static void *write_from_thread(void *context)
{
	struct fixture *fixture = context;

	for (int i = 0; i < LINES_PER_THREAD; i++) {
		log_write(fixture->log, LOG_LEVEL_INFO, NULL, "from a thread");
		log_write(fixture->log, LOG_LEVEL_DEBUG, "key", "left out");
	}
	return NULL;
}

static void test_log_loses_no_line_when_several_threads_write(void **state)
{
	struct fixture *fixture = *state;
	pthread_t threads[THREAD_COUNT];

	for (size_t i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_from_thread, fixture), 0);
	for (size_t i = 0; i < THREAD_COUNT; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(fixture->line_count, FIXTURE_LINES_MAX);
	for (size_t i = 0; i < fixture->line_count; i++)
		assert_string_equal(fixture->lines[i], "from a thread");
}

static void test_log_level_is_parsed_when_it_is_named(void **state)
{
	static const struct {
		const char *name;
		int result;
		enum log_level level;
	} rows[] = {
		{"error", 0, LOG_LEVEL_ERROR},
		{"warning", 0, LOG_LEVEL_WARNING},
		{"info", 0, LOG_LEVEL_INFO},
		{"debug", 0, LOG_LEVEL_DEBUG},
		{"", -EINVAL, LOG_LEVEL_ERROR},
		{"Error", -EINVAL, LOG_LEVEL_ERROR},
		{"warn", -EINVAL, LOG_LEVEL_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		enum log_level level = LOG_LEVEL_ERROR;

		assert_int_equal(log_level_parse(rows[i].name, &level), rows[i].result);
		assert_int_equal(level, rows[i].level);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_log_passes_on_only_what_is_important_enough_when_it_has_a_level),
		cmocka_unit_test(test_log_swallows_everything_when_it_is_null),
		TEST(test_log_escapes_what_a_peer_sent_when_it_is_not_printable),
		TEST(test_log_cuts_a_line_before_an_escape_when_it_is_too_long),
		TEST(test_log_tells_what_it_left_out_when_the_window_has_passed),
		TEST(test_log_makes_room_for_the_count_when_the_line_is_too_long),
		TEST(test_log_limits_keys_apart_when_there_are_several),
		TEST(test_log_forgets_the_stalest_key_when_there_are_too_many),
		TEST(test_log_loses_no_line_when_several_threads_write),
		cmocka_unit_test(test_log_level_is_parsed_when_it_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
