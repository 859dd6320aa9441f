/*
 * Resolving is the C library's getaddrinfo(); the text forms are those of messages and logs.
 */
#include "loop/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* @return the -errno for a resolver's @code, with its sentence. */
static int address_problem(int code, int system_error, const char **ret_problem)
{
	switch (code) {
	case EAI_AGAIN:
		*ret_problem = "the name server does not answer";
		return -EAGAIN;
	case EAI_MEMORY:
		*ret_problem = "out of memory";
		return -ENOMEM;
	case EAI_SYSTEM:
		*ret_problem = "the resolver cannot be used";
		return system_error > 0 ? -system_error : -EIO;
	case EAI_NONAME:
		*ret_problem = "no such host";
		return -ENOENT;
	default:
		*ret_problem = "the host has no address";
		return -EADDRNOTAVAIL;
	}
}

int address_resolve(const struct url_address *address,
	struct address ret_addresses[ADDRESS_RESOLVE_MAX], const char **ret_problem)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	const char *host = address->host[0] != '\0' ? address->host : NULL;
	struct addrinfo *found = NULL;
	char port[8];
	int code;
	int count = 0;

	(void)snprintf(port, sizeof(port), "%u", (unsigned)address->port);
	code = getaddrinfo(host, port, &hints, &found);
	if (code)
		return address_problem(code, errno, ret_problem);
	for (struct addrinfo *each = found; each && count < ADDRESS_RESOLVE_MAX;
		each = each->ai_next) {
		if (each->ai_family != AF_INET && each->ai_family != AF_INET6)
			continue;
		memset(&ret_addresses[count], 0, sizeof(ret_addresses[count]));
		memcpy(&ret_addresses[count].storage, each->ai_addr, each->ai_addrlen);
		ret_addresses[count].bytes = each->ai_addrlen;
		count++;
	}
	freeaddrinfo(found);
	return count > 0 ? count : address_problem(EAI_FAMILY, 0, ret_problem);
}

/* The zone as its link is named, or by its number. */
static void append_zone(char text[ADDRESS_TEXT_MAX], uint32_t scope_id)
{
	size_t used = strlen(text);
	char name[IF_NAMESIZE];

	if (if_indextoname(scope_id, name) != NULL)
		(void)snprintf(text + used, ADDRESS_TEXT_MAX - used, "%%%s", name);
	else
		(void)snprintf(text + used, ADDRESS_TEXT_MAX - used, "%%%u", scope_id);
}

void address_host_to_text(const struct sockaddr_storage *storage, char ret_text[ADDRESS_TEXT_MAX])
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;
	const void *host = NULL;

	if (storage->ss_family == AF_INET)
		host = &in4->sin_addr;
	else if (storage->ss_family == AF_INET6)
		host = &in6->sin6_addr;
	if (!host || !inet_ntop(storage->ss_family, host, ret_text, ADDRESS_TEXT_MAX))
		(void)snprintf(ret_text, ADDRESS_TEXT_MAX, "%s",
			storage->ss_family == AF_UNIX ? "unix" : "unknown");
	else if (storage->ss_family == AF_INET6 && in6->sin6_scope_id != 0)
		append_zone(ret_text, in6->sin6_scope_id);
}

void address_to_text(const struct sockaddr_storage *storage, char ret_text[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	char text[ADDRESS_TEXT_MAX];

	address_host_to_text(storage, text);
	if (storage->ss_family != AF_INET && storage->ss_family != AF_INET6) {
		memcpy(ret_text, text, ADDRESS_TEXT_MAX);
		return;
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)sizeof(host) - 1, text);
	(void)snprintf(ret_text, ADDRESS_TEXT_MAX,
		storage->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, address_port(storage));
}

unsigned address_port(const struct sockaddr_storage *storage)
{
	if (storage->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)storage)->sin_port);
	if (storage->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)storage)->sin6_port);
	return 0;
}

void address_set_port(struct sockaddr_storage *storage, uint16_t port)
{
	if (storage->ss_family == AF_INET)
		((struct sockaddr_in *)storage)->sin_port = htons(port);
	else if (storage->ss_family == AF_INET6)
		((struct sockaddr_in6 *)storage)->sin6_port = htons(port);
}
