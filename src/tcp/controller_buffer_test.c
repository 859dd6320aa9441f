#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "test/tcp/controller_peer.h"

static void send_command(struct controller_peer *peer, uint8_t opcode, uint16_t cid, uint32_t bytes)
{
	struct nvme_command command = controller_peer_command(opcode, cid, bytes);

	controller_peer_send_command(peer, &command, false);
}

static void send_in_capsule(struct controller_peer *peer, uint16_t cid, uint32_t bytes)
{
	struct nvme_command command = controller_peer_command(1, cid, bytes);

	controller_peer_send_command(peer, &command, true);
}

static void send_data(struct controller_peer *peer, uint16_t cid, uint16_t ttag, uint32_t bytes)
{
	struct pdu_data data = controller_peer_data(cid, ttag, 0, bytes, true);

	controller_peer_send_data(peer, &data);
}

static void test_controller_buffer_withholds_r2ts_when_the_pool_is_empty(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 6, false);
	controller_peer_take_pool(&peer);
	send_command(&peer, 1, 1, 8192);
	send_command(&peer, 2, 2, 512);
	send_command(&peer, 6, 3, 512); /* needs no buffer */
	send_in_capsule(&peer, 4, 4096);
	controller_peer_expect(&peer, "begin 1\nbegin 2\nbegin 3\nexecute 3\nbegin 4\nexecute 4\n",
		"data 3 0+512 at 24 last\ndone 3 status 0 sqhd 4 result 0\n"
		"done 4 status 0 sqhd 5 result 0\n");
	controller_peer_give_pool(&peer);
	controller_peer_expect(&peer, "execute 2\n",
		"R2T 1 ttag 0 0+8192\n"
		"data 2 0+512 at 24 last\ndone 2 status 0 sqhd 5 result 0\n");
	send_data(&peer, 1, 0, 8192);
	controller_peer_expect(&peer, "execute 1\n", "done 1 status 0 sqhd 5 result 0\n");
	controller_peer_end(&peer);
}

static void test_controller_buffer_takes_no_buffer_when_the_layer_above_has_memory(void **state)
{
	struct nvme_command in_capsule = controller_peer_command(9, 2, 4096);
	struct controller_peer peer;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		controller_peer_open(&peer, NULL, NULL);
		controller_peer_connect(&peer, 6, false);
		controller_peer_take_pool(&peer);
		send_command(&peer, 9, 1, 8192);
		controller_peer_send_command(&peer, &in_capsule, true);
		controller_peer_expect(&peer, "begin 1\nbegin 2\nexecute 2\n",
			"R2T 1 ttag 0 0+8192\ndone 2 status 0 sqhd 3 result 0\n");
		if (i == 0) {
			send_data(&peer, 1, 0, 8192);
			controller_peer_expect(&peer, "execute 1\n",
				"done 1 status 0 sqhd 3 result 0\n");
		} else {
			tcp_controller_queue_end(peer.queue, "shut down");
		}
		controller_peer_give_pool(&peer);
		controller_peer_end(&peer);
	}
}

/* Several requests wait for the pool, and each withdrawal might serve the next of them. */
static void test_controller_buffer_withdraws_all_when_it_ends_while_the_pool_is_empty(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct controller_peer peer;

		controller_peer_open(&peer, NULL, NULL);
		controller_peer_connect(&peer, 16, false);
		peer.is_quiet = true;
		/* Enough to fill the pool, then some that wait. */
		for (uint16_t cid = 1; cid < 14; cid++)
			send_command(&peer, 1, cid, 1u << 20);
		controller_peer_expect(&peer, NULL, NULL);
		if (i == 0)
			tcp_controller_queue_end(peer.queue, "shut down");
		else
			memory_stream_reset(peer.host.stream);
		controller_peer_run(&peer);
		assert_int_equal(peer.gone_count, 14);
		controller_peer_end(&peer);
	}
}

