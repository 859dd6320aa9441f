/*
 * Defaults and bounds.
 */
#include "sysproxy/server_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define PROCESSES_DEFAULT    1024u
#define CALLS_DEFAULT        1024u
#define THREADS_DEFAULT      8192u
#define STACK_BYTES_DEFAULT  (256u << 10)
#define HANDSHAKE_MS_DEFAULT 10000u
#define PREFORK_MS_DEFAULT   30000u

#define PROCESSES_MAX 65536u
#define THREADS_MAX   65536u

static uint32_t chosen(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

static int take_limits(struct server_limits *to, const struct ferry_sysproxy_server_options *from,
	const char **ret_problem)
{
	*to = (struct server_limits){
		.processes_max = chosen(from->processes_max, PROCESSES_DEFAULT),
		.calls_max = chosen(from->calls_max, CALLS_DEFAULT),
		.threads_max = chosen(from->threads_max, THREADS_DEFAULT),
		.stack_bytes = from->stack_bytes != 0 ? from->stack_bytes : STACK_BYTES_DEFAULT,
		.handshake_timeout_ms = chosen(from->handshake_timeout_ms, HANDSHAKE_MS_DEFAULT),
		.prefork_timeout_ms = chosen(from->prefork_timeout_ms, PREFORK_MS_DEFAULT),
		.is_plain = from->is_plain != 0,
	};
	to->lanes_max = to->calls_max;
	*ret_problem = NULL;
	if (to->processes_max > PROCESSES_MAX)
		*ret_problem = "more than 65536 processes";
	else if (to->calls_max > FERRY_SYSPROXY_LANES_MAX)
		*ret_problem = "more than 1024 calls of a process";
	else if (to->threads_max > THREADS_MAX)
		*ret_problem = "more than 65536 threads";
	else if (from->user_count > FERRY_SYSPROXY_USERS_MAX)
		*ret_problem = "more than 64 users";
	return *ret_problem == NULL ? 0 : -EINVAL;
}

static void log_passed_on(void *context, enum log_level level, const char *line)
{
	const struct ferry_sysproxy_server *server = context;

	server->log_line(server->log_context, (int)level, line);
}

static int take_log(struct ferry_sysproxy_server *server,
	const struct ferry_sysproxy_server_options *options)
{
	if (options->log == NULL)
		return 0;
	server->log_line = options->log;
	server->log_context = options->log_context;
	server->log = log_new(LOG_LEVEL_DEBUG, log_passed_on, server, clock_monotonic());
	return server->log != NULL ? 0 : -ENOMEM;
}

static void take_banner(struct ferry_sysproxy_server *server,
	const struct ferry_sysproxy_server_options *options)
{
	struct banner banner = {
		.major = 0,
		.minor = 4,
		.extension = options->is_plain ? 0 : WIRE_VERSION,
	};

	banner_machine(server->machine);
	memcpy(banner.machine, server->machine, sizeof(banner.machine));
	(void)snprintf(banner.os, sizeof(banner.os), "%s-%s",
		options->os_name != NULL ? options->os_name : "Ferry",
		options->os_release != NULL ? options->os_release : FERRY_VERSION);
	server->banner_bytes = banner_make(&banner, server->banner);
}

int server_options_take(struct ferry_sysproxy_server *server,
	const struct ferry_sysproxy_server_options *given, const char **ret_problem)
{
	struct ferry_sysproxy_server_options options = {.struct_bytes = sizeof(options)};
	int error;

	if (given != NULL && given->struct_bytes == 0) {
		*ret_problem = "struct_bytes is not set";
		return -EINVAL;
	}
	if (given != NULL)
		memcpy(&options, given,
			given->struct_bytes < sizeof(options) ? given->struct_bytes
							      : sizeof(options));
	error = take_limits(&server->limits, &options, ret_problem);
	if (error != 0)
		return error;
	for (size_t i = 0; i < options.user_count; i++)
		server->users[i] = options.users[i];
	server->user_count = (unsigned)options.user_count;
	take_banner(server, &options);
	*ret_problem = "out of memory";
	return take_log(server, &options);
}
