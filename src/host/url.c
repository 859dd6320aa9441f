/*
 * The address is base/url.h's; the path is taken apart here.
 */
#include "host/url.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "nvme/command.h"

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

int host_url_parse(const char *text, struct host_url *ret_url, const char **ret_problem)
{
	struct host_url host_url;
	struct url url;
	int error;

	error = url_parse(text, &url, ret_problem);
	if (error != 0)
		return error;
	if (strcmp(url.scheme, HOST_URL_SCHEME) != 0)
		return refuse(ret_problem, "it does not begin with nvme-tcp://");
	host_url.address = url.address;
	if (!url.address.has_port) {
		host_url.address.port = HOST_URL_PORT_DEFAULT;
		host_url.address.has_port = true;
	}
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
