/*
 * Three kinds of address; of each what bind() and connect() need.
 */
#include "sysproxy/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

static int parse_unix(const struct url *parts, struct sysproxy_url *url, const char **ret_problem)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&url->addresses[0].storage;
	CLEANUP(cleanup_free) char *directory = NULL;
	int bytes;

	if (parts->path[0] == '\0') {
		*ret_problem = "unix:// needs a path, such as unix:///run/user/1000/ferry.sock";
		return -EINVAL;
	}
	if (parts->path[0] != '/') {
		directory = getcwd(NULL, 0);
		if (directory == NULL) {
			*ret_problem = "the present directory has no name";
			return -errno;
		}
	}
	address->sun_family = AF_UNIX;
	bytes = snprintf(address->sun_path, sizeof(address->sun_path), "%s%s%s",
		directory != NULL ? directory : "",
		directory != NULL && directory[1] != '\0' ? "/" : "", parts->path);
	if (bytes < 0 || (size_t)bytes >= sizeof(address->sun_path)) {
		*ret_problem = "the path of a unix socket has at most 107 bytes";
		return -ENAMETOOLONG;
	}
	url->addresses[0].bytes = sizeof(*address);
	url->address_count = 1;
	(void)snprintf(url->text, sizeof(url->text), "unix://%s", address->sun_path);
	return 0;
}

static bool is_loopback(const struct sockaddr_storage *storage)
{
	if (storage->ss_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)storage;

		return (ntohl(ipv4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
	}
	return storage->ss_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)storage)->sin6_addr);
}

static int parse_tcp(const struct url *parts, struct sysproxy_url *url, const char **ret_problem)
{
	char text[URL_ADDRESS_TEXT_MAX];
	int count;

	if (!parts->address.has_port || parts->path[0] != '\0') {
		*ret_problem = "tcp:// needs a host and a port and nothing else, such as "
			       "tcp://127.0.0.1:7000";
		return -EINVAL;
	}
	count = address_resolve(&parts->address, url->addresses, ret_problem);
	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		if (!is_loopback(&url->addresses[i].storage)) {
			*ret_problem = "tcp:// has no authentication and is for this machine only: "
				       "use 127.0.0.1 or [::1], or reach the other machine through "
				       "ssh and a unix:// socket";
			return -EACCES;
		}
	}
	url->address_count = (unsigned)count;
	url_address_to_text(&parts->address, text);
	(void)snprintf(url->text, sizeof(url->text), "tcp://%s", text);
	return 0;
}

static int parse_fd(const char *text, struct sysproxy_url *url, const char **ret_problem)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > INT32_MAX) {
		*ret_problem = "fd:// needs the number of a descriptor, such as fd://3";
		return -EINVAL;
	}
	url->fd = (int)number;
	(void)snprintf(url->text, sizeof(url->text), "fd://%lu", number);
	return 0;
}

int sysproxy_url_parse(const char *text, struct sysproxy_url *ret_url, const char **ret_problem)
{
	struct sysproxy_url url = {.fd = -1};
	struct url parts;
	int error;

	if (strncmp(text, "fd://", strlen("fd://")) == 0) {
		url.kind = SYSPROXY_URL_FD;
		error = parse_fd(text + strlen("fd://"), &url, ret_problem);
	} else {
		error = url_parse(text, &parts, ret_problem);
		if (error != 0)
			return error;
		if (strcmp(parts.scheme, "unix") == 0) {
			url.kind = SYSPROXY_URL_UNIX;
			error = parse_unix(&parts, &url, ret_problem);
		} else if (strcmp(parts.scheme, "tcp") == 0) {
			url.kind = SYSPROXY_URL_TCP;
			error = parse_tcp(&parts, &url, ret_problem);
		} else {
			*ret_problem = "a sysproxy URL begins with unix://, tcp:// or fd://";
			error = -EINVAL;
		}
	}
	if (error == 0)
		*ret_url = url;
	return error;
}
