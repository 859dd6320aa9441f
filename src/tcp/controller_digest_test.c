#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/tcp/controller_peer.h"

/* A connected queue whose host uses the digests. */
static void open_with_digests(struct controller_peer *peer, bool has_header_digest,
	bool has_data_digest)
{
	controller_peer_open(peer, NULL, NULL);
	peer->maker.has_header_digest = has_header_digest;
	peer->maker.has_data_digest = has_data_digest;
	controller_peer_connect(peer, 8, false);
}

static void send_command(struct controller_peer *peer, uint8_t opcode, uint16_t cid, uint32_t bytes,
	bool is_in_capsule)
{
	struct nvme_command command = controller_peer_command(opcode, cid, bytes);

	controller_peer_send_command(peer, &command, is_in_capsule);
}

struct policy_row {
	enum tcp_digest_policy header, data;
	bool is_header_asked, is_data_asked;
	const char *above, *wire;
};

#define DIGESTS(n) "ICResp cpda 0 digests " #n " data 262144\n"

static const struct policy_row policy_rows[] = {
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_AS_ASKED, false, false, "", DIGESTS(0)},
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_AS_ASKED, true, false, "", DIGESTS(1)},
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_AS_ASKED, false, true, "", DIGESTS(2)},
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_AS_ASKED, true, true, "", DIGESTS(3)},
	{TCP_DIGEST_REFUSE, TCP_DIGEST_AS_ASKED, true, true, "", DIGESTS(2)},
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_REFUSE, true, true, "", DIGESTS(1)},
	{TCP_DIGEST_REQUIRE, TCP_DIGEST_REQUIRE, true, true, "", DIGESTS(3)},
	{TCP_DIGEST_REQUIRE, TCP_DIGEST_AS_ASKED, false, true,
		"ended\nclosed: the host does not ask for header digests, which are required\n",
		NULL},
	{TCP_DIGEST_AS_ASKED, TCP_DIGEST_REQUIRE, true, false,
		"ended\nclosed: the host does not ask for data digests, which are required\n",
		NULL},
};

static void test_controller_digest_is_used_when_host_and_policy_want_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(policy_rows); i++) {
		const struct policy_row *row = &policy_rows[i];
		struct tcp_controller_options options = controller_peer_options();
		struct controller_peer peer;

		options.header_digest = row->header;
		options.data_digest = row->data;
		controller_peer_open(&peer, &options, NULL);
		peer.maker.has_header_digest = row->is_header_asked;
		peer.maker.has_data_digest = row->is_data_asked;
		pdu_maker_add_ic_request(&peer.maker, 0);
		controller_peer_send(&peer, 0);
		controller_peer_expect(&peer, row->above, row->wire);
		if (row->wire == NULL) {
			assert_int_equal(peer.host.received[0], PDU_C2H_TERMINATE);
			assert_int_equal(peer.host.received[8], PDU_FES_UNSUPPORTED);
			assert_int_equal(le32_load(peer.host.received + 10),
				offsetof(struct pdu_ic_request, dgst));
		}
		controller_peer_end(&peer);
	}
}

/* PDO of C2HData by HPDA, without and with a header digest. */
static void test_controller_digest_moves_data_when_hosts_differ(void **state)
{
	static const struct {
		uint8_t hpda;
		bool has_header_digest, has_data_digest;
		const char *wire;
	} rows[] = {
		{0, false, true, "data 1 0+5000 at 24 last\n"},
		{0, true, false, "data 1 0+5000 at 28 last\n"},
		{0, true, true, "data 1 0+5000 at 28 last\n"},
		{5, true, true, "data 1 0+5000 at 48 last\n"},
		{6, true, true, "data 1 0+5000 at 28 last\n"},
		{31, true, true, "data 1 0+5000 at 128 last\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		for (uint8_t opcode = 2; opcode <= 6; opcode = (uint8_t)(opcode + 4)) {
			struct controller_peer peer;
			char wire[128];

			controller_peer_open(&peer, NULL, NULL);
			peer.maker.has_header_digest = rows[i].has_header_digest;
			peer.maker.has_data_digest = rows[i].has_data_digest;
			pdu_maker_add_ic_request(&peer.maker, rows[i].hpda);
			controller_peer_send(&peer, 0);
			controller_peer_expect(&peer, NULL, NULL);
			peer.connected = 8;
			send_command(&peer, 0x7f, 0, 1024, true);
			controller_peer_expect(&peer, NULL, "done 0 status 0 sqhd 1 result 0\n");
			send_command(&peer, opcode, 1, 5000, false);
			(void)snprintf(wire, sizeof(wire), "%s%s", rows[i].wire,
				"done 1 status 0 sqhd 2 result 0\n");
			controller_peer_expect(&peer, NULL, wire);
			controller_peer_end(&peer);
		}
	}
}

