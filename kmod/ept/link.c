// SPDX-License-Identifier: GPL-2.0-only
/* Tables of level 1 that two hierarchies have in common */

/*
 * DOC: links
 *
 *	    owner                     linked
 *	  level 2 o---> table <---o level 2, EPT_LINK
 *	  RWX           leaves        its own rights
 *
 * The CPU takes the AND of the rights on its way, so an entry that names the table is all that a
 * second hierarchy needs to have 512 leaves, at the rights of its own; what happens to a leaf
 * happens to both. The entry changes as others do: not present -> link -> the same link with more
 * rights under READ, and away under WRITE.
 */

#include "table.h"

#define LINK_LEVEL	2
#define LINK_TRIES	16

int ept_link(struct ept_root *root, struct ept_cache *cache, gpa_t gpa, const u64 *table, u64 prot)
{
	u64 link = __pa(table) | prot | EPT_LINK;
	u64 *entry, old;
	int l, tries;

	if (gpa >> EPT_GPA_BITS || prot & ~EPT_RWX || !(prot & EPT_R))
		return -EINVAL;
	l = ept_descend(root, cache, gpa >> EPT_PAGE_SHIFT, LINK_LEVEL, &entry);
	if (l)
		return l < 0 ? l : -EBUSY;
	for (tries = 0; tries < LINK_TRIES; tries++) {
		old = READ_ONCE(*entry);
		if (ept_present(old)) {
			if (ept_is_leaf(old, LINK_LEVEL))
				return -EBUSY;
			if (!ept_is_link(old))
				return -ENOTEMPTY;
			if ((old ^ link) & EPT_ADDR_MASK)
				return -EBUSY;
			if (!(prot & ~old))
				return -EEXIST;
		}
		if (cmpxchg(entry, old, old | link) == old)
			return 0;
	}
	return -EAGAIN;
}

/* Without a cache nothing is made on the way. */
static u64 *link_entry(struct ept_root *root, gpa_t gpa)
{
	u64 *entry;

	if (gpa >> EPT_GPA_BITS ||
	    ept_descend(root, NULL, gpa >> EPT_PAGE_SHIFT, LINK_LEVEL, &entry))
		return NULL;
	return ept_is_link(READ_ONCE(*entry)) ? entry : NULL;
}

bool ept_unlink(struct ept_root *root, gpa_t gpa)
{
	u64 *entry = link_entry(root, gpa);

	if (entry)
		(void)xchg(entry, 0);
	return entry;
}

u64 ept_linked(struct ept_root *root, gpa_t gpa)
{
	const u64 *entry = link_entry(root, gpa);

	return entry ? READ_ONCE(*entry) : 0;
}
