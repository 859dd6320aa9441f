/*
 * The address is base/url.h's; the path is taken apart here.
 */
#include "host/url.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "nvme/command.h"
#include "nvme/discovery.h"

static int refuse(const char **ret_problem, const char *problem)
{
	*ret_problem = problem;
	return -EINVAL;
}

/* Take the NSID off @path, if there is one. */
static int take_nsid(char *path, uint32_t *ret_nsid, const char **ret_problem)
{
	char *last = strrchr(path, '/');
	uint64_t nsid;
	int error;

	*ret_nsid = HOST_URL_NSID_DEFAULT;
	if (last == NULL)
		return 0;
	error = text_parse_number(last + 1, 1, NVME_NSID_BROADCAST - 1, &nsid);
	if (error == -ERANGE)
		return refuse(ret_problem, "the NSID is not a number from 1 to 4294967294");
	if (error != 0)
		return 0;
	*last = '\0';
	*ret_nsid = (uint32_t)nsid;
	return 0;
}

/* Scheme and address, with a port; the path is left. */
static int parse_address(const char *text, uint16_t port_default, struct url *ret_url,
	const char **ret_problem)
{
	struct url url;
	int error;

	error = url_parse(text, &url, ret_problem);
	if (error != 0)
		return error;
	if (strcmp(url.scheme, HOST_URL_SCHEME) != 0)
		return refuse(ret_problem, "it does not begin with nvme-tcp://");
	if (!url.address.has_port) {
		url.address.port = port_default;
		url.address.has_port = true;
	}
	*ret_url = url;
	return 0;
}

int host_url_parse_discovery(const char *text, struct host_url *ret_url, const char **ret_problem)
{
	struct host_url host_url = {.nqn = NVME_NQN_DISCOVERY, .nsid = HOST_URL_NSID_DEFAULT};
	struct url url;
	int error;

	error = parse_address(text, NVME_TCP_DISCOVERY_PORT, &url, ret_problem);
	if (error != 0)
		return error;
	if (url.path[0] != '\0')
		return refuse(ret_problem,
			"an address without a subsystem is needed: nvme-tcp://HOST[:PORT]");
	host_url.address = url.address;
	*ret_url = host_url;
	return 0;
}

int host_url_parse(const char *text, struct host_url *ret_url, const char **ret_problem)
{
	struct host_url host_url;
	struct url url;
	int error;

	error = parse_address(text, HOST_URL_PORT_DEFAULT, &url, ret_problem);
	if (error != 0)
		return error;
	host_url.address = url.address;
	error = take_nsid(url.path, &host_url.nsid, ret_problem);
	if (error != 0)
		return error;
	if (url.path[0] == '\0')
		return refuse(ret_problem,
			"the subsystem's NQN is missing: nvme-tcp://HOST[:PORT]/NQN[/NSID]");
	if (!text_copy(host_url.nqn, sizeof(host_url.nqn), url.path))
		return refuse(ret_problem, "the NQN is longer than 223 bytes");
	if (!nvme_nqn_is_acceptable(host_url.nqn))
		return refuse(ret_problem, "the NQN is not UTF-8 text");
	*ret_url = host_url;
	return 0;
}
