/*
 * A controller's queue between a host and a layer above that are both the test: it sends PDUs,
 * rightly or wrongly made, and is told in words what came to each.
 *
 * The layer above is made of commands (by opcode):
 *   00  no data            01  write         02  read        06  read, of lent memory
 *   09  write, to memory of the layer above
 *   7f  Connect: sizes the queue when executed
 *   ff  refused by begin() with status 2, result cdw10
 * Their data is of sgl.length bytes; byte i of command c is (uint8_t)(7 * i + c). They end with the
 * status cdw11 and the result cdw10.
 */
#ifndef FERRY_TEST_TCP_CONTROLLER_PEER_H
#define FERRY_TEST_TCP_CONTROLLER_PEER_H

#include "base/clock.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/pool.h"
#include "nvme/request.h"
#include "tcp/controller_queue.h"
#include "test/loop/stream_probe.h"
#include "test/tcp/pdu_maker.h"

#define CONTROLLER_PEER_TEXT_BYTES 8192
#define CONTROLLER_PEER_POOL_BYTES (2 * POOL_BUFFER_MAX)
#define CONTROLLER_PEER_ABOVE_MAX  128

struct controller_peer {
	struct simulated_clock clock;
	struct random random;
	struct loop *loop;
	struct tcp_controller_queue *queue; /* NULL once closed */
	struct stream_probe host;
	struct stream *controller_stream;
	size_t heard_bytes;     /* of what the host received, told in wire */
	struct pdu_maker maker; /* whose digests are expected of the queue as well */
	char above[CONTROLLER_PEER_TEXT_BYTES]; /* what the layer above was told */
	char wire[CONTROLLER_PEER_TEXT_BYTES];  /* what the host received */
	/* Orders */
	bool is_holding;    /* execute() completes nothing */
	bool is_quiet;      /* tell nothing of begin() and execute() */
	bool is_ending;     /* begin() and execute() end the queue */
	bool is_scribbling; /* lent memory changes as soon as it is lent */
	uint16_t connected; /* entries of every Connect; 0: from its cdw10 */
	/* What execute() was given and was not completed */
	struct request *held[CONTROLLER_PEER_ABOVE_MAX];
	unsigned held_count;
	unsigned begun_count, gone_count; /* requests begun; completed or abandoned */
	unsigned lent_count, released_count;
	/* Buffers that the test keeps from others */
	struct pool_share shares[2];
	struct pool_request buffers[2];
};

/** The options that tests begin with: defaults, requests with something behind them. */
struct tcp_controller_options controller_peer_options(void);

/** Make the queue and the other end. NULL: the default options, no faults. */
void controller_peer_open(struct controller_peer *peer,
	const struct tcp_controller_options *options, const struct memory_stream_faults *faults);

/** Exchange ICReq and ICResp, and size the queue by Connect (cid 0). */
void controller_peer_connect(struct controller_peer *peer, uint16_t entries,
	bool is_flow_control_off);

/** Free all of it; each request must have come back. */
void controller_peer_end(struct controller_peer *peer);

/** A command as the host would send it: @opcode with data of @bytes bytes, not in the capsule. */
struct nvme_command controller_peer_command(uint8_t opcode, uint16_t cid, uint32_t bytes);

/** Put into the maker a capsule, with its data if @is_in_capsule; H2CData with the right bytes. */
void controller_peer_add_command(struct controller_peer *peer, const struct nvme_command *command,
	bool is_in_capsule);
void controller_peer_add_data(struct controller_peer *peer, const struct pdu_data *data);

/** Spoil the last byte in the maker: of data, or of their digest. */
void controller_peer_damage(struct controller_peer *peer);

/** Send them; takes turns. */
void controller_peer_send_command(struct controller_peer *peer, const struct nvme_command *command,
	bool is_in_capsule);
void controller_peer_send_data(struct controller_peer *peer, const struct pdu_data *data);

/** The header of H2CData. */
struct pdu_data controller_peer_data(uint16_t cid, uint16_t ttag, uint32_t offset, uint32_t bytes,
	bool is_last);

/** Send what is in the maker, all but the last @left bytes; takes turns. */
void controller_peer_send(struct controller_peer *peer, size_t left);

/** Take turns while something is to be done at once. */
void controller_peer_run(struct controller_peer *peer);

/** Let @ms pass, timers and all. */
void controller_peer_pass(struct controller_peer *peer, uint64_t ms);

/** Complete the held request of the command @cid; takes turns. */
void controller_peer_complete(struct controller_peer *peer, uint16_t cid);
void controller_peer_complete_all(struct controller_peer *peer);

/** Take the whole pool away, and give it back. */
void controller_peer_take_pool(struct controller_peer *peer);
void controller_peer_give_pool(struct controller_peer *peer);

/** Fail unless exactly this was told since the last time. NULL: whatever. */
void controller_peer_expect(struct controller_peer *peer, const char *above, const char *wire);

#endif
