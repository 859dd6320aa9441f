/*
 * Controllers are found by walking their list: that happens once for each connection.
 */
#include "target/subsystem.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "nvme/command.h"
#include "target/controller.h"
#include "target/target.h"
#include "target/target_private.h"

static void make_serial(struct subsystem *subsystem)
{
	uint8_t uuid[UUID_BYTES];

	uuid_from_name(subsystem->nqn, strlen(subsystem->nqn), uuid);
	for (size_t i = 0; i < SUBSYSTEM_SERIAL_LENGTH / 2; i++)
		(void)snprintf(&subsystem->serial[2 * i], 3, "%02X", uuid[i]);
}

int subsystem_new(struct target *target, const char *nqn, bool is_discovery,
	struct subsystem **ret_subsystem)
{
	struct subsystem *subsystem = calloc(1, sizeof(*subsystem));

	if (subsystem == NULL)
		return -ENOMEM;
	subsystem->target = target;
	subsystem->is_discovery = is_discovery;
	(void)snprintf(subsystem->nqn, sizeof(subsystem->nqn), "%s", nqn);
	make_serial(subsystem);
	host_list_init(&subsystem->hosts);
	subsystem->hosts.is_open = is_discovery;
	(void)pthread_mutex_init(&subsystem->mutex, NULL);
	list_init(&subsystem->controllers);
	list_init(&subsystem->counters);
	*ret_subsystem = subsystem;
	return 0;
}

void subsystem_free(struct subsystem *subsystem)
{
	if (subsystem == NULL)
		return;
	assert(list_is_empty(&subsystem->controllers) && list_is_empty(&subsystem->counters));
	host_list_deinit(&subsystem->hosts);
	for (uint32_t i = 0; i < subsystem->namespace_count; i++)
		namespace_deinit(&subsystem->namespaces[i]);
	free(subsystem->namespaces);
	(void)pthread_mutex_destroy(&subsystem->mutex);
	free(subsystem);
}

int subsystem_add_namespace(struct subsystem *subsystem, struct store *store)
{
	uint32_t count = subsystem->namespace_count;
	struct namespace *namespaces;
	struct fence *fence;

	assert(!subsystem->target->is_published);
	if (count == TARGET_NAMESPACES_MAX)
		return -ENOSPC;
	if (fences_add(&subsystem->target->fences, store, &fence) != 0)
		return -ENOMEM;
	namespaces = reallocarray(subsystem->namespaces, count + 1, sizeof(*namespaces));
	if (namespaces == NULL)
		return -ENOMEM;
	subsystem->namespaces = namespaces;
	if (namespace_init(&namespaces[count], count + 1, store, fence) != 0)
		return -ENOMEM;
	subsystem->namespace_count = count + 1;
	return (int)count + 1;
}

int subsystem_allow_host(struct subsystem *subsystem, const char *host_nqn)
{
	assert(!subsystem->target->is_published);
	return host_list_add(&subsystem->hosts, host_nqn);
}

void subsystem_allow_any_host(struct subsystem *subsystem)
{
	assert(!subsystem->target->is_published);
	subsystem->hosts.is_open = true;
}

const char *subsystem_nqn(const struct subsystem *subsystem)
{
	return subsystem->nqn;
}

/* Controllers */

/* The mutex is held. */
static struct controller *find_locked(const struct subsystem *subsystem, uint16_t cntlid)
{
	struct list *link;

	list_for_each (link, &subsystem->controllers) {
		struct controller *controller = container_of(link, struct controller, link);

		if (controller->cntlid == cntlid)
			return controller;
	}
	return NULL;
}

/* The mutex is held. @return an id that is free, the one after the last given if possible: a late
 * Connect to a controller that has ended must not find another in its place. */
static uint16_t next_cntlid(const struct subsystem *subsystem)
{
	uint16_t cntlid = subsystem->last_cntlid;

	do
		cntlid = cntlid >= NVME_CNTLID_MAX ? 1 : (uint16_t)(cntlid + 1);
	while (find_locked(subsystem, cntlid) != NULL);
	return cntlid;
}

/* What one host has. */
struct share {
	unsigned controller_count, io_queue_count;
};

/* The mutex is held. */
static struct share share_of(const struct subsystem *subsystem, const char *host_nqn)
{
	struct share share = {0};
	struct list *link;

