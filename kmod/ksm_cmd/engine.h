/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine.h - the engine of a domain: its core, its objects, where the scan is; private.
 *
 * Lock keys: [L] lock, (c) constant, (a) atomic. Order: scan_lock, engines_lock, lock, then those
 * of kmod/mem.
 */
#ifndef _EMYS_KSM_CMD_ENGINE_H
#define _EMYS_KSM_CMD_ENGINE_H

#include <linux/bitmap.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/xarray.h>

#include "../mem/owned.h"
#include "core.h"

#define ENGINE_CHUNK	32768UL		/* pages that are harvested at once: 128 MiB */

/**
 * struct dedup_object - a memory object of the domain
 * @obj: with a reference
 * @items: by index
 * @late: emys: by chunk, a bitmap of the pages to look at in the next pass although they may be
 *	clean
 * @fresh: emys: not all of its pages have been looked at
 * @visited: emys: candidates looked at in this pass
 */
struct dedup_object {
	struct list_head link;
	struct mem_object *obj;
	u32 id;
	bool fresh;
	u64 visited;
	struct xarray items;
	struct xarray late;
};

struct dedup_engine {
	u32 domain;			/* (c) */
	refcount_t ref;			/* (a) the table's, and the users' */
	struct mutex scan_lock;		/* who scans, for as long as it takes */
	struct mutex lock;
	struct dedup_policy policy;	/* [L], run also read without */
	bool chosen;			/* [L] the policy was set */
	bool used;			/* [L] there were objects */
	struct dedup_core core;		/* [L] */
	struct list_head objects;	/* [L] dedup_object */
	long nr_shared;			/* [L] dedup_stable that exist */
	struct llist_head gone;		/* (a) shared pages that were given back */

	bool in_pass;			/* [L] and what follows */
	struct dedup_object *at;	/* NULL: the pass is at its end */
	pgoff_t next;			/* in @at */
	pgoff_t chunk;			/* of @at that is harvested, ULONG_MAX: none */
	unsigned long *dirty;		/* of @chunk */
	u32 traces;			/* pages that may still be traced in this pass */
	struct dedup_stats begin;	/* the counters when the pass began */
	u32 rate;
	u64 due;			/* ktime of the next turn, the thread's own */
};

/* engine.c */
int engine_check_policy(const struct dedup_policy *policy, const char **bad);
/* With a reference. ERR_PTR: -EINVAL (domain 0), -ENOMEM; find: NULL. */
struct dedup_engine *engine_get(u32 domain);
struct dedup_engine *engine_find(u32 domain);
struct dedup_engine *engine_next(u32 after);
void engine_put(struct dedup_engine *engine);
/* Free what was given back. [L] */
void engine_reap(struct dedup_engine *engine);
/* Drop the objects that left the domain or are dead. [L] */
void engine_drop_left(struct dedup_engine *engine);
/* And take in new ones. [L] -ENOMEM. */
int engine_sync(struct dedup_engine *engine);
/*
 * Where domains are scanned by default, make engines for those that have objects. False: they
 * are not.
 */
bool engine_make_default(void);
/* [L] On to the object behind @engine->at. */
void engine_go_on(struct dedup_engine *engine);
/* Take the engine out of the table when nothing needs it. */
void engine_retire(struct dedup_engine *engine);
/* [L] The object, taken in when it is new. -ENOMEM. */
struct dedup_object *engine_object(struct dedup_engine *engine, struct mem_object *obj);
/* [L] The item at @index, made when there is none, or NULL. */
struct dedup_item *object_item(struct dedup_object *dobj, pgoff_t index);
/* [L] Drop the items in [first, end). */
void object_drop_items(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t first,
		       pgoff_t end);
/*
 * [L] The same where there are no candidates: probed pages stay, but those that are @dirty
 * (of the chunk with @first; or NULL).
 */
void object_drop_others(struct dedup_engine *engine, struct dedup_object *dobj, pgoff_t first,
			pgoff_t end, const unsigned long *dirty);
/* [L] The bitmap of pages to look at again of the chunk with @index, or NULL. */
unsigned long *object_late(struct dedup_object *dobj, pgoff_t index);
/* The same, made when there is none; NULL: no memory. */
unsigned long *object_late_make(struct dedup_object *dobj, pgoff_t index);

/* scan.c */
/* [L] Begin a pass, whatever was under way. -ENOMEM. */
int scan_begin(struct dedup_engine *engine);
/*
 * [L] Go on with the pass, or begin one, for @budget pages. 1: the pass ended, 0: it goes on,
 * -ENOMEM: try again later.
 */
int scan_step(struct dedup_engine *engine, u32 budget);

/* thread.c */
int thread_init(void);
void thread_exit(void);
/* There is something to do, or something changed. */
void thread_wake(void);

#endif
