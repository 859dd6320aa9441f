/*
 * A discovery log as a host reads it (NVMe Base 2.0, 5.16.1.23 and 6.4): what to ask for next, and
 * what the answers mean. It sends nothing itself. The log may change while it is read in pieces, so
 * the header comes first and last: only if both have the same generation do the pieces belong
 * together, else the reading starts over.
 *
 * Nothing in an answer is trusted: a count meets FERRY_HOST_RECORDS_MAX, and a record that does not
 * name a subsystem is left out and counted.
 *
 * States:
 *   header    the header is wanted
 *   records   some of the records that the header announces are wanted
 *   again     all records are here; the header is wanted again
 *   complete  the log is whole
 */
#ifndef FERRY_HOST_DISCOVERY_H
#define FERRY_HOST_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ferry/host.h"
#include "nvme/discovery.h"
#include "nvme/log_page.h"

#define DISCOVERY_PIECE_MAX   16384u /* bytes asked for at a time */
#define DISCOVERY_TRIES_MAX   8      /* readings of a log that keeps changing */
#define DISCOVERY_PROBLEM_MAX 160

enum discovery_state {
	DISCOVERY_HEADER,
	DISCOVERY_RECORDS,
	DISCOVERY_AGAIN,
	DISCOVERY_COMPLETE,
};

struct discovery {
	enum discovery_state state;
	uint32_t piece_bytes;
	uint64_t generation;
	uint32_t announced_count; /* records that the header tells of */
	uint32_t seen_count;      /* of these, read */
	uint32_t left_out_count;  /* of these, not understood */
	uint32_t record_count;    /* understood */
	unsigned tries;
	struct ferry_host_record *records;
	char problem[DISCOVERY_PROBLEM_MAX];
};

/** Begin. @param piece_bytes what the controller transfers at once, at least 1024 */
void discovery_init(struct discovery *discovery, uint32_t piece_bytes);

/** Free the records; what is all 0 is legal. */
void discovery_deinit(struct discovery *discovery);

/** Say what to ask for, unless complete: at most DISCOVERY_PIECE_MAX bytes. */
void discovery_next(const struct discovery *discovery, struct nvme_get_log_page *ret_fields);

/** Take the answer to what discovery_next() said: as many bytes as that asked for.
 *  @return 0, or -errno with discovery->problem set: -EPROTO (no log we know), -EMSGSIZE (too many
 *  records), -EAGAIN (it kept changing), -ENOMEM. */
int discovery_take(struct discovery *discovery, const uint8_t *page)
	__attribute__((warn_unused_result));

/** The controller says that the log has changed (Discover Restart): start over.
 *  @return 0, or -EAGAIN with discovery->problem set when that happened too often. */
int discovery_restart(struct discovery *discovery) __attribute__((warn_unused_result));

/** Take one record.
 *  @return 0, or -EINVAL and *ret_record is untouched: its NQN is none, or its SUBTYPE unknown. */
int discovery_record_of(const struct nvme_discovery_record *from,
	struct ferry_host_record *ret_record) __attribute__((warn_unused_result));

#endif
