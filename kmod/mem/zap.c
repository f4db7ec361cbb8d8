// SPDX-License-Identifier: GPL-2.0-only
/* Zap and flush: taking memory away from vCPUs that may be using it */

#include <linux/mm.h>
#include <linux/pagemap.h>
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

/* What goes of EPT01 with [@start, @end): a large leaf at its edge may go whole. */
static bool drop_derived(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	const struct ept_root *ept = &vm->mem.ept;
	struct ept_walk walk;

	if (ept_walk(ept, start << PAGE_SHIFT, &walk))
		start = round_down(start, ept_level_gfns(walk.level));
	if (ept_walk(ept, (end - 1) << PAGE_SHIFT, &walk))
		end = round_up(end, ept_level_gfns(walk.level));
	return derived_drop_chunk(vm, start, end);
}

static void zap_range(struct emys_vm *vm, gfn_t start, gfn_t end, bool may_sleep,
		      struct ept_cache *cache, struct ept_zap *zap)
{
	struct emys_mem *mem = &vm->mem;
	unsigned int flags = cache ? EPT_ZAP_SPLIT : 0;
	gfn_t next;

	while (start < end) {
		write_lock(&mem->mmu_lock);
		next = chunk_end(&mem->ept, start, end);
		if (derived_any(mem) && drop_derived(vm, start, next)) {
			next = start;
		} else if (ept_zap_range(&mem->ept, start, next, flags, cache, zap)) {
			atomic64_inc(&mem->zap_seq);
			atomic64_inc(&vm->stats.mem_zaps);
		}
		write_unlock(&mem->mmu_lock);
		if (may_sleep)
			cond_resched();
		start = next;
	}
}

void mem_zap(struct emys_vm *vm, gfn_t start, gfn_t end, bool may_sleep, struct ept_zap *zap)
{
	zap_range(vm, start, end, may_sleep, NULL, zap);
}

/* What a leaf knew of writes must not go with it */
static void keep_dirty(void *ctx, gfn_t gfn, int level, u64 old)
{
	struct mem_slot *slot = ctx;
	pgoff_t first = slot->first + (gfn - slot->base);
	pgoff_t last = first + ept_level_gfns(level) - 1;

	if (!(old & (slot->vm->mem.ept.fmt.ad ? EPT_D : EPT_W)))
		return;
	if (mem_slot_clip(slot, &first, &last))
		object_mark_dirty(slot->obj, first, last);
}

void mem_zap_slot(struct mem_slot *slot, pgoff_t first, pgoff_t last, struct ept_cache *cache,
		  struct ept_zap *zap)
{
	if (!mem_slot_clip(slot, &first, &last))
		return;
	zap->leaf = keep_dirty;
	zap->ctx = slot;
	zap_range(slot->vm, mem_slot_gfn(slot, first), mem_slot_gfn(slot, last) + 1, true, cache,
		  zap);
	zap->leaf = NULL;
}

/* Users that page_mkwrite() let pass are about to have a writable PTE: let them. */
static void settle(struct mem_object *obj, pgoff_t first, pgoff_t last)
{
	unsigned long index;
	void *entry;

	xa_for_each_range(&obj->pages, index, entry, first, last)
		if (entry_state(entry) == MEM_PRIVATE)
			folio_wait_locked(page_folio(entry_page(entry)));
}

void object_unmap(struct mem_object *obj, pgoff_t first, pgoff_t last, bool split)
{
	struct ept_cache cache = {};
	struct ept_zap zap = {};
	struct mem_slot *slot;

	lockdep_assert_held_write(&obj->lock);
	settle(obj, first, last);
	unmap_mapping_pages(obj->inode->i_mapping, first, last - first + 1, false);

	list_for_each_entry(slot, &obj->slots, link) {
		/* Without tables the large leaf goes whole, and comes back by faults */
		if (split)
			ept_cache_fill(&cache, EPT_CACHE_ZAP);
		mem_zap_slot(slot, first, last, split ? &cache : NULL, &zap);
	}
	list_for_each_entry(slot, &obj->slots, link)
		mem_flush(slot->vm);
	ept_zap_free(&zap);
	ept_cache_drain(&cache);
}

void mem_wrprot(struct emys_vm *vm, gfn_t start, gfn_t end)
{
	struct emys_mem *mem = &vm->mem;

	gfn_t next;

	while (start < end) {
		write_lock(&mem->mmu_lock);
		next = chunk_end(&mem->ept, start, end);
		/* They are dropped, so that small ones take the place of large ones */
		if (derived_any(mem) && derived_drop_chunk(vm, start, next))
			next = start;
		else if (ept_wrprot_range(&mem->ept, start, next))
			atomic64_inc(&mem->zap_seq);
		write_unlock(&mem->mmu_lock);
		cond_resched();
		start = next;
	}
}

/* Without D a flag may be cleared unflushed: at worst an access is missed */
static void harvest_range(struct emys_mem *mem, gfn_t start, gfn_t end, u64 want, u64 clear,
			  void (*fn)(void *ctx, gfn_t gfn, int level, u64 bits), void *ctx)
{
	if (ept_harvest(&mem->ept, start, end, want, clear, fn, ctx) && (clear & EPT_D))
		atomic64_inc(&mem->zap_seq);
}

void mem_harvest_leaves(struct emys_vm *vm, gfn_t start, gfn_t end, u64 want, u64 clear,
			void (*fn)(void *ctx, gfn_t gfn, int level, u64 bits), void *ctx)
{
	struct emys_mem *mem = &vm->mem;
	bool derived;

	read_lock(&mem->mmu_lock);
	derived = derived_any(mem);
	if (!derived)
		harvest_range(mem, start, end, want, clear, fn, ctx);
	read_unlock(&mem->mmu_lock);
	if (!derived)
		return;

	write_lock(&mem->mmu_lock);
	derived_pull(vm, start, end, want, clear);
	harvest_range(mem, start, end, want, clear, fn, ctx);
	write_unlock(&mem->mmu_lock);
}

void mem_flush(struct emys_vm *vm)
{
	struct emys_mem *mem = &vm->mem;
	s64 want = atomic64_read(&mem->zap_seq);
	s64 done = atomic64_read(&mem->flush_seq);

	/*
	 * Derived hierarchies have their own generations, raised when they lost something.
	 * Flushes of others count only when they are over: flush_seq, not gen.
	 */
	if (done >= want)
		return;
	ept_gen_bump(&mem->ept);
	emys_vm_kick_all_wait(vm);

	while (done < want &&
	       !atomic64_try_cmpxchg(&mem->flush_seq, &done, want))
		;
}
