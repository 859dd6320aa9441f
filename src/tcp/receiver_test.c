#include "tcp/receiver.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "loop/loop.h"
#include "loop/memory_stream.h"
#include "loop/stream.h"
#include "test/loop/stream_probe.h"
#include "test/tcp/pdu_maker.h"

#define TEXT_BYTES  4096
#define PLACE_BYTES (1u << 16)
#define DATA_MAX    (1u << 16)

/* The owner of a receiver: tells in words what it was told, and answers to order. */
struct owner {
	struct receiver receiver;
	struct stream *stream;
	uint8_t place[PLACE_BYTES];
	char text[TEXT_BYTES];
	size_t text_used;
	size_t direct_bytes;
	bool is_dropping;
	unsigned hold_count; /* how often each PDU is held */
	unsigned held_count;
	unsigned stop_at; /* the PDU, counted from 1, at which it stops */
	unsigned offered_count;
	enum pdu_fes refuse_fes; /* of a PDU with type refuse_type */
	enum pdu_type refuse_type;
	bool is_refusing_data;
};

static void tell(struct owner *owner, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void tell(struct owner *owner, const char *format, ...)
{
	size_t room = sizeof(owner->text) - owner->text_used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(owner->text + owner->text_used, room, format, arguments);
	va_end(arguments);
	assert_true(length >= 0 && (size_t)length < room);
	owner->text_used += (size_t)length;
}

static struct receiver_answer owner_header(void *context, const struct pdu *pdu)
{
	struct owner *owner = context;
	struct receiver_answer answer = {.data = owner->is_dropping ? NULL : owner->place};

	if (owner->held_count < owner->hold_count) {
		owner->held_count++;
		return (struct receiver_answer){.is_held = true};
	}
	owner->held_count = 0;
	tell(owner, "%02x %08x %" PRIu32 "+%" PRIu32 "\n", pdu->type,
		crc32c(0, pdu->header, pdu->header_bytes), pdu->padding_bytes, pdu->data_bytes);
	if (++owner->offered_count == owner->stop_at)
		receiver_stop(&owner->receiver);
	if (pdu->type == owner->refuse_type)
		answer.fault.fes = owner->refuse_fes;
	return answer;
}

static struct pdu_fault owner_data(void *context, const struct pdu *pdu, bool is_intact)
{
	struct owner *owner = context;

	tell(owner, "   data %08x of %02x %08x %s\n",
		owner->is_dropping ? 0 : crc32c(0, owner->place, pdu->data_bytes), pdu->type,
		crc32c(0, pdu->header, pdu->header_bytes), is_intact ? "intact" : "damaged");
	return (struct pdu_fault){.fes = owner->is_refusing_data ? PDU_FES_OUT_OF_RANGE : 0};
}

static void owner_fault(void *context, struct pdu_fault fault, const uint8_t *header,
	size_t header_bytes)
{
	struct owner *owner = context;

	tell(owner, "fault %u %" PRIx32 " at %08x\n", fault.fes, fault.fei,
		crc32c(0, header, header_bytes));
	assert_int_equal(owner->receiver.state, RECEIVER_DEAD);
}

static const struct receiver_handler owner_handler = {owner_header, owner_data, owner_fault};

static size_t owner_received(void *context, size_t direct_bytes, const uint8_t *data, size_t bytes)
{
	struct owner *owner = context;

	owner->direct_bytes += direct_bytes;
	return receiver_take(&owner->receiver, direct_bytes, data, bytes);
}

static void owner_closed(void *context, int error)
{
	(void)context;
	(void)error;
}

static const struct stream_handler owner_stream_handler = {
	.received = owner_received,
	.closed = owner_closed,
};

/* What is sent to an owner, and how. */
struct sending {
	const uint8_t *bytes;
	size_t count;
	size_t cuts[2];      /* at these places turns are taken; beyond the end: not */
	size_t piece_bytes;  /* or turns are taken after as many bytes each; 0: not */
	struct owner orders; /* what the owner does */
};

static struct loop *test_loop(void)
{
	static struct simulated_clock clock;
	struct loop *loop;

	simulated_clock_init(&clock, 1);
	assert_int_equal(loop_new(&(struct loop_options){.clock = &clock.clock}, &loop), 0);
	return loop;
}

static void run_resuming(struct loop *loop, struct owner *owner)
{
	loop_run_idle(loop);
	while (owner->receiver.state == RECEIVER_HELD) {
		receiver_resume(&owner->receiver);
		loop_run_idle(loop);
	}
}

/* Send and @return the owner with what it tells; to be freed. */
static struct owner *run(struct loop *loop, const struct pdu_rules *rules,
	const struct sending *sending)
{
	/* Thousands of pairs are made: a small window keeps that quick. */
	const struct memory_stream_faults small = {.window_bytes = 120u << 10};
	struct owner *owner = malloc(sizeof(*owner));
	struct stream *ends[2];
	size_t sent = 0;

	assert_non_null(owner);
	*owner = sending->orders;
	assert_int_equal(memory_stream_pair(loop, &small, ends), 0);
	assert_int_equal(stream_reserve(ends[0], 0, 4096), 0);
	owner->stream = ends[1];
	receiver_init(&owner->receiver, ends[1], &owner_handler, owner);
	owner->receiver.rules = *rules;
	stream_start(ends[0], &owner_stream_handler, NULL);
	stream_start(ends[1], &owner_stream_handler, owner);
	while (sent < sending->count) {
		size_t end = sending->count;

		for (unsigned i = 0; i < 2; i++)
			if (sending->cuts[i] > sent && sending->cuts[i] < end)
				end = sending->cuts[i];
		if (sending->piece_bytes > 0 && end - sent > sending->piece_bytes)
			end = sent + sending->piece_bytes;
		stream_lend(ends[0], sending->bytes + sent, end - sent, NULL);
		run_resuming(loop, owner);
		sent = end;
	}
	stream_free(ends[0]);
	stream_free(ends[1]);
	return owner;
}

static const struct pdu_rules plain_rules = {.is_controller = true,
	.capsule_data_max = 8192,
	.data_max = DATA_MAX};
static const struct pdu_rules digest_rules = {
	.is_controller = true,
	.has_header_digest = true,
	.has_data_digest = true,
	.alignment_pda = 7,
	.capsule_data_max = 8192,
	.data_max = DATA_MAX,
};

static uint8_t sequence[PDU_MAKER_BYTES];

/* One of everything a host sends. */
static struct pdu_maker make_sequence(const struct pdu_rules *rules)
{
	struct pdu_maker maker = {.bytes = sequence,
		.has_header_digest = rules->has_header_digest,
		.has_data_digest = rules->has_data_digest,
		.alignment_pda = rules->alignment_pda};
	struct nvme_command command = {.opcode = 1, .cid = le16_of(7)};
	struct pdu_data data = {.common.type = PDU_H2C_DATA, .datal = le32_of(33)};
	struct pdu_terminate terminate = {.common.type = PDU_H2C_TERMINATE};
	uint8_t bytes[64];

	stream_probe_fill(bytes, sizeof(bytes), 1);
	pdu_maker_add_ic_request(&maker, 0);
	pdu_maker_add_command(&maker, &command, NULL, 0);
	pdu_maker_add_command(&maker, &command, bytes, 21);
	pdu_maker_add_data(&maker, &data, bytes);
	data.datal = le32_of(1);
	pdu_maker_add_data(&maker, &data, bytes + 50);
	pdu_maker_add(&maker, &terminate, bytes, 30);
	command.opcode = 2;
	pdu_maker_add_command(&maker, &command, NULL, 0);
	return maker;
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned count = 0;

	for (text = strstr(text, word); text != NULL; text = strstr(text + 1, word))
		count++;
	return count;
}

/* The owner's behaviours under which every cutting must tell the same. */
static const struct owner order_rows[] = {
	{.hold_count = 0},
	{.hold_count = 1},
	{.hold_count = 3},
	{.is_dropping = true},
	{.stop_at = 3},
	{.refuse_type = PDU_H2C_DATA, .refuse_fes = PDU_FES_HEADER_FIELD},
	{.is_refusing_data = true},
};

static void expect_same_when_cut(struct loop *loop, const struct pdu_rules *rules,
	struct sending *sending)
{
	struct owner *whole = run(loop, rules, sending), *other;

	for (size_t i = 1; i < sending->count; i++) {
		/* Two cuts near each other, one byte to the whole apart. */
		sending->cuts[0] = i;
		sending->cuts[1] = i + 1 + i % 9;
		other = run(loop, rules, sending);
		if (strcmp(whole->text, other->text) != 0)
			fail_msg("cut at %zu and %zu:\n%s---\n%s", i, sending->cuts[1], whole->text,
				other->text);
		free(other);
	}
	sending->cuts[0] = sending->cuts[1] = 0;
	for (size_t i = 1; i < 10; i++) {
		sending->piece_bytes = i;
		other = run(loop, rules, sending);
		assert_string_equal(whole->text, other->text);
		free(other);
	}
	sending->piece_bytes = 0;
	free(whole);
}

static void test_receiver_tells_the_same_when_a_sequence_is_cut_anywhere(void **state)
{
	const struct pdu_rules *rules[] = {&plain_rules, &digest_rules};
	struct loop *loop = test_loop();

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(order_rows); i++) {
		struct pdu_maker maker = make_sequence(rules[i % 2]);
		struct sending sending = {.bytes = sequence,
			.count = maker.used,
			.orders = order_rows[i / 2]};

		expect_same_when_cut(loop, rules[i % 2], &sending);
	}
	loop_free(loop);
}

