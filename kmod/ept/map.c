// SPDX-License-Identifier: GPL-2.0-only
/* The EPT hierarchy: roots, table caches, walking down and mapping */

/*
 * DOC: EPT page tables
 *
 *  63 62      52 51        12 11 10  9  8  7  6  5 4 3  2 1 0
 * +--+----------+------------+-----+--+--+--+--+-------+-------+
 * |VE| ignored  |  address   | ign | D| A|PS|IP| type  | X W R |  leaf
 * +--+----------+------------+-----+--+--+--+--+-------+-------+
 * |     ignored |  table     |  ignored | A| 0|  0 0 0 0 | X W R |  others
 * +-------------+------------+----------+--+--+----------+-------+
 *
 *   gpa 47..39     38..30        29..21        20..12       11..0
 *       level 4    level 3       level 2       level 1      offset
 *       +-----+    +-----+       +-----+       +-----+
 *       |  o------>|  o--------->|  o--------->| leaf|--> 4 KiB
 *       |  -  |    | leaf|--+    | leaf|--+    |  -  |
 *       +-----+    +-----+  |    +-----+  |    +-----+
 *        pml4           1 GiB         2 MiB
 *
 * One protocol changes a hierarchy that others walk:
 *
 *  1. prepare out of sight: a new table is filled before anything names it;
 *  2. publish by one compare-exchange of one entry, which orders the filling
 *     before it;
 *  3. who loses puts the table back in the cache and looks again at what the
 *     winner made. Nothing waits for another thread's half-made entry, because
 *     there are none.
 *
 * Under READ an entry only moves in these directions:
 *
 *	not present -> table, not present -> leaf, leaf -> table (split),
 *	leaf -> the same leaf with other rights or flags (traced ones too)
 *
 * so a pointer into a table stays good until the lock is dropped. Only under
 * WRITE does an entry become not present, or a table a leaf.
 *
 * The CPU sets A and D by its own locked read-modify-write at any time.
 * Therefore no entry is ever changed by a plain store.
 */

#include "table.h"

/* Compare-exchanges that may fail on one leaf before the guest tries again */
#define MAP_TRIES	16

int ept_init(struct ept_root *root, const struct ept_format *fmt)
{
	int i;

	if (fmt->maxphyaddr < 32 || fmt->maxphyaddr > 52)
		return -EINVAL;

	root->fmt = *fmt;
	root->pml4 = ept_page_alloc();
	if (!root->pml4)
		return -ENOMEM;
	root->spp = NULL;
	if (fmt->spp) {
		root->spp = ept_page_alloc();
		if (!root->spp) {
			ept_page_free(root->pml4);
			root->pml4 = NULL;
			return -ENOMEM;
		}
	}
	atomic64_set(&root->gen, 1);
	atomic64_set(&root->tables, 1);
	for (i = 0; i < 3; i++)
		atomic64_set(&root->leaves[i], 0);
	return 0;
}

void ept_destroy(struct ept_root *root)
{
	struct ept_zap zap = {};

	if (!root->pml4)
		return;
	ept_remove_table(root, root->pml4, EPT_LEVELS, 0, &zap);
	root->pml4 = NULL;
	atomic64_set(&root->tables, 0);
	ept_zap_free(&zap);
	ept_spp_destroy(root);
}

int ept_cache_fill(struct ept_cache *cache, unsigned int want)
{
	while (cache->nr < want && cache->nr < EPT_CACHE_MAX) {
		void *table = ept_page_alloc();

		if (!table)
			return -ENOMEM;
		cache->table[cache->nr++] = table;
	}
	return 0;
}

void ept_cache_drain(struct ept_cache *cache)
{
	while (cache->nr)
		ept_page_free(cache->table[--cache->nr]);
}

