// SPDX-License-Identifier: GPL-2.0-only
/* The mmu notifier: what the host takes from the VMM, the guest loses too */

/*
 * Owned slots are not concerned: their pages belong to the object, whatever
 * becomes of the VMM's mapping of it.
 *
 * invalidate_range_start() zaps, and from then until invalidate_range_end() a
 * fault in the range maps nothing: between the two the user's page tables change,
 * and what get_user_pages() has found before may be stale. See mem_inval_begin().
 * None of the callbacks sleeps, so ranges that must not block need no care.
 */

#include <linux/mmu_notifier.h>
#include <linux/sched.h>

#include "private.h"

static struct emys_vm *notifier_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct emys_vm, mem.notifier);
}

/* Call @fn for the guest frames behind [start, end) of the VMM's addresses. */
static void visit_foreign(struct emys_vm *vm, unsigned long start, unsigned long end,
			  void (*fn)(struct emys_vm *vm, gfn_t start, gfn_t end, void *ctx),
			  void *ctx)
{
	struct emys_mem *mem = &vm->mem;
	int idx = srcu_read_lock(&mem->srcu);
	struct mem_slots *slots = mem_slots(mem);
	unsigned int i;

	for (i = 0; slots->nr_foreign && i < slots->nr; i++) {
		struct mem_slot *s = slots->slot[i];
		unsigned long last = s->hva + (s->npages << PAGE_SHIFT);
		unsigned long from = max(start, s->hva);
		unsigned long to = min(end, last);

		if (s->file || from >= to)
			continue;
		fn(vm, s->base + ((from - s->hva) >> PAGE_SHIFT),
		   s->base + ((to - s->hva + PAGE_SIZE - 1) >> PAGE_SHIFT), ctx);
	}
	srcu_read_unlock(&mem->srcu, idx);
}

static void zap_one(struct emys_vm *vm, gfn_t start, gfn_t end, void *ctx)
{
	mem_zap(vm, start, end, false, ctx);
}

static int invalidate_range_start(struct mmu_notifier *mn,
				  const struct mmu_notifier_range *range)
{
	struct emys_vm *vm = notifier_vm(mn);
	struct emys_mem *mem = &vm->mem;
	struct ept_zap zap = {};

	write_lock(&mem->mmu_lock);
	if (!mem->inval_count++) {
		mem->inval_start = range->start;
		mem->inval_end = range->end;
	} else {
		/* Two at once: their hull, until both have ended */
		mem->inval_start = min(mem->inval_start, range->start);
		mem->inval_end = max(mem->inval_end, range->end);
	}
	write_unlock(&mem->mmu_lock);

	visit_foreign(vm, range->start, range->end, zap_one, &zap);
	mem_flush(vm);
	ept_zap_free(&zap);
	atomic64_inc(&vm->stats.mem_notifier_invalidations);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *mn,
				 const struct mmu_notifier_range *range)
{
	struct emys_mem *mem = &notifier_vm(mn)->mem;

	write_lock(&mem->mmu_lock);
	/* A fault that looked before this must look again */
	WRITE_ONCE(mem->inval_seq, mem->inval_seq + 1);
	mem->inval_count--;
	write_unlock(&mem->mmu_lock);
}

struct young {
	u64 clear;
	bool found;
};

static void young_leaf(void *ctx, gfn_t gfn, int level, u64 bits)
{
	struct young *y = ctx;

	y->found = true;
}

static void young_one(struct emys_vm *vm, gfn_t start, gfn_t end, void *ctx)
{
	struct young *y = ctx;

	/*
	 * No flush after clearing A: a CPU with the translation cached may use the
	 * page once more unseen, as with the accessed flag of a user's PTE.
	 */
	mem_harvest_leaves(vm, start, end, EPT_A, y->clear, young_leaf, y);
}

/*
 * Without accessed flags only a new fault shows a use: zap, and what was mapped
 * counts as used.
 */
static int age(struct emys_vm *vm, unsigned long start, unsigned long end)
{
	struct young y = {
		.clear = vm->mem.ept.fmt.ad ? EPT_A : 0,
	};
	struct ept_zap zap = {};

	visit_foreign(vm, start, end, young_one, &y);
	if (y.found && !y.clear) {
		visit_foreign(vm, start, end, zap_one, &zap);
		mem_flush(vm);
		ept_zap_free(&zap);
	}
	return y.found;
}

static int clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
			     unsigned long start, unsigned long end)
{
	return age(notifier_vm(mn), start, end);
}

static int clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
		       unsigned long start, unsigned long end)
{
	return age(notifier_vm(mn), start, end);
}

static int test_young(struct mmu_notifier *mn, struct mm_struct *mm,
		      unsigned long address)
{
	struct young y = {};

	visit_foreign(notifier_vm(mn), address, address + PAGE_SIZE,
		      young_one, &y);
	return y.found;
}

/* The VMM's address space goes, though somebody may still hold the VM's fd. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct emys_vm *vm = notifier_vm(mn);

	/* From mem_notifier_destroy(): the VM is past that */
	if (!READ_ONCE(vm->mem.dead))
		emys_vm_kill(vm);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.release = release,
};

int mem_notifier_init(struct emys_vm *vm)
{
	int err;

	vm->mem.notifier.ops = &notifier_ops;
	err = mmu_notifier_register(&vm->mem.notifier, vm->mm);
	vm->mem.notifier_on = !err;
	return err;
}

void mem_notifier_destroy(struct emys_vm *vm)
{
	if (!vm->mem.notifier_on)
		return;
	vm->mem.notifier_on = false;
	mmu_notifier_unregister(&vm->mem.notifier, vm->mm);
}
