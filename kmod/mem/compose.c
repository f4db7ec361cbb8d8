// SPDX-License-Identifier: GPL-2.0-only
/* One translation out of two: the smaller size, the lesser rights */

#include <linux/minmax.h>

#include "compose.h"

int derived_compose(const struct ept_format *fmt, u64 gpa2, const struct mem_derived_leaf *outer,
		    u64 entry, int level, u32 access, struct derived_map *map)
{
	u64 rights = outer->rights & EPT_RWX;
	u64 prot = rights & entry;
	u64 mask;

	if (outer->level < 1 || outer->level > 3 || gpa2 >> EPT_GPA_BITS ||
	    ((gpa2 ^ outer->gpa1) & (ept_level_size(outer->level) - 1)))
		return -EINVAL;
	if (access & ~rights || (!(rights & EPT_R) && !fmt->exec_only))
		return -EINVAL;

	if (!(prot & EPT_R))
		prot &= fmt->exec_only ? EPT_X : 0;
	if (!prot || (access & ~prot))
		return -EACCES;

	map->prot = prot;
	map->level = min(min(outer->level, level), ept_max_level(fmt, prot));
	mask = ept_level_size(map->level) - 1;
	map->gpa2 = gpa2 & ~mask;
	map->first = (outer->gpa1 & ~mask) >> EPT_PAGE_SHIFT;
	map->hpa = ept_leaf_hpa(entry, level) |
		   (outer->gpa1 & (ept_level_size(level) - 1) & ~mask);
	map->memtype = ept_leaf_memtype(entry);
	map->flags = EPT_MAP_ACCESSED;
	if (entry & EPT_IPAT)
		map->flags |= EPT_MAP_IPAT;
	if (access & EPT_W)
		map->flags |= EPT_MAP_DIRTY;
	return 0;
}
