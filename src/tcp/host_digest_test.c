#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "loop/loop.h"
#include "test/tcp/host_peer.h"
#include "test/tcp/pdu_maker.h"

#define DATA_BYTES 200u /* of a PDU: small enough for one stream_put() */

/* A queue with digests, and a controller that makes its PDUs with them. */
struct bench {
	struct host_peer peer;
	struct pdu_maker maker;
	struct host_peer_command command;
	uint8_t data[3 * DATA_BYTES];
};

static void send_made(struct bench *bench)
{
	host_peer_send(&bench->peer, bench->maker.bytes, bench->maker.used);
	bench->maker.used = 0;
}

static void send_ic_response(struct bench *bench, uint8_t dgst)
{
	struct pdu_ic_response response = {
		.common.type = PDU_IC_RESPONSE,
		.dgst = dgst,
		.maxh2cdata = le32_of(HOST_PEER_MAXH2CDATA),
	};

	pdu_maker_add(&bench->maker, &response, NULL, 0);
	send_made(bench);
}

static struct bench *bench_open(bool has_header_digest, bool has_data_digest)
{
	struct tcp_host_queue_options options = {
		.has_header_digest = has_header_digest,
		.has_data_digest = has_data_digest,
	};
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	host_peer_open(&bench->peer, options, NULL);
	bench->maker.bytes = malloc(PDU_MAKER_BYTES);
	assert_non_null(bench->maker.bytes);
	bench->maker.has_header_digest = has_header_digest;
	bench->maker.has_data_digest = has_data_digest;
	return bench;
}

static void bench_initialize(struct bench *bench)
{
	const uint8_t *request = host_peer_take(&bench->peer, sizeof(struct pdu_ic_request));

	send_ic_response(bench, request[offsetof(struct pdu_ic_request, dgst)]);
	while (bench->peer.ready_calls == 0)
		assert_int_equal(loop_turn(bench->peer.loop, 1000), 0);
}

static void bench_end(struct bench *bench)
{
	host_peer_end(&bench->peer);
	free(bench->maker.bytes);
	free(bench);
}

/* A PDU of the host's: its header is right as to digests. @return its data. */
static const uint8_t *take_pdu(struct bench *bench, size_t header_bytes, size_t data_bytes)
{
	struct pdu_rules rules = {
		.is_controller = true,
		.has_header_digest = bench->maker.has_header_digest,
		.has_data_digest = bench->maker.has_data_digest,
		.capsule_data_max = UINT16_MAX,
		.data_max = UINT16_MAX,
	};
	size_t data_digest_bytes = rules.has_data_digest && data_bytes > 0 ? PDU_DIGEST_BYTES : 0;
	const uint8_t *bytes, *data;
	struct pdu_common common;
	struct pdu pdu;

	header_bytes += rules.has_header_digest ? PDU_DIGEST_BYTES : 0;
	bytes = host_peer_take(&bench->peer, header_bytes + data_bytes + data_digest_bytes);
	data = bytes + header_bytes;
	memcpy(&common, bytes, sizeof(common));
	assert_int_equal(pdu_check_common(&rules, &common).fes, PDU_FES_NONE);
	assert_int_equal(pdu_check(&rules, bytes, &pdu).fes, PDU_FES_NONE);
	assert_int_equal(pdu.data_bytes, data_bytes);
	if (data_digest_bytes > 0)
		assert_int_equal(le32_load(data + data_bytes), crc32c(0, data, data_bytes));
	return data;
}

static void add_data(struct bench *bench, uint32_t offset, uint8_t flags)
{
	uint8_t data[DATA_BYTES];
	struct pdu_data pdu = {
		.common = {.type = PDU_C2H_DATA, .flags = flags},
		.cccid = le16_of(bench->command.command.cid),
		.datao = le32_of(offset),
		.datal = le32_of(DATA_BYTES),
	};

	for (uint32_t i = 0; i < DATA_BYTES; i++)
		data[i] = (uint8_t)((offset + i) * 7);
	pdu_maker_add_data(&bench->maker, &pdu, data);
}

static void send_completion(struct bench *bench)
{
	struct pdu_response pdu = {
		.common.type = PDU_RESPONSE,
		.completion =
			nvme_completion_of(bench->command.command.cid, NVME_STATUS_SUCCESS, 1),
	};

	pdu_maker_add(&bench->maker, &pdu, NULL, 0);
	send_made(bench);
	while (bench->command.done_calls == 0)
		assert_int_equal(loop_turn(bench->peer.loop, 1000), 0);
}

static void begin_command(struct bench *bench, enum tcp_host_transfer transfer)
{
	host_peer_command(&bench->peer, &bench->command, transfer, bench->data,
		sizeof(bench->data));
	assert_int_equal(tcp_host_queue_submit(bench->peer.queue, &bench->command.command), 0);
	(void)take_pdu(bench, sizeof(struct pdu_command), 0);
}

