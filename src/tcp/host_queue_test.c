#include "tcp/host_queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "loop/loop.h"
#include "test/tcp/host_peer.h"

#define DATA_BYTES 65536u

static struct pdu_command taken_command(const uint8_t *bytes)
{
	struct pdu_command pdu;

	memcpy(&pdu, bytes, sizeof(pdu));
	return pdu;
}

static void test_host_queue_sends_icreq_and_is_ready_when_icresp_comes(void **state)
{
	struct pdu_ic_request request;
	struct host_peer_command command;
	struct host_peer peer;

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.is_admin = true}, NULL);
	host_peer_command(&peer, &command, TCP_HOST_NO_DATA, NULL, 0);
	assert_int_equal(tcp_host_queue_submit(peer.queue, &command.command), -ENOTCONN);
	memcpy(&request, host_peer_take(&peer, sizeof(request)), sizeof(request));
	assert_int_equal(request.common.type, PDU_IC_REQUEST);
	assert_int_equal(request.common.hlen, 128);
	assert_int_equal(le32_get(request.common.plen), 128);
	assert_int_equal(le16_get(request.pfv), 0);
	assert_int_equal(request.hpda, 0);
	assert_int_equal(request.dgst, 0);
	assert_int_equal(le32_get(request.maxr2t), 0);
	assert_int_equal(peer.ready_calls, 0);

	host_peer_send_ic_response(&peer, HOST_PEER_MAXH2CDATA, 0);
	loop_run_idle(peer.loop);
	assert_int_equal(peer.ready_calls, 1);
	assert_int_equal(tcp_host_queue_submit(peer.queue, &command.command), 0);
	host_peer_end(&peer);
	assert_int_equal(command.done_calls, 1);
	assert_int_equal(command.command.error, -ECANCELED);
}

static void test_host_queue_fails_when_no_icresp_comes(void **state)
{
	struct host_peer peer;

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.is_admin = true}, NULL);
	host_peer_run_until_failed(&peer);
	assert_int_equal(peer.error, -ETIMEDOUT);
	assert_non_null(strstr(peer.reason, "did not answer"));
	assert_true(peer.clock.time_ns == (uint64_t)TCP_HOST_IC_TIMEOUT_MS * CLOCK_MS_NS);
	host_peer_end(&peer);
}

static void test_host_queue_fails_with_the_cause_when_the_stream_closes(void **state)
{
	static const struct {
		bool is_reset;
		int error;
	} rows[] = {{true, -ECONNRESET}, {false, -EPIPE}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_peer_command command;
		uint8_t data[512];
		struct host_peer peer;

		host_peer_open(&peer, (struct tcp_host_queue_options){.is_admin = true}, NULL);
		host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
		host_peer_command(&peer, &command, TCP_HOST_READ, data, sizeof(data));
		host_peer_submit(&peer, &command);
		if (rows[i].is_reset)
			memory_stream_reset(peer.controller.stream);
		else
			stream_finish(peer.controller.stream);
		host_peer_run_until_failed(&peer);
		assert_int_equal(peer.error, rows[i].error);
		assert_int_equal(command.done_calls, 1);
		assert_int_equal(command.command.error, rows[i].error);
		host_peer_end(&peer);
	}
}

static void test_host_queue_says_eagain_when_all_entries_are_used(void **state)
{
	struct host_peer_command commands[4];
	struct host_peer peer;

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 4}, NULL);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
	for (size_t i = 0; i < 4; i++)
		host_peer_command(&peer, &commands[i], TCP_HOST_NO_DATA, NULL, 0);
	for (size_t i = 0; i < 3; i++)
		host_peer_submit(&peer, &commands[i]);
	assert_int_equal(tcp_host_queue_submit(peer.queue, &commands[3].command), -EAGAIN);
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 3);

	host_peer_send_completion(&peer, commands[1].command.cid, NVME_STATUS_LBA_OUT_OF_RANGE);
	loop_run_idle(peer.loop);
	assert_int_equal(commands[1].done_calls, 1);
	assert_int_equal(commands[1].command.error, 0);
	assert_int_equal(nvme_completion_status(&commands[1].command.completion),
		NVME_STATUS_LBA_OUT_OF_RANGE);
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 2);
	host_peer_submit(&peer, &commands[3]);
	/* The entry is the same, the name another. */
	assert_int_not_equal(commands[3].command.cid, commands[1].command.cid);
	host_peer_end(&peer);
}

