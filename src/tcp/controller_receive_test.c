#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/tcp/controller_peer.h"

static void send_command(struct controller_peer *peer, uint8_t opcode, uint16_t cid, uint32_t bytes)
{
	struct nvme_command command = controller_peer_command(opcode, cid, bytes);

	controller_peer_send_command(peer, &command, false);
}

static void test_controller_receive_refuses_any_pdu_when_ic_req_has_not_come(void **state)
{
	struct nvme_command command = controller_peer_command(0, 1, 0);
	struct pdu_data data = controller_peer_data(1, 0, 0, 4, true);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct controller_peer peer;

		controller_peer_open(&peer, NULL, NULL);
		if (i == 0)
			controller_peer_send_command(&peer, &command, false);
		else
			controller_peer_send_data(&peer, &data);
		controller_peer_expect(&peer, "ended\nclosed: PDU sequence error (FES 2, FEI 0h)\n",
			i == 0 ? "TermReq FES 2 FEI 0 of 04 00 48 00 48 00 00 00"
				 " 00 40 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
				 " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 5a"
				 " 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
				 " 00 00 00 00\n"
			       : "TermReq FES 2 FEI 0 of 06 04 18 18 1c 00 00 00"
				 " 01 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00\n");
		controller_peer_end(&peer);
	}
}

static void test_controller_receive_refuses_ic_req_when_it_came_before(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	pdu_maker_add_ic_request(&peer.maker, 0);
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send(&peer, 0);
	controller_peer_expect(&peer, "ended\nclosed: PDU sequence error (FES 2, FEI 0h)\n", NULL);
	assert_int_equal(peer.host.received_bytes, 128 + 152);
	assert_int_equal(peer.host.received[128 + 8], PDU_FES_SEQUENCE);
	controller_peer_end(&peer);
}

static void test_controller_receive_quotes_eight_bytes_when_a_common_header_is_wrong(void **state)
{
	static const uint8_t bytes[] = {PDU_R2T, 0, 24, 0, 24, 0, 0, 0};
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, false);
	memcpy(peer.maker.bytes, bytes, sizeof(bytes));
	peer.maker.used = sizeof(bytes);
	controller_peer_send(&peer, 0);
	controller_peer_expect(&peer, "ended\nclosed: invalid PDU header field (FES 1, FEI 0h)\n",
		"TermReq FES 1 FEI 0 of 09 00 18 00 18 00 00 00\n");
	assert_int_equal(peer.host.closed_calls, 1);
	assert_int_equal(peer.host.error, 0);
	controller_peer_end(&peer);
}

/* Command 1 has an R2T of 8192 bytes with TTAG 0; command 2 was executed with TTAG 3; 3 reads. */
struct data_row {
	const char *name;
	uint16_t cid, ttag;
	uint32_t offset, bytes;
	bool is_last;
	enum pdu_fes fes;
	uint32_t fei;
};

static const struct data_row data_rows[] = {
	{"no such TTAG", 1, 4, 0, 4, false, PDU_FES_HEADER_FIELD, 10},
	{"largest TTAG", 1, 0xffff, 0, 4, false, PDU_FES_HEADER_FIELD, 10},
	{"TTAG of nothing", 1, 2, 0, 4, false, PDU_FES_HEADER_FIELD, 10},
	{"TTAG of what has all its data", 2, 3, 0, 4, true, PDU_FES_HEADER_FIELD, 10},
	{"another's CCCID", 2, 0, 0, 4, false, PDU_FES_HEADER_FIELD, 8},
	{"a gap", 1, 0, 4, 4, false, PDU_FES_HEADER_FIELD, 12},
	{"offset past the end", 1, 0, UINT32_MAX, 4, false, PDU_FES_OUT_OF_RANGE, 0},
	{"offset at the end", 1, 0, 8192, 4, false, PDU_FES_OUT_OF_RANGE, 0},
	{"too much", 1, 0, 0, 8196, true, PDU_FES_OUT_OF_RANGE, 0},
	{"more than MAXH2CDATA", 1, 0, 0, 262148, true, PDU_FES_LIMIT_EXCEEDED, 0},
	{"LAST_PDU too soon", 1, 0, 0, 4096, true, PDU_FES_HEADER_FIELD, 1},
	{"LAST_PDU missing", 1, 0, 0, 8192, false, PDU_FES_HEADER_FIELD, 1},
};