static void test_host_digest_refuses_controller_when_icresp_differs_from_icreq(void **state)
{
	static const struct {
		uint8_t asked, answered;
		enum pdu_fes fes;
		const char *reason;
	} rows[] = {
		{1, 0, PDU_FES_UNSUPPORTED, "the controller refuses header digests"},
		{2, 0, PDU_FES_UNSUPPORTED, "the controller refuses data digests"},
		{3, 1, PDU_FES_UNSUPPORTED, "the controller refuses data digests"},
		{1, 3, PDU_FES_HEADER_FIELD,
			"the controller broke the protocol: its ICResp turns on digests that were "
			"not asked for (DGST 3)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct bench *bench =
			bench_open((rows[i].asked & 1) != 0, (rows[i].asked & 2) != 0);
		const uint8_t *bytes = host_peer_take(&bench->peer, sizeof(struct pdu_ic_request));

		assert_int_equal(bytes[offsetof(struct pdu_ic_request, dgst)], rows[i].asked);
		send_ic_response(bench, rows[i].answered);
		host_peer_run_until_failed(&bench->peer);
		bytes = host_peer_take(&bench->peer, sizeof(struct pdu_terminate));
		assert_int_equal(bytes[0], PDU_H2C_TERMINATE);
		assert_int_equal(bytes[8], rows[i].fes);
		assert_int_equal(le32_load(bytes + 10), offsetof(struct pdu_ic_response, dgst));
		assert_int_equal(bench->peer.error, -EPROTO);
		assert_string_equal(bench->peer.reason, rows[i].reason);
		bench_end(bench);
	}
}

static void test_host_digest_covers_what_is_sent_when_data_go_in_capsule_or_h2c_data(void **state)
{
	(void)state;
	for (unsigned i = 1; i < 4; i++) {
		struct bench *bench = bench_open((i & 1) != 0, (i & 2) != 0);
		struct pdu_r2t r2t = {.common.type = PDU_R2T, .r2tl = le32_of(3 * DATA_BYTES)};
		struct host_peer_command *command = &bench->command;

		bench_initialize(bench);
		host_peer_fill(bench->data, sizeof(bench->data));
		begin_command(bench, TCP_HOST_WRITE);
		r2t.cccid = le16_of(command->command.cid);
		pdu_maker_add(&bench->maker, &r2t, NULL, 0);
		send_made(bench);
		assert_true(host_peer_is_filled(take_pdu(bench, sizeof(struct pdu_data),
							sizeof(bench->data)),
			0, sizeof(bench->data)));
		send_completion(bench);
		assert_int_equal(nvme_completion_status(&command->command.completion), 0);

		/* A fabrics command takes its data in the capsule. */
		host_peer_command(&bench->peer, command, TCP_HOST_WRITE, bench->data, 100);
		command->command.command.opcode = NVME_IO_FABRICS;
		assert_int_equal(tcp_host_queue_submit(bench->peer.queue, &command->command), 0);
		assert_true(host_peer_is_filled(take_pdu(bench, sizeof(struct pdu_command), 100), 0,
			100));
		bench_end(bench);
	}
}

/* Whichever PDU is damaged, all data is taken, one command fails and the queue goes on. */
static void test_host_digest_fails_one_command_when_c2h_data_is_damaged(void **state)
{
	(void)state;
	for (unsigned damaged = 0; damaged < 4; damaged++) {
		struct bench *bench = bench_open(true, true);
		struct host_peer_command *command = &bench->command;

		bench_initialize(bench);
		begin_command(bench, TCP_HOST_READ);
		for (uint32_t i = 0; i < 3; i++) {
			add_data(bench, i * DATA_BYTES, i == 2 ? PDU_FLAG_LAST : 0);
			if (i == damaged)
				bench->maker.bytes[bench->maker.used - 1] ^= 1;
			send_made(bench);
		}
		send_completion(bench);
		assert_int_equal(command->command.error, 0);
		assert_int_equal(nvme_completion_status(&command->command.completion),
			damaged < 3 ? NVME_STATUS_TRANSIENT_TRANSPORT_ERROR : 0);
		assert_int_equal(bench->peer.failed_calls, 0);
		host_peer_command(&bench->peer, command, TCP_HOST_NO_DATA, NULL, 0);
		assert_int_equal(tcp_host_queue_submit(bench->peer.queue, &command->command), 0);
		(void)take_pdu(bench, sizeof(struct pdu_command), 0);
		send_completion(bench);
		assert_int_equal(nvme_completion_status(&command->command.completion), 0);
		bench_end(bench);
	}
}

static void test_host_digest_fails_the_queue_when_a_header_is_damaged(void **state)
{
	struct bench *bench = bench_open(true, false);
	const uint8_t *bytes;

	(void)state;
	bench_initialize(bench);
	begin_command(bench, TCP_HOST_READ);
	add_data(bench, 0, 0);
	bench->maker.bytes[sizeof(struct pdu_data)] ^= 1;
	send_made(bench);
	host_peer_run_until_failed(&bench->peer);
	bytes = host_peer_take(&bench->peer, sizeof(struct pdu_terminate));
	assert_int_equal(bytes[8], PDU_FES_HEADER_DIGEST);
	assert_int_equal(bench->command.command.error, -EPROTO);
	assert_string_equal(bench->peer.reason,
		"the controller broke the protocol: its C2HData: header digest error");
	bench_end(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_host_digest_refuses_controller_when_icresp_differs_from_icreq),
		cmocka_unit_test(
			test_host_digest_covers_what_is_sent_when_data_go_in_capsule_or_h2c_data),
		cmocka_unit_test(test_host_digest_fails_one_command_when_c2h_data_is_damaged),
		cmocka_unit_test(test_host_digest_fails_the_queue_when_a_header_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
