// SPDX-License-Identifier: GPL-2.0-only
/* Traces: which parts of a page the guest writes, by sub-page write permissions */

#include <linux/mm.h>

#include "private.h"

static_assert(MEM_TRACE_PARTS == EPT_SUBPAGES);

/* The one slot that has @index, or NULL: none, or several. The object's lock held. */
static struct mem_slot *only_slot(struct mem_object *obj, pgoff_t index)
{
	struct mem_slot *slot, *found = NULL;

	lockdep_assert_held(&obj->lock);
	list_for_each_entry(slot, &obj->slots, link) {
		if (index < slot->first || index - slot->first >= slot->npages)
			continue;
		if (found)
			return NULL;
		found = slot;
	}
	return found;
}

static int trace_begin(struct mem_object *obj, pgoff_t index, struct ept_cache *cache)
{
	struct mem_slot *slot;
	struct emys_mem *mem;
	int err;

	if (obj->dead)
		return -ESTALE;
	slot = only_slot(obj, index);
	if (!slot)
		return -EAGAIN;
	mem = &slot->vm->mem;
	write_lock(&mem->mmu_lock);
	err = ept_trace(&mem->ept, cache, mem_slot_gfn(slot, index) << PAGE_SHIFT);
	if (!err) {
		if (derived_any(mem))
			derived_wrprot(slot->vm, mem_slot_gfn(slot, index),
				       mem_slot_gfn(slot, index) + 1);
		atomic64_inc(&mem->zap_seq);
	}
	write_unlock(&mem->mmu_lock);
	if (!err)
		mem_flush(slot->vm);
	return err == -ENOENT ? -EAGAIN : err;
}

int mem_trace_begin(struct mem_object *obj, pgoff_t index)
{
	struct ept_cache cache = {};
	int err;

	if (!vmx_caps.spp)
		return -EOPNOTSUPP;
	err = ept_cache_fill(&cache, EPT_CACHE_MAP);
	if (!err) {
		down_read(&obj->lock);
		err = trace_begin(obj, index, &cache);
		up_read(&obj->lock);
	}
	ept_cache_drain(&cache);
	return err;
}

int mem_trace_end(struct mem_object *obj, pgoff_t index, u32 *written)
{
	struct mem_slot *slot;
	struct emys_mem *mem;
	int err = -ENOENT;

	if (!vmx_caps.spp)
		return -EOPNOTSUPP;
	down_read(&obj->lock);
	slot = obj->dead ? NULL : only_slot(obj, index);
	if (slot) {
		mem = &slot->vm->mem;
		read_lock(&mem->mmu_lock);
		err = ept_trace_read(&mem->ept, mem_slot_gfn(slot, index) << PAGE_SHIFT, true,
				     written);
		read_unlock(&mem->mmu_lock);
	}
	up_read(&obj->lock);
	return err;
}

bool mem_trace_write(struct emys_vm *vm, u64 gpa)
{
	bool allowed;

	/* Who was refused by a traced leaf sees what was written before it */
	if (!READ_ONCE(vm->mem.ept.traced))
		return false;
	read_lock(&vm->mem.mmu_lock);
	allowed = !vm->mem.dead && ept_trace_write(&vm->mem.ept, gpa);
	read_unlock(&vm->mem.mmu_lock);
	return allowed;
}
