/*
 * Socket addresses from and to text.
 */
#ifndef FERRY_LOOP_ADDRESS_H
#define FERRY_LOOP_ADDRESS_H

#include <sys/socket.h>

#include "base/url.h"

#define ADDRESS_TEXT_MAX 128

/* One address, ready for bind() or connect(). */
struct address {
	struct sockaddr_storage storage;
	socklen_t bytes;
};

#define ADDRESS_RESOLVE_MAX 8

/** Look up @address->host (a name or a numeric address, "" is loopback) with @address->port. Blocks
 *  for the resolver: not from a running loop.
 *  @param ret_addresses room for ADDRESS_RESOLVE_MAX, in the resolver's order of preference
 *  @return their number (at least 1), or -errno with @ret_problem a constant sentence. */
int address_resolve(const struct url_address *address,
	struct address ret_addresses[ADDRESS_RESOLVE_MAX], const char **ret_problem)
	__attribute__((warn_unused_result));

/** Write "127.0.0.1:4420", "[::1]:4420", "[fe80::1%eth0]:4420" or "unix". */
void address_to_text(const struct sockaddr_storage *storage, char ret_text[ADDRESS_TEXT_MAX]);

/** Write the address alone, without brackets and port ("::1"). */
void address_host_to_text(const struct sockaddr_storage *storage, char ret_text[ADDRESS_TEXT_MAX]);

/** @return the port of an IPv4 or IPv6 address, 0 else. */
unsigned address_port(const struct sockaddr_storage *storage);

/** Set the port of an IPv4 or IPv6 address; others stay as they are. */
void address_set_port(struct sockaddr_storage *storage, uint16_t port);

#endif
