/*
 * A table of what a controller may do wrong: each row ends the queue with a sentence, and with an
 * H2CTermReq where the specification wants one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "test/tcp/host_peer.h"

#define READ_BYTES  8192u
#define WRITE_BYTES 300000u /* more than the window of H2CData PDUs */
#define CID_NONE    0x3333u /* of no outstanding command */

/* The commands outstanding when a row's PDUs come. */
enum { READ, WRITE, SMALL_WRITE, FLUSH, COMMANDS };

struct hostile {
	struct host_peer peer;
	struct host_peer_command commands[COMMANDS];
};

static uint16_t cid_of(const struct hostile *hostile, unsigned index)
{
	return hostile->commands[index].command.cid;
}

static void send_header(struct hostile *hostile, uint8_t type, uint8_t hlen, uint8_t pdo,
	uint32_t plen)
{
	uint8_t header[PDU_HEADER_MAX] = {type, 0, hlen, pdo};
	le32 size = le32_of(plen);

	memcpy(header + 4, size.bytes, 4);
	host_peer_send(&hostile->peer, header, hlen < 8 ? 8 : hlen);
}

static void unknown_type(struct hostile *hostile)
{
	send_header(hostile, 0x0c, 24, 0, 24);
}

static void command_from_controller(struct hostile *hostile)
{
	send_header(hostile, PDU_COMMAND, 72, 0, 72);
}

static void second_ic_response(struct hostile *hostile)
{
	host_peer_send_ic_response(&hostile->peer, 8192, 0);
}

static void response_with_wrong_hlen(struct hostile *hostile)
{
	send_header(hostile, PDU_RESPONSE, 20, 0, 24);
}

static void response_with_wrong_plen(struct hostile *hostile)
{
	send_header(hostile, PDU_RESPONSE, 24, 0, 28);
}

static void completion_of_unknown(struct hostile *hostile)
{
	host_peer_send_completion(&hostile->peer, CID_NONE, NVME_STATUS_SUCCESS);
}

static void completion_of_index_beyond(struct hostile *hostile)
{
	host_peer_send_completion(&hostile->peer, 1000, NVME_STATUS_SUCCESS);
}

static void completion_twice(struct hostile *hostile)
{
	host_peer_send_completion(&hostile->peer, cid_of(hostile, FLUSH), NVME_STATUS_SUCCESS);
	host_peer_send_completion(&hostile->peer, cid_of(hostile, FLUSH), NVME_STATUS_SUCCESS);
}

static void success_without_data(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 4096, PDU_FLAG_LAST);
	host_peer_send_completion(&hostile->peer, cid_of(hostile, READ), NVME_STATUS_SUCCESS);
}

static void success_without_r2t(struct hostile *hostile)
{
	host_peer_send_completion(&hostile->peer, cid_of(hostile, WRITE), NVME_STATUS_SUCCESS);
}

static void data_for_unknown(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, CID_NONE, 0, 64, 0);
}

static void data_for_write(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, WRITE), 0, 64, 0);
}

static void data_for_flush(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, FLUSH), 0, 64, 0);
}

static void data_out_of_order(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 4096, 4096, 0);
}

static void data_again(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 64, 0);
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 64, 0);
}

static void data_beyond(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, READ_BYTES + 4, 0);
}

static void data_far_beyond(struct hostile *hostile)
{
	struct pdu_data pdu = {.cccid = le16_of(cid_of(hostile, READ)),
		.datal = le32_of(UINT32_MAX - 24)};

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), sizeof(pdu), UINT32_MAX);
	host_peer_send(&hostile->peer, &pdu, sizeof(pdu));
}

static void data_after_last(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 64, PDU_FLAG_LAST);
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 64, 64, 0);
}

static void data_of_length_zero(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 0, 0);
}

static void data_with_wrong_datal(struct hostile *hostile)
{
	struct pdu_data pdu = {.cccid = le16_of(cid_of(hostile, READ)), .datal = le32_of(60)};

	pdu_set_common(&pdu.common, PDU_C2H_DATA, sizeof(pdu), sizeof(pdu), sizeof(pdu) + 64);
	host_peer_send(&hostile->peer, &pdu, sizeof(pdu));
}

static void data_with_wrong_pdo(struct hostile *hostile)
{
	send_header(hostile, PDU_C2H_DATA, 24, 22, 100);
}

