#include "loop/inbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SENDER_COUNT  2
#define MESSAGE_COUNT 20000

static void test_inbox_asks_for_one_wake_up_when_its_owner_sleeps(void **state)
{
	struct loop_message messages[3] = {0};
	struct inbox inbox;

	(void)state;
	inbox_init(&inbox);
	assert_false(inbox_post(&inbox, &messages[0]));
	assert_false(inbox_fall_asleep(&inbox));
	assert_ptr_equal(inbox_take(&inbox), &messages[0]);
	assert_true(inbox_fall_asleep(&inbox));
	assert_true(inbox_fall_asleep(&inbox));
	assert_false(inbox_has_messages(&inbox));
	assert_true(inbox_post(&inbox, &messages[0]));
	assert_false(inbox_post(&inbox, &messages[1]));
	assert_false(inbox_post(&inbox, &messages[2]));
	assert_true(inbox_has_messages(&inbox));
	assert_ptr_equal(inbox_take(&inbox), &messages[0]);
	assert_ptr_equal(messages[0].next, &messages[1]);
	assert_ptr_equal(messages[1].next, &messages[2]);
	assert_null(messages[2].next);
	assert_null(inbox_take(&inbox));
}

static void test_inbox_needs_no_wake_up_when_its_owner_woke_by_itself(void **state)
{
	struct loop_message message = {0};
	struct inbox inbox;

	(void)state;
	inbox_init(&inbox);
	assert_true(inbox_fall_asleep(&inbox));
	assert_null(inbox_take(&inbox));
	assert_false(inbox_post(&inbox, &message));
}

struct note {
	struct loop_message message;
	struct sender *sender;
	int number;
};

struct sender {
	struct loop *loop;
	struct note *notes;
	int delivered_count;
	int *left_count; /* of all senders */
	pthread_t thread;
};

static void note_deliver(struct loop_message *message)
{
	struct note *note = container_of(message, struct note, message);
	struct sender *sender = note->sender;

	assert_int_equal(note->number, sender->delivered_count);
	sender->delivered_count++;
	if (--*sender->left_count == 0)
		loop_stop(sender->loop);
}

static void *sender_run(void *context)
{
	struct sender *sender = context;

	for (int i = 0; i < MESSAGE_COUNT; i++) {
		struct note *note = &sender->notes[i];

		note->message.deliver = note_deliver;
		note->sender = sender;
		note->number = i;
		loop_post(sender->loop, &note->message);
		/* Let the loop fall asleep at times. */
		if (i % 1000 == 0)
			(void)sched_yield();
	}
	return NULL;
}

static void send_messages(struct loop *loop)
{
	struct sender senders[SENDER_COUNT];
	int left_count = SENDER_COUNT * MESSAGE_COUNT;

	for (int i = 0; i < SENDER_COUNT; i++) {
		senders[i] = (struct sender){.loop = loop, .left_count = &left_count};
		senders[i].notes = calloc(MESSAGE_COUNT, sizeof(struct note));
		assert_non_null(senders[i].notes);
		assert_int_equal(pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]),
			0);
	}
	assert_int_equal(loop_run(loop), 0);
	for (int i = 0; i < SENDER_COUNT; i++) {
		assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
		assert_int_equal(senders[i].delivered_count, MESSAGE_COUNT);
		free(senders[i].notes);
	}
}

static void test_inbox_keeps_order_when_threads_post(void **state)
{
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(NULL, &loop), 0);
	send_messages(loop);
	loop_free(loop);
}

static void test_inbox_keeps_order_when_its_owner_sleeps_at_once(void **state)
{
	const struct loop_options options = {.is_spinning_off = true};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&options, &loop), 0);
	send_messages(loop);
	loop_free(loop);
}

struct ping {
	struct loop_message message;
	struct loop *to;
	struct ping *answer; /* to post; NULL: stop */
	int *left_count;
};

static void ping_deliver(struct loop_message *message)
{
	struct ping *ping = container_of(message, struct ping, message);

	if (--*ping->left_count <= 0)
		loop_stop(ping->to);
	loop_post(ping->answer->to, &ping->answer->message);
}

static void *ping_run(void *context)
{
	struct loop *loop = context;

	return loop_run(loop) == 0 ? NULL : loop;
}

static void test_inbox_wakes_each_time_when_two_loops_play_ping_pong(void **state)
{
	const struct loop_options options = {.is_spinning_off = true};
	int left_counts[2] = {2000, 2000};
	struct loop *loops[2];
	struct ping pings[2];
	pthread_t thread;
	void *failed;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(loop_new(&options, &loops[i]), 0);
		pings[i] = (struct ping){
			.message.deliver = ping_deliver,
			.to = loops[i],
			.answer = &pings[1 - i],
			.left_count = &left_counts[i],
		};
	}
	loop_post(loops[0], &pings[0].message);
	assert_int_equal(pthread_create(&thread, NULL, ping_run, loops[0]), 0);
	assert_int_equal(loop_run(loops[1]), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	for (int i = 0; i < 2; i++)
		loop_free(loops[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inbox_asks_for_one_wake_up_when_its_owner_sleeps),
		cmocka_unit_test(test_inbox_needs_no_wake_up_when_its_owner_woke_by_itself),
		cmocka_unit_test(test_inbox_keeps_order_when_threads_post),
		cmocka_unit_test(test_inbox_keeps_order_when_its_owner_sleeps_at_once),
		cmocka_unit_test(test_inbox_wakes_each_time_when_two_loops_play_ping_pong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