	list_for_each (link, &subsystem->controllers) {
		const struct controller *controller = container_of(link, struct controller, link);

		if (strcmp(controller->host.nqn, host_nqn) != 0)
			continue;
		share.controller_count++;
		share.io_queue_count += controller->io_queue_count;
	}
	return share;
}

/* The mutex is held. */
static const char *controller_refusal(const struct subsystem *subsystem, const char *host_nqn)
{
	if (subsystem->is_closed)
		return "the target shuts down";
	if (subsystem->controller_count >= TARGET_CONTROLLERS_MAX)
		return "there are as many controllers as there may be";
	if (share_of(subsystem, host_nqn).controller_count >=
		subsystem->target->limits.host_controllers_max)
		return "the host has as many controllers as it may have";
	return NULL;
}

const char *subsystem_enter(struct subsystem *subsystem, struct controller *controller)
{
	const char *refusal;

	(void)pthread_mutex_lock(&subsystem->mutex);
	refusal = controller_refusal(subsystem, controller->host.nqn);
	if (refusal == NULL) {
		controller->cntlid = next_cntlid(subsystem);
		subsystem->last_cntlid = controller->cntlid;
		list_append(&subsystem->controllers, &controller->link);
		subsystem->controller_count++;
	}
	(void)pthread_mutex_unlock(&subsystem->mutex);
	return refusal;
}

const char *subsystem_add_queue(struct subsystem *subsystem, struct controller *controller)
{
	unsigned queues_max = subsystem->target->limits.host_queues_max;
	bool has_room;

	(void)pthread_mutex_lock(&subsystem->mutex);
	has_room = share_of(subsystem, controller->host.nqn).io_queue_count < queues_max;
	if (has_room)
		controller->io_queue_count++;
	(void)pthread_mutex_unlock(&subsystem->mutex);
	return has_room ? NULL : "the host has as many I/O queues as it may have";
}

void subsystem_remove_queue(struct subsystem *subsystem, struct controller *controller)
{
	(void)pthread_mutex_lock(&subsystem->mutex);
	controller->io_queue_count--;
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

void subsystem_leave(struct subsystem *subsystem, struct controller *controller)
{
	(void)pthread_mutex_lock(&subsystem->mutex);
	list_remove(&controller->link);
	subsystem->controller_count--;
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

struct controller *subsystem_find_controller(struct subsystem *subsystem, uint16_t cntlid)
{
	struct controller *controller;

	(void)pthread_mutex_lock(&subsystem->mutex);
	controller = find_locked(subsystem, cntlid);
	if (controller != NULL)
		controller_ref(controller);
	(void)pthread_mutex_unlock(&subsystem->mutex);
	return controller;
}

void subsystem_close(struct subsystem *subsystem)
{
	struct list *link;

	(void)pthread_mutex_lock(&subsystem->mutex);
	if (!subsystem->is_closed) {
		subsystem->is_closed = true;
		list_for_each (link, &subsystem->controllers)
			controller_post_end(container_of(link, struct controller, link));
	}
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

void subsystem_note_namespace(struct subsystem *subsystem, uint32_t nsid)
{
	struct list *link;

	(void)pthread_mutex_lock(&subsystem->mutex);
	list_for_each (link, &subsystem->controllers)
		controller_note_namespace(container_of(link, struct controller, link), nsid);
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

void subsystem_note_discovery(struct subsystem *subsystem)
{
	struct list *link;

	(void)pthread_mutex_lock(&subsystem->mutex);
	list_for_each (link, &subsystem->controllers)
		controller_note_discovery(container_of(link, struct controller, link));
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

/* Counters */

void subsystem_add_counters(struct subsystem *subsystem, struct counters *counters)
{
	(void)pthread_mutex_lock(&subsystem->mutex);
	list_append(&subsystem->counters, &counters->link);
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

void subsystem_retire_counters(struct subsystem *subsystem, struct counters *counters)
{
	(void)pthread_mutex_lock(&subsystem->mutex);
	counters_add_to(counters, &subsystem->retired);
	list_remove(&counters->link);
	(void)pthread_mutex_unlock(&subsystem->mutex);
}

void subsystem_total(struct subsystem *subsystem, struct counter_totals *ret_totals)
{
	struct list *link;

	(void)pthread_mutex_lock(&subsystem->mutex);
	*ret_totals = subsystem->retired;
	list_for_each (link, &subsystem->counters)
		counters_add_to(container_of(link, struct counters, link), ret_totals);
	(void)pthread_mutex_unlock(&subsystem->mutex);
}
