// SPDX-License-Identifier: GPL-2.0-only
/* The walk through L1's EPT: from a physical address of L2 to one of L1 */

#include <linux/string.h>

#include "ept12.h"

/* IA32_VMX_EPT_VPID_CAP */
#define CAP_EXEC_ONLY	BIT_ULL(0)
#define CAP_WALK_4	BIT_ULL(6)
#define CAP_UC		BIT_ULL(8)
#define CAP_WB		BIT_ULL(14)
#define CAP_2M		BIT_ULL(16)
#define CAP_1G		BIT_ULL(17)
#define CAP_AD		BIT_ULL(21)

/* EPTP */
#define EPTP_MT		GENMASK_ULL(2, 0)
#define EPTP_WALK	GENMASK_ULL(5, 3)
#define EPTP_WALK_4	(3ULL << 3)
#define EPTP_RESERVED	GENMASK_ULL(11, 7)

/* Exit qualification: the rights lie above the access */
#define QUAL_RIGHTS	3

void ept12_format_set(struct ept12_format *f, u64 cap, u8 maxphyaddr)
{
	*f = (struct ept12_format){
		.entry = {
			.maxphyaddr = maxphyaddr,
			.ad = cap & CAP_AD,
			.exec_only = cap & CAP_EXEC_ONLY,
			.has_2m = cap & CAP_2M,
			.has_1g = cap & CAP_1G,
		},
		.walk4 = cap & CAP_WALK_4,
		.uc = cap & CAP_UC,
		.wb = cap & CAP_WB,
	};
}

bool ept12_eptp_valid(const struct ept12_format *f, u64 eptp)
{
	switch (eptp & EPTP_MT) {
	case EPT_MT_UC:
		if (!f->uc)
			return false;
		break;
	case EPT_MT_WB:
		if (!f->wb)
			return false;
		break;
	default:
		return false;
	}
	if ((eptp & EPTP_WALK) != EPTP_WALK_4 || !f->walk4)
		return false;
	if ((eptp & EPT12_EPTP_AD) && !f->entry.ad)
		return false;
	return !(eptp & EPTP_RESERVED) && !(eptp >> f->entry.maxphyaddr);
}

/* An entry as it was read, and where */
struct step {
	u64 gpa1;
	u64 val;
};

static bool lacks_flags(const struct step *step, int level, u64 leaf_flags)
{
	int l;

	for (l = EPT_LEVELS; l > level; l--)
		if (!(step[l - 1].val & EPT_A))
			return true;
	return leaf_flags & ~step[level - 1].val;
}

/*
 * The CPU sets accessed flags as it goes, before it knows that the access is allowed. Nobody can
 * rely on that, since it may have had the entries cached; so an access that is refused leaves none.
 */
static int set_flags(const struct step *step, int level, u64 gpa2, u32 access,
		     const struct ept12_ops *ops, void *ctx, struct ept12_walk *out)
{
	u64 leaf_flags = access & EPT_W ? EPT_A | EPT_D : EPT_A;
	bool dirty = leaf_flags & EPT_D & ~step[level - 1].val;
	u64 want = EPT_A;
	int l, err;

	if (ops->log && lacks_flags(step, level, leaf_flags)) {
		err = ops->log(ctx, gpa2, dirty);
		if (err)
			return err;
	}
	for (l = EPT_LEVELS; l >= level; l--) {
		const struct step *s = &step[l - 1];

		if (l == level)
			want = leaf_flags;
		if (!(want & ~s->val))
			continue;
		err = ops->cmpxchg8(ctx, s->gpa1, s->val, s->val | want);
		if (err && err != -EFAULT)
			return err;
		/* Where it cannot be kept, whoever waits for the flag would wait in vain */
		if (l == level && (err || (want & EPT_D)))
			out->dirty = true;
	}
	if (ops->log && dirty)
		ops->logged(ctx);
	out->accessed = true;
	return EPT12_OK;
}

int ept12_walk(const struct ept12_format *f, u64 eptp, u64 gpa2, u32 access,
	       const struct ept12_ops *ops, void *ctx, struct ept12_walk *out)
{
	bool ad = eptp & EPT12_EPTP_AD;
	u64 table = eptp & EPT_ADDR_MASK;
	struct step step[EPT_LEVELS];
	u64 rights = EPT_RWX;
	u64 flags = EPT_A;
	struct step *s;
	int level, err;

	access &= EPT_RWX;
	*out = (struct ept12_walk){ .qual = access };
	if (gpa2 >> EPT_GPA_BITS)
		return EPT12_VIOLATION;

	for (level = EPT_LEVELS;; level--) {
		u64 index = (gpa2 >> ept_level_shift(level)) & (EPT_ENTRIES - 1);

		s = &step[level - 1];
		s->gpa1 = table + index * sizeof(u64);
		err = ops->read8(ctx, s->gpa1, &s->val);
		if (err == -EFAULT)
			s->val = ~0ULL;
		else if (err)
			return err;

		if (!ept_present(s->val))
			return EPT12_VIOLATION;
		if (ept_check_entry(&f->entry, s->val, level) != EPT_OK)
			return EPT12_MISCONFIG;
		rights &= s->val;
		flags &= s->val;
		if (ept_is_leaf(s->val, level))
			break;
		table = s->val & EPT_ADDR_MASK;
	}

	if (access & ~rights) {
		out->qual |= rights << QUAL_RIGHTS;
		return EPT12_VIOLATION;
	}
	out->gpa1 = ept_leaf_hpa(s->val, level) | (gpa2 & (ept_level_size(level) - 1));
	out->level = level;
	out->rights = rights;
	out->memtype = ept_leaf_memtype(s->val);
	out->ipat = s->val & EPT_IPAT;
	out->accessed = !ad || flags;
	out->dirty = !ad || (s->val & EPT_D);
	if (ad && access)
		return set_flags(step, level, gpa2, access, ops, ctx, out);
	return EPT12_OK;
}

struct look {
	struct ept12_tables *tables;
	int (*read_table)(void *ctx, u64 gpa1, u64 *entry);
	void *ctx;
	int level;	/* of the next read, less 1 */
};

static int look_read8(void *ctx, u64 gpa1, u64 *val)
{
	struct look *look = ctx;
	struct ept12_tables *t = look->tables;
	u64 page = gpa1 & EPT_ADDR_MASK;
	int l = --look->level;
	int err;

	if (!t->valid[l] || t->gpa1[l] != page) {
		t->valid[l] = false;
		err = look->read_table(look->ctx, page, t->entry[l]);
		if (err == -EFAULT)
			memset(t->entry[l], 0xff, sizeof(t->entry[l]));
		else if (err)
			return err;
		t->valid[l] = true;
		t->gpa1[l] = page;
	}
	*val = t->entry[l][(gpa1 - page) / sizeof(u64)];
	return 0;
}

int ept12_look(const struct ept12_format *f, u64 eptp, u64 gpa2, struct ept12_tables *tables,
	       int (*read_table)(void *ctx, u64 gpa1, u64 *entry), void *ctx,
	       struct ept12_walk *out)
{
	static const struct ept12_ops ops = { .read8 = look_read8 };
	struct look look = {
		.tables = tables, .read_table = read_table, .ctx = ctx, .level = EPT_LEVELS,
	};

	return ept12_walk(f, eptp, gpa2, 0, &ops, &look, out);
}
