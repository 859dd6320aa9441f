/*
 * An array that is searched from end to end: it is looked at once for each connection.
 */
#include "target/host_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nvme/nqn.h"
#include "target/target.h"

void host_list_init(struct host_list *list)
{
	*list = (struct host_list){0};
}

void host_list_deinit(struct host_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->nqns[i]);
	free(list->nqns);
	host_list_init(list);
}

static bool host_list_has(const struct host_list *list, const char *nqn)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->nqns[i], nqn) == 0)
			return true;
	}
	return false;
}

int host_list_add(struct host_list *list, const char *nqn)
{
	char **nqns;

	if (!nvme_nqn_is_acceptable(nqn))
		return -EINVAL;
	if (host_list_has(list, nqn))
		return 0;
	if (list->count == TARGET_HOSTS_MAX)
		return -ENOSPC;
	nqns = reallocarray(list->nqns, list->count + 1, sizeof(*nqns));
	if (nqns == NULL)
		return -ENOMEM;
	list->nqns = nqns;
	nqns[list->count] = strdup(nqn);
	if (nqns[list->count] == NULL)
		return -ENOMEM;
	list->count++;
	return 0;
}

bool host_list_allows(const struct host_list *list, const char *nqn)
{
	return list->is_open || host_list_has(list, nqn);
}
