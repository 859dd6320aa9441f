/*
 * Sources are few, and are walked once for each connection.
 */
#include "serve/admission.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "loop/address.h"

struct count {
	unsigned connections, pending;
};

/* An address from which connections have come, as long as there is one. */
struct admission_source {
	struct list link;
	struct count count;
	char host[ADDRESS_TEXT_MAX];
};

struct admission {
	struct admission_limits limits;
	pthread_mutex_t mutex; /* innermost; guards what follows */
	struct count count;
	struct list sources;
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
	if (admission->count.pending >= admission->limits.pending_max)
		return "too many connections have not sent their Connect";
	return NULL;
}

static const char *source_refusal(const struct admission *admission,
	const struct admission_source *source)
{
	if (source->count.connections >= admission->limits.source_connections_max)
		return "its address has as many connections as it may have";
	if (source->count.pending >= admission->limits.source_pending_max)
		return "too many connections from its address have not sent their Connect";
	return NULL;
}

static void count_up(struct count *count)
{
	count->connections++;
	count->pending++;
}

static void count_down(struct count *count, bool is_pending)
{
	assert(count->connections > 0 && (!is_pending || count->pending > 0));
	count->connections--;
	count->pending -= is_pending;
}

/* The mutex is held. */
static const char *enter(struct admission *admission, const char *host,
	struct admission_source **ret_source)
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
	count_up(&admission->count);
	count_up(&source->count);
	*ret_source = source;
	return NULL;
}

const char *admission_enter(struct admission *admission, const struct sockaddr_storage *peer,
	struct admission_source **ret_source)
{
	char host[ADDRESS_TEXT_MAX];
	const char *why;

	address_host_to_text(peer, host);
	(void)pthread_mutex_lock(&admission->mutex);
	why = enter(admission, host, ret_source);
	(void)pthread_mutex_unlock(&admission->mutex);
	return why;
}

void admission_establish(struct admission *admission, struct admission_source *source)
{
	(void)pthread_mutex_lock(&admission->mutex);
	assert(admission->count.pending > 0 && source->count.pending > 0);
	admission->count.pending--;
	source->count.pending--;
	(void)pthread_mutex_unlock(&admission->mutex);
}

void admission_leave(struct admission *admission, struct admission_source *source, bool is_pending)
{
	(void)pthread_mutex_lock(&admission->mutex);
	count_down(&admission->count, is_pending);
	count_down(&source->count, is_pending);
	forget_if_unused(source);
	(void)pthread_mutex_unlock(&admission->mutex);
}
