// SPDX-License-Identifier: GPL-2.0-only
/* The format of an EPT entry: what is legal, and how to make one */

#include "table.h"

#define EPTP_WALK_4	(3ULL << 3)	/* page-walk length minus 1 */
#define EPTP_AD		BIT_ULL(6)

/*
 * SDM volume 3, "EPT Misconfigurations". Bits 62:52 are never reserved for the
 * features used here. Bit 7 at level 1 is ignored; at level 4 it is reserved,
 * and so is a leaf of a size that the CPU does not have.
 */
enum ept_misconfig ept_check_entry(const struct ept_format *fmt, u64 entry,
				   int level)
{
	u64 reserved = 0;

	if (!ept_present(entry))
		return EPT_OK;
	if (!(entry & EPT_R)) {
		if (entry & EPT_W)
			return EPT_BAD_WRITE_ONLY;
		if (!fmt->exec_only)
			return EPT_BAD_EXEC_ONLY;
	}

	if (fmt->maxphyaddr < 52)
		reserved = GENMASK_ULL(51, fmt->maxphyaddr);
	if (!ept_is_leaf(entry, level)) {
		reserved |= EPT_MT_MASK | EPT_IPAT;
		if (level == EPT_LEVELS)
			reserved |= EPT_PS;
	} else if (level > 1) {
		reserved |= GENMASK_ULL(ept_level_shift(level) - 1,
					EPT_PAGE_SHIFT);
		if (level == 2 ? !fmt->has_2m : !fmt->has_1g)
			reserved |= EPT_PS;
	}
	if (entry & reserved)
		return EPT_BAD_RESERVED;

	if (ept_is_leaf(entry, level)) {
		switch (ept_leaf_memtype(entry)) {
		case 2:
		case 3:
		case 7:
			return EPT_BAD_MEMTYPE;
		}
	}
	return EPT_OK;
}

int ept_max_level(const struct ept_format *fmt, u64 prot)
{
	if (!fmt->has_2m || (fmt->nx_large && (prot & EPT_X)))
		return 1;
	return fmt->has_1g ? 3 : 2;
}

u64 ept_make_leaf(const struct ept_format *fmt, gpa_t gpa, hpa_t hpa, int level,
		  u64 prot, unsigned int memtype, unsigned int flags)
{
	u64 leaf;

	if (gpa >> EPT_GPA_BITS || !prot || (prot & ~EPT_RWX))
		return 0;
	if (level < 1 || level > ept_max_level(fmt, prot))
		return 0;
	if (hpa & (ept_level_size(level) - 1) || hpa & ~EPT_ADDR_MASK ||
	    memtype > 7)
		return 0;

	leaf = hpa | prot | (u64)memtype << EPT_MT_SHIFT;
	if (level > 1)
		leaf |= EPT_PS;
	if (flags & EPT_MAP_IPAT)
		leaf |= EPT_IPAT;
	/* Without A/D the CPU ignores the flags: do not let them go stale */
	if (fmt->ad && (flags & EPT_MAP_ACCESSED))
		leaf |= EPT_A;
	if (fmt->ad && (flags & EPT_MAP_DIRTY))
		leaf |= EPT_D;
	return ept_check_entry(fmt, leaf, level) == EPT_OK ? leaf : 0;
}

u64 ept_eptp(const struct ept_root *root)
{
	return __pa(root->pml4) | EPT_MT_WB | EPTP_WALK_4 |
	       (root->fmt.ad ? EPTP_AD : 0);
}
