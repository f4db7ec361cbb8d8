/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * core.h - the trees of one domain and what each algorithm does with a page; private.
 *
 * Pure: no lock, no sleep of its own, pages are reached through the functions of the last
 * section only, which engine.c has for the module, and the unit tests for userspace. The
 * caller serialises all calls on one core.
 */
#ifndef _EMYS_KSM_CMD_CORE_H
#define _EMYS_KSM_CMD_CORE_H

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "ksm_cmd.h"

#define DEDUP_PAGE	4096
#define DEDUP_SUBPAGES	4
#define DEDUP_CLASSES	4096	/* most pairs of trees */
#define DEDUP_SHARING	256	/* KSM's default bound on the users of one page */

enum dedup_place {
	DEDUP_NOWHERE,
	DEDUP_UNSTABLE,		/* in the unstable tree of its class, when seq is the core's */
	DEDUP_PROBED,		/* in the tree of probed pages, which merge with nothing */
};

/**
 * struct dedup_item - a page that is a candidate
 * @owner: the surroundings'
 * @index: the page in @owner
 * @hash: emys: of the content it was put into the tree with. cmd-subpage: 16 bits for each
 *	sub-page. Else KSM's checksum
 * @count: cmd-subpage: by sub-page, in how many passes it changed of late, up to 3, halved by each
 *	pass in which it did not. cmd-count: [0] a bit for each of the last 8 passes, set when the
 *	page was written
 * @seen: visited before: @hash and @count hold something
 * @traced: the surroundings': the guest's writes to the page are traced
 */
struct dedup_item {
	struct rb_node node;
	void *owner;
	u64 index;
	u64 hash;
	u8 count[DEDUP_SUBPAGES];
	u16 class;
	u8 place;
	u8 seq : 7, seen : 1;
	bool traced;
};

/**
 * struct dedup_stable - a shared page
 * @node: of the one among equals that has @head set
 * @equals: ring of the shared pages with this content
 * @all: dedup_core.shared
 * @hash: of the content, when @hashed
 * @key: what classed it; the cuts move, and it moves with them
 * @linked: in a tree (or a ring of one)
 */
struct dedup_stable {
	struct rb_node node;
	struct list_head equals;
	struct list_head all;
	u64 hash;
	u16 key[DEDUP_SUBPAGES];
	u16 class;
	bool head, linked, hashed;
};

#define DEDUP_KEYS	264	/* values of one component of a class */

/**
 * struct dedup_cut - how one component is cut into ranges
 * @levels: ranges
 * @level: of each key
 * @hist: pages by key, in this pass
 */
struct dedup_cut {
	u16 levels;
	u16 level[DEDUP_KEYS];
	u32 hist[DEDUP_KEYS];
};

struct dedup_trees {
	struct rb_root stable, unstable;
	u32 nr_stable, nr_unstable;
};

/**
 * struct dedup_core - of one domain
 * @seed: of all hashes: guests must not know which contents collide
 * @end: pages of the largest object, for cmd-address
 * @stats: what the core counts: compared, futile, hash_steps, merged, zeroed, refused,
 *	raced, bytes, volatile_, reclassified; and stable, unstable, class_min and class_max
 *	by dedup_core_census()
 */
struct dedup_core {
	enum dedup_algorithm algorithm;
	u32 classes;
	u8 seq;
	u8 cuts;
	u64 seed;
	u64 end;
	struct dedup_trees *trees;
	struct dedup_cut *cut;
	struct rb_root probed;
	struct list_head shared;
	u64 nr_stable, nr_unstable;
	struct dedup_stats stats;
};

/* What became of the item */
enum dedup_next {
	DEDUP_KEPT,	/* in a tree, or waits for the next pass */
	DEDUP_LATER,	/* in no tree; try again with the next pass */
	DEDUP_GONE,	/* the item was freed: the page is shared, or no candidate */
};

/* @classes as in struct dedup_policy, checked. -ENOMEM. */
int dedup_core_init(struct dedup_core *core, enum dedup_algorithm algorithm, u32 classes, u64 seed);
/*
 * The items have been forgotten, or will never be looked at; the shared pages stay, in new trees.
 * -ENOMEM: nothing has changed.
 */
int dedup_core_switch(struct dedup_core *core, enum dedup_algorithm algorithm, u32 classes);
/* No item is in a tree. Frees no shared page. */
void dedup_core_destroy(struct dedup_core *core);