static void test_receiver_tells_of_all_pdus_when_they_are_right(void **state)
{
	const struct pdu_rules *rules[] = {&plain_rules, &digest_rules};
	struct loop *loop = test_loop();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pdu_maker maker = make_sequence(rules[i]);
		struct sending sending = {.bytes = sequence, .count = maker.used};
		struct owner *owner = run(loop, rules[i], &sending);

		assert_int_equal(owner->offered_count, 7);
		assert_int_equal(count_of(owner->text, "intact"), 4);
		assert_int_equal(count_of(owner->text, "fault"), 0);
		assert_int_equal(owner->receiver.pdu_count, 7);
		assert_false(receiver_is_midway(&owner->receiver));
		free(owner);
	}
	loop_free(loop);
}

/* Flip one bit at each place of the sequence: what comes of it must not depend on the cutting. */
static void test_receiver_tells_the_same_when_a_bit_is_wrong_and_the_sequence_is_cut(void **state)
{
	const struct pdu_rules *rules[] = {&plain_rules, &digest_rules};
	struct loop *loop = test_loop();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pdu_maker maker = make_sequence(rules[i]);
		struct sending sending = {.bytes = sequence, .count = maker.used};

		for (size_t bit = 0; bit < maker.used * 8; bit += 3) {
			struct owner *owners[3];

			sequence[bit / 8] ^= (uint8_t)(1u << bit % 8);
			for (unsigned j = 0; j < 3; j++) {
				sending.piece_bytes = j * 5;
				owners[j] = run(loop, rules[i], &sending);
				assert_string_equal(owners[j]->text, owners[0]->text);
			}
			for (unsigned j = 0; j < 3; j++)
				free(owners[j]);
			sequence[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	loop_free(loop);
}

/* Eight bytes say enough: nobody has to send more to hear that they are wrong. */
static void test_receiver_faults_at_once_when_a_common_header_is_wrong(void **state)
{
	static const uint8_t bytes[8] = {PDU_R2T, 0, 24, 0, 24, 0, 0, 0};
	struct sending sending = {.bytes = bytes, .count = sizeof(bytes)};
	struct loop *loop = test_loop();

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct owner *owner;

		sending.piece_bytes = i;
		owner = run(loop, &plain_rules, &sending);
		assert_int_equal(strncmp(owner->text, "fault 1 0 at", 12), 0);
		free(owner);
	}
	loop_free(loop);
}

static void test_receiver_calls_data_damaged_when_its_digest_is_wrong(void **state)
{
	struct pdu_data data = {.common.type = PDU_H2C_DATA, .datal = le32_of(100)};
	const uint8_t bytes[100] = {1, 2, 3};
	struct pdu_maker maker = {.bytes = sequence,
		.has_header_digest = true,
		.has_data_digest = true,
		.alignment_pda = 7};
	struct sending sending = {.bytes = sequence};
	struct loop *loop = test_loop();
	struct owner *owner;

	(void)state;
	/* Damaged data, a damaged digest, neither. */
	for (unsigned i = 0; i < 3; i++) {
		pdu_maker_add_data(&maker, &data, bytes);
		if (i < 2)
			sequence[maker.used - (i == 0 ? 5 : 1)] ^= 1;
	}
	sending.count = maker.used;
	for (unsigned i = 0; i < 8; i++) {
		sending.piece_bytes = i;
		sending.orders.is_dropping = i % 2 == 1;
		owner = run(loop, &digest_rules, &sending);
		assert_int_equal(count_of(owner->text, "damaged"), 2);
		assert_int_equal(count_of(owner->text, "intact"), 1);
		assert_int_equal(count_of(owner->text, "fault"), 0);
		free(owner);
	}
	loop_free(loop);
}

static void test_receiver_has_data_placed_directly_when_it_has_not_arrived_yet(void **state)
{
	enum { BYTES = 60000, FIRST = 1000 };
	struct pdu_data data = {.common.type = PDU_H2C_DATA, .datal = le32_of(BYTES)};
	struct pdu_maker maker = {.bytes = sequence, .has_data_digest = true};
	struct pdu_rules rules = plain_rules;
	struct sending sending = {.bytes = sequence};
	struct loop *loop = test_loop();
	uint8_t *bytes = malloc(BYTES);
	struct owner *owner;

	(void)state;
	rules.has_data_digest = true;
	assert_non_null(bytes);
	stream_probe_fill(bytes, BYTES, 4);
	pdu_maker_add_data(&maker, &data, bytes);
	pdu_maker_add_data(&maker, &data, bytes);
	sending.count = maker.used;
	sending.cuts[0] = sizeof(data) + FIRST;
	sending.cuts[1] = sizeof(data) + BYTES + 2; /* in the digest */
	owner = run(loop, &rules, &sending);
	assert_int_equal(count_of(owner->text, "intact"), 2);
	assert_int_equal(owner->direct_bytes, BYTES - FIRST);
	assert_memory_equal(owner->place, bytes, BYTES);
	free(owner);
	free(bytes);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receiver_tells_the_same_when_a_sequence_is_cut_anywhere),
		cmocka_unit_test(test_receiver_tells_of_all_pdus_when_they_are_right),
		cmocka_unit_test(
			test_receiver_tells_the_same_when_a_bit_is_wrong_and_the_sequence_is_cut),
		cmocka_unit_test(test_receiver_faults_at_once_when_a_common_header_is_wrong),
		cmocka_unit_test(test_receiver_calls_data_damaged_when_its_digest_is_wrong),
		cmocka_unit_test(
			test_receiver_has_data_placed_directly_when_it_has_not_arrived_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
