#include "test/tcp/controller_peer.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"

static void tell(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(char *text, const char *format, ...)
{
	size_t used = strlen(text), room = CONTROLLER_PEER_TEXT_BYTES - used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text + used, room, format, arguments);
	va_end(arguments);
	assert_true(length >= 0 && (size_t)length < room);
}

static void fill(uint8_t *ret_data, uint16_t cid, size_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		ret_data[i] = (uint8_t)(7 * (offset + i) + cid);
}

static bool is_filled(const uint8_t *data, uint16_t cid, size_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i] != (uint8_t)(7 * (offset + i) + cid))
			return false;
	return true;
}

/* The layer above */

#define OWN_MEMORY 9 /* opcode */

static void forget(struct request *request)
{
	if (request->command.opcode == OWN_MEMORY)
		free(request->data);
}

static uint16_t cid_of(const struct request *request)
{
	return le16_get(request->command.cid);
}

static uint16_t above_begin(void *context, struct request *request)
{
	struct controller_peer *peer = context;

	if (!peer->is_quiet)
		tell(peer->above, "begin %u\n", cid_of(request));
	if (peer->is_ending)
		tcp_controller_queue_end(peer->queue, "asked in begin");
	request->result = le32_get(request->command.cdw10);
	if (request->command.opcode == 0xff)
		return 2;
	peer->begun_count++;
	if (request->command.opcode == 0)
		return 0;
	request->data_bytes = le32_get(request->command.sgl.length);
	request->transfer =
		(request->command.opcode & 1) != 0 ? REQUEST_FROM_HOST : REQUEST_TO_HOST;
	request->is_lending = request->command.opcode == 6;
	if (request->command.opcode == OWN_MEMORY) {
		request->data = malloc(request->data_bytes);
		assert_non_null(request->data);
	}
	return 0;
}

static void connect_queue(struct controller_peer *peer, struct request *request)
{
	uint32_t cdw10 = le32_get(request->command.cdw10);
	uint16_t entries = peer->connected > 0 ? peer->connected : (uint16_t)cdw10;
	int error = tcp_controller_queue_size(peer->queue, entries, (cdw10 >> 16) != 0);

	tell(peer->above, "size %u: %s\n", entries, strerror(-error));
}

static void complete(struct controller_peer *peer, struct request *request)
{
	static const size_t behind = sizeof(struct request) + 32;
	uint8_t *lent;
	size_t bytes;

	/* What the layer above keeps behind the request is its own. */
	assert_int_equal(((uint8_t *)request)[behind - 1], 0);
	if (request->command.opcode == 0x7f)
		connect_queue(peer, request);
	request->result = request->command.opcode == 0x7f ? 0 : le32_get(request->command.cdw10);
	request->status = (uint16_t)le32_get(request->command.cdw11);
	if (request->is_lending && request->status == 0) {
		request->data = malloc(request->data_bytes);
		assert_non_null(request->data);
		peer->lent_count++;
	}
	if (request->transfer == REQUEST_TO_HOST && request->status == 0)
		fill(request->data, cid_of(request), 0, request->data_bytes);
	peer->gone_count++;
	lent = request->is_lending && request->status == 0 ? request->data : NULL;
	bytes = request->data_bytes;
	forget(request);
	request->complete(request);
	if (peer->is_scribbling && lent != NULL)
		memset(lent, 0xee, bytes);
}

static void above_execute(void *context, struct request *request)
{
	struct controller_peer *peer = context;

	if (!peer->is_quiet)
		tell(peer->above, "execute %u\n", cid_of(request));
	if (request->transfer == REQUEST_FROM_HOST && request->data_bytes > 0)
		assert_true(is_filled(request->data, cid_of(request), 0, request->data_bytes));
	if (peer->is_ending)
		tcp_controller_queue_end(peer->queue, "asked in execute");
	if (peer->is_holding) {
		assert_true(peer->held_count < CONTROLLER_PEER_ABOVE_MAX);
		peer->held[peer->held_count++] = request;
		return;
	}
	complete(peer, request);
}

static void above_abandon(void *context, struct request *request)
{
	struct controller_peer *peer = context;

	tell(peer->above, "abandon %u\n", cid_of(request));
	peer->gone_count++;
	forget(request);
}

