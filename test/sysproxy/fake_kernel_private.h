/*
 * What the two halves of the fake kernel know of each other.
 */
#ifndef FERRY_TEST_SYSPROXY_FAKE_KERNEL_PRIVATE_H
#define FERRY_TEST_SYSPROXY_FAKE_KERNEL_PRIVATE_H

#include <pthread.h>

#include "base/list.h"
#include "test/sysproxy/fake_kernel.h"

struct fake_process {
	struct list link;
	struct ferry_process *handle;
	uint64_t id, parent_id;
	unsigned lwp_count;
};

struct fake_lwp {
	struct fake_process *process;
	struct ferry_lwp *handle;
	unsigned cancel_count; /* of the call in progress */
	bool is_calling;
	bool is_blocked;
	pthread_cond_t wake; /* while it is blocked: a thousand are not woken for one */
	uint64_t channel;
	struct list link; /* in blocked */
};

struct fake_kernel {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t holder;
	bool is_held; /* the lock, by holder */
	pthread_key_t current;
	struct list processes;
	struct list blocked; /* of struct fake_lwp */
	unsigned blocked_count, lwp_count, process_count;
	uint64_t last_id;
	unsigned release_count;
	int refusal;
	bool is_holding, is_waiting;
	struct fake_counts counts;
	struct {
		bool is_full;
		uint64_t value;
	} pipes[FAKE_PIPES];
	uint8_t *tally;
	uint64_t tally_count;
	char text[FAKE_TEXT_MAX];
};

/** Fails unless this thread holds the lock. */
void fake_kernel_expect_held(const struct fake_kernel *kernel);

/** Wait for fake_kernel_tell(), without the lock. */
void fake_kernel_sleep(struct fake_kernel *kernel);

/** Wait for @wake, without the lock. */
void fake_kernel_sleep_on(struct fake_kernel *kernel, pthread_cond_t *wake);

/** Something has changed that others may wait for. */
void fake_kernel_tell(struct fake_kernel *kernel);

/** Raise @signal for the process with id @id; the lock is held. @return whether there is one. */
bool fake_kernel_raise_for(struct fake_kernel *kernel, uint64_t id, int signal);

/** Remember a string. */
void fake_kernel_note(struct fake_kernel *kernel, const char *text);

/** Answer a call. @return 0 or -errno. */
int fake_kernel_answer(struct fake_kernel *kernel, struct fake_lwp *lwp,
	const struct ferry_kernel_call *call, int64_t *ret_values);

#endif
