/*
 * Admission: which connections a server takes. It counts those there are, those that have not yet
 * succeeded with Connect, and both by the address they come from, so that one machine leaves room for
 * others. All unix sockets are one such address.
 *
 * As one too many without Connect nobody is turned away: another one that is pending loses its place,
 * the oldest of the same address if that has too many, else the oldest of the address that has the
 * most (of equals, whose oldest is older). So those that never get on cannot keep out those that do,
 * and an address cannot keep out another.
 *
 * Every function is for any thread.
 */
#ifndef FERRY_SERVE_ADMISSION_H
#define FERRY_SERVE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"

struct admission;
struct admission_source;

/* At one time; each 1 or more. */
struct admission_limits {
	unsigned connections_max;
	unsigned pending_max;            /* of these, without a successful Connect */
	unsigned source_connections_max; /* from one address */
	unsigned source_pending_max;
};

/** @return the admission, owned by the caller, or NULL without memory. */
struct admission *admission_new(const struct admission_limits *limits);

/** Free it; nobody is admitted any more. NULL is legal. */
void admission_free(struct admission *admission);

/* A connection that was admitted, embedded in its owner. */
struct admission_entry {
	struct list link; /* in its source, while it is pending */
	struct admission_source *source;
	uint64_t order;
	bool is_pending;
	bool is_lost; /* its place as one that is pending */
};

/** Admit one connection more, @entry, from @peer, as one that is pending.
 *  @return NULL, and in @ret_loser the entry that has lost its place to it, or NULL: that connection
 *  is to be ended unless it has been established meanwhile. Or a constant clause that says why @entry
 *  is not admitted. */
const char *admission_enter(struct admission *admission, const struct sockaddr_storage *peer,
	struct admission_entry *entry, struct admission_entry **ret_loser)
	__attribute__((warn_unused_result));

/** The connection is pending no more. */
void admission_establish(struct admission *admission, struct admission_entry *entry);

/** The connection has ended. @return whether it had lost its place: admission_enter() tells of that,
 *  or has told. */
bool admission_leave(struct admission *admission, struct admission_entry *entry)
	__attribute__((warn_unused_result));

#endif
