/*
 * Admission: which connections a server takes. It counts those there are, those that have not yet
 * succeeded with Connect, and both by the address they come from, so that one machine leaves room for
 * others. All unix sockets are one such address.
 *
 * Every function is for any thread.
 */
#ifndef FERRY_SERVE_ADMISSION_H
#define FERRY_SERVE_ADMISSION_H

#include <stdbool.h>
#include <sys/socket.h>

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

/** Admit one connection more, from @peer, as one that is pending.
 *  @return NULL with @ret_source, to be given back by admission_leave(), or a constant clause that says
 *  why not. */
const char *admission_enter(struct admission *admission, const struct sockaddr_storage *peer,
	struct admission_source **ret_source) __attribute__((warn_unused_result));

/** A connection from @source is pending no more. */
void admission_establish(struct admission *admission, struct admission_source *source);

/** A connection from @source has ended. */
void admission_leave(struct admission *admission, struct admission_source *source, bool is_pending);

#endif