static void test_host_queue_puts_data_into_the_capsule_when_they_fit(void **state)
{
	static const struct {
		const char *name;
		struct tcp_host_queue_options options;
		uint8_t opcode;
		uint32_t bytes;
		uint8_t cpda;
		uint8_t pdo; /* 0: not in the capsule */
	} rows[] = {
		{"admin", {.is_admin = true}, 0x09, 8192, 0, 72},
		{"admin, too long", {.is_admin = true}, 0x09, 8196, 0, 0},
		{"admin, aligned", {.is_admin = true}, 0x09, 512, 31, 128},
		{"fabrics on an I/O queue", {.is_admin = false}, 0x7f, 1024, 0, 72},
		{"I/O without", {.is_admin = false}, 0x01, 512, 0, 0},
		{"I/O that fits", {.capsule_data_bytes = 16384}, 0x01, 16384, 15, 128},
		{"I/O too long", {.capsule_data_bytes = 16384}, 0x01, 16388, 15, 0},
	};
	uint8_t data[16388];

	(void)state;
	host_peer_fill(data, sizeof(data));
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_peer_command command;
		struct pdu_command pdu;
		struct host_peer peer;

		host_peer_open(&peer, rows[i].options, NULL);
		host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, rows[i].cpda);
		host_peer_command(&peer, &command, TCP_HOST_WRITE, data, rows[i].bytes);
		command.command.command.opcode = rows[i].opcode;
		assert_int_equal(tcp_host_queue_submit(peer.queue, &command.command), 0);
		pdu = taken_command(host_peer_take(&peer, sizeof(pdu)));
		assert_int_equal(pdu.common.pdo, rows[i].pdo);
		assert_int_equal(pdu.command.flags, NVME_FLAGS_PSDT_SGL);
		assert_int_equal(le16_get(pdu.command.cid), command.command.cid);
		assert_int_equal(le32_get(pdu.command.sgl.length), rows[i].bytes);
		assert_int_equal(pdu.command.sgl.type,
			rows[i].pdo != 0 ? NVME_SGL_IN_CAPSULE : NVME_SGL_TRANSPORT);
		if (rows[i].pdo != 0) {
			assert_int_equal(le32_get(pdu.common.plen), rows[i].pdo + rows[i].bytes);
			(void)host_peer_take(&peer, rows[i].pdo - sizeof(pdu));
			assert_true(host_peer_is_filled(host_peer_take(&peer, rows[i].bytes), 0,
				rows[i].bytes));
		} else {
			assert_int_equal(le32_get(pdu.common.plen), sizeof(pdu));
		}
		loop_run_idle(peer.loop);
		assert_int_equal(peer.controller.received_bytes, peer.taken_bytes);
		host_peer_end(&peer);
	}
}

static void test_host_queue_reads_into_place_when_data_come_in_pieces(void **state)
{
	static const struct memory_stream_faults rows[] = {
		{.delivery_max_bytes = 0},
		{.delivery_max_bytes = 1},
		{.delivery_max_bytes = 777, .delay_max_ns = CLOCK_MS_NS},
	};
	CLEANUP(cleanup_free) uint8_t *data = malloc(DATA_BYTES);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct host_peer_command command;
		struct host_peer peer;
		uint16_t cid;

		memset(data, 0, DATA_BYTES);
		host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 8}, &rows[i]);
		host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
		host_peer_command(&peer, &command, TCP_HOST_READ, data, DATA_BYTES);
		host_peer_submit(&peer, &command);
		cid = command.command.cid;
		host_peer_send_data(&peer, cid, 0, 4, 0);
		host_peer_send_data(&peer, cid, 4, 32764, 0);
		host_peer_send_data(&peer, cid, 32768, DATA_BYTES - 32768, PDU_FLAG_LAST);
		host_peer_send_completion(&peer, cid, NVME_STATUS_SUCCESS);
		while (command.done_calls == 0)
			assert_int_equal(loop_turn(peer.loop, 1000), 0);
		assert_int_equal(command.command.error, 0);
		assert_true(host_peer_is_filled(data, 0, DATA_BYTES));
		host_peer_end(&peer);
	}
}

static void test_host_queue_completes_when_data_has_the_success_flag(void **state)
{
	struct host_peer_command command;
	struct host_peer peer;
	uint8_t data[4096];

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.is_flow_control_off = true}, NULL);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
	host_peer_command(&peer, &command, TCP_HOST_READ, data, sizeof(data));
	host_peer_submit(&peer, &command);
	host_peer_send_data(&peer, command.command.cid, 0, sizeof(data),
		PDU_FLAG_LAST | PDU_FLAG_SUCCESS);
	loop_run_idle(peer.loop);
	assert_int_equal(command.done_calls, 1);
	assert_int_equal(nvme_completion_status(&command.command.completion), NVME_STATUS_SUCCESS);
	assert_true(host_peer_is_filled(data, 0, sizeof(data)));
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 0);
	host_peer_end(&peer);
}

