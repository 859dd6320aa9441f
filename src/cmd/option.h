/*
 * The options of a verb as a table, from which they are parsed and their help is printed, so that
 * neither knows more than the other.
 */
#ifndef FERRY_CMD_OPTION_H
#define FERRY_CMD_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX 1024 /* times a repeatable option may be given */

/* The values of an option that may be given several times, or of the arguments. */
struct option_list {
	const char **items; /* pointers into argv */
	size_t count;
};

enum option_kind {
	OPTION_FLAG,   /* no value; *is_set becomes true */
	OPTION_NUMBER, /* minimum..maximum into *number */
	OPTION_SIZE,   /* bytes with a suffix, minimum..maximum into *number */
	OPTION_TEXT,   /* anything into *text */
	OPTION_LIST,   /* anything, appended to *list */
};

struct option_row {
	const char *name;     /* without dashes */
	const char *argument; /* its value in the help, NULL for a flag */
	const char *help;     /* lines for the help, '\n' between them; default and range named */
	enum option_kind kind;
	union {
		bool *is_set;
		uint64_t *number;
		const char **text;
		struct option_list *list;
	} value;
	uint64_t minimum, maximum;
};

/* A verb of the program ("serve", "disk info"). */
struct option_table {
	const char *verb;
	const char *usage;       /* what follows "ferry VERB ", '\n' between alternatives */
	const char *description; /* what it does, with examples */
	const char *footer;      /* printed last: examples; may be NULL */
	const struct option_row *rows;
	size_t row_count;
};

enum option_outcome {
	OPTION_PARSED, /* go on */
	OPTION_HELPED, /* --help was asked for and printed: exit 0 */
	OPTION_WRONG,  /* a complaint was printed: exit EXIT_STATUS_USAGE */
};

/** Parse @argv[1..] by @table; values not given are left as they are. Options and arguments may be
 *  mixed; "--" ends the options.
 *  @param ret_arguments the arguments that are no options; freed by option_list_deinit() */
enum option_outcome option_parse(const struct option_table *table, int argc, char **argv,
	struct option_list *ret_arguments) __attribute__((warn_unused_result));

/** @return the exit status of a verb whose command line was helped or wrong, not parsed. */
int option_exit_status(enum option_outcome outcome);

/** Print the help of @table on standard output. */
void option_print_help(const struct option_table *table);

void option_list_deinit(struct option_list *list);

#endif
