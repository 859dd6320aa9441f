#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/tcp/controller_peer.h"

/* All different, and none a default. */
static struct tcp_controller_options options_of_test(void)
{
	struct tcp_controller_options options = controller_peer_options();

	options.deadlines = (struct tcp_deadlines){
		.initialize_ms = 1000,
		.connect_ms = 5000,
		.capsule_ms = 3000,
		.data_ms = 4000,
		.send_ms = 2500,
		.drain_ms = 600,
		.linger_ms = 50,
		.terminate_ms = 700,
	};
	return options;
}

static void open_peer(struct controller_peer *peer)
{
	struct tcp_controller_options options = options_of_test();
	struct memory_stream_faults faults = {.window_bytes = 16384};

	controller_peer_open(peer, &options, &faults);
}

static void send_command(struct controller_peer *peer, uint8_t opcode, uint16_t cid, uint32_t bytes)
{
	struct nvme_command command = controller_peer_command(opcode, cid, bytes);

	controller_peer_send_command(peer, &command, false);
}

/* The queue is alive up to the deadline and gone after it. */
static void expect_end_after(struct controller_peer *peer, uint64_t ms, const char *above)
{
	controller_peer_expect(peer, NULL, NULL);
	controller_peer_pass(peer, ms - 1);
	assert_non_null(peer->queue);
	controller_peer_pass(peer, 1);
	controller_peer_expect(peer, above, NULL);
	assert_null(peer->queue);
	controller_peer_end(peer);
}

static void test_controller_deadline_passes_when_ic_req_does_not_come(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	expect_end_after(&peer, 1000, "ended\nclosed: no ICReq within the deadline\n");

	/* A part of it is not enough. */
	open_peer(&peer);
	pdu_maker_add_ic_request(&peer.maker, 0);
	controller_peer_send(&peer, 1);
	expect_end_after(&peer, 1000, "ended\nclosed: no ICReq within the deadline\n");
}

static void test_controller_deadline_passes_when_connect_does_not_succeed(void **state)
{
	struct tcp_controller_options options = options_of_test();
	struct controller_peer peer;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		/* Later or sooner than that of ICReq would have been. */
		options.deadlines.connect_ms = i == 0 ? 5000 : 500;
		controller_peer_open(&peer, &options, NULL);
		pdu_maker_add_ic_request(&peer.maker, 0);
		controller_peer_send(&peer, 0);
		/* Only success counts. */
		send_command(&peer, 0xff, 1, 0);
		expect_end_after(&peer, options.deadlines.connect_ms,
			"ended\nclosed: no Connect within the deadline\n");
	}
}

static void test_controller_deadline_does_not_exist_when_a_running_queue_is_idle(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 1, 1, 4096);
	controller_peer_send_data(&peer,
		&(struct pdu_data){.common = {.type = PDU_H2C_DATA, .flags = PDU_FLAG_LAST},
			.cccid = le16_of(1),
			.datal = le32_of(4096)});
	send_command(&peer, 0, 2, 0);
	controller_peer_pass(&peer, 100000);
	controller_peer_complete_all(&peer);
	controller_peer_pass(&peer, 100000);
	assert_non_null(peer.queue);
	/* No timer is left that would wake an idle machine. */
	assert_int_equal(loop_prepare_poll(peer.loop), -1);
	controller_peer_end(&peer);
}

static void test_controller_deadline_passes_when_a_pdu_stays_incomplete(void **state)
{
	static const size_t lefts[] = {79, 72 + 511, 512, 1};
	struct nvme_command write = controller_peer_command(1, 1, 512);
	uint8_t data[512];
	struct controller_peer peer;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(7 * i + 1);
	for (size_t i = 0; i < ARRAY_LENGTH(lefts); i++) {
		open_peer(&peer);
		controller_peer_connect(&peer, 4, false);
		controller_peer_pass(&peer, 10000);
		pdu_maker_add_command(&peer.maker, &write, data, sizeof(data));
		controller_peer_send(&peer, lefts[i]);
		/* Some more of it gains no time. */
		controller_peer_pass(&peer, 1000);
		if (lefts[i] > 1)
			controller_peer_send(&peer, lefts[i] - 1);
		expect_end_after(&peer, 2000,
			lefts[i] > sizeof(data)
				? "ended\nclosed: a PDU stayed incomplete\n"
				: "abandon 1\nended\nclosed: a PDU stayed incomplete\n");
	}
}

