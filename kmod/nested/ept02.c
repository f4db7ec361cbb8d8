// SPDX-License-Identifier: GPL-2.0-only
/* The page tables of L2: EPT12, which L1 wrote, over EPT01. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "../emys.h"
#include "ept12.h"
#include "internal.h"

static void format_of(const struct emys_vcpu *vcpu, struct ept12_format *f)
{
	ept12_format_set(f, vcpu->nested->caps.ept_vpid, vcpu->feat.maxphyaddr);
}

bool nested_eptp_valid(const struct emys_vcpu *vcpu, u64 eptp)
{
	struct ept12_format f;

	format_of(vcpu, &f);
	return ept12_eptp_valid(&f, eptp);
}

static int read8(void *ctx, u64 gpa1, u64 *val)
{
	struct emys_vcpu *vcpu = ctx;

	return mem_read(vcpu->vm, gpa1, val, sizeof(*val));
}

static int cmpxchg8(void *ctx, u64 gpa1, u64 old, u64 new)
{
	return mem_cmpxchg8(ctx, gpa1, old, new);
}

#define PML_ENTRIES	512

/*
 * "Page-Modification Logging". The entry is written first, and counts for L1 with the index: so an
 * access that is tried again takes the same one.
 */
static int log_write(void *ctx, u64 gpa2, bool dirty)
{
	struct emys_vcpu *vcpu = ctx;
	const struct vmcs12 *v = vcpu->nested->v12;

	if (!n12_proc2(v, SECONDARY_EXEC_ENABLE_PML))
		return 0;
	if (v->guest_pml_index >= PML_ENTRIES)
		return EPT12_LOG_FULL;
	gpa2 &= PAGE_MASK;
	/* A log in no memory is L1's loss. */
	if (dirty)
		mem_write(vcpu->vm, v->pml_address + v->guest_pml_index * sizeof(gpa2), &gpa2,
			  sizeof(gpa2));
	return 0;
}

static void logged(void *ctx)
{
	struct emys_vcpu *vcpu = ctx;
	struct vmcs12 *v = vcpu->nested->v12;

	if (n12_proc2(v, SECONDARY_EXEC_ENABLE_PML))
		v->guest_pml_index--;
}

static const struct ept12_ops memory_ops = { read8, cmpxchg8, log_write, logged };

static int walk12(struct emys_vcpu *vcpu, u64 eptp, u64 gpa2, u32 access, struct ept12_walk *w)
{
	struct ept12_format f;

	format_of(vcpu, &f);
	return ept12_walk(&f, eptp, gpa2, access, &memory_ops, vcpu, w);
}

static void leaf_of(const struct ept12_walk *w, struct mem_derived_leaf *leaf)
{
	leaf->gpa1 = w->gpa1;
	leaf->level = w->level;
	leaf->rights = ept12_map_rights(w);
}

int nested_ept_get(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	const struct vmcs12 *v = n->v12;
	struct mem_derived *d;

	if (!n12_proc2(v, SECONDARY_EXEC_ENABLE_EPT)) {
		nested_ept_put(vcpu);
		return 0;
	}
	if (n->ept02 && n->ept02->key == v->ept_pointer)
		return 0;
	d = mem_derived_create(vcpu->vm, v->ept_pointer, v->ept_pointer & EPT12_EPTP_AD);
	if (IS_ERR(d))
		return PTR_ERR(d);
	nested_ept_put(vcpu);
	n->ept02 = d;
	return 0;
}

void nested_ept_put(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	n->vmcs02.derived = NULL;
	mem_derived_put(n->ept02);
	n->ept02 = NULL;
}

void nested_ept_load(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	n->vmcs02.derived = n->ept02;
	vcpu->gpa_map = n->ept02 ? nested_translate : NULL;
	vmcs_write64(EPT_POINTER, n->ept02 ? mem_derived_eptp(n->ept02) : vmx_eptp(vcpu));
}

