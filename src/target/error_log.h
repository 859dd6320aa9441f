/*
 * The commands of a controller that failed, for the Error Information log (Base 2.0, 5.16.1.2): a
 * ring of the latest. Commands fail on any loop of the controller's queues: the mutex guards all,
 * is innermost, and is taken only by a command that fails and to read.
 */
#ifndef FERRY_TARGET_ERROR_LOG_H
#define FERRY_TARGET_ERROR_LOG_H

#include <pthread.h>
#include <stdint.h>

#include "nvme/log_page.h"

#define ERROR_LOG_ENTRIES 64

struct error_log {
	pthread_mutex_t mutex;
	uint64_t count;                                   /* of failed commands ever */
	struct nvme_log_error entries[ERROR_LOG_ENTRIES]; /* by (count - 1) % entries */
};

void error_log_init(struct error_log *log);
void error_log_deinit(struct error_log *log);

/** Enter a failed command. @param entry its error_count is set here. */
void error_log_add(struct error_log *log, struct nvme_log_error entry);

/** @return how many commands have failed; with @ret_entries not NULL, the entries too, the newest
 *  first, unused ones zero. */
uint64_t error_log_read(struct error_log *log,
	struct nvme_log_error ret_entries[ERROR_LOG_ENTRIES]);

#endif
