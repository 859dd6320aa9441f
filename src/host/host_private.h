/*
 * What a host is made of: a loop, an association and the operations on it. host.c is its life,
 * request.c what is asked of it, info.c what it tells. discover.c uses one that has no operations.
 *
 * States:
 *   connecting  the association is on its way
 *   ready       requests are taken
 *   ended       the association is gone, or never came; the host waits to be closed
 */
#ifndef FERRY_HOST_HOST_PRIVATE_H
#define FERRY_HOST_HOST_PRIVATE_H

#include "host/association.h"
#include "host/host.h"
#include "host/operations.h"
#include "host/url.h"
#include "loop/address.h"

#define HOST_URL_TEXT_MAX (NVME_NQN_TEXT_MAX + URL_ADDRESS_TEXT_MAX + 16)

enum host_state { HOST_CONNECTING, HOST_READY, HOST_ENDED };

struct ferry_host {
	struct loop *loop;
	bool is_loop_own;
	struct host_seat seat;
	struct ferry_host_handler handler;
	struct host_url url;
	struct address addresses[ADDRESS_RESOLVE_MAX];
	unsigned address_count;
	unsigned address_index; /* the one in use */
	unsigned request_count;
	struct association_options options;
	enum host_state state;
	int error; /* of the end */
	struct association *association;
	struct operations *operations;
	char url_text[HOST_URL_TEXT_MAX];
	char error_text[FERRY_HOST_ERROR_MAX];
};

/** Set the sentence of ferry_host_error(): the URL and @text. @param host a struct ferry_host */
void host_say(void *host, const char *text);

/** Write "SUBJECT: PROBLEM" to @ret_error unless that is NULL. @return @error. */
int host_refuse(char *ret_error, int error, const char *subject, const char *problem);

/** The loop fails with @error: drop the association, ending all requests. */
void host_give_up(struct ferry_host *host, int error);

#endif
