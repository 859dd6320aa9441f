/*
 * Connect (Base 2.0, 6.3): how a queue comes to its controller. An admin queue makes one, at once,
 * on its own loop. An I/O queue asks the loop of the controller that it names, by a message, and is
 * connecting until the answer comes.
 */
#ifndef FERRY_TARGET_CONNECT_H
#define FERRY_TARGET_CONNECT_H

#include "target/target_request.h"

/** Begin Connect on a fresh queue. */
target_request_step connect_begin;

#endif