/* Take the H2CData PDUs that answer an R2T of @bytes at @offset. */
static void expect_data(struct host_peer *peer, uint16_t cid, uint32_t offset, uint32_t bytes)
{
	uint32_t end = offset + bytes;

	while (offset < end) {
		uint32_t part =
			end - offset < HOST_PEER_MAXH2CDATA ? end - offset : HOST_PEER_MAXH2CDATA;
		struct pdu_data pdu;

		memcpy(&pdu, host_peer_take(peer, sizeof(pdu)), sizeof(pdu));
		assert_int_equal(pdu.common.type, PDU_H2C_DATA);
		assert_int_equal(pdu.common.hlen, sizeof(pdu));
		assert_int_equal(pdu.common.pdo, 64);
		assert_int_equal(le32_get(pdu.common.plen), 64 + part);
		assert_int_equal(pdu.common.flags, offset + part == end ? PDU_FLAG_LAST : 0);
		assert_int_equal(le16_get(pdu.cccid), cid);
		assert_int_equal(le16_get(pdu.ttag), cid ^ 0x5a5a);
		assert_int_equal(le32_get(pdu.datao), offset);
		assert_int_equal(le32_get(pdu.datal), part);
		(void)host_peer_take(peer, 64 - sizeof(pdu));
		assert_true(host_peer_is_filled(host_peer_take(peer, part), offset, part));
		offset += part;
	}
}

static void test_host_queue_splits_data_when_r2ts_ask_for_more_than_maxh2cdata(void **state)
{
	/* More than the window of PDUs, and a stream that is slow to take them. */
	const struct memory_stream_faults faults = {.window_bytes = 10000};
	const uint32_t bytes = 100 * HOST_PEER_MAXH2CDATA + 512;
	CLEANUP(cleanup_free) uint8_t *data = malloc(bytes);
	struct host_peer_command commands[2];
	struct host_peer peer;

	(void)state;
	assert_non_null(data);
	host_peer_fill(data, bytes);
	host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 8}, &faults);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 15);
	for (size_t i = 0; i < 2; i++) {
		host_peer_command(&peer, &commands[i], TCP_HOST_WRITE, data, bytes);
		host_peer_submit(&peer, &commands[i]);
		host_peer_send_r2t(&peer, commands[i].command.cid, 0, bytes - 1000);
	}
	for (size_t i = 0; i < 2; i++)
		expect_data(&peer, commands[i].command.cid, 0, bytes - 1000);
	host_peer_send_r2t(&peer, commands[1].command.cid, bytes - 1000, 1000);
	expect_data(&peer, commands[1].command.cid, bytes - 1000, 1000);
	host_peer_send_completion(&peer, commands[1].command.cid, NVME_STATUS_SUCCESS);
	loop_run_idle(peer.loop);
	assert_int_equal(commands[1].done_calls, 1);
	assert_int_equal(commands[0].done_calls, 0);
	host_peer_end(&peer);
}

static void test_host_queue_keeps_a_failed_write_when_its_data_is_still_in_the_output(void **state)
{
	const struct memory_stream_faults faults = {.window_bytes = 1000};
	CLEANUP(cleanup_free) uint8_t *data = calloc(1, DATA_BYTES);
	struct host_peer_command command;
	struct host_peer peer;

	(void)state;
	assert_non_null(data);
	host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 8}, &faults);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
	host_peer_command(&peer, &command, TCP_HOST_WRITE, data, DATA_BYTES);
	host_peer_submit(&peer, &command);
	stream_pause(peer.controller.stream);
	host_peer_send_r2t(&peer, command.command.cid, 0, DATA_BYTES);
	host_peer_send_completion(&peer, command.command.cid, NVME_STATUS_WRITE_FAULT);
	loop_run_idle(peer.loop);
	assert_int_equal(command.done_calls, 0);
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 1);
	stream_resume(peer.controller.stream);
	while (command.done_calls == 0)
		assert_int_equal(loop_turn(peer.loop, 1000), 0);
	assert_int_equal(command.command.error, 0);
	assert_int_equal(nvme_completion_status(&command.command.completion),
		NVME_STATUS_WRITE_FAULT);
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 0);
	host_peer_end(&peer);
}

