/*
 * The public options of a server, checked and with the defaults filled in.
 */
#ifndef FERRY_SYSPROXY_SERVER_OPTIONS_H
#define FERRY_SYSPROXY_SERVER_OPTIONS_H

#include "sysproxy/server.h"

/** Set the server's limits, users, log and banner. @param given NULL for defaults
 *  @return 0, or -EINVAL with @ret_problem a constant sentence. */
int server_options_take(struct ferry_sysproxy_server *server,
	const struct ferry_sysproxy_server_options *given, const char **ret_problem)
	__attribute__((warn_unused_result));

#endif