static void test_controller_deadline_is_each_pdus_own_when_they_follow_without_a_gap(void **state)
{
	struct nvme_command command = controller_peer_command(0, 1, 0);
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	/* Whenever something comes, it ends within a PDU. */
	for (unsigned i = 0; i < 20; i++) {
		pdu_maker_add_command(&peer.maker, &command, NULL, 0);
		controller_peer_send(&peer, 30);
		controller_peer_pass(&peer, 1000);
		assert_non_null(peer.queue);
	}
	expect_end_after(&peer, 2000, "ended\nclosed: a PDU stayed incomplete\n");
}

static void test_controller_deadline_passes_when_a_capsule_that_was_held_stays_incomplete(
	void **state)
{
	struct nvme_command write = controller_peer_command(1, 1, 512);
	struct nvme_command other = controller_peer_command(1, 2, 512);
	const uint8_t data[512] = {1};
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	controller_peer_take_pool(&peer);
	peer.is_holding = true;
	controller_peer_send_command(&peer, &other, true); /* takes the queue's own buffer */
	pdu_maker_add_command(&peer.maker, &write, data, sizeof(data));
	controller_peer_send(&peer, sizeof(data));
	/* It is not the host that keeps us waiting. */
	controller_peer_pass(&peer, 100000);
	assert_non_null(peer.queue);
	controller_peer_complete(&peer, 2);
	expect_end_after(&peer, 3000, "abandon 1\nended\nclosed: a PDU stayed incomplete\n");
}

static void test_controller_deadline_passes_when_the_data_of_an_r2t_does_not_come(void **state)
{
	struct pdu_data first = controller_peer_data(1, 0, 0, 512, true);
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	controller_peer_pass(&peer, 100000);
	peer.is_holding = true;
	send_command(&peer, 1, 1, 512);
	controller_peer_pass(&peer, 1500);
	send_command(&peer, 1, 2, 512);
	controller_peer_pass(&peer, 1500);
	/* The first has its data: it may take as long as it likes to be executed. */
	controller_peer_send_data(&peer, &first);
	controller_peer_expect(&peer, NULL, NULL);
	controller_peer_pass(&peer, 2499);
	assert_non_null(peer.queue);
	controller_peer_pass(&peer, 1);
	controller_peer_expect(&peer, "abandon 2\nended\n", NULL);
	controller_peer_complete(&peer, 1);
	controller_peer_expect(&peer, "closed: the data of an R2T never came\n", NULL);
	controller_peer_end(&peer);
}

/* Let the host read what is on its way, at most a window. */
static void read_a_window(struct controller_peer *peer)
{
	stream_resume(peer->host.stream);
	assert_int_equal(loop_turn(peer->loop, 0), 0);
	assert_int_equal(loop_turn(peer->loop, 0), 0);
	stream_pause(peer->host.stream);
	controller_peer_run(peer);
}

static void test_controller_deadline_passes_when_the_host_does_not_read(void **state)
{
	struct controller_peer peer;
	size_t unsent_bytes;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 3 * OUTPUT_PROGRESS_BYTES);
	/* It ends long after any deadline was looked at last. */
	controller_peer_pass(&peer, 100000);
	stream_pause(peer.host.stream);
	controller_peer_complete(&peer, 1);
	controller_peer_pass(&peer, 2000);
	unsent_bytes = stream_unsent_bytes(peer.controller_stream);
	while (stream_unsent_bytes(peer.controller_stream) > unsent_bytes - OUTPUT_PROGRESS_BYTES)
		read_a_window(&peer);
	/* Progress was made. */
	expect_end_after(&peer, 2500, "ended\nclosed: the host does not read\n");
}