/* Bits of the CPU's own exit qualification that are as true of EPT12 as of EPT02. */
#define QUAL_KEPT		GENMASK_ULL(12, 7)
#define QUAL_NMI_UNBLOCKED	BIT(12)		/* an IRET was cut short */

int nested_handle_ept(struct emys_vcpu *vcpu)
{
	const struct vmx_exit *e = &vcpu->vmx.exit;
	struct nested_vcpu *n = vcpu->nested;
	struct mem_derived_leaf leaf;
	struct ept12_walk w;
	u32 access = e->qual & EPT_RWX;
	u64 seq;
	int r;

	if (!n->ept02 || e->reason != EXIT_REASON_EPT_VIOLATION)
		return NESTED_L0;
	/* "Accessed and Dirty Flags for EPT": the CPU's own accesses to paging structures write. */
	if ((n->ept02->key & EPT12_EPTP_AD) && (e->qual & (BIT(7) | BIT(8))) == BIT(7))
		access |= EPT_R | EPT_W;
	vcpu->stats.nested_ept_walks++;
	seq = mem_derived_begin(n->ept02);
	r = walk12(vcpu, n->ept02->key, e->gpa, access, &w);
	switch (r) {
	case EPT12_VIOLATION:
		nested_exit(vcpu, EXIT_REASON_EPT_VIOLATION, w.qual | (e->qual & QUAL_KEPT), 0, 0);
		return EMYS_RESUME;
	case EPT12_MISCONFIG:
		nested_exit(vcpu, EXIT_REASON_EPT_MISCONFIG, 0, 0, 0);
		return EMYS_RESUME;
	case EPT12_LOG_FULL:
		nested_exit(vcpu, EXIT_REASON_PML_FULL, e->qual & QUAL_NMI_UNBLOCKED, 0, 0);
		return EMYS_RESUME;
	case EPT12_OK:
		break;
	case -EAGAIN:
		vmx_events_runs_again(vcpu, e->qual);
		return EMYS_RESUME;
	default:
		return r;
	}
	vmx_events_runs_again(vcpu, e->qual);
	leaf_of(&w, &leaf);
	r = mem_derived_map(vcpu, n->ept02, seq, e->gpa, &leaf, access);
	if (r == MEM_MAPPED)
		return EMYS_RESUME;
	return r == MEM_MMIO ? vmx_handle_mmio(vcpu, w.gpa1) : r;
}

struct revalidation {
	struct emys_vcpu *vcpu;
	u64 eptp;
	struct ept12_format format;
	struct ept12_tables tables;
	u64 gpa2;			/* of the look before, whose leaf is */
	struct ept12_walk walk;		/* this; level 0: none */
};

static int read_table(void *ctx, u64 gpa1, u64 *entry)
{
	struct emys_vcpu *vcpu = ctx;

	return mem_read(vcpu->vm, gpa1, entry, PAGE_SIZE);
}

/* What EPT12 says now; with accessed flags off in it, the next use has to set them. */
static int look(void *ctx, u64 gpa2, struct mem_derived_leaf *now)
{
	struct revalidation *re = ctx;
	struct ept12_walk *w = &re->walk;
	u64 mask;

	if (w->level && !((gpa2 ^ re->gpa2) >> ept_level_shift(w->level))) {
		mask = ept_level_size(w->level) - 1;
		w->gpa1 = (w->gpa1 & ~mask) | (gpa2 & mask);
	} else if (ept12_look(&re->format, re->eptp, gpa2, &re->tables, read_table, re->vcpu,
			      w) != EPT12_OK) {
		w->level = 0;
		return -ENOENT;
	}
	re->gpa2 = gpa2;
	if (!w->accessed)
		return -ENOENT;
	leaf_of(w, now);
	return 0;
}

