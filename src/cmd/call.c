/*
 * ferry call: system calls by hand, made by the kernel behind a sysproxy server.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/call_argument.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "cmd/verb.h"
#include "ferry/sysproxy.h"

#define VERB "call"

struct call_options {
	bool is_json;
	bool is_plain;
	bool is_raw;
	uint64_t connect_timeout_ms;
};

static enum option_outcome parse(int argc, char **argv, struct call_options *options,
	struct option_list *ret_arguments)
{
	const struct option_row rows[] = {
		{"json", NULL, "print each result as a JSON object on a line of its own",
			OPTION_FLAG, {.is_set = &options->is_json}, 0, 0},
		{"raw", NULL, "print the bytes that came back and nothing else", OPTION_FLAG,
			{.is_set = &options->is_raw}, 0, 0},
		{"plain", NULL,
			"speak plain sysproxy 0.4, with call numbers as the server has them",
			OPTION_FLAG, {.is_set = &options->is_plain}, 0, 0},
		{"connect-timeout", "MS",
			"milliseconds to wait for the server, 1..600000 (default 10000)",
			OPTION_NUMBER, {.number = &options->connect_timeout_ms}, 1, 600000},
	};
	const struct option_table table = {
		.verb = VERB,
		.usage = "[OPTIONS] URL NAME|NUMBER [ARGUMENT...] [, NAME|NUMBER [ARGUMENT...]]...",
		.description =
			"Make system calls in the kernel that answers at URL, unix://PATH or "
			"tcp://HOST:PORT, one\nafter the other in one process there, and print what "
			"each returns. NAME is that of a Linux\ncall, such as getpid. An ARGUMENT is\n"
			"  123, 0x7b, 0644, -1   a number\n"
			"  TEXT, =TEXT           a string, its address is passed; with = also one that\n"
			"                        begins like something else\n"
			"  @FILE                 the contents of a file\n"
			"  [N]                   room for N bytes, printed when the call has filled it\n"
			"The exit status is 1 when a call fails; those after it are not made.",
		.footer =
			"Examples:\n"
			"  ferry call unix:///tmp/tree.sock getpid\n"
			"  ferry call unix:///tmp/tree.sock open /hello 0x41 0644 , write 0 hi 2\n"
			"  ferry call unix:///tmp/tree.sock open /hello 0 , read 0 [100] 100",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};

	return option_parse(&table, argc, argv, ret_arguments);
}

/* One call of the command line: from its name to before the next comma. */
struct hand_call {
	const char *name;
	struct call_argument arguments[FERRY_SYSPROXY_ARGUMENTS_MAX];
	unsigned argument_count;
};

static void hand_call_deinit(struct hand_call *hand)
{
	for (unsigned i = 0; i < hand->argument_count; i++)
		call_argument_deinit(&hand->arguments[i]);
}

/* Print bytes so that any terminal survives them. */
static void print_quoted(const uint8_t *bytes, size_t count, bool is_json)
{
	putchar('"');
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			printf("\\%c", bytes[i]);
		else if (bytes[i] >= ' ' && bytes[i] <= '~')
			putchar(bytes[i]);
		else
			printf(is_json ? "\\u%04x" : "\\x%02x", bytes[i]);
	}
	putchar('"');
}

/* How much of @argument the call has filled, as far as its value tells. */
static size_t filled_bytes(const struct call_argument *argument, int64_t value)
{
	return value >= 0 && (uint64_t)value < argument->bytes ? (size_t)value : argument->bytes;
}

static void print_json(const struct hand_call *hand, const struct ferry_sysproxy_call *call)
{
	const char *separator = "";

	printf("{\"call\":");
	print_quoted((const uint8_t *)hand->name, strlen(hand->name), true);
	printf(",\"value\":%" PRId64 ",\"value2\":%" PRId64 ",\"errno\":%d,\"error\":",
		call->values[0], call->values[1], call->error);
	if (call->error == 0)
		printf("null");
	else
		printf("\"%s\"", call_error_name(call->error));
	printf(",\"output\":[");
	for (unsigned i = 0; i < hand->argument_count && call->error == 0; i++) {
		const struct call_argument *argument = &hand->arguments[i];

		if (argument->kind != CALL_ARGUMENT_ROOM)
			continue;
		printf("%s", separator);
		print_quoted(argument->memory, filled_bytes(argument, call->values[0]), true);
		separator = ",";
	}
	printf("]}\n");
}

static void print_result(const struct hand_call *hand, const struct ferry_sysproxy_call *call,
	bool is_raw)
{
	if (!is_raw)
		printf("%" PRId64 "\n", call->values[0]);
	for (unsigned i = 0; i < hand->argument_count; i++) {
		const struct call_argument *argument = &hand->arguments[i];
		size_t bytes = filled_bytes(argument, call->values[0]);

		if (argument->kind != CALL_ARGUMENT_ROOM)
			continue;
		if (is_raw) {
			(void)fwrite(argument->memory, 1, bytes, stdout);
			continue;
		}
		print_quoted(argument->memory, bytes, false);
		putchar('\n');
	}
}

