/*
 * Addresses and URLs as users type them: `127.0.0.1`, `[::1]:4420`, `host:0`,
 * `nvme-tcp://HOST[:PORT]/PATH`, `tcp://HOST:PORT`, `unix://PATH`. Parsing only; nothing is looked
 * up.
 */
#ifndef FERRY_BASE_URL_H
#define FERRY_BASE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_SCHEME_MAX 16  /* with NUL */
#define URL_HOST_MAX   256 /* with NUL; RFC 1035: a name has at most 253 characters */
#define URL_PATH_MAX   512 /* with NUL */

/* What precedes the path: a name or an address without brackets, and a port. */
struct url_address {
	char host[URL_HOST_MAX]; /* an IPv6 address may end in a zone: fe80::1%eth0 */
	uint16_t port;
	bool has_port;
};

struct url {
	char scheme[URL_SCHEME_MAX]; /* lower case */
	struct url_address address;  /* host is empty for unix:// */
	char path[URL_PATH_MAX];     /* what follows the first '/' after the address, "" if nothing;
				      * for unix:// all that follows "unix://" */
};

/** Parse `HOST[:PORT]`, `[IPV6][:PORT]` or a bare IPv6 address. Port 0 is legal.
 *  A host that ends in a number must be an IPv4 address.
 *  @return 0, or -EINVAL with @ret_problem a constant sentence saying what is wrong. */
int url_address_parse(const char *text, struct url_address *ret_address, const char **ret_problem)
	__attribute__((warn_unused_result));

/** Parse a URL. The path is taken as it is, with no escapes. @return as url_address_parse(). */
int url_parse(const char *text, struct url *ret_url, const char **ret_problem)
	__attribute__((warn_unused_result));

/** @return whether @text begins with a scheme and "://". */
bool url_is_url(const char *text);

#define URL_ADDRESS_TEXT_MAX (URL_HOST_MAX + 8)

/** Write `HOST:PORT`, or `HOST` if there is no port; an IPv6 address in brackets. */
void url_address_to_text(const struct url_address *address, char ret_text[URL_ADDRESS_TEXT_MAX]);

#endif
