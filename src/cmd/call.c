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
#include "call/table.h"
#include "call/text.h"
#include "cmd/hand_argument.h"
#include "cmd/hand_fit.h"
#include "cmd/message.h"
#include "cmd/option.h"
#include "cmd/verb.h"
#include "ferry/sysproxy.h"

#define VERB "call"

struct call_options {
	bool is_json;
	bool is_plain;
	bool is_raw;
	bool is_trace;
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
		{"trace", NULL, "print each call with its arguments and result, as strace does",
			OPTION_FLAG, {.is_set = &options->is_trace}, 0, 0},
		{"plain", NULL, "speak plain sysproxy 0.4, with the numbers of NetBSD's calls",
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
			"each returns. NAME is that of a Linux\ncall, such as getpid. An argument that is a comma by itself ends a call. An ARGUMENT is\n"
			"  123, 0x7b, 0644, -1   a number\n"
			"  TEXT, =TEXT           a string, its address is passed; with = also one that\n"
			"                        begins like something else\n"
			"  @FILE                 the contents of a file\n"
			"  [N]                   room for N bytes, printed when the call has filled it\n"
			"and of calls by name, where the argument is of that kind,\n"
			"  O_RDWR|O_CREAT        names of flags, requests, options; AT_FDCWD\n"
			"  127.0.0.1:80, [::1]:80, /PATH\n"
			"                        the address of a socket\n"
			"What is left out at the end is 0, or, where it says so, the bytes of another argument.\n"
			"The exit status is 1 when a call fails; those after it are not made.",
		.footer =
			"Examples:\n"
			"  ferry call unix:///tmp/tree.sock getpid\n"
			"  ferry call unix:///tmp/tree.sock open /hello 'O_WRONLY|O_CREAT' 0644 , write 0 hi\n"
			"  ferry call unix:///tmp/tree.sock open /hello 0 , read 0 [100]",
		.rows = rows,
		.row_count = ARRAY_LENGTH(rows),
	};

	return option_parse(&table, argc, argv, ret_arguments);
}

/* One call of the command line: from its name to before the next comma. */
struct hand_call {
	const char *name;
	const char *const *texts; /* of its arguments */
	unsigned text_count;
	uint32_t number;
	struct hand_argument arguments[FERRY_SYSPROXY_ARGUMENTS_MAX];
	unsigned argument_count;
};

/* The whole command line. */
struct session {
	const struct call_options *options;
	struct ferry_sysproxy *client;
	enum call_numbering numbering;
	struct hand_call *calls;
	size_t call_count;
};

static void forget_arguments(struct hand_call *hand)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(hand->arguments); i++)
		hand_argument_deinit(&hand->arguments[i]);
	hand->argument_count = 0;
}

