/*
 * An association of a host with a controller: the admin queue and the I/O queues, all that was
 * negotiated, the keep alive, and the shutdown (NVMe Base 2.0, 3.3 and 3.6). It knows one
 * namespace by its facts, and no requests.
 *
 * States:
 *   connecting     the steps of connect.c run on the admin queue, then the I/O queues are connected,
 *                  of which a discovery controller has none
 *   ready          commands may be submitted; Keep Alive is sent when nothing else is
 *   shutting down  the controller is told to shut down, and asked until it has
 *   ended          no queue is left
 */
#ifndef FERRY_HOST_ASSOCIATION_H
#define FERRY_HOST_ASSOCIATION_H

#include <stdbool.h>
#include <stdint.h>

#include "host/identity.h"
#include "tcp/host_queue.h"

struct association;
struct loop;
struct stream;

#define ASSOCIATION_IO_QUEUES_MAX 64
#define ASSOCIATION_TRANSFER_MAX  (1u << 20) /* bytes of one command, where MDTS allows more */
#define ASSOCIATION_SHUTDOWN_MS   2000
#define ASSOCIATION_PROBLEM_MAX   320

struct association_options {
	struct host_identity identity;
	char nqn[NVME_NQN_TEXT_MAX];
	uint32_t nsid;
	uint16_t io_queues;     /* wanted, 1..ASSOCIATION_IO_QUEUES_MAX */
	uint16_t queue_entries; /* wanted, 2..TCP_HOST_ENTRIES_MAX */
	uint32_t kato_ms;       /* 0: none */
	uint32_t connect_timeout_ms;
	bool has_header_digest, has_data_digest; /* asked for, and insisted on */
	bool is_discovery; /* nqn is the discovery one: no I/O queue, and no namespace */
};

/* What the target said, as far as it is of use; whole when ready. */
struct association_facts {
	uint64_t cap;
	uint32_t version;
	uint16_t cntlid;
	uint16_t io_queues;
	uint16_t queue_entries;
	uint32_t transfer_bytes; /* most of one command, a multiple of the block */
	uint32_t capsule_bytes;
	bool has_write_cache;
	bool is_keep_alive_by_traffic;
	bool is_keep_alive_supported;
	char model[41], serial[21], firmware[9];
	uint8_t block_shift;
	uint64_t block_count;
	uint8_t uuid[UUID_BYTES];
	bool is_read_only;
};

/* The owner. All but open_stream() are called by the loop only, or from association_shutdown(). */
struct association_handler {
	/* Make a stream to the target. @attempt counts the addresses that were tried before.
	 * @return 0, or -errno; -ENOENT: there is no further address. */
	int (*open_stream)(void *context, unsigned attempt, struct stream **ret_stream);
	void (*ready)(void *context);
	/* No queue is left and each command is done(). @error 0 after a shutdown, else -errno and
	 * association_problem() says why. The owner frees the association, but not in this call. */
	void (*ended)(void *context, int error);
};

/** Make an association and begin to connect, in the loop's next turn.
 *  @return 0 and the association, owned by the caller, or -ENOMEM. */
int association_new(struct loop *loop, const struct association_options *options,
	const struct association_handler *handler, void *context,
	struct association **ret_association) __attribute__((warn_unused_result));

/** Free an association, whatever its state; commands out are done() with an error before this
 *  returns, and ended() is not called. NULL is legal. */
void association_free(struct association *association);

/** End in order: tell the controller and await it, at most ASSOCIATION_SHUTDOWN_MS. */
void association_shutdown(struct association *association);

/** Send a command on one of the I/O queues.
 *  @return 0, -EAGAIN when they are full, -ENOTCONN when not ready. */
int association_submit(struct association *association, struct tcp_host_command *command)
	__attribute__((warn_unused_result));

/** Send a command on the admin queue. @return as association_submit(). */
int association_submit_admin(struct association *association, struct tcp_host_command *command)
	__attribute__((warn_unused_result));

uint32_t association_nsid(const struct association *association);
bool association_is_ready(const struct association *association);
const struct association_facts *association_facts(const struct association *association);

/** @return a sentence about why the association ended, "" if there is none. */
const char *association_problem(const struct association *association);

#endif