/* Drop KSM's unstable trees: their items are then nowhere. Of emys they stay. */
void dedup_pass_begin(struct dedup_core *core);
/* Cut the classes again when they are far from balanced. */
void dedup_pass_end(struct dedup_core *core);

/*
 * ksm, cmd-*: a page comes by in its pass. @dirty: written since the last pass
 * (cmd-count). @hold is the item's. -ENOMEM: the item is kept.
 */
int dedup_visit(struct dedup_core *core, struct dedup_item *item, const void *data, void *page,
		bool dirty);
/*
 * emys: a page was written, and had not been in the pass before: look for it among the
 * shared pages. LATER: it should settle when it has not been written again.
 */
int dedup_glance(struct dedup_core *core, struct dedup_item *item, const void *data, void *page);
/*
 * emys: a page has not been written for a pass; @item->seen: nor since it was hashed.
 * Otherwise as dedup_visit().
 */
int dedup_settle(struct dedup_core *core, struct dedup_item *item, const void *data, void *page);
/*
 * Would the page find a partner? 1 or 0; it is remembered for others, unless it is a
 * candidate already, or its partner is.
 */
int dedup_probe(struct dedup_core *core, struct dedup_item *item, const void *data);
/* Two pages are expected to be the same: merge them without a look at the trees first. */
int dedup_pair(struct dedup_core *core, struct dedup_item *item, const void *data, void *page,
	       struct dedup_item *other);
/* Merge with a shared page that is expected to be the same. 0 (the item is freed) or -errno. */
int dedup_join(struct dedup_core *core, struct dedup_item *item, void *page,
	       struct dedup_stable *node);
/* Take the item out of its tree. */
void dedup_forget(struct dedup_core *core, struct dedup_item *item);
/* The shared page is given back: take it out; the caller frees it. */
void dedup_stable_gone(struct dedup_core *core, struct dedup_stable *node);
/* Fill in the "now" fields of core->stats. */
void dedup_core_census(struct dedup_core *core);

/* -- content.c ------------------------------------------ */

/* As memcmp() of two pages; *@bytes += what was read of each. */
int dedup_compare(const void *a, const void *b, u64 *bytes);
bool dedup_is_zero(const void *data, u64 *bytes);
u64 dedup_hash(const void *data, size_t len, u64 seed, u64 *bytes);

/* -- classify.c ------------------------------------------ */

/* Levels of each component, and how many: the classes are their product. */
void dedup_cut_init(struct dedup_cut *cut, u16 levels, u32 keys);
/* Cut by the histogram's quantiles, when that balances much better. Clears the histogram. */
bool dedup_recut(struct dedup_cut *cut);
/*
 * The keys of the item for this pass, its class, and (cmd-subpage) whether it changed since the
 * last pass. Counts into the histograms.
 */
bool dedup_classify(struct dedup_core *core, struct dedup_item *item, const void *data, bool dirty,
		    u16 *key);
/* The class of a shared page of @key. */
u16 dedup_class(const struct dedup_core *core, const u16 *key);
/* Turn the keys of an item into those of a shared page, which changes no more. */
void dedup_key_settle(const struct dedup_core *core, const struct dedup_item *item, u16 *key);

/* -- the surroundings ------------------------------------------ */

/*
 * The content of a candidate, valid until dedup_release(*@page). NULL: it is none any more
 * (not private, in a block, object gone); *@page is NULL then.
 */
const void *dedup_hold(struct dedup_item *item, void **page);
const void *dedup_stable_hold(struct dedup_stable *node, void **page);
/* Likewise of a probed page, which may be in a block. */
const void *dedup_probed_hold(struct dedup_item *item, void **page);
void dedup_release(void *page);
unsigned long dedup_stable_users(const struct dedup_stable *node);

/* Memory for a shared page, zeroed, or NULL; and back when dedup_share() failed. */
struct dedup_stable *dedup_stable_alloc(struct dedup_core *core);
void dedup_stable_free(struct dedup_stable *node);
/*
 * Free an item that is in no tree. @again: its page is not shared, and nothing may have been
 * written; let it settle in the next pass if it is a candidate still.
 */
void dedup_item_free(struct dedup_item *item, bool again);

/* mem_share(), mem_merge(), mem_drop_zero() and mem_unshare() of the item's page */
int dedup_share(struct dedup_item *item, void *page, struct dedup_stable *node);
int dedup_merge(struct dedup_item *item, void *page, struct dedup_stable *node, u64 *bytes);
int dedup_drop_zero(struct dedup_item *item, void *page, u64 *bytes);
void dedup_unshare(struct dedup_item *item);

#endif
