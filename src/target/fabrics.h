/*
 * The fabrics commands of a queue that is connected (Base 2.0, 6): a row each.
 */
#ifndef FERRY_TARGET_FABRICS_H
#define FERRY_TARGET_FABRICS_H

#include "target/target_request.h"

/** Begin a fabrics command on a live queue of either kind. */
target_request_step fabrics_begin;

#endif
