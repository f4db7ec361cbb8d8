// SPDX-License-Identifier: GPL-2.0-only
/* EPT violations: find the page behind a guest frame and map it */

/*
 * A fault resolves an address in three worlds that change under it: the slots, the
 * object or the user's page tables, and the EPT. It takes the marks of the first
 * two (generation, inval_seq) before it looks, and compares them again under
 * mmu_lock before it maps. A mark that moved means: map nothing, let the guest
 * fault again, by then signals and requests have been looked at.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "private.h"

/* What a fault has found out so far. */
struct fault {
	struct emys_vcpu *vcpu;
	gfn_t gfn;
	u32 access;
	u64 generation;
	struct mem_slot slot;	/* a copy, for use outside srcu */
};

/* Not an errno of mem_fault(): something moved, or had to be moved first. */
#define FAULT_AGAIN	MEM_MAPPED

/* A leaf that says something else than it should. Take it away. */
static int zap_wrong_leaf(struct emys_vm *vm, gfn_t gfn)
{
	struct ept_zap zap = {};
	struct mem_slot *slot;
	int idx;

	idx = srcu_read_lock(&vm->mem.srcu);
	slot = mem_slot_find(mem_slots(&vm->mem), gfn);
	if (slot && slot->file)
		mem_zap_slot(slot, mem_slot_index(slot, gfn), mem_slot_index(slot, gfn), NULL,
			     &zap);
	else
		mem_zap(vm, gfn, gfn + 1, true, &zap);
	srcu_read_unlock(&vm->mem.srcu, idx);
	mem_flush(vm);
	ept_zap_free(&zap);
	return FAULT_AGAIN;
}

static void count_leaf(struct emys_vm *vm, int level)
{
	atomic64_inc(level == 1 ? &vm->stats.mem_pages_4k :
		     level == 2 ? &vm->stats.mem_pages_2m :
				  &vm->stats.mem_pages_1g);
}

/*
 * Map the 4 KiB frame @gfn to @hpa by the largest leaf up to @level. 0; -EBUSY:
 * something else is mapped there; -ENOMEM.
 */
static int install(struct fault *f, hpa_t hpa, int level, u64 prot)
{
	struct ept_root *ept = &f->vcpu->vm->mem.ept;
	struct ept_cache *cache = &f->vcpu->ept_cache;
	gpa_t gpa = f->gfn << PAGE_SHIFT;
	unsigned int flags = EPT_MAP_IPAT | EPT_MAP_ACCESSED;
	struct ept_walk walk;
	int err, tries;

	lockdep_assert_held(&f->vcpu->vm->mem.mmu_lock);
	if (f->access & MEM_FAULT_WRITE)
		flags |= EPT_MAP_DIRTY;
	if (f->access & MEM_FAULT_EXEC)
		level = min(level, ept_max_level(&ept->fmt, prot));

	for (tries = 0; tries < 2 * EPT_LEVELS; tries++) {
		u64 mask = ept_level_size(level) - 1;
		u64 p = prot;

		/* A large leaf that may not be executable is still worth having */
		if (level > ept_max_level(&ept->fmt, p))
			p &= ~EPT_X;
		if (level > ept_max_level(&ept->fmt, p)) {
			level--;
			continue;
		}
		err = ept_map(ept, cache, gpa & ~mask, hpa & ~mask, level, p,
			      EPT_MT_WB, flags);
		switch (err) {
		case -ENOTEMPTY:
			level--;
			continue;
		case -EBUSY:
			if (!ept_walk(ept, gpa, &walk))
				continue;
			mask = ept_level_size(walk.level) - 1;
			if (walk.level <= level || ept_leaf_memtype(walk.val) != EPT_MT_WB ||
			    ept_leaf_hpa(walk.val, walk.level) + (gpa & mask) != hpa)
				return -EBUSY;
			err = ept_split(ept, cache, gpa, level);
			if (err == -ENOMEM)
				return err;
			continue;
		case -EEXIST:
		case -EAGAIN:
			return 0;
		case 0:
			count_leaf(f->vcpu->vm, level);
			return 0;
		default:
			return err;
		}
	}
	return 0;
}

/* The largest leaf that the slot's bounds and alignment allow */
static int slot_level(const struct fault *f, u64 target_frame)
{
	const struct mem_slot *s = &f->slot;
	int level;

	if (s->dirty)
		return 1;
	for (level = 3; level > 1; level--) {
		u64 n = ept_level_gfns(level);
		gfn_t first = round_down(f->gfn, n);

		if (!((f->gfn ^ target_frame) & (n - 1)) && first >= s->base &&
		    first + n <= s->base + s->npages)
			break;
	}
	return level;
}

