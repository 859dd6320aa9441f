/*
 * A policy: what of this machine is lent to those who make system calls here. It is made of the values
 * of `--lend`, does not change once it is in use, and is asked, from any thread, before calls that reach
 * out. Nothing is lent that is not named.
 *
 * | VALUE | MEANING |
 * |---|---|
 * | net | all networks |
 * | net=RULE[,RULE...] | what a rule allows, and nothing else |
 * | path=DIRECTORY[,ro] | a directory, seen by its own name; with `ro` nothing in it can be changed |
 *
 * RULE is `connect:NETWORK[:PORT[-PORT]]` or `bind:NETWORK[:PORT[-PORT]]`, where NETWORK is `any`, an IPv4
 * address `192.0.2.0[/BITS]` or an IPv6 address `[2001:db8::][/BITS]`. Without PORT all are meant, also
 * 0, which lets Linux choose one. Several values add up.
 *
 * An IPv4 address that is written as an IPv6 address is judged as the IPv4 address that it is. To bind `::`
 * is to bind 0.0.0.0 too, so both must be allowed. What is sent to 0.0.0.0 or `::` goes to this machine:
 * to 127.0.0.1 or `::1`, by which it is judged.
 */
#ifndef FERRY_KERNEL_LINUX_POLICY_H
#define FERRY_KERNEL_LINUX_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LINUX_RULES_MAX 64
#define LINUX_PATHS_MAX 32

enum linux_reach {
	LINUX_CONNECT, /* to connect, and to send to an address */
	LINUX_BIND,    /* to bind, and to listen */
};

/* Addresses and ports that may be reached in one way. */
struct linux_rule {
	enum linux_reach reach;
	int family;          /* AF_INET, AF_INET6; AF_UNSPEC: all of both */
	uint8_t address[16]; /* in network order; of IPv4 the first 4 bytes */
	unsigned prefix_bits;
	uint16_t port_first;
	uint16_t port_last;
};

/* A directory that is lent. */
struct linux_lent {
	char *path; /* absolute, without "." and "..", "//" and a slash at its end */
	bool is_read_only;
};

struct linux_policy {
	bool has_network;
	size_t rule_count; /* 0: every address, if has_network */
	struct linux_rule rules[LINUX_RULES_MAX];
	size_t path_count; /* in the order of their paths: a directory comes before what is in it */
	struct linux_lent paths[LINUX_PATHS_MAX];
};

/** A policy that lends nothing. */
void linux_policy_init(struct linux_policy *policy);
void linux_policy_deinit(struct linux_policy *policy);

/** Lend what @text says too.
 *  @param text the value of a `--lend`
 *  @param ret_problem on failure a sentence for the owner that says what would be right; @bytes of it
 *  @return 0; -EINVAL, the policy is as it was; -E2BIG: more than LINUX_RULES_MAX or LINUX_PATHS_MAX;
 *  -ENOMEM; or another -errno: the directory is not to be had. */
int linux_policy_lend(struct linux_policy *policy, const char *text, char *ret_problem,
	size_t bytes) __attribute__((warn_unused_result));

/** Whether socket() and socketpair() may make such a socket: stream and datagram of IPv4 and IPv6 where
 *  a network is lent, and AF_UNIX.
 *  @return 0; -EACCES: no network is lent; -EPERM: a raw socket; -EAFNOSUPPORT, -EPROTONOSUPPORT,
 *  -ESOCKTNOSUPPORT: as a Linux that does not have it. */
int linux_policy_socket(const struct linux_policy *policy, int family, int type, int protocol)
	__attribute__((warn_unused_result));

/** Whether an address may be given to connect(), or to sendto(), sendmsg() and sendmmsg().
 *  @param is_connect connect(): AF_UNSPEC ends an association, and is allowed. Elsewhere it may mean
 *  IPv4, and is judged so
 *  @return 0; -EACCES: by no rule; -EPERM: an abstract name; -EAFNOSUPPORT; -EINVAL: @bytes are too few */
int linux_policy_connect(const struct linux_policy *policy, const struct sockaddr *address,
	socklen_t bytes, bool is_connect) __attribute__((warn_unused_result));

/** Whether an address may be given to bind(). AF_UNSPEC is judged as IPv4, as Linux takes it.
 *  @return as linux_policy_connect; -EPERM also: AF_UNIX with no name, for which Linux would choose an
 *  abstract one. */
int linux_policy_bind(const struct linux_policy *policy, const struct sockaddr *address,
	socklen_t bytes) __attribute__((warn_unused_result));

/** Whether a socket may listen: one that has not been bound gets a port of Linux's choice on every address.
 *  @param name what getsockname() says
 *  @return as linux_policy_bind */
int linux_policy_listen(const struct linux_policy *policy, const struct sockaddr *name,
	socklen_t bytes) __attribute__((warn_unused_result));

#endif