static void test_host_queue_fails_when_a_command_is_answered_before_it_was_sent(void **state)
{
	const struct memory_stream_faults faults = {.window_bytes = 1000};
	struct host_peer_command commands[2];
	uint8_t data[4096] = {0};
	struct host_peer peer;

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.capsule_data_bytes = 4096}, &faults);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
	host_peer_command(&peer, &commands[0], TCP_HOST_WRITE, data, sizeof(data));
	host_peer_command(&peer, &commands[1], TCP_HOST_NO_DATA, NULL, 0);
	stream_pause(peer.controller.stream);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(tcp_host_queue_submit(peer.queue, &commands[i].command), 0);
	loop_run_idle(peer.loop);
	host_peer_send_completion(&peer, commands[1].command.cid, NVME_STATUS_SUCCESS);
	host_peer_run_until_failed(&peer);
	assert_int_equal(peer.error, -EPROTO);
	assert_non_null(strstr(peer.reason, "which is not outstanding"));
	assert_int_equal(commands[1].command.error, -EPROTO);
	host_peer_end(&peer);
}

static void test_host_queue_takes_a_command_when_done_submits_it_again(void **state)
{
	struct host_peer_command command;
	struct host_peer peer;

	(void)state;
	host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 2}, NULL);
	host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
	host_peer_command(&peer, &command, TCP_HOST_NO_DATA, NULL, 0);
	command.is_resubmitting = true;
	host_peer_submit(&peer, &command);
	host_peer_send_completion(&peer, command.command.cid, NVME_STATUS_SUCCESS);
	(void)host_peer_take(&peer, sizeof(struct pdu_command));
	assert_int_equal(command.done_calls, 1);
	assert_int_equal(tcp_host_queue_outstanding(peer.queue), 1);
	host_peer_end(&peer);
	assert_int_equal(command.done_calls, 2);
}

static void test_host_queue_may_be_freed_when_it_calls_its_owner(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct host_peer_command commands[2];
		struct host_peer peer;
		uint8_t data[64];

		host_peer_open(&peer, (struct tcp_host_queue_options){.entries = 8}, NULL);
		peer.is_freeing_when_ready = i == 0;
		host_peer_initialize(&peer, HOST_PEER_MAXH2CDATA, 0);
		if (i == 0) {
			host_peer_end(&peer);
			continue;
		}
		for (unsigned k = 0; k < 2; k++) {
			host_peer_command(&peer, &commands[k], TCP_HOST_READ, data, sizeof(data));
			host_peer_submit(&peer, &commands[k]);
		}
		commands[0].is_freeing_queue = true;
		if (i == 1) {
			/* What follows in the same delivery is not looked at. */
			host_peer_send_completion(&peer, commands[0].command.cid,
				NVME_STATUS_INTERNAL_ERROR);
			host_peer_send_completion(&peer, 0x1234, NVME_STATUS_SUCCESS);
		} else {
			memory_stream_reset(peer.controller.stream);
		}
		loop_run_idle(peer.loop);
		assert_null(peer.queue);
		assert_int_equal(peer.failed_calls, 0);
		assert_int_equal(commands[0].done_calls, 1);
		assert_int_equal(commands[1].done_calls, 1);
		assert_int_equal(commands[1].command.error, -ECANCELED);
		host_peer_end(&peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_queue_sends_icreq_and_is_ready_when_icresp_comes),
		cmocka_unit_test(test_host_queue_fails_when_no_icresp_comes),
		cmocka_unit_test(test_host_queue_fails_with_the_cause_when_the_stream_closes),
		cmocka_unit_test(test_host_queue_says_eagain_when_all_entries_are_used),
		cmocka_unit_test(test_host_queue_puts_data_into_the_capsule_when_they_fit),
		cmocka_unit_test(test_host_queue_reads_into_place_when_data_come_in_pieces),
		cmocka_unit_test(test_host_queue_completes_when_data_has_the_success_flag),
		cmocka_unit_test(
			test_host_queue_splits_data_when_r2ts_ask_for_more_than_maxh2cdata),
		cmocka_unit_test(
			test_host_queue_keeps_a_failed_write_when_its_data_is_still_in_the_output),
		cmocka_unit_test(
			test_host_queue_fails_when_a_command_is_answered_before_it_was_sent),
		cmocka_unit_test(test_host_queue_takes_a_command_when_done_submits_it_again),
		cmocka_unit_test(test_host_queue_may_be_freed_when_it_calls_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