/* Has what the fault rests on changed? mmu_lock held. */
static bool fault_stale(const struct fault *f)
{
	struct emys_mem *mem = &f->vcpu->vm->mem;

	lockdep_assert_held(&mem->mmu_lock);
	return mem->dead || mem->generation != f->generation;
}

/*
 * The last step, mmu_lock held for reading: map, and log a page that becomes
 * writable. @slot: the published one.
 */
static int install_logged(struct fault *f, struct mem_slot *slot, hpa_t hpa, int level,
			  bool writable)
{
	u64 prot = EPT_R | EPT_X;
	int err;

	if (writable && (!slot->dirty || (f->access & MEM_FAULT_WRITE)))
		prot |= EPT_W;
	err = install(f, hpa, level, prot);
	if (!err && (prot & EPT_W))
		mem_slot_dirty(slot, f->gfn);
	return err;
}

/* -- owned slots ----------------------------------------------------------------- */

/* srcu held, so @slot and its object stay. */
static int fault_owned(struct fault *f, struct mem_slot *slot)
{
	struct emys_vm *vm = f->vcpu->vm;
	struct mem_object *obj = slot->obj;
	pgoff_t index = mem_slot_index(slot, f->gfn);
	bool writable;
	int level, err;
	void *entry;

	for (;;) {
		down_read(&obj->lock);
		entry = xa_load(&obj->pages, index);
		if (entry_usable(entry, f->access & MEM_FAULT_WRITE))
			break;
		up_read(&obj->lock);
		err = object_touch(obj, index, f->access & MEM_FAULT_WRITE, false);
		if (err)
			return err;
	}

	writable = entry_state(entry) == MEM_PRIVATE && !(slot->flags & KVM_MEM_READONLY);
	level = min(slot_level(f, index), 2);
	if (level == 2 && !object_in_block(obj, index))
		level = 1;

	read_lock(&vm->mem.mmu_lock);
	if (fault_stale(f)) {
		atomic64_inc(&vm->stats.mem_fault_retries);
		err = 0;
	} else {
		err = install_logged(f, slot, page_to_phys(entry_page(entry)), level, writable);
	}
	read_unlock(&vm->mem.mmu_lock);
	up_read(&obj->lock);
	return err;
}

/* -- foreign slots ------------------------------------------------------------------ */

/*
 * The size of the user's own mapping of @pfn at @hva, as an EPT level. Interrupts
 * are off, which keeps page tables from being freed, and mem_inval_raced() has
 * said that no mapping of the range is changing.
 */
static int user_level(struct mm_struct *mm, unsigned long hva, unsigned long pfn, bool writable)
{
	unsigned long flags;
	int level = 1;
	pgd_t *pgdp, pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t pmd;

	local_irq_save(flags);
	pgdp = pgd_offset(mm, hva);
	pgd = READ_ONCE(*pgdp);
	if (pgd_none(pgd))
		goto out;
	p4dp = p4d_offset_lockless(pgdp, pgd, hva);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d) || !p4d_present(p4d))
		goto out;
	pudp = pud_offset_lockless(p4dp, p4d, hva);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud) || !pud_present(pud))
		goto out;
	if (pud_leaf(pud)) {
		if (pud_pfn(pud) + ((hva & ~PUD_MASK) >> PAGE_SHIFT) == pfn &&
		    (!writable || pud_write(pud)))
			level = 3;
		goto out;
	}
	pmd = READ_ONCE(*pmd_offset_lockless(pudp, pud, hva));
	if (pmd_none(pmd) || !pmd_present(pmd) || !pmd_leaf(pmd))
		goto out;
	if (pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT) == pfn &&
	    (!writable || pmd_write(pmd)))
		level = 2;
out:
	local_irq_restore(flags);
	return level;
}

/* The user's page behind the fault, with a reference. 0 or -errno. */
static int get_user_frame(struct fault *f, unsigned long hva, struct page **page, bool *writable)
{
	bool write = f->access & MEM_FAULT_WRITE;
	bool may_write = !(f->slot.flags & KVM_MEM_READONLY);
	long n;

	/*
	 * A read of a page that the user may write is worth mapping writable at
	 * once, unless writes are logged. But never make it so: that would
	 * break sharing with the zero page or another process.
	 */
	if (may_write && (write || !f->slot.dirty) &&
	    get_user_page_fast_only(hva, FOLL_WRITE, page)) {
		*writable = true;
		return 0;
	}
	*writable = write;
	n = get_user_pages_unlocked(hva, 1, page, write ? FOLL_WRITE : 0);
	if (n == 1)
		return 0;
	if (fatal_signal_pending(current))
		return -EINTR;
	return n == -ENOMEM ? -ENOMEM : -EFAULT;
}

