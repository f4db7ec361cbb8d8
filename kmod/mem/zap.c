// SPDX-License-Identifier: GPL-2.0-only
/* Zap and flush: taking memory away from vCPUs that may be using it */

#include <linux/sched.h>

#include "private.h"

/* Frames per hold of mmu_lock: 1 GiB, or all that one empty entry of a table covers */
#define ZAP_LEVEL	3

static gfn_t chunk_end(const struct ept_root *ept, gfn_t start, gfn_t end)
{
	struct ept_walk walk;
	u64 n = ept_level_gfns(ZAP_LEVEL);

	if (!ept_walk(ept, start << PAGE_SHIFT, &walk) && walk.level > ZAP_LEVEL)
		n = ept_level_gfns(walk.level);
	return min(end, round_down(start, n) + n);
}

void mem_zap(struct emys_vm *vm, gfn_t start, gfn_t end, bool may_sleep,
	     struct ept_zap *zap)
{
	struct emys_mem *mem = &vm->mem;
	gfn_t next;

	while (start < end) {
		write_lock(&mem->mmu_lock);
		next = chunk_end(&mem->ept, start, end);
		if (ept_zap_range(&mem->ept, start, next, 0, NULL, zap)) {
			atomic64_inc(&mem->zap_seq);
			atomic64_inc(&vm->stats.mem_zaps);
		}
		write_unlock(&mem->mmu_lock);
		if (may_sleep)
			cond_resched();
		start = next;
	}
}

void mem_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	struct emys_mem *mem = &vm->mem;

	gfn_t next;

	while (start < end) {
		write_lock(&mem->mmu_lock);
		next = chunk_end(&mem->ept, start, end);
		if (ept_wrprot_range(&mem->ept, start, next))
			atomic64_inc(&mem->zap_seq);
		write_unlock(&mem->mmu_lock);
		cond_resched();
		start = next;
	}
}

void mem_flush(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	s64 want = atomic64_read(&mem->zap_seq);
	s64 done = atomic64_read(&mem->flush_seq);

	/* Flushes of others count only when they are over: flush_seq, not gen */
	if (done >= want)
		return;
	ept_gen_bump(&mem->ept);
	emys_vm_kick_all_wait(vm);

	while (done < want &&
	       !atomic64_try_cmpxchg(&mem->flush_seq, &done, want))
		;
}
