// SPDX-License-Identifier: GPL-2.0-only
/* Ranges of the EPT: zap, write-protect, harvest flags, visit */

#include <linux/minmax.h>

#include "table.h"

/* WRITE excludes all but the CPU's flags, so an exchange gets the last word */
static u64 take_leaf(u64 *entry, int level, gfn_t gfn, struct ept_zap *zap)
{
	u64 old = xchg(entry, 0);

	if (zap->leaf)
		zap->leaf(zap->ctx, gfn, level, old);
	return old;
}

/*
 * Leaves are emptied one by one, although the table goes anyway: a CPU that has
 * the way to the table cached may set D in it until the flush, and an emptied
 * leaf is the only one whose flags are final. Entries that name tables stay, as
 * all that they lead to is empty, and freed only after the flush.
 */
u64 ept_remove_table(struct ept_root *root, u64 *table, int level, gfn_t gfn,
		     struct ept_zap *zap)
{
	long leaves = 0, tables = 0;
	u64 ad = 0;
	int i;

	for (i = 0; i < EPT_ENTRIES; i++, gfn += ept_level_gfns(level)) {
		u64 old = READ_ONCE(table[i]);

		if (!ept_present(old))
			continue;
		if (ept_is_leaf(old, level)) {
			ad |= take_leaf(&table[i], level, gfn, zap);
			leaves++;
		} else if (ept_is_link(old)) {
			(void)xchg(&table[i], 0);
		} else {
			ad |= ept_remove_table(root, ept_table(old), level - 1,
					       gfn, zap);
			tables++;
		}
	}
	if (leaves)
		ept_count_leaves(root, level, -leaves);
	if (tables)
		atomic64_sub(tables, &root->tables);
	ept_zap_push(zap, table);
	return ad & (EPT_A | EPT_D);
}

struct zap_range {
	struct ept_root *root;
	gfn_t start, end;
	unsigned int flags;
	struct ept_cache *cache;
	struct ept_zap *zap;
};

static bool zap_entry(const struct zap_range *r, u64 *entry, int level,
		      gfn_t gfn);

static bool zap_table(const struct zap_range *r, u64 *table, int level,
		      gfn_t gfn)
{
	gfn_t step = ept_level_gfns(level);
	gfn_t first = max(gfn, r->start & ~(step - 1));
	gfn_t last = min(gfn + EPT_ENTRIES * step, r->end);
	bool flush = false;

	for (gfn = first; gfn < last; gfn += step)
		flush |= zap_entry(r, &table[ept_index(gfn, level)], level, gfn);
	return flush;
}

static bool zap_entry(const struct zap_range *r, u64 *entry, int level,
		      gfn_t gfn)
{
	bool whole = r->start <= gfn && gfn + ept_level_gfns(level) <= r->end;
	u64 old = READ_ONCE(*entry);

	if (!ept_present(old))
		return false;

	if (ept_is_leaf(old, level)) {
		if (whole || !(r->flags & EPT_ZAP_SPLIT) ||
		    ept_split_entry(r->root, r->cache, entry, level)) {
			take_leaf(entry, level, gfn, r->zap);
			ept_count_leaves(r->root, level, -1);
			return true;
		}
		old = READ_ONCE(*entry);
	}
	if (ept_is_link(old)) {
		(void)xchg(entry, 0);
		return true;
	}

	if (!whole)
		return zap_table(r, ept_table(old), level - 1, gfn);

	ept_remove_table(r->root, ept_table(old), level - 1, gfn, r->zap);
	(void)xchg(entry, 0);
	atomic64_dec(&r->root->tables);
	return true;
}

bool ept_zap_range(struct ept_root *root, gfn_t start, gfn_t end,
		   unsigned int flags, struct ept_cache *cache,
		   struct ept_zap *zap)
{
	struct zap_range r = {
		.root = root,
		.start = start,
		.end = end,
		.flags = flags,
		.cache = cache,
		.zap = zap,
	};

	return zap_table(&r, root->pml4, EPT_LEVELS, 0);
}

void ept_zap_free(struct ept_zap *zap)
{
	while (zap->tables) {
		void *table = zap->tables;

		zap->tables = ept_page_next(table);
		ept_page_free(table);
	}
	zap->nr_tables = 0;
}

/* What a leaf operation says; LEAF_AGAIN: the entry changed under it */
enum leaf_result { LEAF_NEXT, LEAF_AGAIN, LEAF_STOP };

struct leaf_range {
	gfn_t start, end;
	enum leaf_result (*op)(struct leaf_range *r, u64 *entry, u64 old,
			       int level, gfn_t gfn);
	bool ad;
	bool changed;
	int ret;
	u64 want, clear;
	union {
		void (*harvest)(void *ctx, gfn_t gfn, int level, u64 bits);
		int (*visit)(void *ctx, gfn_t gfn, int level, u64 entry);
	};
	void *ctx;
};

