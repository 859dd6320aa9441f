/*
 * What the kernel says of the other end of a connection.
 */
#include "sysproxy/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *inet = (const struct sockaddr_in *)address;

		return ntohl(inet->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *inet6 = (const struct sockaddr_in6 *)address;

		return IN6_IS_ADDR_LOOPBACK(&inet6->sin6_addr);
	}
	return false;
}

static bool is_user_allowed(uid_t user, const uid_t *users, unsigned user_count)
{
	if (user == geteuid())
		return true;
	for (unsigned i = 0; i < user_count; i++) {
		if (users[i] == user)
			return true;
	}
	return false;
}

int peer_check(int fd, const uid_t *users, unsigned user_count, uid_t *ret_user,
	const char **ret_why)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(address);
	struct ucred peer = {.uid = (uid_t)-1};

	*ret_user = (uid_t)-1;
	if (getpeername(fd, (struct sockaddr *)&address, &bytes) != 0) {
		*ret_why = "it has gone already";
		return -EACCES;
	}
	if (address.ss_family != AF_UNIX) {
		*ret_why = "over TCP only programs of this machine may connect";
		return is_loopback(&address) ? 0 : -EACCES;
	}
	bytes = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) {
		*ret_why = "nobody knows whose it is";
		return -EACCES;
	}
	*ret_user = peer.uid;
	*ret_why = "its user may not connect";
	return is_user_allowed(peer.uid, users, user_count) ? 0 : -EACCES;
}
