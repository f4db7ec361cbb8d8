// SPDX-License-Identifier: GPL-2.0-only
/* Leaf sizes: splitting a large leaf, collapsing a table into one */

#include <linux/string.h>

#include "table.h"

/*
 * No flush after a split. The 512 new leaves say for every byte what the large
 * one said: same memory, rights, type. A CPU that goes on with the cached large
 * translation does nothing that the new leaves would forbid. D is inherited: if
 * it was set, all small leaves start dirty, so a write through a cached dirty
 * translation is not lost; if it was clear, no CPU caches a translation that
 * skips setting it, and the next write walks the new leaves. The first call that
 * takes something away from a small leaf asks for a flush, and that flush takes
 * the large translation along. Mixed page sizes for code are what some CPUs
 * cannot bear; fmt.nx_large keeps EPT_X off large leaves there.
 */
int ept_split_entry(struct ept_root *root, struct ept_cache *cache, u64 *entry,
		    int level)
{
	u64 step = ept_level_size(level - 1);
	u64 *table = ept_cache_take(cache);
	u64 old, leaf;
	int i;

	if (!table)
		return -ENOMEM;

	do {
		old = READ_ONCE(*entry);
		if (!ept_present(old) || !ept_is_leaf(old, level)) {
			memset(table, 0, EPT_ENTRIES * sizeof(*table));
			ept_cache_put(cache, table);
			return -EAGAIN;
		}
		leaf = level - 1 > 1 ? old : old & ~EPT_PS;
		for (i = 0; i < EPT_ENTRIES; i++)
			table[i] = leaf + i * step;
		/* Fails when the CPU sets A or D, or another call wins: refill */
	} while (cmpxchg(entry, old, ept_table_entry(table)) != old);

	atomic64_inc(&root->tables);
	ept_count_leaves(root, level, -1);
	ept_count_leaves(root, level - 1, EPT_ENTRIES);
	return 0;
}

int ept_split(struct ept_root *root, struct ept_cache *cache, gpa_t gpa,
	      int level)
{
	struct ept_walk walk;
	int ret;

	if (gpa >> EPT_GPA_BITS || level < 1 || level > 2)
		return -EINVAL;

	for (;;) {
		if (!ept_walk(root, gpa, &walk))
			return -ENOENT;
		if (walk.level <= level)
			return 0;
		ret = ept_split_entry(root, cache, walk.ptr, walk.level);
		/* Another CPU split it: that is a step of progress as well */
		if (ret && ret != -EAGAIN)
			return ret;
	}
}

/*
 * The new leaf is published before the old ones are emptied, so the guest
 * always finds the page. A CPU that still walks the old table by a cached
 * pointer sets its flags there until its leaf is emptied, and takes a spurious
 * violation afterwards; so flags taken while emptying are complete.
 */
int ept_collapse(struct ept_root *root, gpa_t gpa, hpa_t hpa, int level,
		 u64 prot, unsigned int memtype, unsigned int flags,
		 struct ept_zap *zap)
{
	u64 leaf = ept_make_leaf(&root->fmt, gpa, hpa, level, prot, memtype,
				 flags);
	gfn_t gfn = gpa >> EPT_PAGE_SHIFT;
	u64 *table = root->pml4;
	u64 *entry, old, ad;
	int l;

	if (!leaf || level < 2)
		return -EINVAL;

	for (l = EPT_LEVELS;; l--) {
		entry = &table[ept_index(gfn, l)];
		old = READ_ONCE(*entry);
		if (!ept_present(old) || ept_is_leaf(old, l))
			return -ENOENT;
		table = ept_table(old);
		if (l == level)
			break;
	}

	(void)xchg(entry, leaf);
	ept_count_leaves(root, level, 1);
	ad = ept_remove_table(root, table, level - 1,
			      gfn & ~(ept_level_gfns(level) - 1), zap);
	atomic64_dec(&root->tables);
	do {
		old = READ_ONCE(*entry);
	} while (cmpxchg(entry, old, old | ad) != old);
	return 0;
}
