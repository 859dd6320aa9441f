/*
 * The command line of `ferry serve`, parsed and checked.
 */
#ifndef FERRY_CMD_SERVE_OPTIONS_H
#define FERRY_CMD_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/url.h"
#include "cmd/option.h"
#include "loop/address.h"
#include "serve/server.h"
#include "target/target.h"

#define SERVE_LISTEN_MAX             16   /* --listen options */
#define SERVE_PORT_DEFAULT           4420 /* IANA: NVMe over fabrics */
#define SERVE_DISCOVERY_PORT_DEFAULT 8009 /* IANA: NVMe discovery */

struct serve_options {
	struct option_list stores; /* as typed; none if only calls are lent */
	struct option_list allowed_hosts;
	bool is_any_host;
	const char *nqn; /* NULL: the default */
	struct address listeners[SERVE_LISTEN_MAX * ADDRESS_RESOLVE_MAX];
	unsigned listener_count;
	bool has_discovery_address;
	struct url_address discovery_address; /* port 0: the listener's */
	enum log_level log_level;
	struct target_limits limits;
	struct server_options server;
	/* Lent calls: */
	struct option_list lent;  /* values of --lend, which are legal; none: no calls are lent */
	struct option_list calls; /* URLs; none: the default, unless is_stdio */
	bool is_stdio, is_traced;
	const char *user;        /* to become; NULL: stay */
	bool has_discovery_port; /* given: it must be free */
	uint16_t discovery_port; /* 0: none */
};

/** Parse. @return as option_parse(); on OPTION_PARSED the options are to be deinitialised. */
enum option_outcome serve_options_parse(int argc, char **argv, struct serve_options *ret_options)
	__attribute__((warn_unused_result));

void serve_options_deinit(struct serve_options *options);

#endif
