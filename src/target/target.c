/*
 * The target as a whole: putting it together, and taking it down.
 */
#include "target/target.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "nvme/nqn.h"
#include "target/subsystem.h"
#include "target/target_private.h"

struct target_limits target_limits_default(void)
{
	return (struct target_limits){
		.admin_entries_max = 4096,
		.io_entries_max = 1024,
		.io_queues_max = 128,
		.mdts = 8,
		.capsule_bytes = 16384,
		.host_controllers_max = 256,
		.host_queues_max = 1024,
	};
}

static bool limits_are_legal(const struct target_limits *limits)
{
	return limits->admin_entries_max >= 32 && limits->admin_entries_max <= 4096 &&
		limits->io_entries_max >= 2 && limits->io_entries_max <= 1024 &&
		limits->io_queues_max >= 1 && limits->io_queues_max <= 128 && limits->mdts >= 1 &&
		limits->mdts <= 9 && limits->capsule_bytes <= 65536 &&
		limits->capsule_bytes % 16 == 0 && limits->host_controllers_max >= 1 &&
		limits->host_controllers_max <= TARGET_CONTROLLERS_MAX &&
		limits->host_queues_max >= 1 && limits->host_queues_max <= TARGET_HOST_QUEUES_MAX;
}

int target_new(const struct target_limits *limits, struct log *log, struct target **ret_target)
{
	struct target *target = calloc(1, sizeof(*target));
	int error;

	if (target == NULL)
		return -ENOMEM;
	target->limits = limits != NULL ? *limits : target_limits_default();
	assert(limits_are_legal(&target->limits));
	target->log = log;
	(void)pthread_mutex_init(&target->mutex, NULL);
	fences_init(&target->fences, target);
	target->generation = 1;
	error = subsystem_new(target, NVME_NQN_DISCOVERY, true, &target->discovery);
	if (error != 0) {
		fences_deinit(&target->fences);
		(void)pthread_mutex_destroy(&target->mutex);
		free(target);
		return error;
	}
	*ret_target = target;
	return 0;
}

void target_free(struct target *target)
{
	if (target == NULL)
		return;
	assert(target_is_idle(target));
	for (size_t i = 0; i < target->subsystem_count; i++)
		subsystem_free(target->subsystems[i]);
	free(target->subsystems);
	subsystem_free(target->discovery);
	fences_deinit(&target->fences);
	(void)pthread_mutex_destroy(&target->mutex);
	free(target);
}

bool target_is_idle(const struct target *target)
{
	return atomic_load_explicit(&target->part_count, memory_order_acquire) == 0;
}

const struct target_limits *target_limits(const struct target *target)
{
	return &target->limits;
}

struct subsystem *target_find_subsystem(const struct target *target, const char *nqn)
{
	if (strcmp(nqn, NVME_NQN_DISCOVERY) == 0)
		return target->discovery;
	for (size_t i = 0; i < target->subsystem_count; i++) {
		if (strcmp(nqn, target->subsystems[i]->nqn) == 0)
			return target->subsystems[i];
	}
	return NULL;
}

int target_add_subsystem(struct target *target, const char *nqn, struct subsystem **ret_subsystem)
{
	struct subsystem **subsystems;
	int error;

	assert(!target->is_published);
	if (!nvme_nqn_is_standard(nqn))
		return -EINVAL;
	if (target_find_subsystem(target, nqn) != NULL)
		return -EEXIST;
	if (target->subsystem_count == TARGET_SUBSYSTEMS_MAX)
		return -ENOSPC;
	subsystems = reallocarray(target->subsystems, target->subsystem_count + 1,
		sizeof(struct subsystem *));
	if (subsystems == NULL)
		return -ENOMEM;
	target->subsystems = subsystems;
	error = subsystem_new(target, nqn, false, &subsystems[target->subsystem_count]);
	if (error != 0)
		return error;
	*ret_subsystem = subsystems[target->subsystem_count++];
	target->generation++;
	return 0;
}

int target_add_address(struct target *target, const struct target_address *address)
{
	bool is_full;

	(void)pthread_mutex_lock(&target->mutex);
	is_full = target->address_count == TARGET_ADDRESSES_MAX;
	if (!is_full) {
		target->addresses[target->address_count++] = *address;
		target->generation++;
	}
	(void)pthread_mutex_unlock(&target->mutex);
	if (is_full)
		return -ENOSPC;
	subsystem_note_discovery(target->discovery);
	return 0;
}

size_t target_count_addresses(struct target *target)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&target->mutex);
	for (size_t i = 0; i < target->address_count; i++)
		count += !target->addresses[i].is_for_discovery;
	(void)pthread_mutex_unlock(&target->mutex);
	return count;
}

void target_publish(struct target *target)
{
	target->is_published = true;
}

/* What is behind the end has gone with its marks: it comes back as new blocks. */
static void forget_lost_blocks(const struct namespace *namespace)
{
	int error = bad_blocks_clear(namespace->bad_blocks, namespace_block_count(namespace),
		UINT64_MAX);

	assert(error == 0);
}

void target_note_store(struct target *target, const struct store *store)
{
	for (size_t i = 0; i < target->subsystem_count; i++) {
		struct subsystem *subsystem = target->subsystems[i];

		for (uint32_t j = 0; j < subsystem->namespace_count; j++) {
			if (subsystem->namespaces[j].store != store)
				continue;
			forget_lost_blocks(&subsystem->namespaces[j]);
			subsystem_note_namespace(subsystem, j + 1);
		}
	}
}

void target_shut_down(struct target *target)
{
	subsystem_close(target->discovery);
	for (size_t i = 0; i < target->subsystem_count; i++)
		subsystem_close(target->subsystems[i]);
}