static void session_deinit(struct session *session)
{
	for (size_t i = 0; i < session->call_count; i++) {
		forget_arguments(&session->calls[i]);
	}
	free(TAKE(session->calls));
	ferry_sysproxy_close(TAKE(session->client));
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

/* How much of the room @argument, the first of its call or another, has been filled, as far as can be
 * told: what the call has counted, or up to the last byte that is not 0. */
static size_t filled_bytes(const struct hand_argument *argument, bool is_first, int64_t value)
{
	size_t bytes = argument->bytes;

	if (is_first && value > 0)
		return (uint64_t)value < bytes ? (size_t)value : bytes;
	while (bytes > 0 && argument->memory[bytes - 1] == 0)
		bytes--;
	return bytes;
}

static void print_outputs(const struct hand_call *hand, int64_t value,
	const struct call_options *options)
{
	const char *separator = "";
	bool is_first = true;

	for (unsigned i = 0; i < hand->argument_count; i++) {
		const struct hand_argument *argument = &hand->arguments[i];
		size_t bytes;

		if (argument->kind != HAND_ARGUMENT_ROOM)
			continue;
		bytes = filled_bytes(argument, is_first, value);
		is_first = false;
		if (options->is_raw) {
			(void)fwrite(argument->memory, 1, bytes, stdout);
			continue;
		}
		printf("%s", separator);
		print_quoted(argument->memory, bytes, options->is_json);
		separator = options->is_json ? "," : "\n";
	}
	if (!is_first && !options->is_json && !options->is_raw)
		putchar('\n');
}

static void print_json(const struct session *session, const struct hand_call *hand,
	const struct ferry_sysproxy_call *call)
{
	const char *error = call_error_name(call->error, session->numbering);

	printf("{\"call\":");
	print_quoted((const uint8_t *)hand->name, strlen(hand->name), true);
	printf(",\"value\":%" PRId64 ",\"value2\":%" PRId64 ",\"errno\":%d,\"error\":",
		call->values[0], call->values[1], call->error);
	if (call->error == 0 || error == NULL)
		printf("null");
	else
		printf("\"%s\"", error);
	printf(",\"output\":[");
	if (call->error == 0)
		print_outputs(hand, call->values[0], session->options);
	printf("]}\n");
}

/* The first Ctrl-C ends a call that blocks: the handler only has to be there. The second ends us. */
static void interrupted(int signal)
{
	(void)signal;
}

static void expect_interrupt(void)
{
	struct sigaction action = {.sa_handler = interrupted, .sa_flags = (int)SA_RESETHAND};

	(void)sigaction(SIGINT, &action, NULL);
}

/* @return whether there has been a Ctrl-C since then. */
static bool is_interrupted(void)
{
	struct sigaction action;

	return sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler != interrupted;
}

static void print_trace(const struct ferry_sysproxy_call *call)
{
	uint64_t arguments[CALL_ARGUMENTS_MAX] = {0};
	char line[CALL_TEXT_MAX];

	for (unsigned i = 0; i < call->argument_count && i < ARRAY_LENGTH(arguments); i++)
		arguments[i] = call->arguments[i];
	(void)call_print(call->number, arguments, call->error != 0 ? -call->error : call->values[0],
		line, sizeof(line));
	printf("%s\n", line);
}

/* @return an exit status. */
static int print_result(const struct session *session, const struct hand_call *hand,
	const struct ferry_sysproxy_call *call)
{
	const char *error = call_error_name(call->error, session->numbering);

	if (session->options->is_json) {
		print_json(session, hand, call);
	} else if (session->options->is_trace && session->numbering == NUMBERING_LINUX) {
		print_trace(call);
	} else if (call->error == 0) {
		if (!session->options->is_raw)
			printf("%" PRId64 "\n", call->values[0]);
		print_outputs(hand, call->values[0], session->options);
	} else if (error != NULL) {
		complain(VERB, "%s: %s (%s)", hand->name, strerror(call->error), error);
	} else {
		complain(VERB, "%s: error %d, as that kernel numbers them", hand->name,
			call->error);
	}
	/* What has been said must be seen even if the next call blocks. */
	(void)fflush(stdout);
	if (call->error == 0)
		return EXIT_STATUS_OK;
	return call->error == EINTR && session->numbering == NUMBERING_LINUX && is_interrupted()
		? EXIT_STATUS_INTERRUPTED
		: EXIT_STATUS_FAILED;
}

static const char *loss_of(int error)
{
	switch (error) {
	case -ENOTCONN:
		return "the server has gone; the call was not made";
	case -ECONNABORTED:
		return "the server has gone in the midst of the call, which may have been made";
	default:
		return strerrordesc_np(-error);
	}
}

static unsigned flags_of(const struct hand_argument *argument)
{
	if (argument->is_both)
		return FERRY_SYSPROXY_IN | FERRY_SYSPROXY_OUT;
	return argument->kind == HAND_ARGUMENT_ROOM ? FERRY_SYSPROXY_OUT : FERRY_SYSPROXY_IN;
}

/* @return an exit status. */
static int make_call(const struct session *session, const struct hand_call *hand)
{
	struct ferry_sysproxy_range ranges[FERRY_SYSPROXY_ARGUMENTS_MAX];
	uint64_t values[FERRY_SYSPROXY_ARGUMENTS_MAX] = {0};
	struct ferry_sysproxy_call call = {.number = hand->number,
		.flags = FERRY_SYSPROXY_INTERRUPTIBLE,
		.arguments = values,
		.argument_count = hand->argument_count,
		.ranges = ranges};
	int error;

	for (unsigned i = 0; i < hand->argument_count; i++) {
		const struct hand_argument *argument = &hand->arguments[i];

		values[i] = argument->value;
		if (argument->kind == HAND_ARGUMENT_NUMBER)
			continue;
		ranges[call.range_count++] = (struct ferry_sysproxy_range){argument->memory,
			argument->bytes, flags_of(argument)};
	}
	error = ferry_sysproxy_call(session->client, &call);
	if (error == 0)
		return print_result(session, hand, &call);
	complain(VERB, "%s: %s", hand->name, loss_of(error));
	return EXIT_STATUS_FAILED;
}

/* Take the next call off @list from *@index on. @return EXIT_STATUS_OK, or a complaint's. */
static int take_call(const struct option_list *list, size_t *index, struct hand_call *hand)
{
	hand->name = list->items[(*index)++];
	hand->texts = &list->items[*index];
	if (strcmp(hand->name, ",") == 0)
		return complain_usage(VERB, "a call is missing before a comma");
	for (; *index < list->count && strcmp(list->items[*index], ",") != 0; (*index)++)
		hand->text_count++;
	if (hand->text_count > FERRY_SYSPROXY_ARGUMENTS_MAX)
		return complain_usage(VERB, "%s: a call has at most %d arguments", hand->name,
			FERRY_SYSPROXY_ARGUMENTS_MAX);
	if (*index < list->count && ++*index == list->count)
		return complain_usage(VERB, "a call is missing after the last comma");
	return EXIT_STATUS_OK;
}

/* @return what is known of the call, or NULL. One that is called by its number is made as it is. */
static const struct call_row *row_of(const struct hand_call *hand, enum call_numbering numbering)
{
	return numbering == NUMBERING_LINUX ? call_find_name(hand->name) : NULL;
}

/* @return EXIT_STATUS_OK, or a complaint's. */
static int take_arguments(struct hand_call *hand, const struct call_row *row)
{
	const char *problem;

	forget_arguments(hand);
	for (unsigned i = 0; i < hand->text_count; i++) {
		int error = row != NULL && i < row->argument_count
			? hand_fit_text(row, hand->arguments, i, hand->texts[i], &problem)
			: hand_argument_init(&hand->arguments[i], hand->texts[i], &problem);

		if (error != 0)
			return complain_usage(VERB, "%s: %s", hand->texts[i], problem);
		hand->argument_count++;
	}
	if (row == NULL || hand->argument_count >= row->argument_count)
		return EXIT_STATUS_OK;
	if (hand_fit_rest(row, hand->arguments, hand->argument_count, &problem) != 0)
		return complain_usage(VERB, "%s: %s", hand->name, problem);
	hand->argument_count = row->argument_count;
	return EXIT_STATUS_OK;
}

/* Understand all calls, their names and arguments. @return EXIT_STATUS_OK, or a complaint's. */
static int parse_calls(struct session *session, enum call_numbering numbering)
{
	int status = EXIT_STATUS_OK;

	session->numbering = numbering;
	for (size_t i = 0; i < session->call_count && status == EXIT_STATUS_OK; i++) {
		struct hand_call *hand = &session->calls[i];

		if (!call_number_of(hand->name, numbering, &hand->number))
			return complain_usage(VERB, "%s: no such system call%s", hand->name,
				numbering == NUMBERING_LINUX
					? ""
					: " among those known of NetBSD, whose numbers plain "
					  "sysproxy goes by; give its number");
		status = take_arguments(hand, row_of(hand, numbering));
	}
	return status;
}

/* Understand the whole command line before anything is done. @return an exit status. */
static int take_calls(struct session *session, const struct option_list *list)
{
	session->calls = calloc(list->count, sizeof(*session->calls));
	if (session->calls == NULL) {
		complain(VERB, "no memory for so many calls");
		return EXIT_STATUS_FAILED;
	}
	for (size_t index = 1; index < list->count;) {
		int status = take_call(list, &index, &session->calls[session->call_count++]);

		if (status != EXIT_STATUS_OK)
			return status;
	}
	return parse_calls(session,
		session->options->is_plain ? NUMBERING_NETBSD : NUMBERING_LINUX);
}

/* What to do next, where that can be told. */
static const char *advice(int error)
{
	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "; is the server running, and is this the URL that it has printed?";
	case -EPERM:
		return "; a unix socket lets in the user that its server runs as, and those it was told of";
	default:
		return "";
	}
}