static void test_controller_deadline_passes_when_the_host_reads_a_little_now_and_then(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 3 * OUTPUT_PROGRESS_BYTES);
	stream_pause(peer.host.stream);
	controller_peer_complete(&peer, 1);
	for (unsigned i = 0; i < 2; i++) {
		size_t unsent_bytes = stream_unsent_bytes(peer.controller_stream);

		controller_peer_pass(&peer, 1000);
		read_a_window(&peer);
		assert_true(stream_unsent_bytes(peer.controller_stream) < unsent_bytes);
	}
	expect_end_after(&peer, 500, "ended\nclosed: the host does not read\n");
}

static void test_controller_deadline_passes_when_the_host_does_not_close(void **state)
{
	struct controller_peer peer;

	(void)state;
	/* Ended, after a TermReq, and ended after a TermReq. */
	for (unsigned i = 0; i < 3; i++) {
		open_peer(&peer);
		controller_peer_connect(&peer, 4, false);
		stream_pause(peer.host.stream);
		pdu_maker_add_ic_request(&peer.maker, 0);
		if (i == 0)
			tcp_controller_queue_end(peer.queue, "shut down");
		controller_peer_send(&peer, 0);
		if (i == 2)
			tcp_controller_queue_end(peer.queue, "shut down");
		expect_end_after(&peer, i == 1 ? 700 : 50,
			i == 0 ? "closed: shut down\n"
			       : "closed: PDU sequence error (FES 2, FEI 0h)\n");
	}
}

static void test_controller_deadline_is_drains_when_an_ending_queues_host_does_not_read(
	void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 2, 1, 65536);
	stream_pause(peer.host.stream);
	controller_peer_complete(&peer, 1);
	tcp_controller_queue_end(peer.queue, "shut down");
	tcp_controller_queue_end(peer.queue, "again");
	expect_end_after(&peer, 600, "closed: shut down\n");
}

/* What is executed may take any time; what is sent then is not cut short. */
static void test_controller_deadline_lingers_when_the_last_request_has_come_back(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 0, 1, 0);
	tcp_controller_queue_end(peer.queue, "shut down");
	controller_peer_pass(&peer, 500);
	stream_pause(peer.host.stream);
	controller_peer_complete(&peer, 1);
	expect_end_after(&peer, 50, "closed: shut down\n");
}

static void test_controller_deadline_waits_for_requests_above_when_it_has_passed(void **state)
{
	struct controller_peer peer;

	(void)state;
	open_peer(&peer);
	controller_peer_connect(&peer, 4, false);
	peer.is_holding = true;
	send_command(&peer, 6, 1, 512);
	tcp_controller_queue_end(peer.queue, "shut down");
	controller_peer_pass(&peer, 10000);
	assert_int_equal(peer.host.closed_calls, 1);
	assert_non_null(peer.queue);
	controller_peer_complete(&peer, 1);
	assert_null(peer.queue);
	controller_peer_end(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_deadline_passes_when_ic_req_does_not_come),
		cmocka_unit_test(test_controller_deadline_passes_when_connect_does_not_succeed),
		cmocka_unit_test(
			test_controller_deadline_does_not_exist_when_a_running_queue_is_idle),
		cmocka_unit_test(test_controller_deadline_passes_when_a_pdu_stays_incomplete),
		cmocka_unit_test(
			test_controller_deadline_is_each_pdus_own_when_they_follow_without_a_gap),
		cmocka_unit_test(
			test_controller_deadline_passes_when_a_capsule_that_was_held_stays_incomplete),
		cmocka_unit_test(
			test_controller_deadline_passes_when_the_data_of_an_r2t_does_not_come),
		cmocka_unit_test(test_controller_deadline_passes_when_the_host_does_not_read),
		cmocka_unit_test(
			test_controller_deadline_passes_when_the_host_reads_a_little_now_and_then),
		cmocka_unit_test(test_controller_deadline_passes_when_the_host_does_not_close),
		cmocka_unit_test(
			test_controller_deadline_is_drains_when_an_ending_queues_host_does_not_read),
		cmocka_unit_test(
			test_controller_deadline_lingers_when_the_last_request_has_come_back),
		cmocka_unit_test(
			test_controller_deadline_waits_for_requests_above_when_it_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
