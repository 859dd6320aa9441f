/*
 * Sources are few, and are walked once for each connection.
 */
#include "serve/admission.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/address.h"

struct count {
	unsigned connections, pending;
};

/* An address from which connections have come, as long as there is one. */
struct admission_source {
	struct list link;
	struct count count;
	struct list pending; /* of struct admission_entry, the oldest first */
	char host[ADDRESS_TEXT_MAX];
};

struct admission {
	struct admission_limits limits;
	pthread_mutex_t mutex; /* innermost; guards what follows */
	struct count count;
	struct list sources;
	uint64_t order;
};

struct admission *admission_new(const struct admission_limits *limits)
{
	struct admission *admission = calloc(1, sizeof(*admission));

	if (admission == NULL)
		return NULL;
	admission->limits = *limits;
	(void)pthread_mutex_init(&admission->mutex, NULL);
	list_init(&admission->sources);
	return admission;
}

void admission_free(struct admission *admission)
{
	if (admission == NULL)
		return;
	while (!list_is_empty(&admission->sources))
		free(container_of(list_take_first(&admission->sources), struct admission_source,
			link));
	(void)pthread_mutex_destroy(&admission->mutex);
	free(admission);
}

/* The mutex is held. @return the source @host, made if there is none, or NULL without memory. */
static struct admission_source *find_source(struct admission *admission, const char *host)
{
	struct admission_source *source;
	struct list *link;

	list_for_each (link, &admission->sources) {
		source = container_of(link, struct admission_source, link);
		if (strcmp(source->host, host) == 0)
			return source;
	}
	source = calloc(1, sizeof(*source));
	if (source == NULL)
		return NULL;
	list_init(&source->pending);
	(void)snprintf(source->host, sizeof(source->host), "%s", host);
	list_append(&admission->sources, &source->link);
	return source;
}

/* The mutex is held. */
static void forget_if_unused(struct admission_source *source)
{
	if (source->count.connections > 0)
		return;
	list_remove(&source->link);
	free(source);
}

static const char *refusal(const struct admission *admission)
{
	if (admission->count.connections >= admission->limits.connections_max)
		return "there are as many connections as are served at one time";
	return NULL;
}

static const char *source_refusal(const struct admission *admission,
	const struct admission_source *source)
{
	if (source->count.connections >= admission->limits.source_connections_max)
		return "its address has as many connections as it may have";
	return NULL;
}

static struct admission_entry *oldest_of(const struct admission_source *source)
{
	return container_of(source->pending.next, struct admission_entry, link);
}

/* The mutex is held, and something is pending. */
static struct admission_source *fullest_source(const struct admission *admission)
{
	struct admission_source *fullest = NULL;
	struct list *link;

	list_for_each (link, &admission->sources) {
		struct admission_source *source = container_of(link, struct admission_source, link);
		unsigned most = fullest != NULL ? fullest->count.pending : 0;

		if (source->count.pending > most ||
			(most > 0 && source->count.pending == most &&
				oldest_of(source)->order < oldest_of(fullest)->order))
			fullest = source;
	}
	return fullest;
}

/* The mutex is held. */
static void end_pending(struct admission *admission, struct admission_entry *entry)
{
	if (!entry->is_pending)
		return;
	entry->is_pending = false;
	list_remove(&entry->link);
	admission->count.pending--;
	entry->source->count.pending--;
}

/* The mutex is held. @return the entry that has lost its place, NULL if there is room for all. */
static struct admission_entry *take_place(struct admission *admission,
	const struct admission_source *newest)
{
	struct admission_entry *loser;

	if (newest->count.pending > admission->limits.source_pending_max)
		loser = oldest_of(newest);
	else if (admission->count.pending > admission->limits.pending_max)
		loser = oldest_of(fullest_source(admission));
	else
		return NULL;
	end_pending(admission, loser);
	loser->is_lost = true;
	return loser;
}

/* The mutex is held. */
static const char *enter(struct admission *admission, const char *host,
	struct admission_entry *entry, struct admission_entry **ret_loser)
{
	const char *why = refusal(admission);
	struct admission_source *source;

	if (why != NULL)
		return why;
	source = find_source(admission, host);
	if (source == NULL)
		return "out of memory";
	why = source_refusal(admission, source);
	if (why != NULL)
		return why;
	*entry = (struct admission_entry){
		.source = source,
		.order = admission->order++,
		.is_pending = true,
	};
	admission->count.connections++;
	admission->count.pending++;
	source->count.connections++;
	source->count.pending++;
	list_append(&source->pending, &entry->link);
	*ret_loser = take_place(admission, source);
	return NULL;
}

const char *admission_enter(struct admission *admission, const struct sockaddr_storage *peer,
	struct admission_entry *entry, struct admission_entry **ret_loser)
{
	char host[ADDRESS_TEXT_MAX];
	const char *why;

	address_host_to_text(peer, host);
	(void)pthread_mutex_lock(&admission->mutex);
	why = enter(admission, host, entry, ret_loser);
	(void)pthread_mutex_unlock(&admission->mutex);
	return why;
}

void admission_establish(struct admission *admission, struct admission_entry *entry)
{
	(void)pthread_mutex_lock(&admission->mutex);
	end_pending(admission, entry);
	(void)pthread_mutex_unlock(&admission->mutex);
}

bool admission_leave(struct admission *admission, struct admission_entry *entry)
{
	bool is_lost;

	(void)pthread_mutex_lock(&admission->mutex);
	assert(admission->count.connections > 0 && entry->source->count.connections > 0);
	end_pending(admission, entry);
	admission->count.connections--;
	entry->source->count.connections--;
	forget_if_unused(entry->source);
	is_lost = entry->is_lost;
	(void)pthread_mutex_unlock(&admission->mutex);
	return is_lost;
}