/* @return an exit status. */
static int make_call(struct ferry_sysproxy *client, struct hand_call *hand,
	const struct call_options *options)
{
	struct ferry_sysproxy_range ranges[FERRY_SYSPROXY_ARGUMENTS_MAX];
	uint64_t values[FERRY_SYSPROXY_ARGUMENTS_MAX] = {0};
	struct ferry_sysproxy_call call = {.flags = FERRY_SYSPROXY_INTERRUPTIBLE,
		.arguments = values,
		.argument_count = hand->argument_count,
		.ranges = ranges};
	int error;

	if (!call_number_of(hand->name, &call.number))
		return complain_usage(VERB, "%s: no such system call", hand->name);
	for (unsigned i = 0; i < hand->argument_count; i++) {
		const struct call_argument *argument = &hand->arguments[i];

		values[i] = argument->value;
		if (argument->kind == CALL_ARGUMENT_NUMBER)
			continue;
		ranges[call.range_count++] =
			(struct ferry_sysproxy_range){argument->memory, argument->bytes,
				argument->kind == CALL_ARGUMENT_ROOM ? FERRY_SYSPROXY_OUT
								     : FERRY_SYSPROXY_IN};
	}
	error = ferry_sysproxy_call(client, &call);
	if (error != 0) {
		complain(VERB, "%s: the server was lost: %s", hand->name, strerrordesc_np(-error));
		return EXIT_STATUS_FAILED;
	}
	if (options->is_json)
		print_json(hand, &call);
	else if (call.error == 0)
		print_result(hand, &call, options->is_raw);
	else
		complain(VERB, "%s: %s (%s)", hand->name, strerror(call.error),
			call_error_name(call.error));
	return call.error == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

/* Take the next call off @list from *@index on. @return EXIT_STATUS_OK, or a complaint's. */
static int take_call(const struct option_list *list, size_t *index, struct hand_call *hand)
{
	const char *problem;

	*hand = (struct hand_call){.name = list->items[(*index)++]};
	for (; *index < list->count && strcmp(list->items[*index], ",") != 0; (*index)++) {
		if (hand->argument_count == FERRY_SYSPROXY_ARGUMENTS_MAX)
			return complain_usage(VERB, "%s: a call has at most %d arguments",
				hand->name, FERRY_SYSPROXY_ARGUMENTS_MAX);
		if (call_argument_init(&hand->arguments[hand->argument_count], list->items[*index],
			    &problem) != 0)
			return complain_usage(VERB, "%s: %s", list->items[*index], problem);
		hand->argument_count++;
	}
	if (*index < list->count)
		(*index)++; /* the comma */
	return EXIT_STATUS_OK;
}

static int make_calls(struct ferry_sysproxy *client, const struct option_list *list,
	const struct call_options *options)
{
	int status = EXIT_STATUS_OK;

	for (size_t index = 1; index < list->count && status == EXIT_STATUS_OK;) {
		struct hand_call hand;

		status = take_call(list, &index, &hand);
		if (status == EXIT_STATUS_OK)
			status = make_call(client, &hand, options);
		hand_call_deinit(&hand);
	}
	return status;
}

/* Ctrl-C ends a call that blocks: the handler only has to be there. */
static void interrupted(int signal)
{
	(void)signal;
}

/* A signal of the far kernel says something about the call, it shall not kill us. */
static void note_signal(void *context, int signal)
{
	(void)context;
	complain(VERB, "the kernel has raised signal %d", signal);
}

int verb_call(int argc, char **argv)
{
	struct call_options options = {.connect_timeout_ms = 10000};
	struct ferry_sysproxy_options client_options = {.struct_bytes = sizeof(client_options),
		.signal = note_signal};
	struct sigaction action = {.sa_handler = interrupted};
	char problem[FERRY_SYSPROXY_ERROR_MAX];
	struct option_list arguments = {0};
	struct ferry_sysproxy *client;
	enum option_outcome outcome;
	int status;

	outcome = parse(argc, argv, &options, &arguments);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	if (arguments.count < 2) {
		option_list_deinit(&arguments);
		return complain_usage(VERB,
			"a URL and a call are needed, such as: ferry call unix:///tmp/tree.sock getpid");
	}
	client_options.is_plain = options.is_plain;
	client_options.connect_timeout_ms = (uint32_t)options.connect_timeout_ms;
	if (ferry_sysproxy_open(arguments.items[0], &client_options, &client, problem) != 0) {
		complain(VERB, "%s", problem);
		status = EXIT_STATUS_FAILED;
	} else {
		(void)sigaction(SIGINT, &action, NULL);
		status = make_calls(client, &arguments, &options);
		ferry_sysproxy_close(client);
	}
	option_list_deinit(&arguments);
	return status;
}
