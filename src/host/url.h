/*
 * Where a namespace is: `nvme-tcp://HOST[:PORT]/NQN[/NSID]`. An NQN may contain slashes; a last
 * part that is a decimal number is the NSID.
 */
#ifndef FERRY_HOST_URL_H
#define FERRY_HOST_URL_H

#include <stdint.h>

#include "base/url.h"
#include "nvme/nqn.h"

#define HOST_URL_SCHEME       "nvme-tcp"
#define HOST_URL_PORT_DEFAULT 4420 /* IANA: nvme */
#define HOST_URL_NSID_DEFAULT 1

struct host_url {
	struct url_address address; /* has_port: true */
	char nqn[NVME_NQN_TEXT_MAX];
	uint32_t nsid;
};

/** Parse `nvme-tcp://HOST[:PORT]`: where a discovery controller is, port 8009 unless said; the NQN is
 *  the discovery one. @return as host_url_parse(). */
int host_url_parse_discovery(const char *text, struct host_url *ret_url, const char **ret_problem)
	__attribute__((warn_unused_result));

/** @return 0, or -EINVAL with @ret_problem a constant sentence saying what is wrong. */
int host_url_parse(const char *text, struct host_url *ret_url, const char **ret_problem)
	__attribute__((warn_unused_result));

#endif
