/* SPDX-License-Identifier: GPL-2.0-only */
/* Table pages and the steps that the files of kmod/ept/ share; private */
#ifndef _EMYS_EPT_TABLE_H
#define _EMYS_EPT_TABLE_H

#include <linux/compiler.h>

#include <asm/page.h>

#include "ept.h"

/*
 * The backend, chosen by linking: page.c in the kernel, the unit tests' own in
 * userspace. __pa() and __va() belong to it.
 *
 * ept_page_alloc() returns a zeroed 4 KiB page or NULL and may sleep.
 * The link word of a page lies outside the page: a removed table may still be
 * walked by a CPU until the flush, so nothing may be stored in it.
 */
void *ept_page_alloc(void);
void ept_page_free(void *page);
void ept_page_set_next(void *page, void *next);
void *ept_page_next(void *page);

static inline unsigned int ept_index(gfn_t gfn, int level)
{
	return (gfn >> (9 * (level - 1))) & (EPT_ENTRIES - 1);
}

static inline u64 *ept_table(u64 entry)
{
	return __va(entry & EPT_ADDR_MASK);
}

/* Rights are decided by the leaf alone; tables allow everything */
static inline u64 ept_table_entry(void *table)
{
	return __pa(table) | EPT_RWX;
}

static inline void *ept_cache_take(struct ept_cache *cache)
{
	return cache && cache->nr ? cache->table[--cache->nr] : NULL;
}

/* Only for a page just taken, so there is room; it must be all zero again */
static inline void ept_cache_put(struct ept_cache *cache, void *table)
{
	cache->table[cache->nr++] = table;
}

static inline void ept_count_leaves(struct ept_root *root, int level, long n)
{
	atomic64_add(n, &root->leaves[level - 1]);
}

static inline void ept_zap_push(struct ept_zap *zap, void *table)
{
	ept_page_set_next(table, zap->tables);
	zap->tables = table;
	zap->nr_tables++;
}

/* Of a present entry above the leaves: the table is another hierarchy's, see ept_link() */
static inline bool ept_is_link(u64 entry)
{
	return entry & EPT_LINK;
}

/*
 * The way down to the entry of @level for @gfn, with new tables where none are: 0; -ENOMEM; or the
 * level above @level at which it ends, in a leaf or in a link, as *@entry says.
 */
int ept_descend(struct ept_root *root, struct ept_cache *cache, gfn_t gfn, int level,
		u64 **entry);

/* The leaf for these arguments, or 0 when they are not acceptable */
u64 ept_make_leaf(const struct ept_format *fmt, gpa_t gpa, hpa_t hpa, int level,
		  u64 prot, unsigned int memtype, unsigned int flags);

/* One step down of the leaf *entry: 0, -EAGAIN (no leaf any more), -ENOMEM */
int ept_split_entry(struct ept_root *root, struct ept_cache *cache, u64 *entry,
		    int level);

/*
 * Empty the detached or wholly covered @table of @level and give it and all
 * below to @zap. Returns the A and D flags of its leaves, ored.
 */
u64 ept_remove_table(struct ept_root *root, u64 *table, int level, gfn_t gfn,
		     struct ept_zap *zap);

/* Free the sub-page permission table, when there is one */
void ept_spp_destroy(struct ept_root *root);

#endif