static void data_with_digest(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 64, PDU_FLAG_DATA_DIGEST);
}

static void success_flag(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, READ_BYTES,
		PDU_FLAG_LAST | PDU_FLAG_SUCCESS);
}

static void success_flag_without_last(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, READ_BYTES, PDU_FLAG_SUCCESS);
}

static void success_flag_on_short_data(struct hostile *hostile)
{
	host_peer_send_data(&hostile->peer, cid_of(hostile, READ), 0, 4096,
		PDU_FLAG_LAST | PDU_FLAG_SUCCESS);
}

static void r2t_for_unknown(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, CID_NONE, 0, 4096);
}

static void r2t_for_read(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, READ), 0, 4096);
}

static void r2t_for_data_in_capsule(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, SMALL_WRITE), 0, 512);
}

static void r2t_of_length_zero(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, 0);
}

static void r2t_beyond(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, WRITE_BYTES + 1);
}

static void r2t_that_wraps(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, UINT32_MAX);
}

static void r2t_below_what_was_sent(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, 4096);
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, 4096);
}

static void r2t_during_another(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, WRITE_BYTES);
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 0, WRITE_BYTES);
}

static void r2t_with_a_gap(struct hostile *hostile)
{
	host_peer_send_r2t(&hostile->peer, cid_of(hostile, WRITE), 4096, 4096);
}

static const struct hostile_row {
	const char *reason;
	bool is_flow_control_off;
	void (*act)(struct hostile *hostile);
	struct pdu_fault fault;
} hostile_rows[] = {
	{"a PDU of type 0c", false, unknown_type, {PDU_FES_HEADER_FIELD, 0}},
	{"a PDU of type 04", false, command_from_controller, {PDU_FES_HEADER_FIELD, 0}},
	{"second ICResp", false, second_ic_response, {PDU_FES_SEQUENCE, 0}},
	{"HLEN of its CapsuleResp", false, response_with_wrong_hlen, {PDU_FES_HEADER_FIELD, 2}},
	{"PLEN of its CapsuleResp", false, response_with_wrong_plen, {PDU_FES_HEADER_FIELD, 4}},
	{"completed command 3333", false, completion_of_unknown, {PDU_FES_HEADER_FIELD, 20}},
	{"completed command 03e8", false, completion_of_index_beyond, {PDU_FES_HEADER_FIELD, 20}},
	{"which is not outstanding", false, completion_twice, {PDU_FES_HEADER_FIELD, 20}},
	{"after 4096 of 8192 bytes", false, success_without_data, {PDU_FES_SEQUENCE, 0}},
	{"after 0 of 300000 bytes", false, success_without_r2t, {PDU_FES_SEQUENCE, 0}},
	{"data for command 3333", false, data_for_unknown, {PDU_FES_HEADER_FIELD, 8}},
	{"that reads nothing", false, data_for_write, {PDU_FES_HEADER_FIELD, 8}},
	{"that reads nothing", false, data_for_flush, {PDU_FES_HEADER_FIELD, 8}},
	{"begins at byte 4096", false, data_out_of_order, {PDU_FES_OUT_OF_RANGE, 0}},
	{"where byte 64 is next", false, data_again, {PDU_FES_OUT_OF_RANGE, 0}},
	{"exceeds the command's 8192", false, data_beyond, {PDU_FES_OUT_OF_RANGE, 0}},
	{"exceeds the command's 8192", false, data_far_beyond, {PDU_FES_OUT_OF_RANGE, 0}},
	{"after LAST_PDU", false, data_after_last, {PDU_FES_SEQUENCE, 0}},
	{"PLEN of its C2HData", false, data_of_length_zero, {PDU_FES_HEADER_FIELD, 4}},
	{"DATAL of its C2HData", false, data_with_wrong_datal, {PDU_FES_HEADER_FIELD, 16}},
	{"PDO of its C2HData", false, data_with_wrong_pdo, {PDU_FES_HEADER_FIELD, 3}},
	{"flags of its C2HData", false, data_with_digest, {PDU_FES_HEADER_FIELD, 1}},
	{"though flow control is on", false, success_flag, {PDU_FES_HEADER_FIELD, 1}},
	{"without LAST_PDU", true, success_flag_without_last, {PDU_FES_HEADER_FIELD, 1}},
	{"after 4096 of 8192 bytes", true, success_flag_on_short_data, {PDU_FES_HEADER_FIELD, 1}},
	{"R2T for command 3333", false, r2t_for_unknown, {PDU_FES_HEADER_FIELD, 8}},
	{"no data to send", false, r2t_for_read, {PDU_FES_HEADER_FIELD, 8}},
	{"no data to send", false, r2t_for_data_in_capsule, {PDU_FES_HEADER_FIELD, 8}},
	{"asks for no data", false, r2t_of_length_zero, {PDU_FES_HEADER_FIELD, 16}},
	{"exceeds the command's 300000", false, r2t_beyond, {PDU_FES_OUT_OF_RANGE, 0}},
	{"exceeds the command's 300000", false, r2t_that_wraps, {PDU_FES_OUT_OF_RANGE, 0}},
	{"begins at byte 0", false, r2t_below_what_was_sent, {PDU_FES_OUT_OF_RANGE, 0}},
	{"where byte 0 is next", false, r2t_with_a_gap, {PDU_FES_OUT_OF_RANGE, 0}},
};