static void above_release(void *context, struct request *request)
{
	struct controller_peer *peer = context;

	free(request->data);
	peer->released_count++;
}

static void above_ended(void *context)
{
	struct controller_peer *peer = context;

	tell(peer->above, "ended\n");
}

static void above_closed(void *context, const char *reason)
{
	struct controller_peer *peer = context;

	tell(peer->above, "closed: %s\n", reason == NULL ? "in order" : reason);
	tcp_controller_queue_free(peer->queue);
	peer->queue = NULL;
}

static const struct tcp_controller_handler handler = {above_begin, above_execute, above_abandon,
	above_release, above_ended, above_closed};

/* What the host received, in words */

static void tell_data(struct controller_peer *peer, const uint8_t *bytes)
{
	uint32_t datal, digest_bytes = peer->maker.has_data_digest ? PDU_DIGEST_BYTES : 0;
	struct pdu_data pdu;

	memcpy(&pdu, bytes, sizeof(pdu));
	datal = le32_get(pdu.datal);
	assert_int_equal(le32_get(pdu.common.plen), pdu.common.pdo + datal + digest_bytes);
	if (digest_bytes > 0)
		assert_int_equal(le32_load(bytes + pdu.common.pdo + datal),
			crc32c(0, bytes + pdu.common.pdo, datal));
	assert_true(
		is_filled(bytes + pdu.common.pdo, le16_get(pdu.cccid), le32_get(pdu.datao), datal));
	tell(peer->wire, "data %u %u+%u at %u%s%s\n", le16_get(pdu.cccid), le32_get(pdu.datao),
		datal, pdu.common.pdo, (pdu.common.flags & PDU_FLAG_LAST) != 0 ? " last" : "",
		(pdu.common.flags & PDU_FLAG_SUCCESS) != 0 ? " success" : "");
}

static void tell_response(struct controller_peer *peer, const uint8_t *bytes)
{
	struct pdu_response pdu;

	memcpy(&pdu, bytes, sizeof(pdu));
	tell(peer->wire, "done %u status %x sqhd %u result %" PRIx64 "\n",
		le16_get(pdu.completion.cid), nvme_completion_status(&pdu.completion),
		le16_get(pdu.completion.sqhd), nvme_completion_result(&pdu.completion));
}

static void tell_terminate(struct controller_peer *peer, const uint8_t *bytes, uint32_t plen)
{
	tell(peer->wire, "TermReq FES %u FEI %x of", le16_load(bytes + 8), le32_load(bytes + 10));
	for (uint32_t i = 24; i < plen; i++)
		tell(peer->wire, " %02x", bytes[i]);
	tell(peer->wire, "\n");
}

static void tell_pdu(struct controller_peer *peer, const uint8_t *bytes, uint32_t plen)
{
	switch ((enum pdu_type)bytes[0]) {
	case PDU_IC_RESPONSE:
		tell(peer->wire, "ICResp cpda %u digests %u data %u\n", bytes[10], bytes[11],
			le32_load(bytes + 12));
		return;
	case PDU_RESPONSE:
		tell_response(peer, bytes);
		return;
	case PDU_R2T:
		tell(peer->wire, "R2T %u ttag %u %u+%u\n", le16_load(bytes + 8),
			le16_load(bytes + 10), le32_load(bytes + 12), le32_load(bytes + 16));
		return;
	case PDU_C2H_DATA:
		tell_data(peer, bytes);
		return;
	case PDU_C2H_TERMINATE:
		tell_terminate(peer, bytes, plen);
		return;
	case PDU_IC_REQUEST:
	case PDU_COMMAND:
	case PDU_H2C_DATA:
	case PDU_H2C_TERMINATE:
		break;
	}
	fail_msg("a PDU of type %u", bytes[0]);
}

