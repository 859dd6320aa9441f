#include "tcp/controller_queue.h"

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

static void send_data(struct controller_peer *peer, uint16_t cid, uint16_t ttag, uint32_t bytes)
{
	struct pdu_data data = controller_peer_data(cid, ttag, 0, bytes, true);

	controller_peer_send_data(peer, &data);
}

static void test_controller_queue_runs_one_command_when_it_is_not_sized(void **state)
{
	struct nvme_command connect = controller_peer_command(0x7f, 5, 1024);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	pdu_maker_add_ic_request(&peer.maker, 0);
	/* In the same piece: it has to wait until ICResp has left. */
	connect.cdw10 = le32_of(3);
	controller_peer_send_command(&peer, &connect, false);
	controller_peer_expect(&peer, "begin 5\n",
		"ICResp cpda 0 digests 0 data 262144\nR2T 5 ttag 0 0+1024\n");
	send_data(&peer, 5, 0, 1024);
	controller_peer_expect(&peer, "execute 5\nsize 3: Success\n",
		"done 5 status 0 sqhd 1 result 0\n");
	controller_peer_end(&peer);

	controller_peer_open(&peer, NULL, NULL);
	peer.is_holding = true;
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send_command(&peer, &connect, true);
	send_command(&peer, 0, 6, 0);
	controller_peer_expect(&peer, "begin 5\nexecute 5\nended\n",
		"ICResp cpda 0 digests 0 data 262144\n");
	/* Too late: the connection has ended. */
	controller_peer_complete(&peer, 5);
	controller_peer_expect(&peer,
		"size 3: Transport endpoint is not connected\n"
		"closed: the host sent more commands than its queue holds\n",
		"done 5 status 0 sqhd 1 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_counts_sqhd_by_its_size_when_connects_failed_before(void **state)
{
	struct nvme_command refused = controller_peer_command(0xff, 9, 0);
	struct nvme_command connect = controller_peer_command(0x7f, 5, 1024);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send(&peer, 0);
	for (unsigned i = 0; i < 4; i++)
		controller_peer_send_command(&peer, &refused, false);
	connect.cdw10 = le32_of(3);
	controller_peer_send_command(&peer, &connect, true);
	send_command(&peer, 0, 6, 0);
	send_command(&peer, 0, 7, 0);
	controller_peer_expect(&peer, NULL,
		"ICResp cpda 0 digests 0 data 262144\n"
		"done 9 status 2 sqhd 1 result 0\n"
		"done 9 status 2 sqhd 2 result 0\n"
		"done 9 status 2 sqhd 3 result 0\n"
		"done 9 status 2 sqhd 4 result 0\n"
		"done 5 status 0 sqhd 2 result 0\n"
		"done 6 status 0 sqhd 0 result 0\n"
		"done 7 status 0 sqhd 1 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_takes_data_from_the_capsule_when_it_is_there(void **state)
{
	struct nvme_command write = controller_peer_command(1, 1, 8192);
	struct nvme_command flush = controller_peer_command(0, 2, 100);
	struct nvme_command refused = controller_peer_command(0xff, 3, 16384);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, false);
	controller_peer_send_command(&peer, &write, true);
	/* Data that nobody wants is dropped. */
	controller_peer_send_command(&peer, &flush, true);
	refused.cdw10 = le32_of(17);
	controller_peer_send_command(&peer, &refused, true);
	controller_peer_expect(&peer, "begin 1\nexecute 1\nbegin 2\nexecute 2\nbegin 3\n",
		"done 1 status 0 sqhd 2 result 0\n"
		"done 2 status 0 sqhd 3 result 0\n"
		"done 3 status 2 sqhd 0 result 11\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_asks_for_data_when_it_is_not_in_the_capsule(void **state)
{
	struct pdu_data parts[] = {
		controller_peer_data(1, 0, 0, 1, false),
		controller_peer_data(1, 0, 1, 4095, false),
		controller_peer_data(1, 0, 4096, 4096, true),
	};
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, false);
	send_command(&peer, 1, 1, 8192);
	send_command(&peer, 1, 2, 100);
	controller_peer_expect(&peer, "begin 1\nbegin 2\n",
		"R2T 1 ttag 0 0+8192\nR2T 2 ttag 3 0+100\n");
	controller_peer_send_data(&peer, &parts[0]);
	controller_peer_send_data(&peer, &parts[1]);
	controller_peer_expect(&peer, "", "");
	/* The other's data in between. */
	send_data(&peer, 2, 3, 100);
	controller_peer_send_data(&peer, &parts[2]);
	controller_peer_expect(&peer, "execute 2\nexecute 1\n",
		"done 2 status 0 sqhd 3 result 0\ndone 1 status 0 sqhd 3 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_answers_in_the_order_of_completion_when_it_is_another(
	void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 5, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 512);
	send_command(&peer, 0, 2, 0);
	send_command(&peer, 6, 3, 5000);
	controller_peer_expect(&peer,
		"begin 1\nexecute 1\nbegin 2\nexecute 2\nbegin 3\nexecute 3\n", "");
	controller_peer_complete(&peer, 3);
	controller_peer_complete(&peer, 1);
	controller_peer_complete(&peer, 2);
	controller_peer_expect(&peer, "",
		"data 3 0+5000 at 24 last\ndone 3 status 0 sqhd 4 result 0\n"
		"data 1 0+512 at 24 last\ndone 1 status 0 sqhd 4 result 0\n"
		"done 2 status 0 sqhd 4 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_lets_data_say_success_when_flow_control_is_off(void **state)
{
	struct nvme_command read = controller_peer_command(2, 1, 512);
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, true);
	controller_peer_send_command(&peer, &read, false);
	read.cdw10 = le32_of(1); /* a result needs a completion to carry it */
	controller_peer_send_command(&peer, &read, false);
	read.cdw11 = le32_of(0x281);
	controller_peer_send_command(&peer, &read, false);
	send_command(&peer, 0, 2, 0);
	controller_peer_expect(&peer, NULL,
		"data 1 0+512 at 24 last success\n"
		"data 1 0+512 at 24 last\ndone 1 status 0 sqhd 65535 result 1\n"
		"done 1 status 281 sqhd 65535 result 1\n"
		"done 2 status 0 sqhd 65535 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_pads_data_when_the_host_wants_alignment(void **state)
{
	static const struct {
		uint8_t hpda;
		const char *wire;
	} rows[] = {
		{0, "data 1 0+100 at 24 last\ndone 1 status 0 sqhd 2 result 0\n"},
		{4, "data 1 0+100 at 40 last\ndone 1 status 0 sqhd 2 result 0\n"},
		{5, "data 1 0+100 at 24 last\ndone 1 status 0 sqhd 2 result 0\n"},
		{31, "data 1 0+100 at 128 last\ndone 1 status 0 sqhd 2 result 0\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct nvme_command connect = controller_peer_command(0x7f, 0, 0);
		struct controller_peer peer;

		controller_peer_open(&peer, NULL, NULL);
		pdu_maker_add_ic_request(&peer.maker, rows[i].hpda);
		controller_peer_send(&peer, 0);
		connect.cdw10 = le32_of(4);
		controller_peer_send_command(&peer, &connect, false);
		controller_peer_expect(&peer, NULL, NULL);
		send_command(&peer, 2, 1, 100);
		controller_peer_expect(&peer, NULL, rows[i].wire);
		controller_peer_end(&peer);
	}
}

static void test_controller_queue_begins_nothing_when_the_host_does_not_read(void **state)
{
	struct memory_stream_faults faults = {.window_bytes = 4096};
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, &faults);
	controller_peer_connect(&peer, 4, false);
	stream_pause(peer.host.stream);
	/* Data that is waiting to leave does not stop other commands... */
	send_command(&peer, 2, 1, 8192);
	send_command(&peer, 2, 2, 8192);
	send_command(&peer, 0, 3, 0);
	controller_peer_expect(&peer,
		"begin 1\nexecute 1\nbegin 2\nexecute 2\nbegin 3\nexecute 3\n", "");
	/* ...but their completions fill the output. */
	peer.is_quiet = true;
	for (uint16_t i = 0; i < 100; i++)
		send_command(&peer, 0, i, 0);
	assert_true(peer.begun_count > 4 && peer.begun_count < 4 + 40);
	stream_resume(peer.host.stream);
	controller_peer_run(&peer);
	for (unsigned i = 0; i < 40; i++)
		controller_peer_run(&peer);
	assert_int_equal(peer.begun_count, 104);
	controller_peer_end(&peer);
}

static void test_controller_queue_closes_when_more_commands_come_than_it_holds(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 2, false);
	peer.is_holding = true;
	send_command(&peer, 0, 1, 0);
	send_command(&peer, 0, 2, 0);
	controller_peer_expect(&peer, "begin 1\nexecute 1\nbegin 2\nexecute 2\n", "");
	send_command(&peer, 0, 3, 0);
	controller_peer_complete_all(&peer);
	controller_peer_expect(&peer,
		"ended\nclosed: the host sent more commands than its queue holds\n",
		"done 1 status 0 sqhd 1 result 0\ndone 2 status 0 sqhd 1 result 0\n");
	controller_peer_end(&peer);
}

static void expect_found(struct controller_peer *peer, uint16_t cid, bool is_found)
{
	struct request *request = tcp_controller_queue_find(peer->queue, cid);

	assert_int_equal(request != NULL, is_found);
	if (is_found)
		assert_int_equal(le16_get(request->command.cid), cid);
}

static void test_controller_queue_finds_a_request_when_it_is_above_or_awaits_its_data(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 8, false);
	peer.is_holding = true;
	expect_found(&peer, 0, false); /* Connect, which is done */
	send_command(&peer, 0, 1, 0);
	send_command(&peer, 1, 2, 8192);
	send_command(&peer, 2, 0xffff, 4096);
	send_command(&peer, 0xff, 4, 0);
	for (uint16_t cid = 5; cid < 8; cid++)
		send_command(&peer, 1, cid, 1u << 20);
	expect_found(&peer, 1, true);
	expect_found(&peer, 2, true);
	expect_found(&peer, 0xffff, true);
	expect_found(&peer, 4, false); /* refused */
	for (uint16_t cid = 5; cid < 8; cid++)
		expect_found(&peer, cid, true); /* the last waits for a buffer */
	expect_found(&peer, 8, false);

	/* What is completed is not found, though its data has not all left. */
	stream_pause(peer.host.stream);
	controller_peer_complete(&peer, 0xffff);
	expect_found(&peer, 0xffff, false);
	controller_peer_complete(&peer, 1);
	expect_found(&peer, 1, false);
	tcp_controller_queue_end(peer.queue, "shut down");
	expect_found(&peer, 2, false); /* abandoned */
	stream_resume(peer.host.stream);
	controller_peer_end(&peer);
}

/* As far apart as any two CIDs that share what they are found by. */
static void test_controller_queue_tells_commands_apart_when_their_cids_are_alike(void **state)
{
	static const uint16_t order[] = {0x3001, 0x0001, 0xf001, 0x1001};
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 8, false);
	peer.is_holding = true;
	peer.is_quiet = true;
	/* Twice, so that slots are used again. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ARRAY_LENGTH(order); i++)
			send_command(&peer, 0, order[i], 0);
		for (unsigned done = 0; done < ARRAY_LENGTH(order); done++) {
			for (unsigned i = 0; i < ARRAY_LENGTH(order); i++)
				expect_found(&peer, order[i], i >= done);
			expect_found(&peer, 0x2001, false);
			controller_peer_complete(&peer, order[done]);
		}
	}
	controller_peer_end(&peer);
}

static void test_controller_queue_sends_what_is_completed_when_it_is_ended(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 8, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 8192);
	send_command(&peer, 1, 2, 8192);
	send_command(&peer, 0, 3, 0);
	controller_peer_expect(&peer, NULL, "R2T 2 ttag 7 0+8192\n");
	tcp_controller_queue_end(peer.queue, "shut down");
	tcp_controller_queue_end(peer.queue, "again");
	/* Nothing is received any more. */
	send_data(&peer, 2, 7, 8192);
	send_command(&peer, 0, 4, 0);
	controller_peer_expect(&peer, "abandon 2\nended\n", "");
	controller_peer_complete(&peer, 3);
	assert_int_equal(peer.host.closed_calls, 0);
	controller_peer_complete(&peer, 1);
	assert_int_equal(peer.host.closed_calls, 1);
	assert_int_equal(peer.host.error, 0);
	controller_peer_expect(&peer, "closed: shut down\n",
		"done 3 status 0 sqhd 4 result 0\n"
		"data 1 0+8192 at 24 last\ndone 1 status 0 sqhd 4 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_queue_withdraws_a_request_when_its_begin_or_execute_ends_it(
	void **state)
{
	struct controller_peer peer;

	(void)state;
	for (uint8_t opcode = 0; opcode < 3; opcode++) {
		controller_peer_open(&peer, NULL, NULL);
		controller_peer_connect(&peer, 4, false);
		peer.is_ending = true;
		send_command(&peer, opcode, 1, 512);
		controller_peer_expect(&peer, "begin 1\nended\nabandon 1\nclosed: asked in begin\n",
			"");
		controller_peer_end(&peer);
	}
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 4, false);
	send_command(&peer, 1, 1, 512);
	peer.is_ending = true;
	controller_peer_expect(&peer, NULL, NULL);
	send_data(&peer, 1, 0, 512);
	controller_peer_expect(&peer, "execute 1\nended\nclosed: asked in execute\n",
		"done 1 status 0 sqhd 2 result 0\n");
	controller_peer_end(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_queue_runs_one_command_when_it_is_not_sized),
		cmocka_unit_test(
			test_controller_queue_counts_sqhd_by_its_size_when_connects_failed_before),
		cmocka_unit_test(
			test_controller_queue_takes_data_from_the_capsule_when_it_is_there),
		cmocka_unit_test(test_controller_queue_asks_for_data_when_it_is_not_in_the_capsule),
		cmocka_unit_test(
			test_controller_queue_answers_in_the_order_of_completion_when_it_is_another),
		cmocka_unit_test(
			test_controller_queue_lets_data_say_success_when_flow_control_is_off),
		cmocka_unit_test(test_controller_queue_pads_data_when_the_host_wants_alignment),
		cmocka_unit_test(test_controller_queue_begins_nothing_when_the_host_does_not_read),
		cmocka_unit_test(
			test_controller_queue_closes_when_more_commands_come_than_it_holds),
		cmocka_unit_test(
			test_controller_queue_finds_a_request_when_it_is_above_or_awaits_its_data),
		cmocka_unit_test(
			test_controller_queue_tells_commands_apart_when_their_cids_are_alike),
		cmocka_unit_test(test_controller_queue_sends_what_is_completed_when_it_is_ended),
		cmocka_unit_test(
			test_controller_queue_withdraws_a_request_when_its_begin_or_execute_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