static int revalidate(struct emys_vcpu *vcpu, struct mem_derived *d)
{
	struct revalidation *re = kvmalloc(sizeof(*re), GFP_KERNEL_ACCOUNT);
	int r;

	if (!re) {
		mem_derived_clear(d);
		return 0;
	}
	re->vcpu = vcpu;
	re->eptp = d->key;
	re->walk.level = 0;
	format_of(vcpu, &re->format);
	ept12_tables_init(&re->tables);
	r = mem_derived_revalidate(d, look, re);
	kvfree(re);
	return r;
}

/* Those that no vCPU uses are made anew when one does. */
static int invept_all(struct emys_vcpu *vcpu)
{
	struct mem_derived **all;
	unsigned int i, nr;
	int r = 0;

	mem_derived_forget_idle(vcpu->vm);
	all = mem_derived_all(vcpu->vm, &nr);
	if (!all)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		if (!r)
			r = revalidate(vcpu, all[i]);
		mem_derived_put(all[i]);
	}
	kfree(all);
	return r;
}

int nested_invept(struct emys_vcpu *vcpu, u64 type, u64 eptp)
{
	struct mem_derived *d;
	int r;

	if (type != VMX_EPT_EXTENT_CONTEXT)
		return invept_all(vcpu);
	d = mem_derived_find(vcpu->vm, eptp);
	if (!d)
		return 0;
	r = revalidate(vcpu, d);
	mem_derived_put(d);
	return r;
}

#define QUAL_LINEAR	BIT(7)		/* there is a linear address */
#define QUAL_FINAL	BIT(8)		/* and this is what it translates to */

/* An access by emys: remembered, so that it can be an exit to L1. */
static void refuse(struct emys_vcpu *vcpu, int why, u64 gpa2, u32 access,
		   const struct ept12_walk *w)
{
	struct nested_vcpu *n = vcpu->nested;

	n->refused.gpa = gpa2;
	n->refused.gla = vcpu->walked_gva;
	n->refused.qual = 0;
	switch (why) {
	case EPT12_VIOLATION:
		n->refused.reason = EXIT_REASON_EPT_VIOLATION;
		n->refused.qual = w->qual;
		if (!(access & GWALK_PDPTE))
			n->refused.qual |= QUAL_LINEAR | (access & GWALK_TABLE ? 0 : QUAL_FINAL);
		break;
	case EPT12_MISCONFIG:
		n->refused.reason = EXIT_REASON_EPT_MISCONFIG;
		break;
	case EPT12_LOG_FULL:
		n->refused.reason = EXIT_REASON_PML_FULL;
		break;
	}
}

bool nested_access_exits(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	u32 reason = n->refused.reason;

	if (!reason)
		return false;
	n->refused.reason = 0;
	vcpu->vmx.exit.gpa = n->refused.gpa;
	vcpu->vmx.exit.gla = n->refused.gla;
	nested_exit(vcpu, reason, n->refused.qual, 0, 0);
	return true;
}

static u32 access12(const struct nested_vcpu *n, u32 access)
{
	if (access & GWALK_EXEC)
		return EPT_X;
	if (access & GWALK_WRITE)
		return EPT_W;
	if ((access & GWALK_TABLE) && (n->ept02->key & EPT12_EPTP_AD))
		return EPT_R | EPT_W;
	return EPT_R;
}

int nested_translate(struct emys_vcpu *vcpu, u64 gpa2, u32 access, u64 *gpa1)
{
	struct nested_vcpu *n = vcpu->nested;
	struct ept12_walk w;
	int r, tries = 16;

	n->refused.reason = 0;
	if (!n->ept02) {
		*gpa1 = gpa2;
		return 0;
	}
	do {
		r = walk12(vcpu, n->ept02->key, gpa2, access12(n, access), &w);
	} while (r == -EAGAIN && --tries);
	if (r != EPT12_OK) {
		refuse(vcpu, r, gpa2, access, &w);
		return -EFAULT;
	}
	*gpa1 = w.gpa1;
	return 0;
}
