/*
 * getopt_long does the splitting; this adds types, ranges and help.
 */
#include "cmd/option.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/message.h"

#define ROWS_MAX    64
#define HELP_COLUMN 32

/* Values of getopt's own that are no row's index. */
enum { VALUE_HELP = 1000 };

static int append(struct option_list *list, const char *item)
{
	const char **items;

	if (list->count == OPTION_LIST_MAX)
		return -ENOSPC;
	items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (items == NULL)
		return -ENOMEM;
	items[list->count++] = item;
	list->items = items;
	return 0;
}

void option_list_deinit(struct option_list *list)
{
	free(list->items);
	*list = (struct option_list){0};
}

static int take_number(const struct option_table *table, const struct option_row *row,
	const char *text)
{
	uint64_t number;
	int error;

	if (row->kind == OPTION_SIZE) {
		error = text_parse_size(text, &number);
		if (error == 0 && (number < row->minimum || number > row->maximum))
			error = -ERANGE;
	} else {
		error = text_parse_number(text, row->minimum, row->maximum, &number);
	}
	if (error < 0) {
		(void)complain_usage(table->verb, "--%s=%s: must be %s in %llu..%llu", row->name,
			text, row->kind == OPTION_SIZE ? "a size" : "a number",
			(unsigned long long)row->minimum, (unsigned long long)row->maximum);
		return error;
	}
	*row->value.number = number;
	return 0;
}

static int take_value(const struct option_table *table, const struct option_row *row,
	const char *text)
{
	switch (row->kind) {
	case OPTION_FLAG:
		*row->value.is_set = true;
		return 0;
	case OPTION_NUMBER:
	case OPTION_SIZE:
		return take_number(table, row, text);
	case OPTION_TEXT:
		*row->value.text = text;
		return 0;
	case OPTION_LIST:
		if (append(row->value.list, text) == 0)
			return 0;
		(void)complain_usage(table->verb, "--%s: given too often", row->name);
		return -ENOSPC;
	}
	return -EINVAL;
}

/* What getopt_long could not place. */
static enum option_outcome complain_of(const struct option_table *table, int found,
	char *const *argv)
{
	const char *text = argv[optind - 1];

	if (found == ':')
		(void)complain_usage(table->verb, "%s: a value is missing", text);
	else if (optopt != 0 && optopt < ROWS_MAX)
		(void)complain_usage(table->verb, "%s: takes no value", text);
	else
		(void)complain_usage(table->verb, "%s: no such option", text);
	return OPTION_WRONG;
}

static void fill_long_options(const struct option_table *table, struct option *ret_options)
{
	for (size_t i = 0; i < table->row_count; i++)
		ret_options[i] = (struct option){
			.name = table->rows[i].name,
			.has_arg = table->rows[i].kind == OPTION_FLAG ? no_argument
								      : required_argument,
			/* 0 would mean "no such option" to complain_of() */
			.val = (int)i + 1,
		};
	ret_options[table->row_count] = (struct option){.name = "help", .val = VALUE_HELP};
}

enum option_outcome option_parse(const struct option_table *table, int argc, char **argv,
	struct option_list *ret_arguments)
{
	struct option options[ROWS_MAX + 2] = {0};
	struct option_list arguments = {0};
	int found;

	fill_long_options(table, options);
	optind = 0;
	opterr = 0;
	while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (found == VALUE_HELP || found == 'h') {
			option_print_help(table);
			return OPTION_HELPED;
		}
		if (found == '?' || found == ':')
			return complain_of(table, found, argv);
		if (take_value(table, &table->rows[found - 1], optarg) < 0)
			return OPTION_WRONG;
	}
	for (int i = optind; i < argc; i++) {
		if (append(&arguments, argv[i]) == 0)
			continue;
		option_list_deinit(&arguments);
		(void)complain_usage(table->verb, "too many arguments");
		return OPTION_WRONG;
	}
	*ret_arguments = arguments;
	return OPTION_PARSED;
}

int option_exit_status(enum option_outcome outcome)
{
	return outcome == OPTION_HELPED ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
}

/* Print @text, continuing its lines at @column. */
static void print_lines(const char *text, int column)
{
	for (;;) {
		const char *end = strchrnul(text, '\n');

		printf("%.*s\n", (int)(end - text), text);
		if (*end == '\0')
			return;
		text = end + 1;
		printf("%*s", column, "");
	}
}

static void print_row(const struct option_row *row)
{
	int width = printf("  --%s", row->name);

	if (row->argument != NULL)
		width += printf("%s%s", "=", row->argument);
	if (width >= HELP_COLUMN - 1)
		printf("\n%*s", HELP_COLUMN, "");
	else
		printf("%*s", HELP_COLUMN - width, "");
	print_lines(row->help, HELP_COLUMN);
}

void option_print_help(const struct option_table *table)
{
	static const struct option_row help = {.name = "help",
		.help = "this help",
		.kind = OPTION_FLAG};
	const char *usage = table->usage;
	const char *start = "Usage: ";

	for (;;) {
		const char *end = strchrnul(usage, '\n');

		printf("%sferry %s %.*s\n", start, table->verb, (int)(end - usage), usage);
		if (*end == '\0')
			break;
		usage = end + 1;
		start = "       ";
	}
	printf("\n%s\n\nOptions:\n", table->description);
	for (size_t i = 0; i < table->row_count; i++)
		print_row(&table->rows[i]);
	print_row(&help);
	if (table->footer != NULL)
		printf("\n%s\n", table->footer);
}
