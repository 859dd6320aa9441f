#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "cmd/option.h"

#define ARGUMENTS_MAX 8

struct values {
	bool flag;
	uint64_t number, size;
	const char *text;
	struct option_list list, arguments;
};

static enum option_outcome parse(struct values *values, const char *const *line)
{
	const struct option_row rows[] = {
		{"flag", NULL, "a flag", OPTION_FLAG, {.is_set = &values->flag}, 0, 0},
		{"number", "N", "a number", OPTION_NUMBER, {.number = &values->number}, 2, 20},
		{"size", "SIZE", "a size", OPTION_SIZE, {.number = &values->size}, 512, 1 << 20},
		{"text", "TEXT", "a text", OPTION_TEXT, {.text = &values->text}, 0, 0},
		{"item", "ITEM", "an item", OPTION_LIST, {.list = &values->list}, 0, 0},
	};
	const struct option_table table = {.verb = "test",
		.usage = "...",
		.description = "A test.",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows)};
	char *argv[ARGUMENTS_MAX + 2] = {(char *)(uintptr_t) "test"};
	int argc = 1;

	*values = (struct values){0};
	for (; line[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)line[argc - 1];
	return option_parse(&table, argc, argv, &values->arguments);
}

static void deinit(struct values *values)
{
	option_list_deinit(&values->list);
	option_list_deinit(&values->arguments);
}

static void test_option_fills_values_when_options_and_arguments_are_mixed(void **state)
{
	static const char *const line[] = {"one", "--number=20", "--size", "64K", "--item=a", "two",
		"--item=b", "--flag", NULL};
	struct values values;

	(void)state;
	assert_int_equal(parse(&values, line), OPTION_PARSED);
	assert_true(values.flag);
	assert_int_equal(values.number, 20);
	assert_int_equal(values.size, 65536);
	assert_null(values.text);
	assert_int_equal(values.list.count, 2);
	assert_string_equal(values.list.items[1], "b");
	assert_int_equal(values.arguments.count, 2);
	assert_string_equal(values.arguments.items[0], "one");
	assert_string_equal(values.arguments.items[1], "two");
	deinit(&values);
}

static void test_option_takes_dashes_as_arguments_when_behind_two_dashes(void **state)
{
	static const char *const line[] = {"--", "--flag", NULL};
	struct values values;

	(void)state;
	assert_int_equal(parse(&values, line), OPTION_PARSED);
	assert_false(values.flag);
	assert_int_equal(values.arguments.count, 1);
	assert_string_equal(values.arguments.items[0], "--flag");
	deinit(&values);
}

static void test_option_is_wrong_when_a_line_breaks_a_rule(void **state)
{
	static const char *const lines[][3] = {
		{"--none", NULL},
		{"--number=1", NULL},
		{"--number=21", NULL},
		{"--number=x", NULL},
		{"--number", NULL},
		{"--size=511", NULL},
		{"--size=2M", NULL},
		{"--size=", NULL},
		{"--flag=yes", NULL},
		{"-x", NULL},
	};
	struct values values;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		assert_int_equal(parse(&values, lines[i]), OPTION_WRONG);
		deinit(&values);
	}
}

static void test_option_helps_when_asked(void **state)
{
	static const char *const lines[][2] = {{"--help", NULL}, {"-h", NULL}};
	struct values values;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		assert_int_equal(parse(&values, lines[i]), OPTION_HELPED);
		deinit(&values);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option_fills_values_when_options_and_arguments_are_mixed),
		cmocka_unit_test(test_option_takes_dashes_as_arguments_when_behind_two_dashes),
		cmocka_unit_test(test_option_is_wrong_when_a_line_breaks_a_rule),
		cmocka_unit_test(test_option_helps_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