static void test_controller_digest_matches_the_data_when_lent_memory_changes(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_with_digests(&peer, true, true);
	peer.is_scribbling = true;
	send_command(&peer, 6, 1, 65536, false);
	controller_peer_expect(&peer, "begin 1\nexecute 1\n",
		"data 1 0+65536 at 28 last\ndone 1 status 0 sqhd 2 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_digest_waits_for_a_buffer_when_memory_is_lent(void **state)
{
	struct controller_peer peer;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		open_with_digests(&peer, false, true);
		controller_peer_take_pool(&peer);
		send_command(&peer, 6, 1, 4096, false);
		controller_peer_expect(&peer, "begin 1\n", "");
		if (i == 0) {
			controller_peer_give_pool(&peer);
			controller_peer_expect(&peer, "execute 1\n",
				"data 1 0+4096 at 24 last\ndone 1 status 0 sqhd 2 result 0\n");
		} else {
			tcp_controller_queue_end(peer.queue, "shut down");
			controller_peer_expect(&peer, "abandon 1\nended\n", "");
		}
		controller_peer_end(&peer);
	}
}

static void test_controller_digest_is_checked_when_a_write_comes(void **state)
{
	struct pdu_data first = controller_peer_data(2, 0, 0, 6000, false);
	struct pdu_data last = controller_peer_data(2, 0, 6000, 2192, true);
	struct controller_peer peer;

	(void)state;
	open_with_digests(&peer, true, true);
	send_command(&peer, 1, 1, 4096, true);
	controller_peer_expect(&peer, "begin 1\nexecute 1\n", "done 1 status 0 sqhd 2 result 0\n");
	send_command(&peer, 1, 2, 8192, false);
	controller_peer_expect(&peer, "begin 2\n", "R2T 2 ttag 0 0+8192\n");
	controller_peer_send_data(&peer, &first);
	controller_peer_send_data(&peer, &last);
	controller_peer_expect(&peer, "execute 2\n", "done 2 status 0 sqhd 3 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_digest_fails_one_command_when_its_capsule_is_damaged(void **state)
{
	struct nvme_command damaged = controller_peer_command(1, 1, 4096);
	struct controller_peer peer;

	(void)state;
	open_with_digests(&peer, true, true);
	controller_peer_add_command(&peer, &damaged, true);
	controller_peer_damage(&peer);
	controller_peer_send(&peer, 0);
	controller_peer_expect(&peer, "begin 1\nabandon 1\n", "done 1 status 22 sqhd 2 result 0\n");
	send_command(&peer, 1, 1, 4096, true);
	controller_peer_expect(&peer, "begin 1\nexecute 1\n", "done 1 status 0 sqhd 3 result 0\n");
	controller_peer_end(&peer);
}

/* The whole of the R2T is awaited, whichever of its PDUs is damaged. */
static void test_controller_digest_fails_one_command_when_h2c_data_is_damaged(void **state)
{
	(void)state;
	for (uint32_t damaged = 0; damaged < 3; damaged++) {
		struct controller_peer peer;

		open_with_digests(&peer, damaged == 1, true);
		send_command(&peer, 1, 1, 12288, false);
		send_command(&peer, 1, 2, 512, false);
		controller_peer_expect(&peer, "begin 1\nbegin 2\n", NULL);
		for (uint32_t i = 0; i < 3; i++) {
			struct pdu_data data = controller_peer_data(1, 0, i * 4096, 4096, i == 2);

			controller_peer_expect(&peer, "", "");
			controller_peer_add_data(&peer, &data);
			if (i == damaged)
				controller_peer_damage(&peer);
			controller_peer_send(&peer, 0);
		}
		controller_peer_expect(&peer, "abandon 1\n", "done 1 status 22 sqhd 3 result 0\n");
		controller_peer_send_data(&peer,
			&(struct pdu_data){.common = {.type = PDU_H2C_DATA, .flags = PDU_FLAG_LAST},
				.cccid = le16_of(2),
				.ttag = le16_of(7),
				.datal = le32_of(512)});
		controller_peer_expect(&peer, "execute 2\n", "done 2 status 0 sqhd 3 result 0\n");
		controller_peer_end(&peer);
	}
}

static void test_controller_digest_fails_connect_when_its_data_is_damaged(void **state)
{
	struct nvme_command connect = controller_peer_command(0x7f, 0, 1024);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	peer.maker.has_data_digest = true;
	peer.connected = 8;
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_add_command(&peer, &connect, true);
	controller_peer_damage(&peer);
	controller_peer_send(&peer, 0);
	controller_peer_expect(&peer, "begin 0\nabandon 0\n",
		DIGESTS(2) "done 0 status 22 sqhd 1 result 0\n");
	controller_peer_send_command(&peer, &connect, true);
	controller_peer_expect(&peer, "begin 0\nexecute 0\nsize 8: Success\n",
		"done 0 status 0 sqhd 2 result 0\n");
	controller_peer_end(&peer);
}

/* What no request wants is dropped, its digest with it. */
static void test_controller_digest_is_not_looked_at_when_the_command_is_refused(void **state)
{
	struct nvme_command refused = controller_peer_command(0xff, 1, 4096);
	struct controller_peer peer;

	(void)state;
	open_with_digests(&peer, false, true);
	controller_peer_add_command(&peer, &refused, true);
	controller_peer_damage(&peer);
	controller_peer_send(&peer, 0);
	controller_peer_expect(&peer, "begin 1\n", "done 1 status 2 sqhd 2 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_digest_ends_the_connection_when_a_header_is_damaged(void **state)
{
	struct nvme_command damaged = controller_peer_command(0, 1, 0);
	struct controller_peer peer;
	const uint8_t *heard;
	uint32_t digest;

	(void)state;
	open_with_digests(&peer, true, false);
	heard = peer.host.received + peer.host.received_bytes;
	controller_peer_add_command(&peer, &damaged, false);
	controller_peer_damage(&peer);
	digest = le32_load(peer.maker.bytes + peer.maker.used - 4);
	controller_peer_send(&peer, 0);
	assert_int_equal(heard[0], PDU_C2H_TERMINATE);
	assert_int_equal(heard[8], PDU_FES_HEADER_DIGEST);
	assert_int_equal(le32_load(heard + 10), digest);
	assert_null(peer.queue);
	assert_non_null(strstr(peer.above, "closed: header digest error (FES 3, FEI "));
	controller_peer_end(&peer);
}

static void send_byte_by_byte(struct controller_peer *peer)
{
	while (peer->maker.used > 0)
		controller_peer_send(peer, peer->maker.used - 1);
}

/* Every boundary between what is received at once. */
static void test_controller_digest_is_right_when_bytes_come_one_by_one(void **state)
{
	struct nvme_command in_capsule = controller_peer_command(1, 1, 40);
	struct nvme_command by_r2t = controller_peer_command(1, 2, 60);
	struct pdu_data data = controller_peer_data(2, 0, 0, 60, true);
	struct controller_peer peer;

	(void)state;
	open_with_digests(&peer, true, true);
	controller_peer_add_command(&peer, &in_capsule, true);
	controller_peer_add_command(&peer, &by_r2t, false);
	send_byte_by_byte(&peer);
	controller_peer_expect(&peer, "begin 1\nexecute 1\nbegin 2\n",
		"done 1 status 0 sqhd 2 result 0\nR2T 2 ttag 0 0+60\n");
	controller_peer_add_data(&peer, &data);
	send_byte_by_byte(&peer);
	controller_peer_expect(&peer, "execute 2\n", "done 2 status 0 sqhd 3 result 0\n");
	controller_peer_end(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_digest_is_used_when_host_and_policy_want_it),
		cmocka_unit_test(test_controller_digest_moves_data_when_hosts_differ),
		cmocka_unit_test(test_controller_digest_matches_the_data_when_lent_memory_changes),
		cmocka_unit_test(test_controller_digest_waits_for_a_buffer_when_memory_is_lent),
		cmocka_unit_test(test_controller_digest_is_checked_when_a_write_comes),
		cmocka_unit_test(
			test_controller_digest_fails_one_command_when_its_capsule_is_damaged),
		cmocka_unit_test(test_controller_digest_fails_one_command_when_h2c_data_is_damaged),
		cmocka_unit_test(test_controller_digest_fails_connect_when_its_data_is_damaged),
		cmocka_unit_test(
			test_controller_digest_is_not_looked_at_when_the_command_is_refused),
		cmocka_unit_test(
			test_controller_digest_ends_the_connection_when_a_header_is_damaged),
		cmocka_unit_test(test_controller_digest_is_right_when_bytes_come_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
