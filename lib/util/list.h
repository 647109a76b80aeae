/* SPDX-License-Identifier: BSD-2-Clause */
/* Intrusive doubly linked lists, as in the kernel and OVS: a head is a `struct list` too. */
#ifndef TENON_UTIL_LIST_H
#define TENON_UTIL_LIST_H

#include <stdbool.h>

#include "util/bytes.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert(struct list *item, struct list *prev, struct list *next)
{
	item->prev = prev;
	item->next = next;
	prev->next = next->prev = item;
}

static inline void list_add_tail(struct list *head, struct list *item)
{
	list_insert(item, head->prev, head);
}

static inline void list_add_head(struct list *head, struct list *item)
{
	list_insert(item, head, head->next);
}

/* Leaves `item` an empty list, so that removing it twice does no harm. */
static inline void list_remove(struct list *item)
{
	item->next->prev = item->prev;
	item->prev->next = item->next;
	list_init(item);
}

/* Removes and returns the first item, or NULL. */
static inline struct list *list_pop(struct list *head)
{
	struct list *item = head->next;

	if (item == head)
		return NULL;
	list_remove(item);
	return item;
}

#define list_entry(item, type, member) container_of(item, type, member)

/* `at` is a `struct list *`; the safe form lets the body remove `at`. */
#define list_for_each(at, head) for (struct list *at = (head)->next; at != (head); at = at->next)
#define list_for_each_safe(at, head)                                                               \
	for (struct list *at = (head)->next, *at##_next = at->next; at != (head);                  \
	     at = at##_next, at##_next = at->next)

#endif
