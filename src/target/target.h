/*
 * A target: all subsystems that are lent, what hosts may have of them, and the discovery subsystem
 * that lists them. It knows no socket: transports bring it queues (queue.h) and the addresses they
 * listen on (target_add_address).
 *
 * Everything is put together before target_publish(); from then on subsystems, namespaces and host
 * lists do not change, so that every loop may read them without a lock. Addresses may be added at any
 * time: only discovery reads them, under a lock.
 */
#ifndef FERRY_TARGET_TARGET_H
#define FERRY_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log;
struct store;
struct subsystem;
struct target;

#define TARGET_SUBSYSTEMS_MAX     1024
#define TARGET_NAMESPACES_MAX     1024 /* of one subsystem */
#define TARGET_HOSTS_MAX          1024 /* allowed by name, of one subsystem */
#define TARGET_CONTROLLERS_MAX    1024 /* of one subsystem at one time */
#define TARGET_HOST_QUEUES_MAX    4096 /* I/O queues of one host in one subsystem */
#define TARGET_ADDRESSES_MAX      64
#define TARGET_CONNECT_TIMEOUT_MS 10000 /* the default of the deadline "connect" */
#define TARGET_MDTS_UNIT          4096u /* bytes: CAP.MPSMIN */

/* The limits a target keeps to and tells its hosts. */
struct target_limits {
	uint16_t admin_entries_max; /* of an admin queue, 32..4096; default 4096 */
	uint16_t io_entries_max;    /* of an I/O queue, 2..1024; default 1024 */
	uint16_t io_queues_max;     /* of one controller, 1..128; default 128 */
	uint8_t mdts;               /* data of one command: 2^mdts pages of 4096 bytes, 1..9;
				     * default 8 (1 MiB) */
	uint32_t capsule_bytes;     /* of in-capsule data of an I/O command, 0..65536, a multiple of
				     * 16; default 16384 */
	uint16_t host_controllers_max; /* of one host NQN in one subsystem, 1..1024; default 256 */
	uint16_t host_queues_max;      /* I/O queues of these in all, 1..4096; default 1024 */
	bool is_flow_control_kept;     /* no host may disable SQ flow control; default false */
};

/** The defaults. */
struct target_limits target_limits_default(void);

/** @param log may be NULL; @param limits NULL for the defaults; both must be legal
 *  @return 0 and the target, owned by the caller, or -errno. */
int target_new(const struct target_limits *limits, struct log *log, struct target **ret_target)
	__attribute__((warn_unused_result));

/** Free a target that is idle, with its subsystems; the stores are the caller's. NULL is legal. */
void target_free(struct target *target);

/** @return whether no queue and no controller is left. From any thread. A queue that is freed takes
 *  leave of its controller by messages: the loops must run until the target is idle. */
bool target_is_idle(const struct target *target);

const struct target_limits *target_limits(const struct target *target);

/** Make a subsystem named @nqn (valid, not the discovery NQN, not yet used).
 *  @return 0 and the subsystem, the target's, or -EEXIST, -EINVAL, -ENOSPC, -ENOMEM. */
int target_add_subsystem(struct target *target, const char *nqn, struct subsystem **ret_subsystem)
	__attribute__((warn_unused_result));

/** Lend @store, which must outlive the target, as the subsystem's next namespace (1, 2, ...).
 *  @return the namespace id, or -ENOSPC, -ENOMEM. */
int subsystem_add_namespace(struct subsystem *subsystem, struct store *store)
	__attribute__((warn_unused_result));

/** Let the host @host_nqn connect. Without any call nobody may.
 *  @return 0, -EINVAL (not an NQN), -ENOSPC, -ENOMEM. */
int subsystem_allow_host(struct subsystem *subsystem, const char *host_nqn)
	__attribute__((warn_unused_result));

/** Let every host connect. */
void subsystem_allow_any_host(struct subsystem *subsystem);

const char *subsystem_nqn(const struct subsystem *subsystem);

/* An address hosts can reach the target at: one discovery log record for each subsystem. */
struct target_address {
	bool is_ipv6;
	/* Without brackets; "" means the address at which the asking host's discovery connection
	 * arrived (a wildcard listener). A link-local one is told to hosts that came by such one. */
	char host[256];
	uint16_t port;
	bool is_for_discovery; /* a record of the discovery subsystem alone */
};

/** Hosts are told of it; also of one that is added while they are there. From any thread.
 *  @return 0 or -ENOSPC. */
int target_add_address(struct target *target, const struct target_address *address)
	__attribute__((warn_unused_result));

/** Everything is in place: queues may come. */
void target_publish(struct target *target);

/** The size of @store has changed: hosts whose namespace it holds are told. From any thread. */
void target_note_store(struct target *target, const struct store *store);

/** End every controller: their queues are told to end. From any thread. */
void target_shut_down(struct target *target);

#endif
