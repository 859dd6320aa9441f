/*
 * A stack that is pushed one by one and taken as a whole, so that there is no ABA problem.
 */
#include "loop/inbox.h"

#include <stddef.h>

void inbox_init(struct inbox *inbox)
{
	atomic_init(&inbox->latest, NULL);
}

bool inbox_post(struct inbox *inbox, struct loop_message *message)
{
	struct loop_message *latest = atomic_load_explicit(&inbox->latest, memory_order_relaxed);

	do {
		message->next = latest == &inbox->asleep ? NULL : latest;
	} while (!atomic_compare_exchange_weak_explicit(&inbox->latest, &latest, message,
		memory_order_acq_rel, memory_order_relaxed));
	return latest == &inbox->asleep;
}

bool inbox_has_messages(const struct inbox *inbox)
{
	const struct loop_message *latest =
		atomic_load_explicit(&inbox->latest, memory_order_relaxed);

	return latest != NULL && latest != &inbox->asleep;
}

struct loop_message *inbox_take(struct inbox *inbox)
{
	struct loop_message *message, *before;
	struct loop_message *first = NULL;

	if (atomic_load_explicit(&inbox->latest, memory_order_relaxed) == NULL)
		return NULL;
	message = atomic_exchange_explicit(&inbox->latest, NULL, memory_order_acquire);
	if (message == &inbox->asleep)
		return NULL;
	for (; message != NULL; message = before) {
		before = message->next;
		message->next = first;
		first = message;
	}
	return first;
}

bool inbox_fall_asleep(struct inbox *inbox)
{
	struct loop_message *latest = NULL;

	return atomic_compare_exchange_strong_explicit(&inbox->latest, &latest, &inbox->asleep,
		       memory_order_acq_rel, memory_order_relaxed) ||
		latest == &inbox->asleep;
}