static void hear(struct controller_peer *peer)
{
	struct pdu_rules rules = {
		.has_header_digest = peer->maker.has_header_digest,
		.has_data_digest = peer->maker.has_data_digest,
		.data_max = 1u << 20,
	};
	struct pdu_common common;
	struct pdu pdu;
	size_t left;

	while ((left = peer->host.received_bytes - peer->heard_bytes) >= sizeof(common)) {
		const uint8_t *bytes = peer->host.received + peer->heard_bytes;

		memcpy(&common, bytes, sizeof(common));
		if (left < le32_get(common.plen))
			return;
		assert_int_equal(pdu_check_common(&rules, &common).fes, PDU_FES_NONE);
		assert_int_equal(pdu_check(&rules, bytes, &pdu).fes, PDU_FES_NONE);
		tell_pdu(peer, bytes, le32_get(common.plen));
		peer->heard_bytes += le32_get(common.plen);
	}
}

/* The test */

struct tcp_controller_options controller_peer_options(void)
{
	return (struct tcp_controller_options){
		.deadlines = tcp_deadlines_default(),
		.data_max = 262144,
		.capsule_max = 16384,
		.request_bytes = sizeof(struct request) + 32,
	};
}

void controller_peer_open(struct controller_peer *peer,
	const struct tcp_controller_options *options, const struct memory_stream_faults *faults)
{
	struct tcp_controller_options defaults = controller_peer_options();
	struct memory_stream_faults wanted = {0};
	struct stream *ends[2];

	*peer = (struct controller_peer){.loop = NULL};
	simulated_clock_init(&peer->clock, CLOCK_SECOND_NS);
	random_init(&peer->random, 1);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &peer->clock.clock,
					  .pool_bytes = CONTROLLER_PEER_POOL_BYTES},
				 &peer->loop),
		0);
	if (faults != NULL)
		wanted = *faults;
	if (wanted.random == NULL)
		wanted.random = &peer->random;
	assert_int_equal(memory_stream_pair(peer->loop, &wanted, ends), 0);
	assert_int_equal(stream_reserve(ends[1], 0, 4096), 0);
	peer->maker.bytes = malloc(PDU_MAKER_BYTES);
	assert_non_null(peer->maker.bytes);
	stream_probe_start(&peer->host, ends[1]);
	peer->controller_stream = ends[0];
	assert_int_equal(tcp_controller_queue_new(ends[0], options != NULL ? options : &defaults,
				 &handler, peer, &peer->queue),
		0);
}

void controller_peer_connect(struct controller_peer *peer, uint16_t entries,
	bool is_flow_control_off)
{
	struct nvme_command connect = controller_peer_command(0x7f, 0, 1024);

	connect.cdw10 = le32_of(entries | (uint32_t)is_flow_control_off << 16);
	pdu_maker_add_ic_request(&peer->maker, 0);
	controller_peer_send(peer, 0);
	controller_peer_send_command(peer, &connect, true);
	controller_peer_expect(peer, NULL, NULL);
}

void controller_peer_end(struct controller_peer *peer)
{
	controller_peer_give_pool(peer);
	stream_probe_end(&peer->host);
	controller_peer_run(peer);
	peer->is_holding = false;
	controller_peer_complete_all(peer);
	assert_int_equal(peer->begun_count, peer->gone_count);
	tcp_controller_queue_free(peer->queue);
	assert_int_equal(peer->lent_count, peer->released_count);
	assert_int_equal(pool_held_bytes(loop_pool(peer->loop)), 0);
	loop_free(peer->loop);
	free(peer->maker.bytes);
}

struct nvme_command controller_peer_command(uint8_t opcode, uint16_t cid, uint32_t bytes)
{
	return (struct nvme_command){
		.opcode = opcode,
		.flags = NVME_FLAGS_PSDT_SGL,
		.cid = le16_of(cid),
		.sgl = nvme_sgl_transport(bytes),
	};
}

void controller_peer_add_command(struct controller_peer *peer, const struct nvme_command *command,
	bool is_in_capsule)
{
	uint32_t bytes = is_in_capsule ? le32_get(command->sgl.length) : 0;
	uint8_t *data = malloc(bytes + 1);

	assert_non_null(data);
	fill(data, le16_get(command->cid), 0, bytes);
	pdu_maker_add_command(&peer->maker, command, data, bytes);
	free(data);
}

void controller_peer_damage(struct controller_peer *peer)
{
	peer->maker.bytes[peer->maker.used - 1] ^= 1;
}

