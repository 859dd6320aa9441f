/*
 * The inside of <ferry/host.h>, for what lives on a loop of its own: a store over a host, and tests.
 *
 * A seat is where a host lives: the loop that drives it, and how it makes streams.
 */
#ifndef FERRY_HOST_HOST_H
#define FERRY_HOST_HOST_H

#include <stdbool.h>

#include "ferry/host.h"

struct loop;
struct stream;

struct host_seat {
	struct loop *loop; /* outlives the host */
	/* As in association_handler; NULL: sockets. */
	int (*open_stream)(void *context, unsigned attempt, struct stream **ret_stream);
	void *context;
};

struct host_plan {
	const char *url;
	const struct ferry_host_options *options;
	const struct ferry_host_handler *handler;
	struct host_seat seat; /* all 0: a loop of the host's own, and sockets */
	bool is_discovery; /* no disk: the URL is a discovery controller's; set by host_discover() */
};

/** As ferry_host_open(); the plan's handler is not used. */
int host_open(const struct host_plan *plan, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX]) __attribute__((warn_unused_result));

/** As ferry_host_start(). */
int host_start(const struct host_plan *plan, struct ferry_host **ret_host,
	char ret_error[FERRY_HOST_ERROR_MAX]) __attribute__((warn_unused_result));

/** As ferry_host_discover(). */
int host_discover(const struct host_plan *plan, struct ferry_host_discovery **ret_discovery,
	char ret_error[FERRY_HOST_ERROR_MAX]) __attribute__((warn_unused_result));

#endif