/* Find the TermReq at the end of what the controller received. */
static void expect_terminate(const struct host_peer *peer, struct pdu_fault fault)
{
	const uint8_t *received = peer->controller.received;
	size_t end = peer->controller.received_bytes;
	struct pdu_terminate pdu;

	for (size_t quoted = 0; quoted <= PDU_HEADER_MAX; quoted++) {
		size_t start = end - sizeof(pdu) - quoted;

		memcpy(&pdu, received + start, sizeof(pdu));
		if (pdu.common.type != PDU_H2C_TERMINATE || pdu.common.hlen != sizeof(pdu) ||
			le32_get(pdu.common.plen) != sizeof(pdu) + quoted)
			continue;
		assert_int_equal(le16_get(pdu.fes), fault.fes);
		assert_int_equal(le32_load(pdu.fei), fault.fei);
		return;
	}
	fail_msg("no H2CTermReq came");
}

static void run_row(const struct hostile_row *row, const struct memory_stream_faults *faults)
{
	static uint8_t data[COMMANDS][WRITE_BYTES];
	static const struct {
		enum tcp_host_transfer transfer;
		uint32_t bytes;
	} kinds[COMMANDS] = {
		[READ] = {TCP_HOST_READ, READ_BYTES},
		[WRITE] = {TCP_HOST_WRITE, WRITE_BYTES},
		[SMALL_WRITE] = {TCP_HOST_WRITE, 512},
		[FLUSH] = {TCP_HOST_NO_DATA, 0},
	};
	struct hostile hostile;
	struct host_peer *peer = &hostile.peer;

	host_peer_open(peer,
		(struct tcp_host_queue_options){.capsule_data_bytes = 4096,
			.is_flow_control_off = row->is_flow_control_off},
		faults);
	host_peer_initialize(peer, HOST_PEER_MAXH2CDATA, 0);
	for (size_t i = 0; i < COMMANDS; i++) {
		host_peer_command(peer, &hostile.commands[i], kinds[i].transfer,
			kinds[i].bytes > 0 ? data[i] : NULL, kinds[i].bytes);
		host_peer_submit(peer, &hostile.commands[i]);
	}
	row->act(&hostile);
	host_peer_run_until_failed(peer);
	assert_int_equal(peer->error, -EPROTO);
	if (strstr(peer->reason, row->reason) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", peer->reason, row->reason);
	for (size_t i = 0; i < COMMANDS; i++) {
		assert_int_equal(hostile.commands[i].done_calls, 1);
		if (i != FLUSH)
			assert_int_equal(hostile.commands[i].command.error, -EPROTO);
	}
	expect_terminate(peer, row->fault);
	host_peer_end(peer);
}

static void test_host_queue_fails_with_a_sentence_when_the_controller_breaks_a_rule(void **state)
{
	static const struct memory_stream_faults deliveries[] = {
		{.delivery_max_bytes = 0},
		{.delivery_max_bytes = 3},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hostile_rows); i++) {
		for (size_t k = 0; k < ARRAY_LENGTH(deliveries); k++)
			run_row(&hostile_rows[i], &deliveries[k]);
	}
}

static void test_host_queue_fails_when_a_second_r2t_comes_before_the_first_is_answered(void **state)
{
	static const struct hostile_row row = {"is being answered", false, r2t_during_another,
		{PDU_FES_LIMIT_EXCEEDED, 0}};

	(void)state;
	/* Both come at once, so that nothing of the answer can have been sent between them. */
	run_row(&row, &(struct memory_stream_faults){.delivery_max_bytes = 0});
}

