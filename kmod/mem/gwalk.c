// SPDX-License-Identifier: GPL-2.0-only
/* Walk of the guest's page tables: 32-bit, PAE, 4-level and 5-level paging */

#include <linux/bits.h>
#include <linux/errno.h>

#include "gwalk.h"

#define CR0_WP		BIT_ULL(16)
#define CR0_PG		BIT_ULL(31)
#define CR4_PSE		BIT_ULL(4)
#define CR4_PAE		BIT_ULL(5)
#define CR4_LA57	BIT_ULL(12)
#define CR4_SMEP	BIT_ULL(20)
#define CR4_SMAP	BIT_ULL(21)
#define EFER_LMA_BIT	BIT_ULL(10)
#define EFER_NXE	BIT_ULL(11)
#define RFLAGS_AC	BIT_ULL(18)

#define PTE_P		BIT_ULL(0)
#define PTE_W		BIT_ULL(1)
#define PTE_U		BIT_ULL(2)
#define PTE_PS		BIT_ULL(7)
#define PTE_XD		BIT_ULL(63)
#define PTE_ADDR	GENMASK_ULL(51, 12)

/* Rights gathered on the way down: W and U by and, XD by or. */
struct rights {
	u64 and;
	u64 or;
};

struct format {
	unsigned int entry;	/* bytes */
	unsigned int bits;	/* of an index */
	int levels;		/* first level read from memory */
	bool pae;		/* PAE paging: PDPTEs are registers */
};

static u64 high_reserved(const struct gwalk_regs *r, const struct format *f)
{
	u64 mask;

	if (f->entry == 4)
		return 0;
	mask = GENMASK_ULL(51, 0) & ~(BIT_ULL(r->maxphyaddr) - 1);
	if (f->pae)
		mask |= GENMASK_ULL(62, 52);
	if (!(r->efer & EFER_NXE))
		mask |= PTE_XD;
	return mask;
}

/* Does @entry of @level map a page? */
static bool is_page(const struct gwalk_regs *r, const struct format *f,
		    u64 entry, int level)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (f->entry == 4)
		return level == 2 && (r->cr4 & CR4_PSE);
	return level == 2 || (level == 3 && r->has_1g);
}

/* Address bits above 4 GiB that a 4 MiB page of 32-bit paging has (PSE-36) */
static u64 pse36_address(u64 entry)
{
	return (entry & GENMASK_ULL(31, 22)) |
	       ((entry & GENMASK_ULL(20, 13)) << (32 - 13));
}

static bool reserved_bits(const struct gwalk_regs *r, const struct format *f,
			  u64 entry, int level, unsigned int shift)
{
	if (f->entry == 4) {
		if (level == 1 || !is_page(r, f, entry, level))
			return false;
		/* Bit 21, and what does not fit the address width */
		return (entry & BIT_ULL(21)) ||
		       (r->maxphyaddr < 40 &&
			(pse36_address(entry) >> r->maxphyaddr));
	}
	if (entry & high_reserved(r, f))
		return true;
	if (level == 1)
		return false;
	if (!(entry & PTE_PS))
		return false;
	if (!is_page(r, f, entry, level))
		return true;
	/* Below the address of a large page, above its PAT bit */
	return entry & GENMASK_ULL(shift - 1, 13);
}

/* "Determination of Access Rights": may this access use a page with @have? */
static bool allowed(const struct gwalk_regs *r, u32 access,
		    const struct rights *have)
{
	bool user_page = have->and & PTE_U;
	bool nx = (have->or & PTE_XD) && (r->efer & EFER_NXE);

	if (access & GWALK_USER) {
		if (!user_page)
			return false;
		if (access & GWALK_EXEC)
			return !nx;
		return !(access & GWALK_WRITE) || (have->and & PTE_W);
	}

	if (access & GWALK_EXEC)
		return !nx && !(user_page && (r->cr4 & CR4_SMEP));
	if (user_page && (r->cr4 & CR4_SMAP)) {
		bool implicit = (access & GWALK_IMPLICIT) || r->cpl == 3;

		if (implicit || !(r->rflags & RFLAGS_AC))
			return false;
	}
	return !(access & GWALK_WRITE) || !(r->cr0 & CR0_WP) ||
	       (have->and & PTE_W);
}

static int page_fault(const struct gwalk_regs *r, u32 access, u32 why,
		      u32 *error)
{
	bool fetch_told = ((r->cr4 & CR4_PAE) && (r->efer & EFER_NXE)) ||
			  (r->cr4 & CR4_SMEP);

	*error = why;
	if (access & GWALK_WRITE)
		*error |= GWALK_PF_W;
	if (access & GWALK_USER)
		*error |= GWALK_PF_U;
	if ((access & GWALK_EXEC) && fetch_told)
		*error |= GWALK_PF_I;
	return 1;
}

/* The paging mode: its format, and the table that the walk starts in */
static int start(const struct gwalk_regs *r, u64 gva, struct format *f,
		 u64 *table)
{
	u64 pdpte;

	if (r->efer & EFER_LMA_BIT) {
		f->levels = r->cr4 & CR4_LA57 ? 5 : 4;
		*table = r->cr3 & PTE_ADDR & (BIT_ULL(r->maxphyaddr) - 1);
		return 0;
	}
	if (r->cr4 & CR4_PAE) {
		f->pae = true;
		f->levels = 2;
		pdpte = r->pdptr[(gva >> 30) & 3];
		if (!(pdpte & PTE_P))
			return 1;
		*table = pdpte & PTE_ADDR;
		return 0;
	}
	f->entry = 4;
	f->bits = 10;
	f->levels = 2;
	*table = r->cr3 & GENMASK_ULL(31, 12);
	return 0;
}

int gwalk(const struct gwalk_regs *r, u64 gva, u32 access, gwalk_read_fn read,
	  void *ctx, u64 *gpa, u32 *error)
{
	struct format f = { .entry = 8, .bits = 9 };
	struct rights have = { .and = PTE_W | PTE_U };
	unsigned int shift;
	u64 table, entry;
	int level, err;

	if (!(r->efer & EFER_LMA_BIT))
		gva &= GENMASK_ULL(31, 0);
	if (!(r->cr0 & CR0_PG)) {
		*gpa = gva;
		return 0;
	}
	if (start(r, gva, &f, &table))
		return page_fault(r, access, 0, error);

	for (level = f.levels;; level--) {
		u64 index;
		u32 half;

		shift = 12 + f.bits * (level - 1);
		index = (gva >> shift) & (BIT_ULL(f.bits) - 1);
		if (f.entry == 4) {
			err = read(ctx, table + index * 4, &half, 4);
			entry = half;
		} else {
			err = read(ctx, table + index * 8, &entry, 8);
		}
		if (err)
			return -EFAULT;

		if (!(entry & PTE_P))
			return page_fault(r, access, 0, error);
		if (reserved_bits(r, &f, entry, level, shift))
			return page_fault(r, access, GWALK_PF_P | GWALK_PF_RSVD,
					  error);
		have.and &= entry;
		if (f.entry == 8)
			have.or |= entry & PTE_XD;
		if (is_page(r, &f, entry, level))
			break;
		table = entry & PTE_ADDR;
	}

	if (!allowed(r, access, &have))
		return page_fault(r, access, GWALK_PF_P, error);

	if (f.entry == 4 && level == 2)
		table = pse36_address(entry);
	else
		table = entry & PTE_ADDR & ~(BIT_ULL(shift) - 1);
	*gpa = table | (gva & (BIT_ULL(shift) - 1));
	return 0;
}
