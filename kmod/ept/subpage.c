// SPDX-License-Identifier: GPL-2.0-only
/* Sub-page write permissions: which parts of a 4 KiB page the guest writes */

/*
 * DOC: the sub-page permission table
 *
 * Four levels, indexed by the guest-physical address as the EPT is. An entry that names a table
 * has bit 0 set. An entry of level 1 stands for a page: bit 2i allows writes to bytes
 * 128 i to 128 i + 127, odd bits are reserved.
 *
 * A leaf is changed in one compare-exchange like any other. The table is filled before a leaf
 * asks for it, so that no CPU misses an entry. A permission once given is never taken back under a
 * leaf that asks for it: a CPU may cache it, but what it caches is then no more than what is so.
 */

#include "table.h"

#define SPP_VALID	BIT_ULL(0)

u64 ept_spptp(const struct ept_root *root)
{
	return __pa(root->spp);
}

/* The entry of the page, or NULL. With @cache tables are made, under WRITE. */
static u64 *spp_entry(struct ept_root *root, struct ept_cache *cache, gpa_t gpa)
{
	gfn_t gfn = gpa >> EPT_PAGE_SHIFT;
	u64 *table = root->spp;
	u64 *entry;
	void *new;
	int level;

	for (level = EPT_LEVELS; level > 1; level--) {
		entry = &table[ept_index(gfn, level)];
		if (!READ_ONCE(*entry)) {
			new = ept_cache_take(cache);
			if (!new)
				return NULL;
			WRITE_ONCE(*entry, __pa(new) | SPP_VALID);
		}
		table = ept_table(READ_ONCE(*entry));
	}
	return &table[ept_index(gfn, 1)];
}

static void spp_free(u64 *table, int level)
{
	int i;

	for (i = 0; level > 1 && i < EPT_ENTRIES; i++)
		if (table[i])
			spp_free(ept_table(table[i]), level - 1);
	ept_page_free(table);
}

void ept_spp_destroy(struct ept_root *root)
{
	if (root->spp)
		spp_free(root->spp, EPT_LEVELS);
	root->spp = NULL;
}

/* The leaf at @gpa, when it is traced. */
static bool traced(const struct ept_root *root, gpa_t gpa, struct ept_walk *walk)
{
	return ept_walk(root, gpa, walk) && walk->level == 1 &&
	       (walk->val & (EPT_SPP | EPT_W)) == EPT_SPP;
}

int ept_trace(struct ept_root *root, struct ept_cache *cache, gpa_t gpa)
{
	struct ept_walk walk;
	u64 *entry;

	if (!ept_walk(root, gpa, &walk) || walk.level != 1 || !(walk.val & EPT_W))
		return -ENOENT;
	entry = spp_entry(root, cache, gpa);
	if (!entry)
		return -ENOMEM;
	WRITE_ONCE(*entry, 0);
	WRITE_ONCE(root->traced, true);
	/* The CPU may set A and D meanwhile */
	while (cmpxchg(walk.ptr, walk.val, (walk.val & ~EPT_W) | EPT_SPP) != walk.val)
		walk.val = READ_ONCE(*walk.ptr);
	return 0;
}

bool ept_trace_write(struct ept_root *root, gpa_t gpa)
{
	unsigned int sub = (gpa & (ept_level_size(1) - 1)) >> EPT_SUBPAGE_SHIFT;
	u64 *entry, old, bit = BIT_ULL(2 * sub);
	struct ept_walk walk;

	if (!traced(root, gpa, &walk))
		return false;
	entry = spp_entry(root, NULL, gpa);
	if (!entry)
		return false;
	do {
		old = READ_ONCE(*entry);
		if (old & bit)
			return false;
	} while (cmpxchg(entry, old, old | bit) != old);
	return true;
}

int ept_trace_read(struct ept_root *root, gpa_t gpa, bool end, u32 *written)
{
	struct ept_walk walk;
	u64 *entry, bits;
	int i;

	do {
		if (!traced(root, gpa, &walk))
			return -ENOENT;
	} while (end && cmpxchg(walk.ptr, walk.val, (walk.val | EPT_W) & ~EPT_SPP) != walk.val);
	entry = spp_entry(root, NULL, gpa);
	if (!entry)
		return -ENOENT;
	bits = READ_ONCE(*entry);
	*written = 0;
	for (i = 0; i < EPT_SUBPAGES; i++)
		if (bits & BIT_ULL(2 * i))
			*written |= BIT(i);
	return 0;
}