static void test_controller_receive_refuses_data_when_no_r2t_asks_for_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(data_rows); i++) {
		const struct data_row *row = &data_rows[i];
		struct pdu_data data = controller_peer_data(row->cid, row->ttag, row->offset,
			row->bytes, row->is_last);
		struct pdu_data other = controller_peer_data(2, 3, 0, 512, true);
		const uint8_t *heard;
		struct controller_peer peer;

		controller_peer_open(&peer, NULL, NULL);
		controller_peer_connect(&peer, 4, false);
		send_command(&peer, 1, 1, 8192);
		send_command(&peer, 1, 2, 512);
		peer.is_holding = true;
		controller_peer_send_data(&peer, &other);
		controller_peer_expect(&peer, NULL, "R2T 1 ttag 0 0+8192\nR2T 2 ttag 3 0+512\n");
		heard = peer.host.received + peer.host.received_bytes;
		controller_peer_send_data(&peer, &data);
		if (heard[8] != row->fes || le32_load(heard + 10) != row->fei)
			fail_msg("%s: FES %u FEI %u", row->name, heard[8], le32_load(heard + 10));
		/* What is above comes back before it closes. */
		controller_peer_expect(&peer, "abandon 1\nended\n", NULL);
		controller_peer_complete(&peer, 2);
		assert_null(peer.queue);
		controller_peer_end(&peer);
	}
}

static void test_controller_receive_answers_nothing_when_a_term_req_comes(void **state)
{
	struct pdu_terminate terminate = {.common.type = PDU_H2C_TERMINATE, .fes = le16_of(1)};
	static const uint8_t quoted[72] = {PDU_R2T};
	struct controller_peer peer;

	(void)state;
	/* Before ICReq, as the first PDU, later, and with a length that is wrong. */
	for (unsigned i = 0; i < 4; i++) {
		controller_peer_open(&peer, NULL, NULL);
		if (i > 0)
			controller_peer_connect(&peer, 4, false);
		controller_peer_expect(&peer, NULL, NULL);
		pdu_maker_add(&peer.maker, &terminate, quoted, i == 1 ? 0 : sizeof(quoted));
		if (i == 3)
			peer.maker.bytes[4] = 200;
		controller_peer_send(&peer, 0);
		controller_peer_expect(&peer,
			i == 3 ? "ended\nclosed: invalid PDU header field (FES 1, FEI 4h)\n"
			       : "ended\nclosed: the host ended the connection with a TermReq: "
				 "invalid PDU header field (FES 1, FEI 0h)\n",
			"");
		controller_peer_end(&peer);
	}
}

static void test_controller_receive_drops_what_follows_when_it_has_sent_a_term_req(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 4096);
	controller_peer_expect(&peer, NULL, NULL);
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send(&peer, 0);
	send_command(&peer, 0, 2, 0);
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send(&peer, 0);
	/* No completion follows a TermReq. */
	controller_peer_complete(&peer, 1);
	controller_peer_expect(&peer, "ended\nclosed: PDU sequence error (FES 2, FEI 0h)\n", NULL);
	assert_int_equal(peer.host.received_bytes, 128 + 24 + 152);
	controller_peer_end(&peer);
}

/* A conversation of some of everything, sent as fast as the stream takes it. */
static void converse(struct controller_peer *peer)
{
	struct nvme_command connect = controller_peer_command(0x7f, 0, 1024);
	static const struct {
		uint8_t opcode;
		bool is_in_capsule;
		uint32_t bytes;
	} rows[] = {{1, true, 4096}, {1, false, 3000}, {2, false, 5000}, {6, false, 7000},
		{1, false, 512}, {0, false, 0}, {1, true, 8192}};
	struct nvme_command command;
	struct pdu_data data;

	pdu_maker_add_ic_request(&peer->maker, 2);
	connect.cdw10 = le32_of(8);
	controller_peer_add_command(peer, &connect, true);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		command = controller_peer_command(rows[i].opcode, (uint16_t)i, rows[i].bytes);
		controller_peer_add_command(peer, &command, rows[i].is_in_capsule);
	}
	/* Sent before its R2T is here: which slot a command gets is known. */
	data = controller_peer_data(1, 0, 0, 1000, false);
	controller_peer_add_data(peer, &data);
	data = controller_peer_data(1, 0, 1000, 2000, true);
	controller_peer_add_data(peer, &data);
	stream_lend(peer->host.stream, peer->maker.bytes, peer->maker.used, NULL);
}

