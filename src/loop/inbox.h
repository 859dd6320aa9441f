/*
 * The messages that other threads have posted to a loop, without a lock. One atomic word says all:
 * it holds the latest message, which leads to those before it; or nothing; or that there is nothing
 * and the owner sleeps, so that whoever posts next, and none after that, has to wake it.
 */
#ifndef FERRY_LOOP_INBOX_H
#define FERRY_LOOP_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

#include "loop/loop.h"

struct inbox {
	_Atomic(struct loop_message *) latest;
	struct loop_message asleep; /* latest points here: empty, and the owner sleeps */
};

void inbox_init(struct inbox *inbox);

/** Post @message, from any thread. @return whether the owner sleeps and the caller has to wake it. */
bool inbox_post(struct inbox *inbox, struct loop_message *message)
	__attribute__((warn_unused_result));

/** @return whether there is a message; asking costs next to nothing. */
bool inbox_has_messages(const struct inbox *inbox);

/** Take all. The owner is awake thereafter. @return the first, linked by next in the order posted;
 *  NULL if there is none. */
struct loop_message *inbox_take(struct inbox *inbox);

/** The owner is about to sleep. @return false if there is a message already. */
bool inbox_fall_asleep(struct inbox *inbox) __attribute__((warn_unused_result));

#endif