static int map_foreign(struct fault *f, unsigned long hva, struct page *page, bool writable,
		       unsigned long seq)
{
	struct emys_vm *vm = f->vcpu->vm;
	struct emys_mem *mem = &vm->mem;
	int idx = srcu_read_lock(&mem->srcu);
	/* Same generation, same slot; stale otherwise and not used */
	struct mem_slot *slot = mem_slot_find(mem_slots(mem), f->gfn);
	int level, err = 0;

	read_lock(&mem->mmu_lock);
	if (!slot || fault_stale(f) || mem_inval_raced(mem, seq, hva)) {
		atomic64_inc(&vm->stats.mem_fault_retries);
		goto out;
	}
	level = slot_level(f, hva >> PAGE_SHIFT);
	if (level > 1)
		level = min(level, user_level(vm->mm, hva, page_to_pfn(page),
					      writable));
	err = install_logged(f, slot, page_to_phys(page), level, writable);
out:
	read_unlock(&mem->mmu_lock);
	srcu_read_unlock(&mem->srcu, idx);
	return err;
}

static int fault_foreign(struct fault *f)
{
	struct emys_mem *mem = &f->vcpu->vm->mem;
	unsigned long hva = mem_slot_hva(&f->slot, f->gfn);
	unsigned long seq = mem_inval_begin(mem);
	struct page *page;
	bool writable;
	int err;

	err = get_user_frame(f, hva, &page, &writable);
	if (err) {
		/* Perhaps the address is no longer the right one to ask for */
		if (err == -EFAULT && READ_ONCE(mem->generation) != f->generation)
			return FAULT_AGAIN;
		return err;
	}

	err = map_foreign(f, hva, page, writable, seq);
	/*
	 * The guest writes without setting the user PTE's dirty flag. As long as
	 * the reference is held the page is not reclaimed, so this is in time.
	 */
	if (writable && !PageDirty(page))
		set_page_dirty_lock(page);
	mark_page_accessed(page);
	put_page(page);
	return err;
}

/* -- entry -------------------------------------------------------------------------- */

static int fault_slot(struct fault *f)
{
	struct emys_mem *mem = &f->vcpu->vm->mem;
	struct mem_slot *slot;
	int idx, ret;

	/* Before the slots: pairs with the release in slots_replace() */
	f->generation = smp_load_acquire(&mem->generation);
	idx = srcu_read_lock(&mem->srcu);
	slot = mem_slot_find(mem_slots(mem), f->gfn);
	if (!slot || ((slot->flags & KVM_MEM_READONLY) && (f->access & MEM_FAULT_WRITE))) {
		ret = MEM_MMIO;
		goto unlock;
	}
	f->slot = *slot;
	if (slot->file) {
		ret = fault_owned(f, slot);
		goto unlock;
	}
	/* GUP may sleep for as long as a userfaultfd likes: not under srcu */
	srcu_read_unlock(&mem->srcu, idx);
	return fault_foreign(f);

unlock:
	srcu_read_unlock(&mem->srcu, idx);
	return ret;
}

int mem_fault(struct emys_vcpu *vcpu, u64 gpa, u32 access)
{
	struct emys_vm *vm = vcpu->vm;
	struct fault f = {
		.vcpu = vcpu,
		.gfn = gpa >> PAGE_SHIFT,
		.access = access,
	};
	int ret;

	atomic64_inc(&vm->stats.mem_faults);
	if (READ_ONCE(vm->mem.dead))
		return -EIO;
	if (f.gfn >= EPT_GFN_END)
		return MEM_MMIO;
	if ((access & MEM_FAULT_WRITE) && mem_trace_write(vm, gpa))
		return MEM_MAPPED;
	/* A map and a split at the same fault */
	ret = ept_cache_fill(&vcpu->ept_cache, EPT_CACHE_MAP + EPT_CACHE_SPLIT);
	if (ret)
		return ret;

	ret = fault_slot(&f);
	if (ret == -EBUSY)
		ret = zap_wrong_leaf(vm, f.gfn);
	return ret;
}