/* @return whether the conversation was over before @turns turns. */
static bool converse_and_break(unsigned turns, bool is_holding, bool is_reset)
{
	struct memory_stream_faults faults = {.delivery_max_bytes = 700, .window_bytes = 2000};
	struct controller_peer peer;
	bool is_over;

	controller_peer_open(&peer, NULL, &faults);
	peer.is_holding = is_holding;
	peer.is_quiet = true;
	converse(&peer);
	for (unsigned i = 0; i < turns; i++) {
		assert_int_equal(loop_turn(peer.loop, 0), 0);
		controller_peer_complete_all(&peer);
	}
	/* All but the write whose data is never sent; held requests change who has which slot. */
	is_over = peer.queue == NULL || peer.gone_count == 7;
	if (is_reset)
		memory_stream_reset(peer.host.stream);
	else if (peer.queue != NULL)
		tcp_controller_queue_end(peer.queue, "shut down");
	controller_peer_end(&peer);
	return is_over;
}

static void test_controller_receive_gives_all_back_when_it_is_broken_off_at_any_time(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 4; mode++) {
		unsigned turns = 0;

		while (!converse_and_break(turns, mode % 2 == 1, mode / 2 == 1))
			assert_true(++turns < 1000);
		assert_true(turns > 5);
	}
}

/* The first of the two goes on as if nothing had happened; the id is free when it is answered. */
static void test_controller_receive_refuses_a_command_when_its_id_is_in_flight(void **state)
{
	struct nvme_command again = controller_peer_command(1, 1, 512);
	struct pdu_data data = controller_peer_data(1, 0, 0, 512, true);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 8, false);
	send_command(&peer, 1, 1, 512);
	controller_peer_expect(&peer, "begin 1\n", "R2T 1 ttag 0 0+512\n");
	controller_peer_send_command(&peer, &again, true);
	send_command(&peer, 0, 1, 0);
	send_command(&peer, 0, 0x8001, 0);
	controller_peer_expect(&peer, "begin 32769\nexecute 32769\n",
		"done 1 status 3 sqhd 3 result 0\ndone 1 status 3 sqhd 4 result 0\n"
		"done 32769 status 0 sqhd 5 result 0\n");
	controller_peer_send_data(&peer, &data);
	controller_peer_expect(&peer, "execute 1\n", "done 1 status 0 sqhd 5 result 0\n");
	/* By reads, refused commands and completions the id becomes free. */
	for (unsigned i = 0; i < 3; i++)
		send_command(&peer, i == 0 ? 2 : i == 1 ? 0xff : 0, 1, 512);
	controller_peer_expect(&peer, "begin 1\nexecute 1\nbegin 1\nbegin 1\nexecute 1\n",
		"data 1 0+512 at 24 last\ndone 1 status 0 sqhd 6 result 0\n"
		"done 1 status 2 sqhd 7 result 0\ndone 1 status 0 sqhd 0 result 0\n");
	controller_peer_end(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_receive_refuses_any_pdu_when_ic_req_has_not_come),
		cmocka_unit_test(test_controller_receive_refuses_ic_req_when_it_came_before),
		cmocka_unit_test(
			test_controller_receive_quotes_eight_bytes_when_a_common_header_is_wrong),
		cmocka_unit_test(test_controller_receive_refuses_data_when_no_r2t_asks_for_it),
		cmocka_unit_test(test_controller_receive_answers_nothing_when_a_term_req_comes),
		cmocka_unit_test(
			test_controller_receive_drops_what_follows_when_it_has_sent_a_term_req),
		cmocka_unit_test(
			test_controller_receive_gives_all_back_when_it_is_broken_off_at_any_time),
		cmocka_unit_test(
			test_controller_receive_refuses_a_command_when_its_id_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
