/*
 * A circular doubly linked list whose links lie inside its elements. A head is a link that belongs
 * to no element. An element that is in no list has a link to itself (list_init), so that
 * list_remove() may be called on it at any time.
 */
#ifndef FERRY_BASE_LIST_H
#define FERRY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *previous;
};

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define list_for_each(link, head) \
	for ((link) = (head)->next; (link) != (head); (link) = (link)->next)

/* As list_for_each; the current element may be removed. */
#define list_for_each_safe(link, following, head)                                 \
	for ((link) = (head)->next, (following) = (link)->next; (link) != (head); \
		(link) = (following), (following) = (link)->next)

static inline void list_init(struct list *list)
{
	list->next = list;
	list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

/** Put @link, which is in no list, at the end of the list @head. */
static inline void list_append(struct list *head, struct list *link)
{
	link->previous = head->previous;
	link->next = head;
	head->previous->next = link;
	head->previous = link;
}

/** Take @link out of its list; nothing happens if it is in none. */
static inline void list_remove(struct list *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
	list_init(link);
}

/** Take out the first element. @return its link, NULL if the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

#endif
