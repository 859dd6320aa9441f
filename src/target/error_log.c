/*
 * The ring.
 */
#include "target/error_log.h"

#include <string.h>

void error_log_init(struct error_log *log)
{
	(void)pthread_mutex_init(&log->mutex, NULL);
	log->count = 0;
	memset(log->entries, 0, sizeof(log->entries));
}

void error_log_deinit(struct error_log *log)
{
	(void)pthread_mutex_destroy(&log->mutex);
}

void error_log_add(struct error_log *log, struct nvme_log_error entry)
{
	(void)pthread_mutex_lock(&log->mutex);
	log->count++;
	entry.error_count = le64_of(log->count);
	log->entries[(log->count - 1) % ERROR_LOG_ENTRIES] = entry;
	(void)pthread_mutex_unlock(&log->mutex);
}

uint64_t error_log_read(struct error_log *log, struct nvme_log_error ret_entries[ERROR_LOG_ENTRIES])
{
	uint64_t count;

	(void)pthread_mutex_lock(&log->mutex);
	count = log->count;
	for (uint64_t i = 0; ret_entries != NULL && i < ERROR_LOG_ENTRIES; i++)
		ret_entries[i] =
			log->entries[(count + 2 * ERROR_LOG_ENTRIES - 1 - i) % ERROR_LOG_ENTRIES];
	(void)pthread_mutex_unlock(&log->mutex);
	return count;
}