/* The data of the first write, for which others wait, is behind what came in a capsule. */
static void test_controller_buffer_goes_on_when_data_in_a_capsule_finds_the_pool_empty(void **state)
{
	enum { WRITES = 44, WRITE_BYTES = 33 << 10, ENTRIES = 64 };
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, ENTRIES, false);
	for (unsigned cid = 1; cid <= WRITES; cid++)
		send_command(&peer, 1, (uint16_t)cid, WRITE_BYTES);
	controller_peer_expect(&peer, NULL, NULL);
	send_in_capsule(&peer, 100, 4096);
	controller_peer_expect(&peer, "begin 100\nexecute 100\n",
		"done 100 status 0 sqhd 46 result 0\n");
	send_data(&peer, 1, 0, WRITE_BYTES);
	controller_peer_expect(&peer, "execute 1\n",
		"done 1 status 0 sqhd 46 result 0\nR2T 33 ttag 32 0+33792\n");
	controller_peer_end(&peer);
}

static void test_controller_buffer_holds_the_stream_when_its_own_is_taken_too(void **state)
{
	struct controller_peer peer;

	(void)state;
	controller_peer_open(&peer, NULL, NULL);
	controller_peer_connect(&peer, 8, false);
	controller_peer_take_pool(&peer);
	peer.is_holding = true;
	for (uint16_t cid = 1; cid <= 4; cid++)
		send_in_capsule(&peer, cid, 4096u * cid);
	send_command(&peer, 0, 5, 0);
	controller_peer_expect(&peer, "begin 1\nexecute 1\nbegin 2\n", "");
	controller_peer_complete(&peer, 1);
	controller_peer_expect(&peer, "execute 2\nbegin 3\n", "done 1 status 0 sqhd 3 result 0\n");
	/* The pool may come first. */
	controller_peer_give_pool(&peer);
	controller_peer_expect(&peer, "execute 3\nbegin 4\nexecute 4\nbegin 5\nexecute 5\n", "");
	controller_peer_complete_all(&peer);
	controller_peer_expect(&peer, "", NULL);
	/* Its own is free again. */
	controller_peer_take_pool(&peer);
	send_in_capsule(&peer, 6, 16384);
	send_in_capsule(&peer, 7, 512);
	controller_peer_expect(&peer, "begin 6\nexecute 6\nbegin 7\n", "");
	controller_peer_end(&peer);
}

/* Each of the two is in every state in which a connection can end. */
static void test_controller_buffer_gives_its_own_back_when_the_queue_ends(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct nvme_command first = controller_peer_command(1, 1, 8192);
		struct controller_peer peer;

		controller_peer_open(&peer, NULL, NULL);
		controller_peer_connect(&peer, 8, false);
		controller_peer_take_pool(&peer);
		peer.is_holding = i % 2 == 0;
		controller_peer_add_command(&peer, &first, true);
		controller_peer_send(&peer, i / 4 == 0 ? 1000 : 0); /* arriving, or executed */
		if (i / 4 == 1)
			send_in_capsule(&peer, 2, 4096);
		if (i / 2 % 2 == 0)
			tcp_controller_queue_end(peer.queue, "shut down");
		else
			memory_stream_reset(peer.host.stream);
		controller_peer_run(&peer);
		controller_peer_complete_all(&peer);
		controller_peer_end(&peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controller_buffer_withholds_r2ts_when_the_pool_is_empty),
		cmocka_unit_test(
			test_controller_buffer_takes_no_buffer_when_the_layer_above_has_memory),
		cmocka_unit_test(
			test_controller_buffer_withdraws_all_when_it_ends_while_the_pool_is_empty),
		cmocka_unit_test(
			test_controller_buffer_goes_on_when_data_in_a_capsule_finds_the_pool_empty),
		cmocka_unit_test(test_controller_buffer_holds_the_stream_when_its_own_is_taken_too),
		cmocka_unit_test(test_controller_buffer_gives_its_own_back_when_the_queue_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