static void test_host_queue_fails_when_icresp_is_wrong(void **state)
{
	static const struct {
		const char *reason;
		struct pdu_ic_response pdu; /* its common header is filled in if it is all 0 */
		struct pdu_fault fault;
	} rows[] = {
		{"PFV of its ICResp", {.pfv = {{1}}, .maxh2cdata = {{0, 16}}},
			{PDU_FES_UNSUPPORTED, 8}},
		{"CPDA of its ICResp", {.cpda = 32, .maxh2cdata = {{0, 16}}},
			{PDU_FES_HEADER_FIELD, 10}},
		{"digests that were not asked for", {.dgst = 1, .maxh2cdata = {{0, 16}}},
			{PDU_FES_HEADER_FIELD, 11}},
		{"MAXH2CDATA of its ICResp", {.maxh2cdata = {{0xfc, 15}}},
			{PDU_FES_HEADER_FIELD, 12}},
		{"MAXH2CDATA of its ICResp", {.maxh2cdata = {{1, 16}}}, {PDU_FES_HEADER_FIELD, 12}},
		{"PLEN of its ICResp", {.common = {1, 0, 128, 0, {{132}}}},
			{PDU_FES_HEADER_FIELD, 4}},
		{"first PDU is of type 05", {.common = {5, 0, 24, 0, {{24}}}},
			{PDU_FES_SEQUENCE, 0}},
		{"a PDU of type 00", {.common = {0, 0, 128, 0, {{128}}}},
			{PDU_FES_HEADER_FIELD, 0}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct pdu_ic_response pdu = rows[i].pdu;
		struct host_peer peer;

		host_peer_open(&peer, (struct tcp_host_queue_options){.is_admin = true}, NULL);
		if (pdu.common.hlen == 0)
			pdu_set_common(&pdu.common, PDU_IC_RESPONSE, sizeof(pdu), 0, sizeof(pdu));
		host_peer_send(&peer, &pdu, sizeof(pdu));
		host_peer_run_until_failed(&peer);
		assert_int_equal(peer.ready_calls, 0);
		assert_int_equal(peer.error, -EPROTO);
		if (strstr(peer.reason, rows[i].reason) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", peer.reason, rows[i].reason);
		expect_terminate(&peer, rows[i].fault);
		host_peer_end(&peer);
	}
}

static void test_host_queue_answers_nothing_when_c2htermreq_comes(void **state)
{
	for (unsigned is_ready = 0; is_ready < 2; is_ready++) {
		uint8_t pdu[PDU_TERMINATE_BYTES_MAX];
		size_t bytes =
			pdu_make_terminate(true, (struct pdu_fault){PDU_FES_LIMIT_EXCEEDED, 77},
				(uint8_t[]){4, 0, 72}, 3, pdu);
		struct host_peer_command command;
		struct host_peer peer;

		(void)state;
		host_peer_open(&peer, (struct tcp_host_queue_options){.is_admin = true}, NULL);
		host_peer_command(&peer, &command, TCP_HOST_NO_DATA, NULL, 0);
		if (is_ready == 1) {
			host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
			host_peer_submit(&peer, &command);
		} else {
			(void)host_peer_take(&peer, sizeof(struct pdu_ic_request));
		}
		host_peer_send(&peer, pdu, bytes);
		loop_run_idle(peer.loop);
		assert_int_equal(peer.failed_calls, 0);
		stream_finish(peer.controller.stream);
		loop_run_idle(peer.loop);
		assert_int_equal(peer.failed_calls, 1);
		assert_int_equal(peer.error, -EPROTO);
		assert_non_null(strstr(peer.reason, "FES 5, FEI 77"));
		assert_int_equal(command.done_calls, is_ready);
		assert_int_equal(peer.controller.received_bytes, peer.taken_bytes);
		host_peer_end(&peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_host_queue_fails_with_a_sentence_when_the_controller_breaks_a_rule),
		cmocka_unit_test(
			test_host_queue_fails_when_a_second_r2t_comes_before_the_first_is_answered),
		cmocka_unit_test(test_host_queue_fails_when_icresp_is_wrong),
		cmocka_unit_test(test_host_queue_answers_nothing_when_c2htermreq_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