/* A signal of the far kernel says something about the call, it shall not kill us. */
static void note_signal(void *context, int signal)
{
	(void)context;
	complain(VERB, "the kernel has raised signal %d", signal);
}

/* @return an exit status. */
static int connect_session(struct session *session, const char *url)
{
	const struct ferry_sysproxy_options options = {.struct_bytes = sizeof(options),
		.signal = note_signal,
		.is_plain = session->options->is_plain,
		.connect_timeout_ms = (uint32_t)session->options->connect_timeout_ms};
	char problem[FERRY_SYSPROXY_ERROR_MAX];
	int error = ferry_sysproxy_open(url, &options, &session->client, problem);

	if (error != 0) {
		complain(VERB, "%s%s", problem, advice(error));
		return EXIT_STATUS_FAILED;
	}
	/* Only with the extension can a call be cancelled. */
	if (!ferry_sysproxy_is_extended(session->client))
		return parse_calls(session, NUMBERING_NETBSD);
	expect_interrupt();
	return EXIT_STATUS_OK;
}

static int make_calls(const struct session *session)
{
	int status = EXIT_STATUS_OK;

	for (size_t i = 0; i < session->call_count && status == EXIT_STATUS_OK; i++) {
		status = make_call(session, &session->calls[i]);
		if (status == EXIT_STATUS_OK && session->numbering == NUMBERING_LINUX &&
			is_interrupted())
			status = EXIT_STATUS_INTERRUPTED;
	}
	return status;
}

int verb_call(int argc, char **argv)
{
	struct call_options options = {.connect_timeout_ms = 10000};
	struct session session = {.options = &options};
	struct option_list arguments = {0};
	enum option_outcome outcome;
	int status;

	outcome = parse(argc, argv, &options, &arguments);
	if (outcome != OPTION_PARSED)
		return option_exit_status(outcome);
	if (arguments.count < 2)
		status = complain_usage(VERB,
			"a URL and a call are needed, such as: ferry call unix:///tmp/tree.sock getpid");
	else if (options.is_json + options.is_raw + options.is_trace > 1)
		status = complain_usage(VERB, "--json, --raw and --trace exclude each other");
	else if (options.is_trace && options.is_plain)
		status = complain_usage(VERB, "--trace knows Linux's calls, not those of --plain");
	else
		status = take_calls(&session, &arguments);
	if (status == EXIT_STATUS_OK)
		status = connect_session(&session, arguments.items[0]);
	if (status == EXIT_STATUS_OK)
		status = make_calls(&session);
	session_deinit(&session);
	option_list_deinit(&arguments);
	return status;
}
