/*
 * The Abort command (Base 2.0, 5.1). What it can do for the command it names:
 *   - an Asynchronous Event Request that is held ends at once;
 *   - one whose data is still on its way is not executed: it ends when the data has come, since the
 *     host sends all that it has been asked for;
 *   - one half of a fused pair takes the other with it, at once while the other is not there yet;
 *     when the pair runs it is not aborted;
 *   - one that a fence holds is not executed when that is lowered;
 *   - one that is in a store ends when the store is done with it, whatever it has done by then;
 *   - one that is not there any more, or an Abort, is not aborted.
 * All that are aborted end with Command Abort Requested, and Abort ends after them.
 */
#ifndef FERRY_TARGET_ABORT_H
#define FERRY_TARGET_ABORT_H

#include <stdbool.h>

#include "loop/loop.h"
#include "target/target_request.h"

#define ABORT_COMMANDS_MAX 4 /* ACL + 1 */

target_request_step abort_begin;
target_request_step abort_execute;

/** The command that @aborter means to abort has ended, on its queue's loop. */
void abort_answer(struct target_request *aborter, bool is_aborted);

#endif
