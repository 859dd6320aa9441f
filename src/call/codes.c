/*
 * Left out on purpose: what makes a signal of the far kernel (F_SETOWN, FIOASYNC, leases), what hands
 * over descriptors or programs inside of a structure (SO_ATTACH_FILTER, FICLONERANGE), what goes round
 * an address policy (SO_BINDTODEVICE, source routes), what reaches into the caller's memory later
 * (SO_ZEROCOPY), and what only a privileged process may do.
 */
#include "call/codes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/cleanup.h"

#define KERNEL_TERMIOS_BYTES 36  /* smaller than the C library's */
#define TCP_INFO_BYTES       512 /* it grows; Linux gives what there is room for */

/* clang-format off */
/* Each makes the name itself: handed on to another macro it would become a number. */
#define CODE(name_, class_, bytes_, format_) FLAGGED(#name_, name_, class_, bytes_, format_, 0)
#define WAITING(name_, class_, bytes_, format_) \
	FLAGGED(#name_, name_, class_, bytes_, format_, CALL_MAY_BLOCK)
#define PLAIN(name_) FLAGGED(#name_, name_, SCALAR, 0, BYTES, 0)
#define NEW_FD(name_) FLAGGED(#name_, name_, SCALAR, 0, BYTES, CALL_MAKES_FD)
#define FLAGGED(text_, code_, class_, bytes_, format_, flags_) \
	{.name = (text_), .code = (uint32_t)(code_), .class = CALL_##class_, \
		.unit_bytes = (bytes_), .format = CALL_FORMAT_##format_, .flags = (flags_)}

#define OPTION(level_, name_, class_, bytes_, format_) \
	LEVELLED(level_, #name_, name_, class_, bytes_, format_)
#define SWITCH(level_, name_) LEVELLED(level_, #name_, name_, IN_OUT, 4, INT)
#define SETTING(level_, name_, bytes_) LEVELLED(level_, #name_, name_, IN, bytes_, BYTES)
#define FACT(level_, name_) LEVELLED(level_, #name_, name_, OUT, 4, INT)
#define LEVELLED(level_, text_, code_, class_, bytes_, format_) \
	{.name = (text_), .code = (code_), .level = (level_), .class = CALL_##class_, \
		.unit_bytes = (bytes_), .format = CALL_FORMAT_##format_}
/* clang-format on */

static const struct call_code ioctl_codes[] = {
	/* descriptors */
	PLAIN(FIOCLEX),
	PLAIN(FIONCLEX),
	CODE(FIONBIO, IN, 4, INT),
	CODE(FIONREAD, OUT, 4, INT),
	CODE(FIOQSIZE, OUT, 8, LONG),
	/* terminals: there are none, but programs ask */
	CODE(TCGETS, OUT, KERNEL_TERMIOS_BYTES, BYTES),
	CODE(TIOCGWINSZ, OUT, sizeof(struct winsize), BYTES),
	CODE(TIOCGPGRP, OUT, 4, INT),
	CODE(TIOCOUTQ, OUT, 4, INT),
	/* files */
	WAITING(FICLONE, FD, 0, BYTES),
	CODE(FIGETBSZ, OUT, 4, INT),
	CODE(FS_IOC_GETFLAGS, OUT, 4, INT),
	CODE(FS_IOC_SETFLAGS, IN, 4, INT),
	CODE(FS_IOC_GETVERSION, OUT, 4, INT),
	CODE(FS_IOC_FSGETXATTR, OUT, sizeof(struct fsxattr), BYTES),
	/* block devices */
	CODE(BLKALIGNOFF, OUT, 4, INT),
	CODE(BLKBSZGET, OUT, 4, INT),
	WAITING(BLKDISCARD, IN, 16, BYTES),
	CODE(BLKDISCARDZEROES, OUT, 4, INT),
	CODE(BLKGETSIZE, OUT, 8, LONG),
	CODE(BLKGETSIZE64, OUT, 8, LONG),
	CODE(BLKIOMIN, OUT, 4, INT),
	CODE(BLKIOOPT, OUT, 4, INT),
	CODE(BLKPBSZGET, OUT, 4, INT),
	CODE(BLKROGET, OUT, 4, INT),
	CODE(BLKROTATIONAL, OUT, 2, BYTES),
	CODE(BLKSSZGET, OUT, 4, INT),
	WAITING(BLKZEROOUT, IN, 16, BYTES),
	/* sockets and interfaces */
	CODE(SIOCATMARK, OUT, 4, INT),
	CODE(SIOCGIFADDR, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFBRDADDR, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFDSTADDR, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFFLAGS, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFHWADDR, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFINDEX, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFMETRIC, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFMTU, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFNAME, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFNETMASK, IN_OUT, sizeof(struct ifreq), BYTES),
	CODE(SIOCGIFTXQLEN, IN_OUT, sizeof(struct ifreq), BYTES),
};

static const struct call_code fcntl_codes[] = {
	NEW_FD(F_DUPFD),
	NEW_FD(F_DUPFD_CLOEXEC),
	PLAIN(F_GETFD),
	PLAIN(F_SETFD),
	PLAIN(F_GETFL),
	PLAIN(F_SETFL),
	CODE(F_GETLK, IN_OUT, sizeof(struct flock), LOCK),
	CODE(F_SETLK, IN, sizeof(struct flock), LOCK),
	WAITING(F_SETLKW, IN, sizeof(struct flock), LOCK),
	CODE(F_OFD_GETLK, IN_OUT, sizeof(struct flock), LOCK),
	CODE(F_OFD_SETLK, IN, sizeof(struct flock), LOCK),
	WAITING(F_OFD_SETLKW, IN, sizeof(struct flock), LOCK),
	PLAIN(F_GETPIPE_SZ),
	PLAIN(F_SETPIPE_SZ),
	CODE(F_GET_RW_HINT, OUT, 8, LONG),
	CODE(F_SET_RW_HINT, IN, 8, LONG),
};

static const struct call_code option_codes[] = {
	FACT(SOL_SOCKET, SO_ACCEPTCONN),
	SWITCH(SOL_SOCKET, SO_BROADCAST),
	SWITCH(SOL_SOCKET, SO_BUSY_POLL),
	OPTION(SOL_SOCKET, SO_COOKIE, OUT, 8, LONG),
	FACT(SOL_SOCKET, SO_DOMAIN),
	SWITCH(SOL_SOCKET, SO_DONTROUTE),
	FACT(SOL_SOCKET, SO_ERROR),
	SWITCH(SOL_SOCKET, SO_INCOMING_CPU),
	SWITCH(SOL_SOCKET, SO_KEEPALIVE),
	OPTION(SOL_SOCKET, SO_LINGER, IN_OUT, sizeof(struct linger), BYTES),
	OPTION(SOL_SOCKET, SO_MAX_PACING_RATE, IN_OUT, 8, BYTES),
	OPTION(SOL_SOCKET, SO_MEMINFO, OUT, 36, BYTES),
	SWITCH(SOL_SOCKET, SO_OOBINLINE),
	SWITCH(SOL_SOCKET, SO_PASSCRED),
	SWITCH(SOL_SOCKET, SO_PEEK_OFF),
	OPTION(SOL_SOCKET, SO_PEERCRED, OUT, sizeof(struct ucred), BYTES),
	SWITCH(SOL_SOCKET, SO_PRIORITY),
	FACT(SOL_SOCKET, SO_PROTOCOL),
	SWITCH(SOL_SOCKET, SO_RCVBUF),
	SWITCH(SOL_SOCKET, SO_RCVLOWAT),
	OPTION(SOL_SOCKET, SO_RCVTIMEO, IN_OUT, sizeof(struct timeval), TIMEVAL),
	SWITCH(SOL_SOCKET, SO_REUSEADDR),
	SWITCH(SOL_SOCKET, SO_REUSEPORT),
	SWITCH(SOL_SOCKET, SO_RXQ_OVFL),
	SWITCH(SOL_SOCKET, SO_SNDBUF),
	FACT(SOL_SOCKET, SO_SNDLOWAT),
	OPTION(SOL_SOCKET, SO_SNDTIMEO, IN_OUT, sizeof(struct timeval), TIMEVAL),
	SWITCH(SOL_SOCKET, SO_TIMESTAMP),
	OPTION(SOL_SOCKET, SO_TIMESTAMPING, IN_OUT, 8, BYTES),
	SWITCH(SOL_SOCKET, SO_TIMESTAMPNS),
	FACT(SOL_SOCKET, SO_TYPE),

	OPTION(IPPROTO_TCP, TCP_CC_INFO, OUT, 20, BYTES),
	OPTION(IPPROTO_TCP, TCP_CONGESTION, IN_OUT, 16, TEXT),
	SWITCH(IPPROTO_TCP, TCP_CORK),
	SWITCH(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	SWITCH(IPPROTO_TCP, TCP_FASTOPEN),
	SWITCH(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	OPTION(IPPROTO_TCP, TCP_INFO, OUT, TCP_INFO_BYTES, BYTES),
	SWITCH(IPPROTO_TCP, TCP_INQ),
	SWITCH(IPPROTO_TCP, TCP_KEEPCNT),
	SWITCH(IPPROTO_TCP, TCP_KEEPIDLE),
	SWITCH(IPPROTO_TCP, TCP_KEEPINTVL),
	SWITCH(IPPROTO_TCP, TCP_LINGER2),
	SWITCH(IPPROTO_TCP, TCP_MAXSEG),
	SWITCH(IPPROTO_TCP, TCP_NODELAY),
	SWITCH(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	SWITCH(IPPROTO_TCP, TCP_QUICKACK),
	SWITCH(IPPROTO_TCP, TCP_SYNCNT),
	SWITCH(IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS),
	SWITCH(IPPROTO_TCP, TCP_TIMESTAMP),
	SWITCH(IPPROTO_TCP, TCP_USER_TIMEOUT),
	SWITCH(IPPROTO_TCP, TCP_WINDOW_CLAMP),

	SWITCH(IPPROTO_UDP, UDP_CORK),
	SWITCH(IPPROTO_UDP, UDP_GRO),
	SWITCH(IPPROTO_UDP, UDP_NO_CHECK6_RX),
	SWITCH(IPPROTO_UDP, UDP_NO_CHECK6_TX),
	SWITCH(IPPROTO_UDP, UDP_SEGMENT),

	SETTING(IPPROTO_IP, IP_ADD_MEMBERSHIP, sizeof(struct ip_mreqn)),
	SETTING(IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, sizeof(struct ip_mreq_source)),
	SWITCH(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
	SETTING(IPPROTO_IP, IP_DROP_MEMBERSHIP, sizeof(struct ip_mreqn)),
	SETTING(IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, sizeof(struct ip_mreq_source)),
	SWITCH(IPPROTO_IP, IP_FREEBIND),
	SWITCH(IPPROTO_IP, IP_MINTTL),
	FACT(IPPROTO_IP, IP_MTU),
	SWITCH(IPPROTO_IP, IP_MTU_DISCOVER),
	SWITCH(IPPROTO_IP, IP_MULTICAST_ALL),
	OPTION(IPPROTO_IP, IP_MULTICAST_IF, IN_OUT, sizeof(struct ip_mreqn), BYTES),
	SWITCH(IPPROTO_IP, IP_MULTICAST_LOOP),
	SWITCH(IPPROTO_IP, IP_MULTICAST_TTL),
	SWITCH(IPPROTO_IP, IP_PKTINFO),
	SWITCH(IPPROTO_IP, IP_RECVERR),
	SWITCH(IPPROTO_IP, IP_RECVORIGDSTADDR),
	SWITCH(IPPROTO_IP, IP_RECVTOS),
	SWITCH(IPPROTO_IP, IP_RECVTTL),
	SWITCH(IPPROTO_IP, IP_TOS),
	SWITCH(IPPROTO_IP, IP_TTL),
	SWITCH(IPPROTO_IP, IP_UNICAST_IF),
	SETTING(IPPROTO_IP, MCAST_JOIN_GROUP, sizeof(struct group_req)),
	SETTING(IPPROTO_IP, MCAST_LEAVE_GROUP, sizeof(struct group_req)),

	SETTING(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, sizeof(struct ipv6_mreq)),
	SWITCH(IPPROTO_IPV6, IPV6_ADDR_PREFERENCES),
	SWITCH(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL),
	SWITCH(IPPROTO_IPV6, IPV6_DONTFRAG),
	SETTING(IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, sizeof(struct ipv6_mreq)),
	SWITCH(IPPROTO_IPV6, IPV6_FREEBIND),
	SWITCH(IPPROTO_IPV6, IPV6_MINHOPCOUNT),
	FACT(IPPROTO_IPV6, IPV6_MTU),
	SWITCH(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	SWITCH(IPPROTO_IPV6, IPV6_MULTICAST_ALL),
	SWITCH(IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
	SWITCH(IPPROTO_IPV6, IPV6_MULTICAST_IF),
	SWITCH(IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
	SWITCH(IPPROTO_IPV6, IPV6_RECVERR),
	SWITCH(IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
	SWITCH(IPPROTO_IPV6, IPV6_RECVORIGDSTADDR),
	SWITCH(IPPROTO_IPV6, IPV6_RECVPKTINFO),
	SWITCH(IPPROTO_IPV6, IPV6_RECVTCLASS),
	SWITCH(IPPROTO_IPV6, IPV6_TCLASS),
	SWITCH(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	SWITCH(IPPROTO_IPV6, IPV6_UNICAST_IF),
	SWITCH(IPPROTO_IPV6, IPV6_V6ONLY),
	SETTING(IPPROTO_IPV6, MCAST_JOIN_GROUP, sizeof(struct group_req)),
	SETTING(IPPROTO_IPV6, MCAST_LEAVE_GROUP, sizeof(struct group_req)),
};

static const struct call_code control_codes[] = {
	OPTION(SOL_SOCKET, SO_RXQ_OVFL, OUT, 4, INT),
	OPTION(SOL_SOCKET, SO_TIMESTAMP, OUT, sizeof(struct timeval), TIMEVAL),
	OPTION(SOL_SOCKET, SO_TIMESTAMPNS, OUT, sizeof(struct timespec), TIMESPEC),
	OPTION(SOL_SOCKET, SO_TIMESTAMPING, OUT, 3 * sizeof(struct timespec), BYTES),
	OPTION(IPPROTO_TCP, TCP_INQ, OUT, 4, INT),
	OPTION(IPPROTO_UDP, UDP_GRO, OUT, 4, INT),
	OPTION(IPPROTO_UDP, UDP_SEGMENT, IN, 2, BYTES),
	OPTION(IPPROTO_IP, IP_ORIGDSTADDR, OUT, sizeof(struct sockaddr_in), ADDRESS),
	OPTION(IPPROTO_IP, IP_PKTINFO, IN_OUT, sizeof(struct in_pktinfo), BYTES),
	OPTION(IPPROTO_IP, IP_RECVERR, OUT, CALL_CONTROL_MAX, BYTES),
	OPTION(IPPROTO_IP, IP_TOS, IN_OUT, 4, INT),
	OPTION(IPPROTO_IP, IP_TTL, IN_OUT, 4, INT),
	OPTION(IPPROTO_IPV6, IPV6_DONTFRAG, IN, 4, INT),
	OPTION(IPPROTO_IPV6, IPV6_HOPLIMIT, IN_OUT, 4, INT),
	OPTION(IPPROTO_IPV6, IPV6_ORIGDSTADDR, OUT, sizeof(struct sockaddr_in6), ADDRESS),
	OPTION(IPPROTO_IPV6, IPV6_PKTINFO, IN_OUT, sizeof(struct in6_pktinfo), BYTES),
	OPTION(IPPROTO_IPV6, IPV6_RECVERR, OUT, CALL_CONTROL_MAX, BYTES),
	OPTION(IPPROTO_IPV6, IPV6_TCLASS, IN_OUT, 4, INT),
};

static const struct {
	const struct call_code *codes;
	size_t count;
	int refusal;
} sets[] = {
	[CALL_SET_IOCTL] = {ioctl_codes, ARRAY_LENGTH(ioctl_codes), -ENOTTY},
	[CALL_SET_FCNTL] = {fcntl_codes, ARRAY_LENGTH(fcntl_codes), -EINVAL},
	[CALL_SET_OPTION] = {option_codes, ARRAY_LENGTH(option_codes), -ENOPROTOOPT},
	[CALL_SET_CONTROL] = {control_codes, ARRAY_LENGTH(control_codes), -EINVAL},
};

const struct call_code *call_codes(enum call_set set, size_t *ret_count)
{
	*ret_count = sets[set].count;
	return sets[set].codes;
}

const struct call_code *call_code_find(enum call_set set, int32_t level, uint32_t code)
{
	for (size_t i = 0; i < sets[set].count; i++) {
		const struct call_code *at = &sets[set].codes[i];

		if (at->code == code && at->level == level)
			return at;
	}
	return NULL;
}

int call_code_refusal(enum call_set set)
{
	return sets[set].refusal;
}

/* @return the CALL_SELECTED argument of @row, or NULL. */
static const struct call_argument *selected_of(const struct call_row *row)
{
	for (unsigned i = 0; i < row->argument_count; i++) {
		if (row->arguments[i].class == CALL_SELECTED)
			return &row->arguments[i];
	}
	return NULL;
}

const struct call_code *call_select(const struct call_row *row,
	const uint64_t arguments[CALL_ARGUMENTS_MAX])
{
	const struct call_argument *argument = selected_of(row);
	uint8_t refused = row->number == SYS_setsockopt ? CALL_OUT : CALL_IN;
	const struct call_code *code;

	if (argument == NULL)
		return NULL;
	if (argument->unit_bytes != CALL_SET_OPTION)
		return call_code_find((enum call_set)argument->unit_bytes, 0,
			(uint32_t)arguments[argument->length]);
	/* The level stands before the option's name. */
	code = call_code_find(CALL_SET_OPTION, (int32_t)arguments[argument->length - 1],
		(uint32_t)arguments[argument->length]);
	return code != NULL && code->class != refused ? code : NULL;
}
