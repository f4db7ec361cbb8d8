/* SPDX-License-Identifier: GPL-2.0-only */
/* Doubly linked rings with the kernel's names, as far as the pure files use them */
#ifndef _EMYS_SHIM_LIST_H
#define _EMYS_SHIM_LIST_H

#include <stdbool.h>
#include <stddef.h>

#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline void list_add(struct list_head *entry, struct list_head *after)
{
	entry->next = after->next;
	entry->prev = after;
	after->next->prev = entry;
	after->next = entry;
}

static inline void list_add_tail(struct list_head *entry, struct list_head *before)
{
	list_add(entry, before->prev);
}

static inline void list_del_init(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	INIT_LIST_HEAD(entry);
}

#define list_entry(p, type, member)		container_of(p, type, member)
#define list_first_entry(h, type, member)	list_entry((h)->next, type, member)
#define list_next_entry(e, member) \
	list_entry((e)->member.next, __typeof__(*(e)), member)
#define list_for_each_entry(e, h, member)				\
	for (e = list_entry((h)->next, __typeof__(*(e)), member);	\
	     &(e)->member != (h); e = list_next_entry(e, member))

#endif
