/*
 * A list behind a lock; that there is nothing, the usual case, is seen without it.
 */
#include "sysproxy/signals.h"

#include <string.h>

void signals_init(struct signals *signals)
{
	(void)pthread_mutex_init(&signals->lock, NULL);
	atomic_init(&signals->count, 0);
	atomic_init(&signals->is_told, false);
}

void signals_deinit(struct signals *signals)
{
	(void)pthread_mutex_destroy(&signals->lock);
}

bool signals_add(struct signals *signals, int signal)
{
	unsigned count, index = 0;

	(void)pthread_mutex_lock(&signals->lock);
	count = atomic_load_explicit(&signals->count, memory_order_relaxed);
	while (index < count && signals->values[index] != (uint32_t)signal)
		index++;
	if (index == count && count < SIGNALS_MAX) {
		signals->values[count] = (uint32_t)signal;
		atomic_store_explicit(&signals->count, count + 1, memory_order_release);
	}
	(void)pthread_mutex_unlock(&signals->lock);
	return !atomic_exchange(&signals->is_told, true);
}

void signals_heard(struct signals *signals)
{
	atomic_store(&signals->is_told, false);
}

size_t signals_take(struct signals *signals, uint8_t ret_frames[SIGNALS_BYTES_MAX])
{
	size_t bytes = 0;
	unsigned count;

	if (!signals_are_waiting(signals))
		return 0;
	(void)pthread_mutex_lock(&signals->lock);
	count = atomic_load_explicit(&signals->count, memory_order_relaxed);
	for (unsigned i = 0; i < count; i++) {
		const struct wire_frame frame = {
			.class = WIRE_REQUEST,
			.type = WIRE_RAISE,
			.aux = signals->values[i],
		};
		struct wire_header header;

		wire_header_put(&header, &frame, 0);
		memcpy(ret_frames + bytes, &header, sizeof(header));
		bytes += sizeof(header);
	}
	atomic_store_explicit(&signals->count, 0, memory_order_release);
	(void)pthread_mutex_unlock(&signals->lock);
	return bytes;
}