static bool each_leaf(struct leaf_range *r, u64 *table, int level, gfn_t gfn)
{
	gfn_t step = ept_level_gfns(level);
	gfn_t first = max(gfn, r->start & ~(step - 1));
	gfn_t last = min(gfn + EPT_ENTRIES * step, r->end);
	enum leaf_result res;

	for (gfn = first; gfn < last; gfn += step) {
		u64 *entry = &table[ept_index(gfn, level)];

		do {
			u64 old = READ_ONCE(*entry);

			res = LEAF_NEXT;
			if (!ept_present(old))
				break;
			if (ept_is_leaf(old, level))
				res = r->op(r, entry, old, level, gfn);
			else if (!ept_is_link(old) && !each_leaf(r, ept_table(old), level - 1, gfn))
				res = LEAF_STOP;
		} while (res == LEAF_AGAIN);
		if (res == LEAF_STOP)
			return false;
	}
	return true;
}

static void for_leaves(const struct ept_root *root, struct leaf_range *r)
{
	each_leaf(r, root->pml4, EPT_LEVELS, 0);
}

/*
 * Compare-exchange, not a locked AND: under READ the leaf may become a table
 * meanwhile, and a table must keep all its rights.
 */
static enum leaf_result wrprot_leaf(struct leaf_range *r, u64 *entry, u64 old,
				    int level, gfn_t gfn)
{
	if (!(old & (EPT_W | EPT_SPP)))
		return LEAF_NEXT;
	if (cmpxchg(entry, old, old & ~(EPT_W | EPT_SPP)) != old)
		return LEAF_AGAIN;
	r->changed = true;
	return LEAF_NEXT;
}

bool ept_wrprot_range(struct ept_root *root, gfn_t start, gfn_t end)
{
	struct leaf_range r = {
		.start = start, .end = end, .op = wrprot_leaf,
	};

	for_leaves(root, &r);
	return r.changed;
}

static enum leaf_result harvest_leaf(struct leaf_range *r, u64 *entry, u64 old,
				     int level, gfn_t gfn)
{
	u64 found, new;

	if (r->ad) {
		found = old & r->want;
		new = old & ~r->clear;
	} else {
		found = r->want & (EPT_A | (old & EPT_W ? EPT_D : 0));
		new = r->clear & EPT_D ? old & ~EPT_W : old;
	}
	if (!found)
		return LEAF_NEXT;
	if (new != old) {
		if (cmpxchg(entry, old, new) != old)
			return LEAF_AGAIN;
		r->changed = true;
	}
	if (r->harvest)
		r->harvest(r->ctx, gfn, level, found);
	return LEAF_NEXT;
}

bool ept_harvest(struct ept_root *root, gfn_t start, gfn_t end, u64 want,
		 u64 clear, void (*fn)(void *ctx, gfn_t gfn, int level, u64 bits),
		 void *ctx)
{
	struct leaf_range r = {
		.start = start, .end = end, .op = harvest_leaf,
		.ad = root->fmt.ad,
		.want = want & (EPT_A | EPT_D),
		.clear = clear & (EPT_A | EPT_D),
		.harvest = fn, .ctx = ctx,
	};

	for_leaves(root, &r);
	return r.changed;
}

static enum leaf_result mark_leaf(struct leaf_range *r, u64 *entry, u64 old,
				  int level, gfn_t gfn)
{
	if (r->want & ~old && cmpxchg(entry, old, old | r->want) != old)
		return LEAF_AGAIN;
	return LEAF_NEXT;
}

void ept_mark(struct ept_root *root, gfn_t start, gfn_t end, u64 flags)
{
	struct leaf_range r = {
		.start = start, .end = end, .op = mark_leaf,
		.want = flags & (EPT_A | EPT_D),
	};

	if (root->fmt.ad)
		for_leaves(root, &r);
}

static enum leaf_result visit_leaf(struct leaf_range *r, u64 *entry, u64 old,
				   int level, gfn_t gfn)
{
	r->ret = r->visit(r->ctx, gfn, level, old);
	return r->ret ? LEAF_STOP : LEAF_NEXT;
}

int ept_visit(const struct ept_root *root, gfn_t start, gfn_t end,
	      int (*fn)(void *ctx, gfn_t gfn, int level, u64 entry), void *ctx)
{
	struct leaf_range r = {
		.start = start, .end = end, .op = visit_leaf,
		.visit = fn, .ctx = ctx,
	};

	for_leaves(root, &r);
	return r.ret;
}