bool ept_walk(const struct ept_root *root, gpa_t gpa, struct ept_walk *walk)
{
	gfn_t gfn = gpa >> EPT_PAGE_SHIFT;
	u64 *table = root->pml4;

	walk->ptr = NULL;
	walk->val = 0;
	walk->level = EPT_LEVELS;
	if (gfn >= EPT_GFN_END)
		return false;

	for (;; walk->level--) {
		walk->ptr = &table[ept_index(gfn, walk->level)];
		walk->val = READ_ONCE(*walk->ptr);
		if (!ept_present(walk->val))
			return false;
		if (ept_is_leaf(walk->val, walk->level))
			return true;
		table = ept_table(walk->val);
	}
}

/* Do two leaves say the same apart from rights and flags? */
static bool same_memory(u64 a, u64 b)
{
	return !((a ^ b) & (EPT_ADDR_MASK | EPT_MT_MASK | EPT_IPAT));
}

/* A leaf larger than asked for is in the way: is it in fact as good? */
static int map_under_larger(u64 old, int level, u64 leaf, gpa_t gpa, u64 prot)
{
	u64 inside = gpa & (ept_level_size(level) - 1);
	u64 small;

	small = (old & (EPT_MT_MASK | EPT_IPAT)) |
		(ept_leaf_hpa(old, level) + inside);
	return same_memory(small, leaf) && !(prot & ~old) ? -EEXIST : -EBUSY;
}

static int map_leaf(struct ept_root *root, u64 *entry, u64 leaf, int level,
		    u64 prot)
{
	int tries;

	for (tries = 0; tries < MAP_TRIES; tries++) {
		u64 old = READ_ONCE(*entry);
		u64 new = leaf;

		if (ept_present(old)) {
			if (!ept_is_leaf(old, level))
				return -ENOTEMPTY;
			if (!same_memory(old, leaf))
				return -EBUSY;
			if (!(prot & ~old))
				return -EEXIST;
			new |= old;
			if (new & EPT_W)
				new &= ~EPT_SPP;
		}
		if (cmpxchg(entry, old, new) != old)
			continue;
		if (!ept_present(old))
			ept_count_leaves(root, level, 1);
		return 0;
	}
	return -EAGAIN;
}

int ept_descend(struct ept_root *root, struct ept_cache *cache, gfn_t gfn, int level,
		u64 **entry)
{
	u64 *table = root->pml4;
	u64 old;
	void *new;
	int l;

	for (l = EPT_LEVELS; l > level; l--) {
		*entry = &table[ept_index(gfn, l)];
		old = READ_ONCE(**entry);
		if (!ept_present(old)) {
			new = ept_cache_take(cache);
			if (!new)
				return -ENOMEM;
			if (cmpxchg(*entry, old, ept_table_entry(new)) == old) {
				atomic64_inc(&root->tables);
				table = new;
				continue;
			}
			/* Present now, whoever it was: that is final under READ */
			ept_cache_put(cache, new);
			old = READ_ONCE(**entry);
		}
		if (ept_is_leaf(old, l) || ept_is_link(old))
			return l;
		table = ept_table(old);
	}
	*entry = &table[ept_index(gfn, level)];
	return 0;
}

int ept_map(struct ept_root *root, struct ept_cache *cache, gpa_t gpa,
	    hpa_t hpa, int level, u64 prot, unsigned int memtype,
	    unsigned int flags)
{
	u64 leaf = ept_make_leaf(&root->fmt, gpa, hpa, level, prot, memtype,
				 flags);
	u64 *entry, old;
	int l;

	if (!leaf)
		return -EINVAL;
	gpa &= ~(ept_level_size(level) - 1);
	l = ept_descend(root, cache, gpa >> EPT_PAGE_SHIFT, level, &entry);
	if (l < 0)
		return l;
	if (l) {
		old = READ_ONCE(*entry);
		if (ept_is_leaf(old, l))
			return map_under_larger(old, l, leaf, gpa, prot);
		/* Another CPU has split it meanwhile */
		return ept_is_link(old) ? -EBUSY : -EAGAIN;
	}
	return map_leaf(root, entry, leaf, level, prot);
}