void controller_peer_send_command(struct controller_peer *peer, const struct nvme_command *command,
	bool is_in_capsule)
{
	controller_peer_add_command(peer, command, is_in_capsule);
	controller_peer_send(peer, 0);
}

struct pdu_data controller_peer_data(uint16_t cid, uint16_t ttag, uint32_t offset, uint32_t bytes,
	bool is_last)
{
	return (struct pdu_data){
		.common = {.type = PDU_H2C_DATA, .flags = is_last ? PDU_FLAG_LAST : 0},
		.cccid = le16_of(cid),
		.ttag = le16_of(ttag),
		.datao = le32_of(offset),
		.datal = le32_of(bytes),
	};
}

void controller_peer_add_data(struct controller_peer *peer, const struct pdu_data *data)
{
	uint32_t bytes = le32_get(data->datal);
	uint8_t *filled = malloc(bytes);

	assert_non_null(filled);
	fill(filled, le16_get(data->cccid), le32_get(data->datao), bytes);
	pdu_maker_add_data(&peer->maker, data, filled);
	free(filled);
}

void controller_peer_send_data(struct controller_peer *peer, const struct pdu_data *data)
{
	controller_peer_add_data(peer, data);
	controller_peer_send(peer, 0);
}

struct lent {
	struct stream_lease lease;
	uint8_t bytes[];
};

static void lent_returned(struct stream_lease *lease, bool is_sent)
{
	(void)is_sent;
	free(container_of(lease, struct lent, lease));
}

void controller_peer_send(struct controller_peer *peer, size_t left)
{
	size_t sent = peer->maker.used - left;
	struct lent *lent = malloc(sizeof(*lent) + sent);

	assert_non_null(lent);
	lent->lease.returned = lent_returned;
	memcpy(lent->bytes, peer->maker.bytes, sent);
	stream_lend(peer->host.stream, lent->bytes, sent, &lent->lease);
	controller_peer_run(peer);
	memmove(peer->maker.bytes, peer->maker.bytes + sent, left);
	peer->maker.used = left;
}

void controller_peer_run(struct controller_peer *peer)
{
	loop_run_idle(peer->loop);
}

void controller_peer_pass(struct controller_peer *peer, uint64_t ms)
{
	uint64_t end_ns = peer->clock.time_ns + ms * CLOCK_MS_NS;

	while (peer->clock.time_ns < end_ns)
		assert_int_equal(loop_turn(peer->loop,
					 (int)((end_ns - peer->clock.time_ns) / CLOCK_MS_NS)),
			0);
	controller_peer_run(peer);
}

void controller_peer_complete(struct controller_peer *peer, uint16_t cid)
{
	for (unsigned i = 0; i < peer->held_count; i++) {
		struct request *request = peer->held[i];

		if (cid_of(request) != cid)
			continue;
		peer->held[i] = peer->held[--peer->held_count];
		complete(peer, request);
		controller_peer_run(peer);
		return;
	}
	fail_msg("command %u is not held", cid);
}

void controller_peer_complete_all(struct controller_peer *peer)
{
	while (peer->held_count > 0)
		controller_peer_complete(peer, cid_of(peer->held[0]));
}

void controller_peer_take_pool(struct controller_peer *peer)
{
	for (unsigned i = 0; i < 2; i++) {
		peer->buffers[i] =
			(struct pool_request){.share = &peer->shares[i], .bytes = POOL_BUFFER_MAX};
		assert_true(pool_take(loop_pool(peer->loop), &peer->buffers[i]));
	}
}

void controller_peer_give_pool(struct controller_peer *peer)
{
	for (unsigned i = 0; i < 2; i++)
		pool_give(loop_pool(peer->loop), &peer->buffers[i]);
	controller_peer_run(peer);
}

void controller_peer_expect(struct controller_peer *peer, const char *above, const char *wire)
{
	hear(peer);
	if (above != NULL)
		assert_string_equal(peer->above, above);
	if (wire != NULL)
		assert_string_equal(peer->wire, wire);
	peer->above[0] = '\0';
	peer->wire[0] = '\0';
}
